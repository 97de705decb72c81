//! Whether the structs of one update can be applied one after the other, and how deep its shared types are nested.
//!
//! Two clients whose structs wait for each other's can never be applied: yrs would park them and the document would
//! wait for ever. And the depth of a type is known only once its parent's is, which may stand anywhere in the
//! update. Both follow from walking the structs in an order in which each comes after what it builds on. The walk
//! keeps its own stack; each section is on it at most once.

use super::layout::{Anchor, How, Kind, Layout, Name, OUTSIDE};
use super::{Refusal, malformed};
use crate::ids::ClientId;
use crate::room::ClockRange;

/// The depth of a type that is not in the update: right below a root. That is the least that it can be; where it
/// really lies is asked later, of the index beside the document ([`super::Scan::place`]).
const DEPTH_OUTSIDE: u8 = 1;

/// Something that an item builds on.
#[derive(Debug, Clone, Copy)]
struct Dependency {
    client: ClientId,
    clock: u32,
}

#[derive(Debug, Clone, Copy)]
struct Struct {
    clock: u32,
    /// Its first dependency, or its name if it stands in a root.
    first: u32,
    /// Its run in the layout, once it has been walked.
    run: u32,
    how: How,
    kind: Kind,
    /// How deep the type that holds it is: 0 for a root. Known only once the struct has been walked.
    parent_depth: u8,
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
    names: Vec<Name>,
}

/// The limits of an update keep all of these numbers far below 2^32.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(OUTSIDE)
}

impl Order {
    /// The structs that follow, this many, belong to `client`, from `start` on.
    pub(super) fn begin(&mut self, client: ClientId, start: u32) {
        let first = self.structs.len();
        let section =
            Section { client, start, end: start, first, after: first, next: first, on_stack: false };
        self.sections.push(section);
    }

    /// Adds a struct. What it builds on has been named just before, or its name if it stands in a root.
    pub(super) fn add(&mut self, clock: u32, how: How, kind: Kind) {
        let first = match how {
            How::InRoot | How::InRootList => number(self.names.len()).wrapping_sub(1),
            _ => number(self.dependencies.len()).wrapping_sub(number(how.anchors())),
        };
        self.structs.push(Struct { clock, first, run: OUTSIDE, how, kind, parent_depth: 0 });
    }

    /// The struct that is added next builds on this.
    pub(super) fn depend(&mut self, (client, clock): (ClientId, u32)) {
        self.dependencies.push(Dependency { client, clock });
    }

    /// The struct that is added next stands under this name in a root.
    pub(super) fn name(&mut self, name: Name) {
        self.names.push(name);
    }

    /// The section ends before `end`.
    pub(super) fn finish(&mut self, end: u32) {
        if let Some(section) = self.sections.last_mut() {
            section.end = end;
            section.after = self.structs.len();
        }
    }

    /// Fails if a client stands twice, if structs wait for each other, if types are nested more than `depth_max` deep,
    /// or if a value is to hold items. Returns the clocks of each client, sorted, and how the structs stand.
    pub(super) fn check(mut self, depth_max: usize) -> Result<(Vec<ClockRange>, Layout), Refusal> {
        self.sections.sort_unstable_by_key(|section| section.client);
        if self.sections.windows(2).any(|two| two[0].client == two[1].client) {
            return Err(malformed("a client stands twice in an update"));
        }
        let mut layout = Layout { names: std::mem::take(&mut self.names), ..Layout::default() };
        // (section, the struct up to which it is to be walked)
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for root in 0..self.sections.len() {
            let mut top = Some((root, self.sections[root].after));
            while let Some((section, until)) = top {
                let next = self.sections[section].next;
                if until <= next {
                    self.sections[section].on_stack = false;
                    top = stack.pop();
                } else if let Some((other, index)) = self.missing(next) {
                    self.sections[section].on_stack = true;
                    if self.sections[other].on_stack {
                        return Err(malformed("items that wait for each other"));
                    }
                    stack.push((section, until));
                    top = Some((other, index + 1));
                } else {
                    self.walk(section, next, depth_max, &mut layout)?;
                    self.sections[section].next += 1;
                }
            }
        }
        layout.shrink();
        let range =
            |section: &Section| ClockRange { client: section.client, start: section.start, end: section.end };
        Ok((self.sections.iter().map(range).collect(), layout))
    }

    /// The first thing that the struct builds on and that is in the update, but has not been walked.
    fn missing(&self, at: usize) -> Option<(usize, usize)> {
        if self.sections.len() == 1 {
            return None; // nothing builds on a later clock of its own client
        }
        self.of(&self.structs[at])
            .iter()
            .filter_map(|dependency| self.find(dependency))
            .find(|(section, index)| self.sections[*section].next <= *index)
    }

    /// Settles how the struct stands; everything that it builds on has been walked.
    fn walk(
        &mut self,
        section: usize,
        at: usize,
        depth_max: usize,
        layout: &mut Layout,
    ) -> Result<(), Refusal> {
        let one = self.structs[at];
        let is_in_parent = matches!(one.how, How::InMap | How::InList);
        let mut depth = 0;
        let mut anchors = [Anchor::NOTHING; 2];
        let dependencies = self.of(&one);
        for (anchor, dependency) in anchors.iter_mut().zip(dependencies) {
            let mut run = OUTSIDE;
            if let Some((_, index)) = self.find(dependency) {
                let found = &self.structs[index];
                if is_in_parent && found.kind == Kind::Value {
                    return Err(malformed("an item inside of a value"));
                }
                depth = depth.max(found.parent_depth + u8::from(is_in_parent));
                run = found.run;
            } else if is_in_parent {
                depth = depth.max(DEPTH_OUTSIDE);
            }
            *anchor = Anchor { client: dependency.client, clock: dependency.clock, run };
        }
        if depth_max < usize::from(depth) + usize::from(one.kind == Kind::Type) {
            return Err(Refusal::TooDeep);
        }
        let anchors = &anchors[..dependencies.len()];
        let Section { first, after, end, .. } = self.sections[section];
        let clocks = (one.clock, if at + 1 < after { self.structs[at + 1].clock } else { end });
        let before = if first < at { Some(self.structs[at - 1].run) } else { None };
        let run = layout.add(before, section, clocks, (one.how, one.kind, one.first), anchors);
        let walked = &mut self.structs[at];
        (walked.parent_depth, walked.run) = (depth, run);
        Ok(())
    }

    fn of(&self, one: &Struct) -> &[Dependency] {
        let first = one.first as usize;
        match one.how.anchors() {
            0 => &[],
            count => &self.dependencies[first..first + count],
        }
    }

    /// The section and the struct that hold what is named, if it is in the update.
    fn find(&self, dependency: &Dependency) -> Option<(usize, usize)> {
        let at = match &self.sections[..] {
            [only] if only.client == dependency.client => 0,
            [_] => return None,
            many => many.binary_search_by_key(&dependency.client, |section| section.client).ok()?,
        };
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
