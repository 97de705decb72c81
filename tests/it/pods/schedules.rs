//! Random faults, several at once, chosen by a seed: afterwards everybody everywhere has the same drawing, and in it every
//! edit that was acknowledged.

use std::time::Duration;

use atlas_loadtest::world::{self, Random};

use super::fleet::{Fleet, PODS};
use super::keeper::Keeper;
use crate::faults::crew::now;

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
    killed: u64,
    cut: u64,
    frozen: u64,
    lost_messages: u64,
    /// Rows of the log that repeat what is in it already.
    repeats: u64,
}

impl Happened {
    fn something(&self) -> bool {
        0 < self.killed + self.cut + self.frozen + self.lost_messages
    }
}

async fn play(fleet: &mut Fleet, random: &mut Random) -> (Vec<Step>, Happened, u64) {
    let mut crew = fleet.crew(1, TYPISTS).await;
    let urls = fleet.ws_urls();
    let keeper = Keeper::of(&crew, &urls, &mut fleet.random);
    let lost = |fleet: &Fleet| -> u64 {
        fleet.pods.iter().map(|pod| pod.to_redis.as_ref().unwrap().messages().0).sum()
    };
    let lost_before = lost(fleet);
    let (mut steps, mut happened) = (Vec::new(), Happened::default());
    for _ in 0..FAULTS {
        let step = Step::random(random);
        steps.push(step);
        match step {
            Step::KillPod(pod) => {
                fleet.pods[pod].server.kill();
                happened.killed += 1;
            }
            Step::KillRedis => {
                fleet.redis().kill().await.unwrap();
                happened.killed += 1;
            }
            Step::FreezeRedis => {
                // One that is dead cannot be frozen, too.
                happened.frozen += u64::from(fleet.redis().freeze().await.is_ok());
            }
            Step::CutRedis(pod) => {
                let way = fleet.pods[pod].to_redis.as_ref().unwrap();
                happened.cut += u64::from(0 < way.connections());
                way.cut();
            }
            Step::FreezeWayToRedis(pod) => {
                let way = fleet.pods[pod].to_redis.as_ref().unwrap();
                happened.frozen += u64::from(0 < way.connections());
                way.freeze();
            }
            Step::LoseMessages => {
                fleet.pods.iter().for_each(|pod| pod.to_redis.as_ref().unwrap().lose(30));
            }
            Step::CutPostgres(pod) => {
                let way = &fleet.pods[pod].to_postgres;
                happened.cut += u64::from(0 < way.connections());
                way.cut();
            }
            Step::FreezePostgres(pod) => {
                let way = &fleet.pods[pod].to_postgres;
                happened.frozen += u64::from(0 < way.connections());
                way.freeze();
            }
            Step::KillSocket(typist) => {
                let client = &crew.desks[0].typists[typist].client;
                happened.killed += u64::from(client.is_open());
                client.vanish();
            }
        }
        tokio::time::sleep(Duration::from_millis(200 + random.below(500))).await;
        if random.chance(30) {
            heal(fleet).await;
        }
    }
    heal(fleet).await;
    happened.lost_messages = lost(fleet) - lost_before;
    keeper.end().await;
    crew.acknowledged_since(now()).await;
    let (edits, repeats) = fleet.rest_with_repeats(&mut crew).await;
    happened.repeats = repeats;
    crew.leave();
    (steps, happened, edits)
}

/// Every fault ends.
async fn heal(fleet: &mut Fleet) {
    for pod in &fleet.pods {
        pod.to_postgres.restore();
        let way = pod.to_redis.as_ref().unwrap();
        way.lose(0);
        way.restore();
    }
    let redis = fleet.redis();
    // Frozen or dead: in both cases the next one is another.
    let answers = tokio::time::timeout(Duration::from_millis(100), redis.ask(&["PING"])).await;
    if !matches!(answers, Ok(Ok(_))) && redis.thaw().await.is_err() {
        redis.restart().await.unwrap();
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
    let mut fleet = Fleet::with_redis().await;
    let schedules = world::long_count("ATLAS_SCHEDULES").unwrap_or(SCHEDULES);
    let mut all = 0;
    for schedule in 0..schedules {
        let mut random = fleet.random.fork();
        let began = now();
        loop {
            let (steps, happened, edits) = play(&mut fleet, &mut random).await;
            println!("schedule {schedule}: {steps:?}: {happened:?}; {edits} edits, {:?}", began.elapsed());
            // One in which nothing was hit proves nothing.
            if happened.something() {
                all += edits;
                break;
            }
        }
    }
    fleet.check_logs();
    fleet.check_store();
    println!("{schedules} schedules, {all} edits are there");
}
