//! How secure a design is, over HTTP: what the rules say, how that went, on demand, and what people decide.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server};

const PATIENCE: Duration = Duration::from_secs(30);

/// A database that answers the internet without encryption: whatever the rules are, they find something.
fn vulnerable() -> Value {
    let node = |id: &str, kind: &str, zone: &str| {
        json!({"id": id, "type": "custom", "position": {"x": 0, "y": 0}, "data": {"type": kind, "label": id, "zone": zone}})
    };
    let edge = |id: &str, from: &str, to: &str| {
        json!({"id": id, "source": from, "target": to, "data": {"protocol": "HTTP", "port": 80, "encryption": "None"}})
    };
    json!({
        "name": "Shop",
        "nodes": [node("user", "user", "Internet"), node("web", "web-server", "DMZ"), node("db", "database", "Data")],
        "edges": [edge("in", "user", "web"), edge("out", "web", "db")]
    })
}

async fn create(person: &Person, design: Value) -> String {
    let created = person.post("/api/v1/designs", design).await.expect(201);
    created.json()["id"].as_str().unwrap().to_owned()
}

/// Asks until the answer is the one that is waited for.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> Answer, is_it: impl Fn(&Answer) -> bool) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if is_it(&answer) {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The newest analysis once it is as it should be.
async fn latest(person: &Person, design: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/designs/{design}/analyses/latest");
    let ask = async || person.get(&path).await;
    until("the analysis", ask, |answer| answer.status == 200 && is_it(&answer.json())).await.json()
}

async fn history(person: &Person, design: &str) -> Vec<Value> {
    let answer = person.get(&format!("/api/v1/designs/{design}/analyses")).await.expect(200);
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_new_design_is_analysed_by_itself_and_its_answer_is_tagged() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let design = create(&ada, vulnerable()).await;
    let analysis = latest(&ada, &design, |_| true).await;
    assert_eq!(analysis["design_id"], design);
    assert_eq!((&analysis["seq"], &analysis["is_stale"]), (&json!(1), &json!(false)));
    assert_eq!(analysis["content_hash"], ada.snapshot(&design).await["content_hash"]);
    let issues = analysis["issues"].as_array().unwrap();
    assert!(!issues.is_empty(), "{analysis}");
    assert_eq!(analysis["findings_count"], issues.len());
    assert!(issues.iter().all(|issue| issue["triage"] == json!({"state": "open"})));
    assert!(analysis["security_score"].as_f64().is_some_and(|score| (0.0..9.9).contains(&score)), "{analysis}");
    for text in ["id", "grade", "severity", "semantic_hash", "ruleset_version", "created_at"] {
        assert!(analysis[text].is_string(), "{text}: {analysis}");
    }
    assert!(analysis["ai_recommendations"].is_null() && analysis["explanation"].is_array());

    let path = format!("/api/v1/designs/{design}/analyses/latest");
    let tag = ada.get(&path).await.header("etag").to_owned();
    let known = Answer::of(ada.request(Method::GET, &path).header("If-None-Match", &tag)).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
    let points = history(&ada, &design).await;
    assert_eq!(points.len(), 1);
    for field in ["id", "security_score", "grade", "severity", "findings_count", "coverage", "seq", "ruleset_version"] {
        assert_eq!(points[0][field], analysis[field], "{field}");
    }
}

#[tokio::test]
async fn a_moved_node_says_nothing_and_an_undo_points_back() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let design = create(&ada, vulnerable()).await;
    let first = latest(&ada, &design, |_| true).await;
    let patch = async |body: Value| {
        let path = format!("/api/v1/designs/{design}");
        Answer::of(ada.request(Method::PATCH, &path).json(&body)).await.expect(200)
    };
    let edge = |protocol: &str| json!({"edges": {"upsert": [{"id": "out", "data": {"protocol": protocol}}]}});
    patch(json!({"nodes": {"upsert": [{"id": "web", "position": {"x": 7, "y": 0}}]}})).await;
    let fresh = latest(&ada, &design, |analysis| analysis["is_stale"] == false).await;
    assert_eq!((&fresh["id"], history(&ada, &design).await.len()), (&first["id"], 1));
    patch(edge("HTTPS")).await;
    let other = latest(&ada, &design, |analysis| analysis["id"] != first["id"]).await;
    patch(edge("HTTP")).await;
    let back = latest(&ada, &design, |analysis| analysis["id"] == first["id"]).await;
    assert_eq!(back["issues"], first["issues"]);
    assert_eq!(back["security_score"], first["security_score"]);
    let points = history(&ada, &design).await;
    let ids: Vec<_> = points.iter().map(|point| &point["id"]).collect();
    assert_eq!(ids, [&first["id"], &other["id"], &first["id"]]);
    let health = ada.get("/api/ops/health").await.expect(200).json()["analysis"].clone();
    assert_eq!((&health["runs"], &health["cache_hits"]), (&json!(2), &json!(1)), "{health}");
    assert!(1 <= health["settle_skipped_noop"].as_u64().unwrap(), "{health}");
    assert_eq!((&health["dead_letters"], &health["failures"]), (&json!(0), &json!(0)));

    let page = ada.get(&format!("/api/v1/designs/{design}/analyses?limit=2")).await.expect(200).json();
    let rest = format!("/api/v1/designs/{design}/analyses?limit=2&cursor={}", page["next"].as_str().unwrap());
    let rest = ada.get(&rest).await.expect(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    for bad in ["limit=0", "limit=201", "page=2"] {
        let path = format!("/api/v1/designs/{design}/analyses?{bad}");
        ada.get(&path).await.expect_problem(400, "validation_failed");
    }
}

