//! Where the items of a document stand: an index beside it, from each clock to its root, its element and its depth.
//!
//! An update seldom says where it writes: what overwrites a value names only the item that it stands behind, and a
//! deletion names only clocks. So the gate keeps for every clock of every client where its item stands: in which
//! element (the key right below a root), how deep (1 right below a root, one more for each type in between; yrs and Yjs
//! follow parents by recursion when they delete), and whether it is a type, a value, or gone.
//!
//! An item in a root stands in the element of its key, and everything below or beside it in the same one. Items of a
//! sequence also belong to their parent: two sequences never share neighbours. Collected structs stand nowhere.
//!
//! A clock that is known already is what it was, whatever a later update says about it, just as it is for yrs. Only a
//! type that is deleted is gone from then on: what is written into it is collected by every replica.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::size_of;
use std::sync::Arc;

use super::cosmetic::Cosmetic;
use super::layout::Kind;
use super::placed::Placed;
use crate::ids::ClientId;
use crate::room::ClockRange;
use crate::schema::{Root, Roots};

/// Ranges of one client that are buried one by one; more are buried in one pass over all that it wrote.
const BURIED_SINGLY: usize = 8;

/// The element or the sequence in which something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot(u32);

impl Spot {
    const LIST: u32 = 1 << 31;
    const FRESH: u32 = 1 << 30;
    pub(super) const NOWHERE: Self = Self(u32::MAX);

    /// An element that the index knows, or (fresh) that an update brings.
    pub(super) const fn element(number: u32, is_fresh: bool) -> Self {
        Self(number | if is_fresh { Self::FRESH } else { 0 })
    }

    /// A sequence that the index knows, or (fresh) that an update brings.
    pub(super) const fn list(number: u32, is_fresh: bool) -> Self {
        Self(number | Self::LIST | if is_fresh { Self::FRESH } else { 0 })
    }

    pub(super) const fn is_nowhere(self) -> bool {
        self.0 == u32::MAX
    }

    pub(super) const fn is_list(self) -> bool {
        !self.is_nowhere() && self.0 & Self::LIST != 0
    }

    pub(super) const fn is_fresh(self) -> bool {
        !self.is_nowhere() && self.0 & Self::FRESH != 0
    }

    pub(super) const fn rank(self) -> u32 {
        self.0
    }

    pub(super) const fn ranked(rank: u32) -> Self {
        Self(rank)
    }

    pub(super) const fn number(self) -> usize {
        (self.0 & !(Self::LIST | Self::FRESH)) as usize
    }
}

/// Where something stands, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) spot: Spot,
    /// Some bits of the map's identity: maps are not numbered. Where two maps of one element are equally deep, it tells
    /// them apart but for one time in 65,536; who could gain by that cannot know when.
    pub(super) print: u16,
    /// 1 right below a root. Of what is collected: at least how deep it would lie.
    pub(super) depth: u8,
    pub(super) kind: Kind,
}

/// Clocks that stand in one place, from the end of the stretch before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    end: u32,
    place: Place,
}

const _: () = assert!(size_of::<Stretch>() == 12);

/// The key right below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    root: Root,
    key: Arc<str>,
}

/// What has items without keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    /// The item of the type.
    pub(super) parent: (ClientId, u32),
    /// The element in which it stands.
    pub(super) element: Spot,
}

/// The index kept beside a document: for every clock of every client, where its item stands. Twelve bytes for each
/// stretch of clocks in one place, and each element's key once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// From clock 0 on without gaps.
    clients: BTreeMap<ClientId, Vec<Stretch>>,
    pub(super) cosmetic: Cosmetic,
    elements: Vec<Element>,
    by_key: [HashMap<Arc<str>, u32>; Root::ALL.len()],
    lists: Vec<List>,
    by_parent: HashMap<(ClientId, u32), u32>,
    /// How many clocks stand in sequences.
    in_lists: usize,
    /// Bytes of all keys.
    key_bytes: usize,
    /// What prints are made with: nobody outside knows it, and nothing but prints depends on it.
    secret: u64,
}

