//! Update v1 bytes and their like, written by hand: whatever an encoder would never write.
//!
//! The format is that of Yjs (`UpdateEncoder.js`, `structs/*.js`, `DeleteSet.js`): for each client the number of its
//! structs, its id, the clock of the first and the structs; then for each client the ranges that are deleted.

use bytes::Bytes;

/// Content kinds; the low five bits of a struct's first byte.
pub(super) const DELETED: u8 = 1;
pub(super) const JSON: u8 = 2;
pub(super) const BINARY: u8 = 3;
pub(super) const STRING: u8 = 4;
pub(super) const EMBED: u8 = 5;
pub(super) const FORMAT: u8 = 6;
pub(super) const TYPE: u8 = 7;
pub(super) const ANY: u8 = 8;
pub(super) const SUBDOCUMENT: u8 = 9;
pub(super) const SKIP: u8 = 10;

/// Flags of that byte: a key follows, a right and a left neighbour follow.
const KEY: u8 = 0x20;
const RIGHT: u8 = 0x40;
const LEFT: u8 = 0x80;

/// Kinds of shared types: the content behind [`TYPE`].
pub(super) const ARRAY: &[u8] = &[0];
pub(super) const MAP: &[u8] = &[1];
pub(super) const TEXT: &[u8] = &[2];
/// One value: null.
pub(super) const NULL: &[u8] = &[1, 126];

/// Client and clock.
pub(super) type Id = (u64, u64);

/// lib0's unsigned integer of variable length.
pub(super) fn number(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while 0x7F < number {
        out.push(u8::try_from(number & 0x7F).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
    out
}

pub(super) fn numbers(all: &[u64]) -> Vec<u8> {
    all.iter().copied().flat_map(number).collect()
}

/// Bytes behind their length.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len() as u64)[..], bytes].concat()
}

/// An item under a key of a root.
pub(super) fn in_root(root: &str, key: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[KEY | kind, 1][..], &sized(root.as_bytes()), &sized(key.as_bytes()), content].concat()
}

/// An item in the list of a root.
pub(super) fn in_root_list(root: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 1][..], &sized(root.as_bytes()), content].concat()
}

/// An item under a key of the type `of`.
pub(super) fn in_map(of: Id, key: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[KEY | kind, 0][..], &numbers(&[of.0, of.1]), &sized(key.as_bytes()), content].concat()
}

/// An item in the list of the type `of`.
pub(super) fn in_list(of: Id, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &numbers(&[of.0, of.1]), content].concat()
}

/// An item behind another.
pub(super) fn behind(left: Id, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[LEFT | kind][..], &numbers(&[left.0, left.1]), content].concat()
}

/// An item before another.
pub(super) fn before(right: Id, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[RIGHT | kind][..], &numbers(&[right.0, right.1]), content].concat()
}

/// An item between two others.
pub(super) fn between(left: Id, right: Id, kind: u8, content: &[u8]) -> Vec<u8> {
    [&[LEFT | RIGHT | kind][..], &numbers(&[left.0, left.1, right.0, right.1]), content].concat()
}

/// A collected struct of this length.
pub(super) fn collected(len: u64) -> Vec<u8> {
    [&[0][..], &number(len)].concat()
}

/// A struct that leaves clocks out.
pub(super) fn skip(len: u64) -> Vec<u8> {
    [&[SKIP][..], &number(len)].concat()
}

/// An `Any` of arrays inside arrays, or of maps inside maps, as the content of one item.
pub(super) fn nested(depth: usize, open: &[u8]) -> Vec<u8> {
    [&[1][..], &open.repeat(depth), &[126]].concat()
}

/// What nests: one array of one value, one map with the empty key.
pub(super) const OPEN_ARRAY: &[u8] = &[117, 1];
pub(super) const OPEN_MAP: &[u8] = &[118, 1, 0];

/// An update, section by section.
#[derive(Debug, Default, Clone)]
pub(super) struct Update {
    sections: Vec<u8>,
    clients: u64,
    deletes: Vec<u8>,
    deleting: u64,
}

impl Update {
    /// Structs of one client from `clock` on.
    pub(super) fn of(client: u64, clock: u64, structs: &[Vec<u8>]) -> Self {
        Self::default().and(client, clock, structs)
    }

    pub(super) fn and(mut self, client: u64, clock: u64, structs: &[Vec<u8>]) -> Self {
        self.clients += 1;
        self.sections.extend(numbers(&[structs.len() as u64, client, clock]));
        self.sections.extend(structs.concat());
        self
    }

    /// Nothing but deletions: for each range its start and its length.
    pub(super) fn deleting(client: u64, ranges: &[(u64, u64)]) -> Self {
        Self::default().and_delete(client, ranges)
    }

    pub(super) fn and_delete(mut self, client: u64, ranges: &[(u64, u64)]) -> Self {
        self.deleting += 1;
        self.deletes.extend(numbers(&[client, ranges.len() as u64]));
        for (start, len) in ranges {
            self.deletes.extend(numbers(&[*start, *len]));
        }
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [&number(self.clients)[..], &self.sections, &number(self.deleting), &self.deletes].concat()
    }
}

/// Protocol messages: update, answer to a question, question, presence.
pub(super) fn edit(update: &[u8]) -> Bytes {
    [&[0, 2][..], &sized(update)].concat().into()
}

pub(super) fn answer(update: &[u8]) -> Bytes {
    [&[0, 1][..], &sized(update)].concat().into()
}

pub(super) fn question(state_vector: &[u8]) -> Bytes {
    [&[0, 0][..], &sized(state_vector)].concat().into()
}

pub(super) fn presence(update: &[u8]) -> Bytes {
    [&[1][..], &sized(update)].concat().into()
}

/// Entries of an awareness update: client, clock, state as text.
pub(super) fn presence_of(entries: &[(u64, u64, &str)]) -> Bytes {
    let entry = |(client, clock, state): &(u64, u64, &str)| {
        [numbers(&[*client, *clock]), sized(state.as_bytes())].concat()
    };
    let entries: Vec<Vec<u8>> = entries.iter().map(entry).collect();
    presence(&[number(entries.len() as u64), entries.concat()].concat())
}