#[tokio::test]
async fn an_analysis_on_demand_is_followed_to_its_end() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let bob = server.register("bob@example.com").await;
    let eve = server.register("eve@example.com").await;
    let design = create(&ada, vulnerable()).await;
    ada.share(&design, &bob, "viewer").await;
    let run = async |person: &Person| {
        person.post("/api/v1/analysis/security", json!({"design_id": design})).await
    };
    let queued = run(&ada).await.expect(202);
    let job = queued.json();
    assert_eq!((&job["status"], &job["design_id"]), (&json!("queued"), &json!(design)));
    assert_eq!(queued.header("location"), job["status_url"]);
    let (status, results) = (job["status_url"].as_str().unwrap(), job["results_url"].as_str().unwrap());
    let ask = async || bob.get(status).await.expect(200);
    let done = until("the job", ask, |answer| answer.json()["status"] == "completed").await.json();
    assert_eq!((&done["progress"], &done["attempts"], done.get("error")), (&json!(100), &json!(1), None));
    assert_eq!(done["job_id"], job["job_id"]);
    assert!(done["created_at"].is_string() && done["started_at"].is_string() && done["finished_at"].is_string());
    let found = bob.get(results).await.expect(200).json();
    assert_eq!(found["id"], done["analysis_id"]);
    assert_eq!(found, latest(&bob, &design, |_| true).await);

    eve.get(status).await.expect_problem(403, "forbidden");
    eve.get(results).await.expect_problem(403, "forbidden");
    run(&bob).await.expect_problem(403, "forbidden");
    run(&eve).await.expect_problem(403, "forbidden");
    let nobody = "/api/v1/analysis/00000000-0000-0000-0000-000000000000/status";
    ada.get(nobody).await.expect_problem(404, "no_such_job");
    ada.get("/api/v1/analysis/x/results").await.expect_problem(404, "no_such_job");
    let nowhere = json!({"design_id": "00000000-0000-0000-0000-000000000000"});
    ada.post("/api/v1/analysis/security", nowhere).await.expect_problem(404, "no_such_design");
    server.nobody().get(status).await.expect_problem(401, "no_credential");

    for _ in 0..4 {
        run(&ada).await.expect(202);
    }
    let refused = run(&ada).await.expect_problem(429, "too_many_analyses");
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    ada.delete(&format!("/api/v1/designs/{design}")).await.expect(204);
    ada.get(status).await.expect_problem(404, "no_such_job");
}

