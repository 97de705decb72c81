//! A room's own life: a store in trouble, idleness, the end; and who is here.

use atlas_crdt::ids::{AppendId, Seq};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;

use crate::stage::{ANA, BEN, EVE, Stage, Writer, empty};

// R-NOTE-2, R-SLOW-6
#[test]
fn a_store_in_trouble_is_told_retried_and_forgotten() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(100).name("x"));
    let append = stage.take_append().unwrap();
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "disk full".into() });
    let heard = stage.heard(BEN);
    assert!(
        matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["type"] == "store.degraded"),
        "{heard:?}"
    );
    stage.wait(limits::APPEND_RETRY_MAX_MS * 2);
    let again = stage.take_append().expect("tried again");
    assert_eq!((again.append_id, &again.update), (append.append_id, &append.update));
    stage.effects.clear();
    stage.commit(&again, 1);
    let heard = stage.heard(BEN);
    assert!(
        matches!(&heard[0], ServerFrame::Notice(notice) if notice["type"] == "store.healthy"),
        "{heard:?}"
    );
    assert!(matches!(heard[1..], [ServerFrame::Update { .. }]));
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
}

// R-CLOSE-9
#[test]
fn what_the_log_refuses_sends_everybody_to_a_new_room() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(100).name("x"));
    let append = stage.take_append().unwrap();
    assert_eq!(append.after, stage.room.stats().head);
    stage.input(Input::AppendRefused { append_id: AppendId::from_u128(1) });
    assert_eq!(stage.close_of(ANA), None, "that was another one");
    stage.effects.clear();
    stage.input(Input::AppendRefused { append_id: append.append_id });
    for conn in [ANA, BEN] {
        assert_eq!(stage.close_of(conn), Some(CloseCode::Overloaded));
        let heard = stage.heard(conn);
        assert!(
            !heard.iter().any(|frame| matches!(frame, ServerFrame::Saved(_) | ServerFrame::Update { .. }))
        );
    }
    stage.wait(2_000);
    assert!(stage.room.is_closed(), "the next room reads the log");
}

// R-SLOW-6
#[test]
fn past_the_unsaved_budget_everybody_is_sent_away_with_their_edits() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.name("x"));
    let append = stage.take_append().unwrap();
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "gone".into() });
    let big = "x".repeat(900_000);
    let mut sent = 0;
    while stage.close_of(ANA).is_none() {
        assert!(stage.room.accepts_frames(), "presence still flows");
        stage.edit(ANA, &writer.name(&big));
        sent += big.len();
        assert!(sent < limits::UNSAVED_BYTES_MAX + 2 * big.len(), "INV-6");
    }
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Overloaded));
    stage.effects.clear();
    stage.join(BEN, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(BEN), Some(CloseCode::Overloaded));
    stage.wait(limits::APPEND_RETRY_MAX_MS);
    let append = stage.take_append().expect("the one append in flight is tried again");
    stage.commit(&append, 1);
    stage.join(EVE, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(EVE), None);
}

// R-SLOW-4
#[test]
fn a_healthy_but_busy_store_stops_the_reading_instead() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    let big = "x".repeat(900_000);
    for _ in 0..4 {
        stage.edit(ANA, &writer.name(&big));
    }
    assert!(!stage.room.accepts_frames());
    let append = stage.take_append().unwrap();
    stage.commit(&append, 1);
    assert!(stage.room.accepts_frames());
}

#[test]
fn an_idle_room_goes_and_an_unsaved_one_stays() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    stage.edit(ANA, &Writer::new(100).name("x"));
    stage.input(Input::Leave { conn: ANA });
    let append = stage.take_append().unwrap();
    stage.wait(limits::IDLE_EVICT_MS * 3);
    assert!(!stage.evicted(), "INV-7");
    stage.commit(&append, 1);
    stage.wait(1);
    assert!(stage.evicted());
    assert!(stage.room.is_closed());
}

// R-CLOSE-5
#[test]
fn draining_sends_everybody_away_and_flushes() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.node("a"));
    stage.edit(ANA, &writer.node("b"));
    stage.input(Input::Drain);
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Restarting));
    let first = stage.take_append().unwrap();
    stage.join(BEN, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(BEN), Some(CloseCode::Restarting));
    stage.commit(&first, 1);
    stage.wait(10);
    assert!(!stage.evicted(), "b still waits");
    let second = stage.take_append().unwrap();
    stage.commit(&second, 2);
    stage.wait(1);
    assert!(stage.evicted());
}

// R-HAND-10
#[test]
fn a_failed_load_refuses_the_joiners_and_never_serves_an_empty_document() {
    let damaged = LogRow { seq: Seq::new(1), update: Bytes::from_static(&[1, 1, 1]), claims: Vec::new() };
    for (input, code) in [
        (Input::LoadFailed { reason: "away".into() }, CloseCode::Overloaded),
        (Input::NoSuchDesign, CloseCode::NoSuchDesign),
        (Input::Loaded(Loaded { tail: vec![damaged], ..empty() }), CloseCode::Overloaded),
    ] {
        let mut stage = Stage::loading();
        assert!(!stage.room.accepts_frames(), "joins wait for the load");
        stage.input(input);
        stage.join(ANA, DesignRole::Owner, Dialect::Atlas);
        assert_eq!(stage.close_of(ANA), Some(code));
        stage.wait(5_000);
        assert!(stage.evicted(), "the next joiner tries the store again");
    }
}

// R-CLOSE-6
#[test]
fn a_deleted_design_sends_everybody_away_for_good() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.input(Input::Deleted);
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["type"] == "deleted"), "{heard:?}");
    assert_eq!(stage.close_of(ANA), Some(CloseCode::NoSuchDesign));
}

// R-PRES-3, R-PRES-4, R-PRES-6, R-PRES-8
#[test]
fn presence_is_coalesced_and_a_leaver_vanishes_at_once() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Viewer, Dialect::Stock);
    stage.sync(BEN, DesignRole::Editor, Dialect::Stock);
    let awareness = |clock: u8| {
        let json = format!("{{\"x\":{clock}}}");
        let mut update = vec![1, 77, clock, u8::try_from(json.len()).unwrap()];
        update.extend_from_slice(json.as_bytes());
        ClientFrame::Awareness { update: update.into() }
    };
    stage.frame(ANA, awareness(1));
    assert_eq!(stage.heard(BEN).len(), 1, "the first one after quiet leaves at once");
    stage.frame(ANA, awareness(2));
    stage.frame(ANA, awareness(3));
    assert_eq!(stage.heard(BEN).len(), 0);
    stage.wait(limits::AWARENESS_TICK_MS);
    let heard = stage.heard(BEN);
    let [ServerFrame::Awareness { update }] = &heard[..] else { panic!("{heard:?}") };
    assert!(update.windows(7).any(|part| part == b"{\"x\":3}"), "the latest wins");
    stage.frame(BEN, ClientFrame::QueryAwareness);
    assert!(
        matches!(stage.heard(BEN)[..], [ServerFrame::Awareness { .. }]),
        "whoever asks is told who is here"
    );
    stage.input(Input::Leave { conn: ANA });
    let heard = stage.heard(BEN);
    let [ServerFrame::Awareness { update }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(&update[..], [&[1, 77, 3, 4][..], b"null"].concat(), "removed at the clock last seen");
    stage.frame(BEN, ClientFrame::QueryAwareness);
    assert_eq!(stage.heard(BEN), [], "nobody is here");
}
