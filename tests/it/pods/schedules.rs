//! Random faults, several at once, chosen by a seed: afterwards everybody everywhere has the same drawing, and in it every
//! edit that was acknowledged.

use std::time::Duration;

use atlas_loadtest::proxy::{Passed, Proxy};
use atlas_loadtest::world::{self, Random};

use super::fleet::{Between, Fleet, PODS};
use super::keeper::Keeper;
use super::kill::kill;
use super::strike::{WRITTEN, lost_commits, ways};
use crate::faults::Crew;
use crate::faults::crew::now;
use crate::folding::ALL_THE_TIME;

const SCHEDULES: u64 = 20;
/// Faults of one schedule.
const FAULTS: u64 = 5;
const TYPISTS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    KillPod(usize),
    KillRedis,
    FreezeRedis,
    CutRedis(usize),
    FreezeWayToRedis(usize),
    LoseMessages,
    CutPostgres(usize),
    FreezePostgres(usize),
    KillSocket(usize),
}

impl Step {
    fn random(random: &mut Random) -> Self {
        let pod = random.index(PODS);
        match random.below(9) {
            0 => Self::KillPod(pod),
            1 => Self::KillRedis,
            2 => Self::FreezeRedis,
            3 => Self::CutRedis(pod),
            4 => Self::FreezeWayToRedis(pod),
            5 => Self::LoseMessages,
            6 => Self::CutPostgres(pod),
            7 => Self::FreezePostgres(pod),
            _ => Self::KillSocket(random.index(TYPISTS)),
        }
    }
}

/// What really happened.
#[derive(Debug, Default)]
struct Happened {
    killed_pods: u64,
    killed_redis: u64,
    /// Ways, and a Redis, over which nothing came until the fault ended.
    cut: u64,
    frozen: u64,
    /// Times that a pod was not told of a commit.
    lost_commits: u64,
    sockets: u64,
    /// Edits that were found stored after a kill, before anybody came back.
    checked: u64,
    folded_rows: u64,
}

impl Happened {
    fn something(&self) -> bool {
        0 < self.killed_pods + self.killed_redis + self.cut + self.frozen + self.lost_commits
    }
}

/// A way over which nothing should come.
struct Blocked {
    pod: usize,
    is_to_redis: bool,
    is_cut: bool,
    since: Passed,
}

impl Blocked {
    /// `None`: nobody goes that way.
    async fn new(fleet: &Fleet, pod: usize, is_to_redis: bool, is_cut: bool) -> Option<Self> {
        let way = way(fleet, pod, is_to_redis);
        let is_used = 0 < way.connections();
        if is_cut {
            way.cut();
            way.empty().await;
        } else {
            way.freeze();
            tokio::time::sleep(WRITTEN).await;
        }
        is_used.then(|| Self { pod, is_to_redis, is_cut, since: way.passed() })
    }

    fn count(&self, fleet: &Fleet, happened: &mut Happened) {
        if way(fleet, self.pod, self.is_to_redis).passed() == self.since {
            let count = if self.is_cut { &mut happened.cut } else { &mut happened.frozen };
            *count += 1;
        }
    }
}

fn way(fleet: &Fleet, pod: usize, is_to_redis: bool) -> &Proxy {
    let pod = &fleet.pods[pod];
    if is_to_redis { pod.to_redis.as_ref().unwrap() } else { &pod.to_postgres }
}

/// One schedule while it plays.
struct Play<'a> {
    fleet: &'a mut Fleet,
    crew: Crew,
    keeper: Keeper,
    blocked: Vec<Blocked>,
    redis_is_frozen: bool,
    happened: Happened,
}

