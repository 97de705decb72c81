//! What only says how something is drawn: the keys of elements that no rule of the analysis ever looks at by themselves.
//!
//! An update that overwrites a value does not say under which key; it names the value before it. So the clocks that stand
//! under such keys are kept beside the index. What is not certain counts as meaning something: the difference is when a
//! design is looked at, never whether ([`Room`](crate::room::Room) settles after cosmetic changes as well, only later).

use std::collections::BTreeMap;
use std::mem::size_of;

use super::layout::{Anchor, Run, Stand};
use super::placed::{Placed, Placing};
use super::places::Place;
use crate::ids::ClientId;
use crate::room::ClockRange;
use crate::schema::Root;

/// How deep what stands under a key of an element is.
const IN_ELEMENT: u8 = 2;

/// The clocks under cosmetic keys, from start to end, ascending: eight bytes for each stretch of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cosmetic(BTreeMap<ClientId, Vec<(u32, u32)>>);

impl Cosmetic {
    /// Adds what stands behind all that is there.
    pub(super) fn add(&mut self, ClockRange { client, start, end }: ClockRange) {
        let ranges = self.0.entry(client).or_default();
        match ranges.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => ranges.push((start, end)),
        }
    }

    /// Whether all of these clocks are.
    pub(super) fn holds(&self, range: ClockRange) -> bool {
        let Some(ranges) = self.0.get(&range.client) else { return false };
        let at = ranges.partition_point(|(_, end)| *end <= range.start);
        ranges.get(at).is_some_and(|(start, end)| *start <= range.start && range.end <= *end)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let of_client = |ranges: &Vec<(u32, u32)>| {
            size_of::<(ClientId, Vec<(u32, u32)>)>() + ranges.capacity() * size_of::<(u32, u32)>()
        };
        self.0.values().map(of_client).sum()
    }
}

impl Placed {
    /// The update certainly changes nothing but how elements are drawn, and comments. One that repeats old deletions of
    /// anything else does not count as such.
    #[must_use]
    pub fn is_cosmetic(&self) -> bool {
        self.is_cosmetic
    }
}

impl Placing<'_> {
    /// Whether the run stands under a cosmetic key of an element: the key of what it stands behind, if it names none.
    pub(super) fn is_cosmetic(&self, run: &Run, place: Place) -> bool {
        match &run.stand {
            Stand::InMap(_, is_cosmetic) => *is_cosmetic && place.depth == IN_ELEMENT,
            Stand::Behind(Anchor { client, clock, run }) => {
                if self.places.end_of(*client) <= *clock {
                    return self.placed.runs.get(*run as usize).is_some_and(|run| run.is_cosmetic);
                }
                let origin = ClockRange { client: *client, start: *clock, end: clock + 1 };
                self.places.cosmetic.holds(origin)
            }
            _ => false,
        }
    }

    /// What the update itself brings, and deletes, has been looked at.
    pub(super) fn look_at_deletions(&mut self) {
        let is_cosmetic = |range: &ClockRange| {
            self.places.among(*range).all(|(part, Place { spot, .. })| {
                spot.is_nowhere()
                    || self.places.cosmetic.holds(part)
                    || self.places.root_of(spot) == Some(Root::Comments)
            })
        };
        self.placed.is_cosmetic = self.placed.is_cosmetic && self.scan.deletes.iter().all(is_cosmetic);
    }
}
