//! Whether the structs of one update can be applied one after the other, and how deep its shared types are nested.
//!
//! Two clients whose structs wait for each other's can never be applied: yrs would park them and the document would
//! wait for ever. And the depth of a type is known only once its parent's is, which may stand anywhere in the
//! update. Both follow from walking the structs in an order in which each comes after what it builds on. The walk
//! keeps its own stack; each section is on it at most once.

use std::collections::HashMap;

use super::depths::{Anchor, Levels, OUTSIDE, Stands};
use super::{Refusal, malformed};
use crate::ids::ClientId;
use crate::limits::TYPE_DEPTH_MAX;

/// The depth of a type that is not in the update: right below a root. That is the least that it can be; where it
/// really lies is asked later, of the document ([`super::Scan::fits`]).
const DEPTH_OUTSIDE: u8 = 1;

/// Something that an item builds on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dependency {
    client: ClientId,
    clock: u32,
    is_parent: bool,
}

impl Dependency {
    /// An origin or a right origin, whose parent is the item's parent too.
    pub(super) const fn neighbour((client, clock): (ClientId, u32)) -> Self {
        Self { client, clock, is_parent: false }
    }

    /// The type that holds the item.
    pub(super) const fn parent((client, clock): (ClientId, u32)) -> Self {
        Self { client, clock, is_parent: true }
    }
}

/// What a struct is to the items that name it as their parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A shared type.
    Items,
    /// Deleted, collected or left out: it may have been a type, and what was in it is gone as well.
    Nothing,
    /// A value: nobody writes an item into it, and yrs fails half-way through an update that does.
    Itself,
}

#[derive(Debug, Clone, Copy)]
struct Struct {
    clock: u32,
    /// Its first dependency; the last one is before the first of the next struct.
    first: u32,
    holds: Holds,
    /// How deep the type that holds it is: 0 for a root. Known only once the struct has been walked.
    parent_depth: u8,
    in_root: bool,
    /// Its run among the levels, once it has been walked.
    run: u32,
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

/// The structs of an update and what they build on. Filled section by section, then checked once.
#[derive(Debug, Default)]
pub(super) struct Order {
    sections: Vec<Section>,
    structs: Vec<Struct>,
    dependencies: Vec<Dependency>,
}

impl Order {
    /// The structs that follow belong to `client`, from `start` on.
    pub(super) fn begin(&mut self, client: ClientId, start: u32) {
        let first = self.structs.len();
        let section =
            Section { client, start, end: start, first, after: first, next: first, on_stack: false };
        self.sections.push(section);
    }

    pub(super) fn add(&mut self, clock: u32, holds: Holds) {
        // The limits of an update keep the number of dependencies far below 2^32.
        let first = u32::try_from(self.dependencies.len()).unwrap_or(u32::MAX);
        self.structs.push(Struct { clock, first, holds, parent_depth: 0, in_root: false, run: OUTSIDE });
    }

    /// The struct added last builds on this.
    pub(super) fn depend(&mut self, dependency: Dependency) {
        self.dependencies.push(dependency);
    }

    /// The struct added last stands right below a root.
    pub(super) fn below_root(&mut self) {
        if let Some(last) = self.structs.last_mut() {
            last.in_root = true;
        }
    }

    /// The section ends before `end`.
    pub(super) fn finish(&mut self, end: u32) {
        if let Some(section) = self.sections.last_mut() {
            section.end = end;
            section.after = self.structs.len();
        }
    }

