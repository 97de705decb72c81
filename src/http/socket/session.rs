//! The one task of an open socket: reads what the peer says into its room, and writes what the room says.
//!
//! **Back-pressure.** One message at a time goes to the room; while the room's queue has no space for it, nothing
//! more is read. While twice `OUTBOX_BYTES_MAX` waits behind what is being written, nothing is read either: a peer
//! gets no more answers than it reads. The frame being written does not count, so that a peer which sends a large
//! document while it receives one is still read.
//!
//! **Closing.** Whoever wants the socket closed puts that into the outbox: it leaves behind what is queued. Then the
//! peer has `SOCKET_CLOSE_MS` to take everything and to answer; what it sends meanwhile is read and dropped, since
//! closing with unread bytes would reset the connection and take the close frame with it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atlas_crdt::ids::{DesignId, Millis};
use atlas_crdt::limits::{MESSAGE_BYTES_MAX, OUTBOX_BYTES_MAX, SOCKET_CLOSE_MS, UPDATE_BYTES_MAX};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::FrameKind;
use atlas_crdt::wire::{self, ClientFrame, CloseCode, Notice};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::super::AppState;
use super::super::accept::ConnectionSlot;
use super::budget::Budget;
use super::credentials::{Guest, NEVER, monotonic, retry_reason};
use super::life::Life;
use super::reader::{Incoming, Reader, Violation};
use super::writer::Writer;
use crate::auth::{AuthError, Caller};
use crate::hub::outbox::{Outbox, Taken};
use crate::hub::{ConnHandle, Delivery, FromConn, JoinError, NewConn, Roles, RoomGone};
use crate::store::StoreError;

/// Bytes. A message, unless a SyncStep2 is owed: the largest update or state vector and its envelope.
const ORDINARY_MESSAGE_BYTES_MAX: usize = UPDATE_BYTES_MAX + 64;
/// Bytes behind the frame being written, above which the peer is not read.
const UNREAD_REPLIES_MAX: usize = 2 * OUTBOX_BYTES_MAX;
/// Bytes taken from the outbox at once: the frames of one write.
const WRITE_BATCH_BYTES: usize = 64 << 10;
/// How long a design may take to open. y-websocket gives up after the same time.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// An awareness update about nobody.
const NOBODY: [u8; 1] = [0];

/// What every socket needs of the server, shared by all of them.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) app: AppState,
    pub(super) budget: Arc<Budget>,
    /// The place under the connection cap, held as long as the socket lives.
    #[expect(dead_code, reason = "held, never read")]
    pub(super) slot: Option<ConnectionSlot>,
}

/// A socket that lets a client of `atlas.v1` in only to tell it why not.
pub(super) fn refuse<S>(io: S, unread: &[u8], ground: Ground, code: CloseCode, reason: String) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket::new(io, unread, ground, Arc::default(), None);
    socket.fail(code, reason);
    socket
}

/// A socket that takes part in a design; its life is [`Socket::run`]. One that does not get in says why.
pub(super) async fn take_part<S>(
    io: S,
    unread: &[u8],
    ground: Ground,
    design: DesignId,
    guest: Guest,
) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Guest { user, session, role, dialect, epoch, .. } = guest;
    let join = ground.app.hub.join(design, NewConn { user, session, role, dialect, epoch });
    let (code, reason) = match tokio::time::timeout(JOIN_TIMEOUT, join).await {
        Ok(Ok(conn)) => {
            let outbox = Arc::clone(conn.outbox());
            let mut socket = Socket::new(io, unread, ground, outbox, Some(Part { design, guest, conn }));
            // The role was read before the room knew of this connection: what changed in between, nobody told it.
            socket.look_at_role_again();
            return socket;
        }
        Ok(Err(JoinError::Draining)) => (CloseCode::Restarting, retry_reason(&ground.app)),
        Ok(Err(error @ JoinError::RoomFull)) => (CloseCode::Overloaded, error.to_string()),
        Err(_) => (CloseCode::Overloaded, "the design takes too long to open".to_owned()),
    };
    refuse(io, unread, ground, code, reason)
}

/// What a socket waits for before it reads on.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

pub(super) enum Outcome {
    Delivered(Result<(), RoomGone>),
    Verified(Result<Caller, AuthError>),
    /// `told`: what the room was told just before.
    Role {
        told: Option<DesignRole>,
        role: Result<Option<DesignRole>, StoreError>,
    },
}

enum Event {
    Read(Incoming),
    Violation(Violation),
    /// Everything queued for a lagging connection has left.
    Drained,
    Outcome(Outcome),
    /// Who the design's members are by now.
    Roles(Arc<Roles>),
    Timer,
    /// The peer is gone, or both sides have said their last word.
    End,
}

