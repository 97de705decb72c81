//! What a room wants done. Effects are data: the executor carries them out in order and reports back with inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;

use super::edit::EditOutcome;
use crate::ids::{AppendId, ClientId, ConnId, Generation, RequestId, Seq, UserId};
use crate::wire::CloseCode;

/// One thing to do outside.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Read snapshot and tail; answer with `Loaded`, `LoadFailed` or `NoSuchDesign`.
    Load,
    /// Read the log rows after `after`; answer with `CaughtUp`, `LogFolded` or `CatchUpFailed`.
    CatchUp { after: Seq },
    /// Make this durable; answer with `Appended`, `AppendFailed`, `AppendOvertaken` or `AppendRefused`. At most one is in flight.
    Append(Append),
    /// Tell the other pods. Only ever after the commit (INV-3).
    Publish { generation: Generation, seq: Seq, update: Bytes, claims: Vec<Claim> },
    /// Tell the other pods who is here. `whole`: these are all.
    PublishPresence { update: Bytes, users: Vec<(ClientId, UserId)>, whole: bool },
    /// Ask the other pods who is there.
    AskPresence,
    /// Tell the other pods what the document is at this place of the log, with nothing unsaved.
    PublishDigest { generation: Generation, seq: Seq, hash: [u8; 32] },
    /// This room's commits up to here have settled: what the design means should be looked at. Only ever after the commit
    /// (INV-3).
    Settled { seq: Seq },
    /// Remember that this id is this user's, though nothing is written under it yet. Needs no answer.
    Announce { client: ClientId, user: UserId },
    /// Keep what the document could not take, for inspection and so that it never comes again. Needs no answer.
    Quarantine(Quarantine),
    /// Queue one frame for each of these connections.
    Send { to: Vec<ConnId>, frame: Bytes, kind: FrameKind },
    /// Tell whoever asked for an edit what came of it. Says that it was made only after the commit (INV-3).
    Answer { request: RequestId, outcome: EditOutcome },
    /// Queue a close frame behind what is queued already, then let the connection go.
    Close { conn: ConnId, code: CloseCode, reason: String },
    /// Something that an operator should read, one sentence without content of the design.
    Report { what: String },
    /// The room is closed and holds nothing unsaved: forget it.
    Evict,
}

/// What an outbox may do with a frame when its reader is slow.
#[derive(Debug, Clone)]
pub enum FrameKind {
    /// Answers and notices: always queued. The protocol bounds how many there can be.
    Control,
    /// An edit. A full outbox does not queue it and reports `Lagged` with `since`: the document before it.
    Document { since: Arc<StateVector> },
    /// Dropped when more than a little is queued: the next tick or the resync brings a newer one. `is_rest`: it is one with
    /// the presence frame before it, and goes its way.
    Presence { is_rest: bool },
}

/// One durable step of a design.
#[derive(Debug, Clone)]
pub struct Append {
    pub append_id: AppendId,
    /// The log as the room knows it goes up to here, and perhaps further by now. One that is shorter has lost rows that this
    /// step may build upon, and must not take it.
    pub after: Seq,
    /// It must stand right behind `after`: when the log is further, it must not take it.
    ///
    /// Whether or not this is set, the log must not take it either when a row behind `after` wrote under one of the clocks that
    /// this step adds ([`Append::writes_any_of`]): no clock is ever written twice, so that whoever reads the log needs not know
    /// who knew of whom.
    pub exactly: bool,
    /// Yjs update v1 with everything that this step adds.
    pub update: Bytes,
    /// Who wrote it.
    pub authors: Vec<Author>,
    /// The client ids under which this step writes first.
    pub claims: Vec<Claim>,
    /// The design's name, when this step changed it.
    pub name: Option<String>,
}

impl Append {
    /// The clocks that this step adds.
    pub fn wrote(&self) -> impl Iterator<Item = &ClockRange> {
        self.authors.iter().flat_map(|author| &author.wrote)
    }

    /// Whether it adds something under any of these clocks.
    pub fn writes_any_of<'a>(&self, theirs: impl IntoIterator<Item = &'a ClockRange>) -> bool {
        // Ours do not overlap: of those that begin before the end of another one, the last one reaches furthest.
        let ours: BTreeMap<_, _> =
            self.wrote().map(|range| ((range.client, range.start), range.end)).collect();
        theirs.into_iter().any(|range| {
            let before = ours.range((range.client, 0)..(range.client, range.end)).next_back();
            before.is_some_and(|(_, end)| range.start < *end)
        })
    }
}

/// Whose a client id is: the user's who first wrote under it. Nobody else may ever write under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    pub client: ClientId,
    /// `None`: the server wrote under it, once. Nobody may.
    pub user: Option<UserId>,
}

/// An update that passed every check and that the document still could not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Yjs update v1, as it came.
    pub update: Bytes,
    pub mark: QuarantineMark,
    /// What went wrong, for an operator.
    pub reason: String,
}

/// By what an update in quarantine is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineMark {
    /// Who sent it.
    pub user: UserId,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// The client ids under which it would have written something new. They are spent for this user.
    pub clients: Vec<ClientId>,
}

/// One person's part of an append.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Author {
    pub user: UserId,
    /// What the person wrote.
    pub wrote: Vec<ClockRange>,
    /// What the person newly deleted: Yjs deletions carry no author of their own.
    pub deleted: Vec<ClockRange>,
}

/// Clocks `start..end` of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ClockRange {
    pub client: ClientId,
    pub start: u32,
    pub end: u32,
}
