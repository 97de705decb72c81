//! The store is slow, full, locked or gone for a while, and comes back. Nobody is told that an edit is saved which is not,
//! nobody sees one, everybody works on, and afterwards everything flows again by itself.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect, Seen};
use atlas_loadtest::world;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::faults::crew::{PATIENCE, now};
use crate::faults::endure::{Endured, Joins, endure, is_told_of_trouble, unreadable};
use crate::faults::{Bed, Crew, Stage, bed};
use crate::support::{Server, resident_bytes};

mod postgres;
mod stop;

const DESKS: usize = 3;
const TYPISTS_PER_DESK: usize = 2;

/// Ten seconds; `ATLAS_OUTAGE_SECS` says otherwise.
fn length() -> Duration {
    world::long_run("ATLAS_OUTAGE_SECS").unwrap_or(Duration::from_secs(10))
}

/// Call it when the store is well again.
async fn recovered(stage: &mut Stage, mut crew: Crew, what: &str, figures: &Endured) {
    let well_at = now();
    crew.acknowledged_since(well_at).await;
    let again = well_at.elapsed();
    for typist in crew.typists() {
        let healthy = |client: &Client| !is_told_of_trouble(client);
        typist.client.wait_until(PATIENCE, "store.healthy", healthy).await.unwrap();
    }
    let edits = crew.rest(stage.owner()).await;
    stage.check_logs(&crew).await;
    crew.leave();
    println!(
        "{} was {what} for {:?}: told after {:?}, {} edits waited, {} came meanwhile, presence took at most {:?}, the \
         server grew by {} KiB; everything flowed again after {again:?}, {edits} edits are there",
        stage.bed.name(),
        length(),
        figures.told_after,
        figures.waiting,
        figures.joins,
        figures.presence_slowest,
        figures.grown_bytes >> 10,
    );
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_locks_the_database_file() {
    let mut stage = Stage::set(Bed::Sqlite).await;
    let crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    let mut stranger = bed::sqlite(&stage.server).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
    let figures = endure(&stage, &crew, length(), Joins::Admitted).await;
    let ready = stage.server.nobody().get("/ready").await;
    ready.expect_problem(503, "store_unavailable");
    sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
    recovered(&mut stage, crew, "locked by a stranger", &figures).await;
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_full() {
    const DISK_MIB: u32 = 16;
    let settings = Bed::Sqlite.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = match Server::start_on_small_disk(DISK_MIB, &settings) {
        Ok(server) => server,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut stage = Stage::with(Bed::Sqlite, server).await;
    let crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    let ballast = stage.server.inner_path("ballast");
    let full = fill(&ballast);
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    let figures = endure(&stage, &crew, length(), Joins::Admitted).await;
    assert!(stage.server.log().contains("full"), "the server says why");
    std::fs::remove_file(&ballast).unwrap();
    recovered(&mut stage, crew, "on a full disk", &figures).await;
}

/// Writes until nothing goes any more, and says why.
fn fill(ballast: &std::path::Path) -> std::io::Error {
    let mut file = std::fs::File::create(ballast).unwrap();
    let mut chunk = 64 << 10;
    loop {
        match file.write_all(&vec![7; chunk]) {
            Ok(()) => {}
            Err(error) if chunk == 1 => return error,
            Err(_) => chunk /= 2,
        }
    }
}

/// A thousand designs are edited at once, and the database refuses one of them.
async fn one_poisoned_design(bed: Bed) {
    const DESIGNS: usize = 1_000;
    const ROUNDS: u64 = 4;
    let stage = Stage::set(bed).await;
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let (numbers, owner, url) = (Arc::clone(&numbers), stage.owner().clone(), stage.server.ws_url());
        opening.spawn(async move {
            let mut opened = Vec::new();
            while let number @ ..DESIGNS = numbers.fetch_add(1, Ordering::SeqCst) {
                let design = owner.create_design(&format!("Design {number}")).await;
                let connect = Connect::new(&format!("{url}/{design}"), Dialect::Atlas).token(owner.token());
                let client = Client::open(connect).await.unwrap();
                client.synced().await.unwrap();
                opened.push((design, client));
            }
            opened
        });
    }
    let mut clients = opening.join_all().await.concat();
    assert_eq!(clients.len(), DESIGNS);
    let (design, poisoned) = clients.remove(DESIGNS / 2);
    stage.bed.poison(&stage.server, &design).await;
    let began = now();
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let put = |client: &Client| {
            client.edit(|roots, txn| canvas::set_meta(roots, txn, "round", &json!(round)));
        };
        let round_began = now();
        put(&poisoned);
        for (_, client) in &clients {
            put(client);
        }
        for (_, client) in &clients {
            client.all_saved().await.unwrap();
        }
        slowest = slowest.max(round_began.elapsed());
    }
    poisoned.wait_until(PATIENCE, "store.degraded", is_told_of_trouble).await.unwrap();
    let lasted = began.elapsed();
    for (design, client) in &clients {
        assert_eq!(client.look(|seen| seen.notice("store.degraded").cloned()), None, "{design} suffers too");
        assert_eq!(client.seen().faults, Vec::<String>::new());
    }
    let (saved, sent) = poisoned.look(|seen| (seen.saved, seen.sent_documents));
    assert_eq!(sent - saved, ROUNDS, "nothing of the refused design is acknowledged");
    assert!(stage.owner().snapshot(&design).await["meta"]["round"].is_null(), "or stored");

    stage.bed.cure(&stage.server).await;
    poisoned.wait_until(PATIENCE, "store.healthy", |client| !is_told_of_trouble(client)).await.unwrap();
    poisoned.all_saved().await.unwrap();
    assert_eq!(stage.owner().snapshot(&design).await["meta"]["round"], ROUNDS - 1);
    stage.bed.found(&stage.server, &design).await.check();
    println!(
        "{}: one of {DESIGNS} designs was refused for {lasted:?}; an edit of each of the others was saved within \
         {slowest:?}",
        stage.bed.name()
    );
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_design_of_a_thousand_is_refused_by_sqlite() {
    one_poisoned_design(Bed::Sqlite).await;
}

// R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_a_hole_is_refused_and_never_shown_as_something_else() {
    let stage = Stage::set_with(Bed::Sqlite, &[("ATLAS_IDLE_EVICT_MS", "100")]).await;
    let design = stage.owner().create_design("Torn").await;
    let url = format!("{}/{design}", stage.server.ws_url());
    let connect = Connect::new(&url, Dialect::Atlas).token(stage.owner().token());
    let client = Client::open(connect.clone()).await.unwrap();
    client.synced().await.unwrap();
    for number in 0..3 {
        client.edit_saved(|roots, txn| canvas::set_meta(roots, txn, "n", &json!(number))).await.unwrap();
    }
    client.close().await.unwrap();
    let whole = stage.owner().snapshot(&design).await;
    let id = Uuid::parse_str(&design).unwrap().simple();
    let place = format!("WHERE design_id = x'{id}' AND seq = 3");
    stage
        .bed
        .run(&stage.server, &format!("CREATE TABLE aside AS SELECT * FROM design_updates {place}"))
        .await;
    stage.bed.run(&stage.server, &format!("DELETE FROM design_updates {place}")).await;
    // The room is gone soon after its last person.
    let gone = now();
    while stage.owner().get("/api/ops/health").await.json()["rooms"] != 0 {
        assert!(gone.elapsed() < PATIENCE, "the room stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreadable(connect.clone()).await;
    stage.owner().get(&format!("/api/v1/designs/{design}/snapshot")).await.expect(500);
    stage.bed.run(&stage.server, "INSERT INTO design_updates SELECT * FROM aside").await;
    come_back(&Client::offline(connect)).await;
    assert_eq!(stage.owner().snapshot(&design).await, whole);
}

/// Connects as often as a page would until it is let in.
async fn come_back(client: &Client) {
    let began = now();
    while !(client.is_open() && client.look(Seen::is_synced)) {
        assert!(began.elapsed() < PATIENCE, "{}", client.seen().summary());
        client.reconnect().await.unwrap();
        let settled = |client: &Client| !client.is_open() || client.look(Seen::is_synced);
        client.wait_until(PATIENCE, "a welcome or a refusal", settled).await.unwrap();
    }
}

// R-COUNT-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_into_a_store_that_does_not_answer_is_sent_back_to_its_authors() {
    const TEXT_CHARS: usize = 60_000;
    const FLOOD_MAX: u64 = 600;
    const GROWTH_MAX: u64 = 96 << 20;
    let stage = Stage::set(Bed::Sqlite).await;
    let design = stage.owner().create_design("Flooded").await;
    let connect = Connect::new(&format!("{}/{design}", stage.server.ws_url()), Dialect::Atlas);
    let open = async |at: usize| {
        let client = Client::open(connect.clone().token(stage.people[at].token())).await.unwrap();
        client.synced().await.unwrap();
        client
    };
    stage.owner().share(&design, &stage.people[1], "editor").await;
    let (author, other) = (open(0).await, open(1).await);
    author.edit_saved(|roots, txn| canvas::put_node(roots, txn, "n", "flood", 0.0, 0.0)).await.unwrap();
    let mut stranger = bed::sqlite(&stage.server).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
    let before = resident_bytes(&stage.server);
    let (mut edits, mut grown) = (0, 0);
    let write = |number: u64| {
        let text = format!("{number:>TEXT_CHARS$}");
        author.edit(|roots, txn| canvas::set_data(&roots.nodes, txn, "n", "notes", &json!(text)));
    };
    while author.is_open() && edits < FLOOD_MAX {
        edits += 1;
        write(edits);
        grown = grown.max(resident_bytes(&stage.server).saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for client in [&author, &other] {
        assert_eq!(client.closed().await.unwrap().code, Some(1013));
    }
    assert!(author.look(|seen| seen.notice("store.degraded").is_some()));
    assert!(!other.json()["nodes"]["n"]["data"].to_string().contains("notes"), "nobody saw any of it");
    // Whoever comes back while that lasts is turned away.
    author.reconnect().await.unwrap();
    assert_eq!(author.closed().await.unwrap().code, Some(1013));
    write(edits + 1);
    assert!(grown < GROWTH_MAX, "the server grew by {grown} bytes");

    sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
    let well_at = now();
    come_back(&author).await;
    come_back(&other).await;
    author.all_saved().await.unwrap();
    let last = format!("{:>TEXT_CHARS$}", edits + 1);
    let has_last = |client: &Client| client.json()["nodes"]["n"]["data"]["notes"] == last;
    other.wait_until(PATIENCE, "the newest text", has_last).await.unwrap();
    println!(
        "{edits} edits of {TEXT_CHARS} letters filled the budget, the server grew by {} MiB; everything was there \
         {:?} after the store was back",
        grown >> 20,
        well_at.elapsed()
    );
}
