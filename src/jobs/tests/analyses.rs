//! Stories of designs that are analysed.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{AnalysisRequestId, PodId, Seq};
use yrs::types::map::MapPrelim;
use yrs::{Any, Map, MapRef, TransactionMut};

use crate::analysis::RULESET_VERSION;
use crate::bus::local::LocalBus;
use crate::bus::{AnalysisWord, Bus, BusMessage, Heard, PodMessage, PodWord, Subscription, Word};
use crate::clock::Clock;
use crate::jobs::analyze::Analyze;
use crate::jobs::settled::Settled;
use crate::jobs::testing::{LEASE, SETTINGS, World, eventually};
use crate::jobs::{AnalysisSettings, Hints, JobDeps, JobSettings, Jobs};
use crate::lifecycle::Tasks;
use crate::store::Store as _;
use crate::store::analyses::{
    Analyses, AnalysisFigures, AnalysisHints, Decision, NewAnalysisRequest, TriageState,
};
use crate::store::jobs::{Job, JobEnd, JobKind};
use crate::store::upkeep::Upkeep;

struct Bench {
    world: World,
    heard: Subscription,
    analyze: Arc<Analyze>,
}

impl Bench {
    async fn new() -> Self {
        Self::of("Shop").await
    }

    /// A design of this name.
    async fn of(name: &str) -> Self {
        let mut world = World::new().await;
        world.store.delete_design(world.design).await.unwrap();
        world.design = world.create_named(name).await;
        let bus = Arc::new(LocalBus::new());
        let heard = bus.subscribe(world.design).await;
        let analyze = Arc::new(Analyze {
            store: Arc::clone(&world.store) as _,
            analyses: Arc::clone(&world.store) as _,
            bus: Arc::clone(&bus) as _,
            voice: PodId::new(77),
            clock: world.clock.clone(),
            ids: world.ids.clone(),
            counters: Arc::default(),
        });
        Self { world, heard, analyze }
    }

    async fn claim(&self) -> Option<Job> {
        self.world.store.claim_job(JobKind::Analyze, PodId::new(1), LEASE).await.unwrap()
    }

    /// One job from its claim to its end.
    async fn run(&self) -> JobEnd {
        self.world.store.enqueue(JobKind::Analyze, self.world.design, Duration::ZERO).await.unwrap();
        let job = self.claim().await.unwrap();
        let lease = job.lease;
        let end = self.analyze.run(job).await;
        self.world.end(lease, end.clone()).await;
        end
    }

    /// What the rooms were told since the last time.
    fn told(&mut self) -> Vec<AnalysisWord> {
        let mut told = Vec::new();
        while let Ok(Heard::Message(BusMessage { pod, word: Word::Analysis(word) })) =
            self.heard.messages.try_recv()
        {
            assert_eq!(pod, PodId::new(77));
            told.push(word);
        }
        told
    }

    /// Numbers, and places in the log, newest first.
    async fn points(&self) -> Vec<(u64, u64)> {
        let points = self.world.store.analysis_history(self.world.design, None, 100).await.unwrap();
        points.iter().map(|point| (point.no, point.seq.get())).collect()
    }

    async fn analyses(&self) -> usize {
        let points = self.world.store.analysis_history(self.world.design, None, 100).await.unwrap();
        points.iter().map(|point| point.analysis.as_u128()).collect::<std::collections::BTreeSet<_>>().len()
    }

    fn figures(&self) -> AnalysisFigures {
        self.analyze.counters.read()
    }
}

fn draw(id: &'static str, kind: &'static str) -> impl FnOnce(&MapRef, &mut TransactionMut<'_>) {
    move |nodes, txn| {
        let node = nodes.insert(txn, id, MapPrelim::from_iter([("type".to_owned(), Any::from("custom"))]));
        node.insert(txn, "data", MapPrelim::from_iter([("type".to_owned(), Any::from(kind))]));
    }
}

fn place(id: &'static str, x: f64) -> impl FnOnce(&MapRef, &mut TransactionMut<'_>) {
    move |nodes, txn| {
        let Some(yrs::Out::YMap(node)) = nodes.get(txn, id) else { panic!("no node") };
        node.insert(txn, "position", Any::from_json(&format!("{{\"x\":{x},\"y\":0}}")).unwrap());
    }
}

fn erase(id: &'static str) -> impl FnOnce(&MapRef, &mut TransactionMut<'_>) {
    move |nodes, txn| {
        nodes.remove(txn, id);
    }
}

