//! What is asked for over HTTP: one transaction in the room, answered after its commit, like everybody's edits in all
//! other respects.

use std::sync::Arc;

use atlas_crdt::design::{Change, DesignDoc, ElementPatch, NewDesign, Patch, Replacement, create, poison};
use atlas_crdt::ids::{ClientId, Generation, RequestId, Seq, UserId};
use atlas_crdt::limits::{
    APPEND_SLOW_MS, EDIT_WAIT_MS, EDITS_PER_ROOM_MAX, IDLE_EVICT_MS, NODES_MAX, UNSAVED_BYTES_MAX,
};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{
    Append, Claim, Dialect, Edit, EditOutcome, Edited, Effect, Expected, Input, Loaded, LogRow, Tag,
};
use atlas_crdt::wire::{CloseCode, RefusalCode, ServerFrame};
use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};

use crate::stage::{ANA, BEN, Stage, Writer, empty};

const USER: UserId = UserId::from_u128(77);

fn object(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object is meant") };
    object
}

/// A patch that makes, or merges into, one node.
pub(crate) fn node(id: &str, body: Value) -> Change {
    let nodes = ElementPatch { upsert: vec![(id.to_owned(), object(body))], remove: Vec::new() };
    Change::Patch(Patch { nodes, ..Patch::default() })
}

pub(crate) fn rename(name: &str) -> Change {
    Change::Patch(Patch { meta: object(json!({ "name": name })), ..Patch::default() })
}

pub(crate) fn edit(request: u64, change: Change) -> Edit {
    Edit {
        request: RequestId::new(request),
        user: USER,
        role: DesignRole::Editor,
        client: ClientId::new(70_000 + request),
        expected: None,
        change,
        bytes: 100,
    }
}

impl Stage {
    pub(crate) fn ask(&mut self, edit: Edit) {
        self.input(Input::Edit(Arc::new(edit)));
    }

