//! What can happen to a room: a closed enum. Everything a room does follows from these, in order.

use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;

use super::edit::Edit;
use super::effect::{Claim, QuarantineMark};
use crate::design::{ApplyFault, DesignDoc};
use crate::ids::{AppendId, ClientId, ConnId, Epoch, Generation, PodId, Seq, UserId};
use crate::roles::DesignRole;
use crate::wire::{AnalysisBrief, ClientFrame};

/// One event in a room's life.
#[derive(Debug, Clone)]
pub enum Input {
    /// The answer to [`Effect::Load`](super::Effect::Load).
    Loaded(Loaded),
    /// The store could not be read, or what it holds is damaged. `reason` is told to the joiners.
    LoadFailed {
        reason: String,
    },
    /// The design does not exist (any more).
    NoSuchDesign,
    Join(Join),
    /// The socket is gone. Comes after the socket's last frame.
    Leave {
        conn: ConnId,
    },
    Frame {
        conn: ConnId,
        frame: ClientFrame,
    },
    /// Somebody asks for a change over HTTP. Answered with one [`Effect::Answer`](super::Effect::Answer).
    Edit(Arc<Edit>),
    /// A document frame found the connection's outbox full. `since` is the document before that frame, as it
    /// came with the effect. The executor reports this before it hands the room anything else.
    Lagged {
        conn: ConnId,
        since: Arc<StateVector>,
    },
    /// A lagging connection's outbox is empty again.
    Writable {
        conn: ConnId,
    },
    /// The commit of the append in flight.
    Appended {
        append_id: AppendId,
        seq: Seq,
    },
    /// The append in flight failed, or its outcome is unknown: it will be tried again.
    AppendFailed {
        append_id: AppendId,
        reason: String,
    },
    /// The append in flight can never be in the log, which is not what this room takes it for: the store has lost rows. Nothing
    /// was changed.
    AppendRefused {
        append_id: AppendId,
    },
    /// Another pod was faster than the append in flight: with something at the one place where it was to stand, under a clock
    /// that it writes, or with a client id that it claims. Nothing was changed.
    AppendOvertaken {
        append_id: AppendId,
    },
    /// Another pod's commit, heard on the bus.
    Remote {
        generation: Generation,
        seq: Seq,
        update: Bytes,
        claims: Vec<Claim>,
    },
    /// Another pod's commit of which the bus brings the place only.
    CommittedElsewhere {
        generation: Generation,
        seq: Seq,
    },
    /// Who is on another pod, or went there. `whole`: these are all who are there.
    RemotePresence {
        pod: PodId,
        /// An awareness update.
        update: Bytes,
        /// Whose the ids in it are.
        users: Vec<(ClientId, UserId)>,
        whole: bool,
    },
    /// Another pod's room wants to know who is here.
    PresenceAsked,
    /// A pod is gone, or cannot be heard: nobody is there any more.
    PodGone {
        pod: PodId,
    },
    /// The bus may have lost messages, in both directions.
    BusResumed,
    /// Where the log stands, as a look into the store told: perhaps some time ago. It is also the store's proof of health.
    Head {
        generation: Generation,
        seq: Seq,
    },
    /// What another pod's document is at this place of the log.
    Digest {
        generation: Generation,
        seq: Seq,
        hash: [u8; 32],
    },
    /// The answer to [`Effect::CatchUp`](super::Effect::CatchUp): contiguous rows after the seq that was asked for.
    CaughtUp {
        rows: Vec<LogRow>,
    },
    CatchUpFailed {
        reason: String,
    },
    /// The rows that a [`Effect::CatchUp`](super::Effect::CatchUp) asked for are folded into a snapshot: the document is
    /// made anew from it.
    LogFolded,
    /// A member's role changed; `None`: no longer a member.
    RoleChanged {
        user: UserId,
        role: Option<DesignRole>,
    },
    /// The rules are being run on the design as it stood here.
    AnalysisStarted {
        seq: Seq,
    },
    /// There is something new to be read about the design's security. What is said later has a larger number.
    Analysed {
        no: u64,
        brief: AnalysisBrief,
    },
    /// The rooms of this process keep too much unsaved together: if the store is in trouble, this one behaves as if it had
    /// used up its own budget.
    Overloaded,
    /// The design was deleted.
    Deleted,
    /// The pod is going away: refuse joins, close the sockets with 1012, flush, close.
    Drain,
    /// The time of [`Room::deadline`](super::Room::deadline) has come.
    Tick,
}

/// What the store holds of a design.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub generation: Generation,
    pub epoch: Epoch,
    /// The newest snapshot, folded up to its `seq`.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The log after the snapshot, oldest first, without holes.
    pub tail: Vec<LogRow>,
    /// Whose every client id is in snapshot and tail is. The rows themselves need not say it again.
    pub claims: Vec<Claim>,
    /// Whose further ids are: announced, and nothing is written under them yet. The oldest first of each user.
    pub announced: Vec<Claim>,
    /// What is in quarantine.
    pub quarantined: Vec<QuarantineMark>,
    /// The newest number under which something was said about the design's security.
    pub analysis_no: u64,
}

impl Loaded {
    /// The place of the newest edit.
    #[must_use]
    pub fn head(&self) -> Seq {
        let folded = self.snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
        self.tail.last().map_or(folded, |row| row.seq)
    }

    /// The document that the store holds, for whoever only reads it. `client` writes nothing.
    ///
    /// # Errors
    /// What is stored is damaged.
    pub fn document(&self, client: ClientId) -> Result<DesignDoc, ApplyFault> {
        let snapshot = self.snapshot.iter().map(|(_, bytes)| &bytes[..]);
        DesignDoc::load(client, snapshot.chain(self.tail.iter().map(|row| &row.update[..])))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    pub seq: Seq,
    /// Yjs update v1.
    pub update: Bytes,
    /// The client ids under which this row writes first.
    pub claims: Vec<Claim>,
}

/// A connection that wants to take part. Its credential and role have been checked.
#[derive(Debug, Clone)]
pub struct Join {
    pub conn: ConnId,
    pub user: UserId,
    pub role: DesignRole,
    pub dialect: Dialect,
    /// The epoch that the client last saw, if it said so.
    pub epoch: Option<Epoch>,
}

/// What a connection understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// y-protocols alone: `y-websocket` and its kin.
    Stock,
    /// `atlas.v1`: also `Saved`, `Notice`, `Renew`.
    Atlas,
}
