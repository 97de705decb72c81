//! Two servers on one database, without a bus between them: what the database tells is enough, within a second. And how one
//! of them goes.

use std::time::Duration;

use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::services::postgres::Postgres;
use atlas_loadtest::world;
use serde_json::{Value, json};

use crate::socket_basics::{A_SECOND, Refused, address, connected, node, refusal};
use crate::support::Server;

/// For whoever reads the database 0.75 s apart, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(3);

/// Two servers, and the database that must live as long.
async fn two_servers(settings: &[(&str, &str)]) -> (Postgres, Server, Server) {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database("atlas").await.unwrap();
    let url = postgres.url("atlas");
    let mut settings = settings.to_vec();
    settings.push(("DATABASE_URL", &url));
    let one = Server::start_with(&settings);
    let key = one.data_folder().join("data/keys/signing.pem");
    settings.push(("ATLAS_JWT_PRIVATE_KEY_FILE", key.to_str().unwrap()));
    let two = Server::start_with(&settings);
    (postgres, one, two)
}

async fn closed_within(client: &Client, limit: Duration) -> Option<u16> {
    client.wait_until(limit, "the socket to be closed", |client| !client.is_open()).await.unwrap();
    client.closed().await.unwrap().code
}

// R-ROLE-2, R-CLOSE-6, R-CLOSE-7, R-CLOSE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_changes_reaches_the_sockets_of_the_other() {
    let (_postgres, here, there) = two_servers(&[]).await;
    let _admin = here.register("admin@example.com").await;
    let ann = here.register("ann@example.com").await;
    let ben = here.register("ben@example.com").await;
    let cat = here.register("cat@example.com").await;
    let design = ann.create_design("Payments").await;
    for (person, role) in [(&ben, "editor"), (&cat, "editor")] {
        ann.share(&design, person, role).await;
    }
    let of_ann = connected(&there, &design, ann.token(), Dialect::Atlas).await;
    let of_ben = connected(&there, &design, ben.token(), Dialect::Atlas).await;
    let of_ben_stock = connected(&there, &design, ben.token(), Dialect::Stock).await;
    let of_cat = connected(&there, &design, cat.token(), Dialect::Atlas).await;
    let role = |client: &Client| {
        client.look(|seen| seen.notice("role.changed").map(|notice| notice["role"].clone()))
    };
    let mut took = Vec::new();
    for wanted in ["viewer", "editor", "commenter"] {
        let began = world::now();
        ann.share(&design, &ben, wanted).await;
        of_ben.wait_until(SOON, wanted, |client| role(client) == Some(Value::from(wanted))).await.unwrap();
        took.push(began.elapsed());
    }
    assert_eq!(role(&of_ann), None, "nothing changed for her");

    let began = world::now();
    ann.delete(&format!("/api/v1/designs/{design}/members/{}", ben.email)).await.expect(204);
    for client in [&of_ben, &of_ben_stock] {
        assert_eq!(closed_within(client, SOON).await, Some(4403));
    }
    took.push(began.elapsed());

    let began = world::now();
    cat.post("/api/v1/auth/logout", json!({ "refresh_token": cat.refresh })).await.expect(204);
    assert_eq!(closed_within(&of_cat, SOON).await, Some(4401));
    took.push(began.elapsed());
    assert!(of_ann.is_open());

    let began = world::now();
    ann.delete(&format!("/api/v1/designs/{design}")).await.expect(204);
    assert_eq!(closed_within(&of_ann, SOON).await, Some(4404));
    assert!(of_ann.look(|seen| seen.notice("deleted").is_some()));
    took.push(began.elapsed());
    println!("noticed after {took:?}");

    let health = there.nobody().get("/api/ops/health").await.expect(200).json();
    assert_eq!(health["look"]["status"], "ok");
    assert!(health["look"]["age_ms"].as_u64().unwrap() < 60_000, "{health}");
}

// R-CLOSE-5, R-HAND-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_sends_its_people_away_one_by_one() {
    const PEOPLE: usize = 20;
    let (_postgres, mut stops, stays) = two_servers(&[("ATLAS_DRAIN_SECS", "8")]).await;
    let ann = stops.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let token = ann.token().to_owned();
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let dialect = if n.is_multiple_of(2_usize) { Dialect::Atlas } else { Dialect::Stock };
        people.push(connected(&stops, &design, &token, dialect).await);
    }
    let (url, nobody) = (address(&stops, &design), stops.nobody());
    let asked = world::now();
    let stopping = tokio::task::spawn_blocking(move || {
        let code = stops.stop();
        (stops, code)
    });
    people[0]
        .wait_until(SOON, "the first to go", |_| people.iter().any(|client| !client.is_open()))
        .await
        .unwrap();
    nobody.get("/ready").await.expect_problem(503, "draining");
    let knock = |dialect| refusal(Connect::new(&url, dialect).token(&token));
    assert_eq!(knock(Dialect::Stock).await, Refused::Status(503));
    assert_eq!(knock(Dialect::Atlas).await, Refused::Code(1012));

    // Whoever is still here edits, and it is saved.
    let mut edits = 0;
    let mut gone: Vec<(Duration, u64)> = Vec::new();
    let mut told = [false; PEOPLE];
    while gone.len() < PEOPLE {
        assert!(asked.elapsed() < Duration::from_secs(20), "{gone:?}");
        for (client, told) in people.iter().zip(&mut told) {
            if !client.is_open() && !*told {
                *told = true;
                gone.push((asked.elapsed(), hint(client).await));
            }
        }
        let atlas = people.iter().step_by(2).find(|client| client.is_open());
        if let Some(client) = atlas {
            let id = format!("n{edits}");
            // It may be its turn to go meanwhile.
            let saved = tokio::time::timeout(A_SECOND / 5, client.edit_saved(node(&id))).await;
            edits += usize::from(saved.is_ok_and(|saved| saved.is_ok()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let spread = gone[PEOPLE - 1].0.saturating_sub(gone[0].0);
    assert!(A_SECOND < spread, "{PEOPLE} closes within {spread:?}");
    let hints: std::collections::BTreeSet<u64> = gone.iter().map(|(_, hint)| *hint).collect();
    assert!(PEOPLE / 2 < hints.len(), "{hints:?}");
    let (_stops, code) = stopping.await.unwrap();
    assert_eq!(code, Some(0));
    println!(
        "{PEOPLE} people gone in {:?}, {edits} edits meanwhile, stopped after {:?}",
        spread,
        asked.elapsed()
    );

    let back = connected(&stays, &design, &token, Dialect::Atlas).await;
    let nodes = back.json()["nodes"].as_object().unwrap().len();
    assert!(0 < edits && edits <= nodes, "{edits} of {nodes}");
}

async fn hint(client: &Client) -> u64 {
    let closed = client.closed().await.unwrap();
    assert_eq!(closed.code, Some(1012), "{closed:?}");
    let reason: Value = serde_json::from_str(&closed.reason).unwrap();
    let hint = reason["retry_after_ms"].as_u64().unwrap();
    assert!((200..=800).contains(&hint), "{hint}");
    hint
}
