//! One architect's copy of a design and of everybody's presence, without any network.
//!
//! Formats: Yjs update v1 and state vector v1; y-protocols awareness: varUint count, then per entry varUint client id,
//! varUint clock, varString JSON, where `null` means gone.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Map, Value};
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, MapRef, OffsetKind, Options, ReadTxn, StateVector, Transact, TransactionMut, Update};

/// The roots of a design's document.
#[derive(Debug, Clone)]
pub struct Roots {
    pub nodes: MapRef,
    pub edges: MapRef,
    pub meta: MapRef,
    pub comments: MapRef,
}

/// A document, its author's client id, and the presence of all.
#[derive(Debug)]
pub struct Replica {
    doc: Doc,
    roots: Roots,
    presence: BTreeMap<u64, Announced>,
    /// What all updates so far reach, whether or not everything below has arrived.
    reached: StateVector,
}

/// What somebody last said about themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    pub clock: u64,
    /// `None`: gone.
    pub state: Option<Value>,
}

impl Replica {
    /// An empty document. `client_id` must be below 2^53 and used by nobody else.
    #[must_use]
    pub fn new(client_id: u64) -> Self {
        let mut options =
            Options::with_guid_and_client_id("replica".into(), yrs::block::ClientID::new(client_id));
        options.offset_kind = OffsetKind::Utf16;
        let doc = Doc::with_options(options);
        let roots = Roots {
            nodes: doc.get_or_insert_map("nodes"),
            edges: doc.get_or_insert_map("edges"),
            meta: doc.get_or_insert_map("meta"),
            comments: doc.get_or_insert_map("comments"),
        };
        Self { doc, roots, presence: BTreeMap::new(), reached: StateVector::default() }
    }

    #[must_use]
    pub fn client_id(&self) -> u64 {
        self.doc.client_id().get()
    }

    /// Runs one transaction and returns what it added as an update v1; `None` when it changed nothing.
    pub fn edit(&mut self, edit: impl FnOnce(&Roots, &mut TransactionMut<'_>)) -> Option<Bytes> {
        let mut txn = Transact::transact_mut(&self.doc);
        edit(&self.roots, &mut txn);
        let update = txn.encode_update_v1();
        drop(txn);
        // An update without structs and deletions: two zero counts.
        (update != [0, 0]).then(|| update.into())
    }

    /// Reads the document inside one transaction.
    pub fn read<R>(&self, read: impl FnOnce(&Roots, &yrs::Transaction<'_>) -> R) -> R {
        let txn = Transact::transact(&self.doc);
        read(&self.roots, &txn)
    }

    /// Applies somebody else's update.
    pub fn apply(&mut self, update: &[u8]) -> anyhow::Result<()> {
        let update = Update::decode_v1(update).context("the server's update does not decode")?;
        for (client, ranges) in update.insertions(true).iter() {
            self.reached.set_max(*client, ranges.iter().map(|range| range.end).max().unwrap_or(0));
        }
        let mut txn = Transact::transact_mut(&self.doc);
        txn.apply_update(update).context("the server's update does not apply")
    }

    /// True while something that arrived builds on something that did not. yrs parks some of that as missing, and
    /// takes in a block above a hole in its author's clocks, which then only the state vector shows.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        let txn = Transact::transact(&self.doc);
        let have = txn.state_vector();
        txn.has_missing_updates() || self.reached.iter().any(|(client, clock)| have.get(client) < *clock)
    }

    #[must_use]
    pub fn state_vector(&self) -> StateVector {
        Transact::transact(&self.doc).state_vector()
    }

    /// Everything that this author wrote lies below it.
    #[must_use]
    pub fn own_clock(&self) -> u32 {
        self.state_vector().get(&self.doc.client_id())
    }

    #[must_use]
    pub fn state_vector_bytes(&self) -> Bytes {
        self.state_vector().encode_v1().into()
    }

    /// What a peer with this state vector lacks, deletions included.
    pub fn diff_since(&self, state_vector: &[u8]) -> anyhow::Result<Bytes> {
        let theirs =
            StateVector::decode_v1(state_vector).context("the peer's state vector does not decode")?;
        Ok(Transact::transact(&self.doc).encode_diff_v1(&theirs).into())
    }

    /// `{"nodes": {id: …}, "edges": {id: …}, "meta": {…}, "comments": {…}}`, numbers as JavaScript prints them.
    #[must_use]
    pub fn json(&self) -> Value {
        let txn = Transact::transact(&self.doc);
        let mut out = Map::new();
        for (name, root) in [
            ("nodes", &self.roots.nodes),
            ("edges", &self.roots.edges),
            ("meta", &self.roots.meta),
            ("comments", &self.roots.comments),
        ] {
            let value = serde_json::to_value(root.to_json(&txn)).unwrap_or(Value::Null);
            out.insert(name.into(), plain(value));
        }
        Value::Object(out)
    }

    /// Says something about oneself: a JSON object, or `None` to be gone. Returns the awareness update to send.
    pub fn announce(&mut self, state: Option<Value>) -> Bytes {
        let id = self.client_id();
        let clock = self.presence.get(&id).map_or(1, |before| before.clock + 1);
        self.presence.insert(id, Announced { clock, state });
        self.own_presence()
    }

    /// One's own state under a new clock, so that the others know it is still meant: after
    /// connecting and every 15 seconds.
    pub fn announce_again(&mut self) -> Bytes {
        let state = self.presence.get(&self.client_id()).and_then(|own| own.state.clone());
        self.announce(state)
    }

    /// One's own last word, as it answers a query.
    #[must_use]
    pub fn own_presence(&self) -> Bytes {
        let id = self.client_id();
        encode_awareness(self.presence.get(&id).map(|own| (id, own.clone())).as_slice())
    }

    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.presence.get(&self.client_id()).is_some_and(|own| own.state.is_some())
    }

