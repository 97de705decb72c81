//! A new version comes: one pod after the other is stopped and started again while everybody types.

use std::time::Duration;

use super::fleet::{Between, Fleet, PODS};
use super::keeper::Keeper;
use crate::faults::crew::now;

const TYPISTS: usize = 6;
/// Nobody is away for longer.
const AWAY_MAX: Duration = Duration::from_secs(2);
/// Bytes. Whoever comes back gets what it missed, not the whole document.
const DIFF_BYTES_MAX: usize = 60_000;

// R-MANY-4, R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_restarted_one_after_the_other_and_nobody_minds() {
    let mut fleet = Fleet::start(Between::Redis, &[("ATLAS_DRAIN_SECS", "6")]).await;
    let mut crew = fleet.crew(1, TYPISTS).await;
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
    let whole = serde_json::to_vec(&crew.desks[0].watcher.json()).unwrap().len();
    let largest = crew.clients().map(|client| client.look(|seen| seen.largest_return_bytes)).max().unwrap();
    println!(
        "{} times somebody moved, away for {:?} at most; {edits} edits are there once; the largest diff had {largest} bytes of a drawing of {whole}",
        away.times, away.longest
    );
    assert!((PODS as u64) < away.times, "nobody had to move");
    assert!(away.longest < AWAY_MAX, "somebody was away for {:?}", away.longest);
    assert!(largest < DIFF_BYTES_MAX, "somebody got {largest} bytes");
    crew.leave();
    fleet.check_logs();
    fleet.check_store();
}