/// An open socket.
pub(super) struct Socket<S> {
    io: S,
    reader: Reader,
    writer: Writer,
    outbox: Arc<Outbox>,
    /// Gone once the socket is being closed: the room need not wait for the peer's answer.
    pub(super) part: Option<Part>,
    pub(super) ground: Ground,
    pub(super) waiting: Option<Waiting>,
    /// `SyncStep1` that were sent and not answered yet: each may bring a message as large as a document.
    step2_owed: u32,
    /// The outbox said that it is drained, and the room does not know yet.
    owes_writable: bool,
    life: Life,
    pub(super) expires_at: Millis,
    end: End,
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// How far the closing has come.
#[derive(Debug, Default)]
struct End {
    /// Set once the socket is being closed: when it ends at the latest.
    at: Option<Millis>,
    /// Our close frame is on its way: nothing may follow it.
    said: bool,
    /// The peer's close frame came: nothing will follow it.
    heard: bool,
}

/// What a socket that is in its room has of it.
pub(super) struct Part {
    pub(super) design: DesignId,
    pub(super) guest: Guest,
    pub(super) conn: ConnHandle,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    fn new(io: S, unread: &[u8], ground: Ground, outbox: Arc<Outbox>, part: Option<Part>) -> Self {
        let now = ground.app.clock.now();
        let expires_at = part.as_ref().map_or(NEVER, |part| monotonic(&ground.app, part.guest.expires_at));
        let mut socket = Self {
            io,
            reader: Reader::new(Arc::clone(&ground.budget), unread),
            writer: Writer::default(),
            outbox,
            part,
            ground,
            waiting: None,
            step2_owed: 0,
            owes_writable: false,
            life: Life::new(now),
            expires_at,
            end: End::default(),
            timer: Box::pin(std::future::ready(())),
        };
        socket.set_timer();
        socket
    }

