//! Stories of claims and leases, and of all jobs together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::bus::local::LocalBus;
use crate::clock::Clock;
use crate::jobs::runner::{Runner, Terms};
use crate::jobs::testing::{Fault, LEASE, SETTINGS, World, eventually};
use crate::jobs::{FoldSettings, Hints, JobDeps, JobSettings, Jobs};
use crate::lifecycle::Tasks;
use crate::store::Store as _;
use crate::store::analyses::AnalysisHints;
use crate::store::jobs::{Job, JobEnd, JobKind};
use crate::store::upkeep::Upkeep;

/// A pod whose work counts itself, and waits until it may end.
struct Pod {
    world: World,
    wake: Arc<Notify>,
    stop: CancellationToken,
    begun: Arc<AtomicU32>,
    dropped: Arc<AtomicBool>,
    may_end: Arc<Notify>,
    tasks: Tasks,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Pod {
    async fn new() -> Self {
        let pod = Self {
            world: World::new().await,
            wake: Arc::default(),
            stop: CancellationToken::new(),
            begun: Arc::default(),
            dropped: Arc::default(),
            may_end: Arc::default(),
            tasks: Tasks::new(),
        };
        pod.run();
        pod
    }

    fn run(&self) {
        let runner = Runner {
            kind: JobKind::Compact,
            terms: Terms::default(),
            upkeep: Arc::clone(&self.world.upkeep) as Arc<dyn Upkeep>,
            clock: self.world.clock.clone(),
            ids: self.world.ids.clone(),
            pod: PodId::new(7),
            wake: Arc::clone(&self.wake),
            stop: self.stop.clone(),
        };
        let (begun, dropped, may_end) =
            (Arc::clone(&self.begun), Arc::clone(&self.dropped), Arc::clone(&self.may_end));
        self.tasks.spawn("runner", async move {
            let work = |_: Job| {
                let (begun, dropped, may_end) =
                    (Arc::clone(&begun), OnDrop(Arc::clone(&dropped)), Arc::clone(&may_end));
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    may_end.notified().await;
                    std::mem::forget(dropped);
                    JobEnd::Done
                }
            };
            runner.run(work).await;
        });
    }

    async fn enqueue(&self) {
        self.world.store.enqueue(JobKind::Compact, self.world.design, Duration::ZERO).await.unwrap();
    }

    async fn until_begun(&self, times: u32) {
        eventually(&self.world.clock, "the work begins", async || self.begun.load(Ordering::SeqCst) == times)
            .await;
    }

    /// What another pod finds to do.
    async fn others_find(&self) -> Option<Job> {
        self.world.store.claim_job(JobKind::Compact, PodId::new(8), LEASE).await.unwrap()
    }

