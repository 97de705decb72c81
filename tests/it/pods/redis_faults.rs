//! Whatever happens to Redis, an edit that is saved is seen by everybody within two seconds, and nothing is lost.

use std::time::Duration;

use atlas_loadtest::world;

use super::fleet::{Between, Fleet};
use super::lag::LagMeter;
use super::{CONVERGED_WITHIN, lag};
use crate::faults::Crew;
use crate::faults::crew::now;

const TYPISTS: usize = 3;
/// How long a fault lasts; `ATLAS_OUTAGE_SECS` says otherwise.
const LENGTH: Duration = Duration::from_secs(3);
const CALM: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// kill -9, and after a while a new one, empty.
    Killed,
    /// Killed and started again at once.
    Restarted,
    Flushed,
    /// SIGSTOP, and after a while SIGCONT.
    Paused,
    /// Every pod's way to it is cut.
    Cut,
    /// One pod's way to it is frozen: connections stand, and nothing comes.
    OnePodFrozen,
    /// A tenth of all messages never arrives.
    Lossy,
}

/// Lets it happen, and proves that it did.
async fn strike(fleet: &mut Fleet, fault: Fault, length: Duration) -> String {
    let ways = |fleet: &Fleet| -> Vec<u64> {
        fleet.pods.iter().map(|pod| pod.to_redis.as_ref().unwrap().passed().down).collect()
    };
    match fault {
        Fault::Killed => {
            fleet.redis().kill().await.unwrap();
            assert!(fleet.redis().ask(&["PING"]).await.is_err());
            tokio::time::sleep(length).await;
            fleet.redis().restart().await.unwrap();
            format!("gone for {length:?}")
        }
        Fault::Restarted => {
            let before = fleet.redis().info("run_id").await.unwrap();
            fleet.redis().restart().await.unwrap();
            assert_ne!(fleet.redis().info("run_id").await.unwrap(), before);
            tokio::time::sleep(length).await;
            "another process".to_owned()
        }
        Fault::Flushed => {
            fleet.redis().must(&["SET", "something", "there"]).await.unwrap();
            fleet.redis().must(&["FLUSHALL"]).await.unwrap();
            assert_eq!(fleet.redis().calls("flushall").await.unwrap(), 1);
            tokio::time::sleep(length).await;
            "everything deleted".to_owned()
        }
        Fault::Paused => {
            fleet.redis().freeze().await.unwrap();
            let silent = tokio::time::timeout(Duration::from_millis(50), fleet.redis().ask(&["PING"])).await;
            assert!(silent.is_err(), "it answers");
            tokio::time::sleep(length).await;
            fleet.redis().thaw().await.unwrap();
            format!("no answer for {length:?}")
        }
        Fault::Cut => {
            let cut = |fleet: &Fleet| fleet.pods.iter().for_each(|pod| pod.to_redis.as_ref().unwrap().cut());
            cut(fleet);
            for pod in &fleet.pods {
                pod.to_redis.as_ref().unwrap().empty().await;
            }
            let before = ways(fleet);
            tokio::time::sleep(length).await;
            assert_eq!(ways(fleet), before, "bytes passed");
            fleet.pods.iter().for_each(|pod| pod.to_redis.as_ref().unwrap().restore());
            format!("not a byte for {length:?}")
        }
        Fault::OnePodFrozen => {
            let way = |fleet: &Fleet| fleet.pods[1].to_redis.as_ref().unwrap().passed().down;
            fleet.pods[1].to_redis.as_ref().unwrap().freeze();
            tokio::time::sleep(CALM / 5).await;
            let before = way(fleet);
            tokio::time::sleep(length).await;
            assert_eq!(way(fleet), before, "bytes passed");
            fleet.pods[1].to_redis.as_ref().unwrap().restore();
            format!("one pod heard not a byte for {length:?}")
        }
        Fault::Lossy => {
            let count = |fleet: &Fleet| -> u64 {
                fleet.pods.iter().map(|pod| pod.to_redis.as_ref().unwrap().messages().0).sum()
            };
            let before = count(fleet);
            fleet.pods.iter().for_each(|pod| pod.to_redis.as_ref().unwrap().lose(10));
            tokio::time::sleep(length * 2).await;
            fleet.pods.iter().for_each(|pod| pod.to_redis.as_ref().unwrap().lose(0));
            let lost = count(fleet) - before;
            assert!(0 < lost, "not one message was lost");
            format!("{lost} messages lost")
        }
    }
}

async fn endure(fleet: &mut Fleet, fault: Fault, length: Duration) {
    let crew = fleet.crew(1, TYPISTS).await;
    let meter = LagMeter::of(&crew);
    tokio::time::sleep(CALM).await;
    let flowing = crew.acknowledgements();
    let what = strike(fleet, fault, length).await;
    let ended = now();
    assert!(flowing < crew.acknowledgements(), "nobody was acknowledged anything");
    crew.acknowledged_since(ended).await;
    let converged = lag::converged(&crew).await;
    tokio::time::sleep(CALM).await;
    let lag = meter.end().await;
    let edits = finish(fleet, crew).await;
    println!(
        "{fault:?} ({what}): what was saved was seen by everybody after {:?} at most, all of it {converged:?} after the end, {edits} edits, {} looks",
        lag.longest, lag.looks
    );
    assert!(lag.longest < CONVERGED_WITHIN, "{fault:?}: somebody waited {:?}", lag.longest);
}

async fn finish(fleet: &Fleet, mut crew: Crew) -> u64 {
    let edits = fleet.rest(&mut crew).await;
    crew.leave();
    edits
}

fn length() -> Duration {
    world::long_run("ATLAS_OUTAGE_SECS").unwrap_or(LENGTH)
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_starts_again_is_emptied_and_stands_still() {
    let mut fleet = Fleet::with_redis().await;
    for fault in [Fault::Killed, Fault::Restarted, Fault::Flushed, Fault::Paused] {
        endure(&mut fleet, fault, length()).await;
    }
    fleet.check_logs();
    fleet.check_store();
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ways_to_redis_are_cut_frozen_and_lossy() {
    let mut fleet = Fleet::with_redis().await;
    for fault in [Fault::Cut, Fault::OnePodFrozen, Fault::Lossy] {
        endure(&mut fleet, fault, length()).await;
    }
    fleet.check_logs();
    fleet.check_store();
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_absent_from_the_start_and_comes_later() {
    let mut fleet = Fleet::start(Between::DeadRedis, &[]).await;
    let crew = fleet.crew(1, TYPISTS).await;
    let meter = LagMeter::of(&crew);
    tokio::time::sleep(length()).await;
    let lag = meter.end().await;
    println!("Redis absent: what was saved was seen by everybody after {:?} at most", lag.longest);
    assert!(lag.longest < CONVERGED_WITHIN, "somebody waited {:?}", lag.longest);
    fleet.redis().restart().await.unwrap();
    let began = now();
    while fleet.redis().calls("spublish").await.unwrap() < 10 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody found the Redis that came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let edits = finish(&fleet, crew).await;
    println!("it was found and used {:?} after it came; {edits} edits", began.elapsed());
    fleet.check_logs();
    fleet.check_store();
}
