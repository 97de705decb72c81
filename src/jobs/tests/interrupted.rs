//! Folds that are cut off at every call, and then tried again.

use std::sync::atomic::Ordering;

use crate::jobs::compact::{Compact, Portions};
use crate::jobs::fsck::Depth;
use crate::jobs::testing::{Fault, SETTINGS, World};
use crate::store::jobs::JobEnd;

/// Whatever call fails, or loses its answer, or never answers: the next try ends as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_that_is_cut_off_anywhere_is_made_whole_by_the_next() {
    let mut cut_off = 0;
    let faults = [Fault::Fails, Fault::IsForgotten, Fault::Hangs];
    for (fault, is_away) in faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        for at in 1.. {
            let mut world = World::new().await;
            world.edit(25).await;
            // Some of it is folded already, and some blobs wait.
            world.fold().await;
            world.edit(40).await;
            world.blobs.is_away.store(is_away, Ordering::SeqCst);
            world.clock.advance(SETTINGS.folds.keep);
            let mut calls = 0;
            world.upkeep.fail(move |_| {
                calls += 1;
                (calls == at).then_some(fault)
            });
            let job = world.claim().await;
            let lease = job.lease;
            let portions = Portions { rows: 8, bytes: 1 << 20, pieces: 3 };
            let compact = Compact { portions, ..world.compact() };
            let run = compact.run(job);
            let end = if fault == Fault::Hangs {
                // The runner drops what does not get on.
                let hung = async {
                    while world.upkeep.faults_seen.load(Ordering::SeqCst) == 0 {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                };
                tokio::select! {
                    biased;
                    end = run => Some(end),
                    () = hung => None,
                }
            } else {
                Some(run.await)
            };
            let was_cut = world.upkeep.faults_seen.load(Ordering::SeqCst) == 1;
            cut_off += u32::from(was_cut);
            world.upkeep.heal();
            match end {
                Some(end) => {
                    let failed = matches!(end, JobEnd::Failed { .. });
                    assert_eq!(failed, was_cut, "{fault:?} at call {at}: {end:?}");
                    world.end(lease, end).await;
                }
                None => world.clock.advance(crate::jobs::testing::LEASE),
            }
            // What waits still waits; a check can look at it, and at the rest.
            world.blobs.is_away.store(false, Ordering::SeqCst);
            assert_eq!(world.stored().await, world.expected(), "{fault:?} at call {at}");
            assert_eq!(world.check_at(Depth::Contents).await, [""; 0], "{fault:?} at call {at}");
            world.edit(10).await;
            world.clock.advance(SETTINGS.folds.keep);
            assert_eq!(world.fold().await, JobEnd::Done, "{fault:?} at call {at}");
            assert_eq!(world.folded().await, world.head());
            assert_eq!(world.stored().await, world.expected(), "{fault:?} at call {at}");
            assert_eq!(world.check_at(Depth::Contents).await, [""; 0], "{fault:?} at call {at}");
            if !was_cut {
                assert!(10 < at, "a fold of {at} calls");
                break;
            }
        }
    }
    println!("{cut_off} folds were cut off");
    assert!(60 < cut_off);
}
