//! How deep the items of a document lie: an index beside the document, so that many small updates cannot nest shared
//! types deeper than one may.
//!
//! yrs and Yjs follow parents by recursion when they delete, and nobody but them knows the parent of an item that was
//! written next to another one. So the gate keeps the level of every clock: 1 directly in a root, one more for each
//! type in between. An item lies as deep as its neighbours, or one deeper than its parent. Where a hostile update
//! names neighbours in different places, the deeper one counts: levels are never less than the truth for what lives.
//!
//! A clock that is known already is what it was, whatever a later update says about it, just as it is for yrs.

use std::collections::BTreeMap;
use std::mem::size_of;

use super::{Refusal, Scan};
use crate::ids::ClientId;
use crate::limits::TYPE_DEPTH_MAX;

/// For every clock of every client: how deep its item lies (1 = directly in a root, 0 = collected, and it was not
/// known before that where). Kept as runs, so that it stays small.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// Runs of equal depth, (one past the last clock, the depth), from clock 0 on without gaps.
    pub(super) clients: BTreeMap<ClientId, Vec<(u32, u8)>>,
}

impl Depths {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many clients have written anything.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The depth at one clock, if it is known.
    pub(super) fn of(&self, client: ClientId, clock: u32) -> Option<u8> {
        let runs = self.clients.get(&client)?;
        runs.get(runs.partition_point(|(end, _)| *end <= clock)).map(|(_, depth)| *depth)
    }

    /// The deepest of the clocks from `start` on and before `end` that are known.
    fn deepest(&self, client: ClientId, start: u32, end: u32) -> Option<u8> {
        let runs = self.clients.get(&client)?;
        let first = runs.partition_point(|(run_end, _)| *run_end <= start);
        let after = runs.partition_point(|(run_end, _)| *run_end < end);
        runs.get(first..runs.len().min(after + 1))?.iter().map(|(_, depth)| *depth).max()
    }

    /// One past the last clock that is known.
    pub(super) fn end_of(&self, client: ClientId) -> u32 {
        self.clients.get(&client).and_then(|runs| runs.last()).map_or(0, |(end, _)| *end)
    }

    /// The clocks of the client up to `end` that are not known yet lie this deep.
    fn extend(&mut self, client: ClientId, end: u32, depth: u8) {
        let runs = self.clients.entry(client).or_default();
        match runs.last_mut() {
            Some(last) if end <= last.0 => {}
            Some(last) if last.1 == depth => last.0 = end,
            _ => runs.push((end, depth)),
        }
    }
}

/// What a run stands for that is not in the same update.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// What the depth of an item follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Nothing is known: collected.
    Nowhere,
    InRoot,
    /// One deeper than its anchor.
    Below,
    /// As deep as its anchors.
    Beside,
}

/// An item that others stand below or beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) client: ClientId,
    pub(super) clock: u32,
    /// The run of the same update that holds it, or [`OUTSIDE`].
    pub(super) run: u32,
}

/// Structs of one client, one after the other, that lie equally deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Index of its client.
    client: u32,
    start: u32,
    end: u32,
    /// Its first anchor; the last one is before the first of the next run.
    first: u32,
    stands: Stands,
    has_type: bool,
}

/// How deep the structs of one update lie, relative to what is outside of it. Runs stand in an order in which each
/// comes after its anchors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Levels {
    clients: Vec<ClientId>,
    runs: Vec<Run>,
    anchors: Vec<Anchor>,
}

impl Levels {
    pub(super) fn new(clients: Vec<ClientId>) -> Self {
        Self { clients, ..Self::default() }
    }

    /// Adds a struct of the client with this index. `run` is the run of the struct before it. Returns the run that
    /// it is in now.
    pub(super) fn add(
        &mut self,
        run: Option<u32>,
        client: usize,
        (start, end): (u32, u32),
        (stands, anchors): (Stands, &[Anchor]),
        is_type: bool,
    ) -> u32 {
        if let Some(run) = run
            && self.joins(run, stands, anchors)
        {
            let joined = &mut self.runs[run as usize];
            joined.end = end;
            joined.has_type |= is_type;
            return run;
        }
        // The limits of an update keep all of these numbers far below 2^32.
        let number = |len: usize| u32::try_from(len).unwrap_or(OUTSIDE);
        let (client, first) = (number(client), number(self.anchors.len()));
        self.anchors.extend_from_slice(anchors);
        self.runs.push(Run { client, start, end, first, stands, has_type: is_type });
        number(self.runs.len() - 1)
    }

