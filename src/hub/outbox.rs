//! What waits to be written to one connection: bounded in bytes, and clever about what it may leave out.
//!
//! The room's task pushes, the socket's task takes. Frames are shared [`Bytes`]: a thousand outboxes that hold one
//! edit hold it once. What a full outbox does depends on the frame ([`FrameKind`]):
//!
//! - `Control` is always queued. Questions wait outside while the outbox is full ([`Outbox::wants_more`]), and the
//!   socket stops reading its peer while too much is queued: a peer gets no more answers than it reads.
//! - `Document` is refused above `OUTBOX_BYTES_MAX`. The first refusal makes the connection *lagging*, and from
//!   then on every document frame is refused until the room has heard that the socket is writable again and sends
//!   the difference instead.
//! - `Presence` is dropped above `OUTBOX_PRESENCE_BYTES_MAX`; frames that are one with the one before go its way, so that the
//!   same people are not left out each time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use atlas_crdt::limits::{OUTBOX_BYTES_MAX, OUTBOX_PRESENCE_BYTES_MAX};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::FrameKind;
use atlas_crdt::wire::CloseCode;
use bytes::Bytes;

use super::Roles;

/// Frames. A queue that grew past this gives its memory back once it is empty.
const QUEUE_FRAMES_KEPT: usize = 16;

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// Left out: presence that a newer one replaces, or a connection that is closing.
    Dropped,
    /// A document frame was refused. `first`: the connection was not lagging before.
    Refused {
        first: bool,
    },
}

/// What the socket's task takes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// At least one frame was added to the caller's list.
    Frames,
    /// Everything before it was taken: write this close frame, and nothing after it.
    Close(Close),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub code: CloseCode,
    pub reason: String,
}

/// One connection's queue of frames to write.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Sum of the lengths in `queue`.
    bytes: usize,
    lag: Lag,
    /// What became of the last presence.
    drops_presence: bool,
    /// The room's task wants to be told when everything has left.
    is_awaited: bool,
    /// Set once, by whoever closes first; boxed, since most connections live long without one.
    close: Option<Box<Close>>,
    /// The socket is gone: nothing is kept any more.
    gone: bool,
    /// The socket's task, when it waits for something to take.
    waker: Option<Waker>,
    /// What the room was told last of the connection's role.
    role: Option<DesignRole>,
    /// The design's members, as the store had them a moment ago, until the socket's task takes them.
    roles: Option<Arc<Roles>>,
    /// The socket's task, whatever it waits for.
    roles_waker: Option<Waker>,
}

/// Where a connection stands between its first refused document frame and its resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lag {
    #[default]
    None,
    /// Refusing document frames; the socket has not drained the queue yet.
    Refusing,
    /// The socket took the last frame and is telling the room; document frames are refused until it has heard.
    Drained,
}

impl Outbox {
    pub fn push(&self, frame: &Bytes, kind: &FrameKind) -> Pushed {
        let mut state = self.lock();
        if state.gone || state.close.is_some() {
            return Pushed::Dropped;
        }
        match kind {
            FrameKind::Control => {}
            FrameKind::Document { .. } => {
                if state.lag != Lag::None {
                    return Pushed::Refused { first: false };
                }
                if OUTBOX_BYTES_MAX <= state.bytes {
                    state.lag = Lag::Refusing;
                    return Pushed::Refused { first: true };
                }
            }
            FrameKind::Presence { is_rest } => {
                if !is_rest {
                    state.drops_presence = OUTBOX_PRESENCE_BYTES_MAX <= state.bytes;
                }
                if state.drops_presence {
                    return Pushed::Dropped;
                }
            }
        }
        state.bytes += frame.len();
        state.queue.push_back(frame.clone());
        wake(state);
        Pushed::Queued
    }

