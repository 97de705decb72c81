//! Updates that certainly only say how something is drawn: honest ones are known as such, and no other ever is.

use proptest::prelude::*;
use serde_json::{Map as Json, Value};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, MapPrelim, Out, ReadTxn, StateVector, Transact, TransactionMut, Update, WriteTxn};

use super::doc;
use crate::design::DesignDoc;
use crate::gate::{Places, Verdict, scan_update};
use crate::ids::ClientId;
use crate::limits::UPDATE_BYTES_MAX;
use crate::schema;
use crate::view::Element;

/// The log: what was written so far, its index, and the document.
struct Log {
    places: Places,
    doc: DesignDoc,
}

impl Log {
    fn new() -> Self {
        Self { places: Places::new(), doc: DesignDoc::new(ClientId::new(1)) }
    }

    /// Takes an update in, and tells whether it is cosmetic.
    fn take(&mut self, update: &[u8]) -> bool {
        let scan = scan_update(update, UPDATE_BYTES_MAX).unwrap();
        let Verdict::Clean(placed) = scan.judge(update, |client| self.places.end_of(client), &self.places)
        else {
            panic!("it is closed and honest")
        };
        let is_cosmetic = placed.is_cosmetic();
        self.places.note(placed, update);
        self.doc.apply(&[update], false).unwrap();
        is_cosmetic
    }

    /// Everything but comments and how things are drawn.
    fn meaning(&self) -> (Vec<Element>, Vec<Element>, Json<String, Value>) {
        let bare = |elements: Vec<Element>| {
            let mut elements = elements;
            for element in &mut elements {
                element.body.retain(|key, _| !schema::is_cosmetic(key.as_bytes()));
            }
            elements
        };
        let view = self.doc.view();
        (bare(view.nodes), bare(view.edges), view.meta)
    }
}

fn edit(doc: &Doc, change: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    change(&mut txn);
    txn.encode_update_v1()
}

fn draw(doc: &Doc, id: &str) -> Vec<u8> {
    let nodes = doc.get_or_insert_map("nodes");
    edit(doc, |txn| {
        let node = nodes.insert(txn, id, MapPrelim::from([("type", "custom")]));
        node.insert(txn, "position", 1.0);
        node.insert(txn, "data", MapPrelim::from([("position", "a key of its own")]));
        node.insert(txn, "zIndex", 1.0);
    })
}

fn set(doc: &Doc, root: &str, id: &str, key: &str, value: f64) -> Vec<u8> {
    let root = doc.get_or_insert_map(root);
    edit(doc, |txn| {
        if let Some(Out::YMap(element)) = root.get(txn, id) {
            element.insert(txn, key, value);
        }
    })
}

