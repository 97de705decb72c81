//! Logs are folded all the time while people type, load, are killed, and while the blob store is away: nobody notices.

use std::time::Duration;

use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::seaweedfs::{ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFs};
use atlas_loadtest::world;

use crate::faults::crew::{Desk, PATIENCE, a_while, now};
use crate::faults::{Bed, Crew, Stage};

/// Fold every few rows, and delete them at once.
pub(crate) const ALL_THE_TIME: [(&str, &str); 2] =
    [("ATLAS_COMPACT_ROWS", "10"), ("ATLAS_COMPACT_KEEP_SECS", "0")];
const DESKS: usize = 2;
const TYPISTS_PER_DESK: usize = 2;
/// Between two who come.
const COMING_MAX: Duration = Duration::from_millis(80);

/// What was folded in a test that proves something: segments, rows of the log that are gone …
const SEGMENTS_MIN: u64 = 10;
const ROWS_MIN: u64 = 200;
/// … and blobs that wait for their store.
const BLOBS_MIN: u64 = 10;

/// A blob store that takes connections and says nothing is taken for away well before this.
const SILENCE_SHOWS_AFTER: Duration = Duration::from_secs(50);
/// The longest pause of whoever empties the backlog, and what it takes then.
const DRAINED_WITHIN: Duration = Duration::from_secs(100);

/// Eight seconds; `ATLAS_OUTAGE_SECS` says otherwise.
fn length() -> Duration {
    world::long_run("ATLAS_OUTAGE_SECS").unwrap_or(Duration::from_secs(8))
}

/// What was folded so far.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    pub(crate) segments: u64,
    /// Of the designs of this crew.
    pub(crate) deleted_rows: u64,
}

pub(crate) async fn folds(stage: &Stage, crew: &Crew) -> Folds {
    let count = async |sql| stage.bed.count(&stage.server, sql).await;
    let mut folds = Folds { segments: count("SELECT count(*) FROM design_segments").await, deleted_rows: 0 };
    for desk in &crew.desks {
        folds.deleted_rows += stage.bed.found(&stage.server, &desk.design).await.deleted_rows();
    }
    folds
}

impl Folds {
    fn are_enough(&self) -> bool {
        SEGMENTS_MIN <= self.segments && ROWS_MIN <= self.deleted_rows
    }
}

/// Somebody who has never been there opens the design, and somebody else exports it: both find at least what was
/// acknowledged before.
async fn come(stage: &Stage, crew: &Crew, desk: &Desk) {
    let before = crew.promised();
    let url = format!("{}/{}", stage.server.ws_url(), desk.design);
    let newcomer =
        Client::open(Connect::new(&url, Dialect::Atlas).token(stage.people[1].token())).await.unwrap();
    newcomer.synced().await.unwrap();
    for typist in &desk.typists {
        let (there, acknowledged) = (typist.seen_by(&newcomer), before.acknowledged(desk, typist));
        assert!(acknowledged <= there, "{acknowledged} edits were acknowledged, a newcomer finds {there}");
    }
    assert_eq!(newcomer.seen().faults, Vec::<String>::new());
    newcomer.vanish();
    Crew::check(desk, &stage.owner().snapshot(&desk.design).await, &before);
}

/// The typists of one desk leave, so that its room goes, and come back to what was folded behind them.
async fn leave_and_return(stage: &mut Stage, crew: &Crew, desk: &Desk) {
    desk.clients().for_each(Client::vanish);
    a_while(&mut stage.random, COMING_MAX * 3).await;
    let before = crew.promised();
    Crew::check(desk, &stage.owner().snapshot(&desk.design).await, &before);
    for client in desk.clients() {
        client.reconnect().await.unwrap();
        client.synced().await.unwrap();
    }
}

