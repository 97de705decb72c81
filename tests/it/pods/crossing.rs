//! What happens on one pod is felt on the others: edits, presence, roles, sessions and deletions, with Redis and without.

use std::collections::BTreeMap;
use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};
use serde_json::json;

use super::CONVERGED_WITHIN;
use super::fleet::{Between, Fleet, PODS};
use super::stall::Stalls;
use crate::faults::crew::{PATIENCE, now};

/// Notices reach every socket within this.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// A dead pod's people are gone within this.
const DEAD_WITHIN: Duration = Duration::from_secs(7);
const EDITS: u32 = 200;

/// Ann at the first pod, Ben at each of the others.
async fn guests(fleet: &Fleet, design: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for pod in 0..PODS {
        let person = &fleet.people[usize::from(pod != 0)];
        let connect = Connect::new(&fleet.socket(pod, design), Dialect::Atlas).token(person.token());
        let client = Client::open(connect).await.unwrap();
        client.synced().await.unwrap();
        clients.push(client);
    }
    clients
}

async fn shared(fleet: &Fleet, role: &str) -> String {
    let design = fleet.owner().create_design("Crossing").await;
    fleet.owner().share(&design, &fleet.people[1], role).await;
    design
}

/// Milliseconds at a hundredth of all.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3
}

async fn edits_cross(fleet: &Fleet, design: &str, clients: &[Client]) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 0..EDITS {
        let (writer, reader) = (&clients[number as usize % PODS], &clients[(number as usize + 1) % PODS]);
        let id = format!("n{number}");
        let began = now();
        writer.edit(|roots, txn| canvas::put_node(roots, txn, &id, "x", 1.0, 2.0));
        let sees = |client: &Client| {
            client.with_replica(|replica| {
                replica.read(|roots, txn| yrs::Map::get(&roots.nodes, txn, &id).is_some())
            })
        };
        reader.wait_until(PATIENCE, "an edit made at another pod", sees).await.unwrap();
        took.push(began.elapsed());
    }
    for client in clients {
        let all = |client: &Client| {
            client.json()["nodes"].as_object().is_some_and(|nodes| nodes.len() == EDITS as usize)
        };
        client.wait_until(PATIENCE, "every edit", all).await.unwrap();
    }
    let exports: BTreeMap<String, usize> = {
        let mut exports = BTreeMap::new();
        for pod in 0..PODS {
            let snapshot = fleet.person_at(0, pod).snapshot(design).await;
            *exports.entry(snapshot["content_hash"].to_string()).or_default() += 1;
        }
        exports
    };
    assert_eq!(exports.len(), 1, "pods export different drawings");
    took.sort();
    took
}

async fn is_told(client: &Client, what: &str, within: Duration, stalls: &Stalls) -> Duration {
    let (began, before) = (now(), stalls.so_far());
    let told = |client: &Client| client.look(|seen| seen.notice(what).is_some());
    client.wait_until(PATIENCE, what, told).await.unwrap();
    let took = stalls.without(began.elapsed(), before);
    assert!(took < within, "{what} took {took:?}");
    took
}

async fn is_closed(client: &Client, code: u16, within: Duration, stalls: &Stalls) -> Duration {
    let (began, before) = (now(), stalls.so_far());
    client.wait_until(PATIENCE, "the close", |client| !client.is_open()).await.unwrap();
    let closed = client.look(|seen| seen.closed.clone()).unwrap();
    assert_eq!(closed.code, Some(code), "{closed:?}");
    let took = stalls.without(began.elapsed(), before);
    assert!(took < within, "the close took {took:?}");
    took
}

