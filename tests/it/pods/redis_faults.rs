//! Whatever happens to Redis, an edit that is saved is seen by everybody within two seconds, and nothing is lost: while all
//! type, and where nobody edits after it.

use std::time::{Duration, Instant};

use atlas_loadtest::world;

use super::fleet::{Between, Fleet};
use super::lag::LagMeter;
use super::stall::Stalls;
use super::strike::{Fault, Strike, lost_commits};
use super::{CONVERGED_WITHIN, lag};
use crate::faults::Crew;
use crate::faults::crew::{PATIENCE, now};

const TYPISTS: usize = 3;
/// How long a fault lasts; `ATLAS_OUTAGE_SECS` says otherwise.
const LENGTH: Duration = Duration::from_secs(3);
/// The same of ways that are cut.
const CUT_LENGTH: Duration = Duration::from_secs(30);
const CALM: Duration = Duration::from_millis(500);
/// Pods have noticed what has happened.
const NOTICED: Duration = Duration::from_secs(1);
/// What an acknowledgement may take longer than in the calm before. One that waited for a slow Redis would take twice that.
const SLOWER_MAX: Duration = Duration::from_millis(300);

fn length(fault: Fault) -> Duration {
    let usual = if fault == Fault::Cut { CUT_LENGTH } else { LENGTH };
    world::long_run("ATLAS_OUTAGE_SECS").unwrap_or(usual)
}

async fn endure(fleet: &mut Fleet, fault: Fault) {
    let mut crew = fleet.crew(1, TYPISTS).await;
    while_all_type(fleet, &crew, fault).await;
    // Of one that hits by chance nobody can say that it has hit the last edit: see `Deaf`.
    if fault != Fault::Lossy {
        crew.stop_typing().await;
        for writer in 0..2 {
            while_nobody_types(fleet, &crew, fault, writer).await;
        }
    }
    finish(fleet, crew).await;
}

async fn while_all_type(fleet: &mut Fleet, crew: &Crew, fault: Fault) {
    let meter = LagMeter::of(crew);
    let calm = longest_wait(crew, if fault == Fault::Slow { LENGTH } else { CALM }).await;
    let flowing = crew.acknowledgements();
    let strike = Strike::begin(fleet, fault).await;
    let mut longest = Duration::ZERO;
    let what = if fault.lasts() {
        longest = longest_wait(crew, length(fault)).await;
        strike.end(fleet).await
    } else {
        let what = strike.end(fleet).await;
        tokio::time::sleep(length(fault)).await;
        what
    };
    let ended = now();
    assert!(flowing < crew.acknowledgements(), "nobody was acknowledged anything");
    crew.acknowledged_since(ended).await;
    let converged = lag::converged(crew).await;
    tokio::time::sleep(CALM).await;
    let lag = meter.end().await;
    println!(
        "{fault:?} for {:?} ({what}): what was saved was seen by everybody after {:?} at most, all of it {converged:?} after the end, \
         {} edits, {} looks; nobody waited longer than {longest:?} for an acknowledgement, {calm:?} before",
        length(fault),
        lag.longest,
        crew.edits(),
        lag.looks
    );
    assert!(lag.longest < CONVERGED_WITHIN, "{fault:?}: somebody waited {:?}", lag.longest);
    if fault == Fault::Slow {
        assert!(longest < calm + SLOWER_MAX, "edits waited for Redis: {longest:?}, {calm:?} before");
    }
}

