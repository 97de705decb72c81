//! Pods die, and pods lose the database, while the others go on.

use std::time::Duration;

use atlas_loadtest::client::Client;
use atlas_loadtest::world;

use super::fleet::{Fleet, PODS};
use super::keeper::Keeper;
use super::{CONVERGED_WITHIN, lag};
use crate::faults::crew::{PATIENCE, a_while, now};
use crate::faults::endure::is_told_of_trouble;

const KILLS: u64 = 6;
const TYPISTS: usize = 4;
/// So long ago an acknowledgement may be if they flow.
const FLOWING: Duration = Duration::from_millis(50);

/// kill -9 of any pod at any moment; its people go to any other one, mid-edit, and none of them is refused.
// R-MANY-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_killed_and_their_people_roam() {
    let mut fleet = Fleet::with_redis().await;
    let kills = world::long_count("ATLAS_POD_KILLS").unwrap_or(KILLS);
    let mut crew = fleet.crew(1, TYPISTS).await;
    let balanced = [fleet.balanced_url()];
    let keeper = Keeper::of(&crew, &balanced, &mut fleet.random);
    let (mut slowest, mut not_counted) = (Duration::ZERO, 0);
    for _ in 0..kills {
        crew.acknowledged_since(now()).await;
        a_while(&mut fleet.random, Duration::from_millis(300)).await;
        // Counts only if acknowledgements flow and somebody has to move.
        while FLOWING < crew.quiet_for() {
            not_counted += 1;
            a_while(&mut fleet.random, Duration::from_millis(300)).await;
        }
        let visited = fleet.visited().await;
        let victim = visited[fleet.random.index(visited.len())];
        fleet.pods[victim].server.kill();
        let killed = now();
        crew.acknowledged_since(killed).await;
        slowest = slowest.max(killed.elapsed());
        a_while(&mut fleet.random, Duration::from_millis(800)).await;
        tokio::task::block_in_place(|| fleet.pods[victim].server.restart());
        fleet.ready(victim).await;
    }
    let away = keeper.end().await;
    let edits = fleet.rest(&mut crew).await;
    crew.leave();
    assert!(kills <= away.times, "{} moves after {kills} kills", away.times);
    println!(
        "{kills} kills of a pod ({not_counted} put off since nothing flowed): {} times somebody moved, away for {:?} at most; everybody was acknowledged something {slowest:?} after a kill at most; {edits} edits are there",
        away.times, away.longest
    );
    fleet.check_logs();
    fleet.check_store();
}

/// The pod that is cut off acknowledges and shows nothing, and says so; the others do not notice. Afterwards all is one again.
// R-MANY-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pod_loses_the_database() {
    const CUT_OFF: usize = 1;
    let mut fleet = Fleet::with_redis().await;
    let mut crew = fleet.crew(1, PODS).await;
    let length = world::long_run("ATLAS_OUTAGE_SECS").unwrap_or(Duration::from_secs(5));
    for is_silent in [false, true] {
        let way = &fleet.pods[CUT_OFF].to_postgres;
        if is_silent {
            way.freeze();
        } else {
            way.cut();
            way.empty().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = way.passed();
        let desk = &crew.desks[0];
        let alone = &desk.typists[CUT_OFF];
        alone.client.wait_until(PATIENCE, "store.degraded", is_told_of_trouble).await.unwrap();
        let acknowledged = alone.acknowledged();
        let others: Vec<_> = (0..PODS).filter(|pod| *pod != CUT_OFF).map(|pod| &desk.typists[pod]).collect();
        let theirs: Vec<u64> = others.iter().map(|typist| typist.acknowledged()).collect();
        tokio::time::sleep(length).await;
        assert_eq!(way.passed(), before, "bytes passed");
        assert_eq!(alone.acknowledged(), acknowledged, "acknowledged without a database");
        for (typist, before) in others.iter().zip(theirs) {
            assert!(before + 50 < typist.acknowledged(), "the other pods hardly work");
            assert!(!is_told_of_trouble(&typist.client), "the other pods are in trouble");
        }
        // Nobody sees what is not stored.
        let seen = others.iter().map(|other| alone.seen_by(&other.client)).max().unwrap();
        assert!(seen <= acknowledged + 400, "{seen} edits of the pod that is cut off are seen");
        way.restore();
        let well = now();
        alone
            .client
            .wait_until(PATIENCE, "an acknowledgement", |_| acknowledged < alone.acknowledged())
            .await
            .unwrap();
        let flows = well.elapsed();
        let converged = lag::converged(&crew).await;
        let took = well.elapsed();
        println!(
            "one pod without a database for {length:?} ({}): acknowledged again after {flows:?}, one drawing after {took:?} ({converged:?} of it waiting)",
            if is_silent { "silent" } else { "cut" }
        );
        assert!(took < CONVERGED_WITHIN, "it took {took:?}");
        let healthy = |client: &Client| !is_told_of_trouble(client);
        alone.client.wait_until(PATIENCE, "store.healthy", healthy).await.unwrap();
    }
    let edits = fleet.rest(&mut crew).await;
    crew.leave();
    println!("{edits} edits are there");
    fleet.check_logs();
    fleet.check_store();
}
