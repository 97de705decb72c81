//! Edits: what is shown, saved and acknowledged, and in which order.

use std::sync::Arc;

use atlas_crdt::design::DesignDoc;
use atlas_crdt::ids::{ClientId, Generation, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Claim, Dialect, Effect, FrameKind, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, ServerFrame, decode_server};
use bytes::Bytes;
use yrs::{Map, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Stage, Writer, is_step2_with, step1};

// R-HAND-7, R-NOTE-1
#[test]
fn a_joiner_is_greeted_and_asked_for_what_it_has() {
    let mut stage = Stage::live();
    stage.join(ANA, DesignRole::Editor, Dialect::Atlas);
    let heard = stage.heard(ANA);
    let [ServerFrame::Notice(hello), ServerFrame::SyncStep1 { .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(
        (hello["type"].as_str(), hello["role"].as_str(), hello["epoch"].as_u64(), hello["seq"].as_u64()),
        (Some("hello"), Some("editor"), Some(3), Some(0))
    );
    stage.join(BEN, DesignRole::Editor, Dialect::Stock);
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "no notices for stock clients: {heard:?}");
}

// R-SYNC-6, R-COUNT-1, R-COUNT-2
#[test]
fn nothing_is_shown_or_acknowledged_before_the_commit() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    let edit = Writer::new(100).name("Checkout");
    stage.edit(ANA, &edit);
    let append = stage.take_append().expect("the first edit after quiet leaves at once");
    assert_eq!((append.update.clone(), append.name.clone()), (edit.clone(), Some("Checkout".into())));
    stage.wait(1);
    assert_eq!((stage.heard(ANA), stage.heard(BEN)), (vec![], vec![]), "INV-2, INV-3");
    stage.commit(&append, 1);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(2)], "the SyncStep2 and the edit");
    assert_eq!(stage.heard(BEN), [ServerFrame::Update { update: edit }]);
    let published =
        stage.effects.iter().any(|effect| matches!(effect, Effect::Publish { seq, .. } if seq.get() == 1));
    assert!(published);
}

// R-SYNC-4, R-SYNC-5
#[test]
fn a_joiner_waits_for_the_edit_in_flight() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.name("one"));
    let append = stage.take_append().unwrap();
    stage.join(BEN, DesignRole::Editor, Dialect::Stock);
    stage.frame(BEN, step1(&StateVector::default()));
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "{heard:?}");
    stage.edit(ANA, &writer.name("two"));
    stage.wait(10);
    assert!(stage.take_append().is_none(), "one append at a time");
    let known = writer.everything();
    stage.commit(&append, 1);
    let heard = stage.heard(BEN);
    let [ServerFrame::SyncStep2 { update }] = &heard[..] else { panic!("{heard:?}") };
    let reader = Writer::new(300);
    reader.take(update);
    let meta = reader.0.get_or_insert_map("meta");
    assert_eq!(
        meta.get(&reader.0.transact(), "name").unwrap().to_string(&reader.0.transact()),
        "one",
        "INV-3"
    );
    let append = stage.take_append().expect("what waited goes next");
    stage.commit(&append, 2);
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::Update { .. }]), "each edit once: {heard:?}");
    assert!(!is_step2_with(&heard[0], &known));
}

// R-SYNC-5, R-COUNT-3
#[test]
fn a_busy_room_folds_what_waits_into_one_append() {
    let mut stage = Stage::live();
    for conn in [ANA, BEN, EVE] {
        stage.sync(conn, DesignRole::Editor, Dialect::Atlas);
    }
    let (ana, ben) = (Writer::new(100), Writer::new(200));
    stage.edit(ANA, &ana.node("a"));
    let first = stage.take_append().unwrap();
    stage.edit(BEN, &ben.node("b"));
    stage.edit(ANA, &ana.node("c"));
    stage.commit(&first, 1);
    stage.effects.retain(|effect| matches!(effect, Effect::Append(_)));
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let second = stage.take_append().unwrap();
    assert_eq!(second.authors.len(), 2, "the log knows who wrote what");
    stage.commit(&second, 2);
    assert!(matches!(stage.heard(EVE)[..], [ServerFrame::Update { .. }]), "one frame for two edits");
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)));
    assert!(stage.heard(BEN).contains(&ServerFrame::Saved(2)));
}

// R-SYNC-9, R-COUNT-4
#[test]
fn an_edit_that_adds_nothing_is_acknowledged_without_an_append() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let edit = Writer::new(100).name("x");
    stage.edit(ANA, &edit);
    let append = stage.take_append().unwrap();
    stage.edit(ANA, &edit);
    stage.commit(&append, 1);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
    stage.wait(20);
    assert!(stage.take_append().is_none());
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(3)]);
}

// R-SYNC-12
#[test]
fn a_repeated_sync_step_2_appends_only_what_is_new() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    for edit in [writer.node("a"), writer.node("b"), writer.delete("a")] {
        stage.edit(ANA, &edit);
        if let Some(append) = stage.take_append() {
            stage.commit(&append, 1);
        }
        stage.wait(20);
        if let Some(append) = stage.take_append() {
            stage.commit(&append, 2);
        }
    }
    let whole = writer.everything();
    let new = writer.node("c");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: writer.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    assert!(append.update.len() < whole.len(), "{} of {} bytes", append.update.len(), whole.len());
    assert_eq!(append.update.len(), new.len());
    assert_eq!(append.authors[0].deleted, [], "old deletions are nobody's new ones");
}

