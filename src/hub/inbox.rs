//! What leads into a room: its two queues, both bounded, and what others may know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use atlas_crdt::ids::{ConnId, Generation, PodId, Seq, UserId};
use atlas_crdt::limits::CONNS_PER_ROOM_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Edit, EditOutcome, Join};
use atlas_crdt::wire::ClientFrame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::analyses::Told;
use super::outbox::Outbox;
use super::{Delivery, Roles, RoomGone};

/// Frames that wait for one room, besides one `Leave` for each connection.
const INBOX_FRAMES_MAX: usize = 256;
/// Bytes of payload that wait for one room. A larger frame waits alone.
const INBOX_BYTES_MAX: usize = 4 << 20;
/// Bytes. Smaller payloads are counted by number only.
const INBOX_COUNTED_BYTES: usize = 1 << 10;
/// Control messages that wait for one room.
const CONTROL_MAX: usize = 64;

/// What the hub holds of a room.
#[derive(Debug)]
pub(super) struct RoomHandle {
    /// Tells this room from an earlier or later one of the same design.
    pub(super) incarnation: u64,
    pub(super) frames: mpsc::Sender<ToRoom>,
    pub(super) control: mpsc::Sender<Control>,
    /// Bytes of payload that may still join the queue.
    space: Arc<Semaphore>,
    /// Written by joins and leaves, so that a full room is refused before it is asked.
    pub(super) seats_taken: AtomicUsize,
    /// Written by the room's task after each turn, read by figures.
    pub(super) unsaved_bytes: AtomicUsize,
    /// The room holds its document. Written by its task after each turn, read by the watch.
    pub(super) is_live: AtomicBool,
    /// Up to where everybody here knows what happened besides the log; [`NOTHING_NOTICED`]: not known. The watch's own.
    pub(super) noticed: AtomicU64,
    /// Up to where the people here know what is said of the design's security.
    pub(super) analysis_told: Told,
    /// A pod came, and nobody here has asked who is on it. Set by the watch, cleared by the room's task.
    pub(super) owes_question: AtomicBool,
}

/// No `notice_seq` that a store ever counts to.
pub(super) const NOTHING_NOTICED: u64 = u64::MAX;

/// What connections, and programs over HTTP, say to their room.
#[derive(Debug)]
pub(super) enum ToRoom {
    /// `taken` is answered once the room has it; dropped unanswered, the joiner asks the next room.
    Join {
        join: Join,
        outbox: Arc<Outbox>,
        taken: oneshot::Sender<()>,
    },
    /// `space` is what the payload takes of the queue, given back when the room has it.
    Frame {
        conn: ConnId,
        frame: ClientFrame,
        space: Option<OwnedSemaphorePermit>,
    },
    Writable {
        conn: ConnId,
    },
    /// `taken` is told once the room has it, and only then is anything done about it: who has stopped waiting for that can
    /// be certain that nothing will be.
    Edit {
        edit: Arc<Edit>,
        taken: oneshot::Sender<()>,
        answer: oneshot::Sender<EditOutcome>,
        space: Option<OwnedSemaphorePermit>,
    },
    Leave {
        conn: ConnId,
    },
}

/// What the rest of the server says to a room.
#[derive(Debug, Clone)]
pub(super) enum Control {
    RoleChanged {
        user: UserId,
        role: Option<DesignRole>,
    },
    /// Who the members are by now.
    Roles(Arc<Roles>),
    /// Where the store's log stood a moment ago.
    Head {
        generation: Generation,
        seq: Seq,
    },
    /// Something is said of the design's security, up to this number.
    Analysis {
        no: u64,
    },
    /// It is this room's turn to ask who is on other pods, and to say who is here, if it owes that.
    Presence,
    PodGone {
        pod: PodId,
    },
    Deleted,
    Drain,
}

impl RoomHandle {
    /// With the ends of its queues: what its connections say, and what the rest of the server does.
    pub(super) fn new(incarnation: u64) -> (Arc<Self>, mpsc::Receiver<ToRoom>, mpsc::Receiver<Control>) {
        let (frames, frames_rx) = mpsc::channel(INBOX_FRAMES_MAX + CONNS_PER_ROOM_MAX);
        let (control, control_rx) = mpsc::channel(CONTROL_MAX);
        let handle = Self {
            incarnation,
            frames,
            control,
            space: Arc::new(Semaphore::new(INBOX_BYTES_MAX)),
            seats_taken: AtomicUsize::new(0),
            unsaved_bytes: AtomicUsize::new(0),
            is_live: AtomicBool::new(false),
            noticed: AtomicU64::new(NOTHING_NOTICED),
            analysis_told: Told::default(),
            owes_question: AtomicBool::new(false),
        };
        (Arc::new(handle), frames_rx, control_rx)
    }

    /// Queues what `message` makes of the space for `bytes`, now or as soon as there is some.
    pub(super) fn deliver<F>(&self, bytes: usize, message: F) -> Delivery
    where
        F: FnOnce(Option<OwnedSemaphorePermit>) -> ToRoom + Send + 'static,
    {
        let wanted = (INBOX_COUNTED_BYTES <= bytes)
            .then(|| u32::try_from(bytes.min(INBOX_BYTES_MAX)).unwrap_or(u32::MAX));
        let space = match wanted.map(|bytes| Arc::clone(&self.space).try_acquire_many_owned(bytes)) {
            None => Some(None),
            Some(Ok(space)) => Some(Some(space)),
            Some(Err(_)) => None,
        };
        if let Some(space) = space {
            match self.frames.try_reserve() {
                Ok(slot) => {
                    slot.send(message(space));
                    return Delivery::Done(Ok(()));
                }
                Err(mpsc::error::TrySendError::Closed(())) => return Delivery::Done(Err(RoomGone)),
                Err(mpsc::error::TrySendError::Full(())) => {}
            }
        }
        let (frames, space) = (self.frames.clone(), Arc::clone(&self.space));
        Delivery::Waiting(Box::pin(async move {
            // The space is never closed.
            let space = match wanted {
                Some(bytes) => Some(space.acquire_many_owned(bytes).await.map_err(|_| RoomGone)?),
                None => None,
            };
            let slot = frames.reserve_owned().await.map_err(|_| RoomGone)?;
            slot.send(message(space));
            Ok(())
        }))
    }
}
