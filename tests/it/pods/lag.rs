//! How long it takes from the moment at which an edit's author hears that it is saved until everybody who is connected
//! sees it, whichever pod they are at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_loadtest::client::{Client, Seen};
use atlas_loadtest::world;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::stall::Stalls;

use crate::faults::Crew;
use crate::faults::crew::now;
use crate::faults::typist::Typist;

/// Between two looks: what is told is that much too large at most.
const BEAT: Duration = Duration::from_millis(25);

/// Looks at everybody until it is ended.
pub(super) struct LagMeter {
    measuring: JoinHandle<Lag>,
    working: watch::Sender<bool>,
}

/// What was measured.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Lag {
    /// An edit that was saved was not seen by somebody for so long, not counting what the machine stood still.
    pub(super) longest: Duration,
    pub(super) looks: u64,
}

/// A point in time, and how long the machine had stood still until then.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    stalled: Duration,
}

/// Somebody who looks at somebody's edits.
struct View {
    typist: Arc<Typist>,
    viewer: Client,
    /// Sockets opened when it was looked at last, and since when this one is in step.
    socket: Option<(u64, Instant)>,
    /// What was acknowledged to the typist and not seen, with the moment at which it was noticed.
    unseen: VecDeque<(Moment, u64)>,
}

impl LagMeter {
    pub(super) fn of(crew: &Crew) -> Self {
        let (working, mut told) = watch::channel(true);
        let mut views = Vec::new();
        for desk in &crew.desks {
            for typist in &desk.typists {
                let own = typist.client.client_id();
                for viewer in desk.clients().filter(|client| client.client_id() != own) {
                    let (typist, viewer) = (Arc::clone(typist), viewer.clone());
                    views.push(View { typist, viewer, socket: None, unseen: VecDeque::new() });
                }
            }
        }
        let measuring = world::spawn(async move {
            let (mut lag, stalls) = (Lag::default(), Stalls::watch());
            while *told.borrow_and_update() {
                let mut acknowledged = BTreeMap::new();
                let moment = Moment { at: now(), stalled: stalls.so_far() };
                for view in &mut views {
                    let client = view.typist.client.client_id();
                    let saved = *acknowledged.entry(client).or_insert_with(|| view.typist.acknowledged());
                    lag.longest = lag.longest.max(view.look(saved, moment));
                }
                lag.looks += 1;
                tokio::time::sleep(BEAT).await;
            }
            let stalled = stalls.so_far();
            if !stalled.is_zero() {
                println!(
                    "the machine stood still for {stalled:?} while it was measured how soon edits are seen"
                );
            }
            lag
        });
        Self { measuring, working }
    }

    pub(super) async fn end(self) -> Lag {
        self.working.send_replace(false);
        self.measuring.await.unwrap()
    }
}

impl Moment {
    /// While the machine did something.
    fn since(self, before: Self) -> Duration {
        self.at.duration_since(before.at).saturating_sub(self.stalled.saturating_sub(before.stalled))
    }
}

impl View {
    /// How long the oldest edit that is saved and not seen has waited, while the viewer is connected.
    fn look(&mut self, acknowledged: u64, now: Moment) -> Duration {
        let (is_here, sockets) = self.viewer.look(|seen| (seen.is_synced(), seen.sockets));
        if !is_here || !self.viewer.is_open() {
            self.socket = None;
            self.unseen.clear();
            return Duration::ZERO;
        }
        let is_same = self.socket.is_some_and(|(of, _)| of == sockets);
        if !is_same {
            self.socket = Some((sockets, now.at));
            self.unseen.clear();
        }
        if self.unseen.back().is_none_or(|(_, newest)| *newest < acknowledged) {
            self.unseen.push_back((now, acknowledged));
        }
        let seen = self.typist.seen_by(&self.viewer);
        while self.unseen.front().is_some_and(|(_, edit)| *edit <= seen) {
            self.unseen.pop_front();
        }
        self.unseen.front().map_or(Duration::ZERO, |(since, _)| now.since(*since))
    }
}

/// How long until everybody sees all that is saved now.
pub(super) async fn converged(crew: &Crew) -> Duration {
    let began = now();
    for desk in &crew.desks {
        for typist in &desk.typists {
            let (saved, own) = (typist.acknowledged(), typist.client.client_id());
            for viewer in desk.clients().filter(|client| client.client_id() != own) {
                let sees = |viewer: &Client| {
                    viewer.is_open() && viewer.look(Seen::is_synced) && saved <= typist.seen_by(viewer)
                };
                viewer.wait_until(crate::faults::crew::PATIENCE, "what is saved", sees).await.unwrap();
            }
        }
    }
    began.elapsed()
}
