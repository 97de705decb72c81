//! What happens elsewhere, noticed here. One task for a hub:
//!
//! - It asks the store, every [`LOOK_EVERY_MS`] and for all open designs at once, where each log stands, whether the design is
//!   still there, and whether members changed; and which logins ended. So whatever the bus loses, and a bus that is
//!   gone, costs no more than that. A look that fails changes nothing: rooms find out by themselves that the store is away.
//! - It hears what pods say to all pods, and looks at once where somebody says that something changed.
//! - It knows which pods are there: who was on one that went is shown no longer.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atlas_crdt::ids::{DesignId, Millis, PodId, SessionId, UserId};
use atlas_crdt::limits::LOOK_EVERY_MS;
use atlas_crdt::roles::DesignRole;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Notify;

use super::inbox::{Control, RoomHandle};
use super::turns::{Turns, TurnsWanted};
use super::{HubStats, Inner, Roles};
use crate::bus::{ALIVE_EVERY, DEAD_AFTER, Heard, PodMessage, PodWord, Subscription};
use crate::store::{Look, Result, StoreError};

/// Milliseconds between a look and one that somebody asks for: however much is said of a design, it is looked at a few times
/// a second.
const ASKED_EVERY_MS: u64 = 200;
/// A login that ended so long before the last look that knew of all is asked for once more: the store dates it when the
/// write begins, and shows it when it is done.
const REVOKED_OVERLAP_MS: u64 = 60_000;
/// Pods that are known of; more are not listened to.
const PODS_MAX: usize = 1_024;
/// No time.
const NEVER: Millis = Millis::new(u64::MAX);

/// What everybody may say to the watch, and ask of it.
#[derive(Debug)]
pub(super) struct Watch {
    /// Designs that something was said of. Written by rooms, taken by the task.
    asked: Mutex<HashSet<DesignId>>,
    is_asked: Notify,
    pub(super) turns_wanted: TurnsWanted,
    /// Set by the stop: this pod does not say any more that it lives.
    has_said_bye: AtomicBool,
    // The rest is written by the task and read by figures.
    pods: AtomicUsize,
    /// When the last look that succeeded began; `u64::MAX`: none yet.
    looked_at: AtomicU64,
    looks_fail: AtomicBool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            asked: Mutex::default(),
            is_asked: Notify::new(),
            turns_wanted: TurnsWanted::default(),
            has_said_bye: AtomicBool::new(false),
            pods: AtomicUsize::new(0),
            looked_at: AtomicU64::new(NEVER.get()),
            looks_fail: AtomicBool::new(false),
        }
    }
}

impl Watch {
    /// Something changed in the store that this design's sockets must hear of: it is looked at soon.
    pub(super) fn ask(&self, design: DesignId) {
        self.asked().insert(design);
        self.is_asked.notify_one();
    }

    pub(super) fn say_bye(&self) {
        self.has_said_bye.store(true, Ordering::SeqCst);
    }