    /// Takes in what others say. As y-protocols does it: the newer clock wins, and at one clock a removal. True: the
    /// others believe this client to be gone, and it should announce itself again.
    pub fn hear(&mut self, update: &[u8]) -> anyhow::Result<bool> {
        let mut is_doubted = false;
        for (id, heard) in decode_awareness(update)? {
            if id == self.client_id() {
                is_doubted |= heard.state.is_none() && self.is_announced();
                continue;
            }
            let news = self.presence.get(&id).is_none_or(|known| {
                known.clock < heard.clock
                    || (known.clock == heard.clock && heard.state.is_none() && known.state.is_some())
            });
            if news {
                self.presence.insert(id, heard);
            }
        }
        Ok(is_doubted)
    }

    /// The others who are here now, by client id.
    #[must_use]
    pub fn others(&self) -> BTreeMap<u64, Value> {
        let own = self.client_id();
        self.presence
            .iter()
            .filter(|(id, _)| **id != own)
            .filter_map(|(id, said)| Some((*id, said.state.clone()?)))
            .collect()
    }

    /// Forgets what others said, as a client does that lost its connection.
    pub fn forget_others(&mut self) {
        let own = self.client_id();
        for (id, said) in &mut self.presence {
            if *id != own {
                said.state = None;
            }
        }
    }
}

/// Integral floats become integers: JavaScript has one kind of number, and 100 and 100.0 are the same value of it.
#[must_use]
pub fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(plain_number(number)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        other => other,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and within 53 bits")]
fn plain_number(number: serde_json::Number) -> serde_json::Number {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= SAFE_MAX => {
            (float as i64).into()
        }
        _ => number,
    }
}

/// Writes an awareness update.
#[must_use]
pub fn encode_awareness(entries: &[(u64, Announced)]) -> Bytes {
    let mut out = Vec::with_capacity(64);
    write_var_uint(&mut out, entries.len() as u64);
    for (id, said) in entries {
        write_var_uint(&mut out, *id);
        write_var_uint(&mut out, said.clock);
        let json = said.state.as_ref().map_or_else(|| "null".to_owned(), Value::to_string);
        write_var_uint(&mut out, json.len() as u64);
        out.extend_from_slice(json.as_bytes());
    }
    out.into()
}