    /// Lives until one side ends it.
    pub(super) async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                Event::Read(incoming) => self.on_read(incoming),
                Event::Violation(violation) => self.on_violation(violation),
                Event::Drained => self.deliver(FromConn::Writable),
                Event::Outcome(outcome) => self.on_outcome(outcome),
                Event::Roles(roles) => self.on_roles(&roles),
                Event::Timer if self.is_over() => break,
                Event::Timer => self.set_timer(),
                Event::End => break,
            }
        }
        self.part = None;
        // Best effort: the peer may be long gone.
        let _ = self.io.shutdown().await;
    }

    // --- what can happen

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Timer);
        }
        if let Some(waiting) = &mut self.waiting
            && let Poll::Ready(outcome) = waiting.as_mut().poll(cx)
        {
            self.waiting = None;
            return Poll::Ready(Event::Outcome(outcome));
        }
        if self.waiting.is_none()
            && self.part.is_some()
            && let Poll::Ready(roles) = self.outbox.poll_roles(cx)
        {
            return Poll::Ready(Event::Roles(roles));
        }
        match self.poll_write_side(cx) {
            Poll::Pending => self.poll_read_side(cx),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_write_side(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if self.writer.is_empty() {
                if self.end.said {
                    return if self.end.heard { Poll::Ready(Event::End) } else { Poll::Pending };
                }
                if !self.take_from_outbox(cx) {
                    if self.owes_writable && self.waiting.is_none() {
                        self.owes_writable = false;
                        return Poll::Ready(Event::Drained);
                    }
                    return Poll::Pending;
                }
            }
            match self.writer.poll_write(cx, &mut self.io) {
                Poll::Ready(Ok(_)) if self.life.is_blocked() => self.life.unblocked(self.now()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Event::End),
                Poll::Pending => {
                    self.life.blocked();
                    // A close behind what a stalled peer does not take must not wait for ever.
                    if self.end.at.is_none() && self.outbox.is_closing() {
                        self.begin_end();
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// False: there is nothing to write.
    fn take_from_outbox(&mut self, cx: &mut Context<'_>) -> bool {
        let mut frames = Vec::new();
        match self.outbox.poll_take(cx, WRITE_BATCH_BYTES, &mut frames) {
            Poll::Ready(Taken::Frames) => {
                for frame in &frames {
                    self.step2_owed += u32::from(is_sync_step1(frame));
                    self.writer.message(frame);
                }
                self.life.sent(self.now());
                true
            }
            Poll::Ready(Taken::Close(close)) => {
                self.writer.close(Some(close.code.as_u16()), &close.reason);
                self.end.said = true;
                self.begin_end();
                true
            }
            Poll::Pending => {
                self.owes_writable |= self.outbox.take_drained();
                false
            }
        }
    }

    fn poll_read_side(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.may_read() {
            return Poll::Pending;
        }
        let bytes_max = if 0 < self.step2_owed { MESSAGE_BYTES_MAX } else { ORDINARY_MESSAGE_BYTES_MAX };
        loop {
            match self.reader.next(bytes_max) {
                Ok(Some(incoming)) => return Poll::Ready(Event::Read(incoming)),
                Ok(None) => {}
                Err(violation) => return Poll::Ready(Event::Violation(violation)),
            }
            match self.reader.poll_read(cx, &mut self.io) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::End),
                Poll::Ready(Ok(_)) => self.life.heard(self.now()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Back-pressure: see the module's head.
    fn may_read(&self) -> bool {
        let keeps_up = || self.waiting.is_none() && self.outbox.bytes() <= UNREAD_REPLIES_MAX;
        !self.end.heard && (self.end.at.is_some() || keeps_up())
    }

    // --- what follows

    fn on_read(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message(message) => self.on_message(&message),
            Incoming::Text => self.fail(CloseCode::Malformed, "the protocol has binary messages only"),
            Incoming::Ping(payload) => {
                if !self.end.said {
                    self.writer.pong(&payload);
                }
            }
            Incoming::Pong => {}
            Incoming::Close(code) => {
                self.end.heard = true;
                if !self.end.said {
                    // RFC 6455 section 5.5.1: echo its code. Nothing that is still queued would be read.
                    self.end.said = true;
                    self.writer.close(code, "");
                }
                self.begin_end();
            }
        }
    }

    fn on_message(&mut self, message: &Bytes) {
        if self.outbox.is_closing() {
            // Somebody closed the socket already; its credential or role may be gone.
            return;
        }
        match wire::decode(message) {
            Ok(ClientFrame::Unknown { .. }) => {}
            Ok(ClientFrame::Renew { token }) => self.renew(token),
            Ok(frame) => {
                if matches!(frame, ClientFrame::SyncStep2 { .. }) {
                    self.step2_owed = self.step2_owed.saturating_sub(1);
                }
                self.deliver(FromConn::Frame(frame));
            }
            Err(error) => self.fail(error.close_code(), error.to_string()),
        }
    }

    fn on_violation(&mut self, violation: Violation) {
        let code = match violation {
            Violation::Frame(_) => CloseCode::Malformed,
            Violation::TooLarge { .. } => CloseCode::TooLarge,
            Violation::OutOfBudget => CloseCode::Overloaded,
        };
        self.fail(code, violation.to_string());
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Delivered(Ok(())) => {}
            // The room has closed the outbox, or is about to.
            Outcome::Delivered(Err(RoomGone)) => {
                self.fail(CloseCode::Overloaded, "the design must be loaded again");
            }
            Outcome::Verified(verified) => self.on_verified(verified),
            Outcome::Role { told, role } => self.on_role(told, role),
        }
    }

    /// Does what the time has come for. True: nothing more is to be expected of the peer.
    fn is_over(&mut self) -> bool {
        let now = self.now();
        if let Some(end) = self.end.at {
            return end <= now;
        }
        let due = self.life.due(now, self.may_read());
        if due.message {
            self.writer.message(&wire::awareness(&NOBODY));
        }
        if due.ping {
            self.writer.ping();
        }
        if self.expires_at <= now {
            self.expire();
        }
        due.is_dead
    }

    pub(super) fn set_timer(&mut self) {
        let at = self.end.at.unwrap_or_else(|| self.expires_at.min(self.life.next(self.now())));
        let clock = self.ground.app.clock.clone();
        self.timer = Box::pin(async move { clock.sleep_until(at).await });
    }

    // --- small things

    fn deliver(&mut self, what: FromConn) {
        let Some(part) = &self.part else { return };
        match part.conn.deliver(what) {
            Delivery::Done(result) => self.on_outcome(Outcome::Delivered(result)),
            Delivery::Waiting(delivered) => {
                self.waiting = Some(Box::pin(async move { Outcome::Delivered(delivered.await) }));
            }
        }
    }

    pub(super) fn tell(&self, notice: &Notice) {
        self.outbox.push(&wire::notice(notice), &FrameKind::Control);
    }

    /// Closes the socket from this side, behind what is queued.
    pub(super) fn fail(&mut self, code: CloseCode, reason: impl Into<String>) {
        self.outbox.close(code, reason);
        self.reader.discard();
        self.waiting = None;
    }

    /// The room is told at once; the peer gets a little time.
    fn begin_end(&mut self) {
        self.part = self.part.take().filter(|_| !self.end.said);
        self.reader.discard();
        self.waiting = None;
        if self.end.at.is_none() {
            self.end.at = Some(self.now().plus(SOCKET_CLOSE_MS));
            self.set_timer();
        }
    }

    fn now(&self) -> Millis {
        self.ground.app.clock.now()
    }
}

/// Type 0, step 0.
fn is_sync_step1(frame: &Bytes) -> bool {
    frame.starts_with(&[0, 0])
}
