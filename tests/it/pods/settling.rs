//! Designs that settle on several servers: the rules run when somebody has changed what they can see, seldom, and once for
//! each meaning, whatever happens meanwhile; and everybody hears of it.

use std::time::Duration;

use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::replica::Roots;
use atlas_loadtest::{canvas, world};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use yrs::{Map as _, Out, TransactionMut};

use super::fleet::{Between, Fleet, PODS};
use crate::faults::crew::{PATIENCE, now};

/// Between two edits of one editor.
const PAUSE_MS: (u64, u64) = (300, 500);
/// A server that was killed with the lease of a run is replaced within this.
const REPLACED_WITHIN: Duration = Duration::from_secs(90);
/// In a design's name, in a build for tests: the rules take their time.
const WAITS: &str = "poison: the analysis waits";

/// What the servers' analyses came to, of those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Figures {
    runs: u64,
    skipped: u64,
    hits: u64,
}

async fn figures_of(fleet: &Fleet, pod: usize) -> Figures {
    let health = fleet.pods[pod].server.nobody().get("/api/ops/health").await.json();
    let of = |key: &str| health["analysis"][key].as_u64().unwrap_or_else(|| panic!("no {key} in {health}"));
    Figures { runs: of("runs"), skipped: of("settle_skipped_noop"), hits: of("cache_hits") }
}

async fn figures(fleet: &mut Fleet) -> Figures {
    let mut sum = Figures::default();
    for pod in 0..PODS {
        if fleet.pods[pod].server.is_running() {
            let Figures { runs, skipped, hits } = figures_of(fleet, pod).await;
            sum = Figures { runs: sum.runs + runs, skipped: sum.skipped + skipped, hits: sum.hits + hits };
        }
    }
    sum
}

/// A number of the store's, about this design.
async fn count(fleet: &Fleet, what: &str, from: &str, design: &str) -> u64 {
    let sql = format!("SELECT {what} FROM {from} WHERE design_id = '{design}'");
    fleet.bed.count(&fleet.pods[0].server, &sql).await
}

/// How many analyses of it are stored: each of another meaning.
async fn analyses(fleet: &Fleet, design: &str) -> u64 {
    let all = count(fleet, "count(*)", "analyses", design).await;
    let meanings = count(fleet, "count(DISTINCT (semantic_hash, ruleset_version))", "analyses", design).await;
    assert_eq!(all, meanings, "one analysis for each meaning");
    all
}

/// The log goes further than anybody has looked at.
async fn is_behind(fleet: &Fleet, design: &str) -> bool {
    count(
        fleet,
        "CASE WHEN analysed_seq < head_seq THEN 1::BIGINT ELSE 0::BIGINT END",
        "design_heads",
        design,
    )
    .await
        == 1
}

async fn has_job(fleet: &Fleet, design: &str) -> bool {
    0 < count(fleet, "count(*) FILTER (WHERE kind = 'analyze')", "jobs", design).await
}