/// Roles, sessions and deletions, from the first pod to the last.
async fn notices_cross(fleet: &Fleet) {
    let (last, stalls) = (PODS - 1, Stalls::watch());
    let design = shared(fleet, "editor").await;
    let clients = guests(fleet, &design).await;
    fleet.person_at(0, 0).share(&design, &fleet.people[1], "viewer").await;
    let role = is_told(&clients[last], "role.changed", TOLD_WITHIN, &stalls).await;

    let path = format!("/api/v1/designs/{design}/members/{}", fleet.people[1].email);
    fleet.person_at(0, 0).delete(&path).await.expect(204);
    let removed = is_closed(&clients[last], 4403, TOLD_WITHIN, &stalls).await;

    let design = shared(fleet, "editor").await;
    let clients = guests(fleet, &design).await;
    fleet.person_at(0, 0).delete(&format!("/api/v1/designs/{design}")).await.expect(204);
    let deleted = is_closed(&clients[last], 4404, TOLD_WITHIN, &stalls).await;

    let design = shared(fleet, "editor").await;
    let again = fleet.pods[0].server.login("ben@example.com").await;
    let connect = Connect::new(&fleet.socket(last, &design), Dialect::Atlas).token(again.token());
    let guest = Client::open(connect).await.unwrap();
    guest.synced().await.unwrap();
    let gone = again.post("/api/v1/auth/logout", json!({ "refresh_token": again.refresh })).await;
    assert!(gone.status.is_success(), "{}", gone.text());
    let signed_out = is_closed(&guest, 4401, TOLD_WITHIN, &stalls).await;
    println!("role changed {role:?}, removed {removed:?}, deleted {deleted:?}, signed out {signed_out:?}");
}

// R-MANY-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_crosses_pods() {
    let mut fleet = Fleet::with_redis().await;
    let design = shared(&fleet, "editor").await;
    let clients = guests(&fleet, &design).await;
    let before = fleet.redis().calls("spublish").await.unwrap();
    let took = edits_cross(&fleet, &design, &clients).await;
    let messages = fleet.redis().calls("spublish").await.unwrap() - before;
    println!(
        "{EDITS} edits to a peer at another pod: p50 {:.1} ms, p99 {:.1} ms, {messages} messages in Redis",
        at(&took, 50),
        at(&took, 99)
    );

    // Presence comes at once, moves, and goes with its socket.
    for (pod, client) in clients.iter().enumerate() {
        client.announce(Some(json!({ "at": pod })));
    }
    for client in &clients {
        client
            .wait_until(PATIENCE, "everybody's presence", |client| client.others().len() == PODS - 1)
            .await
            .unwrap();
    }
    let stalls = Stalls::watch();
    let (began, before) = (now(), stalls.so_far());
    clients[0].vanish();
    let alone = |client: &Client| client.others().len() == PODS - 2;
    for client in &clients[1..] {
        client.wait_until(PATIENCE, "the presence to go", alone).await.unwrap();
    }
    let gone = stalls.without(began.elapsed(), before);
    assert!(gone < TOLD_WITHIN, "presence of a dead socket took {gone:?} to go");

    notices_cross(&fleet).await;

    // A pod that dies takes its people with it within seconds.
    clients[0].reconnect().await.unwrap();
    clients[0].announce(Some(json!({ "at": "again" })));
    for client in &clients {
        client
            .wait_until(PATIENCE, "everybody's presence", |client| client.others().len() == PODS - 1)
            .await
            .unwrap();
    }
    let (began, before) = (now(), stalls.so_far());
    fleet.pods[0].server.kill();
    for client in &clients[1..] {
        client.wait_until(PATIENCE, "the dead pod's presence to go", alone).await.unwrap();
    }
    let dead = stalls.without(began.elapsed(), before);
    assert!(dead < DEAD_WITHIN, "presence of a dead pod took {dead:?} to go");
    println!("presence gone: of a socket after {gone:?}, of a killed pod after {dead:?}");
    fleet.check_logs();
}

// R-MANY-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_it_only_takes_longer() {
    let fleet = Fleet::start(Between::Nothing, &[]).await;
    let design = shared(&fleet, "editor").await;
    let clients = guests(&fleet, &design).await;
    let stalls = Stalls::watch();
    let (began, before) = (now(), stalls.so_far());
    for (pod, client) in clients.iter().enumerate() {
        client
            .edit_saved(|roots, txn| canvas::put_node(roots, txn, &format!("n{pod}"), "x", 1.0, 2.0))
            .await
            .unwrap();
    }
    for client in &clients {
        let all =
            |client: &Client| client.json()["nodes"].as_object().is_some_and(|nodes| nodes.len() == PODS);
        client.wait_until(PATIENCE, "every edit", all).await.unwrap();
    }
    let took = stalls.without(began.elapsed(), before);
    assert!(took < CONVERGED_WITHIN, "{took:?}");
    println!("without Redis an edit of each pod was seen at all others after {took:?}");
    notices_cross(&fleet).await;
    fleet.check_logs();
}
