//! What a Yjs document shows, read with yrs itself and not with the code under test.

use std::collections::BTreeSet;

use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, Map, OffsetKind, Options, ReadTxn, Transact, Update};

const ROOTS: [&str; 4] = ["nodes", "edges", "meta", "comments"];

/// A document of this client that counts as JavaScript does.
pub(crate) fn new_document(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    for root in ROOTS {
        doc.get_or_insert_map(root);
    }
    doc
}

pub(crate) fn document(update: &[u8]) -> Doc {
    let doc = new_document(9);
    apply(&doc, update);
    doc
}

/// The update must be one that waits for nothing.
pub(crate) fn apply(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
    assert!(!doc.transact().has_missing_updates(), "an update that waits for something");
}

/// Everything that the document shows.
pub(crate) fn content(doc: &Doc) -> Vec<Any> {
    let txn = doc.transact();
    ROOTS.iter().map(|root| txn.get_map(*root).unwrap().to_json(&txn)).collect()
}

/// The marks that edits leave in `meta`: one key for each, never removed.
pub(crate) fn marks(doc: &Doc) -> BTreeSet<String> {
    let txn = doc.transact();
    let meta = txn.get_map("meta").unwrap();
    meta.keys(&txn).filter(|key| key.starts_with("mark-")).map(str::to_owned).collect()
}