impl Play<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::KillPod(pod) => self.kill_pod(pod).await,
            Step::KillRedis => {
                // Only one that runs takes a signal.
                let ran = self.fleet.redis().freeze().await.is_ok();
                self.fleet.redis().kill().await.unwrap();
                self.happened.killed_redis += u64::from(ran);
                self.redis_is_frozen = false;
            }
            // One that is dead cannot be frozen, too.
            Step::FreezeRedis => self.redis_is_frozen |= self.fleet.redis().freeze().await.is_ok(),
            Step::CutRedis(pod) => self.block(pod, true, true).await,
            Step::FreezeWayToRedis(pod) => self.block(pod, true, false).await,
            Step::LoseMessages => ways(self.fleet).for_each(|way| way.lose(30)),
            Step::CutPostgres(pod) => self.block(pod, false, true).await,
            Step::FreezePostgres(pod) => self.block(pod, false, false).await,
            Step::KillSocket(typist) => {
                let client = &self.crew.desks[0].typists[typist].client;
                self.happened.sockets += u64::from(client.is_open());
                client.vanish();
            }
        }
    }

    async fn kill_pod(&mut self, pod: usize) {
        if self.fleet.pods[pod].server.is_running() {
            let _held = self.keeper.hold().await;
            self.happened.checked += kill(self.fleet, &self.crew, &self.keeper, pod).await;
            self.happened.killed_pods += 1;
        }
    }

    async fn block(&mut self, pod: usize, is_to_redis: bool, is_cut: bool) {
        // One that was frozen and is cut now was both.
        let is_same = |blocked: &mut Blocked| (blocked.pod, blocked.is_to_redis) == (pod, is_to_redis);
        for before in self.blocked.extract_if(.., is_same) {
            before.count(self.fleet, &mut self.happened);
        }
        self.blocked.extend(Blocked::new(self.fleet, pod, is_to_redis, is_cut).await);
    }

    /// Every fault ends, and is counted if it was one to its end.
    async fn heal(&mut self) {
        for blocked in self.blocked.drain(..) {
            blocked.count(self.fleet, &mut self.happened);
        }
        let redis = self.fleet.redis();
        let answers = tokio::time::timeout(Duration::from_millis(100), redis.ask(&["PING"])).await;
        if std::mem::take(&mut self.redis_is_frozen) && answers.is_err() {
            self.happened.frozen += 1;
        }
        // Frozen or dead: in both cases the next one is another.
        if !matches!(answers, Ok(Ok(_))) && redis.thaw().await.is_err() {
            redis.restart().await.unwrap();
        }
        restore(self.fleet).await;
    }
}

async fn play(fleet: &mut Fleet, random: &mut Random) -> (Vec<Step>, Happened, u64) {
    let crew = fleet.crew(1, TYPISTS).await;
    let urls = fleet.ws_urls();
    let keeper = Keeper::of(&crew, &urls, &mut fleet.random);
    let lost_before: u64 = lost_commits(fleet).iter().sum();
    let (blocked, happened) = (Vec::new(), Happened::default());
    let mut play = Play { fleet, crew, keeper, blocked, redis_is_frozen: false, happened };
    let mut steps = Vec::new();
    for _ in 0..FAULTS {
        let step = Step::random(random);
        steps.push(step);
        play.take(step).await;
        tokio::time::sleep(Duration::from_millis(200 + random.below(500))).await;
        if random.chance(30) {
            play.heal().await;
        }
    }
    play.heal().await;
    let Play { fleet, mut crew, keeper, mut happened, .. } = play;
    happened.lost_commits = lost_commits(fleet).iter().sum::<u64>() - lost_before;
    keeper.end().await;
    crew.acknowledged_since(now()).await;
    let edits = fleet.rest(&mut crew).await;
    happened.folded_rows = folded_rows(fleet, &crew).await;
    crew.leave();
    (steps, happened, edits)
}

/// Rows that were deleted since a snapshot holds them.
async fn folded_rows(fleet: &Fleet, crew: &Crew) -> u64 {
    let mut rows = 0;
    for desk in &crew.desks {
        rows += fleet.bed.found(&fleet.pods[0].server, &desk.design).await.deleted_rows();
    }
    rows
}

/// Every way is open again, and every pod is there.
async fn restore(fleet: &mut Fleet) {
    for pod in &fleet.pods {
        pod.to_postgres.restore();
    }
    for way in ways(fleet) {
        way.lose(0);
        way.restore();
    }
    for pod in 0..PODS {
        if !fleet.pods[pod].server.is_running() {
            tokio::task::block_in_place(|| fleet.pods[pod].server.restart());
        }
    }
    for pod in 0..PODS {
        fleet.ready(pod).await;
    }
}

// R-MANY-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_end_in_one_drawing() {
    let mut fleet = Fleet::start(Between::Redis, &ALL_THE_TIME).await;
    let schedules = world::long_count("ATLAS_SCHEDULES").unwrap_or(SCHEDULES);
    let (mut all, mut folded) = (0, 0);
    for schedule in 0..schedules {
        let mut random = fleet.random.fork();
        let began = now();
        loop {
            let (steps, happened, edits) = play(&mut fleet, &mut random).await;
            println!("schedule {schedule}: {steps:?}: {happened:?}; {edits} edits, {:?}", began.elapsed());
            // One in which nothing was hit proves nothing.
            if happened.something() {
                all += edits;
                folded += happened.folded_rows;
                break;
            }
        }
    }
    fleet.check_logs();
    fleet.check_store();
    println!("{schedules} schedules, {all} edits are there, {folded} rows of their logs are gone");
    assert!(schedules < folded, "hardly anything was folded");
}
