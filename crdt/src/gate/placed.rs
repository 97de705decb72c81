//! Where the structs of one update stand, given where everything stands that was known before.
//!
//! What is refused here no Yjs client writes, and each of it would make replicas differ or yrs fail half-way:
//!
//! - **An item inside of a value.** yrs fails with the update half applied; Yjs collects the item.
//! - **A right origin beside anything but a sequence.** Map entries never have one: Yjs and yrs write a new entry behind
//!   the last one of its key. An item with a right origin takes its parent from its left neighbour, or else from the
//!   right one, so that neighbours of two parents put it into one list while it points into the other.
//! - **A right origin where one neighbour is collected and the other is not.** Yjs collects the item; yrs takes the
//!   parent of the other neighbour, and the item lives. (A collected item had a parent that was deleted, and with it go
//!   all of its siblings: an honest pair is collected or not at all.)
//! - **An item that is known in part, and stands somewhere else by its own account.** The rest of it follows what is
//!   known, for yrs and for Yjs, but each finds a parent of its own for it.
//!
//! - **A value of several clocks under a key, and not deleted by the same update.** Only values that were overwritten are
//!   merged into one, and what was overwritten is deleted. Where the next value stands behind the first half, yrs
//!   deletes the second half alone; and once their map is deleted, the first half is left behind in freed memory.
//!
//! What a deleted type holds counts as collected, whether or not it is already.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem::size_of;

use super::layout::{Anchor, Kind, Name, Run, Stand, numbered};
use super::places::{List, Place, Places, Spot};
use super::{Closure, Refusal, Scan, Verdict, malformed};
use crate::ids::ClientId;
use crate::limits::{STORED_TYPE_DEPTH_MAX, TYPE_DEPTH_MAX};
use crate::room::ClockRange;
use crate::schema::{Root, Roots};

/// Where the new structs of one closed update stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Some of the update's clocks are known already.
    pub overlaps: bool,
    /// The first of today's limits that a stored update breaks together with what it builds on.
    pub breach: Option<Refusal>,
    roots: Roots,
    /// See [`Self::is_cosmetic`].
    pub(super) is_cosmetic: bool,
    /// As in the layout of the scan, and as far as they are new: of known ones the start is the end.
    pub(super) runs: Vec<Stood>,
    /// Elements that the index does not know: what a fresh element is the number of.
    pub(super) names: Vec<Name>,
    /// Sequences that the index does not know: what a fresh sequence is the number of.
    pub(super) lists: Vec<List>,
    /// Deleted ranges with types in them, sorted.
    pub(super) dying: Vec<ClockRange>,
}

/// New clocks of one client, and where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stood {
    pub(super) client: ClientId,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) place: Place,
    /// Under a key of an element that only says how it is drawn.
    pub(super) is_cosmetic: bool,
}

impl Scan {
    /// The whole judgement about an update: whether everything that it builds on is at hand (`known` says the next clock
    /// of a client), and where it stands then. `bytes` are those that were scanned.
    #[must_use]
    pub fn judge(&self, bytes: &[u8], known: impl Fn(ClientId) -> u32, places: &Places) -> Verdict {
        if let Closure::Gap { client, have, need } = self.closure(known) {
            return Verdict::Gap { client, have, need };
        }
        match self.place(bytes, places) {
            Ok(stood) => Verdict::Clean(stood),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// Where the update stands. To be asked only of one that is closed; of another one, what is missing is an error.
    /// What the update says about clocks that are known already does not matter, but for what stands beside them.
    ///
    /// Of what is stored, only what yrs cannot apply and what is nested deeper than
    /// [`STORED_TYPE_DEPTH_MAX`](crate::limits::STORED_TYPE_DEPTH_MAX) is an error; a breach of today's limit is told
    /// in [`Placed::breach`].
    pub fn place(&self, bytes: &[u8], places: &Places) -> Result<Placed, Refusal> {
        if self.skipped.is_some() {
            return Err(malformed(MISSING));
        }
        let mut placing = Placing::new(self, bytes, places);
        for run in &self.layout.runs {
            placing.add(run)?;
        }
        placing.bury();
        placing.look_at_deletions();
        let Placing { mut placed, lists, .. } = placing;
        placed.lists =
            lists.list.into_iter().map(|Brought { parent, element }| List { parent, element }).collect();
        Ok(placed)
    }

    /// Bytes that the scan holds on the heap, roughly.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        (self.ranges.capacity() + self.deletes.capacity()) * size_of::<ClockRange>()
            + self.needs.capacity() * size_of::<(ClientId, u32)>()
            + self.layout.heap_bytes()
    }
}

impl Placed {
    /// The roots in which the update puts something new. Collected structs stand nowhere.
    #[must_use]
    pub fn roots(&self) -> Roots {
        self.roots
    }