    /// Lets time pass in steps that everybody sees.
    async fn pass(&self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.world.clock.advance(Duration::from_secs(1));
            // A lease is renewed within 40 of these: time enough for a database on a busy machine.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn has_ended(&self) {
        self.stop.cancel();
        let all = eventually(&self.world.clock, "the runner ends", async || self.tasks.running() == 0);
        all.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_wakes_at_once_and_a_look_now_and_then_finds_the_rest() {
    let pod = Pod::new().await;
    eventually(&pod.world.clock, "the first look", async || {
        0 < pod.world.upkeep.calls.load(Ordering::SeqCst)
    })
    .await;
    pod.enqueue().await;
    let began = pod.world.clock.now();
    // Time stands still: nothing but the hint can wake it.
    pod.wake.notify_one();
    while pod.begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(pod.world.clock.now(), began);
    pod.may_end.notify_one();
    pod.enqueue().await;
    pod.until_begun(2).await;
    pod.may_end.notify_one();
    pod.has_ended().await;
    assert!(pod.others_find().await.is_none(), "both are done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_held_for_as_long_as_the_work_takes() {
    let pod = Pod::new().await;
    pod.enqueue().await;
    pod.until_begun(1).await;
    let renewals = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&renewals);
    pod.world.upkeep.fail(move |call| {
        // Now and then one fails: the next comes in time.
        let n = if call == "renew_job" { count.fetch_add(1, Ordering::SeqCst) } else { 0 };
        (n % 3 == 1).then_some(Fault::Fails)
    });
    for _ in 0..10 {
        pod.pass(Duration::from_secs(30)).await;
        assert!(pod.others_find().await.is_none());
    }
    assert!(10 < renewals.load(Ordering::SeqCst));
    assert!(!pod.dropped.load(Ordering::SeqCst));
    pod.may_end.notify_one();
    pod.has_ended().await;
    pod.world.clock.advance(LEASE);
    assert!(pod.others_find().await.is_none(), "it is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_renew_the_lease_drops_the_work() {
    for fault in [Fault::Fails, Fault::Hangs] {
        let pod = Pod::new().await;
        pod.enqueue().await;
        pod.until_begun(1).await;
        pod.world.upkeep.fail(move |call| (call == "renew_job").then_some(fault));
        pod.pass(Duration::from_secs(40)).await;
        assert!(!pod.dropped.load(Ordering::SeqCst), "{fault:?}: it may still hold it");
        eventually(&pod.world.clock, "dropping", async || pod.dropped.load(Ordering::SeqCst)).await;
        // And it looks for work as before.
        pod.until_begun(2).await;
        pod.has_ended().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_puts_the_work_back_for_others() {
    let pod = Pod::new().await;
    pod.enqueue().await;
    pod.until_begun(1).await;
    pod.has_ended().await;
    assert!(pod.dropped.load(Ordering::SeqCst));
    let job = pod.others_find().await.unwrap();
    assert_eq!(job.failures, 0, "nobody failed");

    // A database that does not answer holds up no stop: the lease runs out.
    let pod = Pod::new().await;
    pod.enqueue().await;
    pod.until_begun(1).await;
    pod.world.upkeep.fail(|_| Some(Fault::Hangs));
    let began = pod.world.clock.now();
    pod.has_ended().await;
    assert!(pod.world.clock.now().since(began) < 5_000);
    assert!(pod.others_find().await.is_none());
    pod.world.clock.advance(LEASE);
    assert!(pod.others_find().await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_asked_again_less_and_less_often() {
    let pod = Pod::new().await;
    pod.enqueue().await;
    pod.world.upkeep.fail(|_| Some(Fault::Fails));
    pod.pass(Duration::from_mins(5)).await;
    let asked = pod.world.upkeep.faults_seen.load(Ordering::SeqCst);
    assert!((15..50).contains(&asked), "{asked} times in five minutes");
    pod.world.upkeep.heal();
    pod.until_begun(1).await;
    pod.may_end.notify_one();
    pod.has_ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_never_ends_well_is_put_off_every_other_time() {
    let pod = Pod::new().await;
    pod.stop.cancel();
    pod.enqueue().await;
    // Four pods claimed it and were never heard of again.
    for failures in 0..4 {
        assert_eq!(pod.others_find().await.unwrap().failures, failures);
        pod.world.clock.advance(LEASE);
    }
    let pod = Pod { stop: CancellationToken::new(), ..pod };
    pod.run();
    pod.pass(Duration::from_mins(9)).await;
    assert_eq!(pod.begun.load(Ordering::SeqCst), 0);
    pod.until_begun(1).await;
    pod.may_end.notify_one();
    pod.has_ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_one_job_and_nothing_else() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let runner = Runner {
        kind: JobKind::Compact,
        terms: Terms::default(),
        upkeep: Arc::clone(&world.upkeep) as Arc<dyn Upkeep>,
        clock: world.clock.clone(),
        ids: world.ids.clone(),
        pod: PodId::new(7),
        wake: Arc::default(),
        stop: stop.clone(),
    };
    world.store.enqueue(JobKind::Compact, world.design, Duration::ZERO).await.unwrap();
    let times = AtomicU32::new(0);
    let work = |_: Job| async {
        assert_ne!(times.fetch_add(1, Ordering::SeqCst), 0, "a deliberate panic of this test");
        stop.cancel();
        JobEnd::Done
    };
    let time = async {
        while !stop.is_cancelled() {
            world.clock.advance(Duration::from_mins(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::join!(runner.run(work), time);
    assert_eq!(times.load(Ordering::SeqCst), 2);
}

/// A way for hints about long logs; nothing settles.
fn ways() -> (mpsc::Sender<DesignId>, Hints) {
    let (hint, folds) = mpsc::channel(4);
    (hint, Hints { folds, analyses: AnalysisHints::channel(1).1 })
}

/// Everything together, by the real clock: a hint, a sweep, a deletion, and a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_do_what_they_are_hinted_at_and_what_they_find() {
    let mut world = World::on(Clock::system()).await;
    let tasks = Tasks::new();
    let (hint, hints) = ways();
    let keep = Duration::ZERO;
    let settings =
        |sweep_every| JobSettings { folds: FoldSettings { keep, sweep_every, ..SETTINGS.folds }, ..SETTINGS };
    let deps = |settings| JobDeps {
        stores: world.stores(),
        bus: Arc::new(LocalBus::new()),
        archive: world.archive.clone(),
        clock: world.clock.clone(),
        ids: world.ids.clone(),
        tasks: tasks.clone(),
        pod: PodId::new(1),
        settings,
        counters: Arc::default(),
    };
    let jobs = Jobs::start(deps(settings(Duration::from_hours(1))), hints, true);
    world.edit(30).await;
    hint.send(world.design).await.unwrap();
    let clock = world.clock.clone();
    eventually(&clock, "the fold", async || world.folded().await == 31).await;
    eventually(&clock, "the pruning", async || world.state().await.folded_rows == 0).await;
    jobs.stop();
    eventually(&clock, "the stop", async || tasks.running() == 0).await;

    // A pod that only serves passes hints on, and does nothing itself.
    world.edit(110).await;
    let (hint, hints) = ways();
    let deps = |settings| JobDeps {
        stores: world.stores(),
        bus: Arc::new(LocalBus::new()),
        archive: world.archive.clone(),
        clock: world.clock.clone(),
        ids: world.ids.clone(),
        tasks: tasks.clone(),
        pod: PodId::new(1),
        settings,
        counters: Arc::default(),
    };
    let jobs = Jobs::start(deps(settings(Duration::from_millis(50))), hints, false);
    hint.send(world.design).await.unwrap();
    let claim = async || world.store.claim_job(JobKind::Compact, PodId::new(9), LEASE).await.unwrap();
    let mut claimed = None;
    eventually(&clock, "the hint", async || {
        claimed = claim().await;
        claimed.is_some()
    })
    .await;
    world.end(claimed.unwrap().lease, JobEnd::Done).await;
    assert_eq!(world.folded().await, 31);
    jobs.stop();

    // Nobody hints at anything, and the long log is found; then its design is deleted.
    let (_hint, hints) = ways();
    let jobs = Jobs::start(deps(settings(Duration::from_millis(50))), hints, true);
    eventually(&clock, "the sweep", async || world.folded().await == 141).await;
    let blobs = async || world.archive.blobs().list("designs", None, 100).await.unwrap().len();
    assert!(3 < blobs().await);
    world.store.delete_design(world.design).await.unwrap();
    eventually(&clock, "the erasing", async || blobs().await == 0).await;
    jobs.stop();
    eventually(&clock, "the stop", async || tasks.running() == 0).await;
}
