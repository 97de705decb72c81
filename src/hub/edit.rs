//! How an edit over HTTP gets into a room, and its answer out.
//!
//! The room is opened if it is not open, as for a join, and goes again when it has been idle. Every wait has an end, and
//! what its end means is certain, but for one case: the room has taken the edit and does not say what became of it
//! ([`EditOutcome::Unknown`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atlas_crdt::design::Change;
use atlas_crdt::ids::{DesignId, Millis, RequestId, UserId};
use atlas_crdt::limits::EDIT_WAIT_MS;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Edit, EditOutcome, Expected};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::inbox::{RoomHandle, ToRoom};
use super::{Delivery, Hub};
use crate::clock::Clock;

/// Bytes. The bodies of all edits over HTTP that are under way in this process. What they are parsed into takes a small
/// multiple of it.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// Milliseconds. How long a caller waits for a part of that, and then again for its place in the room.
const TAKE_MS: u64 = 5_000;
/// Milliseconds beyond the room's own limit before its answer is given up.
const GRACE_MS: u64 = 2_000;

/// A part of what the edits of this process may take in memory. Hold it before the body is parsed.
#[derive(Debug)]
pub struct EditSpace {
    bytes: usize,
    _permit: OwnedSemaphorePermit,
}

/// Somebody whose credential and role have been checked, and what it is that they want.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEdit {
    pub user: UserId,
    /// On this design, as far as the platform role permits.
    pub role: DesignRole,
    pub expected: Option<Expected>,
    /// Has passed [`Change::check`].
    pub change: Change,
}

/// Why an edit was not taken up. Nothing was changed, and nothing will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("this server is restarting")]
    Draining,
    #[error("too many edits are under way")]
    Busy,
}

impl Hub {
    /// Space for an edit whose body has so many bytes. Safe to drop at any time.
    ///
    /// # Errors
    /// `Busy`: there was none for a while.
    pub async fn edit_space(&self, bytes: usize) -> Result<EditSpace, EditError> {
        let permits = u32::try_from(bytes.clamp(1, BYTES_MAX)).unwrap_or(u32::MAX);
        let until = self.0.deps.clock.now().plus(TAKE_MS);
        let permit = Arc::clone(&self.0.edit_space).acquire_many_owned(permits);
        match before(&self.0.deps.clock, until, permit).await {
            Some(Ok(permit)) => Ok(EditSpace { bytes, _permit: permit }),
            Some(Err(_)) | None => Err(EditError::Busy),
        }
    }

    /// Has the design's room make the edit, and waits for its answer. If this is dropped before it returns, the edit may
    /// or may not be made.
    ///
    /// # Errors
    /// It was not taken up.
    pub async fn edit(
        &self,
        design: DesignId,
        new: NewEdit,
        space: EditSpace,
    ) -> Result<EditOutcome, EditError> {
        let clock = &self.0.deps.clock;
        let NewEdit { user, role, expected, change } = new;
        let edit = Arc::new(Edit {
            request: RequestId::new(self.0.last_request.fetch_add(1, Ordering::Relaxed) + 1),
            user,
            role,
            client: self.0.deps.ids.client(),
            expected,
            change,
            bytes: space.bytes,
        });
        let until = clock.now().plus(TAKE_MS);
        loop {
            let room = self.room(design).map_err(|_| EditError::Draining)?;
            match knock(&room, &edit, clock, until).await {
                Knock::Taken(answer) => {
                    let late = clock.now().plus(EDIT_WAIT_MS + GRACE_MS);
                    let answered = before(clock, late, answer).await;
                    return Ok(answered.and_then(Result::ok).unwrap_or(EditOutcome::Unknown));
                }
                // This room has ended: the next one is asked.
                Knock::Ended if clock.now() < until => {}
                Knock::Ended | Knock::Late => return Err(EditError::Busy),
            }
        }
    }
}

enum Knock {
    Taken(oneshot::Receiver<EditOutcome>),
    /// The room is gone, and has not seen the edit.
    Ended,
    /// The room has not looked at it in time, and will not do anything about it any more.
    Late,
}

async fn knock(room: &RoomHandle, edit: &Arc<Edit>, clock: &Clock, until: Millis) -> Knock {
    let (taken, mut was_taken) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let message = {
        let edit = Arc::clone(edit);
        move |space| ToRoom::Edit { edit, taken, answer, space }
    };
    let delivered = match room.deliver(edit.bytes, message) {
        Delivery::Done(result) => Some(result),
        Delivery::Waiting(delivery) => before(clock, until, delivery).await,
    };
    match delivered {
        Some(Ok(())) => {}
        Some(Err(_)) => return Knock::Ended,
        None => return Knock::Late,
    }
    match before(clock, until, &mut was_taken).await {
        Some(Ok(())) => return Knock::Taken(answered),
        Some(Err(_)) => return Knock::Ended,
        None => {}
    }
    // From here on the room finds nobody waiting, and leaves the edit alone; unless it has just taken it.
    was_taken.close();
    match was_taken.try_recv() {
        Ok(()) => Knock::Taken(answered),
        Err(_) => Knock::Late,
    }
}

/// What becomes of `wait`, unless it takes until then.
async fn before<T>(clock: &Clock, until: Millis, wait: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = wait => Some(done),
        () = clock.sleep_until(until) => None,
    }
}