/// The longest that any typist was without a new acknowledgement within this time, without what the machine stood still.
async fn longest_wait(crew: &Crew, within: Duration) -> Duration {
    let (began, stalls) = (now(), Stalls::watch());
    let mut longest = Duration::ZERO;
    while began.elapsed() < within {
        for typist in crew.typists() {
            let newest = typist.client.look(|seen| seen.acknowledged_at).unwrap();
            longest = longest.max(newest.max(began).elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stalled = stalls.so_far();
    if !stalled.is_zero() {
        println!("the machine stood still for {stalled:?} of {within:?}, somebody waited {longest:?}");
    }
    longest.saturating_sub(stalled)
}

/// An edit which nobody follows exposes no hole: whoever did not hear of it must find it by itself.
async fn while_nobody_types(fleet: &mut Fleet, crew: &Crew, fault: Fault, writer: usize) {
    for typist in 0..TYPISTS {
        saved(crew, typist).await;
    }
    lag::converged(crew).await;
    let strike = Strike::begin(fleet, fault).await;
    let mut during = None;
    if fault.lasts() {
        let seen = edit_and_see(fleet, crew, fault, writer).await;
        assert!(seen < CONVERGED_WITHIN, "{fault:?}: it was seen {seen:?} after it was saved");
        during = Some(seen);
        tokio::time::sleep(NOTICED).await;
    }
    let edited = one_edit(fleet, crew, fault, writer).await;
    let all_see_it = async {
        lag::converged(crew).await;
        edited.elapsed()
    };
    let (what, seen) = tokio::join!(strike.end(fleet), all_see_it);
    println!(
        "{fault:?} ({what}), nobody edits after pod {writer}: everybody sees it {during:?} after it is saved during the fault, and {seen:?} \
         where the fault ends then"
    );
    assert!(seen < CONVERGED_WITHIN, "{fault:?}: it was seen {seen:?} after it was saved");
}

async fn edit_and_see(fleet: &Fleet, crew: &Crew, fault: Fault, writer: usize) -> Duration {
    let edited = one_edit(fleet, crew, fault, writer).await;
    lag::converged(crew).await;
    edited.elapsed()
}

/// One more edit, and the moment at which its author hears that it is saved.
async fn one_edit(fleet: &Fleet, crew: &Crew, fault: Fault, writer: usize) -> Instant {
    let lost = lost_commits(fleet);
    crew.desks[0].typists[writer].edit();
    saved(crew, writer).await;
    let saved = now();
    while fault == Fault::Deaf && lost.iter().zip(lost_commits(fleet)).any(|(before, now)| now <= *before) {
        assert!(saved.elapsed() < PATIENCE, "the message is not lost at every pod");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    saved
}

async fn saved(crew: &Crew, writer: usize) {
    let typist = &crew.desks[0].typists[writer];
    let all = |_: &_| typist.acknowledged() == typist.made();
    typist.client.wait_until(PATIENCE, "everything to be saved", all).await.unwrap();
}

async fn finish(fleet: &Fleet, mut crew: Crew) -> u64 {
    let edits = fleet.rest(&mut crew).await;
    crew.leave();
    edits
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_starts_again_is_emptied_and_stands_still() {
    let mut fleet = Fleet::with_redis().await;
    for fault in [Fault::Killed, Fault::Restarted, Fault::Flushed, Fault::Paused] {
        endure(&mut fleet, fault).await;
    }
    fleet.check_logs();
    fleet.check_store();
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ways_to_redis_are_cut_and_frozen() {
    let mut fleet = Fleet::with_redis().await;
    for fault in [Fault::Cut, Fault::OnePodFrozen] {
        endure(&mut fleet, fault).await;
    }
    fleet.check_logs();
    fleet.check_store();
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_lost_and_late() {
    let mut fleet = Fleet::with_redis().await;
    for fault in [Fault::Lossy, Fault::Deaf, Fault::Slow] {
        endure(&mut fleet, fault).await;
    }
    fleet.check_logs();
    fleet.check_store();
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_absent_from_the_start_and_comes_later() {
    let mut fleet = Fleet::start(Between::DeadRedis, &[]).await;
    let crew = fleet.crew(1, TYPISTS).await;
    let meter = LagMeter::of(&crew);
    tokio::time::sleep(length(Fault::Killed)).await;
    let lag = meter.end().await;
    println!("Redis absent: what was saved was seen by everybody after {:?} at most", lag.longest);
    assert!(lag.longest < CONVERGED_WITHIN, "somebody waited {:?}", lag.longest);
    fleet.redis().restart().await.unwrap();
    let began = now();
    while fleet.redis().calls("spublish").await.unwrap() < 10 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody found the Redis that came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let edits = finish(&fleet, crew).await;
    println!("it was found and used {:?} after it came; {edits} edits", began.elapsed());
    fleet.check_logs();
    fleet.check_store();
}
