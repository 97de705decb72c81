//! The rooms of this pod: which designs are open, how a connection gets into one, and who must hear what.
//!
//! - `hub/edit.rs` how an edit over HTTP gets into a room, and its answer out;
//! - `hub/outbox.rs` what waits to be written to one connection;
//! - `hub/room_task.rs` the one task that owns a room: its two queues, its loop, its end;
//! - `hub/executor.rs` carries out what the room wants done;
//! - `hub/folds.rs` tells the jobs of logs that have grown long.
//!
//! The map holds handles only. A room is created under the map's entry, so that two joiners never load one design
//! twice, and a task removes its own handle before it stops listening: whoever still knocks is told to try again
//! and finds the next room (INV-4).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use atlas_crdt::ids::{ConnId, DesignId, Epoch, Millis, PodId, SessionId, UserId};
use atlas_crdt::limits::CONNS_PER_ROOM_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Join};
use atlas_crdt::wire::{ClientFrame, CloseCode};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::bus::Bus;
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::Store;

pub mod edit;
mod executor;
pub mod folds;
pub mod outbox;
mod room_task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use folds::FoldHints;
use outbox::Outbox;
use room_task::{Control, RoomHandle, ToRoom};

/// Milliseconds. Longer than a join takes from the check of its credential to its place in the room.
const REVOKED_KEPT_MS: u64 = 120_000;

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
    /// The connections that each login opened: written by joins and by dropped handles, read by a revocation.
    sessions: DashMap<SessionId, HashMap<ConnId, Weak<Outbox>>>,
    /// Logins that ended a moment ago: a join that was checked before and registers after finds itself here.
    revoked: Mutex<VecDeque<(Millis, SessionId)>>,
    last_conn: AtomicU64,
    last_incarnation: AtomicU64,
    last_request: AtomicU64,
    /// Bytes of edits over HTTP that may still be taken into memory.
    edit_space: Arc<Semaphore>,
    connections: AtomicUsize,
    /// The sum of what the rooms keep unsaved. Written by each room's task after each turn.
    unsaved_bytes: AtomicUsize,
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
}

/// Edits that are in memory and in their authors' clients, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaved {
    pub design: DesignId,
    /// Of updates, and of the bodies of edits over HTTP.
    pub bytes: usize,
}

/// How a drain ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drained {
    /// Rooms that had not ended at the deadline.
    pub rooms_left: usize,
    /// Those among them whose edits the store had not taken.
    pub unsaved: Vec<Unsaved>,
}

impl Drained {
    /// Every room has ended, and nothing is unsaved.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rooms_left == 0
    }
}

impl Hub {
    #[must_use]
    pub fn new(deps: HubDeps) -> Self {
        Self(Arc::new(Inner {
            deps,
            rooms: DashMap::new(),
            sessions: DashMap::new(),
            revoked: Mutex::default(),
            last_conn: AtomicU64::new(0),
            last_incarnation: AtomicU64::new(0),
            last_request: AtomicU64::new(0),
            edit_space: Arc::new(Semaphore::new(edit::BYTES_MAX)),
            connections: AtomicUsize::new(0),
            unsaved_bytes: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            room_ended: Notify::new(),
        }))
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
                self.0.note_conn(session, conn, &outbox);
                return Ok(ConnHandle { seat, session, outbox, hub: Arc::clone(&self.0) });
            }
        }
    }

    /// Tells the open design, if it is open here, that a member's role changed; `None`: no longer a member.
    /// Call it after the store knows.
    pub async fn role_changed(&self, design: DesignId, user: UserId, role: Option<DesignRole>) {
        self.tell(design, Control::RoleChanged { user, role }).await;
    }

    /// Tells the open design, if it is open here, that it was deleted. Call it after the store knows.
    pub async fn deleted(&self, design: DesignId) {
        self.tell(design, Control::Deleted).await;
    }

    /// Closes every connection that the login opened. Call it after the store knows.
    pub fn session_revoked(&self, session: SessionId) {
        self.0.note_revoked(session);
        let opened: Vec<_> = match self.0.sessions.get(&session) {
            Some(opened) => opened.values().cloned().collect(),
            None => return,
        };
        for outbox in opened.iter().filter_map(Weak::upgrade) {
            sign_out(&outbox);
        }
    }

    /// Refuses joins from now on, closes every connection with 1012 once its room has flushed, and returns when all
    /// rooms have ended, or at the deadline.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.0.draining.store(true, Ordering::SeqCst);
        let all_ended = async {
            let rooms: Vec<_> = self.0.rooms.iter().map(|entry| Arc::clone(entry.value())).collect();
            // All at once: a room whose queue is full holds up no other. A closed queue is a room that has ended already.
            join_all(rooms.iter().map(|room| room.control.send(Control::Drain))).await;
            loop {
                let ended = self.0.room_ended.notified();
                if self.0.rooms.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(deadline, all_ended).await.is_ok() {
            return Drained::default();
        }
        Drained { rooms_left: self.0.rooms.len(), unsaved: self.unsaved() }
    }

    /// The open designs with edits that are not in the log yet, by their ids.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Unsaved> {
        let rooms = self.0.rooms.iter();
        let unsaved = rooms.map(|room| Unsaved {
            design: *room.key(),
            bytes: room.value().unsaved_bytes.load(Ordering::Relaxed),
        });
        let mut unsaved: Vec<_> = unsaved.filter(|of| 0 < of.bytes).collect();
        unsaved.sort_unstable_by_key(|of| of.design);
        unsaved
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats {
            rooms: self.0.rooms.len(),
            connections: self.0.connections.load(Ordering::Relaxed),
            unsaved_bytes: self.0.unsaved_bytes.load(Ordering::Relaxed),
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

    /// Called by a room's task for itself, before it stops listening.
    fn forget_room(&self, design: DesignId, incarnation: u64) {
        self.rooms.remove_if(&design, |_, room| room.incarnation == incarnation);
        self.room_ended.notify_waiters();
    }

    fn note_conn(&self, session: SessionId, conn: ConnId, outbox: &Arc<Outbox>) {
        self.sessions.entry(session).or_default().insert(conn, Arc::downgrade(outbox));
        // After the entry: a revocation either finds the entry or was noted before.
        if self.recently_revoked().iter().any(|(_, revoked)| *revoked == session) {
            sign_out(outbox);
        }
    }

    fn note_revoked(&self, session: SessionId) {
        let now = self.deps.clock.now();
        let mut revoked = self.recently_revoked();
        revoked.retain(|(at, _)| now.since(*at) < REVOKED_KEPT_MS);
        revoked.push_back((now, session));
    }

    fn recently_revoked(&self) -> MutexGuard<'_, VecDeque<(Millis, SessionId)>> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_session(&self, session: SessionId, conn: ConnId) {
        if let Entry::Occupied(mut opened) = self.sessions.entry(session) {
            opened.get_mut().remove(&conn);
            if opened.get().is_empty() {
                opened.remove();
            }
        }
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
        let taken = room.seats_taken.fetch_add(1, Ordering::Relaxed);
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
            self.hub.leave_session(self.session, self.seat.conn);
            self.session = session;
            self.hub.note_conn(session, self.seat.conn, &self.outbox);
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
        self.hub.leave_session(self.session, self.seat.conn);
        self.hub.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn sign_out(outbox: &Outbox) {
    outbox.close(CloseCode::Unauthorised, "signed out");
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