    /// Closes behind what is queued already. The first close wins.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let mut state = self.lock();
        if state.gone || state.close.is_some() {
            return;
        }
        state.close = Some(Box::new(Close { code, reason: reason.into() }));
        wake(state);
    }

    /// True once somebody closed it: what its peer still sends no longer counts.
    pub fn is_closing(&self) -> bool {
        self.lock().close.is_some()
    }

    /// True when another answer may be asked for. Otherwise the socket will say that it is writable (see
    /// [`Self::take_drained`]) once everything has left.
    pub fn wants_more(&self) -> bool {
        let mut state = self.lock();
        let wants_more = state.bytes < OUTBOX_BYTES_MAX;
        state.is_awaited |= !wants_more;
        wants_more
    }

    /// Bytes that wait, without what the socket has taken.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Moves frames into `into`: at least one, then more while they fit into `bytes_max` together.
    pub fn poll_take(&self, cx: &Context<'_>, bytes_max: usize, into: &mut Vec<Bytes>) -> Poll<Taken> {
        let mut state = self.lock();
        let (mut frames, mut taken) = (0, 0);
        while let Some(next) = state.queue.front() {
            let len = next.len();
            if 0 < frames && bytes_max < taken + len {
                break;
            }
            frames += 1;
            taken += len;
            state.bytes -= len;
            into.extend(state.queue.pop_front());
        }
        if state.queue.is_empty() && QUEUE_FRAMES_KEPT < state.queue.capacity() {
            state.queue = VecDeque::new();
        }
        if 0 < frames {
            return Poll::Ready(Taken::Frames);
        }
        if let Some(close) = &state.close {
            return Poll::Ready(Taken::Close(Close::clone(close)));
        }
        match &mut state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// True exactly once per lag, or per question that had to wait, when nothing is queued any more: the socket then
    /// tells the room that it is writable. Asked by the socket after everything that it took has left.
    pub fn take_drained(&self) -> bool {
        let mut state = self.lock();
        let is_waited_for = state.lag == Lag::Refusing || state.is_awaited;
        if !is_waited_for || !state.queue.is_empty() || state.close.is_some() {
            return false;
        }
        state.is_awaited = false;
        if state.lag == Lag::Refusing {
            state.lag = Lag::Drained;
        }
        true
    }

    /// The room's task has heard that the socket is writable: document frames may come again. True: it was lagging,
    /// and the room itself must hear it, too.
    pub fn resume(&self) -> bool {
        let mut state = self.lock();
        let was_lagging = state.lag == Lag::Drained;
        if was_lagging {
            state.lag = Lag::None;
        }
        was_lagging
    }

    /// The room is told this role. Written by its task, before the socket can ask.
    pub(super) fn note_role(&self, role: DesignRole) {
        self.lock().role = Some(role);
    }

    /// What the room takes the connection's role to be.
    pub fn role(&self) -> Option<DesignRole> {
        self.lock().role
    }

    /// The design's members may have changed: the socket is to see what that means for it. Newer ones replace those that it
    /// has not taken.
    pub(super) fn offer_roles(&self, roles: &Arc<Roles>) {
        let mut state = self.lock();
        if state.gone || state.close.is_some() {
            return;
        }
        state.roles = Some(Arc::clone(roles));
        let waker = state.roles_waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was offered last, once.
    pub fn poll_roles(&self, cx: &Context<'_>) -> Poll<Arc<Roles>> {
        let mut state = self.lock();
        if let Some(roles) = state.roles.take() {
            return Poll::Ready(roles);
        }
        match &mut state.roles_waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The socket is gone: whatever waits is let go, and so is everything that comes later.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.gone = true;
        state.roles = None;
        state.roles_waker = None;
        state.queue = VecDeque::new();
        state.bytes = 0;
        state.waker = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing inside can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the socket's task after the lock is released.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use yrs::StateVector;

    use super::*;

    fn document() -> FrameKind {
        FrameKind::Document { since: Arc::new(StateVector::default()) }
    }

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    fn idle() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn take_all(outbox: &Outbox) -> usize {
        let mut frames = Vec::new();
        while outbox.poll_take(&idle(), usize::MAX, &mut frames) == Poll::Ready(Taken::Frames) {}
        frames.len()
    }

    // R-CLOSE-1
    #[test]
    fn frames_leave_in_order_and_a_close_leaves_last() {
        let outbox = Outbox::default();
        for n in 1..=3u8 {
            assert_eq!(outbox.push(&Bytes::from(vec![n]), &FrameKind::Control), Pushed::Queued);
        }
        outbox.close(CloseCode::Forbidden, "no longer a member");
        outbox.close(CloseCode::Restarting, "too late");
        assert_eq!(outbox.push(&frame(1), &FrameKind::Control), Pushed::Dropped, "nothing after a close");
        let mut frames = Vec::new();
        assert_eq!(outbox.poll_take(&idle(), 2, &mut frames), Poll::Ready(Taken::Frames));
        assert_eq!(frames, [Bytes::from(vec![1]), Bytes::from(vec![2])]);
        frames.clear();
        assert_eq!(outbox.poll_take(&idle(), 2, &mut frames), Poll::Ready(Taken::Frames));
        frames.clear();
        let close = Close { code: CloseCode::Forbidden, reason: "no longer a member".into() };
        assert_eq!(outbox.poll_take(&idle(), 2, &mut frames), Poll::Ready(Taken::Close(close)));
    }

    #[test]
    fn a_frame_larger_than_the_mark_is_accepted_below_it() {
        let outbox = Outbox::default();
        assert_eq!(outbox.push(&frame(8 * OUTBOX_BYTES_MAX), &document()), Pushed::Queued);
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Refused { first: true });
    }

    // R-SLOW-1
    #[test]
    fn one_lag_refuses_documents_until_the_room_has_heard_of_its_end() {
        let outbox = Outbox::default();
        outbox.push(&frame(OUTBOX_BYTES_MAX), &document());
        assert!(!outbox.take_drained(), "not lagging yet");
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Refused { first: true });
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Refused { first: false });
        assert_eq!(outbox.push(&frame(1), &FrameKind::Control), Pushed::Queued, "control always passes");
        assert!(!outbox.take_drained(), "frames still wait");
        take_all(&outbox);
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Refused { first: false }, "not resynced yet");
        assert!(outbox.take_drained());
        assert!(!outbox.take_drained(), "said once per lag");
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Refused { first: false });
        assert!(outbox.resume());
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Queued);
    }

    // R-SLOW-3
    #[test]
    fn a_question_waits_until_everything_has_left() {
        let outbox = Outbox::default();
        assert!(outbox.wants_more());
        assert!(!outbox.take_drained(), "nobody waits for it");
        outbox.push(&frame(OUTBOX_BYTES_MAX), &FrameKind::Control);
        assert!(!outbox.wants_more());
        assert!(!outbox.take_drained(), "not empty yet");
        take_all(&outbox);
        assert!(outbox.take_drained());
        assert!(!outbox.take_drained(), "said once");
        assert!(!outbox.resume(), "it was not lagging");
        assert!(outbox.wants_more());
    }

    // R-SLOW-2
    #[test]
    fn presence_goes_first() {
        let outbox = Outbox::default();
        let (first, rest) = (FrameKind::Presence { is_rest: false }, FrameKind::Presence { is_rest: true });
        outbox.push(&frame(OUTBOX_PRESENCE_BYTES_MAX), &first);
        assert_eq!(outbox.push(&frame(1), &rest), Pushed::Queued, "one with what was queued");
        assert_eq!(outbox.push(&frame(1), &first), Pushed::Dropped);
        assert_eq!(outbox.push(&frame(1), &rest), Pushed::Dropped, "nor what is one with it");
        assert_eq!(outbox.push(&frame(1), &document()), Pushed::Queued);
    }

    #[test]
    fn a_taker_that_waits_is_woken_by_the_next_frame() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let outbox = Outbox::default();
        let mut frames = Vec::new();
        assert!(outbox.poll_take(&Context::from_waker(&waker), 1, &mut frames).is_pending());
        outbox.push(&frame(1), &FrameKind::Control);
        outbox.push(&frame(1), &FrameKind::Control);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "one wake for one wait");
        outbox.poll_take(&Context::from_waker(&waker), 9, &mut frames).is_ready();
        frames.clear();
        assert!(outbox.poll_take(&Context::from_waker(&waker), 1, &mut frames).is_pending());
        outbox.close(CloseCode::Restarting, "");
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    // R-ROLE-2
    #[test]
    fn members_are_offered_whatever_the_socket_waits_for() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let outbox = Outbox::default();
        assert!(outbox.poll_roles(&cx).is_pending());
        // A peer that takes nothing: frames wake nobody, since nobody waits for one.
        outbox.push(&frame(1), &FrameKind::Control);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        let (older, newer) = (Arc::new(Roles::new()), Arc::new(Roles::new()));
        outbox.offer_roles(&older);
        outbox.offer_roles(&newer);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(matches!(outbox.poll_roles(&cx), Poll::Ready(roles) if Arc::ptr_eq(&roles, &newer)));
        assert!(outbox.poll_roles(&cx).is_pending(), "once");
        outbox.close(CloseCode::Restarting, "");
        outbox.offer_roles(&older);
        assert!(outbox.poll_roles(&cx).is_pending(), "who is closed has no role any more");
    }

    #[test]
    fn an_abandoned_outbox_keeps_nothing() {
        let outbox = Outbox::default();
        outbox.push(&frame(100), &FrameKind::Control);
        outbox.abandon();
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.push(&frame(100), &FrameKind::Control), Pushed::Dropped);
        assert_eq!(outbox.bytes(), 0);
    }
}