/// Reads an awareness update.
pub fn decode_awareness(mut bytes: &[u8]) -> anyhow::Result<Vec<(u64, Announced)>> {
    let count = read_var_uint(&mut bytes)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let id = read_var_uint(&mut bytes)?;
        let clock = read_var_uint(&mut bytes)?;
        let len = usize::try_from(read_var_uint(&mut bytes)?)?;
        let (json, rest) = bytes.split_at_checked(len).context("an awareness state is cut short")?;
        bytes = rest;
        let state: Value = serde_json::from_slice(json).context("an awareness state is not JSON")?;
        entries.push((id, Announced { clock, state: (!state.is_null()).then_some(state) }));
    }
    if !bytes.is_empty() {
        bail!("{} bytes after an awareness update", bytes.len());
    }
    Ok(entries)
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are what is meant")]
fn write_var_uint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_var_uint(bytes: &mut &[u8]) -> anyhow::Result<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first().context("a number is cut short")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Ok(value);
        }
    }
    bail!("a number of more than 63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use yrs::Map as _;

    #[test]
    fn two_replicas_exchange_edits_until_they_are_equal() {
        let (mut ann, mut ben) = (Replica::new(1), Replica::new(2));
        let first = ann.edit(|roots, txn| {
            roots.meta.insert(txn, "name", "Shop");
        });
        ben.apply(&first.expect("a change")).unwrap();
        ben.edit(|roots, txn| {
            roots.meta.insert(txn, "size", 3.0);
        });
        ann.apply(&ben.diff_since(&ann.state_vector_bytes()).unwrap()).unwrap();
        assert_eq!(ann.json(), ben.json());
        assert_eq!(ann.json()["meta"], json!({"name": "Shop", "size": 3}));
    }

    #[test]
    fn an_edit_that_changes_nothing_has_no_update() {
        let mut ann = Replica::new(1);
        assert_eq!(ann.edit(|_, _| {}), None);
    }

    #[test]
    fn a_gap_is_seen_until_it_is_filled() {
        let mut ann = Replica::new(1);
        let mut write = |key: &'static str| {
            ann.edit(|roots, txn| {
                roots.meta.insert(txn, key, true);
            })
            .expect("a change")
        };
        let (first, second) = (write("a"), write("b"));
        let mut ben = Replica::new(2);
        ben.apply(&second).unwrap();
        assert!(ben.has_gaps());
        ben.apply(&first).unwrap();
        assert!(!ben.has_gaps());
    }

    #[test]
    fn presence_is_heard_replaced_and_removed() {
        let (mut ann, mut ben) = (Replica::new(1), Replica::new(2));
        ben.hear(&ann.announce(Some(json!({"user": "Ann"})))).unwrap();
        assert_eq!(ben.others(), BTreeMap::from([(1, json!({"user": "Ann"}))]));
        let old = ann.own_presence();
        ben.hear(&ann.announce(Some(json!({"user": "Ann", "x": 1})))).unwrap();
        ben.hear(&old).unwrap();
        assert_eq!(ben.others()[&1]["x"], 1);
        let gone = encode_awareness(&[(1, Announced { clock: 2, state: None })]);
        assert!(ann.hear(&gone).unwrap(), "somebody thinks that Ann is gone");
        ben.hear(&gone).unwrap();
        assert!(ben.others().is_empty());
        ben.hear(&ann.announce_again()).unwrap();
        assert_eq!(ben.others()[&1]["x"], 1);
        ben.hear(&ann.announce(None)).unwrap();
        assert!(ben.others().is_empty());
        assert!(!ann.hear(&gone).unwrap(), "so it is");
    }

    #[test]
    fn awareness_that_is_cut_short_or_too_long_is_an_error() {
        let whole = encode_awareness(&[(1 << 40, Announced { clock: 300, state: Some(json!({"é": 1})) })]);
        assert_eq!(decode_awareness(&whole).unwrap().len(), 1);
        assert!((0..whole.len()).all(|cut| decode_awareness(&whole[..cut]).is_err()));
        assert!(decode_awareness(&[&whole[..], &[0]].concat()).is_err());
    }
}