impl Default for Places {
    fn default() -> Self {
        Self::new()
    }
}

impl Places {
    #[must_use]
    pub fn new() -> Self {
        Self {
            clients: BTreeMap::new(),
            cosmetic: Cosmetic::default(),
            elements: Vec::new(),
            by_key: Default::default(),
            lists: Vec::new(),
            by_parent: HashMap::new(),
            in_lists: 0,
            key_bytes: 0,
            secret: RandomState::new().build_hasher().finish(),
        }
    }

    /// How many clients have written anything.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Takes over where the structs of an update stand. To be called in the order of the log, before the next update
    /// is placed. `bytes` are those that were scanned.
    pub fn note(&mut self, placed: Placed, bytes: &[u8]) {
        self.in_lists += placed.in_lists();
        let Placed { runs, names, lists, dying, .. } = placed;
        let elements: Vec<u32> =
            names.iter().map(|name| self.add_element(name.root, name.of(bytes))).collect();
        let element = |spot: Spot| match elements.get(spot.number()) {
            Some(number) if spot.is_fresh() => Spot::element(*number, false),
            _ => spot,
        };
        let lists: Vec<u32> = lists
            .into_iter()
            .map(|list| self.add_list(List { element: element(list.element), ..list }))
            .collect();
        let known = |spot: Spot| match lists.get(spot.number()) {
            _ if !spot.is_list() => element(spot),
            Some(number) if spot.is_fresh() => Spot::list(*number, false),
            _ => spot,
        };
        for of_client in runs.chunk_by(|one, next| one.client == next.client) {
            let stretches = self.clients.entry(of_client[0].client).or_default();
            for run in of_client {
                let next = stretches.last().map_or(0, |last| last.end);
                if run.is_cosmetic && run.start == next && next < run.end {
                    self.cosmetic.add(ClockRange { client: run.client, start: run.start, end: run.end });
                }
                extend(stretches, run.start, run.end, Place { spot: known(run.place.spot), ..run.place });
            }
        }
        for of_client in dying.chunk_by(|one, next| one.client == next.client) {
            if let Some(stretches) = self.clients.get_mut(&of_client[0].client) {
                bury(stretches, of_client);
            }
        }
    }

    /// Letters and entries of all sequences, deleted ones included as far as their place is known.
    #[must_use]
    pub fn in_lists(&self) -> usize {
        self.in_lists
    }

    /// The roots in which these clocks stand, as far as they are known.
    #[must_use]
    pub fn roots_of(&self, ranges: &[ClockRange]) -> Roots {
        let mut roots = Roots::NONE;
        for (_, place) in ranges.iter().flat_map(|range| self.among(*range)) {
            if let Some(root) = self.root_of(place.spot) {
                roots.insert(root);
            }
        }
        roots
    }

