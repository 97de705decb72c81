//! Whether the structs of one update can be applied one after the other.
//!
//! Two clients whose structs wait for each other's can never be applied: yrs would park them and the document would
//! wait for ever. And where a struct stands is known only once it is known of what it builds on, which may stand
//! anywhere in the update. Both follow from walking the structs in an order in which each comes after what it builds
//! on. The walk keeps its own stack; each section is on it at most once.
//!
//! Most updates have one section only. Its structs build on earlier ones, so that they are settled as they are read.

use super::layout::{Anchor, Kind, Layout, OUTSIDE, Stand, numbered};
use super::{Refusal, malformed};
use crate::ids::ClientId;
use crate::room::ClockRange;

/// Runs that are made room for at once; the bytes say how many structs there are, but not how many runs.
const RUNS_EXPECTED: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Struct {
    clock: u32,
    /// Its run in the layout, once it has been walked.
    run: u32,
    stand: Stand,
    kind: Kind,
}

#[derive(Debug)]
struct Section {
    client: ClientId,
    start: u32,
    end: u32,
    /// Its structs, in the order of their clocks.
    first: usize,
    after: usize,
    /// The first struct that has not been walked.
    next: usize,
    on_stack: bool,
}

/// The structs of an update and what they build on. Filled section by section.
#[derive(Debug)]
pub(super) struct Order {
    layout: Layout,
    /// How deep types may be nested.
    depth_max: usize,
    /// The only section, if there is to be one only: its structs go straight into the layout.
    only: Option<ClockRange>,
    sections: Vec<Section>,
    structs: Vec<Struct>,
}

impl Order {
    pub(super) fn new(sections: usize, depth_max: usize) -> Self {
        let nothing = ClockRange { client: ClientId::new(0), start: 0, end: 0 };
        let only = if sections == 1 { Some(nothing) } else { None };
        Self { layout: Layout::default(), depth_max, only, sections: Vec::new(), structs: Vec::new() }
    }

    /// The structs that follow, this many, belong to `client`, from `start` on.
    pub(super) fn begin(&mut self, client: ClientId, start: u32, structs: usize) {
        if let Some(only) = &mut self.only {
            *only = ClockRange { client, start, end: start };
            self.layout.runs.reserve(structs.min(RUNS_EXPECTED));
            return;
        }
        let first = self.structs.len();
        let section =
            Section { client, start, end: start, first, after: first, next: first, on_stack: false };
        self.sections.push(section);
    }

    /// An item between two others.
    pub(super) fn between(&mut self, origin: (ClientId, u32), right: (ClientId, u32)) -> Stand {
        let found = |id| {
            let mut anchor = Anchor::new(id);
            self.find_run(&mut anchor);
            anchor
        };
        let (origin, right) = (found(origin), found(right));
        self.layout.between(origin, right)
    }

    /// The next struct of the section, up to `end`.
    pub(super) fn add(&mut self, end: u32, mut stand: Stand, kind: Kind) -> Result<(), Refusal> {
        if let Some(ClockRange { end: start, .. }) = self.only {
            if let Stand::InMap(one, _) | Stand::InList(one) | Stand::Behind(one) | Stand::Before(one) =
                &mut stand
            {
                self.find_run(one);
            }
            let before = self.layout.runs.len().checked_sub(1).map(numbered);
            self.layout.add(before, 0, (start, end), (stand, kind), self.depth_max)?;
            self.only = self.only.map(|only| ClockRange { end, ..only });
        } else if let Some(section) = self.sections.last_mut() {
            self.structs.push(Struct { clock: section.end, run: OUTSIDE, stand, kind });
            (section.end, section.after) = (end, self.structs.len());
        }
        Ok(())
    }

    /// Of the only section the runs are in the order of their clocks.
    fn find_run(&self, anchor: &mut Anchor) {
        if let Some(only) = self.only
            && only.client == anchor.client
            && only.start <= anchor.clock
        {
            let runs = &self.layout.runs;
            anchor.run = numbered(runs.partition_point(|run| run.end <= anchor.clock));
        }
    }