    /// Whether a struct right behind the run lies exactly as deep as it: it stands beside something in the run and
    /// else only where the run stands itself, or all of it stands in the same place.
    fn joins(&self, run: u32, stands: Stands, anchors: &[Anchor]) -> bool {
        let of_run = self.of(run as usize);
        let is_same = self.runs[run as usize].stands == stands;
        let is_inside = |anchor: &Anchor| stands == Stands::Beside && anchor.run == run;
        let is_shared = |anchor: &Anchor| is_same && of_run.contains(anchor);
        anchors.iter().all(|anchor| is_inside(anchor) || is_shared(anchor))
            && (anchors.iter().any(is_inside)
                || is_same && of_run.iter().all(|anchor| anchors.contains(anchor)))
    }

    fn of(&self, run: usize) -> &[Anchor] {
        let after = self.runs.get(run + 1).map_or(self.anchors.len(), |next| next.first as usize);
        &self.anchors[self.runs[run].first as usize..after]
    }

    /// The depth of each run. What cannot be found lies deeper than anything may.
    fn resolve(&self, depths: &Depths) -> Vec<u8> {
        let ends = self.ends(depths);
        let mut levels: Vec<u8> = Vec::with_capacity(self.runs.len());
        for (at, run) in self.runs.iter().enumerate() {
            let anchor = |anchor: &Anchor| {
                let known = depths.of(anchor.client, anchor.clock);
                known.or_else(|| levels.get(anchor.run as usize).copied()).unwrap_or(u8::MAX)
            };
            let anchored = self.of(at).iter().map(anchor).max();
            let mut level = match run.stands {
                Stands::Nowhere => 0,
                Stands::InRoot => 1,
                Stands::Below => anchored.unwrap_or(u8::MAX).saturating_add(1),
                Stands::Beside => anchored.unwrap_or(u8::MAX),
            };
            // Of a run that is known in part, the rest stands where the known part really is.
            let known = ends[run.client as usize].min(run.end);
            if run.start < known {
                let client = self.clients[run.client as usize];
                level = level.max(depths.deepest(client, run.start, known).unwrap_or(u8::MAX));
            }
            levels.push(level);
        }
        levels
    }

    /// For each client of the update: one past the last clock that is known.
    fn ends(&self, depths: &Depths) -> Vec<u32> {
        self.clients.iter().map(|client| depths.end_of(*client)).collect()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.clients.capacity() * size_of::<ClientId>()
            + self.runs.capacity() * size_of::<Run>()
            + self.anchors.capacity() * size_of::<Anchor>()
    }

    pub(super) fn shrink(&mut self) {
        self.runs.shrink_to_fit();
        self.anchors.shrink_to_fit();
    }
}

impl Scan {
    /// Whether everything that the update creates lies within [`TYPE_DEPTH_MAX`], given where its neighbours and
    /// parents outside of it lie. To be asked only of an update that is closed; of another one, what is missing
    /// counts as too deep. What the update says about clocks that are known already does not matter.
    pub fn fits(&self, depths: &Depths) -> Result<(), Refusal> {
        let ends = self.levels.ends(depths);
        let levels = self.levels.resolve(depths);
        let is_too_deep = |(run, level): (&Run, u8)| {
            let deepest = TYPE_DEPTH_MAX + usize::from(!run.has_type);
            ends[run.client as usize] < run.end && deepest < usize::from(level)
        };
        if self.levels.runs.iter().zip(levels).any(is_too_deep) { Err(Refusal::TooDeep) } else { Ok(()) }
    }

    /// Notes where the update's structs lie. Clocks that are known already are left as they are. To be called in the
    /// order of the log, after [`Self::fits`]; of an update that is not closed nothing is noted that would leave a
    /// gap.
    pub fn note(&self, depths: &mut Depths) {
        if self.has_skip {
            return;
        }
        let levels = self.levels.resolve(depths);
        for (run, level) in self.levels.runs.iter().zip(levels) {
            let client = self.levels.clients[run.client as usize];
            if run.start <= depths.end_of(client) {
                depths.extend(client, run.end, level);
            }
        }
    }

    /// Bytes that the scan holds on the heap, roughly.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        (self.ranges.capacity() + self.deletes.capacity()) * size_of::<crate::room::ClockRange>()
            + self.needs.capacity() * size_of::<(ClientId, u32)>()
            + self.levels.heap_bytes()
    }
}