    /// The answer to this request, if there is one; never two.
    pub(crate) fn answer(&self, request: u64) -> Option<EditOutcome> {
        let mut answers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Answer { request: of, outcome } if of.get() == request => Some(outcome.clone()),
            _ => None,
        });
        let answer = answers.next();
        assert_eq!(answers.next(), None, "one request, one answer");
        answer
    }

    pub(crate) fn done(&self, request: u64) -> Edited {
        match self.answer(request) {
            Some(EditOutcome::Done(edited)) => edited,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn refused(&self, request: u64) -> RefusalCode {
        match self.answer(request) {
            Some(EditOutcome::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    fn turned_away(&self, request: u64) -> CloseCode {
        match self.answer(request) {
            Some(EditOutcome::TurnedAway { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    fn close(&mut self) {
        self.wait(IDLE_EVICT_MS + 1);
    }
}

/// The design that these rows make.
fn design(rows: &[&Bytes]) -> DesignDoc {
    DesignDoc::load(ClientId::new(5), rows.iter().map(|row| &row[..])).unwrap()
}

pub(crate) fn loaded(first: &Bytes) -> Loaded {
    let row = LogRow { seq: Seq::new(1), update: first.clone(), claims: Vec::new() };
    Loaded { tail: vec![row], ..empty() }
}

fn shop() -> Bytes {
    let new = NewDesign {
        name: "Shop".to_owned(),
        nodes: vec![("a".to_owned(), object(json!({"data": {"label": "A"}})))],
        edges: vec![("e".to_owned(), object(json!({"source": "a", "target": "gone"})))],
        ..NewDesign::default()
    };
    create(ClientId::new(10), &new).unwrap()
}

// R-SYNC-6, R-ID-1
#[test]
fn an_edit_is_shown_and_answered_after_its_commit() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Viewer, Dialect::Stock);
    stage.ask(edit(1, node("a", json!({"data": {"label": "A"}}))));
    let append = stage.take_append().expect("at once: nothing else is under way");
    assert_eq!(stage.answer(1), None);
    assert!(stage.heard(ANA).is_empty() && stage.heard(BEN).is_empty(), "INV-3");
    assert_eq!(append.claims, [Claim { client: ClientId::new(70_001), user: None }], "nobody's");
    let [author] = &append.authors[..] else { panic!("{:?}", append.authors) };
    assert_eq!((author.user, author.wrote.len(), author.deleted.len()), (USER, 1, 0));
    assert_eq!(append.name, None);

    stage.commit(&append, 1);
    let update = ServerFrame::Update { update: append.update.clone() };
    assert_eq!((stage.heard(ANA), stage.heard(BEN)), (vec![update.clone()], vec![update]));
    let first = append.update;
    let view = design(&[&first]).view();
    let edited = stage.done(1);
    assert_eq!((edited.seq, edited.has_changed), (Seq::new(1), true));
    assert_eq!(edited.content_hash, view.content_hash());
    assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::Publish { .. })));

    // Deleting is credited to the caller, and the name follows.
    let remove = ElementPatch { upsert: Vec::new(), remove: vec!["a".to_owned()] };
    let patch = Patch { nodes: remove, meta: object(json!({"name": "Empty"})), ..Patch::default() };
    stage.wait(20);
    stage.ask(edit(2, Change::Patch(patch)));
    let append = stage.take_append().unwrap();
    assert_eq!(append.name.as_deref(), Some("Empty"));
    assert!(!append.authors[0].deleted.is_empty());
    // Nobody may go on under the server's client id.
    stage.commit(&append, 2);
    stage.effects.clear();
    let forger = Writer::new(70_001);
    forger.take(&first);
    forger.take(&append.update);
    stage.edit(ANA, &forger.name("mine"));
    stage.wait(20);
    assert_eq!(stage.refusal(ANA), Some(("foreign_client".to_owned(), true)));
    assert!(stage.take_append().is_none());
}

#[test]
fn an_edit_that_changes_nothing_is_answered_without_an_append() {
    let mut stage = Stage::loading();
    let first = shop();
    stage.input(Input::Loaded(loaded(&first)));
    let same = rename("Shop");
    stage.ask(edit(1, same));
    assert!(stage.take_append().is_none());
    let edited = stage.done(1);
    assert_eq!((edited.seq, edited.has_changed, &edited.name[..]), (Seq::new(1), false, "Shop"));
    assert_eq!(edited.content_hash, design(&[&first]).view().content_hash());
}

#[test]
fn what_is_expected_is_compared_with_the_log_in_the_same_step() {
    let first = shop();
    let hash = design(&[&first]).view().content_hash();
    let json = |content_hash| Expected::OneOf(vec![Tag::Json { content_hash }]);
    let yjs = |generation, seq| {
        Expected::OneOf(vec![Tag::Yjs { generation: Generation::new(generation), seq: Seq::new(seq) }])
    };
    for (expected, is_good) in [
        (json(hash), true),
        (yjs(0, 1), true),
        (Expected::Any, true),
        (Expected::OneOf(vec![Tag::Json { content_hash: [0; 32] }, Tag::Json { content_hash: hash }]), true),
        (json([0; 32]), false),
        (yjs(0, 0), false),
        (yjs(0, 2), false),
        (yjs(1, 1), false),
        (Expected::OneOf(Vec::new()), false),
    ] {
        let mut stage = Stage::loading();
        stage.input(Input::Loaded(loaded(&first)));
        stage.ask(Edit { expected: Some(expected.clone()), ..edit(1, rename("Market")) });
        assert_eq!(stage.take_append().is_some(), is_good, "{expected:?}");
        let refusal = EditOutcome::Stale { content_hash: hash };
        assert_eq!(stage.answer(1), (!is_good).then_some(refusal), "{expected:?}");
    }
}

#[test]
fn an_edit_behind_another_finds_what_that_one_left() {
    let mut stage = Stage::loading();
    let first = shop();
    stage.input(Input::Loaded(loaded(&first)));
    let hash = design(&[&first]).view().content_hash();
    let expected = Some(Expected::OneOf(vec![Tag::Json { content_hash: hash }]));
    stage.ask(Edit { expected: expected.clone(), ..edit(1, rename("Market")) });
    stage.ask(Edit { expected, ..edit(2, rename("Bazaar")) });
    let append = stage.take_append().unwrap();
    stage.wait(20);
    assert_eq!(stage.answer(2), None, "not compared with what can still be lost");
    stage.commit(&append, 2);
    stage.wait(20);
    let now = design(&[&first, &append.update]).view().content_hash();
    assert_eq!(stage.answer(2), Some(EditOutcome::Stale { content_hash: now }));
    assert!(stage.take_append().is_none());
    assert_eq!(stage.done(1).content_hash, now);
}

#[test]
fn frames_and_edits_take_turns() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let ana = Writer::new(100);
    let mut order = Vec::new();
    stage.edit(ANA, &ana.node("n0"));
    for round in 1..=3 {
        stage.edit(ANA, &ana.node(&format!("n{round}")));
        stage.ask(edit(round, node(&format!("r{round}"), json!({}))));
    }
    for seq in 1..20 {
        let Some(append) = stage.take_append() else { break };
        order.push(if append.authors[0].user == USER { 'e' } else { 'f' });
        stage.commit(&append, seq);
        stage.wait(20);
        stage.edit(ANA, &ana.node(&format!("more{seq}")));
    }
    let order: String = order.into_iter().collect();
    assert!(order.starts_with("fefefef"), "{order}");
}

// R-ROLE-1
#[rstest]
fn only_editors_may(#[values(DesignRole::Viewer, DesignRole::Commenter)] role: DesignRole) {
    let mut stage = Stage::live();
    stage.ask(Edit { role, ..edit(1, node("a", json!({}))) });
    assert_eq!(stage.refused(1), RefusalCode::NotPermitted);
    assert!(stage.take_append().is_none());
}

#[test]
fn limits_hold_as_for_frames() {
    let mut stage = Stage::loading();
    let nodes = (0..NODES_MAX).map(|at| (format!("n{at}"), serde_json::Map::new())).collect();
    let full = NewDesign { name: "Full".to_owned(), nodes, ..NewDesign::default() };
    stage.input(Input::Loaded(loaded(&create(ClientId::new(10), &full).unwrap())));
    stage.ask(edit(1, node("one more", json!({}))));
    assert_eq!(stage.refused(1), RefusalCode::TooMany);
    stage.wait(20);
    stage.ask(edit(2, node("n1", json!({"width": 1}))));
    assert_eq!(stage.answer(2), None, "it may still be changed");
    assert!(stage.take_append().is_some());
}

#[test]
fn what_does_not_fit_the_design_is_told_with_its_place() {
    let mut stage = Stage::loading();
    stage.input(Input::Loaded(loaded(&shop())));
    stage.ask(edit(1, node("a", json!({"data": 5}))));
    let Some(EditOutcome::Unfit { message }) = stage.answer(1) else { panic!("{:?}", stage.answer(1)) };
    assert!(message.starts_with("nodes.upsert[0].data"), "{message}");
    assert!(stage.take_append().is_none());
}

#[test]
fn edges_that_nobody_can_see_are_kept_and_told() {
    let mut stage = Stage::loading();
    let first = shop();
    stage.input(Input::Loaded(loaded(&first)));
    let edges = vec![("loose".to_owned(), object(json!({"source": "a", "target": "nobody"})))];
    let nodes = vec![("a".to_owned(), object(json!({"data": {"label": "A", "securityFlags": {}}})))];
    let whole = Replacement { nodes, edges, ..Replacement::default() };
    stage.ask(edit(1, Change::Replace(whole)));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 2);
    assert_eq!(stage.done(1).hidden_edges, [("loose".to_owned(), vec!["nobody".to_owned()])]);
    let hidden = design(&[&first, &append.update]).view().integrity.hidden_edges;
    let hidden: Vec<&str> = hidden.iter().map(|hidden| hidden.edge.id.as_str()).collect();
    assert_eq!(hidden, ["e", "loose"], "the one that nobody could see before is left alone");
}

// --- trouble

#[test]
fn an_edit_that_cannot_be_taken_up_in_time_is_certainly_not_made() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(100).node("a"));
    let stuck = stage.take_append().unwrap();
    stage.ask(edit(1, node("b", json!({}))));
    stage.wait(APPEND_SLOW_MS);
    assert_eq!(stage.answer(1), None);
    stage.wait(EDIT_WAIT_MS);
    assert_eq!(stage.turned_away(1), CloseCode::Overloaded);
    stage.commit(&stuck, 1);
    stage.wait(20);
    assert!(stage.take_append().is_none(), "it was given up");
}

