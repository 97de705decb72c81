//! How the structs of one update stand, relative to what is outside of it: what a scan keeps of them.

use std::mem::size_of;

use super::{Refusal, malformed};
use crate::ids::ClientId;
use crate::schema::Root;

/// What a struct is to the items that name it as their parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shared type, in which items can be.
    Type,
    /// A value: nobody writes an item into it, and yrs fails half-way through an update that does.
    Value,
    /// Deleted, collected or left out: it may have been a type, and what was in it is gone as well.
    Gone,
}

/// What a run stands for that is not in the same update.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// An item that others stand below or beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) client: ClientId,
    pub(super) clock: u32,
    /// The run of the same update that holds it, or [`OUTSIDE`].
    pub(super) run: u32,
}

impl Anchor {
    /// The run is found out later.
    pub(super) const fn new((client, clock): (ClientId, u32)) -> Self {
        Self { client, clock, run: OUTSIDE }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.client == other.client && self.clock == other.clock
    }
}

/// A key right below a root: where it stands in the bytes of the update, so that a scan keeps no copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) root: Root,
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Name {
    /// The key. Empty if these are not the bytes that were scanned.
    pub(super) fn of(self, bytes: &[u8]) -> &str {
        let key = bytes.get(self.at as usize..).and_then(|from| from.get(..self.len as usize));
        key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
    }
}

/// What the place of a struct follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing is known: collected, or left out.
    Nowhere,
    /// Under a key of a root.
    InRoot(Name),
    /// In a root, without a key. The name is empty.
    InRootList(Name),
    /// Under a key of a type. Whether it is one that only says how something is drawn, if the type is an element.
    InMap(Anchor, bool),
    /// In a type, without a key.
    InList(Anchor),
    /// Behind its origin.
    Behind(Anchor),
    /// Before its right origin.
    Before(Anchor),
    /// Behind its origin, and before a right origin: this one of [`Layout::rights`].
    Between(Anchor, u32),
}

/// Structs of one client, one after the other, that are of one kind and stand in the same place; those under cosmetic keys
/// apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of its client among the ranges of the scan.
    pub(super) section: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) stand: Stand,
    pub(super) kind: Kind,
    /// It is one value of several clocks, and may stand under a key.
    pub(super) is_wide: bool,
    /// How deep the type that holds it is, as far as the update tells: 0 for a root, or where nothing is known.
    depth: u8,
}

impl Run {
    /// Whether it stands in a sequence for certain, or is refused.
    pub(super) const fn is_of_list(&self) -> bool {
        matches!(self.stand, Stand::InRootList(_) | Stand::InList(_) | Stand::Before(_) | Stand::Between(..))
    }
}

/// Runs stand in an order in which each comes after its anchors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Layout {
    pub(super) runs: Vec<Run>,
    pub(super) rights: Rights,
}

/// The right origins of items that stand between two others. Most updates have one at most, which stands here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rights {
    first: Option<Anchor>,
    others: Vec<Anchor>,
}

impl Rights {
    /// The number of a right origin, which may be the one before.
    fn number(&mut self, right: Anchor) -> u32 {
        if self.others.last().or(self.first.as_ref()) != Some(&right) {
            match self.first {
                None => self.first = Some(right),
                Some(_) => self.others.push(right),
            }
        }
        numbered(self.others.len())
    }

    /// All numbers come from [`Self::number`].
    pub(super) fn of(&self, number: u32) -> Anchor {
        let other = (number as usize).checked_sub(1).and_then(|at| self.others.get(at));
        other.copied().or(self.first).unwrap_or(Anchor::new((ClientId::new(0), 0)))
    }

    /// The run of a right origin is known now.
    pub(super) fn found(&mut self, number: u32, right: Anchor) {
        match (number as usize).checked_sub(1) {
            None => self.first = Some(right),
            Some(at) => self.others[at] = right,
        }
    }
}

/// The depth of a type that is not in the update: right below a root. That is the least that it can be; where it
/// really lies is asked later, of the index beside the document ([`super::Scan::place`]).
const DEPTH_OUTSIDE: u8 = 1;

