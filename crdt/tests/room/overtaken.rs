//! What a room does when another pod was faster: no clock is written twice into a log, and no client id belongs to two.

use atlas_crdt::ids::{ClientId, ConnId, Generation, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, Dialect, Input, Loaded, LogRow};
use atlas_crdt::wire::{CloseCode, ServerFrame};
use bytes::Bytes;

use crate::repair::{remote, row};
use crate::stage::{ANA, BEN, Stage, Writer, empty};

/// How a room hears that another pod has logged something else under the same clocks as its append in flight.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// By the store's answer.
    ByAnswer,
    /// By the bus, before the store has answered.
    ByBusFirst,
    /// By the bus, while nobody knows what became of the append.
    InDoubt,
}

impl Stage {
    /// `other` stands at the append's place.
    fn overtake(&mut self, append: &Append, other: &Bytes, told: Told) {
        let append_id = append.append_id;
        match told {
            Told::ByAnswer => self.input(Input::AppendOvertaken { append_id }),
            Told::ByBusFirst => {
                self.input(remote(1, other));
                assert!(!self.loads(), "one append at a time: its answer is awaited");
                self.input(Input::AppendOvertaken { append_id });
            }
            Told::InDoubt => {
                self.input(Input::AppendFailed { append_id, reason: "who knows".to_owned() });
                self.input(remote(1, other));
            }
        }
        assert!(self.loads(), "the document holds what the log does not");
        self.input(Input::Loaded(Loaded { tail: vec![row(1, other)], ..empty() }));
        assert!(self.asks_log(), "before anything is judged again");
        self.input(Input::CaughtUp { rows: Vec::new() });
        self.wait(limits::FLUSH_INTERVAL_MS);
    }

    /// The keys of a root as a fresh client gets them.
    fn keys_of(&mut self, root: &str) -> Vec<String> {
        use yrs::{Map, Transact};
        let eve = ConnId::new(9);
        self.join(eve, DesignRole::Viewer, Dialect::Stock);
        self.frame(eve, crate::stage::step1(&yrs::StateVector::default()));
        let heard = self.heard(eve);
        let Some(ServerFrame::SyncStep2 { update }) = heard.last() else { panic!("{heard:?}") };
        let fresh = Writer::new(8);
        fresh.take(update);
        let map = fresh.0.get_or_insert_map(root);
        let mut keys: Vec<_> = map.keys(&fresh.0.transact()).map(str::to_owned).collect();
        keys.sort_unstable();
        keys
    }
}

// R-SYNC-8
#[test]
fn of_two_under_the_same_clocks_the_first_in_the_log_counts_for_everybody() {
    let (one, other) = (Writer::new(100).node("one"), Writer::new(100).node("other"));
    for told in [Told::ByAnswer, Told::ByBusFirst, Told::InDoubt] {
        let mut stage = Stage::with_two();
        let append = stage.flight(ANA, &one);
        stage.overtake(&append, &other, told);
        assert!(stage.take_append().is_none(), "nothing of it is new to the log");
        assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
        assert!(!stage.shown(BEN).contains(&one), "{told:?}");
        assert_eq!(stage.keys_of("nodes"), ["other"]);
    }
}

// R-SYNC-8
#[test]
fn who_writes_two_things_at_two_pods_is_sent_away_alone() {
    use yrs::{Map, MapPrelim, Transact};
    let forked = |value: bool| {
        let writer = Writer::new(100);
        let meta = writer.0.get_or_insert_map("meta");
        let mut txn = writer.0.transact_mut();
        if value {
            meta.insert(&mut txn, "k", true);
        } else {
            // What stands inside it has no place in the other's document.
            meta.insert(&mut txn, "k", MapPrelim::from([("inside", true)]));
        }
        Bytes::from(txn.encode_update_v1())
    };
    for told in [Told::ByAnswer, Told::ByBusFirst, Told::InDoubt] {
        let mut stage = Stage::with_two();
        stage.wait(limits::FLUSH_INTERVAL_MS);
        let innocent = Writer::new(200).node("innocent");
        stage.edit(ANA, &forked(false));
        stage.edit(BEN, &innocent);
        stage.wait(limits::FLUSH_INTERVAL_MS);
        let append = stage.take_append().unwrap();
        stage.overtake(&append, &forked(true), told);
        // Ben did not wait for her.
        let again = stage.take_append().unwrap();
        assert_eq!((&again.update, again.after), (&innocent, Seq::new(1)));
        stage.commit(&again, 2);
        stage.wait(limits::FLUSH_INTERVAL_MS);
        assert!(stage.close_of(ANA).is_some() && stage.close_of(BEN).is_none(), "{told:?}");
        assert!(stage.take_append().is_none());
        assert!(stage.heard(BEN).contains(&ServerFrame::Saved(2)));
        assert_eq!(stage.keys_of("nodes"), ["innocent"]);
        assert_eq!(stage.keys_of("meta"), ["k"]);
    }
}

// R-SYNC-8
#[test]
fn an_append_that_the_log_has_already_from_another_pod_is_not_made_again() {
    let one = Writer::new(100).node("one");
    let mut stage = Stage::with_two();
    let append = stage.flight(ANA, &one);
    stage.input(remote(1, &one));
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)), "it is in the log");
    assert_eq!(stage.shown(BEN), [one]);
    stage.input(Input::AppendOvertaken { append_id: append.append_id });
    stage.wait(1_000);
    assert!(!stage.loads() && stage.take_append().is_none());
    assert!(!stage.room.stats().has_unsaved);
}