#[test]
fn an_edit_in_flight_is_never_said_to_be_made_or_not_made_before_it_is_known() {
    let mut stage = Stage::live();
    stage.ask(edit(1, node("b", json!({}))));
    let append = stage.take_append().unwrap();
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "disk".to_owned() });
    stage.wait(EDIT_WAIT_MS - 1);
    assert_eq!(stage.answer(1), None);
    stage.wait(1);
    assert_eq!(stage.answer(1), Some(EditOutcome::Unknown));
    // The room tries on, under the same id, and does not go before it is known.
    let again = stage.take_append().unwrap();
    assert_eq!(again.append_id, append.append_id);
    stage.close();
    assert!(!stage.evicted(), "INV-7");
    stage.commit(&again, 1);
    assert_eq!(stage.answer(1), Some(EditOutcome::Unknown), "one answer");
    stage.close();
    assert!(stage.evicted());
}

#[test]
fn queues_are_bounded() {
    let mut stage = Stage::live();
    stage.ask(edit(0, node("a", json!({}))));
    for request in 1..=EDITS_PER_ROOM_MAX as u64 + 1 {
        stage.ask(edit(request, node("a", json!({}))));
    }
    assert_eq!(stage.turned_away(EDITS_PER_ROOM_MAX as u64 + 1), CloseCode::Overloaded);
    assert_eq!(stage.answer(EDITS_PER_ROOM_MAX as u64), None);

    let mut stage = Stage::live();
    stage.ask(edit(0, node("a", json!({}))));
    stage.ask(Edit { bytes: UNSAVED_BYTES_MAX, ..edit(1, node("a", json!({}))) });
    assert_eq!(stage.answer(1), None, "one that waits alone may be large");
    stage.ask(edit(2, node("a", json!({}))));
    assert_eq!(stage.turned_away(2), CloseCode::Overloaded);
    // With a store in trouble it gives way before anybody's socket does.
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.wait(APPEND_SLOW_MS);
    assert_eq!(stage.turned_away(1), CloseCode::Overloaded);
    assert_eq!(stage.close_of(ANA), None);
}

