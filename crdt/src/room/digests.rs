//! What the document is, compared between pods: a difference at the same place of the log should be impossible. If there
//! is one all the same, it is found, counted, and healed by a load.
//!
//! Compared is only what must be equal: the same generation and place of the log, with nothing in the document that the
//! log may not have yet, and no hole. A room that has never heard of another pod has nobody to compare with.

use super::astray::Astray;
use super::effect::Effect;
use super::live::Live;
use crate::digest;
use crate::ids::{Generation, Millis, Seq};
use crate::limits;

/// When the room says what its document is, and what it said last.
#[derive(Debug)]
pub(super) struct Digests {
    every_ms: u64,
    /// Another pod was heard of.
    is_shared: bool,
    next_at: Millis,
    /// The head, and since when it is that.
    quiet_at: Seq,
    quiet_since: Millis,
    /// The digest of a version of the document.
    made: Option<(u64, [u8; 32])>,
    /// The version of the document that came from the store and nowhere else.
    loaded: Option<u64>,
}

impl Digests {
    pub(super) fn new(now: Millis, every_ms: u64, head: Seq) -> Self {
        Self {
            every_ms,
            is_shared: false,
            next_at: now.plus(every_ms),
            quiet_at: head,
            quiet_since: now,
            made: None,
            loaded: Some(0),
        }
    }

    /// The document was made anew. This version of it is what the store holds.
    pub(super) fn note_loaded(&mut self, version: Option<u64>) {
        self.loaded = version;
    }

    fn due_at(&self) -> Millis {
        self.next_at.max(self.quiet_since.plus(limits::DIGEST_QUIET_MS.min(self.every_ms)))
    }
}

impl Live {
    /// Another pod has this design open.
    pub(super) fn note_others(&mut self) {
        self.digests.is_shared = true;
    }

    pub(super) fn say_digest_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.digests.quiet_at != self.head {
            (self.digests.quiet_at, self.digests.quiet_since) = (self.head, now);
        }
        if self.digest_deadline().is_some_and(|at| at <= now) {
            let spread = self.digests.every_ms / 4 * u64::from(self.jitter()) / 256;
            self.digests.next_at = now.plus(self.digests.every_ms).plus(spread);
            let hash = self.digest();
            effects.push(Effect::PublishDigest { generation: self.generation, seq: self.head, hash });
        }
    }

    pub(super) fn digest_deadline(&self) -> Option<Millis> {
        let wants_to = self.digests.is_shared && !self.members.is_empty() && self.durability.is_clean();
        (wants_to && self.is_the_log()).then(|| self.digests.due_at())
    }

    /// Another pod has said what its document is.
    pub(super) fn compare(
        &mut self,
        generation: Generation,
        seq: Seq,
        hash: [u8; 32],
        effects: &mut Vec<Effect>,
    ) {
        if (generation, seq) != (self.generation, self.head) || !self.is_the_log() || self.digest() == hash {
            return;
        }
        if self.digests.loaded == Some(self.doc_version) {
            // A load would bring the same again: it is for the other one to load.
            effects.push(Effect::Report {
                what: "another server has another document than the store at the same place of the log"
                    .to_owned(),
            });
        } else {
            self.goes_astray(Astray::Diverged);
        }
    }

    /// The document holds the log up to the head, and nothing else.
    fn is_the_log(&self) -> bool {
        self.durability.in_flight.is_none() && self.rebuild.is_none() && !self.remote.has_hole(self.head)
    }

    fn digest(&mut self) -> [u8; 32] {
        match self.digests.made {
            Some((version, hash)) if version == self.doc_version => hash,
            _ => {
                let hash = digest::digest(&self.doc);
                self.digests.made = Some((self.doc_version, hash));
                hash
            }
        }
    }
}