    /// Fails if a client stands twice, or if structs wait for each other; and as [`Layout::add`]. Returns the clocks of
    /// each client, sorted, and how the structs stand.
    pub(super) fn check(mut self) -> Result<(Vec<ClockRange>, Layout), Refusal> {
        if let Some(only) = self.only {
            self.layout.shrink();
            return Ok((vec![only], self.layout));
        }
        self.sections.sort_unstable_by_key(|section| section.client);
        if self.sections.windows(2).any(|two| two[0].client == two[1].client) {
            return Err(malformed("a client stands twice in an update"));
        }
        // (section, the struct up to which it is to be walked)
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for root in 0..self.sections.len() {
            stack.push((root, self.sections[root].after));
            self.sections[root].on_stack = true;
            while let Some(&(section, until)) = stack.last() {
                let next = self.sections[section].next;
                if until <= next {
                    self.sections[section].on_stack = false;
                    stack.pop();
                } else if let Some((other, index)) = self.missing(next) {
                    if self.sections[other].on_stack {
                        return Err(malformed("items that wait for each other"));
                    }
                    self.sections[other].on_stack = true;
                    stack.push((other, index + 1));
                } else {
                    self.walk(section, next)?;
                    self.sections[section].next += 1;
                }
            }
        }
        self.layout.shrink();
        let range =
            |section: &Section| ClockRange { client: section.client, start: section.start, end: section.end };
        Ok((self.sections.iter().map(range).collect(), self.layout))
    }

    /// The first thing that the struct builds on and that is in the update, but has not been walked.
    fn missing(&self, at: usize) -> Option<(usize, usize)> {
        self.anchors_of(self.structs[at].stand)
            .into_iter()
            .flatten()
            .filter_map(|anchor| self.find(&anchor))
            .find(|(section, index)| self.sections[*section].next <= *index)
    }

    /// Settles where the struct stands; everything that it builds on has been walked.
    fn walk(&mut self, section: usize, at: usize) -> Result<(), Refusal> {
        let one = self.structs[at];
        let found = |anchor: Anchor| match self.find(&anchor) {
            Some((_, index)) => Anchor { run: self.structs[index].run, ..anchor },
            None => anchor,
        };
        let stand = match one.stand {
            Stand::InMap(parent, is_cosmetic) => Stand::InMap(found(parent), is_cosmetic),
            Stand::InList(parent) => Stand::InList(found(parent)),
            Stand::Behind(origin) => Stand::Behind(found(origin)),
            Stand::Before(right) => Stand::Before(found(right)),
            Stand::Between(origin, right) => {
                let (origin, other) = (found(origin), found(self.layout.rights.of(right)));
                self.layout.rights.found(right, other);
                Stand::Between(origin, right)
            }
            known => known,
        };
        let Section { first, after, end, .. } = self.sections[section];
        let clocks = (one.clock, if at + 1 < after { self.structs[at + 1].clock } else { end });
        let before = if first < at { Some(self.structs[at - 1].run) } else { None };
        self.structs[at].run =
            self.layout.add(before, numbered(section), clocks, (stand, one.kind), self.depth_max)?;
        Ok(())
    }

    fn anchors_of(&self, stand: Stand) -> [Option<Anchor>; 2] {
        match stand {
            Stand::Nowhere | Stand::InRoot(_) | Stand::InRootList(_) => [None, None],
            Stand::InMap(one, _) | Stand::InList(one) | Stand::Behind(one) | Stand::Before(one) => {
                [Some(one), None]
            }
            Stand::Between(origin, right) => [Some(origin), Some(self.layout.rights.of(right))],
        }
    }

    /// The section and the struct that hold what is named, if it is in the update.
    fn find(&self, anchor: &Anchor) -> Option<(usize, usize)> {
        let at = self.sections.binary_search_by_key(&anchor.client, |section| section.client).ok()?;
        let section = &self.sections[at];
        if anchor.clock < section.start || section.end <= anchor.clock {
            return None;
        }
        let structs = &self.structs[section.first..section.after];
        // The first struct starts at the start of the section, so that at least one is not after the clock.
        let index = structs.partition_point(|one| one.clock <= anchor.clock);
        Some((at, section.first + index - 1))
    }
}
