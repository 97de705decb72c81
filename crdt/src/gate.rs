//! The bounded check of untrusted bytes before yrs sees them.
//!
//! yrs trusts its input in ways that a server cannot afford: nested values recurse without a bound, numbers in the
//! bytes decide how much is reserved, clocks wrap, and what it cannot place yet is parked without a limit. So every
//! update and every state vector from a client is read here first: without recursion, without reserving anything by
//! a number written in the bytes, and stricter than any encoder needs. The format is that of Yjs updates v1 (Yjs
//! `UpdateEncoder.js`, `structs/*.js`, `DeleteSet.js`).
//!
//! What passes has one meaning only: where Yjs and yrs read the same bytes differently, the bytes are refused.

mod content;
mod cosmetic;
mod layout;
mod order;
mod placed;
mod places;
mod update;

use std::collections::HashSet;

use yrs::StateVector;

use crate::ids::ClientId;
use crate::lib0::{Fault, Reader};
use crate::limits::{CLIENTS_PER_UPDATE_MAX, CLOCK_MAX, STATE_VECTOR_BYTES_MAX};
use crate::room::ClockRange;
use crate::schema::Root;
use crate::wire::{CloseCode, RefusalCode};

pub use placed::Placed;
pub use places::Places;
pub use update::{scan_stored, scan_update};

pub(crate) use content::PROTOTYPE;

/// Why bytes were refused. Nothing of them has been applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("malformed: {what}")]
    Malformed { what: &'static str },
    /// Values or shared types are nested too deeply.
    #[error("nested too deeply")]
    TooDeep,
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("too large")]
    TooLarge,
    /// A kind of content that Yjs does not know either.
    #[error("content of an unknown kind")]
    UnknownContent,
    /// Well-formed Yjs that a design does not hold.
    #[error("a design does not hold {0}")]
    Unsupported(Unsupported),
}

/// What Yjs documents may hold, but designs do not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The JSON content of Yjs before 13.0 (kind 2), which later versions read but do not write. yrs 0.28.1 reads
    /// one string more than Yjs, so the two would understand different documents.
    #[error("content of the old JSON kind")]
    Json,
    #[error("embeds")]
    Embed,
    #[error("text formats")]
    Format,
    #[error("subdocuments")]
    Subdocument,
    #[error("XML types")]
    Xml,
    #[error("weak links")]
    WeakLink,
    /// lib0's integers of 64 bits, JavaScript's BigInt (kind 122 among values). JSON has none, and yrs hands most of them
    /// on as plain numbers, so that replicas would differ.
    #[error("big integers")]
    BigInteger,
    /// The key `__proto__` inside a value: lib0 assigns it, so that JavaScript takes it for the object's prototype and has
    /// no such key, while everybody else has.
    #[error("the key __proto__ inside a value")]
    PrototypeKey,
    /// A root other than those of a design. The name is cut to its first 64 characters.
    #[error("the root {0:?}")]
    Root(String),
    /// Items without a key right below a root: all roots of a design are maps.
    #[error("a list in the root {:?}", .0.name())]
    RootList(Root),
}

impl Refusal {
    /// The code for closing the socket of a client that does not speak `atlas.v1`, or that sent what no Yjs client
    /// sends. Unsupported content spends the client id, which is what 4409 says.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Malformed { .. } | Self::TooDeep | Self::UnknownContent => CloseCode::Malformed,
            Self::TooMany { .. } | Self::TooLarge => CloseCode::TooLarge,
            Self::Unsupported(_) => CloseCode::Reset,
        }
    }

    /// The stable word for a `refused` notice.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::Malformed { .. } => RefusalCode::Malformed,
            Self::TooDeep => RefusalCode::TooDeep,
            Self::TooMany { .. } => RefusalCode::TooMany,
            Self::TooLarge => RefusalCode::TooLarge,
            Self::UnknownContent | Self::Unsupported(_) => RefusalCode::Unsupported,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        malformed(match fault {
            Fault::End => "the bytes end too early",
            Fault::IntegerRange => "an integer is out of range",
            Fault::IntegerForm => "an integer is written longer than needed",
            Fault::Utf8 => "a string is not UTF-8",
        })
    }
}

/// What one pass over untrusted update v1 bytes learns, without yrs. Memory is proportional to the bytes present,
/// never to a number written in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// What the update brings: one range per client, sorted by client, none empty.
    pub ranges: Vec<ClockRange>,
    /// Per client, sorted: one past the highest clock that an origin, a right origin or a parent names. Clocks of
    /// the update itself are among them.
    pub needs: Vec<(ClientId, u32)>,
    /// What the update deletes: sorted, none empty, not overlapping.
    pub deletes: Vec<ClockRange>,
    /// How many structs the update has.
    pub structs: usize,
    /// Whether the update leaves clocks out between those that it brings.
    pub has_skip: bool,
    /// The first of the clocks left out.
    skipped: Option<ClockRange>,
    /// How its structs stand, relative to what is outside of it.
    layout: layout::Layout,
    /// It comes from the log, and is placed as it was understood then.
    is_stored: bool,
}