    /// Letters and entries that the update adds to sequences.
    #[must_use]
    pub fn in_lists(&self) -> usize {
        let new = self.runs.iter().filter(|run| run.place.spot.is_list());
        new.map(|run| (run.end - run.start) as usize).sum()
    }

    /// The elements into which the update writes, each at least once.
    pub fn elements<'a>(
        &'a self,
        bytes: &'a [u8],
        places: &'a Places,
    ) -> impl Iterator<Item = (Root, &'a str)> {
        self.spots(|_| true).filter_map(move |spot| self.named(spot, bytes, places))
    }

    /// The keys right below a root under which the update puts something new that lives, each once: each may become an
    /// element of the design.
    pub fn new_keys<'a>(
        &'a self,
        bytes: &'a [u8],
        places: &'a Places,
        root: Root,
    ) -> impl Iterator<Item = &'a str> {
        let is_element = |place: Place| place.depth == 1 && place.kind != Kind::Gone;
        let mut spots: Vec<u32> = self.spots(is_element).map(Spot::rank).collect();
        spots.sort_unstable();
        spots.dedup();
        let named = move |rank| self.named(Spot::ranked(rank), bytes, places);
        spots.into_iter().filter_map(named).filter(move |(of, _)| *of == root).map(|(_, key)| key)
    }

    /// The elements in which its new structs of some kind stand; neighbours of one element give it once.
    fn spots(&self, is_wanted: impl Fn(Place) -> bool) -> impl Iterator<Item = Spot> {
        let mut last = Spot::NOWHERE;
        self.runs
            .iter()
            .filter(move |run| run.start < run.end && is_wanted(run.place))
            .map(|run| match self.lists.get(run.place.spot.number()) {
                Some(fresh) if run.place.spot.is_list() && run.place.spot.is_fresh() => fresh.element,
                _ => run.place.spot,
            })
            .filter(move |spot| !spot.is_nowhere() && std::mem::replace(&mut last, *spot) != *spot)
    }

    fn named<'a>(&'a self, spot: Spot, bytes: &'a [u8], places: &'a Places) -> Option<(Root, &'a str)> {
        match self.names.get(spot.number()) {
            Some(name) if spot.is_fresh() => Some((name.root, name.of(bytes))),
            _ => places.named(spot),
        }
    }
}

const MISSING: &str = "an item builds on something that is not there";
const APART: &str = "neighbours in different places";
const KNOWN_ELSEWHERE: &str = "an item that is known to stand in another place";

/// Things in the order of their first appearance, each once. Few are found by looking at all of them.
#[derive(Debug)]
struct Numbered<K> {
    list: Vec<K>,
    /// Made when it is needed.
    index: Option<HashMap<K, u32>>,
}

impl<K: Copy + Eq + Hash> Numbered<K> {
    const FEW: usize = 8;

    fn new() -> Self {
        Self { list: Vec::new(), index: None }
    }

    /// The number of a thing, and whether it was not here before.
    fn number(&mut self, key: K) -> (u32, bool) {
        let next = numbered(self.list.len());
        let list = &self.list;
        let found = if list.len() <= Self::FEW {
            list.iter().zip(0..).find(|(other, _)| **other == key).map(|(_, number)| number)
        } else {
            let index = self.index.get_or_insert_with(|| list.iter().copied().zip(0..).collect());
            index.get(&key).copied()
        };
        if let Some(number) = found {
            return (number, false);
        }
        self.list.push(key);
        if let Some(index) = &mut self.index {
            index.insert(key, next);
        }
        (next, true)
    }
}

/// One update on its way from its layout to its places.
pub(super) struct Placing<'a> {
    pub(super) scan: &'a Scan,
    bytes: &'a [u8],
    pub(super) places: &'a Places,
    pub(super) placed: Placed,
    names: Numbered<(Root, &'a str)>,
    lists: Numbered<Brought>,
    /// The section of the run before, its client and the next clock that is known of it.
    section: u32,
    client: ClientId,
    known: u32,
}

/// A sequence that the update brings. Its parent alone says which one it is.
#[derive(Debug, Clone, Copy)]
struct Brought {
    parent: (ClientId, u32),
    element: Spot,
}

impl PartialEq for Brought {
    fn eq(&self, other: &Self) -> bool {
        self.parent == other.parent
    }
}

impl Eq for Brought {}

impl Hash for Brought {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parent.hash(state);
    }
}