    /// The elements in which these clocks stand, as far as they are known: each at least once.
    pub fn elements_of<'a>(&'a self, ranges: &'a [ClockRange]) -> impl Iterator<Item = (Root, &'a str)> {
        let mut last = Spot::NOWHERE;
        let element = |spot| self.list_at(spot).map_or(spot, |list| list.element);
        let spots =
            ranges.iter().flat_map(|range| self.among(*range)).map(move |(_, place)| element(place.spot));
        spots
            .filter(move |spot| std::mem::replace(&mut last, *spot) != *spot)
            .filter_map(|spot| self.named(spot))
    }

    /// Those of these clocks that are known to stand in another root. Collected clocks stand in none.
    #[must_use]
    pub fn parts_outside(&self, ranges: &[ClockRange], root: Root) -> Vec<ClockRange> {
        let mut parts: Vec<ClockRange> = Vec::new();
        for (part, place) in ranges.iter().flat_map(|range| self.among(*range)) {
            if self.root_of(place.spot).is_none_or(|other| other == root) {
                continue;
            }
            match parts.last_mut() {
                Some(last) if last.client == part.client && last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }

    /// Bytes that the index holds on the heap, roughly. Costs in proportion to the clients.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let of_client = |stretches: &Vec<Stretch>| {
            size_of::<(ClientId, Vec<Stretch>)>() + stretches.capacity() * size_of::<Stretch>()
        };
        // A hash map has a byte beside each entry, and may be half empty.
        let by_key = self.elements.len() * 2 * (size_of::<(Arc<str>, u32)>() + 1);
        let by_parent = self.lists.len() * 2 * (size_of::<((ClientId, u32), u32)>() + 1);
        self.clients.values().map(of_client).sum::<usize>()
            + self.cosmetic.heap_bytes()
            + self.elements.capacity() * size_of::<Element>()
            + self.elements.len() * 2 * size_of::<usize>()
            + self.key_bytes
            + self.lists.capacity() * size_of::<List>()
            + by_key
            + by_parent
    }

    /// Where one clock stands, if it is known.
    pub(super) fn of(&self, client: ClientId, clock: u32) -> Option<Place> {
        let stretches = self.clients.get(&client)?;
        // Most updates build on what was written last.
        if stretches.last().is_none_or(|last| last.end <= clock) {
            return None;
        }
        let at = stretches.partition_point(|stretch| stretch.end <= clock);
        stretches.get(at).map(|stretch| stretch.place)
    }

    /// One past the last clock that is known.
    pub(super) fn end_of(&self, client: ClientId) -> u32 {
        self.clients.get(&client).and_then(|stretches| stretches.last()).map_or(0, |last| last.end)
    }

    /// The known clocks of a range, by the places where they stand.
    pub(super) fn among(&self, range: ClockRange) -> impl Iterator<Item = (ClockRange, Place)> {
        let stretches = self.clients.get(&range.client).map_or(&[][..], |stretches| &stretches[..]);
        let first = stretches.partition_point(|stretch| stretch.end <= range.start);
        let mut start = range.start;
        stretches[first..].iter().map_while(move |stretch| {
            let part = ClockRange { client: range.client, start, end: stretch.end.min(range.end) };
            start = part.end;
            (part.start < part.end).then_some((part, stretch.place))
        })
    }

    /// Whether there are types among these clocks, or clocks that are not known.
    pub(super) fn may_hold_types(&self, range: ClockRange) -> bool {
        let Some(stretches) = self.clients.get(&range.client) else { return true };
        let first = stretches.partition_point(|stretch| stretch.end <= range.start);
        for stretch in &stretches[first..] {
            if stretch.place.kind == Kind::Type {
                return true;
            }
            if range.end <= stretch.end {
                return false;
            }
        }
        true
    }

    /// The print of the map below this item.
    pub(super) fn print(&self, (client, clock): (ClientId, u32)) -> u16 {
        // Two rounds of multiplying and folding, each by a number that is not known.
        let mixed = (client.get() ^ self.secret).wrapping_mul(self.secret.rotate_left(32) | 1);
        let mixed = (mixed ^ (mixed >> 32) ^ u64::from(clock)).wrapping_mul(self.secret | 1);
        (mixed >> 48) as u16
    }

    /// The number of an element, if it is known.
    pub(super) fn element(&self, root: Root, key: &str) -> Option<u32> {
        self.by_key[root as usize].get(key).copied()
    }

    /// The number of the sequence below this item, if it is known.
    pub(super) fn list(&self, parent: (ClientId, u32)) -> Option<u32> {
        if self.lists.is_empty() { None } else { self.by_parent.get(&parent).copied() }
    }

    /// The sequence that stands behind a spot, unless that is fresh.
    pub(super) fn list_at(&self, spot: Spot) -> Option<&List> {
        if spot.is_list() && !spot.is_fresh() { self.lists.get(spot.number()) } else { None }
    }

    /// The element of a spot that is not fresh.
    pub(super) fn named(&self, spot: Spot) -> Option<(Root, &str)> {
        self.element_at(spot).map(|element| (element.root, &*element.key))
    }

    /// The root of a spot that is not fresh.
    pub(super) fn root_of(&self, spot: Spot) -> Option<Root> {
        self.element_at(spot).map(|element| element.root)
    }

    fn element_at(&self, spot: Spot) -> Option<&Element> {
        let spot = self.list_at(spot).map_or(spot, |list| list.element);
        if spot.is_nowhere() || spot.is_list() || spot.is_fresh() {
            return None;
        }
        self.elements.get(spot.number())
    }

    /// The number of an element, known or not. It is asked for what was not known a moment ago.
    fn add_element(&mut self, root: Root, key: &str) -> u32 {
        let number = numbered(self.elements.len());
        match self.by_key[root as usize].entry(Arc::from(key)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.key_bytes += key.len();
                self.elements.push(Element { root, key: Arc::clone(new.key()) });
                *new.insert(number)
            }
        }
    }

    fn add_list(&mut self, list: List) -> u32 {
        let number = numbered(self.lists.len());
        let lists = &mut self.lists;
        *self.by_parent.entry(list.parent).or_insert_with(|| {
            lists.push(list);
            number
        })
    }
}

