//! The rooms of this pod: which designs are open, how a connection gets into one, and who must hear what.
//!
//! - `hub/edit.rs` how an edit over HTTP gets into a room, and its answer out;
//! - `hub/sessions.rs` whose connections end with which login;
//! - `hub/stop.rs` how a pod goes away;
//! - `hub/watch.rs` what happens on other pods and in the store, noticed here;
//! - `hub/turns.rs` designs that speak on the bus a few at a time;
//! - `hub/outbox.rs` what waits to be written to one connection;
//! - `hub/inbox.rs` the two queues that lead into a room;
//! - `hub/room_task.rs` the one task that owns a room: its loop, its end;
//! - `hub/executor.rs` carries out what the room wants done;
//! - `hub/folds.rs` tells the jobs of logs that have grown long;
//! - `hub/analyses.rs` what the people in a room are told of the analysis of their design.
//!
//! The map holds handles only. A room is created under the map's entry, so that two joiners never load one design
//! twice, and a task removes its own handle before it stops listening: whoever still knocks is told to try again
//! and finds the next room (INV-4).

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atlas_crdt::ids::{ConnId, DesignId, Epoch, PodId, SessionId, UserId};
use atlas_crdt::limits::CONNS_PER_ROOM_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Join};
use atlas_crdt::wire::ClientFrame;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::bus::{Bus, BusMessage, PodMessage, PodWord, Word};
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::store::analyses::AnalysisHints;

pub mod edit;
mod analyses;
mod executor;
pub mod folds;
mod inbox;
pub mod outbox;
mod room_task;
mod sessions;
pub mod stop;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod turns;
mod watch;

use stop::Unsaved;

use folds::FoldHints;
use inbox::{Control, RoomHandle, ToRoom};
use outbox::Outbox;
use sessions::Sessions;
use watch::Watch;

/// Rooms that are being loaded at the same time; the others wait for their turn, which costs the store nothing. A few more
/// than stores load at once, so that none of their connections waits.
const LOADS_AT_ONCE: usize = 8;

/// The members of a design.
pub type Roles = HashMap<UserId, DesignRole>;

/// What the hub stands on.
pub struct HubDeps {
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub ids: Ids,
    pub tasks: Tasks,
    pub pod: PodId,
    /// How long a room without connections stays.
    pub idle_evict: Duration,
    /// Bytes. What a room keeps unsaved while the store takes nothing.
    pub unsaved_bytes_max: usize,
    /// Bytes. What all rooms together keep unsaved.
    pub unsaved_bytes_total_max: usize,
    pub folds: FoldHints,
    /// Where the jobs hear that a design has settled.
    pub analyses: AnalysisHints,
}

impl fmt::Debug for HubDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubDeps").field("pod", &self.pod).finish_non_exhaustive()
    }
}

/// The open designs of this pod. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deps: HubDeps,
    /// Written under the entry by joiners (insert) and by each room's task (its own removal).
    rooms: DashMap<DesignId, Arc<RoomHandle>>,
    sessions: Sessions,
    watch: Watch,
    /// A permit for each room that may be loaded now.
    load_turns: Arc<Semaphore>,
    last_conn: AtomicU64,
    last_incarnation: AtomicU64,
    last_request: AtomicU64,
    /// Bytes of edits over HTTP that may still be taken into memory.
    edit_space: Arc<Semaphore>,
    connections: AtomicUsize,
    /// The sum of what the rooms keep unsaved. Written by each room's task after each turn.
    unsaved_bytes: AtomicUsize,
    /// Summed up as rooms end.
    divergences: AtomicU64,
    /// What rooms had unsaved that ended without writing it while the pod stopped.
    given_up: Mutex<Vec<Unsaved>>,
    /// Set once; read under the map's entry before a room is created.
    draining: AtomicBool,
    /// Told by every room that ends.
    room_ended: Notify,
}

