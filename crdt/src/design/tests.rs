use serde_json::{Value, json};
use yrs::{Text, TextRef, WriteTxn};

use super::*;

const fn assert_send_sync<T: Send + Sync>() {}
const _: () = assert_send_sync::<DesignDoc>();

/// A yrs document as some client has it, which hands out the update of each of its transactions.
struct Client(Doc);

impl Client {
    fn new(id: u64) -> Self {
        Self(Doc::with_options(options(ClientId::new(id))))
    }

    fn set(&self, key: &str, value: &str) -> Vec<u8> {
        let mut txn = self.0.transact_mut();
        let meta = txn.get_or_insert_map(schema::META);
        meta.insert(&mut txn, key, value);
        txn.encode_update_v1()
    }

    fn remove(&self, key: &str) -> Vec<u8> {
        let mut txn = self.0.transact_mut();
        let meta = txn.get_or_insert_map(schema::META);
        meta.remove(&mut txn, key);
        txn.encode_update_v1()
    }

    fn encode(&self) -> Vec<u8> {
        self.0.transact().encode_state_as_update_v1(&StateVector::default())
    }

    fn receive(&self, update: &[u8]) {
        let mut txn = self.0.transact_mut();
        txn.apply_update(Update::decode_v1(update).unwrap()).unwrap();
    }
}

fn range(client: u64, start: u32, end: u32) -> ClockRange {
    ClockRange { client: ClientId::new(client), start, end }
}

fn empty() -> DesignDoc {
    DesignDoc::new(ClientId::new(999))
}

#[test]
fn an_apply_tells_what_it_wrote_and_what_it_deleted() {
    let alice = Client::new(1);
    let mut doc = empty();
    let first = alice.set("name", "one");
    let second = alice.set("name", "two");
    let applied = doc.apply(&[&first], false).unwrap();
    assert_eq!(applied.wrote, [range(1, 0, 1)]);
    assert!(applied.before.is_empty() && applied.changed && applied.deleted.is_empty());

    let applied = doc.apply(&[&second], false).unwrap();
    assert_eq!(applied.wrote, [range(1, 1, 2)]);
    assert_eq!(applied.deleted, [range(1, 0, 1)], "the overwritten value");
    assert_eq!(applied.before.get(&client_id(ClientId::new(1))), 1);
    assert_eq!(*applied.after, doc.live().transact().state_vector());
    assert_eq!(doc.name().as_deref(), Some("two"));
}

#[test]
fn what_is_known_changes_nothing() {
    let alice = Client::new(1);
    let update = alice.set("name", "one");
    let mut doc = empty();
    doc.apply(&[&update], false).unwrap();
    let again = doc.apply(&[&update, &update, &[0, 0]], true).unwrap();
    assert!(!again.changed && again.wrote.is_empty() && again.deleted.is_empty());
    assert!(Arc::ptr_eq(&again.before, &again.after));
    assert!(!doc.apply(&[], false).unwrap().changed);
}

#[test]
fn the_added_bytes_are_exactly_what_was_new() {
    let alice = Client::new(1);
    let (first, second) = (alice.set("a", "1"), alice.set("b", "2"));
    let both = merge_updates(&[&first, &second]).unwrap();
    let mut doc = empty();
    doc.apply(&[&first], false).unwrap();
    let added = doc.apply(&[&both], true).unwrap().added.unwrap();
    let mut other = empty();
    assert!(
        matches!(other.apply(&[&added], false), Err(ApplyFault::Incomplete)),
        "the first is not among them"
    );
    let mut other = DesignDoc::load(ClientId::new(2), [first.as_slice(), &added]).unwrap();
    assert_eq!(other.view(), doc.view());
    assert!(!other.apply(&[&both], false).unwrap().changed);
}

/// yrs by itself panics on this: where structs of several updates overlap its order is none.
#[test]
fn many_updates_that_overlap_are_merged() {
    let mut updates = Vec::new();
    for client in 1..=9 {
        let author = Client::new(client);
        for name in ["one", "two", "three"] {
            updates.push(author.set("name", name));
            updates.push(author.encode());
        }
    }
    let updates: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
    let merged = merge_updates(&updates).unwrap();
    let (mut at_once, mut singly) = (empty(), empty());
    at_once.apply(&[&merged], false).unwrap();
    for update in &updates {
        singly.apply(&[update], false).unwrap();
    }
    assert_eq!(at_once.view(), singly.view());
    assert_eq!(at_once.state_vector(), singly.state_vector());
}

#[test]
fn a_hole_is_a_fault_wherever_it_is() {
    let (alice, bob) = (Client::new(1), Client::new(2));
    let first = alice.set("a", "1");
    let independent = alice.set("b", "2");
    bob.receive(&first);
    let overwrite = bob.set("a", "3");
    let delete = alice.remove("a");
    for (what, update) in [
        ("clocks of the same client are missing", &independent),
        ("an origin of another client is missing", &overwrite),
        ("what is deleted is missing", &delete),
    ] {
        let mut doc = empty();
        assert!(matches!(doc.apply(&[update], false), Err(ApplyFault::Incomplete)), "{what}");
        assert!(doc.is_poisoned(), "{what}");
        assert!(matches!(doc.apply(&[&first], false), Err(ApplyFault::Poisoned)), "{what}");
    }
    let mut doc = empty();
    doc.apply(&[&delete, &overwrite, &independent, &first], false).unwrap();
    assert_eq!(doc.state_vector(), doc.live().transact().state_vector());
}