/// A document has far fewer elements and sequences than 2^30: each has been written in some bytes of it.
fn numbered(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX) & (Spot::FRESH - 1)
}

/// The clocks up to `end` that are not known yet stand in this place. Nothing is noted that would leave a gap.
fn extend(stretches: &mut Vec<Stretch>, start: u32, end: u32, place: Place) {
    let known = stretches.last().map_or(0, |last| last.end);
    if end <= known || known < start {
        return;
    }
    match stretches.last_mut() {
        Some(last) if last.place == place => last.end = end,
        _ => stretches.push(Stretch { end, place }),
    }
}

/// The types among these clocks of one client are gone.
fn bury(stretches: &mut Vec<Stretch>, ranges: &[ClockRange]) {
    if ranges.len() <= BURIED_SINGLY {
        for range in ranges {
            bury_one(stretches, range);
        }
        return;
    }
    let mut buried = Vec::with_capacity(stretches.len());
    let (mut from, mut next) = (0, 0);
    for stretch in stretches.iter() {
        while from < stretch.end {
            while ranges.get(next).is_some_and(|range| range.end <= from) {
                next += 1;
            }
            let (end, is_gone) = match ranges.get(next) {
                Some(range) if range.start <= from => (range.end.min(stretch.end), true),
                Some(range) => (range.start.min(stretch.end), false),
                None => (stretch.end, false),
            };
            let place = if is_gone { stretch.place.gone() } else { stretch.place };
            extend(&mut buried, from, end, place);
            from = end;
        }
    }
    *stretches = buried;
}

fn bury_one(stretches: &mut Vec<Stretch>, range: &ClockRange) {
    let mut at = stretches.partition_point(|stretch| stretch.end <= range.start);
    let mut start = if at == 0 { 0 } else { stretches[at - 1].end };
    while let Some(stretch) = stretches.get(at).copied() {
        if range.end <= start {
            return;
        }
        if stretch.place.kind == Kind::Type {
            if start < range.start {
                stretches.insert(at, Stretch { end: range.start, ..stretch });
                at += 1;
            }
            let end = range.end.min(stretch.end);
            if end < stretch.end {
                stretches.insert(at, Stretch { end, ..stretch });
            }
            stretches[at].place = stretch.place.gone();
        }
        start = stretches[at].end;
        at += 1;
    }
}

impl Place {
    /// What remains of it when it is deleted.
    fn gone(self) -> Self {
        if self.kind == Kind::Type { Self { kind: Kind::Gone, ..self } } else { self }
    }
}