/// Somebody whose credential and role have been checked, about to take part.
#[derive(Debug, Clone, Copy)]
pub struct NewConn {
    pub user: UserId,
    /// The login behind it: revoking it closes the connection.
    pub session: SessionId,
    pub role: DesignRole,
    pub dialect: Dialect,
    /// The epoch that the client last saw, if it said so.
    pub epoch: Option<Epoch>,
}

/// Why nobody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("this server is restarting")]
    Draining,
    #[error("too many connections in this design")]
    RoomFull,
}

/// The room is gone (it failed): the connection is being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the room has ended")]
pub struct RoomGone;

/// Figures of this pod, for health pages and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStats {
    pub rooms: usize,
    pub connections: usize,
    /// Bytes of edits that are not in the log yet.
    pub unsaved_bytes: usize,
    /// Other pods that are heard of.
    pub pods: usize,
    /// Documents that another pod had otherwise at the same place of the log. They were loaded anew.
    pub divergences: u64,
    /// Milliseconds since the store was last asked what changed elsewhere, and answered; `None`: never yet. It is asked only
    /// while a design is open.
    pub look_age_ms: Option<u64>,
    /// The store did not answer the last time.
    pub looks_fail: bool,
}

impl Hub {
    /// It notices what happens elsewhere only while [`Self::watch`] runs.
    #[must_use]
    pub fn new(deps: HubDeps) -> Self {
        Self(Arc::new(Inner {
            deps,
            rooms: DashMap::new(),
            sessions: Sessions::default(),
            watch: Watch::default(),
            load_turns: Arc::new(Semaphore::new(LOADS_AT_ONCE)),
            last_conn: AtomicU64::new(0),
            last_incarnation: AtomicU64::new(0),
            divergences: AtomicU64::new(0),
            last_request: AtomicU64::new(0),
            edit_space: Arc::new(Semaphore::new(edit::BYTES_MAX)),
            connections: AtomicUsize::new(0),
            unsaved_bytes: AtomicUsize::new(0),
            given_up: Mutex::default(),
            draining: AtomicBool::new(false),
            room_ended: Notify::new(),
        }))
    }

    /// Notices what happens elsewhere, until the tasks of the process end. To be run once.
    pub async fn watch(self) {
        watch::run(self.0).await;
    }

    /// Takes part in a design, loading it if it is not open. Returns once the room has taken the join; what the room
    /// thinks of it (no such design, a store in trouble) arrives in the outbox. Never fails for a race with an
    /// eviction. Safe to drop at any time.
    pub async fn join(&self, design: DesignId, new: NewConn) -> Result<ConnHandle, JoinError> {
        let conn = ConnId::new(self.0.last_conn.fetch_add(1, Ordering::Relaxed) + 1);
        let outbox = Arc::new(Outbox::default());
        loop {
            let mut seat = Seat::take(self.room(design)?, conn)?;
            let NewConn { user, session, role, dialect, epoch } = new;
            let join = Join { conn, user, role, dialect, epoch };
            if seat.knock(join, &outbox).await {
                self.0.connections.fetch_add(1, Ordering::Relaxed);
                self.0.sessions.enter(session, conn, &outbox, dialect);
                return Ok(ConnHandle { seat, session, dialect, outbox, hub: Arc::clone(&self.0) });
            }
        }
    }

    /// Tells the open design, here and on the other pods, that a member's role changed; `None`: no longer a member.
    /// Call it after the store knows.
    pub async fn role_changed(&self, design: DesignId, user: UserId, role: Option<DesignRole>) {
        self.0.tell_other_rooms(design);
        self.role_is(design, user, role).await;
    }

    /// As [`Self::role_changed`], for who has noticed the change rather than made it: the other pods notice by themselves.
    pub async fn role_is(&self, design: DesignId, user: UserId, role: Option<DesignRole>) {
        self.tell(design, Control::RoleChanged { user, role }).await;
    }