#[test]
fn bytes_that_are_no_update_leave_the_document_well() {
    let alice = Client::new(1);
    let good = alice.set("name", "one");
    let mut doc = empty();
    for bad in [&b"\x01"[..], b"\xff\xff\xff", b"", &good[..good.len() - 1]] {
        assert!(matches!(doc.apply(&[&good, bad], false), Err(ApplyFault::Undecodable(_))), "{bad:x?}");
    }
    assert!(!doc.is_poisoned());
    assert!(doc.state().is_empty(), "nothing of the good one was kept");
    assert!(doc.apply(&[&good], false).unwrap().changed);
}

#[test]
fn deleting_matters_only_where_something_lives() {
    let alice = Client::new(1);
    let mut doc = empty();
    let updates: Vec<_> = ["a", "b", "c", "d"].map(|key| alice.set(key, key)).into();
    for update in &updates {
        doc.apply(&[update], false).unwrap();
    }
    doc.apply(&[&alice.remove("a"), &alice.remove("c")], false).unwrap();
    for (deletes, ranges) in [
        (false, vec![]),
        (false, vec![range(1, 0, 1)]),
        (true, vec![range(1, 0, 2)]),
        (true, vec![range(1, 1, 3)]),
        (false, vec![range(1, 2, 3), range(1, 0, 1), range(1, 2, 3)]),
        (false, vec![range(1, 4, 900), range(7, 0, 5), range(1, 3, 3)]),
        (true, vec![range(1, 3, 900)]),
    ] {
        assert_eq!(doc.deletes_anything(&ranges), deletes, "{ranges:?}");
    }
    // The set that was built above follows later transactions.
    doc.apply(&[&alice.remove("b"), &alice.set("d", "dd")], false).unwrap();
    assert!(!doc.deletes_anything(&[range(1, 0, 4)]));
    assert!(doc.deletes_anything(&[range(1, 0, 5)]));
    assert_eq!(*doc.deleted.get().unwrap(), doc.live().transact().snapshot().delete_set);
}

#[test]
fn structs_that_were_collected_before_they_came_are_deleted() {
    let alice = Client::new(1);
    let node = |txn: &mut yrs::TransactionMut| txn.get_or_insert_map(schema::NODES);
    {
        let mut txn = alice.0.transact_mut();
        let nodes = node(&mut txn);
        let element: yrs::MapRef = nodes.insert(&mut txn, "n", yrs::MapPrelim::default());
        element.insert(&mut txn, "data", yrs::MapPrelim::default());
    }
    {
        let mut txn = alice.0.transact_mut();
        let nodes = node(&mut txn);
        nodes.remove(&mut txn, "n");
    }
    // One struct says "deleted", the other was collected altogether: neither was ever alive here.
    let collected = alice.0.transact().encode_diff_v1(&StateVector::default());
    let mut doc = empty();
    doc.apply(&[&Client::new(2).set("name", "built")], false).unwrap();
    assert!(doc.deletes_anything(&[range(2, 0, 1)]), "the set of what is deleted is built now");
    let applied = doc.apply(&[&collected], false).unwrap();
    assert_eq!(applied.deleted, [range(1, 0, 2)]);
    assert!(!doc.deletes_anything(&[range(1, 0, 2)]));
    assert_eq!(*doc.deleted.get().unwrap(), doc.live().transact().snapshot().delete_set);
}

#[test]
fn a_state_vector_between_two_halves_of_a_character_is_answered() {
    let alice = Client::new(1);
    let update = {
        let mut txn = alice.0.transact_mut();
        let meta = txn.get_or_insert_map(schema::META);
        let text: TextRef = meta.insert(&mut txn, "text", yrs::TextPrelim::new("🌍🌍"));
        text.insert(&mut txn, 0, "𝒜");
        txn.encode_update_v1()
    };
    let doc = DesignDoc::load(ClientId::new(9), [update.as_slice()]).unwrap();
    for clock in 0..=7 {
        let mut since = StateVector::default();
        since.set_max(client_id(ClientId::new(1)), clock);
        assert!(Update::decode_v1(&doc.diff_since(&since)).is_ok(), "{clock}");
    }
    let mut ahead = StateVector::default();
    ahead.set_max(client_id(ClientId::new(1)), u32::MAX);
    ahead.set_max(client_id(ClientId::new(77)), 3);
    assert!(!doc.diff_since(&ahead).is_empty());
}

