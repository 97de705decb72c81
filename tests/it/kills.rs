//! kill -9 at random moments while people type, over and over: of the server, and of the database under it.
//!
//! A kill counts only if an acknowledgement had come within the last moment. After each: what was acknowledged is there,
//! what anybody was shown is there, the log has no hole, and everybody goes on with what they had.

use std::time::Duration;

use atlas_loadtest::world;

use crate::faults::crew::{PATIENCE, Promised, a_while, now};
use crate::faults::{Bed, Crew, Stage};
use crate::folding::{ALL_THE_TIME, folds};

/// Kills in all tests of this file together; `ATLAS_KILLS` says otherwise.
const KILLS: u64 = 100;
/// Acknowledgements flow if the newest is younger than this.
const FLOWING: Duration = Duration::from_millis(50);
/// A kill comes within this once everybody has been acknowledged something.
const CALM_MAX: Duration = Duration::from_millis(300);
/// Nothing more is on its way to anybody if nothing came for this long.
const SILENCE: Duration = Duration::from_millis(60);
/// Designs are made anew after so many kills: their logs grow.
const KILLS_PER_CREW: u64 = 8;
/// A lease of the dead is honoured for a while, and nobody else folds that log.
const KILLS_PER_FOLDING_CREW: u64 = 3;
const DESKS: usize = 3;
const TYPISTS_PER_DESK: usize = 2;
/// In a hundred: the next server dies too, while it starts or while everybody comes back. Such a kill does not count.
const KILLED_AGAIN_PERCENT: u64 = 15;

/// Of those who fold a log …
const HELD: &str = "SELECT count(*) FROM jobs WHERE kind = 'compact' AND holder IS NOT NULL";
/// … the newest.
const TOKENS: &str = "SELECT coalesce(max(token), 0) FROM jobs";

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    /// All processes of Postgres at once. The server lives on.
    Postgres,
    /// One process of it, at work for the server.
    Backend,
    Both,
}

/// Sums over one test.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    /// While a log was being folded: the lease of the dead is still there.
    amid_folds: u64,
    /// Nobody had been acknowledged anything just before: done again.
    not_counted: u64,
    acknowledgements: u64,
    edits_checked: u64,
    rows_deleted: u64,
    longest_recovery: Duration,
}

struct Run {
    stage: Stage,
    /// Logs are folded all the time.
    folding: bool,
    /// Leases up to this are of servers that died before.
    tokens_before: u64,
    tally: Tally,
}

impl Run {
    /// `kills` kills, and some quiet looks at everything.
    async fn of(bed: Bed, victim: Victim, kills: u64) {
        let stage = Stage::set(bed).await;
        Self { stage, folding: false, tokens_before: 0, tally: Tally::default() }.run(victim, kills).await;
    }

    /// The same while logs are folded all the time.
    async fn while_folding(bed: Bed, victim: Victim, kills: u64) {
        let stage = Stage::set_with(bed, &ALL_THE_TIME).await;
        Self { stage, folding: true, tokens_before: 0, tally: Tally::default() }.run(victim, kills).await;
    }

    async fn run(mut self, victim: Victim, kills: u64) {
        while self.tally.kills < kills {
            let most = if self.folding { KILLS_PER_FOLDING_CREW } else { KILLS_PER_CREW };
            let more = most.min(kills - self.tally.kills);
            self.crew(victim, more).await;
        }
        assert_eq!(self.tally.kills, kills);
        if self.folding {
            let hit = self.tally.amid_folds;
            assert!(kills < hit * 10, "only {hit} of {kills} kills hit a fold");
            assert!(
                kills < self.tally.rows_deleted,
                "{} rows were folded and deleted",
                self.tally.rows_deleted
            );
        }
        self.stage.check_everything();
        self.tell(victim);
    }

    /// New designs, `kills` kills, and a quiet look at everything.
    async fn crew(&mut self, victim: Victim, kills: u64) {
        let mut crew = self.stage.crew(DESKS, TYPISTS_PER_DESK).await;
        if self.folding {
            self.wait_for_folds(&crew).await;
        }
        for _ in 0..kills {
            crew.acknowledged_since(now()).await;
            a_while(&mut self.stage.random, CALM_MAX).await;
            while FLOWING < crew.quiet_for() {
                self.tally.not_counted += 1;
                a_while(&mut self.stage.random, CALM_MAX).await;
            }
            let killed_at = now();
            match victim {
                Victim::Server => self.kill_server(&crew).await,
                Victim::Postgres | Victim::Backend => self.kill_postgres(&crew, victim).await,
                Victim::Both => self.kill_both(&crew).await,
            }
            self.tally.kills += 1;
            crew.acknowledged_since(now()).await;
            self.tally.longest_recovery = self.tally.longest_recovery.max(killed_at.elapsed());
        }
        self.tally.edits_checked += crew.rest(self.stage.owner()).await;
        self.tally.acknowledgements += crew.acknowledgements();
        self.stage.check_logs(&crew).await;
        crew.leave();
        if self.folding {
            self.tally.rows_deleted += folds(&self.stage, &crew).await.deleted_rows;
        }
    }

