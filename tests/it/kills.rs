//! kill -9 at random moments while people type, over and over: of the server, and of the database under it.
//!
//! A kill counts only if an acknowledgement had come within the last moment. After each: what was acknowledged is there,
//! what anybody was shown is there, the log has no hole, and everybody goes on with what they had.

use std::time::Duration;

use atlas_loadtest::world;

use crate::faults::crew::{a_while, now};
use crate::faults::{Bed, Stage};

/// Kills in all tests of this file together; `ATLAS_KILLS` says otherwise.
const KILLS: u64 = 100;
/// Acknowledgements flow if the newest is younger than this.
const FLOWING: Duration = Duration::from_millis(50);
/// A kill comes within this once everybody has been acknowledged something.
const CALM_MAX: Duration = Duration::from_millis(300);
/// Designs are made anew after so many kills: their logs grow.
const KILLS_PER_CREW: u64 = 8;
const DESKS: usize = 3;
const TYPISTS_PER_DESK: usize = 2;
/// In a hundred: the next server dies too, while it starts or while everybody comes back. Such a kill does not count.
const KILLED_AGAIN_PERCENT: u64 = 15;

/// Sums over one test.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    /// Nobody had been acknowledged anything just before: done again.
    not_counted: u64,
    acknowledgements: u64,
    edits_checked: u64,
    longest_recovery: Duration,
}

struct Run {
    stage: Stage,
    tally: Tally,
}

impl Run {
    async fn start(bed: Bed) -> Self {
        Self { stage: Stage::set(bed).await, tally: Tally::default() }
    }

    /// New designs, `kills` kills, and a quiet look at everything.
    async fn crew(&mut self, kills: u64) {
        let mut crew = self.stage.crew(DESKS, TYPISTS_PER_DESK).await;
        for _ in 0..kills {
            crew.acknowledged_since(now()).await;
            a_while(&mut self.stage.random, CALM_MAX).await;
            while FLOWING < crew.quiet_for() {
                self.tally.not_counted += 1;
                a_while(&mut self.stage.random, CALM_MAX).await;
            }
            let killed_at = now();
            self.stage.server.kill();
            self.tally.kills += 1;
            crew.cut_off().await;
            let promised = crew.promised();
            self.restart().await;
            for desk in &crew.desks {
                let found = self.stage.owner().snapshot(&desk.design).await;
                self.tally.edits_checked += crew.check(desk, &found, &promised);
            }
            self.stage.check_logs(&crew).await;
            crew.reconnect().await;
            crew.acknowledged_since(killed_at).await;
            self.tally.longest_recovery = self.tally.longest_recovery.max(killed_at.elapsed());
        }
        self.tally.edits_checked += crew.rest(self.stage.owner()).await;
        self.tally.acknowledgements += crew.acknowledgements();
        self.stage.check_logs(&crew).await;
        crew.leave();
    }

    async fn restart(&mut self) {
        if self.stage.random.chance(KILLED_AGAIN_PERCENT) {
            tokio::task::block_in_place(|| self.stage.server.restart());
            a_while(&mut self.stage.random, Duration::from_millis(60)).await;
            self.stage.server.kill();
        }
        tokio::task::block_in_place(|| self.stage.server.restart());
    }

    fn tell(&self, victim: &str) {
        let Tally { kills, not_counted, acknowledgements, edits_checked, longest_recovery } = &self.tally;
        println!(
            "{kills} kills of {victim} over {}, {not_counted} more moments without acknowledgements not counted: \
             {acknowledgements} acknowledgements, {edits_checked} edits checked, longest recovery {longest_recovery:?}",
            self.stage.bed.name(),
        );
    }
}

/// This test's part of all kills, in percent.
fn share(percent: u64) -> u64 {
    let all = world::long_count("ATLAS_KILLS").unwrap_or(KILLS);
    (all * percent).div_ceil(100)
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_sqlite_while_people_type() {
    let kills = share(30);
    let mut run = Run::start(Bed::Sqlite).await;
    while run.tally.kills < kills {
        run.crew(KILLS_PER_CREW.min(kills - run.tally.kills)).await;
    }
    assert_eq!(run.tally.kills, kills);
    run.tell("the server");
}