impl<'a> Placing<'a> {
    fn new(scan: &'a Scan, bytes: &'a [u8], places: &'a Places) -> Self {
        Self {
            scan,
            bytes,
            places,
            placed: Placed {
                overlaps: false,
                breach: None,
                roots: Roots::NONE,
                is_cosmetic: true,
                runs: Vec::with_capacity(scan.layout.runs.len()),
                names: Vec::new(),
                lists: Vec::new(),
                dying: Vec::new(),
            },
            names: Numbered::new(),
            lists: Numbered::new(),
            section: u32::MAX,
            client: ClientId::new(0),
            known: 0,
        }
    }

    fn add(&mut self, run: &Run) -> Result<(), Refusal> {
        if self.section != run.section {
            let range = self.scan.ranges[run.section as usize];
            (self.section, self.client, self.known) =
                (run.section, range.client, self.places.end_of(range.client));
            self.placed.overlaps |= range.start < self.known;
        }
        let mut place = self.place_of(run)?;
        if run.start < self.known && self.known < run.end {
            place = self.agree(run, place)?;
        }
        if self.known < run.end {
            self.check_depth(run, place)?;
            let is_under_key = !place.spot.is_nowhere() && !place.spot.is_list();
            if run.is_wide && is_under_key && !self.deletes(run.start.max(self.known), run.end - 1) {
                return Err(malformed("a value of several clocks under a key"));
            }
        }
        if place.spot.is_nowhere() {
            place.kind = Kind::Gone;
        }
        let start = run.start.max(self.known).min(run.end);
        let is_cosmetic = self.is_cosmetic(run, place);
        if start < run.end
            && let Some(root) = self.root_of(place.spot)
        {
            self.placed.roots.insert(root);
            self.placed.is_cosmetic &= is_cosmetic || root == Root::Comments;
        }
        self.placed.runs.push(Stood { client: self.client, start, end: run.end, place, is_cosmetic });
        Ok(())
    }

    /// Where the run stands by what it is anchored to.
    fn place_of(&mut self, run: &Run) -> Result<Place, Refusal> {
        let at = |spot, depth| Place { spot, print: 0, depth, kind: run.kind };
        let beside = |neighbour: Place| Place { kind: run.kind, ..neighbour };
        Ok(match &run.stand {
            Stand::Nowhere => at(Spot::NOWHERE, 0),
            Stand::InRoot(name) => at(self.element(*name), 1),
            Stand::InRootList(name) => at(self.root_list(*name), 1),
            Stand::InMap(parent, _) | Stand::InList(parent) => {
                let holder = self.anchored(parent)?;
                let depth = holder.depth.saturating_add(1);
                match (holder.kind, &run.stand) {
                    (Kind::Value, _) => return Err(malformed("an item inside of a value")),
                    (Kind::Gone, _) => at(Spot::NOWHERE, depth),
                    (Kind::Type, Stand::InList(_)) => at(self.list(parent, holder.spot), depth),
                    (Kind::Type, _) => {
                        let print = self.places.print((parent.client, parent.clock));
                        Place { print, ..at(self.element_of(holder.spot), depth) }
                    }
                }
            }
            Stand::Behind(origin) => beside(self.anchored(origin)?),
            Stand::Before(right) => {
                let right = self.anchored(right)?;
                beside(self.between(right, right)?)
            }
            Stand::Between(origin, right) => {
                let origin = self.anchored(origin)?;
                let right = self.anchored(&self.scan.layout.rights.of(*right))?;
                beside(self.between(origin, right)?)
            }
        })
    }

    /// Where an item with a right origin stands: both neighbours in one sequence, or both collected. What is stored may
    /// be otherwise, and counts as deep as the deeper one.
    fn between(&self, origin: Place, right: Place) -> Result<Place, Refusal> {
        let deeper = if right.depth <= origin.depth { origin } else { right };
        if origin.spot == right.spot && (origin.spot.is_list() || origin.spot.is_nowhere()) {
            return Ok(deeper);
        }
        let is_collected = |place: Place| place.spot.is_nowhere() || self.is_dead(place.spot);
        if is_collected(origin) && is_collected(right) {
            return Ok(Place { spot: Spot::NOWHERE, ..deeper });
        }
        if self.scan.is_stored { Ok(deeper) } else { Err(malformed(APART)) }
    }