#[tokio::test]
async fn a_run_that_takes_long_says_so_and_one_that_fails_ends() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let named = |name: &str| {
        let mut design = vulnerable();
        design["name"] = json!(name);
        design
    };
    let run = async |design: &str| {
        let job = ada.post("/api/v1/analysis/security", json!({"design_id": design})).await.expect(202).json();
        (job["status_url"].as_str().unwrap().to_owned(), job["results_url"].as_str().unwrap().to_owned())
    };
    let slow = create(&ada, named("poison: the analysis waits")).await;
    ada.get(&format!("/api/v1/designs/{slow}/analyses/latest")).await.expect_problem(404, "no_analysis_yet");
    let (_, results) = run(&slow).await;
    ada.get(&results).await.expect_problem(409, "not_finished");

    let broken = create(&ada, named("poison: the analysis panics")).await;
    let (status, results) = run(&broken).await;
    let ask = async || ada.get(&status).await.expect(200);
    let running = until("the run", ask, |answer| answer.json()["status"] == "running").await.json();
    assert!(running["started_at"].is_string() && running.get("finished_at").is_none(), "{running}");
    let failed = until("its end", ask, |answer| answer.json()["status"] == "failed").await.json();
    assert_eq!(failed["attempts"], 3);
    assert!(failed["error"].as_str().is_some_and(|error| !error.contains("poison")), "{failed}");
    ada.get(&results).await.expect_problem(409, "analysis_failed");
    ada.get(&format!("/api/v1/designs/{broken}/analyses/latest")).await.expect_problem(404, "no_analysis_yet");
    let health = ada.get("/api/ops/health").await.expect(200).json()["analysis"].clone();
    assert_eq!((&health["failures"], &health["dead_letters"]), (&json!(3), &json!(1)), "{health}");
    // The next edit has it tried again.
    let path = format!("/api/v1/designs/{broken}");
    Answer::of(ada.request(Method::PATCH, &path).json(&json!({"meta": {"name": "Shop"}}))).await.expect(200);
    latest(&ada, &broken, |_| true).await;
}

#[tokio::test]
async fn decisions_change_the_score_for_everybody_and_survive_edits() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let bob = server.register("bob@example.com").await;
    let design = create(&ada, vulnerable()).await;
    ada.share(&design, &bob, "viewer").await;
    let before = latest(&ada, &design, |_| true).await;
    let fingerprint = before["issues"][0]["fingerprint"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/designs/{design}/findings/{fingerprint}");
    let accept = json!({"state": "accepted", "reason": " Until the move ", "expires_at": "2999-01-01T00:00:00Z"});
    let triage = ada.put(&path, accept.clone()).await.expect(200).json();
    assert_eq!((&triage["state"], &triage["reason"]), (&json!("accepted"), &json!("Until the move")));
    assert_eq!((&triage["by"]["id"], &triage["expires_at"]), (&json!(ada.id), &json!("2999-01-01T00:00:00Z")));
    let count = |analysis: &Value| analysis["findings_count"].as_u64().unwrap();
    let after = latest(&bob, &design, |analysis| count(analysis) + 1 == count(&before)).await;
    assert_eq!(after["id"], before["id"]);
    assert_eq!((&after["issues"][0]["triage"], &after["issues"][0]["points"]), (&triage, &json!(0)));
    assert!(before["security_score"].as_f64() <= after["security_score"].as_f64());
    let points = history(&ada, &design).await;
    assert_eq!((points.len(), &points[0]["id"], &points[1]["id"]), (2, &before["id"], &before["id"]));
    let listed = bob.get(&format!("/api/v1/designs/{design}/findings")).await.expect(200).json();
    assert_eq!(listed["items"][0]["fingerprint"], fingerprint);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["state"]), (1, &triage["state"]));

    // An acceptance runs out by itself.
    let soon = time_in(Duration::from_secs(2));
    ada.put(&path, json!({"state": "accepted", "reason": "briefly", "expires_at": soon})).await.expect(200);
    let open = latest(&ada, &design, |analysis| analysis["issues"][0]["triage"]["state"] == "open").await;
    assert_eq!(open["issues"][0]["triage"]["reason"], "briefly");

    for (bad, code) in [
        (json!({"state": "accepted"}), "validation_failed"),
        (json!({"state": "false_positive", "reason": "  "}), "validation_failed"),
        (json!({"state": "accepted", "reason": "x", "expires_at": "2020-01-01T00:00:00Z"}), "validation_failed"),
        (json!({"state": "false_positive", "reason": "x", "expires_at": "2999-01-01T00:00:00Z"}), "validation_failed"),
        (json!({"state": "closed", "reason": "x"}), "validation_failed"),
        (json!({"state": "open", "why": "x"}), "validation_failed"),
    ] {
        let answer = ada.put(&path, bad.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}");
        answer.expect_problem(400, code);
    }
    bob.put(&path, accept.clone()).await.expect_problem(403, "forbidden");
    for unknown in ["0".repeat(64), "x".to_owned(), fingerprint.to_uppercase()] {
        let path = format!("/api/v1/designs/{design}/findings/{unknown}");
        ada.put(&path, accept.clone()).await.expect_problem(404, "no_such_finding");
    }
}

/// As RFC 3339.
fn time_in(delay: Duration) -> String {
    let at = std::time::SystemTime::now() + delay;
    let at = at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{at}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