/// Waits until somebody has looked at the whole log, and nobody is to look again. How long that took.
async fn looked_at(fleet: &Fleet, design: &str, patience: Duration) -> Duration {
    let began = now();
    while is_behind(fleet, design).await || has_job(fleet, design).await {
        assert!(began.elapsed() < patience, "nobody looks at it within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

async fn guest(fleet: &Fleet, pod: usize, design: &str) -> Client {
    let connect = Connect::new(&fleet.socket(pod, design), Dialect::Atlas).token(fleet.owner().token());
    let client = Client::open(connect).await.unwrap();
    client.synced().await.unwrap();
    client
}

/// A design that has been looked at, with somebody at each server.
async fn open(fleet: &Fleet) -> (String, Vec<Client>) {
    let design = fleet.owner().create_design("Settling").await;
    let mut clients = Vec::new();
    for pod in 0..PODS {
        clients.push(guest(fleet, pod, &design).await);
    }
    clients[0]
        .edit_saved(|roots, txn| {
            canvas::put_node(roots, txn, "net", "Network", 0.0, 0.0);
            canvas::set_data(&roots.nodes, txn, "net", "type", &json!("vpc-vnet"));
            let Some(Out::YMap(net)) = roots.nodes.get(txn, "net") else { panic!("it was put there") };
            net.insert(txn, "width", 2_000);
            net.insert(txn, "height", 2_000);
            canvas::put_node(roots, txn, "web", "Web", 100.0, 100.0);
        })
        .await
        .unwrap();
    looked_at(fleet, &design, PATIENCE).await;
    (design, clients)
}

/// What this client was told to be completed: each analysis with the place in the log.
fn completed(client: &Client) -> Vec<(String, u64)> {
    client.look(|seen| {
        let completed = seen.notices.iter().filter(|notice| notice["type"] == "analysis.completed");
        let text = |notice: &Value| notice["analysis_id"].as_str().unwrap().to_owned();
        completed.map(|notice| (text(notice), notice["seq"].as_u64().unwrap())).collect()
    })
}

/// Waits until this client was told so many times. How long that took.
async fn hears(client: &Client, times: usize, patience: Duration) -> Duration {
    let began = now();
    let all = |client: &Client| times <= completed(client).len();
    client.wait_until(patience, "analysis.completed", all).await.unwrap();
    began.elapsed()
}

/// What everybody gets who asks for the newest analysis.
async fn newest(fleet: &Fleet, design: &str) -> String {
    let path = format!("/api/v1/designs/{design}/analyses/latest");
    let latest = fleet.owner().get(&path).await.expect(200).json();
    latest["id"].as_str().unwrap().to_owned()
}

async fn change(client: &Client, key: &str, value: Value) {
    client.edit_saved(|roots, txn| canvas::set_data(&roots.nodes, txn, "web", key, &value)).await.unwrap();
}

/// Edits that mean something, one after the other, until the time is up. How many.
async fn edit_on(client: Client, node: String, mut random: world::Random, time: Duration) -> u64 {
    let (began, mut made) = (now(), 0_u64);
    while began.elapsed() < time {
        made += 1;
        client.edit(|roots: &Roots, txn: &mut TransactionMut<'_>| {
            if made == 1 {
                canvas::put_node(roots, txn, &node, "Editor", 1.0, 2.0);
            }
            canvas::set_data(&roots.nodes, txn, &node, "replicas", &json!(made));
        });
        tokio::time::sleep(Duration::from_millis(PAUSE_MS.0 + random.below(PAUSE_MS.1))).await;
    }
    client.all_saved().await.unwrap();
    made
}

/// Dozens of people at three servers never stop: the rules run every three seconds, for all of them together.
// R-NOTE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_everybody_edits_the_rules_run_every_three_seconds() {
    let editors = world::long_count("ATLAS_SETTLE_EDITORS").unwrap_or(36);
    let time = world::long_run("ATLAS_SETTLE_SECS").unwrap_or(Duration::from_secs(20));
    let mut fleet = Fleet::with_redis().await;
    let (design, watchers) = open(&fleet).await;
    let mut people = Vec::new();
    for at in 0..editors {
        people.push(guest(&fleet, usize::try_from(at).unwrap() % PODS, &design).await);
    }
    let (before, rows) = (figures(&mut fleet).await, analyses(&fleet, &design).await);
    let heard = completed(&watchers[1]).len();
    let (began, mut hands) = (now(), JoinSet::new());
    for (at, client) in people.iter().enumerate() {
        let random = fleet.random.fork();
        hands.spawn(edit_on(client.clone(), format!("e{at}"), random, time));
    }
    let mut edits = 0;
    while let Some(made) = hands.join_next().await {
        edits += made.unwrap();
    }
    let lasted = began.elapsed();
    looked_at(&fleet, &design, PATIENCE).await;
    // The last run comes when they have stopped.
    let settled = began.elapsed();
    let runs = figures(&mut fleet).await.runs - before.runs;
    let rows = analyses(&fleet, &design).await - rows;
    println!(
        "{edits} edits of {editors} people in {lasted:?}, settled after {settled:?}: {runs} runs, {rows} analyses"
    );
    let secs = lasted.as_secs();
    assert!(editors * secs < edits, "they hardly edited");
    assert!(runs <= settled.as_secs() / 3 + 2, "{runs} runs of the rules in {settled:?}");
    assert!(secs / 5 <= runs, "only {runs} runs of the rules in {lasted:?}");
    assert_eq!(rows, runs, "each run was of another meaning, and is stored once");
    let newest = newest(&fleet, &design).await;
    for client in watchers.iter().chain(&people) {
        let is_newest = |client: &Client| completed(client).last().is_some_and(|(id, _)| *id == newest);
        client.wait_until(PATIENCE, "the newest analysis", is_newest).await.unwrap();
        let mut told = completed(client);
        let times = told.len();
        told.dedup();
        assert_eq!(told.len(), times, "told twice");
        assert!(times as u64 <= heard as u64 + runs + 1, "told {times} times of {runs} runs");
        assert_eq!(client.seen().faults, Vec::<String>::new());
    }
    fleet.check_logs();
}

/// Somebody drags a node about within its container, as fast as that is saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drags_inside_a_container_run_no_rules() {
    let drags = world::long_count("ATLAS_SETTLE_DRAGS").unwrap_or(1_500);
    let mut fleet = Fleet::with_redis().await;
    let (design, clients) = open(&fleet).await;
    let (before, rows) = (figures(&mut fleet).await, analyses(&fleet, &design).await);
    let heads = count(&fleet, "head_seq", "design_heads", &design).await;
    let began = now();
    for n in 0..drags {
        let at = |of: u64| f64::from(u32::try_from(100 + of % 1_000).unwrap());
        let (x, y) = (at(n), at(n / 2));
        clients[0].edit_saved(|roots, txn| canvas::move_node(roots, txn, "web", x, y)).await.unwrap();
    }
    let lasted = began.elapsed();
    looked_at(&fleet, &design, PATIENCE).await;
    let commits = count(&fleet, "head_seq", "design_heads", &design).await - heads;
    let after = figures(&mut fleet).await;
    let (runs, skipped) = (after.runs - before.runs, after.skipped - before.skipped);
    println!("{drags} drags in {lasted:?}, {commits} commits: {runs} runs, {skipped} times nothing to do");
    assert_eq!(commits, drags);
    assert!(runs <= 1, "{runs} runs of the rules");
    assert_eq!(analyses(&fleet, &design).await, rows);
    assert!(0 < skipped, "nobody looked");
    assert!(skipped <= lasted.as_secs() / 3 + 2, "{skipped} looks in {lasted:?}");

    // Out of the container, it means something.
    let heard = completed(&clients[2]).len();
    clients[0].edit_saved(|roots, txn| canvas::move_node(roots, txn, "web", 9_000.0, 9_000.0)).await.unwrap();
    hears(&clients[2], heard + 1, PATIENCE).await;
    assert_eq!(analyses(&fleet, &design).await, rows + 1);
    fleet.check_logs();
}

