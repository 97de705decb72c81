//! Designs over REST: creating, listing, reading, importing, deleting; the probes, the start page, and how the server
//! answers what it does not understand.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, files_in};

const DESIGNS: &str = "/api/v1/designs";
const IMPORT: &str = "/api/v1/designs/import";

fn two_nodes() -> Value {
    json!({
        "name": "Payments",
        "description": "Cards in, money out",
        "nodes": [
            { "id": "web", "type": "custom", "position": { "x": 10, "y": 20.5 }, "data": { "type": "server", "label": "Web" } },
            { "id": "db", "type": "custom", "position": { "x": 300, "y": 20 }, "data": { "type": "database", "odd": [1, { "é": null }] } },
        ],
        "edges": [{ "id": "e1", "source": "web", "target": "db", "data": { "port": "5432" } }],
    })
}

#[tokio::test]
async fn a_design_is_created_listed_read_and_deleted() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let created = ada.post(DESIGNS, two_nodes()).await.expect(201);
    let design = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("{DESIGNS}/{}", design["id"].as_str().unwrap()));
    assert_eq!(design["name"], "Payments");
    assert_eq!(design["description"], "Cards in, money out");
    assert_eq!(design["owner"], ada.id.as_str());
    assert_eq!(design["role"], "owner");
    assert_eq!(design["seq"], 1);

    let read = ada.get(&path).await.expect(200);
    assert_eq!(read.header("content-type"), "application/json");
    assert_eq!(read.header("cache-control"), "private, no-cache");
    let snapshot = read.json();
    assert_eq!(snapshot["id"], design["id"]);
    assert_eq!(snapshot["name"], "Payments");
    assert_eq!(snapshot["seq"], 1);
    assert_eq!(read.header("etag"), format!("\"j-{}\"", snapshot["content_hash"].as_str().unwrap()));
    assert_eq!(snapshot["integrity"]["hidden_edges"], json!([]));
    let by_id = |list: &str, id: &str| {
        let list = snapshot[list].as_array().unwrap();
        list.iter().find(|element| element["id"] == id).unwrap().clone()
    };
    assert_eq!(by_id("nodes", "web")["position"], json!({ "x": 10, "y": 20.5 }));
    assert_eq!(by_id("nodes", "db")["data"]["odd"], json!([1, { "é": null }]));
    assert_eq!(by_id("edges", "e1")["data"]["port"], "5432");

    assert_eq!(ada.get(&format!("{path}/snapshot?format=json")).await.expect(200).json(), snapshot);
    assert_eq!(ada.get(&format!("{path}/snapshot")).await.expect(200).json(), snapshot);
    ada.delete(&path).await.expect(204);
    ada.get(&path).await.expect_problem(404, "no_such_design");
    assert_eq!(ada.get(DESIGNS).await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn creation_refuses_what_is_no_design() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let cases = [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "   " }),
        json!({ "name": "x".repeat(256) }),
        json!({ "name": "x", "description": "x".repeat(5_001) }),
        json!({ "name": "x", "colour": "red" }),
        json!({ "name": "x", "nodes": {} }),
        json!({ "name": "x", "nodes": [{ "position": { "x": 0, "y": 0 } }] }),
        json!({ "name": "x", "nodes": [{ "id": 7 }] }),
        json!({ "name": "x", "nodes": [{ "id": "a" }, { "id": "a" }] }),
        json!({ "name": "x", "nodes": [{ "id": "x".repeat(129) }] }),
    ];
    for body in cases {
        ada.post(DESIGNS, body).await.expect_problem(400, "validation_failed");
    }
    assert_eq!(ada.get(DESIGNS).await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn lists_come_in_pages_and_can_be_searched() {
    let server = Server::start();
    server.register("admin@example.com").await;
    let ada = server.register("ada@example.com").await;
    for name in ["Alpha", "Beta", "100% sure", "alphabet"] {
        ada.create_design(name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = ada.get(&format!("{DESIGNS}?limit=3")).await.expect(200).json();
    assert_eq!(names(&first), ["alphabet", "100% sure", "Beta"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ada.get(&format!("{DESIGNS}?limit=3&cursor={cursor}")).await.expect(200).json();
    assert_eq!(names(&second), ["Alpha"]);
    assert_eq!(second["next_cursor"], Value::Null);

    let search = async |q: &str| names(&ada.get(&format!("{DESIGNS}?q={q}")).await.expect(200).json());
    assert_eq!(search("ALPHA").await, ["alphabet", "Alpha"]);
    assert_eq!(search("%25").await, ["100% sure"]);
    assert_eq!(search("_").await, Vec::<String>::new());
    for query in ["limit=0", "limit=201", "limit=x", "page=2"] {
        ada.get(&format!("{DESIGNS}?{query}")).await.expect_problem(400, "validation_failed");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_known_is_not_sent_again() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let created = ada.post(DESIGNS, two_nodes()).await.expect(201);
    let path = created.header("location").to_owned();
    for (format, media, prefix) in
        [("json", "application/json", "\"j-"), ("yjs", "application/octet-stream", "\"y-1-1\"")]
    {
        let path = format!("{path}/snapshot?format={format}");
        let full = ada.get(&path).await.expect(200);
        assert_eq!(full.header("content-type"), media);
        let etag = full.header("etag").to_owned();
        assert!(etag.starts_with(prefix), "{etag}");

        let conditional = |method: Method, tag: &str| ada.request(method, &path).header("if-none-match", tag);
        for tag in [&etag, &format!("\"x\", W/{etag}"), "*"] {
            let same = Answer::of(conditional(Method::GET, tag)).await.expect(304);
            assert!(same.bytes.is_empty());
            assert_eq!(same.header("etag"), etag);
        }
        let other = Answer::of(conditional(Method::GET, "\"x\"")).await.expect(200);
        // The keys of a JSON object inside a Yjs update have no order of their own.
        assert_eq!(other.bytes.len(), full.bytes.len());
        let head = Answer::of(ada.request(Method::HEAD, &path)).await.expect(200);
        assert!(head.bytes.is_empty());
        assert_eq!(head.header("etag"), etag);
        assert_eq!(head.header("content-length"), full.bytes.len().to_string());
    }
    ada.get(&format!("{path}/snapshot?format=xml")).await.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn the_yjs_snapshot_is_the_same_design() {
    use yrs::updates::decoder::Decode as _;
    use yrs::{Map as _, ReadTxn as _, Transact as _};
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let created = ada.post(DESIGNS, two_nodes()).await.expect(201);
    let answer = ada.get(&format!("{}/snapshot?format=yjs", created.header("location"))).await.expect(200);
    let doc = yrs::Doc::new();
    doc.transact_mut().apply_update(yrs::Update::decode_v1(&answer.bytes).unwrap()).unwrap();
    let txn = doc.transact();
    let keys = |root: &str| {
        let map = txn.get_map(root).unwrap();
        let mut keys: Vec<String> = map.keys(&txn).map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("nodes"), ["db", "web"]);
    assert_eq!(keys("edges"), ["e1"]);
    assert!(keys("meta").contains(&"name".to_owned()));
}

async fn import_and_compare(ada: &Person, name: &str, file: &[u8]) {
    let request =
        ada.request(Method::POST, IMPORT).header("content-type", "application/json").body(file.to_vec());
    let imported = Answer::of(request).await;
    assert_eq!(imported.status.as_u16(), 201, "{name}: {}", imported.text());
    let body = imported.json();
    let id = body["id"].as_str().unwrap();
    assert_eq!(imported.header("location"), format!("{DESIGNS}/{id}"));
    let report = &body["report"];
    for list in ["changed", "guessed", "dropped", "warnings"] {
        assert!(report[list].is_array(), "{name}: {report}");
    }
    let snapshot = ada.snapshot(id).await;
    let nodes = snapshot["nodes"].as_array().unwrap().len();
    let edges = snapshot["edges"].as_array().unwrap().len();
    let hidden = snapshot["integrity"]["hidden_edges"].as_array().unwrap().len();
    assert_eq!(report["kept"], json!({ "nodes": nodes, "edges": edges + hidden }), "{name}");
    assert!(0 < nodes, "{name}");

    // What was exported is imported again, and is the same.
    let again = ada.import(snapshot.to_string().into_bytes()).await;
    let again = ada.snapshot(&again).await;
    for part in ["content_hash", "nodes", "edges", "meta"] {
        assert_eq!(again[part], snapshot[part], "{name}: {part}");
    }
    assert_eq!(again["integrity"]["hidden_edges"], snapshot["integrity"]["hidden_edges"], "{name}");
}

#[tokio::test]
async fn every_koh_atlas_file_is_imported_with_a_report() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let ours = files_in("tests/fixtures/designs");
    assert!(!ours.is_empty(), "the fixtures are part of the repository");
    let shared = files_in("../shared/data/kohatlas");
    if shared.is_empty() {
        println!("skipped the files of ../shared/data/kohatlas: the folder is not there");
    }
    for (name, file) in ours.iter().chain(&shared) {
        import_and_compare(&ada, name, file).await;
    }
}

#[tokio::test]
async fn files_come_as_forms_too() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let file = two_nodes().to_string();
    let form =
        Form::new().text("note", "hello").part("file", Part::text(file.clone()).file_name("plan.json"));
    let imported = Answer::of(ada.request(Method::POST, IMPORT).multipart(form)).await.expect(201).json();
    assert_eq!(imported["report"]["kept"], json!({ "nodes": 2, "edges": 1 }));
    let empty = Form::new().text("note", "hello");
    Answer::of(ada.request(Method::POST, IMPORT).multipart(empty))
        .await
        .expect_problem(400, "validation_failed");
    let broken = ada.request(Method::POST, IMPORT).header("content-type", "multipart/form-data").body(file);
    Answer::of(broken).await.expect_problem(400, "malformed");
}

#[tokio::test]
async fn an_import_refuses_what_it_cannot_read() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let send = |body: Vec<u8>| Answer::of(ada.request(Method::POST, IMPORT).body(body));
    for body in ["", "not json", "[]", "{}", "42", "{\"nodes\": 7, \"edges\": []}"] {
        send(body.as_bytes().to_vec()).await.expect_problem(400, "not_importable");
    }
    send("[".repeat(100_000).into_bytes()).await.expect_problem(400, "not_importable");
    send(vec![b' '; (5 << 20) + 1]).await.expect_problem(413, "too_large");
    send(vec![b' '; 6 << 20]).await.expect_problem(413, "too_large");
    let form = Form::new().part("file", Part::bytes(vec![b' '; 6 << 20]).file_name("plan.json"));
    Answer::of(ada.request(Method::POST, IMPORT).multipart(form)).await.expect_problem(413, "too_large");
    let query = format!("{IMPORT}?format=parchment");
    Answer::of(ada.request(Method::POST, &query).body("{}")).await.expect_problem(400, "not_importable");
    assert_eq!(ada.get(DESIGNS).await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn a_ticket_is_sold_to_who_may_read() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let design = ada.create_design("Payments").await;
    let sold = ada.post(&format!("{DESIGNS}/{design}/tickets"), json!({})).await.expect(201);
    assert_eq!(sold.header("cache-control"), "no-store");
    assert_eq!(sold.json()["ticket"].as_str().unwrap().len(), 43);
    assert_ne!(sold.json()["ticket"], ada.ticket(&design).await.as_str());
    assert!((1..=60).contains(&sold.json()["expires_in"].as_i64().unwrap()), "{}", sold.json());
    for id in ["00000000-0000-7000-8000-000000000000", "nonsense", "%00"] {
        ada.post(&format!("{DESIGNS}/{id}/tickets"), json!({})).await.expect_problem(404, "no_such_design");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_answered_with_a_problem() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    for path in ["/nothing", "/api/v1/nothing", "/api/v1/designs/", "/api"] {
        ada.get(path).await.expect_problem(404, "no_such_route");
    }
    let refused = ada.delete(DESIGNS).await.expect_problem(405, "method_not_allowed");
    assert!(refused.header("allow").contains("GET"), "{}", refused.header("allow"));
    ada.get("/api/v1/auth/login").await.expect_problem(405, "method_not_allowed");

    let post = |media: &str, body: Vec<u8>| {
        Answer::of(ada.request(Method::POST, DESIGNS).header("content-type", media).body(body))
    };
    post("text/plain", b"{}".to_vec()).await.expect_problem(415, "unsupported_media_type");
    for body in ["", "{", "{\"name\": \"x\"} y", "\u{feff}{}"] {
        post("application/json", body.as_bytes().to_vec()).await.expect_problem(400, "malformed");
    }
    post("application/json", vec![0xff, 0xfe]).await.expect_problem(400, "malformed");
    post("application/json", vec![b' '; (10 << 20) + 1]).await.expect_problem(413, "too_large");
    let deep = format!("{{\"name\": \"x\", \"nodes\": {}", "[".repeat(50_000));
    let deep = post("application/json", deep.into_bytes()).await;
    assert_eq!(deep.status.as_u16(), 400, "{}", deep.text());
    ada.get("/health").await.expect(200);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_a_request_id() {
    let server = Server::start();
    let nobody = server.nobody();
    for path in ["/", "/health", "/nothing", "/api/v1/designs"] {
        let answer = nobody.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "),
            "{policy}"
        );
        assert!(
            policy.contains(&format!("connect-src 'self' wss://{0} ws://{0};", server.addr())),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin");
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
    }
    let own = nobody.request(Method::GET, "/health").header("x-request-id", "mine-7");
    assert_eq!(Answer::of(own).await.header("x-request-id"), "mine-7");
}

#[tokio::test]
async fn only_the_origins_of_the_settings_may_call_from_elsewhere() {
    let server = Server::start_with(&[("ATLAS_ALLOWED_ORIGINS", "https://app.kohatlas.com")]);
    let nobody = server.nobody();
    let preflight = |origin: &str| {
        let request = nobody.request(Method::OPTIONS, DESIGNS).header("origin", origin);
        Answer::of(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization"),
        )
    };
    let good = preflight("https://app.kohatlas.com").await;
    assert_eq!(good.header("access-control-allow-origin"), "https://app.kohatlas.com");
    assert_eq!(good.header("access-control-allow-credentials"), "true");
    assert_eq!(good.header("access-control-max-age"), "86400");
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), "");
    let call = nobody.request(Method::GET, DESIGNS).header("origin", "https://app.kohatlas.com");
    let call = Answer::of(call).await.expect_problem(401, "no_credential");
    assert_eq!(call.header("access-control-allow-origin"), "https://app.kohatlas.com");
}

#[tokio::test]
async fn probes_and_the_start_page() {
    let server = Server::start();
    let nobody = server.nobody();
    assert_eq!(nobody.get("/health").await.expect(200).json(), json!({ "status": "ok" }));
    assert_eq!(nobody.get("/ready").await.expect(200).json(), json!({ "status": "ready" }));
    assert_eq!(nobody.get("/startup").await.expect(200).json(), json!({ "status": "started" }));
    let details = nobody.get("/api/ops/health").await.expect(200).json();
    assert_eq!(details["status"], "ok");
    assert_eq!(details["database"]["status"], "ok");
    assert_eq!(details["connections"], 0);
    // The web client, or the page that says how to build one.
    let page = nobody.get("/").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.text().contains("<title>Atlas Collab</title>"), "{}", page.text());
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_and_a_stop_is_clean() {
    let mut server = Server::start();
    let ada = server.register("ada@example.com").await;
    let created = ada.post(DESIGNS, two_nodes()).await.expect(201);
    let path = created.header("location").to_owned();
    let before = ada.get(&path).await.expect(200);
    server.kill();
    server.restart();
    let after = ada.get(&path).await.expect(200);
    assert_eq!(after.bytes, before.bytes);
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_eq!(server.stop(), Some(0), "{}", server.log());
    server.restart();
    assert_eq!(ada.get(&path).await.expect(200).bytes, before.bytes);
}

/// What the server keeps of a body before it knows who sent it is little, and large bodies of strangers are not read.
#[tokio::test]
async fn strangers_send_small_bodies_only() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let nobody = server.nobody();
    for path in ["register", "login", "refresh", "logout"] {
        let body = json!({ "refresh_token": "x".repeat(17 << 10) });
        nobody.post(&format!("/api/v1/auth/{path}"), body).await.expect_problem(413, "too_large");
    }
    for path in [DESIGNS, IMPORT] {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401", "{path}: answered without the body");
    }
    let note = "x".repeat(1 << 20);
    ada.post(DESIGNS, json!({ "name": "large", "nodes": [{ "id": "a", "note": note }] })).await.expect(201);
    let values = vec![0; 200_000];
    let refused =
        ada.post(DESIGNS, json!({ "name": "x", "nodes": [{ "id": "a", "data": { "v": values } }] })).await;
    refused.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_nonsense_harms_nobody() {
    let server = Server::start();
    let mut silent = TcpStream::connect(server.addr()).unwrap();
    silent.write_all(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    let mut nonsense = TcpStream::connect(server.addr()).unwrap();
    nonsense.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    nonsense.write_all(&[0x16, 3, 1, 0, 200, 1, 0, 13, 10, 13, 10]).unwrap();
    let mut answer = Vec::new();
    nonsense.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    server.nobody().get("/health").await.expect(200);
}

// R-HAND-6
#[tokio::test]
async fn connections_above_the_cap_are_told_so() {
    let server = Server::start_with(&[("ATLAS_MAX_CONNECTIONS", "2"), ("ATLAS_HEADER_TIMEOUT_MS", "60000")]);
    let first = TcpStream::connect(server.addr()).unwrap();
    let _second = TcpStream::connect(server.addr()).unwrap();
    let refused = server.nobody().get("/health").await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], "too_many_connections");
    assert_eq!(refused.header("retry-after"), "5");
    drop(first);
    // The place is free as soon as the server has seen it go.
    for _ in 0..100 {
        if server.nobody().get("/health").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place of a closed connection is never free again");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let server = Server::start_with(&[("ATLAS_HEADER_TIMEOUT_MS", "200")]);
    let mut slow = TcpStream::connect(server.addr()).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}