    /// Tells the open design, here and on the other pods, that it was deleted. Call it after the store knows.
    pub async fn deleted(&self, design: DesignId) {
        self.0.tell_other_rooms(design);
        self.tell(design, Control::Deleted).await;
    }

    /// Closes every connection that the login opened, here and on the other pods. Call it after the store knows.
    pub fn session_revoked(&self, session: SessionId) {
        self.0.sessions.end(self.0.deps.clock.now(), session);
        self.0.tell_pods(PodWord::SessionRevoked(session));
    }

    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats {
            rooms: self.0.rooms.len(),
            connections: self.0.connections.load(Ordering::Relaxed),
            unsaved_bytes: self.0.unsaved_bytes.load(Ordering::Relaxed),
            divergences: self.0.divergences.load(Ordering::Relaxed),
            ..self.0.watch.stats(self.0.deps.clock.now())
        }
    }

    /// What it speaks to other pods through.
    #[must_use]
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.0.deps.bus
    }

    /// The design's room, started if there is none.
    fn room(&self, design: DesignId) -> Result<Arc<RoomHandle>, JoinError> {
        match self.0.rooms.entry(design) {
            // Under the entry: a drain that we do not see yet will see the room that we insert.
            _ if self.is_draining() => Err(JoinError::Draining),
            Entry::Occupied(open) => Ok(Arc::clone(open.get())),
            Entry::Vacant(vacant) => {
                let incarnation = self.0.last_incarnation.fetch_add(1, Ordering::Relaxed) + 1;
                let handle = room_task::start(&self.0, design, incarnation);
                vacant.insert(Arc::clone(&handle));
                Ok(handle)
            }
        }
    }

    async fn tell(&self, design: DesignId, control: Control) {
        let room = self.0.rooms.get(&design).map(|room| Arc::clone(room.value()));
        if let Some(room) = room {
            // A closed queue is a room that has ended; the next one reads the store.
            let _ = room.control.send(control).await;
        }
    }
}

impl Inner {
    /// Counts what a room keeps unsaved now. True: all rooms together keep too much.
    fn note_unsaved(&self, room: &RoomHandle, bytes: usize) -> bool {
        let before = room.unsaved_bytes.swap(bytes, Ordering::Relaxed);
        let sum = if before <= bytes {
            self.unsaved_bytes.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before)
        } else {
            self.unsaved_bytes.fetch_sub(before - bytes, Ordering::Relaxed) - (before - bytes)
        };
        self.deps.unsaved_bytes_total_max < sum
    }

    /// A room will not write what it has unsaved. It is with its authors; who waits for the stop is to hear of it.
    fn note_given_up(&self, design: DesignId, bytes: usize) {
        if 0 < bytes && self.draining.load(Ordering::SeqCst) {
            self.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(Unsaved { design, bytes });
        }
    }

    /// Called by a room's task for itself, before it stops listening.
    fn forget_room(&self, design: DesignId, incarnation: u64) {
        self.rooms.remove_if(&design, |_, room| room.incarnation == incarnation);
        self.room_ended.notify_waiters();
    }

    /// Something besides the log changed in the store: the other pods look at once.
    fn tell_other_rooms(&self, design: DesignId) {
        self.deps.bus.publish(design, BusMessage { pod: self.deps.pod, word: Word::Notice });
    }

    fn tell_pods(&self, word: PodWord) {
        self.deps.bus.publish_to_pods(PodMessage { pod: self.deps.pod, word });
    }
}

/// One of a room's places, from the knock to the leave: `CONNS_PER_ROOM_MAX` counts those who still knock, too.
/// Dropping it leaves, in the order of what was sent before.
#[derive(Debug)]
struct Seat {
    conn: ConnId,
    room: Arc<RoomHandle>,
    /// A slot in the room's queue, held from before the join, so that leaving never waits and never fails.
    leave: Option<mpsc::OwnedPermit<ToRoom>>,
}