#[test]
fn thousands_of_nested_maps_are_read_without_recursion() {
    let client = Client::new(1);
    let update = {
        let mut txn = client.0.transact_mut();
        let mut map = txn.get_or_insert_map(schema::NODES);
        for _ in 0..5_000 {
            map = map.insert(&mut txn, "n", yrs::MapPrelim::default());
        }
        txn.encode_update_v1()
    };
    // No gate would let this in, and none would let it out of the store: it is given to the document directly.
    let mut doc = DesignDoc::new(ClientId::new(9));
    doc.apply(&[&update], false).unwrap();
    let view = doc.view();
    assert_eq!(view.nodes.len(), 1);
    assert!(view.integrity.repaired.iter().any(|repair| repair.was == "nested too deep"));
}

#[test]
fn a_new_design_reads_as_it_was_given() {
    let object = |value: Value| value.as_object().unwrap().clone();
    let node = json!({"type": "custom", "position": {"x": 1, "y": 2.5}, "data": {"type": "waf", "securityFlags": {"hasWAF": true}, "deep": [{"a": null}]}});
    let new = NewDesign {
        name: "Shop".into(),
        description: Some("A shop.".into()),
        meta: object(json!({"projectName": "P", "name": "ignored"})),
        nodes: vec![
            ("a".into(), object(node.clone())),
            ("b".into(), object(json!({"id": "b", "position": {"x": 0, "y": 0}}))),
        ],
        edges: vec![("e".into(), object(json!({"source": "a", "target": "b", "data": "odd"})))],
    };
    let update = create(ClientId::new(5), &new).unwrap();
    assert!(gate::scan_update(&update, crate::limits::DOCUMENT_BYTES_MAX).is_ok());
    let view = DesignDoc::load(ClientId::new(6), [&*update]).unwrap().view();
    assert_eq!(Value::Object(view.nodes[0].body.clone()), node);
    assert_eq!(
        Value::Object(view.nodes[1].body.clone()),
        json!({"position": {"x": 0, "y": 0}, "data": {"securityFlags": {}}})
    );
    assert_eq!(view.edges[0].body["data"], "odd");
    assert_eq!(
        Value::Object(view.meta.clone()),
        json!({"schema_version": 1, "name": "Shop", "description": "A shop.", "projectName": "P"})
    );
    assert_eq!(view.integrity, crate::integrity::Integrity::default());
    let twin = create(ClientId::new(5), &new).unwrap();
    assert_eq!(twin.len(), update.len());
}

#[test]
fn a_new_design_within_the_limits_and_no_further() {
    let of = |name: &str, nodes: Vec<(String, serde_json::Map<String, Value>)>| {
        let new = NewDesign { name: name.into(), nodes, ..NewDesign::default() };
        create(ClientId::new(5), &new).map(|_| ())
    };
    let node = |id: &str, body: Value| vec![(id.to_owned(), body.as_object().unwrap().clone())];
    let nested = |depth: usize| (1..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(of(&"é".repeat(NAME_CHARS_MAX), vec![]).is_ok());
    assert!(matches!(of("", vec![]), Err(CreateError::Length { min: 1, got: 0, .. })));
    assert!(matches!(of(&"n".repeat(256), vec![]), Err(CreateError::Length { max: 255, got: 256, .. })));
    assert!(matches!(of("n", node("", json!({}))), Err(CreateError::Length { .. })));
    assert!(matches!(of("n", node(&"i".repeat(129), json!({}))), Err(CreateError::Length { .. })));
    assert!(matches!(
        of("n", [node("a", json!({})), node("a", json!({}))].concat()),
        Err(CreateError::DuplicateId { .. })
    ));
    assert!(of("n", node("a", json!({"v": nested(crate::limits::ANY_DEPTH_MAX)}))).is_ok());
    assert!(matches!(
        of("n", node("a", json!({"v": nested(crate::limits::ANY_DEPTH_MAX + 1)}))),
        Err(CreateError::TooDeep { .. })
    ));
    for body in
        [json!({"__proto__": 1}), json!({"k": [{"__proto__": {}}]}), json!({"data": {"__proto__": 1}})]
    {
        assert!(matches!(of("n", node("a", body)), Err(CreateError::PrototypeKey { .. })));
    }
    assert!(matches!(of("n", node("a", json!({"k".repeat(1025): 1}))), Err(CreateError::KeyTooLong { .. })));
    assert!(matches!(
        of("n", node("a", json!({"data": {"label": "l".repeat(201)}}))),
        Err(CreateError::Length { max: 200, got: 201, .. })
    ));
    let values = |count: usize| Value::from(vec![0; count - 1]);
    let values_max = crate::limits::ANY_VALUES_MAX;
    assert!(of("n", node("a", json!({"data": {"v": values(values_max), "w": values(values_max)}}))).is_ok());
    for odd in [json!({"v": values(values_max + 1)}), json!({"data": {"v": values(values_max + 1)}})] {
        assert!(matches!(of("n", node("a", odd)), Err(CreateError::TooManyValues { .. })));
    }
    let many = (0..=crate::limits::NODES_MAX).map(|at| (at.to_string(), serde_json::Map::new())).collect();
    assert!(matches!(of("n", many), Err(CreateError::TooMany { what: "nodes", .. })));
}
