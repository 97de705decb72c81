//! A new version comes: one pod after the other is stopped and started again while everybody types.

use std::time::Duration;

use atlas_loadtest::replica::Replica;

use super::fleet::{Between, Fleet, PODS};
use super::herd::drawing;
use super::keeper::Keeper;
use crate::faults::crew::now;

const TYPISTS: usize = 6;
/// Nobody is away for longer.
const AWAY_MAX: Duration = Duration::from_secs(2);

// R-MANY-4, R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_restarted_one_after_the_other_and_nobody_minds() {
    let mut fleet = Fleet::start(Between::Redis, &[("ATLAS_DRAIN_SECS", "6")]).await;
    let design = fleet.owner().import(drawing()).await;
    let mut crew = fleet.crew_around(design, TYPISTS).await;
    let balanced = [fleet.balanced_url()];
    let keeper = Keeper::of(&crew, &balanced, &mut fleet.random);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for pod in 0..PODS {
        crew.acknowledged_since(now()).await;
        let began = now();
        let code = tokio::task::block_in_place(|| fleet.pods[pod].server.stop());
        assert_eq!(code, Some(0), "pod {pod} stopped with something left to do");
        println!("pod {pod} stopped after {:?}", began.elapsed());
        tokio::task::block_in_place(|| fleet.pods[pod].server.restart());
        fleet.ready(pod).await;
    }
    let away = keeper.end().await;
    let edits = fleet.rest(&mut crew).await;
    let everything = |replica: &mut Replica| replica.diff_since(&[0]).unwrap().len();
    let whole = crew.desks[0].watcher.with_replica(everything);
    let largest = crew.clients().map(|client| client.look(|seen| seen.largest_return_bytes)).max().unwrap();
    println!(
        "{} times somebody moved, away for {:?} at most; {edits} edits are there once; the largest diff had {largest} bytes of a document of {whole}",
        away.times, away.longest
    );
    assert!((PODS as u64) < away.times, "nobody had to move");
    assert!(away.longest < AWAY_MAX, "somebody was away for {:?}", away.longest);
    // Whoever comes back gets what it missed, not the whole document.
    assert!(0 < largest && largest * 4 < whole, "somebody got {largest} bytes of {whole}");
    crew.leave();
    fleet.check_logs();
    fleet.check_store();
}