#[tokio::test]
async fn what_means_the_same_is_said_once() {
    let mut bench = Bench::new().await;
    let seq = bench.world.change(draw("db", "postgresql")).await;
    assert_eq!(bench.run().await, JobEnd::Done);
    assert_eq!(bench.told(), [AnalysisWord::Started { seq }, AnalysisWord::Completed { no: 1 }]);
    assert_eq!(bench.points().await, [(1, 2)]);
    let first = bench.world.store.latest_analysis(bench.world.design).await.unwrap().unwrap();
    assert_eq!(first.ruleset_version, RULESET_VERSION);
    assert_eq!(first.content_hash, bench.world.stored().await.content_hash());
    assert_eq!(first.semantic_hash, bench.world.stored().await.semantic_hash());

    // Asked again, and moved: nobody hears of it, and it counts as looked at.
    bench.run().await;
    let seq = bench.world.change(place("db", 5.0)).await;
    bench.run().await;
    assert_eq!(bench.told(), []);
    let state = bench.world.store.analysis_state(bench.world.design).await.unwrap().unwrap();
    assert_eq!((state.analysed, state.head), (seq, seq));
    assert_eq!(bench.points().await, [(1, 2)]);

    // Another meaning, and back.
    bench.world.change(draw("vault", "vault")).await;
    bench.run().await;
    bench.told();
    bench.world.change(erase("vault")).await;
    bench.run().await;
    assert_eq!(bench.told(), [AnalysisWord::Completed { no: 3 }], "no run is begun");
    assert_eq!(bench.points().await, [(3, 5), (2, 4), (1, 2)]);
    assert_eq!(bench.analyses().await, 2);
    let figures = AnalysisFigures { runs: 2, settle_skipped_noop: 2, cache_hits: 1, ..Default::default() };
    assert_eq!(bench.figures(), figures);
}

#[tokio::test]
async fn a_decision_changes_the_score_and_runs_no_rules() {
    let mut bench = Bench::new().await;
    bench.world.change(draw("db", "postgresql")).await;
    bench.run().await;
    bench.told();
    let (store, design) = (Arc::clone(&bench.world.store), bench.world.design);
    let before = store.latest_analysis(design).await.unwrap().unwrap();
    let issues: Vec<serde_json::Value> = serde_json::from_str(&before.issues).unwrap();
    let Some(issue) = issues.first() else { return assert_eq!(before.score.findings, 0) };
    let fingerprint: Vec<u8> = issue["fingerprint"]
        .as_str()
        .unwrap()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let fingerprint: [u8; 32] = fingerprint.try_into().unwrap();
    let expires_at = Some(bench.world.clock.utc() + Duration::from_mins(5));
    let accept = Decision { state: TriageState::Accepted, reason: Some("known".to_owned()), expires_at };
    store.put_triage(design, fingerprint, accept, bench.world.user).await.unwrap().unwrap();
    bench.run().await;
    assert_eq!(bench.told(), [AnalysisWord::Completed { no: 2 }]);
    let accepted = store.latest_analysis(design).await.unwrap().unwrap();
    assert_eq!((accepted.id, accepted.score.findings), (before.id, before.score.findings - 1));
    assert!(before.score.score <= accepted.score.score);
    bench.run().await;
    assert_eq!(bench.told(), []);

    // It runs out: the sweep finds it, and it counts again.
    bench.world.clock.advance(Duration::from_mins(5));
    assert_eq!(store.unanalysed(Duration::ZERO, 9).await.unwrap(), [design]);
    bench.run().await;
    assert_eq!(bench.told(), [AnalysisWord::Completed { no: 3 }]);
    assert_eq!(store.latest_analysis(design).await.unwrap().unwrap().score, before.score);
    assert_eq!(store.unanalysed(Duration::ZERO, 9).await.unwrap(), []);
    assert_eq!((bench.figures().runs, bench.figures().rescored), (1, 2));
}

#[tokio::test]
async fn who_stored_it_and_died_before_the_end_is_followed_by_nobody() {
    let mut bench = Bench::new().await;
    bench.world.change(draw("db", "postgresql")).await;
    let job = bench.claim().await.unwrap();
    assert_eq!(bench.analyze.run(job).await, JobEnd::Done);
    // The end is never told to the store.
    assert!(bench.claim().await.is_none());
    bench.world.clock.advance(LEASE);
    let again = bench.claim().await.unwrap();
    assert_eq!(again.failures, 1);
    let lease = again.lease;
    assert_eq!(bench.analyze.run(again).await, JobEnd::Done);
    bench.world.end(lease, JobEnd::Done).await;
    assert_eq!((bench.points().await.len(), bench.figures().runs), (1, 1));
    assert_eq!(bench.figures().settle_skipped_noop, 1);
}

