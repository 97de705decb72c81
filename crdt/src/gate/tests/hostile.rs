//! Updates that no client would write, made of everything that the format can say. Whatever passes, yrs applies, the
//! index knows where it stands, and a document that is loaded anew is the same document.

use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, ReadTxn, StateVector, Transact, Update};

use super::places::{from, indexed, send, types};
use super::traps::{Bytes, ID, ROOT};
use super::{Dice, clock_of, clocks, doc};
use crate::gate::{Places, Refusal, Verdict, scan_update};
use crate::ids::ClientId;
use crate::limits::UPDATE_BYTES_MAX;
use crate::schema::Root;

const CLIENTS: usize = 4;

struct Writer<'a> {
    dice: &'a mut Dice,
    state: &'a StateVector,
    /// The client that writes, and the clock that comes next.
    client: u64,
    at: u64,
}

impl Writer<'_> {
    fn roll(&mut self, below: usize) -> u64 {
        self.dice.roll(below) as u64
    }

    fn known(&self, client: u64) -> u64 {
        let known = u64::from(clock_of(self.state, ClientId::new(client)));
        if client == self.client { known.max(self.at) } else { known }
    }

    /// Some clock of somebody, if there is one.
    fn id(&mut self) -> Option<(u64, u64)> {
        let client = 1 + self.roll(CLIENTS);
        let known = if client == self.client { self.at } else { self.known(client) };
        // Half of the time one of the last, so that things meet.
        let recent = if self.roll(2) == 0 { known } else { known.min(4) };
        (0 < known).then(|| (client, known - 1 - self.roll(usize::try_from(recent).unwrap())))
    }

    /// A struct; the clocks that it takes.
    fn one(&mut self, bytes: Bytes) -> (Bytes, u64) {
        let (content, len) = match self.roll(9) {
            0 => {
                let len = 1 + self.roll(2);
                return (bytes.n(&[0, len]), len);
            }
            1 => (Bytes::default().n(&[1]).n(&[2]), 2),
            2 => (Bytes::default().n(&[4]).s("ab"), 2),
            3 => (Bytes::default().n(&[8]).raw(&[2, 126, 120]), 2),
            4 => (Bytes::default().n(&[8]).raw(&[1, 121]), 1),
            _ => (Bytes::default().n(&[7]).n(&[self.roll(3)]), 1),
        };
        let (kind, content) = (content.0[0], &content.0[1..]);
        let key = ["a", "b"][self.dice.roll(2)];
        let stand = (self.roll(6), self.id(), self.id());
        let item = match stand {
            (0, Some((client, clock)), _) => bytes.raw(&[0x20 | kind]).n(&[ID, client, clock]).s(key),
            (1, Some((client, clock)), _) => bytes.raw(&[kind]).n(&[ID, client, clock]),
            (2, Some((client, clock)), _) => bytes.raw(&[0x80 | kind]).n(&[client, clock]),
            (3, _, Some((client, clock))) => bytes.raw(&[0x40 | kind]).n(&[client, clock]),
            (4, Some(left), Some(right)) => bytes.raw(&[0xc0 | kind]).n(&[left.0, left.1, right.0, right.1]),
            _ => bytes.raw(&[0x20 | kind]).n(&[ROOT]).s(Root::ALL[self.dice.roll(4)].name()).s(key),
        };
        (item.raw(content), len)
    }

    fn update(&mut self) -> Vec<u8> {
        let known = self.known(self.client);
        let start = known - self.roll(3).min(known);
        self.at = start;
        let mut structs = Bytes::default();
        let count = 1 + self.roll(3);
        for _ in 0..count {
            let (bytes, len) = self.one(structs);
            structs = bytes;
            self.at += len;
        }
        let update = Bytes::default().n(&[1, count, self.client, start]).raw(&structs.0);
        match (self.roll(4), self.id()) {
            (0, Some((client, clock))) => update.n(&[1, client, 1, clock, 1]).0,
            _ => update.n(&[0]).0,
        }
    }
}

/// Everything in the maps of a document. What stands in lists and texts is put in order: where an update lies about
/// who stood beside whom in a list, its order is not the same for everybody, and no gate can tell.
fn json(doc: &Doc) -> Vec<Any> {
    let maps = Root::ALL.map(|root| doc.get_or_insert_map(root.name()));
    let txn = doc.transact();
    maps.map(|map| sorted(map.to_json(&txn))).into()
}

fn sorted(value: Any) -> Any {
    match value {
        Any::String(text) => {
            let mut letters: Vec<char> = text.chars().collect();
            letters.sort_unstable();
            Any::from(letters.into_iter().collect::<String>())
        }
        Any::Array(values) => {
            let mut values: Vec<Any> = values.iter().cloned().map(sorted).collect();
            values.sort_by_key(ToString::to_string);
            Any::from(values)
        }
        Any::Map(entries) => {
            let of = |(key, value): (&String, &Any)| (key.clone(), sorted(value.clone()));
            Any::from(entries.iter().map(of).collect::<std::collections::HashMap<_, _>>())
        }
        other => other,
    }
}

