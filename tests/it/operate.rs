//! What an operator does: the schema, servers with roles, checks, stops.

use std::process::{Command, Output};
use std::time::Duration;

use atlas_loadtest::services::postgres::Postgres;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server};

const DATABASE: &str = "atlas";
/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

async fn postgres() -> (Postgres, String) {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database(DATABASE).await.unwrap();
    let url = postgres.url(DATABASE);
    (postgres, url)
}

fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-collab"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    command
}

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    command(arguments, settings).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// So many edits, each a row of the log.
async fn edit(person: &Person, design: &str, rows: usize) {
    let path = format!("/api/v1/designs/{design}");
    for n in 0..rows {
        let node =
            json!({ "id": format!("n{n}"), "type": "custom", "position": { "x": n, "y": 0 }, "data": {} });
        let body = json!({ "nodes": { "upsert": [node] } });
        Answer::of(person.request(Method::PATCH, &path).json(&body)).await.expect(200);
    }
}

async fn until(what: &str, mut is_it: impl AsyncFnMut() -> bool) {
    let all = async {
        while !is_it().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{what}: it did not become true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_is_brought_up_to_date_by_whoever_is_asked_to() {
    let (mut postgres, url) = postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [
        ("DATABASE_URL", &url[..]),
        ("ATLAS_MIGRATE", "off"),
        ("ATLAS_LISTEN", "127.0.0.1:0"),
        ("ATLAS_DATA_DIR", data.to_str().unwrap()),
    ];
    for arguments in [&["serve"][..], &["worker"], &["fsck"]] {
        let refused = run(arguments, &settings);
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(
            text(&refused.stderr).contains("atlas-collab migrate"),
            "{arguments:?}: {}",
            text(&refused.stderr)
        );
    }
    let tables = postgres.sql(DATABASE, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await;
    assert_eq!(tables.unwrap(), "0", "who may not change the schema has not");

    // Many at once, as when many servers of a new version start.
    let many: Vec<_> = (0..6).map(|_| command(&["migrate"], &settings).spawn().unwrap()).collect();
    for mut one in many {
        assert_eq!(one.wait().unwrap().code(), Some(0));
    }
    let server = Server::start_with(&settings[..2]);
    server.nobody().get("/ready").await.expect(200);
    drop(server);

    // Without a database nothing begins, and no password is told.
    postgres.stop().await.unwrap();
    let secret = url.replace("postgres@", "postgres:hush-hush@");
    for (arguments, code) in [(&["serve"][..], 1), (&["migrate"], 1), (&["fsck"], 2)] {
        let refused = run(arguments, &[("DATABASE_URL", &secret), settings[2], settings[3]]);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}");
        let told = text(&refused.stderr);
        assert!(told.contains("DATABASE_URL") && !told.contains("hush-hush"), "{arguments:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_serves_and_another_folds_what_people_write() {
    let (postgres, url) = postgres().await;
    let often = [
        ("DATABASE_URL", &url[..]),
        ("ATLAS_COMPACT_ROWS", "10"),
        ("ATLAS_COMPACT_KEEP_SECS", "0"),
        ("ATLAS_IDLE_EVICT_MS", "100"),
    ];
    let server = Server::start_as(&["serve", "--role", "web"], &often);
    let ada = server.register("ada@example.com").await;
    let design = ada.create_design("Shop").await;
    let folded = async || {
        let sql = "SELECT folded_seq || ' ' || (SELECT count(*) FROM design_updates) FROM designs";
        postgres.sql(DATABASE, sql).await.unwrap()
    };
    edit(&ada, &design, 20).await;
    until("a hint is written down", async || {
        postgres.sql(DATABASE, "SELECT count(*) FROM jobs WHERE kind = 'compact'").await.unwrap() == "1"
    })
    .await;
    assert_eq!(folded().await, "0 21", "who only serves folds nothing");

    let mut worker = Server::start_as(&["worker"], &often);
    until("the log is folded and gone", async || {
        let folded = folded().await;
        let (seq, rows) = folded.split_once(' ').unwrap();
        let (seq, rows): (u64, u64) = (seq.parse().unwrap(), rows.parse().unwrap());
        10 <= seq && seq + rows == 21
    })
    .await;
    let snapshot = ada.snapshot(&design).await;
    assert_eq!(snapshot["nodes"].as_array().unwrap().len(), 20);
    let nodes = postgres.sql(DATABASE, "SELECT jsonb_array_length(nodes) FROM designs").await.unwrap();
    assert!(9 <= nodes.parse().unwrap(), "for whoever asks in SQL: {nodes}");

    // A worker answers probes and serves nobody.
    let nobody = worker.nobody();
    nobody.get("/ready").await.expect(200);
    let health = nobody.get("/api/ops/health").await.expect(200).json();
    assert_eq!(health["rooms"], 0);
    assert_eq!(health["blob_backlog"], json!({ "blobs": 0, "bytes": 0, "oldest": null }));
    for path in ["/", "/api/v1/designs", "/docs", "/openapi.json"] {
        nobody.get(path).await.expect(404);
    }
    // The folder of blobs is the worker's. A check with its settings finds them there, and one with others does not.
    let checked = worker.run(&["fsck", "--deep"]);
    assert_eq!(checked.status.code(), Some(0), "{}{}", text(&checked.stdout), text(&checked.stderr));
    assert_eq!(server.run(&["fsck"]).status.code(), Some(1));
    assert_eq!(server.run(&["fsck", "--no-blobs"]).status.code(), Some(0));
    assert_eq!(worker.stop(), Some(0));

    let exported = server.run(&["export", &design]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&exported.stdout).unwrap(), snapshot, "beside a server");
    let file = server.data_folder().join("shop.json");
    std::fs::write(&file, &exported.stdout).unwrap();
    let imported = server.run(&["import", file.to_str().unwrap(), "--owner", "ada@example.com"]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let copy: Value = serde_json::from_slice(&imported.stdout).unwrap();
    let copy = ada.snapshot(copy["id"].as_str().unwrap()).await;
    assert_eq!(copy["content_hash"], snapshot["content_hash"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_what_is_wrong_and_its_exit_code_whether() {
    let (postgres, url) = postgres().await;
    let server = Server::start_with(&[("DATABASE_URL", &url)]);
    let ada = server.register("ada@example.com").await;
    let (whole, broken) = (ada.create_design("Whole").await, ada.create_design("Broken").await);
    edit(&ada, &broken, 4).await;
    // While the server runs.
    let checked = server.run(&["fsck"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert_eq!(text(&checked.stdout), "2 designs, 6 log rows, 0 snapshots, 0 segments: no problem\n");

    let sql = format!("DELETE FROM design_updates WHERE design_id = '{broken}' AND seq = 3");
    postgres.sql(DATABASE, &sql).await.unwrap();
    let checked = server.run(&["fsck"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked.stdout);
    assert_eq!(told.lines().next(), Some(&format!("design {broken}: rows 3 to 3 are missing")[..]));
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(server.run(&["fsck", &whole]).status.code(), Some(0));
    assert_eq!(server.run(&["fsck", &broken]).status.code(), Some(1));
    let unknown = server.run(&["fsck", "00000000-0000-7000-8000-000000000000"]);
    assert_eq!(unknown.status.code(), Some(2), "nothing was checked");
    assert_eq!(server.run(&["fsck", "nonsense"]).status.code(), Some(2));

    // The embedded database belongs to one process at a time.
    let mut server = Server::start();
    let ada = server.register("ada@example.com").await;
    ada.create_design("Shop").await;
    let busy = server.run(&["fsck"]);
    assert_eq!(busy.status.code(), Some(2));
    assert!(text(&busy.stderr).contains("another process"), "{}", text(&busy.stderr));
    assert_eq!(server.stop(), Some(0));
    let checked = server.run(&["fsck", "--deep"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).starts_with("1 designs, 1 log rows"), "{}", text(&checked.stdout));
}
