//! Changing a design over REST: PUT and PATCH, beside people who have it open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Dialect, PATIENCE};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::socket_basics::{BOTH, connected, has_node, node};
use crate::support::{Answer, Person, Server};

/// Two nodes with an edge between them, and an edge that nobody can see.
fn shop() -> Value {
    json!({
        "name": "Shop",
        "description": "Cards in",
        "nodes": [
            {"id": "db", "type": "custom", "position": {"x": 1, "y": 2}, "data": {"type": "database", "label": "DB", "securityFlags": {"tls": true}}},
            {"id": "web", "type": "custom", "position": {"x": 9, "y": 2}, "data": {"type": "server", "label": "Web"}},
        ],
        "edges": [
            {"id": "hidden", "source": "web", "target": "gone", "label": "kept"},
            {"id": "web-db", "source": "web", "target": "db", "data": {"port": 443}},
        ],
    })
}

/// A server, somebody who owns a design on it, and the design's address.
async fn opened() -> (Server, Person, String, String) {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let created = ada.post("/api/v1/designs", shop()).await.expect(201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = created.header("location").to_owned();
    (server, ada, id, path)
}

async fn patch(person: &Person, path: &str, body: Value) -> Answer {
    Answer::of(person.request(Method::PATCH, path).json(&body)).await
}

async fn change(person: &Person, method: Method, path: &str, tag: &str, body: &Value) -> Answer {
    Answer::of(person.request(method, path).header("if-match", tag).json(body)).await
}

async fn shows(client: &Client, what: &str, is_it: impl Fn(&Value) -> bool) {
    client.wait_until(PATIENCE, what, |client| is_it(&client.json())).await.unwrap();
}

// R-SYNC-5, R-ID-1
#[tokio::test]
async fn open_canvases_follow_a_patch_live() {
    let (server, ada, id, path) = opened().await;
    let mut canvases = Vec::new();
    for dialect in BOTH {
        canvases.push(connected(&server, &id, ada.token(), dialect).await);
    }
    let body = json!({
        "nodes": {
            "upsert": [
                {"id": "db", "data": {"label": "Orders", "securityFlags": {"tls": null, "backup": true}}},
                {"id": "cache", "type": "custom", "position": {"x": 5, "y": 5}, "data": {"type": "cache"}},
            ],
            "remove": ["web", "nobody"],
        },
        "edges": {"upsert": [{"id": "loose", "source": "db", "target": "nowhere"}]},
    });
    let made = patch(&ada, &path, body.clone()).await.expect(200);
    let told = made.json();
    assert_eq!((&told["id"], &told["name"]), (&json!(id), &json!("Shop")));
    assert_eq!((&told["seq"], &told["changed"]), (&json!(2), &json!(true)));
    assert_eq!(told["hidden_edges"], json!([{"edge": "loose", "missing": ["nowhere"]}]));
    for canvas in &canvases {
        shows(canvas, "the patch", |json| json["nodes"]["cache"]["data"]["type"] == "cache").await;
        let json = canvas.json();
        assert_eq!(json["nodes"]["db"]["data"]["securityFlags"], json!({"backup": true}));
        assert_eq!(json["nodes"]["db"]["data"]["type"], "database", "what was not named stays");
        assert_eq!(json["nodes"].get("web"), None);
        let edges: Vec<&String> = json["edges"].as_object().unwrap().keys().collect();
        assert_eq!(edges, ["loose"], "a node takes its edges along, those that nobody sees as well");
        assert_eq!(canvas.look(|seen| seen.faults.clone()), Vec::<String>::new());
    }
    // The tag is that of what is read now.
    let read = ada.get(&path).await.expect(200);
    assert_eq!(read.header("etag"), made.header("etag"));
    assert_eq!(read.json()["content_hash"], told["content_hash"]);
    // The same again changes nothing, and says so.
    let again = patch(&ada, &path, body).await.expect(200);
    assert_eq!(again.json()["changed"], false);
    assert_eq!((again.json()["seq"].clone(), again.header("etag")), (json!(2), made.header("etag")));
    // A canvas goes on from there.
    canvases[1].edit_saved(node("more")).await.unwrap();
    shows(&canvases[0], "a node", |json| json["nodes"].get("more").is_some()).await;
}

#[tokio::test]
async fn a_design_is_replaced_by_who_knows_what_it_is() {
    let (server, ada, id, path) = opened().await;
    let canvas = connected(&server, &id, ada.token(), Dialect::Atlas).await;
    let read = ada.get(&path).await.expect(200);
    let (snapshot, tag) = (read.json(), read.header("etag").to_owned());

    ada.put(&path, snapshot.clone()).await.expect_problem(428, "precondition_required");
    let stale = format!("\"j-{}\"", "0".repeat(64));
    let refused = change(&ada, Method::PUT, &path, &stale, &snapshot).await.expect_problem(412, "stale");
    assert_eq!(refused.json()["details"], json!([{ "current": tag }]));
    for tag in [format!("W/{tag}"), "\"y-1-2\"".to_owned(), "\"y-2-1\"".to_owned(), "\"x\"".to_owned()] {
        change(&ada, Method::PUT, &path, &tag, &snapshot).await.expect_problem(412, "stale");
        change(&ada, Method::PATCH, &path, &tag, &json!({})).await.expect_problem(412, "stale");
    }
    change(&ada, Method::PUT, &path, "x", &snapshot).await.expect_problem(400, "validation_failed");

    // What was read and is put back changes nothing.
    for tag in [&tag, "\"y-1-1\"", "*", &format!("{stale}, {tag}")] {
        let same = change(&ada, Method::PUT, &path, tag, &snapshot).await.expect(200);
        assert_eq!(same.json()["changed"], false, "{tag}");
    }
    let mut new = snapshot.clone();
    new["nodes"][0]["data"]["label"] = json!("Orders");
    new["nodes"].as_array_mut().unwrap().push(json!({"id": "new", "position": {"x": 0, "y": 0}}));
    new["edges"] = json!([]);
    new["meta"] = json!({"name": "Shop", "owner": "payments"});
    new.as_object_mut().unwrap().remove("description");
    let put = change(&ada, Method::PUT, &path, &tag, &new).await.expect(200);
    let now = ada.get(&path).await.expect(200);
    assert_eq!(now.header("etag"), put.header("etag"));
    let now = now.json();
    assert_eq!(now["meta"], json!({"schema_version": 1, "name": "Shop", "owner": "payments"}));
    assert_eq!(now["edges"], json!([]));
    let hidden = &now["integrity"]["hidden_edges"];
    assert_eq!(hidden[0]["edge"]["label"], "kept", "what nobody could see is left alone");
    shows(&canvas, "the new design", |json| json["nodes"].get("new").is_some()).await;
    let json = canvas.json();
    assert_eq!(json["nodes"]["db"]["data"]["label"], "Orders");
    assert_eq!(json["nodes"]["new"]["data"], json!({"securityFlags": {}}), "shared maps, though empty");
    // Whoever read it before finds that it has changed.
    change(&ada, Method::PUT, &path, &tag, &snapshot).await.expect_problem(412, "stale");
    // An element's map of flags is still the one that two people may write into at once.
    canvas.edit_saved(|roots, txn| canvas::set_flag(&roots.nodes, txn, "new", "tls", true)).await.unwrap();
    let flags = &ada.snapshot(&id).await["nodes"][1]["data"]["securityFlags"];
    assert_eq!(*flags, json!({"tls": true}));
}

#[tokio::test]
async fn a_patch_renames_in_the_list_and_on_the_canvas() {
    let (server, ada, id, path) = opened().await;
    let canvas = connected(&server, &id, ada.token(), Dialect::Stock).await;
    let renamed = patch(&ada, &path, json!({"meta": {"name": " Market ", "description": null}})).await;
    assert_eq!(renamed.expect(200).json()["name"], "Market");
    let listed = ada.get("/api/v1/designs").await.expect(200).json();
    assert_eq!(listed["items"][0]["name"], "Market");
    shows(&canvas, "the new name", |json| json["meta"]["name"] == "Market").await;
    assert_eq!(canvas.json()["meta"].get("description"), None);
    // The list follows an edit on the canvas in the same way.
    let renamed = canvas.edit(|roots, txn| canvas::set_meta(roots, txn, "name", &json!("Bazaar")));
    assert!(renamed.is_some());
    for _ in 0..200 {
        if ada.get("/api/v1/designs?q=bazaar").await.expect(200).json()["items"][0]["name"] == "Bazaar" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the list still has the old name");
}

#[tokio::test]
async fn what_is_no_change_of_a_design_is_refused_with_the_place() {
    let (_server, ada, _, path) = opened().await;
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    for (body, place) in [
        (json!({"nodes": {"upsert": [{"position": {"x": 0, "y": 0}}]}}), "nodes.upsert[0].id"),
        (json!({"nodes": {"upsert": [{"id": "a"}, {"id": "a"}]}}), "nodes.upsert[1].id"),
        (json!({"nodes": {"upsert": [{"id": "a"}], "remove": ["a"]}}), "nodes.remove[0]"),
        (json!({"nodes": {"upsert": [{"id": "x".repeat(129)}]}}), "nodes.upsert[0].id"),
        (json!({"nodes": {"upsert": [{"id": "a", "data": {"deep": deep}}]}}), "nodes.upsert[0].data.deep"),
        (json!({"nodes": {"upsert": [{"id": "db", "data": null}]}}), "nodes.upsert[0].data"),
        (
            json!({"edges": {"upsert": [{"id": "e", "data": {"label": "x".repeat(201)}}]}}),
            "edges.upsert[0].label",
        ),
        (json!({"meta": {"name": "  "}}), "name"),
        (json!({"meta": {"name": null}}), "meta.name"),
        (json!({"meta": {"description": "x".repeat(5_001)}}), "meta.description"),
        (json!({"meta": {"big": 9_007_199_254_740_993_u64}}), "meta.big"),
        (json!({"meta": {"schema_version": 2}}), "meta.schema_version"),
        (json!({"name": "x"}), "body"),
        (json!({"nodes": []}), "body"),
    ] {
        let told = patch(&ada, &path, body.clone()).await.expect_problem(400, "validation_failed").json();
        assert_eq!(told["details"][0]["field"], place, "{body}");
    }
    for (body, place) in [
        (json!({"nodes": []}), "body"),
        (json!({"nodes": [], "edges": [], "colour": 1}), "body"),
        (json!({"nodes": [], "edges": [], "id": "0193f0e2-7c1a-7b52-9d3e-00ff12ab34cd"}), "id"),
        (json!({"nodes": [], "edges": [], "name": "a", "meta": {"name": "b"}}), "name"),
        (json!({"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}), "nodes[1].id"),
    ] {
        let answer = change(&ada, Method::PUT, &path, "*", &body).await;
        let told = answer.expect_problem(400, "validation_failed").json();
        assert_eq!(told["details"][0]["field"], place, "{body}");
    }
    let text = Answer::of(ada.request(Method::PATCH, &path).body("{}")).await;
    text.expect_problem(415, "unsupported_media_type");
    let large = json!({"meta": {"x": "y".repeat(10 << 20)}});
    patch(&ada, &path, large).await.expect_problem(413, "too_large");
    let crowd: Vec<Value> = (0..9_999).map(|at| json!({"id": format!("n{at}")})).collect();
    let many = patch(&ada, &path, json!({"nodes": {"upsert": crowd}})).await;
    many.expect_problem(409, "too_many");
    assert_eq!(ada.get(&path).await.expect(200).json()["seq"], 1, "nothing was changed");
}

// R-ROLE-1
#[tokio::test]
async fn only_editors_may_and_nobody_without_a_token() {
    let (server, ada, id, path) = opened().await;
    for role in ["viewer", "commenter"] {
        let person = server.register(&format!("{role}@example.com")).await;
        ada.share(&id, &person, role).await;
        patch(&person, &path, json!({"meta": {"name": "Mine"}})).await.expect_problem(403, "forbidden");
        change(&person, Method::PUT, &path, "*", &shop()).await.expect_problem(403, "forbidden");
    }
    let stranger = server.register("stranger@example.com").await;
    patch(&stranger, &path, json!({})).await.expect_problem(403, "forbidden");
    patch(&server.nobody(), &path, json!({})).await.expect_problem(401, "no_credential");
    let nowhere = "/api/v1/designs/0193f0e2-7c1a-7b52-9d3e-00ff12ab34cd";
    patch(&ada, nowhere, json!({})).await.expect_problem(404, "no_such_design");
    let editor = server.register("editor@example.com").await;
    ada.share(&id, &editor, "editor").await;
    patch(&editor, &path, json!({"meta": {"name": "Ours"}})).await.expect(200);
    assert_eq!(ada.get(&path).await.expect(200).json()["name"], "Ours");
}

// R-SYNC-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_and_people_change_one_design_at_the_same_time() {
    const EACH: usize = 15;
    let (server, ada, id, path) = opened().await;
    let canvases = [
        connected(&server, &id, ada.token(), Dialect::Atlas).await,
        connected(&server, &id, ada.token(), Dialect::Atlas).await,
    ];
    let program = |name: &'static str| {
        let (ada, path) = (ada.clone(), path.clone());
        async move {
            for at in 0..EACH {
                let nodes =
                    json!({"upsert": [{"id": format!("{name}{at}")}, {"id": "db", "data": {name: at}}]});
                patch(&ada, &path, json!({ "nodes": nodes })).await.expect(200);
            }
        }
    };
    let person = |canvas: &Client, name: &'static str| {
        let canvas = canvas.clone();
        async move {
            for at in 0..EACH {
                canvas.edit_saved(node(&format!("{name}{at}"))).await.unwrap();
            }
        }
    };
    tokio::join!(program("p"), program("q"), person(&canvases[0], "a"), person(&canvases[1], "b"));
    for canvas in &canvases {
        let all = |canvas: &Client| {
            ["p", "q", "a", "b"]
                .iter()
                .all(|name| (0..EACH).all(|at| has_node(canvas, &format!("{name}{at}"))))
        };
        canvas.wait_until(PATIENCE, "everybody's nodes", all).await.unwrap();
        assert_eq!(canvas.look(|seen| seen.faults.clone()), Vec::<String>::new());
    }
    assert_eq!(canvases[0].json(), canvases[1].json());
    let snapshot = ada.snapshot(&id).await;
    assert_eq!(snapshot["nodes"].as_array().unwrap().len(), 2 + 4 * EACH);
    assert_eq!(canvases[0].json()["nodes"]["db"]["data"]["q"], json!(EACH - 1));
}

#[tokio::test]
async fn of_two_who_saw_the_same_only_one_gets_through() {
    let (_server, ada, _, path) = opened().await;
    let tag = ada.get(&path).await.expect(200).header("etag").to_owned();
    let (one, other) = (json!({"meta": {"name": "One"}}), json!({"meta": {"name": "Other"}}));
    let (first, second) = tokio::join!(
        change(&ada, Method::PATCH, &path, &tag, &one),
        change(&ada, Method::PATCH, &path, &tag, &other)
    );
    let mut answers = [first, second];
    answers.sort_by_key(|answer| answer.status);
    let [won, lost] = answers;
    let name = won.expect(200).json()["name"].clone();
    lost.expect_problem(412, "stale");
    assert_eq!(ada.get(&path).await.expect(200).json()["name"], name);
}

// R-SYNC-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_seen_or_answered_before_the_commit() {
    let (server, ada, id, path) = opened().await;
    let canvas = connected(&server, &id, ada.token(), Dialect::Atlas).await;
    // Somebody else holds the database: nobody can commit.
    let database = SqliteConnectOptions::new().filename(server.data_folder().join("data/atlas.db"));
    let mut database = database.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let body = json!({"nodes": {"upsert": [{"id": "new"}]}});
    let is_answered = AtomicBool::new(false);
    let making = async {
        let made = patch(&ada, &path, body).await;
        is_answered.store(true, Ordering::SeqCst);
        made
    };
    let watching = async {
        canvas.notice("store.degraded").await.unwrap();
        assert!(!is_answered.load(Ordering::SeqCst));
        assert!(!has_node(&canvas, "new"), "INV-3");
        assert_eq!(ada.get(&path).await.expect(200).json()["seq"], 1);
        sqlx::query("ROLLBACK").execute(&mut database).await.unwrap();
    };
    let (made, ()) = tokio::join!(making, watching);
    assert_eq!(made.expect(200).json()["seq"], 2);
    shows(&canvas, "the new node", |json| json["nodes"].get("new").is_some()).await;
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let (mut server, ada, id, path) = opened().await;
    for round in 0..5 {
        let body = json!({"nodes": {"upsert": [{"id": format!("n{round}")}]}});
        let made = patch(&ada, &path, body).await.expect(200);
        server.kill();
        server.restart();
        let read = ada.get(&path).await.expect(200);
        assert_eq!(read.header("etag"), made.header("etag"));
        assert_eq!(read.json()["seq"], 2 + round);
    }
    let canvas = connected(&server, &id, ada.token(), Dialect::Stock).await;
    assert!((0..5).all(|round| has_node(&canvas, &format!("n{round}"))));
}