    /// Of a run that is known in part, the rest stands where the known part really is: behind it.
    fn agree(&self, run: &Run, declared: Place) -> Result<Place, Refusal> {
        // What is collected from here on is collected, whatever stood before it.
        if run.stand == Stand::Nowhere {
            return Ok(declared);
        }
        let is_lost = |spot: Spot| spot.is_nowhere() || self.is_dead(spot);
        let is_of_list = run.is_of_list() || declared.spot.is_list();
        let mut place = declared;
        let known = ClockRange { client: self.client, start: run.start, end: self.known };
        for (_, part) in self.places.among(known) {
            let agrees = match (is_lost(declared.spot), is_lost(part.spot)) {
                (true, true) => true,
                (false, false) => {
                    (part.spot, part.print, part.depth) == (declared.spot, declared.print, declared.depth)
                }
                // Its map was deleted since then.
                (true, false) => !is_of_list && !part.spot.is_list(),
                // Behind something collected, the rest of a map entry is collected as well.
                (false, true) => !is_of_list && matches!(run.stand, Stand::Behind(_)),
            };
            if !agrees && !self.scan.is_stored {
                return Err(malformed(KNOWN_ELSEWHERE));
            }
            if place.spot.is_nowhere() {
                place = Place { depth: place.depth.max(part.depth), kind: place.kind, ..part };
            } else if !part.spot.is_nowhere() && place.depth < part.depth {
                place = Place { kind: place.kind, ..part };
            }
        }
        Ok(place)
    }

    fn check_depth(&mut self, run: &Run, place: Place) -> Result<(), Refusal> {
        let deepest = |types: usize| types + usize::from(run.kind != Kind::Type);
        if usize::from(place.depth) <= deepest(TYPE_DEPTH_MAX) {
            return Ok(());
        }
        if self.scan.is_stored && usize::from(place.depth) <= deepest(STORED_TYPE_DEPTH_MAX) {
            self.placed.breach = Some(Refusal::TooDeep);
            return Ok(());
        }
        Err(Refusal::TooDeep)
    }

    /// Whether the update deletes these clocks of the run's client.
    fn deletes(&self, mut start: u32, end: u32) -> bool {
        let deletes = &self.scan.deletes;
        let first = deletes.partition_point(|range| (range.client, range.end) <= (self.client, start));
        for range in &deletes[first..] {
            if end <= start || range.client != self.client || start < range.start {
                break;
            }
            start = range.end;
        }
        end <= start
    }

    fn anchored(&self, anchor: &Anchor) -> Result<Place, Refusal> {
        let is_new = anchor.client == self.client && self.known <= anchor.clock;
        let known = if is_new { None } else { self.places.of(anchor.client, anchor.clock) };
        let brought = || self.placed.runs.get(anchor.run as usize).map(|run| run.place);
        known.or_else(brought).ok_or(malformed(MISSING))
    }

    fn element(&mut self, name: Name) -> Spot {
        let key = name.of(self.bytes);
        if let Some(number) = self.places.element(name.root, key) {
            return Spot::element(number, false);
        }
        let (number, is_new) = self.names.number((name.root, key));
        if is_new {
            self.placed.names.push(name);
        }
        Spot::element(number, true)
    }

    /// The sequence below an item.
    fn list(&mut self, parent: &Anchor, holder: Spot) -> Spot {
        let element = self.element_of(holder);
        self.list_below((parent.client, parent.clock), element)
    }

    /// The sequence of a root. No client has its number.
    fn root_list(&mut self, name: Name) -> Spot {
        let element = self.element(name);
        self.list_below((ClientId::new(u64::MAX - name.root as u64), 0), element)
    }

    fn list_below(&mut self, parent: (ClientId, u32), element: Spot) -> Spot {
        if let Some(number) = self.places.list(parent) {
            return Spot::list(number, false);
        }
        Spot::list(self.lists.number(Brought { parent, element }).0, true)
    }

    /// The element in which a spot is.
    fn element_of(&self, spot: Spot) -> Spot {
        if !spot.is_list() {
            spot
        } else if spot.is_fresh() {
            self.lists.list[spot.number()].element
        } else {
            self.places.list_at(spot).map_or(Spot::NOWHERE, |list| list.element)
        }
    }

    fn root_of(&self, spot: Spot) -> Option<Root> {
        let element = self.element_of(spot);
        if element.is_fresh() {
            Some(self.names.list[element.number()].0)
        } else {
            self.places.root_of(element)
        }
    }

    /// Whether it is a sequence that was deleted.
    fn is_dead(&self, spot: Spot) -> bool {
        let parent = self.places.list_at(spot).and_then(|list| self.places.of(list.parent.0, list.parent.1));
        parent.is_some_and(|parent| parent.kind == Kind::Gone)
    }

    /// Picks out the deletions with types in them.
    fn bury(&mut self) {
        let may_hold_types = |range: &&ClockRange| self.places.may_hold_types(**range);
        self.placed.dying.extend(self.scan.deletes.iter().filter(may_hold_types));
    }
}