    /// Until rows of this crew were folded and deleted.
    async fn wait_for_folds(&self, crew: &Crew) {
        let began = now();
        while folds(&self.stage, crew).await.deleted_rows == 0 {
            assert!(began.elapsed() < PATIENCE, "nothing is folded");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Call it while the server is dead: a lease that it took itself is still held.
    async fn note_folds(&mut self) {
        if !self.folding {
            return;
        }
        let own = format!("{HELD} AND {} < token", self.tokens_before);
        if 0 < self.stage.bed.count_left(&self.stage.server, &own).await {
            self.tally.amid_folds += 1;
        }
        // The next server's tokens are larger than any that is left.
        self.tokens_before = self.stage.bed.count_left(&self.stage.server, TOKENS).await;
    }

    async fn kill_server(&mut self, crew: &Crew) {
        self.stage.server.kill();
        crew.cut_off().await;
        let promised = crew.promised();
        self.note_folds().await;
        self.restart_server().await;
        self.tally.edits_checked += self.stage.check_exported(crew, &promised).await;
        self.stage.check_logs(crew).await;
        crew.reconnect().await;
    }

    /// The server finds no way to the database before we have looked at it.
    async fn kill_postgres(&mut self, crew: &Crew, victim: Victim) {
        let cluster = self.stage.bed.cluster();
        if victim == Victim::Backend {
            cluster.kill_one_backend().await;
            cluster.proxy.cut();
        } else {
            cluster.postgres.kill().await.unwrap();
            cluster.proxy.cut();
            assert_eq!(cluster.postgres.pid(), None);
        }
        let promised = silent(crew).await;
        if victim != Victim::Backend {
            self.stage.bed.cluster().postgres.restart().await.unwrap();
        }
        self.tally.edits_checked += self.stage.check_found(crew, &promised).await;
        assert!(crew.promised() == promised, "something was acknowledged or shown without a database");
        self.stage.bed.cluster().proxy.restore();
    }

    async fn kill_both(&mut self, crew: &Crew) {
        if self.stage.random.chance(50) {
            self.stage.server.kill();
            self.stage.bed.cluster().postgres.kill().await.unwrap();
        } else {
            self.stage.bed.cluster().postgres.kill().await.unwrap();
            self.stage.server.kill();
        }
        crew.cut_off().await;
        let promised = crew.promised();
        self.stage.bed.cluster().postgres.restart().await.unwrap();
        self.note_folds().await;
        self.tally.edits_checked += self.stage.check_found(crew, &promised).await;
        self.restart_server().await;
        crew.reconnect().await;
    }

    async fn restart_server(&mut self) {
        if self.stage.random.chance(KILLED_AGAIN_PERCENT) {
            tokio::task::block_in_place(|| self.stage.server.restart());
            a_while(&mut self.stage.random, Duration::from_millis(60)).await;
            self.stage.server.kill();
        }
        tokio::task::block_in_place(|| self.stage.server.restart());
    }

    fn tell(&self, victim: Victim) {
        let Tally { kills, not_counted, acknowledgements, edits_checked, longest_recovery, .. } = &self.tally;
        let whom = match victim {
            Victim::Server => "the server",
            Victim::Postgres => "Postgres",
            Victim::Backend => "one process of Postgres",
            Victim::Both => "the server and Postgres",
        };
        println!(
            "{kills} kills of {whom} over {}, {not_counted} more moments without acknowledgements not counted: \
             {acknowledgements} acknowledgements, {edits_checked} edits checked, longest recovery {longest_recovery:?}",
            self.stage.bed.name(),
        );
        if self.folding {
            let Tally { amid_folds, rows_deleted, .. } = &self.tally;
            println!("{amid_folds} of them amid a fold; {rows_deleted} rows were folded and deleted");
        }
    }
}

/// What was promised and shown, once nothing more comes.
async fn silent(crew: &Crew) -> Promised {
    let began = now();
    let mut before = crew.promised();
    loop {
        tokio::time::sleep(SILENCE).await;
        let after = crew.promised();
        if after == before {
            return after;
        }
        assert!(began.elapsed() < PATIENCE, "acknowledgements come although the database is gone");
        before = after;
    }
}

/// This test's part of all kills, in percent.
fn share(percent: u64) -> u64 {
    let all = world::long_count("ATLAS_KILLS").unwrap_or(KILLS);
    (all * percent).div_ceil(100)
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_sqlite() {
    Run::of(Bed::Sqlite, Victim::Server, share(20)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_sqlite_amid_folds() {
    Run::while_folding(Bed::Sqlite, Victim::Server, share(15)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_postgres() {
    Run::of(Bed::postgres().await, Victim::Server, share(10)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_postgres_amid_folds() {
    Run::while_folding(Bed::postgres().await, Victim::Server, share(10)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_killed_under_the_server() {
    Run::of(Bed::postgres().await, Victim::Postgres, share(15)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_of_postgres_is_killed_under_the_server() {
    Run::of(Bed::postgres().await, Victim::Backend, share(10)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_and_postgres_are_killed_at_once() {
    Run::while_folding(Bed::postgres().await, Victim::Both, share(10)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_over_pgbouncer() {
    Run::of(Bed::pgbouncer().await, Victim::Server, share(5)).await;
}

// R-COUNT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_killed_behind_pgbouncer() {
    Run::of(Bed::pgbouncer().await, Victim::Postgres, share(5)).await;
}