#[rstest]
fn an_edit_at_which_the_document_fails_harms_nobody(#[values(poison::PANICS, poison::FAILS)] text: &str) {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.ask(edit(1, rename(text)));
    assert_eq!(stage.refused(1), RefusalCode::Rejected);
    assert!(stage.take_append().is_none());
    let kept = |effect: &Effect| matches!(effect, Effect::Quarantine(kept) if kept.mark.user == USER);
    assert!(stage.effects.iter().any(kept));
    // While the document is made anew edits wait like everybody.
    stage.edit(ANA, &Writer::new(100).node("a"));
    stage.ask(edit(2, node("b", json!({}))));
    stage.wait(20);
    assert!(stage.take_append().is_none());
    stage.input(Input::Loaded(empty()));
    let mut appends = Vec::new();
    for seq in 1..=2 {
        stage.wait(20);
        let append: Append = stage.take_append().unwrap();
        stage.commit(&append, seq);
        appends.push(append.update);
    }
    assert!(stage.done(2).has_changed);
    assert_eq!(design(&appends.iter().collect::<Vec<_>>()).view().nodes.len(), 2);
    assert_eq!(stage.close_of(ANA), None);
}

#[test]
fn a_commit_that_arrives_while_the_document_is_away_is_answered_when_it_is_back() {
    let mut stage = Stage::live();
    stage.ask(edit(1, node("b", json!({}))));
    let append = stage.take_append().unwrap();
    // Damage elsewhere: another server's row that nobody can apply.
    stage.input(Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(1),
        update: Bytes::from_static(&[9, 9]),
        claims: Vec::new(),
    });
    assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::Load)));
    stage.commit(&append, 2);
    assert_eq!(stage.answer(1), None);
    let other = Writer::new(100).node("a");
    let rows = [(1, other), (2, append.update)];
    let rows = rows.map(|(seq, update)| LogRow { seq: Seq::new(seq), update, claims: Vec::new() });
    stage.input(Input::Loaded(Loaded { tail: rows.to_vec(), ..empty() }));
    assert_eq!(stage.done(1).seq, Seq::new(2));
}

