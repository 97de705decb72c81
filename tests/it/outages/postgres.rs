//! Postgres that does not answer, cannot be reached, is gone, or is in somebody else's hands.

use std::time::Duration;

use atlas_loadtest::client::Client;
use atlas_loadtest::services::postgres::Postgres;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{DESKS, TYPISTS_PER_DESK, fill, length, one_poisoned_design, recovered};
use crate::faults::crew::{PATIENCE, a_while, now};
use crate::faults::endure::{Joins, endure, is_told_of_trouble};
use crate::faults::{Bed, Stage};

/// What is done to the cluster, or to the way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// Its processes are stopped: connections stand, nobody answers.
    Frozen,
    /// A cable is pulled and nobody notices.
    Unreachable,
    /// A cable is pulled and everybody notices.
    Cut,
    /// Killed, and started again at the end.
    Killed,
}

async fn outage(bed: Bed, harm: Harm, what: &str) {
    let mut stage = Stage::set(bed).await;
    let crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    let cluster = stage.bed.cluster();
    match harm {
        Harm::Frozen => cluster.freeze(),
        Harm::Unreachable => cluster.proxy.freeze(),
        Harm::Cut => cluster.proxy.cut(),
        Harm::Killed => cluster.postgres.kill().await.unwrap(),
    }
    let passed = cluster.proxy.passed();
    let figures = endure(&stage, &crew, length(), Joins::Refused).await;
    let cluster = stage.bed.cluster();
    match harm {
        Harm::Frozen => assert!(cluster.is_frozen(), "somebody woke it"),
        Harm::Unreachable | Harm::Cut => assert_eq!(cluster.proxy.passed(), passed, "something came through"),
        Harm::Killed => assert_eq!(cluster.postgres.pid(), None),
    }
    stage.server.nobody().get("/ready").await.expect_problem(503, "store_unavailable");
    let cluster = stage.bed.cluster();
    match harm {
        Harm::Frozen => cluster.thaw(),
        Harm::Unreachable | Harm::Cut => cluster.proxy.restore(),
        Harm::Killed => cluster.postgres.restart().await.unwrap(),
    }
    recovered(&mut stage, crew, what, &figures).await;
}

// R-NOTE-2, R-COUNT-1, R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_frozen() {
    outage(Bed::postgres().await, Harm::Frozen, "frozen").await;
}

// R-NOTE-2, R-COUNT-1, R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_pgbouncer_is_silent() {
    outage(Bed::pgbouncer().await, Harm::Unreachable, "behind a silent network").await;
}

// R-NOTE-2, R-COUNT-1, R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_postgres_is_cut() {
    outage(Bed::postgres().await, Harm::Cut, "cut off").await;
}

// R-NOTE-2, R-COUNT-1, R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_gone() {
    outage(Bed::postgres().await, Harm::Killed, "killed and gone").await;
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_no_room_left() {
    const DISK_MIB: u32 = 96;
    let postgres = match Postgres::start_on_small_disk(DISK_MIB).await {
        Ok(postgres) => postgres,
        Err(why) => return println!("skipped: no file system of its own can be mounted here: {why:#}"),
    };
    let mut stage = Stage::set(Bed::postgres_of(postgres).await).await;
    let crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    let ballast = stage.bed.cluster().postgres.inner_path("ballast").unwrap();
    assert_eq!(fill(&ballast).kind(), std::io::ErrorKind::StorageFull);
    // What is left in pages that exist is used up first.
    let full_at = now();
    while crew.quiet_for() < Duration::from_secs(1) {
        assert!(full_at.elapsed() < PATIENCE, "the disk is full and edits are saved");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let figures = endure(&stage, &crew, length(), Joins::Admitted).await;
    assert!(stage.server.log().contains("No space left"), "the server says why");
    std::fs::remove_file(&ballast).unwrap();
    recovered(&mut stage, crew, "on a full disk", &figures).await;
}

// R-NOTE-2, R-COUNT-1
/// The primary dies. Its standby, which has all that was acknowledged, is there under the same address at once, and takes
/// no writes before somebody promotes it. Until then it is not asked for designs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_fails_over_to_its_standby() {
    let mut stage = Stage::set(Bed::postgres().await).await;
    let standby = stage.bed.cluster().postgres.standby().await.unwrap();
    let crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    crew.acknowledged_since(now()).await;
    a_while(&mut stage.random, Duration::from_secs(1)).await;
    stage.bed.cluster().lose_to(standby).await;
    // A standby may lag behind what was acknowledged: nothing is read from it either.
    let figures = endure(&stage, &crew, length(), Joins::Refused).await;
    let promised = crew.promised();
    assert_eq!(
        stage.bed.cluster().postgres.sql("postgres", "SELECT pg_is_in_recovery()").await.unwrap(),
        "t"
    );
    stage.bed.cluster().postgres.promote().await.unwrap();
    stage.check_found(&crew, &promised).await;
    recovered(&mut stage, crew, "dead and its standby not promoted", &figures).await;
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_design_of_a_thousand_is_refused_by_postgres() {
    one_poisoned_design(Bed::postgres().await).await;
}

// R-NOTE-2, R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_locks_the_row_of_one_design() {
    /// How long the others may be without an acknowledgement while everybody types.
    const QUIET_MAX: Duration = Duration::from_secs(1);
    let mut stage = Stage::set(Bed::postgres().await).await;
    let mut crew = stage.crew(8, 1).await;
    crew.acknowledged_since(now()).await;
    let mut stranger = stage.bed.cluster().stranger().await;
    let mut lock = stranger.begin().await.unwrap();
    let locked = &crew.desks[0];
    let id: Uuid = locked.design.parse().unwrap();
    sqlx::query("SELECT head_seq FROM design_heads WHERE design_id = $1 FOR UPDATE")
        .bind(id)
        .execute(&mut *lock)
        .await
        .unwrap();
    let typist = &locked.typists[0];
    typist.client.wait_until(PATIENCE, "store.degraded", is_told_of_trouble).await.unwrap();
    let before = (typist.acknowledged(), typist.seen_by(&locked.watcher));
    let (began, mut longest) = (now(), Duration::ZERO);
    while began.elapsed() < length() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for other in crew.desks[1..].iter().flat_map(|desk| &desk.typists) {
            let newest = other.client.look(|seen| seen.acknowledged_at).unwrap();
            longest = longest.max(newest.elapsed());
            assert!(longest < QUIET_MAX, "another design waits for {longest:?}");
        }
    }
    for other in crew.desks[1..].iter().flat_map(|desk| &desk.typists) {
        assert_eq!(other.client.look(|seen| seen.notice("store.degraded").cloned()), None);
    }
    assert_eq!((typist.acknowledged(), typist.seen_by(&locked.watcher)), before);
    assert!(before.0 < typist.made());
    lock.rollback().await.unwrap();
    let well_at = now();
    crew.acknowledged_since(well_at).await;
    let again = well_at.elapsed();
    let healthy = |client: &Client| !is_told_of_trouble(client);
    typist.client.wait_until(PATIENCE, "store.healthy", healthy).await.unwrap();
    let edits = crew.rest(stage.owner()).await;
    stage.check_logs(&crew).await;
    println!(
        "one of 8 rows was locked for {:?}: the others were never without an acknowledgement for more than {longest:?}; \
         it flowed again after {again:?}, {edits} edits are there",
        length()
    );
}