    /// Fails if structs wait for each other, if types are nested too deeply, or if a value is to hold items. Returns
    /// how deep the structs lie.
    pub(super) fn check(mut self) -> Result<Levels, Refusal> {
        let by_client: HashMap<ClientId, usize> =
            self.sections.iter().enumerate().map(|(at, section)| (section.client, at)).collect();
        let mut levels = Levels::new(self.sections.iter().map(|section| section.client).collect());
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
                } else if let Some((other, index)) = self.missing(next, &by_client) {
                    if self.sections[other].on_stack {
                        return Err(malformed("items that wait for each other"));
                    }
                    self.sections[other].on_stack = true;
                    stack.push((other, index + 1));
                } else {
                    self.walk(next, &by_client)?;
                    self.level(section, next, &by_client, &mut levels);
                    self.sections[section].next += 1;
                }
            }
        }
        levels.shrink();
        Ok(levels)
    }

    /// The first thing that the struct builds on and that is in the update, but has not been walked.
    fn missing(&self, at: usize, by_client: &HashMap<ClientId, usize>) -> Option<(usize, usize)> {
        self.of(at)
            .iter()
            .filter_map(|dependency| self.find(dependency, by_client))
            .find(|(section, index)| self.sections[*section].next <= *index)
    }

    /// Settles the depth at which the struct stands; everything that it builds on has been walked.
    fn walk(&mut self, at: usize, by_client: &HashMap<ClientId, usize>) -> Result<(), Refusal> {
        let mut depth = 0;
        for dependency in self.of(at) {
            if let Some((_, index)) = self.find(dependency, by_client) {
                let found = &self.structs[index];
                if dependency.is_parent && found.holds == Holds::Itself {
                    return Err(malformed("an item inside of a value"));
                }
                let held = if dependency.is_parent { found.parent_depth + 1 } else { found.parent_depth };
                depth = depth.max(held);
            } else if dependency.is_parent {
                depth = depth.max(DEPTH_OUTSIDE);
            }
        }
        self.structs[at].parent_depth = depth;
        let Struct { holds, parent_depth, .. } = self.structs[at];
        let is_type = holds == Holds::Items;
        if TYPE_DEPTH_MAX < usize::from(parent_depth) + usize::from(is_type) {
            return Err(Refusal::TooDeep);
        }
        Ok(())
    }

    /// Notes how deep the struct lies relative to what it builds on.
    fn level(
        &mut self,
        section: usize,
        at: usize,
        by_client: &HashMap<ClientId, usize>,
        levels: &mut Levels,
    ) {
        // An item has two neighbours at most.
        let nothing = Anchor { client: ClientId::new(0), clock: 0, run: OUTSIDE };
        let mut anchors = [nothing; 2];
        let mut count = 0;
        for (anchor, dependency) in anchors.iter_mut().zip(self.of(at)) {
            let run = self.find(dependency, by_client).map_or(OUTSIDE, |(_, index)| self.structs[index].run);
            *anchor = Anchor { client: dependency.client, clock: dependency.clock, run };
            count += 1;
        }
        let stands = match self.of(at).first() {
            Some(dependency) if dependency.is_parent => Stands::Below,
            Some(_) => Stands::Beside,
            None if self.structs[at].in_root => Stands::InRoot,
            None => Stands::Nowhere,
        };
        let Section { first, after, end, .. } = self.sections[section];
        let clocks = (self.structs[at].clock, if at + 1 < after { self.structs[at + 1].clock } else { end });
        let before = (first < at).then(|| self.structs[at - 1].run);
        let is_type = self.structs[at].holds == Holds::Items;
        self.structs[at].run = levels.add(before, section, clocks, (stands, &anchors[..count]), is_type);
    }

    fn of(&self, at: usize) -> &[Dependency] {
        let after = self.structs.get(at + 1).map_or(self.dependencies.len(), |next| next.first as usize);
        &self.dependencies[self.structs[at].first as usize..after]
    }

    /// The section and the struct that hold what is named, if it is in the update.
    fn find(&self, dependency: &Dependency, by_client: &HashMap<ClientId, usize>) -> Option<(usize, usize)> {
        let at = *by_client.get(&dependency.client)?;
        let section = &self.sections[at];
        if dependency.clock < section.start || section.end <= dependency.clock {
            return None;
        }
        let structs = &self.structs[section.first..section.after];
        // The first struct starts at the start of the section, so that at least one is not after the clock.
        let index = structs.partition_point(|one| one.clock <= dependency.clock);
        Some((at, section.first + index - 1))
    }
}
