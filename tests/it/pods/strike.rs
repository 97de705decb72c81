//! What can happen to a Redis and to the ways there. Every strike proves that it did.

use std::time::Duration;

use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::redis::Wire;

use super::fleet::Fleet;
use crate::faults::crew::{PATIENCE, now};

/// Bytes that were being written when a way was frozen have passed after this.
pub(super) const WRITTEN: Duration = Duration::from_millis(30);
/// One way, of everything that goes to Redis or comes from it.
const SLOW: Duration = Duration::from_millis(300);
/// The pod whose way is frozen alone.
pub(super) const ALONE: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
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
    /// No message ever arrives, and all connections are well.
    Deaf,
    /// Everything comes, and late.
    Slow,
}

impl Fault {
    /// The others are over as soon as they have happened.
    pub(super) fn lasts(self) -> bool {
        !matches!(self, Self::Restarted | Self::Flushed)
    }
}

/// One that has begun.
pub(super) struct Strike {
    fault: Fault,
    /// What was counted at the ways when it had begun.
    before: Vec<u64>,
    /// The process that Redis was.
    process: String,
}

pub(super) fn ways(fleet: &Fleet) -> impl Iterator<Item = &Proxy> {
    fleet.pods.iter().map(|pod| pod.to_redis.as_ref().unwrap())
}

/// Commits that each pod was not told of.
pub(super) fn lost_commits(fleet: &Fleet) -> Vec<u64> {
    ways(fleet).map(Proxy::lost_commits).collect()
}

impl Strike {
    pub(super) async fn begin(fleet: &mut Fleet, fault: Fault) -> Self {
        let process = fleet.redis().info("run_id").await.unwrap();
        match fault {
            Fault::Killed | Fault::Restarted => {
                fleet.redis().kill().await.unwrap();
                assert!(fleet.redis().ask(&["PING"]).await.is_err());
            }
            Fault::Flushed => drop(fleet.redis().must(&["SET", "something", "there"]).await.unwrap()),
            Fault::Paused => {
                fleet.redis().freeze().await.unwrap();
                assert!(is_silent(fleet).await, "it answers");
            }
            Fault::Cut => {
                ways(fleet).for_each(Proxy::cut);
                for way in ways(fleet) {
                    way.empty().await;
                }
            }
            Fault::OnePodFrozen => {
                fleet.pods[ALONE].to_redis.as_ref().unwrap().freeze();
                tokio::time::sleep(WRITTEN).await;
            }
            Fault::Lossy => ways(fleet).for_each(|way| way.lose(10)),
            Fault::Deaf => ways(fleet).for_each(|way| way.lose(100)),
            Fault::Slow => {
                ways(fleet).for_each(|way| way.delay(SLOW));
                assert!(SLOW * 2 <= answer_after(fleet).await, "an answer came early");
            }
        }
        Self { fault, before: counted(fleet, fault), process }
    }

    /// What it was.
    pub(super) async fn end(self, fleet: &mut Fleet) -> String {
        match self.fault {
            Fault::Killed | Fault::Restarted => {
                fleet.redis().restart().await.unwrap();
                assert_ne!(fleet.redis().info("run_id").await.unwrap(), self.process);
                "another process".to_owned()
            }
            Fault::Flushed => {
                let before = fleet.redis().calls("flushall").await.unwrap();
                fleet.redis().must(&["FLUSHALL"]).await.unwrap();
                assert_eq!(fleet.redis().calls("flushall").await.unwrap(), before + 1);
                "everything deleted".to_owned()
            }
            Fault::Paused => {
                assert!(is_silent(fleet).await, "it answers");
                fleet.redis().thaw().await.unwrap();
                "no answer".to_owned()
            }
            Fault::Cut | Fault::OnePodFrozen => {
                assert_eq!(counted(fleet, self.fault), self.before, "bytes passed");
                ways(fleet).for_each(Proxy::restore);
                "not a byte".to_owned()
            }
            Fault::Lossy | Fault::Deaf => {
                let lost = counted(fleet, self.fault).iter().sum::<u64>() - self.before.iter().sum::<u64>();
                ways(fleet).for_each(|way| way.lose(0));
                assert!(0 < lost, "not one commit was lost");
                format!("{lost} times a pod did not hear of a commit")
            }
            Fault::Slow => {
                let answer = answer_after(fleet).await;
                assert!(SLOW * 2 <= answer, "an answer came early");
                ways(fleet).for_each(|way| way.delay(Duration::ZERO));
                format!("answers after {answer:?}")
            }
        }
    }
}

/// What the proof of this fault compares.
fn counted(fleet: &Fleet, fault: Fault) -> Vec<u64> {
    match fault {
        Fault::Cut => ways(fleet).map(|way| way.passed().down).collect(),
        Fault::OnePodFrozen => ways(fleet).skip(ALONE).take(1).map(|way| way.passed().down).collect(),
        _ => lost_commits(fleet),
    }
}

async fn is_silent(fleet: &mut Fleet) -> bool {
    tokio::time::timeout(Duration::from_millis(50), fleet.redis().ask(&["PING"])).await.is_err()
}

/// At every way.
async fn answer_after(fleet: &Fleet) -> Duration {
    let mut soonest = PATIENCE;
    for way in ways(fleet) {
        let mut wire = Wire::open(way.address()).await.unwrap();
        let asked = now();
        wire.must(&["PING"]).await.unwrap();
        soonest = soonest.min(asked.elapsed());
    }
    soonest
}
