//! What the document could not take: kept for inspection, and known again when it comes again.
//!
//! Every failure of yrs costs the room a load. Whoever causes one is sent away, but could come back with the same
//! bytes, or go on under the same client id, on any server, tomorrow; so the marks are stored with the design.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use super::effect::{ClockRange, QuarantineMark};
use crate::ids::{ClientId, UserId};

/// Marks of everything in quarantine.
#[derive(Debug, Default)]
pub(super) struct Marks {
    hashes: HashSet<[u8; 32]>,
    spent: BTreeSet<(ClientId, UserId)>,
}

impl Marks {
    pub(super) fn new(marks: &[QuarantineMark]) -> Self {
        let mut all = Self::default();
        for mark in marks {
            all.add(mark);
        }
        all
    }

    pub(super) fn add(&mut self, mark: &QuarantineMark) {
        self.hashes.insert(mark.hash);
        self.spent.extend(mark.clients.iter().map(|client| (*client, mark.user)));
    }

    /// Everything that is marked there, too.
    pub(super) fn join(&mut self, other: Self) {
        self.hashes.extend(other.hashes);
        self.spent.extend(other.spent);
    }

    /// These very bytes failed before. Costs a hash, but only in a design that has anything in quarantine.
    pub(super) fn holds(&self, update: &[u8]) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&hash(update))
    }

    /// The user has spent this client id: what failed would have been written under it. For others it is as good as it
    /// was: who names a colleague's id in what fails must not silence the colleague.
    pub(super) fn is_spent(&self, client: ClientId, user: UserId) -> bool {
        self.spent.contains(&(client, user))
    }
}

/// The mark of an update by `user` that would have written `new`.
pub(super) fn mark(user: UserId, update: &[u8], new: impl Iterator<Item = ClockRange>) -> QuarantineMark {
    let clients: BTreeSet<ClientId> = new.map(|range| range.client).collect();
    QuarantineMark { user, hash: hash(update), clients: clients.into_iter().collect() }
}

fn hash(update: &[u8]) -> [u8; 32] {
    Sha256::digest(update).into()
}