/// The frames of a socket are settled in their order, whatever became of those that were judged together.
// R-COUNT-2
#[test]
fn nothing_behind_a_frame_that_gave_way_is_settled_before_it() {
    let mut stage = Stage::with_two();
    let first = stage.flight(BEN, &Writer::new(200).node("before"));
    // Both wait for the commit before, and are judged together: the second adds nothing.
    let one = Writer::new(100).node("one");
    stage.edit(ANA, &one);
    stage.edit(ANA, &Bytes::from_static(&[0, 0]));
    stage.commit(&first, 1);
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let append = stage.take_append().unwrap();
    stage.effects.clear();
    stage.input(Input::AppendOvertaken { append_id: append.append_id });
    assert!(stage.loads());
    assert!(!stage.heard(ANA).iter().any(|frame| matches!(frame, ServerFrame::Saved(_))), "it is nowhere");
    let theirs = Writer::new(300).node("theirs");
    let tail = vec![row(1, &Writer::new(200).node("before")), row(2, &theirs)];
    stage.input(Input::Loaded(Loaded { tail, ..empty() }));
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let again = stage.take_append().unwrap();
    assert_eq!((&again.update, again.after), (&one, Seq::new(2)));
    assert!(!stage.heard(ANA).iter().any(|frame| matches!(frame, ServerFrame::Saved(_))), "nor now");
    stage.commit(&again, 3);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)), "all of it");
}

/// What the log was asked for meanwhile stands behind what gave way.
// R-COUNT-2
#[test]
fn a_frame_that_builds_on_one_that_gave_way_waits_for_it() {
    let mut stage = Stage::with_two();
    let first = stage.flight(BEN, &Writer::new(200).node("before"));
    let ana = Writer::new(100);
    let (elsewhere, one) = (Writer::new(400).node("elsewhere"), ana.node("one"));
    ana.take(&elsewhere);
    // It builds on what this pod has not heard of: the log is asked.
    let other = ana.delete("elsewhere");
    let two = ana.node("two");
    let both = yrs::merge_updates_v1([&other[..], &two[..]]).unwrap();
    stage.edit(ANA, &one);
    stage.edit(ANA, &both.into());
    stage.commit(&first, 1);
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let append = stage.take_append().unwrap();
    assert_eq!(append.update, one);
    assert!(stage.asks_log(), "for what the second builds on");
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.effects.clear();
    stage.input(Input::AppendOvertaken { append_id: append.append_id });
    assert!(stage.loads());
    let tail = vec![row(1, &Writer::new(200).node("before")), row(2, &elsewhere)];
    stage.input(Input::Loaded(Loaded { tail, ..empty() }));
    stage.wait(limits::FLUSH_INTERVAL_MS);
    assert!(stage.take_append().is_none(), "not without the first");
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let again = stage.take_append().unwrap();
    stage.commit(&again, 3);
    stage.wait(limits::FLUSH_INTERVAL_MS);
    if let Some(more) = stage.take_append() {
        stage.commit(&more, 4);
    }
    let heard = stage.heard(ANA);
    assert!(heard.contains(&ServerFrame::Saved(3)), "{heard:?}");
    assert_eq!(stage.keys_of("nodes"), ["before", "one", "two"]);
}

/// Somebody else's row with the very bytes of ours says whose the id is.
// R-ID-1
#[test]
fn the_same_bytes_of_somebody_else_are_somebody_elses() {
    let one = Writer::new(100).node("one");
    let mut stage = Stage::with_two();
    let append = stage.flight(ANA, &one);
    let bens = Claim { client: ClientId::new(100), user: Some(UserId::from_u128(u128::from(BEN.get()))) };
    let row = LogRow { claims: vec![bens], ..row(1, &one) };
    stage.input(Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(1),
        update: one,
        claims: vec![bens],
    });
    assert!(!stage.heard(ANA).iter().any(|frame| matches!(frame, ServerFrame::Saved(_))));
    stage.input(Input::AppendOvertaken { append_id: append.append_id });
    assert!(stage.loads());
    stage.input(Input::Loaded(Loaded { tail: vec![row], claims: vec![bens], ..empty() }));
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.wait(limits::FLUSH_INTERVAL_MS);
    // She goes on under his id, and is refused.
    stage.effects.clear();
    let writer = Writer::new(100);
    writer.node("one");
    stage.edit(ANA, &writer.node("more"));
    stage.wait(limits::FLUSH_INTERVAL_MS);
    assert!(stage.asks_log(), "before she is refused");
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.wait(limits::FLUSH_INTERVAL_MS);
    assert_eq!(stage.refusal(ANA), Some(("foreign_client".to_owned(), true)));
}

#[test]
fn a_log_that_never_takes_what_it_should_ends_the_room() {
    let mut stage = Stage::with_two();
    let mut append = stage.flight(ANA, &Writer::new(100).node("one"));
    for _ in 0..100 {
        stage.input(Input::AppendOvertaken { append_id: append.append_id });
        if let Some(code) = stage.close_of(ANA) {
            assert_eq!(code, CloseCode::Overloaded);
            return;
        }
        assert!(stage.loads());
        stage.input(Input::Loaded(empty()));
        assert!(stage.asks_log());
        stage.input(Input::CaughtUp { rows: Vec::new() });
        stage.wait(limits::FLUSH_INTERVAL_MS);
        append = stage.take_append().unwrap();
    }
    panic!("it goes on for ever");
}