async fn race(bed: Bed) {
    let settings = [&ALL_THE_TIME[..], &[("ATLAS_IDLE_EVICT_MS", "20")]].concat();
    let mut stage = Stage::set_with(bed, &settings).await;
    let mut crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    let (began, mut came, mut returned) = (now(), 0, 0);
    // So long at least, and until a lot was folded.
    while began.elapsed() < length()
        || (began.elapsed() < length() + PATIENCE
            && (came == 0 || returned == 0 || !folds(&stage, &crew).await.are_enough()))
    {
        a_while(&mut stage.random, COMING_MAX).await;
        let desk = &crew.desks[stage.random.index(DESKS)];
        if stage.random.chance(30) {
            leave_and_return(&mut stage, &crew, desk).await;
            returned += 1;
        } else {
            come(&stage, &crew, desk).await;
            came += 1;
        }
    }
    let edits = crew.rest(stage.owner()).await;
    stage.check_logs(&crew).await;
    crew.leave();
    let folds = folds(&stage, &crew).await;
    stage.check_everything();
    println!(
        "{}: {edits} edits, {came} came, {returned} times all left and returned; {folds:?}",
        stage.bed.name()
    );
    assert!(folds.are_enough(), "hardly anything was folded: {folds:?}");
    assert!(0 < came && 0 < returned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folds_race_edits_and_loads_in_sqlite() {
    race(Bed::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folds_race_edits_and_loads_in_postgres() {
    race(Bed::postgres().await).await;
}

/// How it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// Every connection is reset.
    Refused,
    /// Connections stand, and nobody answers.
    Silent,
}

/// Blobs that wait, and rows that are gone all the same.
async fn has_piled_up(stage: &Stage, crew: &Crew, backlog: &'static str) -> bool {
    BLOBS_MIN <= stage.bed.count(&stage.server, backlog).await
        && ROWS_MIN <= folds(stage, crew).await.deleted_rows
}

/// The blob store is away from the beginning, over a kill of the server, to the end; people type, logs are folded and deleted. Then it
/// comes back.
async fn without_blobs(bed: Bed, away: Away) {
    const BACKLOG: &str = "SELECT count(*) FROM blob_backlog";
    let weed = SeaweedFs::start().await.unwrap();
    let proxy = Proxy::start(weed.address()).await.unwrap();
    let endpoint = format!("http://{}", proxy.address());
    let s3 = [
        ("S3_BUCKET", BUCKET),
        ("S3_ENDPOINT", &endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    match away {
        Away::Refused => proxy.cut(),
        Away::Silent => proxy.freeze(),
    }
    let mut stage = Stage::set_with(bed, &[&ALL_THE_TIME[..], &s3].concat()).await;
    let mut crew = stage.crew(DESKS, TYPISTS_PER_DESK).await;
    let (began, mut longest, mut killed) = (now(), Duration::ZERO, false);
    crew.acknowledged_since(began).await;
    while began.elapsed() < length()
        || (began.elapsed() < length() + PATIENCE && !has_piled_up(&stage, &crew, BACKLOG).await)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
        longest = longest.max(crew.quiet_for());
        if !killed && away == Away::Refused && length() / 2 < began.elapsed() {
            killed = true;
            stage.server.kill();
            crew.cut_off().await;
            let promised = crew.promised();
            tokio::task::block_in_place(|| stage.server.restart());
            stage.check_exported(&crew, &promised).await;
            crew.reconnect().await;
            crew.acknowledged_since(now()).await;
        }
    }
    let edits = crew.rest(stage.owner()).await;
    let passed = proxy.passed();
    assert_eq!((passed.up, passed.down), (0, 0), "the blob store was reached");
    let waiting = stage.bed.count(&stage.server, BACKLOG).await;
    let folds = folds(&stage, &crew).await;
    assert!(BLOBS_MIN <= waiting, "{waiting} blobs wait");
    assert_eq!(killed, away == Away::Refused);
    assert!(ROWS_MIN <= folds.deleted_rows, "{folds:?}");

    proxy.restore();
    let back = now();
    while stage.bed.count(&stage.server, BACKLOG).await != 0 {
        assert!(back.elapsed() < DRAINED_WITHIN, "the backlog does not drain");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let drained = back.elapsed();
    let put = weed.answered("PUT", 200).await.unwrap();
    assert!(waiting <= put, "{put} blobs arrived, {waiting} waited");
    stage.check_logs(&crew).await;
    crew.leave();
    stage.check_everything();
    println!(
        "{}: S3 was away ({away:?}) for {:?}: {edits} edits, never more than {longest:?} without an acknowledgement, {waiting} blobs \
         waited and had left {drained:?} after it was back; {folds:?}",
        stage.bed.name(),
        back.duration_since(began),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_is_away_for_the_whole_run_and_back_over_sqlite() {
    without_blobs(Bed::Sqlite, Away::Refused).await;
}

/// In a long run it is silent: that it is away shows after half a minute, and only then do blobs wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_is_away_for_the_whole_run_and_back_over_postgres() {
    let away = if SILENCE_SHOWS_AFTER < length() { Away::Silent } else { Away::Refused };
    without_blobs(Bed::postgres().await, away).await;
}
