//! What a document is, in 32 bytes: equal exactly when two replicas hold the same clocks, the same deletions, and show the
//! same design, hidden elements included. The bytes of an update are no measure for that, as yrs writes equal documents
//! in different ways.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::design::DesignDoc;

/// SHA-256 over the content hash of the view, the state vector by client, and the delete set by client and clock with
/// adjacent ranges joined.
#[must_use]
pub(crate) fn digest(doc: &DesignDoc) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"atlas design digest 1");
    hash.update(doc.view().content_hash());
    let state: BTreeMap<u64, u32> = doc
        .state()
        .iter()
        .map(|(client, clock)| (client.get(), *clock))
        .filter(|(_, clock)| 0 < *clock)
        .collect();
    hash.update((state.len() as u64).to_be_bytes());
    for (client, clock) in state {
        hash.update(client.to_be_bytes());
        hash.update(clock.to_be_bytes());
    }
    for range in doc.deleted() {
        hash.update(range.client.get().to_be_bytes());
        hash.update(range.start.to_be_bytes());
        hash.update(range.end.to_be_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use yrs::{Doc, Map, Transact};

    use super::*;
    use crate::ids::ClientId;

    fn doc_of(updates: &[&Bytes]) -> DesignDoc {
        let mut doc = DesignDoc::new(ClientId::new(1));
        for update in updates {
            doc.apply(&[&update[..]], false).unwrap();
        }
        doc
    }

    fn write(doc: &Doc, change: impl FnOnce(&yrs::MapRef, &mut yrs::TransactionMut<'_>)) -> Bytes {
        let nodes = doc.get_or_insert_map("nodes");
        let mut txn = doc.transact_mut();
        change(&nodes, &mut txn);
        txn.encode_update_v1().into()
    }

    #[test]
    fn the_order_of_edits_and_the_way_of_loading_do_not_matter_and_everything_else_does() {
        let (ana, ben) = (Doc::with_client_id(7), Doc::with_client_id(1 << 40));
        let a = write(&ana, |nodes, txn| {
            nodes.insert(txn, "a", yrs::MapPrelim::default());
            nodes.insert(txn, "b", yrs::MapPrelim::default());
        });
        let b = write(&ben, |nodes, txn| {
            nodes.insert(txn, "c", yrs::MapPrelim::default());
        });
        let gone = write(&ana, |nodes, txn| {
            nodes.remove(txn, "a");
            nodes.remove(txn, "b");
        });
        let one = doc_of(&[&a, &b, &gone]);
        let whole = one.encode();
        let loaded = DesignDoc::load(ClientId::new(2), [&whole[..]]).unwrap();
        for other in [doc_of(&[&b, &a, &gone]), doc_of(&[&a, &gone, &b]), doc_of(&[&whole]), loaded] {
            assert_eq!(digest(&one), digest(&other));
        }
        for other in [doc_of(&[]), doc_of(&[&a, &b]), doc_of(&[&a, &gone])] {
            assert_ne!(digest(&one), digest(&other));
        }
        // Deleted before it was ever seen, under another client's clocks: the views are equal, the documents are not.
        let eve = Doc::with_client_id(8);
        let nothing = write(&eve, |nodes, txn| {
            nodes.insert(txn, "x", true);
            nodes.remove(txn, "x");
        });
        let (with, without) = (doc_of(&[&b, &nothing]), doc_of(&[&b]));
        assert_eq!(with.view(), without.view());
        assert_ne!(digest(&with), digest(&without));
    }
}