// R-NOTE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_and_its_undo_lead_back_to_what_was_said() {
    let mut fleet = Fleet::with_redis().await;
    let (design, clients) = open(&fleet).await;
    let (before, rows) = (figures(&mut fleet).await, analyses(&fleet, &design).await);
    let first = newest(&fleet, &design).await;
    let heard = completed(&clients[1]).len();
    change(&clients[0], "publicAccess", json!(true)).await;
    let took = hears(&clients[1], heard + 1, PATIENCE).await;
    let second = newest(&fleet, &design).await;
    assert_ne!(first, second);
    change(&clients[0], "publicAccess", Value::Null).await;
    hears(&clients[1], heard + 2, PATIENCE).await;
    assert_eq!(newest(&fleet, &design).await, first);
    let told: Vec<_> = completed(&clients[1]).split_off(heard).into_iter().map(|(id, _)| id).collect();
    assert_eq!(told, [second, first]);
    let after = figures(&mut fleet).await;
    assert_eq!((after.runs - before.runs, after.hits - before.hits), (1, 1));
    assert_eq!(analyses(&fleet, &design).await, rows + 1);
    println!("an edit at one server was analysed, and told at another one, after {took:?}");
    fleet.check_logs();
}

/// kill -9 of the server that holds the lease, in the middle of the run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_holder_is_replaced_and_one_result_stored() {
    let mut fleet = Fleet::start(Between::Redis, &[("ATLAS_ANALYSIS_LEASE_SECS", "5")]).await;
    let (design, clients) = open(&fleet).await;
    let rows = analyses(&fleet, &design).await;
    let mut before = Vec::new();
    for pod in 0..PODS {
        before.push(figures_of(&fleet, pod).await.runs);
    }
    let heard: Vec<usize> = clients.iter().map(|client| completed(client).len()).collect();
    clients[0]
        .edit_saved(|roots, txn| {
            canvas::set_meta(roots, txn, "name", &json!(WAITS));
            canvas::set_data(&roots.nodes, txn, "web", "publicAccess", &json!(true));
        })
        .await
        .unwrap();
    // Whoever has begun to run the rules holds the lease.
    let began = now();
    let holder = loop {
        let mut holder = None;
        for (pod, runs) in before.iter().enumerate() {
            if *runs < figures_of(&fleet, pod).await.runs {
                holder = Some(pod);
            }
        }
        if let Some(holder) = holder {
            break holder;
        }
        assert!(began.elapsed() < PATIENCE, "nobody runs the rules");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let holders = "count(holder) FILTER (WHERE kind = 'analyze')";
    assert_eq!(count(&fleet, holders, "jobs", &design).await, 1, "nobody holds the lease");
    let killed = now();
    fleet.pods[holder].server.kill();
    assert_eq!(analyses(&fleet, &design).await, rows, "it was done already");
    for pod in (0..PODS).filter(|pod| *pod != holder) {
        hears(&clients[pod], heard[pod] + 1, REPLACED_WITHIN).await;
    }
    let took = killed.elapsed();
    assert!(took < REPLACED_WITHIN, "{took:?}");
    tokio::task::block_in_place(|| fleet.pods[holder].server.restart());
    looked_at(&fleet, &design, PATIENCE).await;
    assert_eq!(analyses(&fleet, &design).await, rows + 1, "one result");
    println!("pod {holder} was killed with the lease; the result was told after {took:?}");
}