#[test]
fn an_edit_waits_until_the_log_is_known_without_a_hole() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    let (first, second) = (Writer::new(100).node("a"), Writer::new(200).node("b"));
    stage.input(Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(2),
        update: second,
        claims: Vec::new(),
    });
    let tag = Tag::Yjs { generation: Generation::new(0), seq: Seq::new(2) };
    stage.ask(Edit { expected: Some(Expected::OneOf(vec![tag])), ..edit(1, rename("x")) });
    assert!(stage.answer(1).is_none() && stage.take_append().is_none());
    stage.wait(60);
    let row = LogRow { seq: Seq::new(1), update: first, claims: Vec::new() };
    stage.input(Input::CaughtUp { rows: vec![row] });
    stage.wait(20);
    assert!(stage.take_append().is_some());
}

// --- coming and going

#[test]
fn a_room_that_stops_makes_what_it_has_taken_up_and_turns_the_rest_away() {
    let mut stage = Stage::live();
    stage.ask(edit(1, node("a", json!({}))));
    stage.ask(edit(2, node("b", json!({}))));
    let first = stage.take_append().unwrap();
    stage.input(Input::Drain);
    stage.ask(edit(3, node("c", json!({}))));
    assert_eq!(stage.turned_away(3), CloseCode::Restarting);
    assert!(!stage.evicted());
    stage.commit(&first, 1);
    stage.wait(20);
    assert!(!stage.evicted(), "INV-7: an edit that waits is unsaved work");
    let second = stage.take_append().unwrap();
    stage.commit(&second, 2);
    assert_eq!((stage.done(1).seq, stage.done(2).seq), (Seq::new(1), Seq::new(2)));
    assert!(stage.evicted());
}

#[test]
fn edits_of_a_design_that_is_gone_are_told_so() {
    let mut stage = Stage::live();
    stage.ask(edit(1, node("a", json!({}))));
    stage.ask(edit(2, node("b", json!({}))));
    stage.input(Input::Deleted);
    stage.ask(edit(3, node("c", json!({}))));
    for request in 1..=3 {
        assert_eq!(stage.turned_away(request), CloseCode::NoSuchDesign);
    }
}

#[test]
fn a_room_that_cannot_be_loaded_says_why() {
    let mut stage = Stage::loading();
    stage.ask(edit(1, node("a", json!({}))));
    assert_eq!(stage.turned_away(1), CloseCode::Overloaded);
    stage.input(Input::LoadFailed { reason: "the store is unavailable".to_owned() });
    stage.ask(edit(2, node("a", json!({}))));
    let expected = EditOutcome::TurnedAway {
        code: CloseCode::Overloaded,
        reason: "the store is unavailable".to_owned(),
    };
    assert_eq!(stage.answer(2), Some(expected));
}

#[test]
fn a_room_that_only_edits_keep_open_goes_when_they_end() {
    let mut stage = Stage::live();
    stage.wait(IDLE_EVICT_MS - 1);
    stage.ask(edit(1, node("a", json!({}))));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 1);
    stage.wait(IDLE_EVICT_MS - 1);
    assert!(!stage.evicted(), "whoever edits like this comes back soon");
    stage.wait(1);
    assert!(stage.evicted());
}