#[tokio::test]
async fn who_lost_the_lease_in_the_middle_stores_nothing() {
    let mut bench = Bench::of("Shop poison: the analysis waits").await;
    bench.world.change(draw("db", "postgresql")).await;
    let job = bench.claim().await.unwrap();
    let lost = job.lease;
    let runs = async |n: u64| {
        while bench.figures().runs < n {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // It stands still in the middle of its run, and nobody renews its lease.
    let slow = bench.analyze.run(job);
    let other = async {
        runs(1).await;
        assert_eq!(bench.points().await, []);
        bench.world.store.renew_job(lost, Duration::ZERO).await.unwrap();
        let job = bench.claim().await.unwrap();
        let lease = job.lease;
        let time = async {
            runs(2).await;
            // Time enough for both to come to the end of their waiting.
            for _ in 0..10 {
                bench.world.clock.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let (end, ()) = tokio::join!(bench.analyze.run(job), time);
        bench.world.end(lease, end.clone()).await;
        end
    };
    let (slow, other) = tokio::join!(slow, other);
    assert!(matches!(slow, JobEnd::Later(_)), "{slow:?}");
    assert_eq!(other, JobEnd::Done);
    assert_eq!((bench.points().await.len(), bench.analyses().await), (1, 1));
}

#[tokio::test]
async fn what_fails_three_times_waits_for_the_next_edit() {
    let mut bench = Bench::of("poison: the analysis panics").await;
    let (store, design) = (Arc::clone(&bench.world.store), bench.world.design);
    let id = AnalysisRequestId::from_u128(1);
    let by = bench.world.user;
    store.request_analysis(NewAnalysisRequest { id, design, by }).await.unwrap();
    for (attempt, seconds) in [(1, 5), (2, 10)] {
        let job = bench.claim().await.unwrap();
        let lease = job.lease;
        let end = bench.analyze.run(job).await;
        let JobEnd::Failed { retry_in, reason } = &end else { panic!("{end:?}") };
        assert_eq!(*retry_in, Duration::from_secs(seconds));
        assert!(reason.contains("panic"), "{reason}");
        bench.world.end(lease, end.clone()).await;
        let request = store.analysis_request(id).await.unwrap().unwrap();
        assert_eq!((request.attempts, request.error, request.finished_at), (attempt, None, None));
        assert!(bench.claim().await.is_none());
        bench.world.clock.advance(Duration::from_secs(seconds));
    }
    let job = bench.claim().await.unwrap();
    let lease = job.lease;
    let end = bench.analyze.run(job).await;
    assert!(matches!(end, JobEnd::GivenUp { .. }), "{end:?}");
    bench.world.end(lease, end).await;
    assert!(store.analysis_request(id).await.unwrap().unwrap().error.is_some());
    bench.world.clock.advance(Duration::from_hours(24));
    assert!(bench.claim().await.is_none());
    assert_eq!(store.unanalysed(Duration::ZERO, 9).await.unwrap(), []);
    let figures = AnalysisFigures { runs: 3, failures: 3, dead_letters: 1, ..Default::default() };
    assert_eq!(bench.figures(), figures);

    // The next edit has it tried again.
    bench.world.change(draw("db", "postgresql")).await;
    assert_eq!(store.unanalysed(Duration::ZERO, 9).await.unwrap(), [design]);
    assert!(matches!(bench.run().await, JobEnd::Failed { .. }));
}

#[tokio::test]
async fn a_job_that_kills_its_pods_is_given_up() {
    let bench = Bench::new().await;
    for failures in 0..3 {
        assert_eq!(bench.claim().await.unwrap().failures, failures);
        bench.world.clock.advance(LEASE);
    }
    let job = bench.claim().await.unwrap();
    let end = bench.analyze.run(job).await;
    assert!(matches!(end, JobEnd::GivenUp { .. }), "{end:?}");
    assert_eq!((bench.figures().runs, bench.figures().dead_letters), (0, 1));
}

#[tokio::test]
async fn a_deleted_design_is_no_trouble() {
    let bench = Bench::new().await;
    let job = bench.claim().await.unwrap();
    bench.world.store.delete_design(bench.world.design).await.unwrap();
    assert_eq!(bench.analyze.run(job).await, JobEnd::Done);
    assert_eq!(bench.figures(), AnalysisFigures::default());
}

#[tokio::test]
async fn whoever_asked_by_name_is_told_how_far_it_is() {
    let bench = Bench::new().await;
    let (store, design, by) = (&bench.world.store, bench.world.design, bench.world.user);
    let id = AnalysisRequestId::from_u128(1);
    for _ in 0..2 {
        // The second time nothing has changed, and it is done all the same.
        store.request_analysis(NewAnalysisRequest { id, design, by }).await.unwrap();
        assert_eq!(bench.run().await, JobEnd::Done);
        let request = store.analysis_request(id).await.unwrap().unwrap();
        assert_eq!((request.attempts, request.progress, request.error), (1, 100, None));
        let latest = store.latest_analysis(design).await.unwrap().unwrap();
        assert_eq!(request.analysis, Some(latest.id));
        bench.world.clock.advance(Duration::from_secs(1));
        store.forget_requests(Duration::ZERO).await.unwrap();
    }
    assert_eq!(bench.figures().runs, 1);
}

/// Everything together, by the real clock: a hint, a sweep, a pod that leaves its work to others, and a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn designs_are_analysed_that_settled_and_that_nobody_spoke_of() {
    let mut world = World::on(Clock::system()).await;
    let (tasks, bus) = (Tasks::new(), Arc::new(LocalBus::new()));
    let settings = |sweep_every, quiet_for| {
        let analyses = AnalysisSettings { sweep_every, quiet_for, ..SETTINGS.analyses };
        JobSettings { analyses, ..SETTINGS }
    };
    let start = |world: &World, settings, works| {
        let deps = JobDeps {
            stores: world.stores(),
            bus: Arc::clone(&bus) as Arc<dyn Bus>,
            archive: world.archive.clone(),
            clock: world.clock.clone(),
            ids: world.ids.clone(),
            tasks: tasks.clone(),
            pod: PodId::new(1),
            settings,
            counters: Arc::default(),
        };
        let (hints, analyses) = AnalysisHints::channel(4);
        let folds = tokio::sync::mpsc::channel(1).1;
        (Jobs::start(deps, Hints { folds, analyses }, works), hints)
    };
    let clock = world.clock.clone();
    let (design, store) = (world.design, Arc::clone(&world.store));
    let analysed = async || store.analysis_state(design).await.unwrap().unwrap().analysed;
    let hour = Duration::from_hours(1);
    let (jobs, hints) = start(&world, settings(hour, hour), true);
    eventually(&clock, "the new design", async || analysed().await == Seq::new(1)).await;
    let seq = world.change(draw("db", "postgresql")).await;
    assert!(hints.settled(design));
    eventually(&clock, "the hint", async || analysed().await == seq).await;
    jobs.stop();
    eventually(&clock, "the stop", async || tasks.running() == 0).await;

    let mut pods = bus.subscribe_to_pods().await;
    let (jobs, hints) = start(&world, settings(hour, hour), false);
    let seq = world.change(draw("web", "web-server")).await;
    assert!(hints.settled(design));
    let heard = pods.messages.recv().await;
    assert_eq!(heard, Some(Heard::Message(PodMessage { pod: PodId::new(1), word: PodWord::WorkWaits })));
    assert_ne!(analysed().await, seq);
    jobs.stop();
    let job = store.claim_job(JobKind::Analyze, PodId::new(9), LEASE).await.unwrap().unwrap();
    world.end(job.lease, JobEnd::Done).await;

    let (jobs, _hints) = start(&world, settings(Duration::from_millis(50), Duration::ZERO), true);
    eventually(&clock, "the sweep", async || analysed().await == seq).await;
    jobs.stop();
    eventually(&clock, "the stop", async || tasks.running() == 0).await;
}

/// Who works wakes at the word of one who does not.
#[tokio::test]
async fn a_word_that_work_waits_wakes_who_works() {
    let world = World::new().await;
    let bus = Arc::new(LocalBus::new());
    let (wake, stop) = (Arc::new(tokio::sync::Notify::new()), tokio_util::sync::CancellationToken::new());
    let settled = Settled {
        upkeep: Arc::clone(&world.store) as Arc<dyn Upkeep>,
        analyses: Arc::clone(&world.store) as Arc<dyn Analyses>,
        bus: Arc::clone(&bus) as Arc<dyn Bus>,
        pod: PodId::new(1),
        clock: world.clock.clone(),
        ids: world.ids.clone(),
        settings: SETTINGS.analyses,
        wake: Some(Arc::clone(&wake)),
        stop: stop.clone(),
    };
    let other = Settled { wake: None, pod: PodId::new(2), ..settled.clone() };
    let words = async {
        tokio::task::yield_now().await;
        let (hints, waiting) = AnalysisHints::channel(2);
        assert!(hints.waits());
        drop(hints);
        other.listen(waiting).await;
        wake.notified().await;
        stop.cancel();
    };
    tokio::join!(settled.hear(), words);
}
