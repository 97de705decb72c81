//! What the document cannot take, and what the store should never have taken, with the real server and its real store.

use atlas_crdt::design::poison;
use atlas_crdt::limits::TYPE_DEPTH_MAX;
use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect, Seen};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use yrs::{Doc, Map as _, MapPrelim, ReadTxn as _, StateVector, Transact as _};

use crate::support::{Person, Server};

async fn open(server: &Server, person: &Person, design: &str, dialect: Dialect) -> Client {
    let connect = Connect::new(&format!("{}/{design}", server.ws_url()), dialect).token(person.token());
    Client::open(connect).await.unwrap()
}

async fn database(server: &Server) -> SqliteConnection {
    let path = server.data_folder().join("data/atlas.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// Waits for a row: quarantine is stored beside everything else that goes on.
async fn quarantined(server: &Server) -> Vec<(Vec<u8>, i64, String)> {
    let mut database = database(server).await;
    for _ in 0..200 {
        let rows = sqlx::query_as("SELECT payload, bytes, reason FROM quarantine ORDER BY created_at");
        let rows: Vec<(Vec<u8>, i64, String)> = rows.fetch_all(&mut database).await.unwrap();
        if !rows.is_empty() {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing came into quarantine within 10 s");
}

// R-REFUSE-6, R-REFUSE-7
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_at_which_yrs_fails_costs_its_sender_alone_for_good(
    #[values(poison::PANICS, poison::FAILS)] text: &str,
    #[values(Dialect::Atlas, Dialect::Stock)] dialect: Dialect,
) {
    let mut server = Server::start();
    let ann = server.register("ann@example.com").await;
    let eve = server.register("eve@example.com").await;
    let design = ann.create_design("Poisoned").await;
    ann.share(&design, &eve, "editor").await;
    let honest = [
        open(&server, &ann, &design, Dialect::Atlas).await,
        open(&server, &ann, &design, Dialect::Stock).await,
    ];
    let culprit = open(&server, &eve, &design, dialect).await;
    for client in honest.iter().chain([&culprit]) {
        client.synced().await.unwrap();
    }

    // All at once, so that the poison shares its flush with honest edits.
    let before = (0..20).map(|at| format!("before-{at}"));
    let after = (0..20).map(|at| format!("after-{at}"));
    let put = |client: &Client, id: &str| {
        client.edit(|roots, txn| canvas::put_node(roots, txn, id, id, 1.0, 2.0)).unwrap();
    };
    before.clone().enumerate().for_each(|(at, id)| put(&honest[at % 2], &id));
    culprit.edit(|roots, txn| canvas::set_meta(roots, txn, "name", &json!(text))).unwrap();
    after.clone().enumerate().for_each(|(at, id)| put(&honest[at % 2], &id));

    let closed = culprit.closed().await.unwrap();
    assert_eq!(closed.code, Some(4409), "{closed:?}");
    if dialect == Dialect::Atlas {
        let refused = culprit.notice("refused").await.unwrap();
        assert_eq!((&refused["code"], &refused["reset"]), (&json!("rejected"), &json!(true)));
    }
    honest[0].all_saved().await.unwrap();
    for client in &honest {
        let ids: Vec<String> = before.clone().chain(after.clone()).collect();
        wait_for_nodes(client, &ids).await;
    }
    let snapshot = ann.snapshot(&design).await;
    assert_eq!((snapshot["nodes"].as_array().unwrap().len(), &snapshot["name"]), (40, &json!("Poisoned")));

    // Its bytes are there for whoever wants to know why.
    let rows = quarantined(&server).await;
    let [(payload, bytes, reason)] = &rows[..] else { panic!("{} rows", rows.len()) };
    assert!(payload.windows(text.len()).any(|part| part == text.as_bytes()));
    assert_eq!(*bytes, i64::try_from(payload.len()).unwrap());
    println!("{bytes} bytes in quarantine: {reason}");

    // It comes back with the same document, on the next server too, and is turned away without another fault.
    for round in 0..2 {
        if round == 1 {
            assert_eq!(server.stop(), Some(0));
            server.restart();
            for client in &honest {
                client.reconnect().await.unwrap();
                client.synced().await.unwrap();
            }
        }
        let faults = server.log().matches("the document is made anew").count();
        assert_eq!(faults, 1, "one fault in all");
        culprit.reconnect().await.unwrap();
        match dialect {
            Dialect::Atlas => {
                let refused = culprit.notice("refused").await.unwrap();
                let code = refused["code"].as_str().unwrap();
                assert!(matches!(code, "rejected" | "spent_client"), "{refused}");
                culprit.vanish();
            }
            Dialect::Stock => assert_eq!(culprit.closed().await.unwrap().code, Some(4409)),
        }
        honest[0]
            .edit_saved(|roots, txn| canvas::set_meta(roots, txn, "round", &json!(round)))
            .await
            .unwrap();
    }
    // Under a client id of its own it may go on: it is the bytes and the id that are refused, not the person.
    let fresh = open(&server, &eve, &design, Dialect::Atlas).await;
    fresh.synced().await.unwrap();
    fresh.edit_saved(|roots, txn| canvas::put_node(roots, txn, "fresh", "fresh", 0.0, 0.0)).await.unwrap();
}

async fn wait_for_nodes(client: &Client, ids: &[String]) {
    for _ in 0..200 {
        let document = client.json();
        if ids.iter().all(|id| document["nodes"].get(id).is_some()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nodes are missing: {}", client.look(Seen::summary));
}

/// Appends a row as no server of ours would.
async fn smuggle(server: &Server, design: &str, update: &[u8]) {
    let mut database = database(server).await;
    let id = uuid::Uuid::parse_str(design).unwrap();
    let append_id = uuid::Uuid::from_u128(u128::from_be_bytes(*b"smuggled-in-here"));
    sqlx::query(
        "INSERT INTO design_updates (design_id, seq, append_id, payload, authors, created_at)
         SELECT design_id, head_seq + 1, ?2, ?3, '[]', 0 FROM design_heads WHERE design_id = ?1",
    )
    .bind(id)
    .bind(append_id)
    .bind(update)
    .execute(&mut database)
    .await
    .unwrap();
    sqlx::query("UPDATE design_heads SET head_seq = head_seq + 1 WHERE design_id = ?1")
        .bind(id)
        .execute(&mut database)
        .await
        .unwrap();
}

/// Maps in maps below one node.
fn nested_maps(levels: usize) -> Vec<u8> {
    let doc = Doc::with_client_id(4_711);
    let nodes = doc.get_or_insert_map("nodes");
    let mut txn = doc.transact_mut();
    let mut parent = nodes.insert(&mut txn, "deep", MapPrelim::default());
    for _ in 1..levels {
        parent = parent.insert(&mut txn, "in", MapPrelim::default());
    }
    txn.encode_diff_v1(&StateVector::default())
}

// R-REFUSE-8
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_design_that_breaks_todays_limits_opens_read_only(
    #[values(Dialect::Atlas, Dialect::Stock)] dialect: Dialect,
) {
    let mut server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Older than the limits").await;
    server.stop();
    smuggle(&server, &design, &nested_maps(TYPE_DEPTH_MAX + 2)).await;
    server.restart();
    let ann = server.login("ann@example.com").await;

    let client = open(&server, &ann, &design, dialect).await;
    client.synced().await.unwrap();
    assert!(client.json()["nodes"].get("deep").is_some(), "it is there to be read");
    client.edit(|roots, txn| canvas::put_node(roots, txn, "new", "new", 0.0, 0.0)).unwrap();
    if dialect == Dialect::Atlas {
        let hello = client.notice("hello").await.unwrap();
        let reason = hello["read_only"].as_str().unwrap();
        assert!(reason.contains("nested too deeply"), "{reason}");
        let refused = client.notice("refused").await.unwrap();
        assert_eq!((&refused["code"], &refused["reset"]), (&json!("read_only"), &json!(false)));
    } else {
        client
            .wait_until(std::time::Duration::from_secs(20), "the reason", |client| {
                client.look(|seen| !seen.denied.is_empty())
            })
            .await
            .unwrap();
        let denied = client.look(|seen| seen.denied.clone());
        assert!(denied[0].contains("read-only"), "{denied:?}");
    }
    assert!(client.is_open(), "it may go on reading");
    let snapshot = ann.snapshot(&design).await;
    assert_eq!(snapshot["nodes"].as_array().map(Vec::len), Some(1), "and exports as it was");
    assert_eq!(snapshot["nodes"][0]["id"], "deep");
}

// R-REFUSE-8, R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_design_that_would_end_the_process_is_refused_by_name_and_all_others_open() {
    let mut server = Server::start();
    let ann = server.register("ann@example.com").await;
    let (deadly, other) = (ann.create_design("Deadly").await, ann.create_design("Other").await);
    server.stop();
    // An array in an array and so on, sixteen thousand times, below nodes/a.
    let mut update = vec![1, 1, 100, 0, 0x28, 1, 5];
    update.extend(b"nodes");
    update.extend([1, b'a', 1]);
    update.extend([117, 1].repeat(16_000));
    update.extend([126, 0]);
    smuggle(&server, &deadly, &update).await;
    server.restart();
    let ann = server.login("ann@example.com").await;

    let client = open(&server, &ann, &deadly, Dialect::Atlas).await;
    let closed = client.closed().await.unwrap();
    assert_eq!(closed.code, Some(1013));
    assert!(closed.reason.contains("cannot be read"), "{closed:?}");
    let answer = ann.get(&format!("/api/v1/designs/{deadly}/snapshot")).await;
    answer.expect_problem(500, "unreadable_design");
    let listed: Value = ann.get("/api/v1/designs").await.expect(200).json();
    assert!(listed.to_string().contains("Deadly"), "it has not vanished: {listed}");
    let client = open(&server, &ann, &other, Dialect::Atlas).await;
    client.synced().await.unwrap();
    client.edit_saved(|roots, txn| canvas::put_node(roots, txn, "n", "n", 0.0, 0.0)).await.unwrap();
}
