//! The document that the fuzzer starts from: small, but with everything in it that updates can meet.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use atlas_crdt::design::DesignDoc;
use atlas_crdt::ids::ClientId;
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use yrs::updates::decoder::Decode;
use yrs::{
    Array, ArrayPrelim, Doc, Map, MapPrelim, MapRef, OffsetKind, Options, ReadTxn, StateVector, Text,
    TextPrelim, Transact, Update,
};

use crate::judge::{Index, Verdict, judge};

/// The client of documents that only read.
pub const READER: ClientId = ClientId::new(99);
/// Who wrote the document. Builders also write under these, and under others.
pub const WRITERS: [u64; 3] = [1, 2, (1 << 53) - 1];

/// What builders of updates know about a document.
#[derive(Debug, Clone, Default)]
pub struct Clocks {
    /// Of each client: its next clock.
    pub next: BTreeMap<u64, u32>,
    /// Where shared types are, or may be.
    pub types: Vec<(u64, u32)>,
}

/// The document as one update, and what is known of it.
pub fn document() -> &'static (Vec<u8>, Clocks) {
    static DOCUMENT: OnceLock<(Vec<u8>, Clocks)> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let bytes = written();
        let mut clocks = Clocks::default();
        let doc = DesignDoc::load(READER, [&bytes[..]]).expect("it was written by yrs");
        for client in WRITERS {
            let next = doc.state().get(&yrs::ClientID::new(client));
            assert!(0 < next, "client {client} wrote nothing");
            clocks.next.insert(client, next);
        }
        // Maps, the text and the list: see `written`.
        clocks.types = vec![(1, 0), (1, 2), (1, 3), (2, 0), (2, 1), (WRITERS[2], 0)];
        (bytes, clocks)
    })
}

/// A fresh copy of it with its index.
#[must_use]
pub fn copy() -> (DesignDoc, Index) {
    let (bytes, _) = document();
    let mut doc = DesignDoc::new(READER);
    let mut index = Index::default();
    let Verdict::Clean { placed, .. } = judge(bytes, DOCUMENT_BYTES_MAX, &doc, &index) else {
        panic!("the gate turns the document away");
    };
    index.note(placed, bytes);
    doc.apply(&[bytes], false).expect("it was written by yrs");
    (doc, index)
}

/// A document of this client that counts as JavaScript does.
#[must_use]
pub fn editor(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    for root in atlas_crdt::schema::ROOTS {
        doc.get_or_insert_map(root);
    }
    doc
}

pub fn receive(doc: &Doc, update: &[u8]) {
    let update = Update::decode_v1(update).expect("yrs reads what yrs wrote");
    doc.transact_mut().apply_update(update).expect("yrs takes what yrs wrote");
}

#[must_use]
pub fn everything(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_diff_v1(&StateVector::default())
}

/// Three people: nested maps, overwritten keys, a text with wide characters, a list, deleted and collected elements,
/// and edits at the same time. One key to a map, since yrs writes several in any order.
fn written() -> Vec<u8> {
    let [ann, ben, eve] = WRITERS.map(editor);
    let root = |doc: &Doc, name: &str| -> MapRef { doc.get_or_insert_map(name) };
    {
        let nodes = root(&ann, "nodes");
        let mut txn = ann.transact_mut();
        let node: MapRef = nodes.insert(&mut txn, "a", MapPrelim::default()); // (1, 0)
        node.insert(&mut txn, "width", 100.0);
        let data: MapRef = node.insert(&mut txn, "data", MapPrelim::default()); // (1, 2)
        data.insert(&mut txn, "securityFlags", MapPrelim::default()); // (1, 3)
        node.insert(&mut txn, "width", 120.0);
        nodes.insert(&mut txn, "gone", MapPrelim::default());
    }
    receive(&ben, &everything(&ann));
    {
        let comments = root(&ben, "comments");
        let mut txn = ben.transact_mut();
        let text = comments.insert(&mut txn, "t", TextPrelim::default()); // (2, 0)
        let list = comments.insert(&mut txn, "l", ArrayPrelim::default()); // (2, 1)
        text.insert(&mut txn, 0, "a🔑b𝄞c");
        list.insert_range(&mut txn, 0, [1_i64, 2, 3]);
        text.remove_range(&mut txn, 3, 1);
        list.remove(&mut txn, 1);
    }
    {
        let nodes = root(&ann, "nodes");
        nodes.remove(&mut ann.transact_mut(), "gone");
    }
    {
        let edges = root(&eve, "edges");
        let meta = root(&eve, "meta");
        let mut txn = eve.transact_mut();
        let edge: MapRef = edges.insert(&mut txn, "e", MapPrelim::default()); // (eve, 0)
        edge.insert(&mut txn, "source", "a");
        meta.insert(&mut txn, "name", "Shop");
    }
    receive(&ann, &everything(&ben));
    receive(&ann, &everything(&eve));
    {
        let meta = root(&ann, "meta");
        meta.insert(&mut ann.transact_mut(), "name", "Store");
    }
    everything(&ann)
}
