//! INV-11 for documents that nobody would draw: whatever stands in the shared types, the view is sound, the same on
//! every replica, and made without a panic or a wait.

use std::sync::Arc;

use atlas_crdt::design::DesignDoc;
use atlas_crdt::ids::{ClientId, DesignId, Epoch, Seq};
use atlas_crdt::invariants::check_view;
use atlas_crdt::view::SnapshotHead;
use proptest::collection::vec;
use proptest::prelude::*;
use yrs::{
    Any, Array, ArrayPrelim, Doc, Map, MapPrelim, MapRef, OffsetKind, Options, Text, TextPrelim, Transact,
    TransactionMut, WriteTxn,
};

/// Ids are drawn from a few, so that elements name each other.
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn new_doc(client: u64) -> Doc {
    let mut options = Options::with_guid_and_client_id(yrs::uuid_v4_from(0), yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

/// A value that no well-meaning client writes.
#[derive(Debug, Clone)]
enum Odd {
    Json(Any),
    List(Vec<Any>),
    Text(String),
    Nested(Vec<(String, Odd)>),
    Xml,
}

fn odd_any() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::Null),
        Just(Any::Undefined),
        any::<bool>().prop_map(Any::from),
        any::<f64>().prop_map(Any::from),
        any::<i64>().prop_map(Any::from),
        Just(Any::from(f64::NAN)),
        Just(Any::from(f64::NEG_INFINITY)),
        prop::sample::select(IDS.to_vec()).prop_map(Any::from),
        any::<String>().prop_map(Any::from),
        vec(any::<u8>(), 0..4).prop_map(Any::from),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| Any::Array(values.into())),
            vec((odd_key(), inner), 0..4)
                .prop_map(|entries| Any::Map(Arc::new(entries.into_iter().collect()))),
        ]
    })
}

fn odd_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "position", "parentId", "source", "target", "id", "data", "x", "y", "type", "width", ""
        ])
        .prop_map(ToOwned::to_owned),
        prop::sample::select(IDS.to_vec()).prop_map(ToOwned::to_owned),
        any::<String>(),
    ]
}

fn odd() -> impl Strategy<Value = Odd> {
    let leaf = prop_oneof![
        4 => odd_any().prop_map(Odd::Json),
        1 => vec(odd_any(), 0..4).prop_map(Odd::List),
        1 => any::<String>().prop_map(Odd::Text),
        1 => Just(Odd::Xml),
    ];
    leaf.prop_recursive(5, 24, 5, |inner| vec((odd_key(), inner), 0..6).prop_map(Odd::Nested))
}

fn insert_odd(map: &MapRef, txn: &mut TransactionMut, key: &str, odd: Odd) {
    match odd {
        Odd::Json(any) => {
            map.insert(txn, key, any);
        }
        Odd::List(values) => {
            map.insert(txn, key, ArrayPrelim::from(values));
        }
        Odd::Text(text) => {
            map.insert(txn, key, TextPrelim::new(text));
        }
        Odd::Xml => {
            map.insert(txn, key, yrs::XmlElementPrelim::empty("node"));
        }
        Odd::Nested(entries) => {
            let inner = map.insert(txn, key, MapPrelim::default());
            for (key, odd) in entries {
                insert_odd(&inner, txn, &key, odd);
            }
        }
    }
}

/// What they make, odd as it may be: given to the document directly, since no gate would let all of it in.
#[expect(clippy::unwrap_used, reason = "in a test a failure is a panic, helpers included")]
fn document(updates: &[&[u8]]) -> DesignDoc {
    let mut doc = DesignDoc::new(ClientId::new(9));
    doc.apply(updates, false).unwrap();
    doc
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// INV-11, for documents that nobody would draw.
    #[test]
    fn an_odd_document_still_reads_as_a_sound_view(
        entries in vec((prop::sample::select(vec!["nodes", "edges", "meta"]), odd_key(), odd()), 0..12),
        list in vec(odd_any(), 0..3),
        text in any::<String>(),
    ) {
        let doc = new_doc(1);
        let update = {
            let mut txn = doc.transact_mut();
            for (root, key, odd) in entries {
                let root = txn.get_or_insert_map(root);
                insert_odd(&root, &mut txn, &key, odd);
            }
            txn.encode_update_v1()
        };
        // Another client takes the same roots for a list and a text.
        let other = new_doc(2);
        let other_update = {
            let mut txn = other.transact_mut();
            let nodes = txn.get_or_insert_array("nodes");
            nodes.insert_range(&mut txn, 0, list);
            let meta = txn.get_or_insert_text("meta");
            meta.insert(&mut txn, 0, &text);
            txn.encode_update_v1()
        };
        let loaded = document(&[&update, &other_update]);
        let view = loaded.view();
        check_view(&view).unwrap();
        let again = document(&[&loaded.encode()]).view();
        prop_assert_eq!(again.content_hash(), view.content_hash());
        prop_assert_eq!(again.semantic_hash(), view.semantic_hash());
        prop_assert_eq!(&again, &view);
        // What REST gives out is JSON, and reads back as the same JSON.
        let head = SnapshotHead { id: DesignId::from_u128(1), epoch: Epoch::new(1), seq: Seq::new(1) };
        let snapshot = view.to_snapshot_json(&head);
        let text = serde_json::to_string(&snapshot).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), snapshot);
    }
}

#[test]
fn a_list_that_holds_text_is_left_out_and_nobody_waits_for_it() {
    let doc = new_doc(1);
    let mut update = {
        let mut txn = doc.transact_mut();
        let meta = txn.get_or_insert_map("meta");
        meta.insert(&mut txn, "k", TextPrelim::new("a🌍b"));
        txn.encode_update_v1()
    };
    // The key, and the kind of shared type behind it: a text (2) becomes an array (0).
    let at = update.windows(3).position(|window| window == [1, b'k', 2]).unwrap();
    update[at + 2] = 0;
    let view = document(&[&update]).view();
    assert!(view.meta.is_empty());
    assert_eq!(view.integrity.repaired[0].was, "an array with text inside");
}