fn everything(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

fn hear(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

#[test]
fn a_drag_is_known_for_what_it_is() {
    let (ana, ben, mut log) = (doc(7), doc(8), Log::new());
    assert!(!log.take(&draw(&ana, "web")), "a new node means something");
    for x in 0..5 {
        assert!(log.take(&set(&ana, "nodes", "web", "position", f64::from(x))));
    }
    assert!(log.take(&set(&ana, "nodes", "web", "width", 200.0)), "a key that was not there");
    assert!(log.take(&set(&ana, "nodes", "web", "zIndex", 4.0)));
    assert!(!log.take(&set(&ana, "nodes", "web", "type", 9.0)));
    assert!(log.take(&set(&ana, "nodes", "web", "position", 7.0)), "behind something else");
    // Somebody else, and several moves in one message.
    hear(&ben, &everything(&ana));
    let before = ben.transact().state_vector();
    for x in 0..5 {
        set(&ben, "nodes", "web", "position", f64::from(x));
        set(&ben, "nodes", "web", "width", f64::from(x));
    }
    let heap = ben.transact().encode_diff_v1(&before);
    assert!(
        !log.take(&heap),
        "a difference names every deletion that there ever was, and with them an old type"
    );
    assert!(log.take(&set(&ben, "nodes", "web", "position", 1.0)));
}

#[test]
fn what_is_not_certain_means_something() {
    let (ana, mut log) = (doc(7), Log::new());
    log.take(&draw(&ana, "web"));
    let nodes = ana.get_or_insert_map("nodes");
    let inside = edit(&ana, |txn| {
        let Some(Out::YMap(node)) = nodes.get(txn, "web") else { panic!("drawn") };
        let Some(Out::YMap(data)) = node.get(txn, "data") else { panic!("drawn") };
        data.insert(txn, "position", "another one");
    });
    assert!(!log.take(&inside), "a key of the data is none of the element");
    let both = edit(&ana, |txn| {
        let Some(Out::YMap(node)) = nodes.get(txn, "web") else { panic!("drawn") };
        node.insert(txn, "position", 3.0);
        node.insert(txn, "locked", true);
    });
    assert!(!log.take(&both));
    let no_more_position = edit(&ana, |txn| {
        let Some(Out::YMap(node)) = nodes.get(txn, "web") else { panic!("drawn") };
        node.remove(txn, "position");
    });
    assert!(log.take(&no_more_position), "nothing is written, and a drawn thing deleted");
    let gone = edit(&ana, |txn| {
        nodes.remove(txn, "web");
    });
    assert!(!log.take(&gone), "nothing is written, and a node deleted");
    assert!(!log.take(&edit(&ana, |txn| {
        txn.get_or_insert_map("meta").insert(txn, "position", 3.0);
    })));
    assert!(log.take(&edit(&ana, |txn| {
        txn.get_or_insert_map("comments").insert(txn, "c1", MapPrelim::from([("text", "why?")]));
    })));
    assert!(log.take(&edit(&ana, |txn| {
        txn.get_or_insert_map("comments").remove(txn, "c1");
    })));
}

#[test]
fn a_room_that_read_a_snapshot_knows_a_drag_as_well() {
    let (ana, ben, mut log) = (doc(7), doc(8), Log::new());
    draw(&ana, "web");
    for x in 0..9 {
        // What was overwritten is deleted by now, and its kind forgotten.
        set(&ana, "nodes", "web", "position", f64::from(x));
    }
    assert!(!log.take(&everything(&ana)));
    assert!(log.take(&set(&ana, "nodes", "web", "position", 2.5)));
    hear(&ben, &everything(&ana));
    assert!(log.take(&set(&ben, "nodes", "web", "position", 3.5)));
    assert!(!log.take(&set(&ben, "nodes", "web", "type", 3.5)));
}

#[derive(Debug, Clone)]
enum Act {
    Draw { who: usize, node: usize },
    Erase { who: usize, node: usize },
    Set { who: usize, node: usize, key: usize, value: u8 },
    Unset { who: usize, node: usize, key: usize },
    Sync { from: usize, to: usize },
}

const IDS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 4] = ["position", "type", "zIndex", "locked"];

fn act() -> impl Strategy<Value = Act> {
    let (who, node, key) = (|| 0..3_usize, || 0..IDS.len(), || 0..KEYS.len());
    prop_oneof![
        2 => (who(), node()).prop_map(|(who, node)| Act::Draw { who, node }),
        1 => (who(), node()).prop_map(|(who, node)| Act::Erase { who, node }),
        6 => (who(), node(), key(), any::<u8>())
            .prop_map(|(who, node, key, value)| Act::Set { who, node, key, value }),
        2 => (who(), node(), key()).prop_map(|(who, node, key)| Act::Unset { who, node, key }),
        3 => (who(), who()).prop_map(|(from, to)| Act::Sync { from, to }),
    ]
}

proptest! {
    /// Of people who write side by side, and whose updates reach the log one by one or in heaps.
    #[test]
    fn what_is_called_cosmetic_never_changes_what_a_design_means(
        acts in proptest::collection::vec(act(), 0..60),
        heaps: bool,
    ) {
        let (docs, mut log) = ([doc(7), doc(8), doc(9)], Log::new());
        let element = |txn: &TransactionMut<'_>, node: usize| match txn.get_map("nodes")?.get(txn, IDS[node])? {
            Out::YMap(element) => Some(element),
            _ => None,
        };
        for act in acts {
            let (who, update) = match act {
                Act::Draw { who, node } => (who, draw(&docs[who], IDS[node])),
                Act::Erase { who, node } => {
                    let nodes = docs[who].get_or_insert_map("nodes");
                    (who, edit(&docs[who], |txn| drop(nodes.remove(txn, IDS[node]))))
                }
                Act::Set { who, node, key, value } => {
                    (who, set(&docs[who], "nodes", IDS[node], KEYS[key], f64::from(value)))
                }
                Act::Unset { who, node, key } => (who, edit(&docs[who], |txn| {
                    if let Some(element) = element(txn, node) {
                        element.remove(txn, KEYS[key]);
                    }
                })),
                Act::Sync { from, to } => {
                    let have = docs[to].transact().state_vector();
                    let diff = docs[from].transact().encode_diff_v1(&have);
                    hear(&docs[to], &diff);
                    continue;
                }
            };
            let update = if heaps {
                docs[who].transact().encode_diff_v1(&log.doc.state_vector())
            } else {
                let behind = log.doc.state_vector();
                let scan = scan_update(&update, UPDATE_BYTES_MAX).unwrap();
                let is_closed = matches!(
                    scan.closure(|client| behind.get(&yrs::ClientID::new(client.get()))),
                    crate::gate::Closure::Closed { .. }
                );
                if is_closed { update } else { docs[who].transact().encode_diff_v1(&behind) }
            };
            let before = log.meaning();
            if log.take(&update) {
                prop_assert_eq!(before, log.meaning());
            }
        }
    }
}