    /// The watch's part of the figures.
    pub(super) fn stats(&self, now: Millis) -> HubStats {
        let looked_at = Millis::new(self.looked_at.load(Ordering::Relaxed));
        HubStats {
            pods: self.pods.load(Ordering::Relaxed),
            look_age_ms: (looked_at != NEVER).then(|| now.since(looked_at)),
            looks_fail: self.looks_fail.load(Ordering::Relaxed),
            ..HubStats::default()
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<DesignId>> {
        // Nothing inside can panic half-way through a change.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the process's tasks.
pub(super) async fn run(hub: Arc<Inner>) {
    let stop = hub.deps.tasks.token().clone();
    let live = async {
        let bus = hub.deps.bus.subscribe_to_pods().await;
        Watcher::new(Arc::clone(&hub), bus).live().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = live => {}
    }
}

/// One open design, as it was when the store was asked: what is told later goes to this room and to no later one.
struct Open {
    design: DesignId,
    room: Arc<RoomHandle>,
}

impl Open {
    /// `None`: it is still being loaded, and will find out what there is by that.
    fn of(design: DesignId, room: &Arc<RoomHandle>) -> Option<Self> {
        room.is_live.load(Ordering::Relaxed).then(|| Self { design, room: Arc::clone(room) })
    }
}

/// Where the designs stand, and which logins ended.
type Looked = (Vec<(DesignId, Look)>, Vec<SessionId>);

/// What the store answered.
enum Found {
    Looked { asked_at: Millis, open: Vec<Open>, looked: Result<Looked> },
    Roles { of: Vec<Changed>, members: Result<Vec<(DesignId, UserId, DesignRole)>> },
}

/// A design of which the sockets must hear something.
struct Changed {
    design: DesignId,
    room: Arc<RoomHandle>,
    /// As it was before the members are read.
    notice_seq: u64,
}

enum Event {
    Heard(Option<Heard<PodMessage>>),
    Found(Found),
    /// It is time for something, or somebody asked.
    Wake,
}

pub(super) struct Watcher {
    hub: Arc<Inner>,
    /// `None`: the bus has ended.
    bus: Option<Subscription<PodMessage>>,
    pub(super) pods: Pods,
    /// The question to the store that is under way. One at a time.
    question: Option<BoxFuture<'static, Found>>,
    next_look: Millis,
    /// Before this nobody's asking makes for a look.
    next_asked_look: Millis,
    next_alive: Millis,
    turns: Turns,
    /// Every login that ended before is known to have.
    sessions_known: Millis,
    /// Since when looks fail.
    failing_since: Option<Millis>,
}

impl Watcher {
    pub(super) fn new(hub: Arc<Inner>, bus: Subscription<PodMessage>) -> Self {
        let now = hub.deps.clock.now();
        // Pods that start together do not look together.
        let next_look = now.plus(hub.deps.ids.seed() % LOOK_EVERY_MS);
        Self {
            hub,
            bus: Some(bus),
            pods: Pods::default(),
            question: None,
            next_look,
            next_asked_look: now,
            next_alive: now,
            turns: Turns::new(now),
            sessions_known: now,
            failing_since: None,
        }
    }

    async fn live(mut self) {
        loop {
            match self.next_event().await {
                Event::Heard(Some(heard)) => self.hear(&heard),
                Event::Heard(None) => self.bus = None,
                Event::Found(found) => {
                    self.question = None;
                    self.on_found(found);
                }
                Event::Wake => {}
            }
            let now = self.now();
            if self.next_alive <= now {
                self.look_after_pods(now);
            }
            self.turns.take(&self.hub, &self.hub.watch.turns_wanted, now);
            if self.question.is_none() {
                self.look_if_due(now);
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let is_free = self.question.is_none();
        let is_asked = !self.hub.watch.asked().is_empty();
        let mut at = self.turns.deadline().map_or(self.next_alive, |turn| turn.min(self.next_alive));
        if is_free {
            at = at.min(self.next_look);
            if is_asked {
                at = at.min(self.next_asked_look);
            }
        }
        let from_bus = async {
            match &mut self.bus {
                Some(bus) => bus.messages.recv().await,
                None => pending().await,
            }
        };
        let found = async {
            match &mut self.question {
                Some(question) => question.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            heard = from_bus => Event::Heard(heard),
            found = found => Event::Found(found),
            () = self.hub.deps.clock.sleep_until(at) => Event::Wake,
            () = self.hub.watch.turns_wanted.wait() => Event::Wake,
            () = self.hub.watch.is_asked.notified(), if is_free && !is_asked => Event::Wake,
        }
    }

    fn now(&self) -> Millis {
        self.hub.deps.clock.now()
    }

    // --- looking

    fn look_if_due(&mut self, now: Millis) {
        let is_due = self.next_look <= now;
        if is_due {
            self.next_look = now.plus(LOOK_EVERY_MS);
            if self.hub.rooms.is_empty() {
                // Whoever comes has just had its login checked.
                self.sessions_known = now;
                return self.hub.watch.asked().clear();
            }
        }
        if !is_due && now < self.next_asked_look {
            return;
        }
        let asked = std::mem::take(&mut *self.hub.watch.asked());
        let rooms = &self.hub.rooms;
        if is_due {
            let open = rooms.iter().filter_map(|room| Open::of(*room.key(), room.value())).collect();
            self.look(now, open);
        } else if !asked.is_empty() {
            let open = asked.iter().filter_map(|design| Open::of(*design, rooms.get(design)?.value()));
            let open = open.collect();
            self.look(now, open);
        }
    }

    /// Asks the store about these.
    fn look(&mut self, now: Millis, open: Vec<Open>) {
        self.next_asked_look = now.plus(ASKED_EVERY_MS);
        let revoked = Duration::from_millis(now.since(self.sessions_known) + REVOKED_OVERLAP_MS);
        let store = Arc::clone(&self.hub.deps.store);
        self.question = Some(Box::pin(async move {
            let designs: Vec<_> = open.iter().map(|open| open.design).collect();
            let looked = futures_util::try_join!(store.look(&designs), store.revoked_within(revoked));
            Found::Looked { asked_at: now, open, looked }
        }));
    }

    fn on_found(&mut self, found: Found) {
        match found {
            Found::Looked { asked_at, open, looked: Ok((looks, revoked)) } => {
                self.hub.watch.looked_at.store(asked_at.get(), Ordering::Relaxed);
                self.sessions_known = asked_at;
                let now = self.now();
                for session in revoked {
                    self.hub.sessions.end(now, session);
                }
                self.tell_rooms(open, &looks.into_iter().collect());
                self.succeeded();
            }
            Found::Roles { of, members: Ok(members) } => {
                offer_roles(of, members);
                self.succeeded();
            }
            Found::Looked { looked: Err(error), .. } | Found::Roles { members: Err(error), .. } => {
                self.failed(&error);
            }
        }
    }

    fn tell_rooms(&mut self, open: Vec<Open>, looks: &HashMap<DesignId, Look>) {
        let mut changed = Vec::new();
        for Open { design, room } in open {
            // What finds a room's queue full is told by the next look.
            let Some(look) = looks.get(&design) else {
                let _ = room.control.try_send(Control::Deleted);
                continue;
            };
            let Look { generation, head: seq, .. } = *look;
            let _ = room.control.try_send(Control::Head { generation, seq });
            if room.analysis_told.get() < look.analysis_no {
                let _ = room.control.try_send(Control::Analysis { no: look.analysis_no });
            }
            if room.noticed.load(Ordering::Relaxed) == look.notice_seq {
                continue;
            }
            if room.seats_taken.load(Ordering::Relaxed) == 0 {
                // Whoever comes from now on asks for its role after it came.
                room.noticed.store(look.notice_seq, Ordering::Relaxed);
            } else {
                changed.push(Changed { design, room, notice_seq: look.notice_seq });
            }
        }
        if !changed.is_empty() {
            self.question = Some(self.ask_for_roles(changed));
        }
    }

    /// One question for all designs, and not one of each socket.
    fn ask_for_roles(&self, of: Vec<Changed>) -> BoxFuture<'static, Found> {
        let store = Arc::clone(&self.hub.deps.store);
        Box::pin(async move {
            let designs: Vec<_> = of.iter().map(|changed| changed.design).collect();
            let members = store.member_roles(&designs).await;
            Found::Roles { of, members }
        })
    }

    fn succeeded(&mut self) {
        self.hub.watch.looks_fail.store(false, Ordering::Relaxed);
        if let Some(since) = self.failing_since.take() {
            let outage_ms = self.now().since(since);
            tracing::info!(outage_ms, "the store tells again what changed elsewhere");
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.hub.watch.looks_fail.store(true, Ordering::Relaxed);
        if self.failing_since.is_none() {
            self.failing_since = Some(self.now());
            let cause = std::error::Error::source(error).map(|cause| format!("{cause:#}"));
            tracing::warn!(%error, cause, "the store does not tell what changed elsewhere: it is heard of later");
        }
    }

    // --- other pods

    pub(super) fn hear(&mut self, heard: &Heard<PodMessage>) {
        let now = self.now();
        let Heard::Message(PodMessage { pod, word }) = *heard else {
            // A login may have ended, a design be gone.
            return self.next_look = now;
        };
        if pod == self.hub.deps.pod {
            return;
        }
        match word {
            PodWord::Alive => {
                if self.pods.hear(now, pod) {
                    tracing::info!(%pod, "another server is there");
                    self.turns.want_presence(&self.hub);
                }
            }
            PodWord::Bye => {
                if self.pods.forget(pod) {
                    tracing::info!(%pod, "another server has stopped");
                    self.tell_all_rooms(Control::PodGone { pod });
                }
            }
            PodWord::SessionRevoked(session) => self.hub.sessions.end(now, session),
            // The jobs listen for themselves.
            PodWord::WorkWaits => {}
        }
        self.hub.watch.pods.store(self.pods.len(), Ordering::Relaxed);
    }

    /// Says that this one lives, and finds out who does not.
    pub(super) fn look_after_pods(&mut self, now: Millis) {
        self.next_alive = now.plus(millis(ALIVE_EVERY));
        // If it is this pod that stood still, the others' words wait here.
        while let Some(Ok(heard)) = self.bus.as_mut().map(|bus| bus.messages.try_recv()) {
            self.hear(&heard);
        }
        for pod in self.pods.take_silent(now) {
            tracing::warn!(%pod, "another server is not heard of any more");
            self.tell_all_rooms(Control::PodGone { pod });
        }
        self.hub.watch.pods.store(self.pods.len(), Ordering::Relaxed);
        if !self.hub.watch.has_said_bye.load(Ordering::SeqCst) {
            self.hub.tell_pods(PodWord::Alive);
        }
    }

    /// Beside the watch: a room whose queue is full holds it up no longer than the others.
    fn tell_all_rooms(&self, control: Control) {
        let rooms: Vec<_> = self.hub.rooms.iter().map(|room| room.control.clone()).collect();
        let told = async move {
            // A closed queue is a room that has ended.
            join_all(rooms.iter().map(|room| room.send(control.clone()))).await;
        };
        drop(self.hub.deps.tasks.spawn("news of another server", told));
    }
}

fn offer_roles(of: Vec<Changed>, members: Vec<(DesignId, UserId, DesignRole)>) {
    let mut roles: HashMap<DesignId, Roles> = HashMap::new();
    for (design, user, role) in members {
        roles.entry(design).or_default().insert(user, role);
    }
    for Changed { design, room, notice_seq } in of {
        // A design without members is gone: the next look says so.
        let Some(roles) = roles.remove(&design) else { continue };
        if room.control.try_send(Control::Roles(Arc::new(roles))).is_ok() {
            room.noticed.store(notice_seq, Ordering::Relaxed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The other pods that are heard of, and when each was last.
#[derive(Debug, Default)]
pub(super) struct Pods(HashMap<PodId, Millis>);

impl Pods {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// True: it was not there before.
    fn hear(&mut self, now: Millis, pod: PodId) -> bool {
        if let Some(at) = self.0.get_mut(&pod) {
            *at = now;
            return false;
        }
        let has_room = self.0.len() < PODS_MAX;
        if has_room {
            self.0.insert(pod, now);
        }
        has_room
    }

    /// False: it was not known.
    fn forget(&mut self, pod: PodId) -> bool {
        self.0.remove(&pod).is_some()
    }

    /// Those that said nothing for too long: they are known no more.
    fn take_silent(&mut self, now: Millis) -> Vec<PodId> {
        let mut silent: Vec<_> = self
            .0
            .extract_if(|_, heard_at| millis(DEAD_AFTER) <= now.since(*heard_at))
            .map(|(pod, _)| pod)
            .collect();
        silent.sort_unstable();
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_counted_within_a_bound() {
        let mut pods = Pods::default();
        let at = Millis::new;
        assert!(pods.hear(at(0), PodId::new(1)));
        assert!(!pods.hear(at(10), PodId::new(1)));
        let dead = at(10 + millis(DEAD_AFTER));
        assert_eq!(pods.take_silent(at(dead.get() - 1)), []);
        assert_eq!(pods.take_silent(dead), [PodId::new(1)]);
        assert_eq!(pods.take_silent(dead), []);
        for pod in 0..2 * PODS_MAX as u64 {
            pods.hear(at(0), PodId::new(pod));
        }
        assert_eq!(pods.0.len(), PODS_MAX);
        assert!(pods.forget(PodId::new(7)));
        assert!(!pods.forget(PodId::new(7)));
        assert!(pods.hear(at(0), PodId::new(7)), "heard again");
    }
}