fn apply(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
    assert!(!doc.transact().has_missing_updates());
}

fn whole(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

// R-SYNC-7
#[test]
fn whatever_passes_reads_the_same_when_it_is_loaded_anew() {
    let mut dice = Dice(0xbad5_79b9_7f4a_7c15);
    let (mut applied, mut refused, mut overlapping) = (0_u32, 0_u32, 0_u32);
    let mut reasons = std::collections::BTreeMap::new();
    for _ in 0..200 {
        let room = doc(99);
        let mut places = Places::new();
        for _ in 0..60 {
            let state = room.transact().state_vector();
            let client = 1 + dice.roll(CLIENTS) as u64;
            let update = Writer { dice: &mut dice, state: &state, client, at: 0 }.update();
            let verdict = match scan_update(&update, UPDATE_BYTES_MAX) {
                Ok(scan) => scan.judge(&update, clocks(&state), &places),
                Err(refusal) => Verdict::Refused(refusal),
            };
            let stood = match verdict {
                Verdict::Clean(stood) => stood,
                Verdict::Gap { .. } => panic!("everything is at hand"),
                Verdict::Refused(refusal) => {
                    *reasons.entry(refusal.to_string()).or_insert(0) += 1;
                    refused += 1;
                    continue;
                }
            };
            applied += 1;
            overlapping += u32::from(stood.overlaps);
            places.note(stood, &update);
            apply(&room, &update);
            for ((client, clock), at) in types(&room) {
                let ours = indexed(&places, client, clock).unwrap();
                assert!((ours.0, &ours.1) == (at.0, &at.1) && at.2 <= ours.2, "{client} at {clock}");
            }
            let again = doc(98);
            apply(&again, &whole(&room));
            assert_eq!(json(&again), json(&room), "after {update:?}");
        }
    }
    println!("{applied} applied, {overlapping} of them overlapping, {refused} refused: {reasons:#?}");
    assert!(2_000 < applied && 300 < overlapping && 2_000 < refused);
    // In a value, apart, known elsewhere, and of several clocks; circles and depth are for other tests.
    assert!(4 <= reasons.len());
}

/// yrs splits such a value where somebody writes behind its first half, and keeps that half beyond the life of its map.
#[test]
fn values_of_several_clocks_stand_under_a_key_only_when_they_are_deleted() {
    let wide = Err(Refusal::Malformed { what: "a value of several clocks under a key" });
    let map = || from(1, 0, 1).item(7, "nodes").n(&[1]);
    for (kind, content) in [(8_u8, &[2, 126, 126][..]), (4, &[2, b'a', b'b'])] {
        let mut places = Places::new();
        send(&mut places, map()).unwrap();
        let value = from(2, 0, 1).raw(&[0x20 | kind]).n(&[ID, 1, 0]).s("k").raw(content);
        assert_eq!(send(&mut places, value.clone()), wide);
        let behind = from(2, 0, 2).n(&[0x28, ID, 1, 0]).s("k").raw(&[1, 126]);
        let behind = behind.raw(&[0x80 | kind]).n(&[2, 0]).raw(content);
        assert_eq!(send(&mut places, behind), wide);
        // Clients merge what they have overwritten, if they keep it for undo. The last clock may live.
        for (len, is_fine) in [(2, true), (1, true), (0, false)] {
            let mut places = places.clone();
            let deletes =
                if len == 0 { Bytes::default().n(&[0]) } else { Bytes::default().n(&[1, 2, 1, 0, len]) };
            let update = value.clone().raw(&deletes.0).0;
            let judged = scan_update(&update, UPDATE_BYTES_MAX).unwrap().place(&update, &places);
            assert_eq!(judged.is_ok(), is_fine, "{len} deleted");
            if let Ok(stood) = judged {
                places.note(stood, &update);
            }
        }
        // In a list everything goes.
        send(&mut places, from(2, 0, 1).raw(&[kind]).n(&[ID, 1, 0]).raw(content)).unwrap();
    }
}

/// What is known stands under a key of one map, and an update says that the rest of it stands in another map of the
/// same element, equally deep.
#[test]
fn the_rest_of_an_entry_stays_in_its_map() {
    let mut places = Places::new();
    let node = from(1, 0, 3).item(7, "nodes").n(&[1]);
    send(&mut places, node.map_in(1, 0).n(&[0x27, ID, 1, 0]).s("other").n(&[1])).unwrap();
    send(&mut places, from(2, 0, 1).n(&[0x21, ID, 1, 1]).s("k").n(&[1])).unwrap();
    let again = |map: u64| from(2, 0, 1).n(&[0x21, ID, 1, map]).s("k").n(&[2]);
    let elsewhere = Refusal::Malformed { what: "an item that is known to stand in another place" };
    assert_eq!(send(&mut places, again(2)), Err(elsewhere));
    send(&mut places, again(1)).unwrap();
}