#[test]
fn other_pods_commits_are_shown_in_order_and_holes_are_filled_from_the_log() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let far = Writer::new(500);
    let rows: Vec<Bytes> = ["a", "b", "c"].iter().map(|id| far.node(id)).collect();
    let remote = |seq: u64| Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(seq),
        update: rows[usize::try_from(seq).unwrap() - 1].clone(),
        claims: Vec::new(),
    };
    stage.input(remote(1));
    stage.input(remote(1));
    assert_eq!(stage.heard(ANA), [ServerFrame::Update { update: rows[0].clone() }], "once");
    stage.input(remote(3));
    assert_eq!(stage.heard(ANA), [], "a hole below it");
    stage.wait(limits::HOLE_WAIT_MS);
    let asked =
        stage.effects.iter().any(|effect| matches!(effect, Effect::CatchUp { after } if after.get() == 1));
    assert!(asked);
    stage.input(Input::CaughtUp {
        rows: vec![LogRow { seq: Seq::new(2), update: rows[1].clone(), claims: Vec::new() }],
    });
    assert_eq!(stage.heard(ANA).len(), 2);
    assert_eq!(stage.room.stats().head, Seq::new(3));
}

// R-SYNC-11
#[test]
fn a_hole_whose_rows_are_folded_is_filled_from_the_snapshot() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let ours = Writer::new(100);
    stage.edit(ANA, &ours.node("ours"));
    let append = stage.take_append().unwrap();
    // Two commits of another server that the bus has lost, ours after them, and all of it is folded by now.
    stage.commit(&append, 3);
    stage.wait(100);
    stage.effects.clear();
    stage.input(Input::LogFolded);
    assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::Load)), "{:?}", stage.effects);

    let theirs = Writer::new(500);
    let rows = [theirs.node("one"), theirs.node("two"), append.update];
    let folded = DesignDoc::load(ClientId::new(9), rows.iter().map(|row| &row[..])).unwrap();
    let claims =
        [100, 500].map(|id| Claim { client: ClientId::new(id), user: Some(UserId::from_u128(id.into())) });
    stage.effects.clear();
    stage.input(Input::Loaded(Loaded {
        snapshot: Some((Seq::new(3), folded.encode())),
        claims: claims.to_vec(),
        ..Loaded::default()
    }));
    assert_eq!(stage.room.stats().head, Seq::new(3));
    let heard = stage.heard(ANA);
    let [ServerFrame::Update { update }] = &heard[..] else { panic!("{heard:?}") };
    ours.take(update);
    let all = DesignDoc::load(ClientId::new(9), [&ours.everything()[..]]).unwrap();
    assert_eq!(all.view(), folded.view(), "what was lost arrives in one piece");
}

// R-SLOW-1
#[test]
fn a_slow_reader_gets_the_difference_in_one_piece() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    stage.sync(BEN, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    let reader = Writer::new(300);
    for (seq, id) in ["a", "b", "c"].into_iter().enumerate() {
        stage.edit(ANA, &writer.node(id));
        let append = stage.take_append().unwrap();
        stage.effects.clear();
        stage.commit(&append, seq as u64 + 1);
        let frames = stage.effects.iter().find_map(|effect| match effect {
            Effect::Send { kind: FrameKind::Document { since }, to, frame } => {
                Some((Arc::clone(since), to.contains(&BEN), frame.clone()))
            }
            _ => None,
        });
        match (id, frames) {
            ("a", Some((_, true, frame))) => {
                let ServerFrame::Update { update } = decode_server(&frame).unwrap() else { panic!() };
                reader.take(&update);
            }
            ("b", Some((since, true, _))) => stage.input(Input::Lagged { conn: BEN, since }),
            ("c", frames) => assert!(frames.is_none(), "a lagging reader gets no document frames"),
            other => panic!("{other:?}"),
        }
        stage.wait(20);
    }
    stage.effects.clear();
    stage.wait(1_000);
    assert_eq!(stage.heard(BEN), [], "nothing while it is not writable");
    stage.input(Input::Writable { conn: BEN });
    let heard = stage.heard(BEN);
    let [ServerFrame::Update { update }] = &heard[..] else { panic!("{heard:?}") };
    assert!(update.len() < writer.everything().len(), "the difference only");
    reader.take(update);
    assert_eq!(reader.everything(), writer.everything());
    stage.edit(ANA, &writer.node("d"));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 4);
    assert!(matches!(stage.heard(BEN)[..], [ServerFrame::Update { .. }]), "and then every edit again");
}

// R-SYNC-11
#[test]
fn our_own_commit_above_one_that_the_bus_lost_has_the_log_asked() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    stage.edit(ANA, &Writer::new(100).node("ours"));
    let append = stage.take_append().unwrap();
    // Another server was faster, and nobody told us.
    stage.commit(&append, 2);
    stage.wait(100);
    let asked = |effect: &Effect| matches!(effect, Effect::CatchUp { after } if after.get() == 0);
    assert!(stage.effects.iter().any(asked), "{:?}", stage.effects);
    let theirs = Writer::new(500).node("theirs");
    let rows = vec![
        LogRow { seq: Seq::new(1), update: theirs.clone(), claims: Vec::new() },
        LogRow { seq: Seq::new(2), update: append.update, claims: append.claims },
    ];
    stage.input(Input::CaughtUp { rows });
    assert_eq!(stage.room.stats().head, Seq::new(2));
    assert!(stage.heard(ANA).contains(&ServerFrame::Update { update: theirs }));
}
