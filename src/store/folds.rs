//! What folding a log, archiving it, and checking a store read and write.

use std::time::Duration;

use atlas_crdt::ids::{AppendId, DesignId, Generation, Seq, UserId};
use atlas_crdt::room::Author;
use bytes::Bytes;
use time::OffsetDateTime;

/// How far a design's log is folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldState {
    pub generation: Generation,
    pub head: Seq,
    /// The newest snapshot: Yjs update v1 of the whole document up to its `seq`. `None`: never folded.
    pub snapshot: Option<(Seq, Bytes)>,
    /// Rows at or below the snapshot that are still there.
    pub folded_rows: u64,
    /// Up to where segments were archived; at least the snapshot's `seq`.
    pub archived: Seq,
}

/// A log row with everything that is known of it, as it goes into a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedRow {
    pub seq: Seq,
    pub append_id: AppendId,
    /// Yjs update v1.
    pub update: Bytes,
    pub authors: Vec<Author>,
    pub at: OffsetDateTime,
}

/// A piece of a log, archived as a blob `designs/<id>/segments/<hash>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub first: Seq,
    pub last: Seq,
    /// SHA-256 of its content: the name of the blob.
    pub hash: [u8; 32],
    /// Bytes of the blob as stored, compressed.
    pub bytes: u64,
    /// Of its first and its last row.
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
}

/// What a fold brings: a snapshot, and the segments that the rows below it went into.
#[derive(Debug, Clone)]
pub struct Fold {
    pub design: DesignId,
    /// As it was when the log was read; another one by now fails the fold as `Fenced`.
    pub generation: Generation,
    /// The snapshot holds the log up to here.
    pub seq: Seq,
    /// Yjs update v1 of the whole document.
    pub snapshot: Bytes,
    /// SHA-256 of `snapshot`: the name of the blob `designs/<id>/snapshots/<hash>`.
    pub hash: [u8; 32],
    /// JSON arrays of nodes and of edges, as the API shows them.
    pub nodes: String,
    pub edges: String,
    /// Contiguous, from the end of the last archived segment to `seq`.
    pub segments: Vec<Segment>,
}

/// What a step of pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    pub deleted: usize,
    /// Rows at or below the snapshot that could go now and did not fit the step.
    pub has_more: bool,
    /// Rows at or below the snapshot that are too young to go.
    pub has_young: bool,
}

/// When a sweep takes a log to be in need of folding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldPolicy {
    /// At least this many rows above the snapshot; or …
    pub rows: u64,
    /// … at least one, and none that is younger.
    pub quiet_for: Duration,
}

/// A sealed blob that its store did not take yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogBlob {
    /// As in `blob`: `designs/<id>/segments`.
    pub prefix: String,
    /// The blob's name.
    pub hash: [u8; 32],
    /// As they will be stored.
    pub bytes: Bytes,
}

/// What waits for the blob store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BacklogSize {
    pub blobs: u64,
    pub bytes: u64,
    /// When the oldest came.
    pub oldest: Option<OffsetDateTime>,
}

/// What a check of a design looks at, read in one consistent transaction, whatever state it is in: nothing of it is
/// refused as damaged but what cannot be read at all.
#[derive(Debug, Clone)]
pub struct Remains {
    pub generation: Generation,
    pub head: Seq,
    /// `seq` and size in bytes of all rows, oldest first.
    pub rows: Vec<(Seq, u64)>,
    /// All snapshots, oldest first: `seq`, payload, the blob's name.
    pub snapshots: Vec<(Seq, Bytes, Option<[u8; 32]>)>,
    /// Oldest first.
    pub segments: Vec<Segment>,
    /// Whose names wait in the backlog: prefix and hash.
    pub backlog: Vec<(String, [u8; 32])>,
    /// Who owns it, and whether that is a member.
    pub owner: UserId,
    pub owner_is_member: bool,
    /// The arrays in `designs.nodes` and `designs.edges`. `None`: never folded.
    pub columns: Option<(String, String)>,
}