/// What the log holds, read by [`scan_stored`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub scan: Scan,
    /// The first of today's limits that it breaks by itself.
    pub breach: Option<Refusal>,
}

/// What becomes of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be applied, and this is where it stands.
    Clean(Placed),
    /// It builds on what is not at hand: of `client`, everything below `have` is known, and everything below `need`
    /// should be.
    Gap {
        client: ClientId,
        have: u32,
        need: u32,
    },
    Refused(Refusal),
}

/// Whether everything that an update builds on is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closure {
    /// It is. `overlaps`: some of the update's clocks are known already.
    Closed { overlaps: bool },
    /// It is not: of `client`, everything below `have` is known, and everything below `need` should be.
    Gap { client: ClientId, have: u32, need: u32 },
}

impl Scan {
    /// Judges the update against the clocks of a document: `known` says the next clock of a client. Closed means that each client's clocks follow on those
    /// of the document, and that every origin, right origin, parent and deleted clock is in the document or in the
    /// update. An update that leaves clocks out is never closed, even if the document has them.
    #[must_use]
    pub fn closure(&self, known: impl Fn(ClientId) -> u32) -> Closure {
        if let Some(skip) = self.skipped {
            return Closure::Gap { client: skip.client, have: skip.start, need: skip.end };
        }
        let mut overlaps = false;
        for range in &self.ranges {
            let have = known(range.client);
            if have < range.start {
                return Closure::Gap { client: range.client, have, need: range.start };
            }
            overlaps |= range.start < have;
        }
        let deleted = self.deletes.iter().map(|range| (range.client, range.end));
        for (client, need) in self.needs.iter().copied().chain(deleted) {
            let have = known(client).max(self.end_of(client));
            if have < need {
                return Closure::Gap { client, have, need };
            }
        }
        Closure::Closed { overlaps }
    }

    /// Whether the update brings a clock that the document does not have. Deletions are not looked at.
    #[must_use]
    pub fn adds_structs(&self, known: impl Fn(ClientId) -> u32) -> bool {
        self.ranges.iter().any(|range| known(range.client) < range.end)
    }

    /// Neither brings nor deletes anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.deletes.is_empty()
    }

    /// One past the last clock that the update brings of a client; 0 if it brings none.
    fn end_of(&self, client: ClientId) -> u32 {
        match self.ranges.binary_search_by_key(&client, |range| range.client) {
            Ok(at) => self.ranges[at].end,
            Err(_) => 0,
        }
    }
}

/// Reads a state vector. One entry per client, nothing behind the last.
pub fn scan_state_vector(bytes: &[u8]) -> Result<StateVector, Refusal> {
    if STATE_VECTOR_BYTES_MAX < bytes.len() {
        return Err(Refusal::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    let count = count(&mut reader, 2, "clients", CLIENTS_PER_UPDATE_MAX)?;
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for _ in 0..count {
        let client = reader.var_uint()?;
        let clock = clock(&mut reader)?;
        if !seen.insert(client) {
            return Err(malformed("a client stands twice in a state vector"));
        }
        entries.push((yrs::ClientID::new(client), clock));
    }
    if !reader.is_empty() {
        return Err(malformed("bytes after the end"));
    }
    Ok(entries.into_iter().collect())
}

/// The next clock of a client: what [`Scan::closure`] asks for.
#[must_use]
pub fn clock_of(state: &StateVector, client: ClientId) -> u32 {
    state.get(&yrs::ClientID::new(client.get()))
}

const fn malformed(what: &'static str) -> Refusal {
    Refusal::Malformed { what }
}

/// Reads how many things follow, each of at least `bytes_min` bytes: so many must be there, and at most `max`.
fn count(
    reader: &mut Reader<'_>,
    bytes_min: usize,
    what: &'static str,
    max: usize,
) -> Result<usize, Refusal> {
    let count = usize::try_from(reader.var_uint()?).unwrap_or(usize::MAX);
    if reader.remaining() / bytes_min < count {
        return Err(malformed("a count is larger than the bytes behind it"));
    }
    if max < count {
        return Err(Refusal::TooMany { what, max });
    }
    Ok(count)
}

fn clock(reader: &mut Reader<'_>) -> Result<u32, Refusal> {
    match reader.var_u32()? {
        clock if clock <= CLOCK_MAX => Ok(clock),
        _ => Err(malformed("a clock is out of range")),
    }
}

/// `start + len`, which must not leave the range of clocks either.
fn end(start: u32, len: u32) -> Result<u32, Refusal> {
    match start.checked_add(len) {
        Some(end) if end <= CLOCK_MAX => Ok(end),
        _ => Err(malformed("a clock is out of range")),
    }
}

#[cfg(test)]
mod tests;
