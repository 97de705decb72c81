//! What folding a log, archiving it, and checking a store read and write.

use std::time::Duration;

use atlas_crdt::ids::{AppendId, DesignId, Generation, Seq, UserId};
use atlas_crdt::room::Author;
use bytes::Bytes;
use time::OffsetDateTime;

use super::{Head, Result, StoreError};

/// Bytes of payload that one step of pruning deletes: a store that writes one thing at a time is not held up for long.
const PRUNE_BYTES_MAX: usize = 8 << 20;

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

impl Fold {
    /// Whether it may be noted on the log of a design with this head, of which the newest snapshot is `newest` (its
    /// `seq`, the blob's name) and segments hold everything up to `archived`. False: it is there already, and the answer
    /// about it was lost.
    pub(super) fn fits(
        &self,
        head: Head,
        newest: Option<(Seq, Option<[u8; 32]>)>,
        archived: Seq,
    ) -> Result<bool> {
        if self.generation != head.generation {
            return Err(StoreError::Fenced);
        }
        match newest {
            Some((seq, hash)) if seq == self.seq && hash == Some(self.hash) => return Ok(false),
            Some((seq, _)) if self.seq <= seq => return Err(StoreError::Fenced),
            _ => {}
        }
        let begin = self.segments.first().map_or(self.seq.next(), |segment| segment.first);
        if begin != archived.next() {
            return Err(StoreError::Fenced);
        }
        let mut end = archived;
        for segment in &self.segments {
            if segment.first != end.next() || segment.last < segment.first {
                return Err(self.contradicts("its segments do not join"));
            }
            end = segment.last;
        }
        if end != self.seq {
            return Err(self.contradicts("its segments and its snapshot end apart"));
        }
        if head.seq < self.seq {
            return Err(self.contradicts("it is beyond the head"));
        }
        Ok(true)
    }

    fn contradicts(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!("a fold of {} up to {} was not noted: {what}", self.design, self.seq))
    }
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

/// A row at or below the newest snapshot, as pruning looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) seq: Seq,
    /// A segment holds it.
    pub(super) is_archived: bool,
    /// Too young to go.
    pub(super) is_young: bool,
    /// Size of its payload.
    pub(super) bytes: usize,
}

/// What one step of pruning deletes: everything up to `last`. `None`: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PruneStep {
    pub(super) last: Option<Seq>,
    pub(super) pruned: Pruned,
}

impl PruneStep {
    /// `candidates`: the oldest of them, one more than `rows` if there are so many. `is_newest_young`: of all. What goes
    /// is a beginning of the log, so that whoever reads it on finds its row or is told that it is folded.
    pub(super) fn over(candidates: &[Candidate], rows: usize, is_newest_young: bool) -> Self {
        let mut pruned = Pruned { deleted: 0, has_more: false, has_young: is_newest_young };
        let (mut last, mut bytes) = (None, 0);
        for candidate in candidates {
            if candidate.is_young || !candidate.is_archived {
                pruned.has_young |= candidate.is_young;
                break;
            }
            bytes += candidate.bytes;
            if rows <= pruned.deleted || (last.is_some() && PRUNE_BYTES_MAX < bytes) {
                pruned.has_more = true;
                break;
            }
            pruned.deleted += 1;
            last = Some(candidate.seq);
        }
        Self { last, pruned }
    }
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

impl BacklogBlob {
    /// The design in its prefix. `None`: it belongs to none.
    pub(super) fn design(&self) -> Option<DesignId> {
        self.prefix.strip_prefix("designs/")?.split('/').next()?.parse().ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(seq: u64, is_archived: bool, is_young: bool, bytes: usize) -> Candidate {
        Candidate { seq: Seq::new(seq), is_archived, is_young, bytes }
    }

    #[test]
    fn a_step_of_pruning_takes_a_beginning_of_the_log() {
        let old = |seq| candidate(seq, true, false, 10);
        let step = |candidates: &[Candidate], rows| {
            let step = PruneStep::over(candidates, rows, false);
            let pruned = step.pruned;
            (step.last.map(Seq::get), pruned.deleted, pruned.has_more, pruned.has_young)
        };
        assert_eq!(step(&[], 2), (None, 0, false, false));
        assert_eq!(step(&[old(4), old(5)], 2), (Some(5), 2, false, false));
        assert_eq!(step(&[old(4), old(5), old(6)], 2), (Some(5), 2, true, false));
        assert_eq!(step(&[old(4), candidate(5, true, true, 1), old(6)], 2), (Some(4), 1, false, true));
        assert_eq!(step(&[old(4), candidate(5, false, false, 1), old(6)], 2), (Some(4), 1, false, false));
        let large = |seq| candidate(seq, true, false, PRUNE_BYTES_MAX);
        assert_eq!(
            step(&[large(1), old(2)], 2),
            (Some(1), 1, true, false),
            "one that is too large goes alone"
        );
        assert_eq!(step(&[old(1)], 0), (None, 0, true, false));
        assert!(PruneStep::over(&[old(1), old(2)], 1, true).pruned.has_young);
    }

    #[test]
    fn a_blob_belongs_to_the_design_in_its_prefix() {
        let design = |prefix: &str| {
            BacklogBlob { prefix: prefix.to_owned(), hash: [0; 32], bytes: Bytes::new() }.design()
        };
        let id = DesignId::from_u128(7);
        assert_eq!(design(&format!("designs/{id}/segments")), Some(id));
        assert_eq!(design(&format!("designs/{id}")), Some(id));
        for prefix in ["", "designs/", "designs/x/segments", "exports/0193f0e2-7c1a-7b52-9d3e-00ff12ab34cd"] {
            assert_eq!(design(prefix), None, "{prefix}");
        }
    }
}