impl Layout {
    /// Adds a struct of the client with this index; everything that it builds on has been added. `before` is the run of
    /// the struct before it. Returns the run that it is in now.
    ///
    /// Fails if it stands in a value, or if it is a type more than `depth_max` deep.
    pub(super) fn add(
        &mut self,
        before: Option<u32>,
        section: u32,
        (start, end): (u32, u32),
        (stand, kind): (Stand, Kind),
        depth_max: usize,
    ) -> Result<u32, Refusal> {
        let depth = self.depth_of(&stand)?;
        if depth_max < usize::from(depth) + usize::from(kind == Kind::Type) {
            return Err(Refusal::TooDeep);
        }
        let mut run = Run { section, start, end, stand, kind, is_wide: false, depth };
        run.is_wide = kind == Kind::Value && 1 < end - start && !run.is_of_list();
        if let Some(before) = before
            && self.joins(before, &run)
        {
            self.runs[before as usize].end = end;
            return Ok(before);
        }
        self.runs.push(run);
        Ok(numbered(self.runs.len() - 1))
    }

    /// An item between two others. If it joins a run, its right origin is left over; those of one run are equal.
    pub(super) fn between(&mut self, origin: Anchor, right: Anchor) -> Stand {
        Stand::Between(origin, self.rights.number(right))
    }

    fn depth_of(&self, stand: &Stand) -> Result<u8, Refusal> {
        let of = |anchor: &Anchor| self.runs.get(anchor.run as usize);
        let beside = |anchor: &Anchor| of(anchor).map_or(0, |run| run.depth);
        Ok(match stand {
            Stand::Nowhere | Stand::InRoot(_) | Stand::InRootList(_) => 0,
            Stand::InMap(parent, _) | Stand::InList(parent) => match of(parent) {
                Some(run) if run.kind == Kind::Value => return Err(malformed("an item inside of a value")),
                Some(run) => run.depth.saturating_add(1),
                None => DEPTH_OUTSIDE,
            },
            Stand::Behind(one) | Stand::Before(one) => beside(one),
            Stand::Between(origin, right) => beside(origin).max(beside(&self.rights.of(*right))),
        })
    }

    /// Whether a struct right behind the run certainly stands in the same place. One with a right origin joins only a
    /// run that is known to be of a sequence, so that what it may not stand beside is not lost.
    fn joins(&self, run: u32, new: &Run) -> bool {
        let last = &self.runs[run as usize];
        let is_of_list = last.is_of_list();
        if last.kind != new.kind || last.is_wide || new.is_wide && !is_of_list {
            return false;
        }
        let right = |number: u32| self.rights.of(number);
        let is_inside = |anchor: &Anchor| anchor.run == run;
        // Inside of the run, or where the run stands itself.
        let is_within = |anchor: &Anchor| match last.stand {
            _ if is_inside(anchor) => true,
            Stand::Behind(own) | Stand::Before(own) => anchor.is_same_as(&own),
            Stand::Between(own, other) => anchor.is_same_as(&own) || anchor.is_same_as(&right(other)),
            _ => false,
        };
        match (&new.stand, last.stand) {
            (Stand::Nowhere, Stand::Nowhere) => true,
            // Of collected clocks the document may know more, and with them of what stands behind them.
            (_, Stand::Nowhere) => false,
            (Stand::InMap(parent, is_cosmetic), Stand::InMap(own, was_cosmetic)) => {
                *is_cosmetic == was_cosmetic && parent.is_same_as(&own)
            }
            (Stand::InList(parent), Stand::InList(own)) => parent.is_same_as(&own),
            (Stand::Behind(origin), _) => is_within(origin),
            (Stand::Before(one), _) => is_of_list && is_within(one),
            (Stand::Between(origin, at), _) => is_of_list && is_within(origin) && is_within(&right(*at)),
            _ => false,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.rights.others.capacity() * size_of::<Anchor>()
    }

    /// Gives back what is held in vain, where it is worth the copying.
    pub(super) fn shrink(&mut self) {
        if 1_024 < self.heap_bytes() {
            self.runs.shrink_to_fit();
            self.rights.others.shrink_to_fit();
        }
    }
}

/// The limits of an update keep all numbers of what is in it far below 2^32.
pub(super) fn numbered(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(OUTSIDE)
}
