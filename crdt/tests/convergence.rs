//! INV-1 and, for what people draw, INV-11 as properties: whatever a few architects do to one design at the same time, and in whatever order,
//! how often and in what pieces their updates arrive, every replica shows the same sound view.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use atlas_crdt::design::{ApplyFault, DesignDoc, merge_updates};
use atlas_crdt::gate::{self, Closure};
use atlas_crdt::ids::ClientId;
use atlas_crdt::invariants::check_view;
use atlas_crdt::limits;
use atlas_crdt::room::ClockRange;
use atlas_crdt::view::DesignView;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Doc, Map, MapPrelim, MapRef, OffsetKind, Options, ReadTxn, StateVector, Transact, TransactionMut,
    Update, WriteTxn,
};

/// Elements are drawn from a few ids, so that architects meet.
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// One transaction of one architect, or a meeting of two.
#[derive(Debug, Clone)]
enum Step {
    AddNode {
        node: usize,
        x: f64,
    },
    RemoveNode {
        node: usize,
        with_edges: bool,
    },
    Move {
        node: usize,
        x: f64,
        y: f64,
    },
    SetFlag {
        node: usize,
        flag: usize,
        on: bool,
    },
    SetParent {
        node: usize,
        parent: usize,
    },
    AddEdge {
        edge: usize,
        source: usize,
        target: usize,
    },
    RemoveEdge {
        edge: usize,
    },
    Rename {
        name: String,
    },
    /// The architect learns everything that another one has.
    Learn {
        from: Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    let place = prop_oneof![8 => -1e3..1e3_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    prop_oneof![
        4 => (id.clone(), place.clone()).prop_map(|(node, x)| Step::AddNode { node, x }),
        2 => (id.clone(), any::<bool>()).prop_map(|(node, with_edges)| Step::RemoveNode { node, with_edges }),
        3 => (id.clone(), place, -1e3..1e3_f64).prop_map(|(node, x, y)| Step::Move { node, x, y }),
        3 => (id.clone(), 0..3_usize, any::<bool>()).prop_map(|(node, flag, on)| Step::SetFlag { node, flag, on }),
        2 => (id.clone(), id.clone()).prop_map(|(node, parent)| Step::SetParent { node, parent }),
        3 => (id.clone(), id.clone(), id.clone())
            .prop_map(|(edge, source, target)| Step::AddEdge { edge, source, target }),
        1 => id.prop_map(|edge| Step::RemoveEdge { edge }),
        1 => "[a-z🌍]{0,4}".prop_map(|name| Step::Rename { name }),
        3 => any::<Index>().prop_map(|from| Step::Learn { from }),
    ]
}

fn new_doc(client: u64) -> Doc {
    let mut options = Options::with_guid_and_client_id(yrs::uuid_v4_from(0), yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

fn xy(x: f64, y: f64) -> Any {
    let entries = [("x", x), ("y", y)].map(|(key, value)| (key.to_owned(), Any::from(value)));
    Any::Map(std::sync::Arc::new(entries.into_iter().collect()))
}

fn child(parent: &MapRef, txn: &TransactionMut, key: &str) -> Option<MapRef> {
    parent.get(txn, key)?.cast().ok()
}

/// What the architect does, as far as the drawing in front of them allows it.
fn act(txn: &mut TransactionMut, step: &Step) {
    let nodes = txn.get_or_insert_map("nodes");
    let edges = txn.get_or_insert_map("edges");
    match step {
        Step::AddNode { node, x } => {
            let element = nodes.insert(txn, IDS[*node], MapPrelim::default());
            element.insert(txn, "position", xy(*x, 0.0));
            let data = element.insert(txn, "data", MapPrelim::default());
            data.insert(txn, "type", "database");
            data.insert(txn, "securityFlags", MapPrelim::default());
        }
        Step::RemoveNode { node, with_edges } => {
            nodes.remove(txn, IDS[*node]);
            for edge in IDS.iter().filter(|_| *with_edges) {
                let touches = child(&edges, txn, edge).is_some_and(|edge| {
                    ["source", "target"].iter().any(|end| {
                        edge.get(txn, end).is_some_and(|end| end.to_json(txn) == Any::from(IDS[*node]))
                    })
                });
                if touches {
                    edges.remove(txn, edge);
                }
            }
        }
        Step::Move { node, x, y } => {
            if let Some(element) = child(&nodes, txn, IDS[*node]) {
                element.insert(txn, "position", xy(*x, *y));
            }
        }
        Step::SetFlag { node, flag, on } => {
            let flags = child(&nodes, txn, IDS[*node])
                .and_then(|element| child(&element, txn, "data"))
                .and_then(|data| child(&data, txn, "securityFlags"));
            if let Some(flags) = flags {
                flags.insert(txn, format!("flag{flag}"), *on);
            }
        }
        Step::SetParent { node, parent } => {
            if let Some(element) = child(&nodes, txn, IDS[*node]) {
                element.insert(txn, "parentId", IDS[*parent]);
            }
        }
        Step::AddEdge { edge, source, target } => {
            let element = edges.insert(txn, IDS[*edge], MapPrelim::default());
            element.insert(txn, "source", IDS[*source]);
            element.insert(txn, "target", IDS[*target]);
            element.insert(txn, "data", MapPrelim::default());
        }
        Step::RemoveEdge { edge } => {
            edges.remove(txn, IDS[*edge]);
        }
        Step::Rename { name } => {
            let meta = txn.get_or_insert_map("meta");
            meta.insert(txn, "name", name.as_str());
        }
        Step::Learn { .. } => {}
    }
}

/// Every update that anybody wrote, and what everybody shows in the end.
fn play(architects: usize, steps: &[(Index, Step)]) -> Vec<Vec<u8>> {
    let docs: Vec<Doc> = (0..architects).map(|at| new_doc(at as u64 + 1)).collect();
    let mut updates = Vec::new();
    for (who, step) in steps {
        let doc = &docs[who.index(architects)];
        if let Step::Learn { from } = step {
            let since = doc.transact().state_vector();
            let from = &docs[from.index(architects)];
            let news = from.transact().encode_diff_v1(&since);
            doc.transact_mut().apply_update(Update::decode_v1(&news).unwrap()).unwrap();
            continue;
        }
        let mut txn = doc.transact_mut();
        act(&mut txn, step);
        if txn.has_changes() {
            updates.push(txn.encode_update_v1());
        }
    }
    updates
}

/// One pod's copy of the design: it forgets a batch that does not fit and loads again what it had.
struct Replica {
    doc: DesignDoc,
    log: Vec<Vec<u8>>,
}

impl Replica {
    fn new() -> Self {
        Self { doc: DesignDoc::new(ClientId::new(999)), log: Vec::new() }
    }

    /// `true`: the batch went in.
    fn receive(&mut self, batch: &[&[u8]]) -> bool {
        match self.doc.apply(batch, true) {
            Ok(applied) => {
                assert_eq!(*applied.after, self.doc.state_vector());
                assert_eq!(applied.changed, applied.before != applied.after || !applied.deleted.is_empty());
                self.log.push(applied.added.unwrap().to_vec());
                true
            }
            Err(ApplyFault::Incomplete) => {
                assert!(self.doc.is_poisoned());
                let log = self.log.iter().map(Vec::as_slice);
                self.doc = DesignDoc::load(ClientId::new(999), log).unwrap();
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Everything that was lost is sent again, in this order. As in a room, what has a gap waits until it has none: yrs
    /// itself does not always find its way out of what it has parked.
    fn receive_again(&mut self, updates: &[&[u8]]) {
        let mut missing = updates.to_vec();
        while !missing.is_empty() {
            let state = self.doc.state_vector();
            let is_closed = |update: &&[u8]| {
                let scan = gate::scan_update(update, limits::DOCUMENT_BYTES_MAX).unwrap();
                matches!(scan.closure(|client| gate::clock_of(&state, client)), Closure::Closed { .. })
            };
            let (closed, gaps): (Vec<&[u8]>, Vec<&[u8]>) = missing.into_iter().partition(is_closed);
            assert!(!closed.is_empty(), "all that is left waits for something that nobody wrote");
            assert!(self.receive(&closed));
            missing = gaps;
        }
    }

    /// The view, sound at every moment.
    fn view(&self) -> DesignView {
        let view = self.doc.view();
        check_view(&view).unwrap();
        view
    }
}

/// Which updates arrive together: places in the list of all, with repetitions and omissions.
type Delivery = Vec<Vec<Index>>;

fn delivery() -> impl Strategy<Value = Delivery> {
    vec(vec(any::<Index>(), 0..6), 0..12)
}

fn assert_same(a: &DesignView, b: &DesignView) {
    assert_eq!(a, b);
    assert_eq!(a.content_hash(), b.content_hash());
    assert_eq!(a.semantic_hash(), b.semantic_hash());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// INV-1.
    #[test]
    fn any_order_with_duplicates_and_losses_gives_one_view(
        architects in 1..4_usize,
        steps in vec((any::<Index>(), step()), 1..40),
        deliveries in vec(delivery(), 2..4),
        shift in any::<Index>(),
    ) {
        let updates = play(architects, &steps);
        let all: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
        let reference = DesignDoc::load(ClientId::new(998), all.iter().copied()).unwrap();
        let expected = reference.view();
        check_view(&expected).unwrap();

        for delivery in deliveries {
            let mut replica = Replica::new();
            for batch in delivery.iter().filter(|_| !all.is_empty()) {
                let batch: Vec<&[u8]> = batch.iter().map(|at| all[at.index(all.len())]).collect();
                replica.receive(&batch);
                replica.view();
            }
            // What was lost on the way is sent again, from some place on.
            let mut rest = all.clone();
            if !rest.is_empty() {
                rest.rotate_left(shift.index(all.len()));
            }
            replica.receive_again(&rest);
            assert_same(&replica.view(), &expected);
            prop_assert_eq!(replica.doc.state_vector(), reference.state_vector());

            // A replica that loads the other's log, and one that joins late, show the same.
            let log = replica.log.iter().map(Vec::as_slice);
            assert_same(&DesignDoc::load(ClientId::new(997), log).unwrap().view(), &expected);
            let joined = DesignDoc::load(ClientId::new(996), [&*replica.doc.encode()]).unwrap();
            assert_same(&joined.view(), &expected);
        }
        if !all.is_empty() {
            let merged = merge_updates(&all).unwrap();
            let loaded = DesignDoc::load(ClientId::new(995), [&*merged]).unwrap();
            assert_same(&loaded.view(), &expected);
            prop_assert_eq!(loaded.state_vector(), reference.state_vector());
        }
    }

    /// Two replicas that exchange what the other misses, by state vector, become equal.
    #[test]
    fn an_exchange_of_differences_makes_two_replicas_equal(
        steps in vec((any::<Index>(), step()), 1..40),
        mine in any::<u64>(),
    ) {
        let updates = play(3, &steps);
        let mut replicas = [Replica::new(), Replica::new()];
        for (at, update) in updates.iter().enumerate() {
            let side = usize::from(mine >> (at % 64) & 1 == 1);
            replicas[side].receive(&[update]);
        }
        let [a, b] = &mut replicas;
        let (to_a, to_b) = (b.doc.diff_since(a.doc.state()), a.doc.diff_since(b.doc.state()));
        a.doc.apply(&[&to_a], false).unwrap();
        b.doc.apply(&[&to_b], false).unwrap();
        assert_same(&a.view(), &b.view());
        prop_assert!(!a.doc.apply(&[&b.doc.encode()], false).unwrap().changed);
    }

    /// What is known to be deleted is kept up to date, also by structs that come deleted or collected already.
    #[test]
    fn what_is_deleted_is_known_alike_early_and_late(
        steps in vec((any::<Index>(), step()), 1..40),
        known in any::<u64>(),
    ) {
        let updates = play(3, &steps);
        let state = DesignDoc::load(ClientId::new(998), updates.iter().map(Vec::as_slice)).unwrap().encode();
        let mut early = Replica::new();
        for (at, update) in updates.iter().enumerate().filter(|(at, _)| known >> (at % 64) & 1 == 1) {
            early.receive(&[update]);
            // The first call with something alive builds the set; later transactions must keep it.
            let _ = early.doc.deletes_anything(&every_clock(&early.doc));
            prop_assert!(at < updates.len());
        }
        prop_assert!(early.receive(&[&state]));
        let late = DesignDoc::load(ClientId::new(997), [&*state]).unwrap();
        for range in every_clock(&late) {
            prop_assert_eq!(early.doc.deletes_anything(&[range]), late.deletes_anything(&[range]), "{:?}", range);
        }
    }

    /// `deletes_anything` agrees with what applying the deletions would do.
    #[test]
    fn what_a_deletion_would_change_is_known_before(steps in vec((any::<Index>(), step()), 1..40), cut in any::<Index>()) {
        let updates = play(1, &steps);
        let mut doc = DesignDoc::new(ClientId::new(999));
        for (at, update) in updates.iter().enumerate() {
            if at == cut.index(updates.len()) {
                // Builds the set of what is deleted, or not yet: both must give the same answers later.
                assert!(!doc.deletes_anything(&[whole_client()]) || doc.state().len() == 1);
            }
            let decoded = Update::decode_v1(update).unwrap();
            let ranges: Vec<_> = decoded
                .delete_set()
                .iter()
                .flat_map(|(client, ranges)| {
                    let client = ClientId::new(client.get());
                    ranges
                        .iter()
                        .map(move |range| ClockRange { client, start: range.start, end: range.end })
                        .collect::<Vec<_>>()
                })
                .collect();
            let expected = doc.deletes_anything(&ranges);
            let before = doc.state_vector();
            let applied = doc.apply(&[update], false).unwrap();
            let old = applied.deleted.iter().any(|range| {
                range.start < before.get(&yrs::ClientID::new(range.client.get()))
            });
            prop_assert_eq!(expected, old);
            prop_assert!(!doc.deletes_anything(&ranges));
        }
    }
}

/// Each clock of the document as a range of its own.
fn every_clock(doc: &DesignDoc) -> Vec<ClockRange> {
    let clocks = doc.state().iter().flat_map(|(client, end)| (0..*end).map(|start| (client.get(), start)));
    clocks
        .map(|(client, start)| ClockRange { client: ClientId::new(client), start, end: start + 1 })
        .collect()
}

/// Everything that the first architect could ever write.
fn whole_client() -> ClockRange {
    ClockRange { client: ClientId::new(1), start: 0, end: u32::MAX }
}

#[test]
fn an_edge_comes_back_with_its_node() {
    let (alice, bob) = (new_doc(1), new_doc(2));
    let share = |from: &Doc, to: &Doc| {
        let news = from.transact().encode_diff_v1(&StateVector::default());
        to.transact_mut().apply_update(Update::decode_v1(&news).unwrap()).unwrap();
    };
    let steps = |doc: &Doc, steps: &[Step]| {
        for step in steps {
            act(&mut doc.transact_mut(), step);
        }
    };
    steps(&alice, &[Step::AddNode { node: 0, x: 0.0 }, Step::AddNode { node: 1, x: 9.0 }]);
    share(&alice, &bob);
    steps(&alice, &[Step::RemoveNode { node: 1, with_edges: true }]);
    steps(&bob, &[Step::AddEdge { edge: 4, source: 0, target: 1 }]);
    share(&bob, &alice);
    let view = |doc: &Doc| {
        let state = doc.transact().encode_diff_v1(&StateVector::default());
        DesignDoc::load(ClientId::new(9), [state.as_slice()]).unwrap().view()
    };
    let hidden = view(&alice);
    assert!(hidden.edges.is_empty());
    assert_eq!(hidden.integrity.hidden_edges[0].missing, ["b"]);
    steps(&alice, &[Step::AddNode { node: 1, x: 3.0 }]);
    let back = view(&alice);
    assert_eq!(back.edges[0].id, "e");
    assert!(back.integrity.hidden_edges.is_empty());
}
