//! What a step of the schema makes of a database that has lived.

use atlas_crdt::design::{NewDesign as Document, create};
use atlas_crdt::ids::ClientId;
use atlas_crdt::room::{Author, Claim, ClockRange};
use serde_json::{Map, Value};

use sqlx::{Connection, SqliteConnection};

use super::tests::{open, some_designs, step, tamper};
use super::*;

/// Back to the schema of the first step.
const BEFORE_CLAIMS: &str =
    "DROP TABLE client_ids; DROP TABLE quarantine; DELETE FROM _sqlx_migrations WHERE version = 2";

fn user(n: u128) -> UserId {
    UserId::from_u128((n << 100) + n)
}

fn wrote(user: UserId, ranges: &[(u64, u32, u32)]) -> Author {
    let range = |(client, start, end): &(u64, u32, u32)| ClockRange {
        client: ClientId::new(*client),
        start: *start,
        end: *end,
    };
    Author { user, wrote: ranges.iter().map(range).collect(), deleted: vec![range(&(77, 0, 1))] }
}

fn document(nodes: usize) -> Document {
    let node = |n| (format!("n{n}"), Map::from_iter([("type".to_owned(), Value::from("custom"))]));
    Document {
        name: "A design".to_owned(),
        description: None,
        meta: Map::new(),
        nodes: (0..nodes).map(node).collect(),
        edges: Vec::new(),
    }
}

#[tokio::test]
async fn client_ids_get_their_owners_from_the_log() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let designs = some_designs(&store, 6).await;
    store.close().await;
    // One byte to eight for the id of the server, one to three for the number of structs before it.
    let servers = [1, 127, 128, 0xdead_beef, (1 << 53) - 1, 1 << 49].map(ClientId::new);
    let sizes = [1, 30, 31, 4_000, 4_001, 20];
    let options = SqliteConnectOptions::new().filename(root.path().join("atlas.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    for ((design, client), nodes) in designs.iter().zip(servers).zip(sizes) {
        sqlx::query("UPDATE design_updates SET payload = ?1 WHERE design_id = ?2")
            .bind(create(client, &document(nodes)).unwrap().as_ref())
            .bind(values::id(design.as_u128()))
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();

    let store = open(root.path()).await;
    let appends = [
        vec![wrote(user(1), &[(5, 0, 9)]), wrote(user(2), &[((1 << 53) - 2, 0, 1), (6, 0, 2)])],
        vec![],
        vec![wrote(user(3), &[(5, 9, 10), (127, 0, 1)])],
        // The second of two in one row, by clock: whoever wrote first has it.
        vec![wrote(user(1), &[(8, 1, 2)]), wrote(user(2), &[(8, 0, 1)])],
    ];
    for (n, authors) in (1..).zip(appends) {
        store.append(designs[0], Append { authors, ..step(designs[0], n) }).await.unwrap();
    }
    store.close().await;
    tamper(root.path(), BEFORE_CLAIMS).await;

    let store = open(root.path()).await;
    for (design, client) in designs.iter().zip(servers) {
        let claims = store.load(*design).await.unwrap().unwrap().claims;
        assert!(claims.contains(&Claim { client, user: None }), "{client}: {claims:?}");
        assert!(*design == designs[0] || claims.len() == 1, "{claims:?}");
    }
    let rows = store.log_after(designs[0], Seq::ZERO, 10).await.unwrap();
    let by_row: Vec<Vec<(u64, Option<UserId>)>> = rows
        .into_iter()
        .map(|row| row.claims.into_iter().map(|claim| (claim.client.get(), claim.user)).collect())
        .collect();
    let (one, two, three) = (Some(user(1)), Some(user(2)), Some(user(3)));
    let expected = [
        vec![(1, None)],
        vec![(5, one), (6, two), ((1 << 53) - 2, two)],
        vec![],
        vec![(127, three)],
        vec![(8, two)],
    ];
    assert_eq!(by_row, expected);
}

#[tokio::test]
async fn a_first_row_that_is_no_update_holds_nothing_up() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    store.close().await;
    for payload in ["x''", "x'01'", "x'0101'", "x'01ffffffffffffffffffffffffffffffffffff'", "x'0200'"] {
        tamper(root.path(), BEFORE_CLAIMS).await;
        let options = SqliteConnectOptions::new().filename(root.path().join("atlas.db"));
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let sql = format!("UPDATE design_updates SET payload = {payload}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
        let store = open(root.path()).await;
        assert_eq!(store.load(design).await.unwrap().unwrap().claims, [], "{payload}");
        store.close().await;
    }
}
