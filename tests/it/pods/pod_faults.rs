//! Pods die, and pods lose the database, while the others go on.

use std::time::Duration;

use atlas_loadtest::client::Client;
use atlas_loadtest::world;

use super::fleet::{Fleet, PODS};
use super::keeper::Keeper;
use super::kill::{FLOWING, flows_at, kill};
use super::stall::Stalls;
use super::{CONVERGED_WITHIN, lag};
use crate::faults::Crew;
use crate::faults::crew::{Desk, PATIENCE, a_while, edits_in_snapshot, now};
use crate::faults::endure::is_told_of_trouble;
use crate::faults::typist::Typist;

const KILLS: u64 = 6;
const TYPISTS: usize = 4;

/// kill -9 of any pod that has just acknowledged something; its people go to any other one, mid-edit, and none of them is
/// refused.
// R-MANY-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_killed_and_their_people_roam() {
    let mut fleet = Fleet::with_redis().await;
    let kills = world::long_count("ATLAS_POD_KILLS").unwrap_or(KILLS);
    let mut crew = fleet.crew(1, TYPISTS).await;
    let urls = fleet.ws_urls();
    let keeper = Keeper::of(&crew, &urls, &mut fleet.random);
    let (mut slowest, mut longest_ago, mut checked) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..kills {
        crew.acknowledged_since(now()).await;
        a_while(&mut fleet.random, Duration::from_millis(300)).await;
        let held = keeper.hold().await;
        let victims: Vec<usize> = (0..PODS).filter(|pod| types_at(&crew, &keeper, *pod)).collect();
        let victim = victims[fleet.random.index(victims.len())];
        longest_ago = longest_ago.max(flows_at(&keeper, victim).await);
        checked += kill(&mut fleet, &crew, &keeper, victim).await;
        drop(held);
        let free = now();
        crew.acknowledged_since(free).await;
        slowest = slowest.max(free.elapsed());
        a_while(&mut fleet.random, Duration::from_millis(800)).await;
        tokio::task::block_in_place(|| fleet.pods[victim].server.restart());
        fleet.ready(victim).await;
    }
    let away = keeper.end().await;
    let edits = fleet.rest(&mut crew).await;
    crew.leave();
    assert!(kills <= away.times, "{} moves after {kills} kills", away.times);
    assert!(longest_ago < FLOWING);
    println!(
        "{kills} kills of a pod, each {longest_ago:?} after it had acknowledged something at most: {checked} edits were found stored before \
         anybody came back; {} times somebody moved, away for {:?} at most; everybody was acknowledged something after {slowest:?} at most; \
         {edits} edits are there, each logged once",
        away.times, away.longest
    );
    fleet.check_logs();
    fleet.check_store();
}

fn types_at(crew: &Crew, keeper: &Keeper, pod: usize) -> bool {
    let there: Vec<u64> = keeper.at(pod).map(Client::client_id).collect();
    crew.typists().any(|typist| there.contains(&typist.client.client_id()))
}

/// This typist's edits that are stored, read past the server.
async fn stored(fleet: &Fleet, desk: &Desk, typist: &Typist) -> u64 {
    let found = fleet.bed.found(&fleet.pods[0].server, &desk.design).await;
    edits_in_snapshot(&found.document(), &typist.node)
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
        let (acknowledged, kept) = (alone.acknowledged(), stored(&fleet, desk, alone).await);
        let others: Vec<_> = (0..PODS).filter(|pod| *pod != CUT_OFF).map(|pod| &desk.typists[pod]).collect();
        let theirs: Vec<u64> = others.iter().map(|typist| typist.acknowledged()).collect();
        tokio::time::sleep(length).await;
        assert_eq!(way.passed(), before, "bytes passed");
        assert_eq!(alone.acknowledged(), acknowledged, "acknowledged without a database");
        for (typist, before) in others.iter().zip(theirs) {
            assert!(before + 50 < typist.acknowledged(), "the other pods hardly work");
            assert!(!is_told_of_trouble(&typist.client), "the other pods are in trouble");
        }
        assert!(acknowledged < alone.made(), "nobody typed there");
        // Nobody sees what is not stored.
        let own = alone.client.client_id();
        let seen =
            desk.clients().filter(|client| client.client_id() != own).map(|client| alone.seen_by(client));
        let (seen, still) = (seen.max().unwrap(), stored(&fleet, desk, alone).await);
        assert_eq!(still, kept, "edits were stored without a database");
        assert!(seen <= kept, "{seen} edits of the pod that is cut off are seen, {kept} are stored");
        let stalls = Stalls::watch();
        way.restore();
        let well = now();
        alone
            .client
            .wait_until(PATIENCE, "an acknowledgement", |_| acknowledged < alone.acknowledged())
            .await
            .unwrap();
        let flows = well.elapsed();
        let converged = lag::converged(&crew).await;
        let took = stalls.without(well.elapsed(), Duration::ZERO);
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
