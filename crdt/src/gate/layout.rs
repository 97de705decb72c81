//! How the structs of one update stand, relative to what is outside of it: what a scan keeps of them.

use std::mem::size_of;

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

/// What the place of a struct follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Nothing is known: collected, or left out.
    Nowhere,
    /// Under a key of a root.
    InRoot,
    /// In a root, without a key.
    InRootList,
    /// Under a key of a type.
    InMap,
    /// In a type, without a key.
    InList,
    /// Behind its origin.
    Behind,
    /// Before its right origin.
    Before,
    /// Between both.
    Between,
}

impl How {
    /// How many items it is anchored to.
    pub(super) const fn anchors(self) -> usize {
        match self {
            Self::Nowhere | Self::InRoot | Self::InRootList => 0,
            Self::InMap | Self::InList | Self::Behind | Self::Before => 1,
            Self::Between => 2,
        }
    }
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
    pub(super) const NOTHING: Self = Self { client: ClientId::new(0), clock: 0, run: OUTSIDE };

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

/// Structs of one client, one after the other, that are of one kind and stand in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of its client among the ranges of the scan.
    pub(super) section: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Its first anchor, or its name if it stands in a root.
    pub(super) first: u32,
    pub(super) how: How,
    pub(super) kind: Kind,
}

/// Runs stand in an order in which each comes after its anchors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Layout {
    pub(super) runs: Vec<Run>,
    pub(super) anchors: Vec<Anchor>,
    pub(super) names: Vec<Name>,
}

impl Layout {
    /// Adds a struct of the client with this index. `run` is the run of the struct before it. Returns the run that
    /// it is in now.
    pub(super) fn add(
        &mut self,
        run: Option<u32>,
        section: usize,
        (start, end): (u32, u32),
        (how, kind, name): (How, Kind, u32),
        anchors: &[Anchor],
    ) -> u32 {
        if let Some(run) = run
            && self.joins(run, how, kind, anchors)
        {
            self.runs[run as usize].end = end;
            return run;
        }
        // The limits of an update keep all of these numbers far below 2^32.
        let number = |len: usize| u32::try_from(len).unwrap_or(OUTSIDE);
        let first = if anchors.is_empty() { name } else { number(self.anchors.len()) };
        self.anchors.extend_from_slice(anchors);
        self.runs.push(Run { section: number(section), start, end, first, how, kind });
        number(self.runs.len() - 1)
    }

    /// Whether a struct right behind the run certainly stands in the same place. One with a right origin joins only a
    /// run that is known to be of a sequence, so that what it may not stand beside is not lost.
    fn joins(&self, run: u32, how: How, kind: Kind, anchors: &[Anchor]) -> bool {
        let last = &self.runs[run as usize];
        if last.kind != kind {
            return false;
        }
        let own = self.anchors_of(last);
        let is_shared = |anchor: &Anchor| own.iter().any(|other| other.is_same_as(anchor));
        let is_inside = |anchor: &Anchor| anchor.run == run;
        match (how, last.how) {
            (How::Nowhere, How::Nowhere) => true,
            // Of collected clocks the document may know more, and with them of what stands behind them.
            (_, How::Nowhere) => false,
            (How::InMap, How::InMap) | (How::InList, How::InList) => anchors.iter().all(is_shared),
            (How::Behind, How::Behind) => anchors.iter().all(|one| is_inside(one) || is_shared(one)),
            (How::Behind, _) | (How::Before | How::Between, How::InList) => anchors.iter().all(is_inside),
            (How::Before | How::Between, How::Before | How::Between) => {
                anchors.iter().all(|one| is_inside(one) || is_shared(one))
            }
            _ => false,
        }
    }

    pub(super) fn anchors_of(&self, run: &Run) -> &[Anchor] {
        let first = run.first as usize;
        match run.how.anchors() {
            0 => &[],
            count => &self.anchors[first..first + count],
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
            + self.anchors.capacity() * size_of::<Anchor>()
            + self.names.capacity() * size_of::<Name>()
    }

    /// Gives back what is held in vain, where it is worth the copying.
    pub(super) fn shrink(&mut self) {
        if 1_024 < self.heap_bytes() {
            self.runs.shrink_to_fit();
            self.anchors.shrink_to_fit();
            self.names.shrink_to_fit();
        }
    }
}
