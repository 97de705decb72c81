//! SIGTERM while the store does not answer.

use std::time::Duration;

use super::{DESKS, TYPISTS_PER_DESK, come_back};
use crate::faults::crew::{PATIENCE, now};
use crate::faults::endure::is_told_of_trouble;
use crate::faults::{Bed, Stage, bed};

/// Seconds.
const DRAIN: &str = "2";
/// Drain, a second for threads that are stuck, and some seconds for a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(2 + 1 + 5);

enum Lock {
    Sqlite(sqlx::sqlite::SqliteConnection),
    Network,
}

async fn stop_during_an_outage(bed: Bed) {
    let mut stage = Stage::set_with(bed, &[("ATLAS_DRAIN_SECS", DRAIN)]).await;
    let mut crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    let lock = match &stage.bed {
        Bed::Sqlite => {
            let mut stranger = bed::sqlite(&stage.server).await;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
            Lock::Sqlite(stranger)
        }
        Bed::Postgres(cluster) => {
            cluster.proxy.freeze();
            Lock::Network
        }
    };
    for typist in crew.typists() {
        typist.client.wait_until(PATIENCE, "store.degraded", is_told_of_trouble).await.unwrap();
    }
    let promised = crew.promised();
    let asked = now();
    let code = tokio::task::block_in_place(|| stage.server.stop());
    let took = asked.elapsed();
    assert_eq!(code, Some(1), "edits are lost to the server, and it says that all is well");
    assert!(took < GONE_WITHIN, "it took {took:?}");
    let log = stage.server.log();
    for desk in &crew.desks {
        let named = log.lines().any(|line| line.contains("ERROR") && line.contains(&desk.design));
        assert!(named, "the log does not name {}", desk.design);
    }
    crew.cut_off().await;
    assert!(crew.promised() == promised, "something was acknowledged or shown");

    match lock {
        Lock::Sqlite(mut stranger) => {
            sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
        }
        Lock::Network => stage.bed.cluster().proxy.restore(),
    }
    stage.check_found(&crew, &promised).await;
    tokio::task::block_in_place(|| stage.server.restart());
    for client in crew.clients() {
        come_back(client).await;
    }
    let edits = crew.rest(stage.owner()).await;
    stage.check_logs(&crew).await;
    println!(
        "{}: SIGTERM during an outage took {took:?}, exit code 1, {DESKS} designs named; then {edits} edits are there",
        stage.bed.name()
    );
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_sqlite_is_locked_names_what_is_not_saved() {
    stop_during_an_outage(Bed::Sqlite).await;
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_postgres_is_silent_names_what_is_not_saved() {
    stop_during_an_outage(Bed::postgres().await).await;
}