/// The server dies after it has acknowledged an edit and before the design has settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_server_left_unsettled_is_found() {
    const VICTIM: usize = 0;
    let mut fleet = Fleet::start(Between::Redis, &[("ATLAS_ANALYSIS_SWEEP_SECS", "2")]).await;
    let (design, clients) = open(&fleet).await;
    let rows = analyses(&fleet, &design).await;
    let other = VICTIM + 1;
    let heard = completed(&clients[other]).len();
    change(&clients[VICTIM], "publicAccess", json!(true)).await;
    let saved = now();
    fleet.pods[VICTIM].server.kill();
    let killed = saved.elapsed();
    assert!(
        is_behind(&fleet, &design).await && !has_job(&fleet, &design).await,
        "it had settled after {killed:?}"
    );
    let took = hears(&clients[other], heard + 1, PATIENCE).await;
    assert_eq!(analyses(&fleet, &design).await, rows + 1);
    println!(
        "a server was killed {killed:?} after it had acknowledged an edit: it was analysed {took:?} later"
    );
}

/// The others are told by the looks into the store, and nothing is stored twice when Redis is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_results_arrive_all_the_same() {
    let mut fleet = Fleet::with_redis().await;
    let (design, clients) = open(&fleet).await;
    let (before, rows) = (figures(&mut fleet).await, analyses(&fleet, &design).await);
    let heard: Vec<usize> = clients.iter().map(|client| completed(client).len()).collect();
    fleet.redis().kill().await.unwrap();
    assert!(fleet.redis().ask(&["PING"]).await.is_err(), "it answers");
    let mut slowest = Duration::ZERO;
    for n in 0..3_usize {
        change(&clients[n % PODS], "replicas", json!(n + 2)).await;
        for (client, heard) in clients.iter().zip(&heard) {
            slowest = slowest.max(hears(client, heard + n + 1, PATIENCE).await);
        }
    }
    assert!(fleet.redis().ask(&["PING"]).await.is_err(), "it answers");
    fleet.redis().restart().await.unwrap();
    for (client, heard) in clients.iter().zip(&heard) {
        assert_eq!(completed(client).len(), heard + 3, "told twice");
    }
    change(&clients[0], "replicas", json!(9)).await;
    for (client, heard) in clients.iter().zip(&heard) {
        hears(client, heard + 4, PATIENCE).await;
    }
    looked_at(&fleet, &design, PATIENCE).await;
    let runs = figures(&mut fleet).await.runs - before.runs;
    assert_eq!((runs, analyses(&fleet, &design).await - rows), (4, 4), "runs, and what is stored");
    println!("without Redis everybody was told within {slowest:?}");
    fleet.check_logs();
}