impl Seat {
    fn take(room: Arc<RoomHandle>, conn: ConnId) -> Result<Self, JoinError> {
        let taken = room.seats_taken.fetch_add(1, Ordering::SeqCst);
        let seat = Self { conn, room, leave: None };
        if taken < CONNS_PER_ROOM_MAX { Ok(seat) } else { Err(JoinError::RoomFull) }
    }

    /// False: this room has ended, the next one must be asked.
    async fn knock(&mut self, join: Join, outbox: &Arc<Outbox>) -> bool {
        let Ok(leave) = self.room.frames.clone().reserve_owned().await else { return false };
        self.leave = Some(leave);
        let (taken, answer) = oneshot::channel();
        let join = ToRoom::Join { join, outbox: Arc::clone(outbox), taken };
        self.room.frames.send(join).await.is_ok() && answer.await.is_ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.seats_taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(leave) = self.leave.take() {
            leave.send(ToRoom::Leave { conn: self.conn });
        }
    }
}

/// One connection's hold on its room. Dropping it leaves the room, after everything that was delivered before.
#[derive(Debug)]
pub struct ConnHandle {
    seat: Seat,
    session: SessionId,
    dialect: Dialect,
    outbox: Arc<Outbox>,
    hub: Arc<Inner>,
}

/// What a connection brings to its room.
#[derive(Debug)]
pub enum FromConn {
    Frame(ClientFrame),
    /// Everything queued for the connection has left, and the outbox said that somebody waits for that.
    Writable,
}

/// Whether the room's queue had space.
pub enum Delivery {
    Done(Result<(), RoomGone>),
    /// The queue is full: wait for this before reading on. That wait is the back-pressure that a busy room, or one
    /// whose store is slow, puts on its sockets.
    Waiting(Pin<Box<dyn Future<Output = Result<(), RoomGone>> + Send>>),
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(result) => f.debug_tuple("Done").field(result).finish(),
            Self::Waiting(_) => f.write_str("Waiting"),
        }
    }
}

impl ConnHandle {
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.seat.conn
    }

    /// What is to be written to the connection.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The connection goes on under the credential of another login.
    pub fn rebind(&mut self, session: SessionId) {
        if session != self.session {
            self.hub.sessions.leave(self.session, self.seat.conn);
            self.session = session;
            self.hub.sessions.enter(session, self.seat.conn, &self.outbox, self.dialect);
        }
    }

    /// Hands something to the room. One at a time: what is delivered while another delivery waits may overtake it.
    pub fn deliver(&self, what: FromConn) -> Delivery {
        let conn = self.seat.conn;
        match what {
            FromConn::Writable => self.seat.room.deliver(0, move |_| ToRoom::Writable { conn }),
            FromConn::Frame(frame) => {
                let bytes = frame_bytes(&frame);
                self.seat.room.deliver(bytes, move |space| ToRoom::Frame { conn, frame, space })
            }
        }
    }

    /// As [`Self::deliver`], waiting for space.
    pub async fn send_frame(&self, frame: ClientFrame) -> Result<(), RoomGone> {
        match self.deliver(FromConn::Frame(frame)) {
            Delivery::Done(result) => result,
            Delivery::Waiting(delivered) => delivered.await,
        }
    }
}

impl Drop for ConnHandle {
    fn drop(&mut self) {
        self.outbox.abandon();
        self.hub.sessions.leave(self.session, self.seat.conn);
        self.hub.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes. What a queued frame keeps alive.
fn frame_bytes(frame: &ClientFrame) -> usize {
    match frame {
        ClientFrame::SyncStep1 { state_vector } => state_vector.len(),
        ClientFrame::SyncStep2 { update }
        | ClientFrame::Update { update }
        | ClientFrame::Awareness { update } => update.len(),
        ClientFrame::Renew { token } => token.len(),
        ClientFrame::QueryAwareness | ClientFrame::Unknown { .. } => 0,
    }
}
