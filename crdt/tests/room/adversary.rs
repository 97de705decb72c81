//! Whoever looks for the seams between flushes, rebuilds, questions to the log and presence.

#![expect(clippy::cast_possible_truncation, reason = "small numbers become bytes of messages")]

use atlas_crdt::ids::{ClientId, ConnId, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Effect, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, ServerFrame};
use bytes::Bytes;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Stage, Writer, empty, step1};

fn user(conn: ConnId) -> UserId {
    UserId::from_u128(u128::from(conn.get()))
}

/// Deletes of one client one range.
fn delete_of(client: u8, clock: u8, len: u8) -> Bytes {
    vec![0, 1, client, 1, clock, len].into()
}

#[test]
fn a_commenter_does_not_delete_what_an_editor_writes_in_the_same_flush() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Commenter, Dialect::Atlas);
    let (ana, eve) = (Writer::new(100), Writer::new(44));
    // Eve keeps the log busy with a comment of her own.
    let comment = {
        let comments = eve.0.get_or_insert_map("comments");
        let mut txn = eve.0.transact_mut();
        comments.insert(&mut txn, "c", "hi");
        Bytes::from(txn.encode_update_v1())
    };
    stage.edit(EVE, &comment);
    let first = stage.take_append().unwrap();
    stage.edit(ANA, &ana.node("hers")); // 100: clock 0
    stage.edit(EVE, &delete_of(100, 0, 1)); // guessed
    stage.commit(&first, 1);
    stage.wait(20);
    let second = stage.take_append().unwrap();
    let deleted: Vec<_> = second.authors.iter().filter(|a| a.user == user(EVE)).collect();
    assert!(deleted.is_empty(), "INV-5: a commenter deleted {deleted:?}");
}

/// Awareness about eight ids that come, and the eight of the frame before that go.
fn churn(frame: u32) -> Vec<u8> {
    let id = |n: u32, out: &mut Vec<u8>| {
        let n = n + (1 << 21);
        let low = [0, 7, 14].map(|bits| (n >> bits & 127) as u8 | 128);
        out.extend(low);
        out.push((n >> 21) as u8);
    };
    let mut update = vec![if frame == 0 { 8 } else { 16 }];
    for n in (frame.saturating_sub(1) * 8..frame * 8).take(8) {
        id(n, &mut update);
        update.extend(b"\x02\x04null");
    }
    for n in frame * 8..frame * 8 + 8 {
        id(n, &mut update);
        update.extend(b"\x01\x02{}");
    }
    update
}

#[test]
fn announcements_are_bounded() {
    let mut stage = Stage::live();
    stage.sync(EVE, DesignRole::Commenter, Dialect::Atlas);
    let mut announced = 0;
    let mut bytes = 0;
    for frame in 0..1000_u32 {
        let update = churn(frame);
        bytes += update.len();
        stage.frame(EVE, ClientFrame::Awareness { update: update.into() });
        announced += stage.effects.iter().filter(|e| matches!(e, Effect::Announce { .. })).count();
        stage.effects.clear();
    }
    println!("{announced} store writes asked for by {bytes} bytes of one commenter, in no time at all");
    assert!(announced <= 2 * limits::ANNOUNCED_IDS_PER_USER_MAX, "{announced}");
}

#[test]
fn churn_does_not_keep_others_out_of_presence() {
    let mut stage = Stage::live();
    stage.sync(EVE, DesignRole::Viewer, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    for frame in 0..1100_u32 {
        let update = churn(frame);
        stage.frame(EVE, ClientFrame::Awareness { update: update.into() });
    }
    stage.effects.clear();
    // Ben, an editor, announces himself in the same tick.
    stage.frame(BEN, ClientFrame::Awareness { update: vec![1, 77, 1, 2, b'{', b'}'].into() });
    let announced = stage
        .effects
        .iter()
        .any(|e| matches!(e, Effect::Announce { client, .. } if *client == ClientId::new(77)));
    assert!(announced, "one viewer keeps an editor's announcement out");
}

#[test]
fn a_promoted_viewer_keeps_the_id_he_announced() {
    let mut stage = Stage::live();
    stage.sync(EVE, DesignRole::Viewer, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Viewer, Dialect::Atlas);
    let ann = |stage: &mut Stage, conn, clock| {
        stage.frame(conn, ClientFrame::Awareness { update: vec![1, 77, clock, 2, b'{', b'}'].into() });
    };
    ann(&mut stage, BEN, 1);
    stage.input(Input::RoleChanged { user: user(BEN), role: Some(DesignRole::Editor) });
    ann(&mut stage, BEN, 2);
    let stored = stage.effects.iter().any(|e| matches!(e, Effect::Announce { .. }));
    eprintln!("stored after the promotion: {stored}");
    // He goes offline (laptop), works, and is away for eleven minutes.
    stage.input(Input::Leave { conn: BEN });
    for _ in 0..23 {
        stage.wait(30_000);
    }
    // Eve, who may only read, takes the id that she saw.
    ann(&mut stage, EVE, 9);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.effects.clear();
    stage.edit(BEN, &Writer::new(77).node("offline work"));
    stage.wait(20);
    assert_eq!(stage.refusal(BEN), None);
    assert!(stage.take_append().is_some());
}

#[test]
fn after_a_close_nothing_of_the_sender_is_read() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Stock);
    stage.edit(ANA, &Writer::new(100).name("ground"));
    let first = stage.take_append().unwrap();
    // An item in the value "ground" (100,0): parent an id, with a key.
    let bad: Bytes = vec![1, 1, 50, 0, 0x28, 0, 100, 0, 1, b'k', 1, 126, 0].into();
    stage.edit(EVE, &bad);
    stage.edit(EVE, &Writer::new(51).node("after the malformed one"));
    stage.commit(&first, 1);
    stage.wait(20);
    assert!(stage.close_of(EVE).is_some(), "{:?}", stage.effects);
    assert!(stage.take_append().is_none(), "R-REFUSE-5: what was sent after it was read");
}

#[test]
fn an_author_alone_does_not_hear_herself_when_the_log_is_read_meanwhile() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Viewer, Dialect::Atlas);
    stage.effects.clear();
    stage.edit(EVE, &Writer::new(33).node("not hers to write"));
    stage.wait(20);
    stage.edit(ANA, &Writer::new(100).node("one"));
    stage.wait(20);
    let append = stage.take_append().unwrap();
    let row = LogRow { seq: Seq::new(1), update: append.update.clone(), claims: append.claims.clone() };
    stage.input(Input::CaughtUp { rows: vec![row] });
    stage.commit(&append, 1);
    let to_ana = stage.heard(ANA).into_iter().filter(|f| matches!(f, ServerFrame::Update { .. })).count();
    let to_ben = stage.heard(BEN).into_iter().filter(|f| matches!(f, ServerFrame::Update { .. })).count();
    assert_eq!((to_ana, to_ben), (0, 1));
}

#[test]
fn a_commit_that_is_told_while_the_document_is_made_anew_is_in_it() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    let edit = Writer::new(100).node("one");
    stage.edit(ANA, &edit);
    let append = stage.take_append().unwrap();
    let theirs = Writer::new(200).node("theirs");
    // A damaged message of another pod makes the room load anew ...
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(1),
        update: Bytes::from_static(&[9, 9]),
        claims: vec![],
    });
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Load)));
    // ... the load reads row 1, then the append commits as 2, and its answer is heard first.
    stage.commit(&append, 2);
    assert_eq!(stage.heard(ANA), [], "acknowledged when the room has it again");
    stage.input(Input::Loaded(Loaded {
        tail: vec![LogRow { seq: Seq::new(1), update: theirs, claims: vec![] }],
        ..empty()
    }));
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
    stage.wait(1000);
    stage.wait(1000);
    stage.effects.clear();
    stage.join(EVE, DesignRole::Viewer, Dialect::Stock);
    stage.frame(EVE, step1(&StateVector::default()));
    let whole = stage
        .heard(EVE)
        .into_iter()
        .find_map(|f| match f {
            ServerFrame::SyncStep2 { update } => Some(update),
            _ => None,
        })
        .unwrap();
    let eve = Writer::new(5);
    eve.take(&whole);
    assert!(
        eve.0.transact().state_vector().get(&yrs::ClientID::new(100)) > 0,
        "the saved edit is not in the room (head {:?})",
        stage.room.stats().head
    );
}

#[test]
fn merged_deletes_can_be_read_again() {
    for (a, b) in [((1, 2), (1, 2)), ((1, 3), (2, 3)), ((5, 1), (1, 1)), ((1, 1), (2, 1)), ((1, 9), (3, 1))] {
        let merged =
            atlas_crdt::design::merge_updates(&[&delete_of(7, a.0, a.1), &delete_of(7, b.0, b.1)]).unwrap();
        assert!(atlas_crdt::gate::scan_stored(&merged).is_ok(), "{a:?} {b:?} {merged:?}");
    }
}

#[test]
fn a_step2_that_adds_nothing_is_accepted_whatever_its_size() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let w = Writer::new(100);
    let meta = w.0.get_or_insert_map("meta");
    let mut seq = 0;
    for at in 0..18 {
        let update = {
            let mut txn = w.0.transact_mut();
            meta.insert(&mut txn, format!("f{at}"), "y".repeat(1_000_000));
            Bytes::from(txn.encode_update_v1())
        };
        stage.edit(ANA, &update);
        stage.wait(20);
        let a = stage.take_append().unwrap();
        seq += 1;
        stage.commit(&a, seq);
        stage.wait(20);
    }
    let gone = {
        let mut txn = w.0.transact_mut();
        meta.insert(&mut txn, "f0", 1);
        Bytes::from(txn.encode_update_v1())
    };
    stage.edit(ANA, &gone);
    stage.wait(20);
    let a = stage.take_append().unwrap();
    stage.commit(&a, seq + 1);
    stage.wait(20);
    stage.effects.clear();
    stage.join(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.frame(BEN, ClientFrame::SyncStep2 { update: w.everything() });
    stage.wait(20);
    assert_eq!(stage.refusal(BEN), None);
}

#[test]
fn ids_written_under_do_not_take_the_places_of_announced_ones() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let ann = |stage: &mut Stage, conn, client: u8, state: &[u8], clock| {
        let mut update = vec![1, client, clock, state.len() as u8];
        update.extend(state);
        stage.frame(conn, ClientFrame::Awareness { update: update.into() });
    };
    ann(&mut stage, ANA, 1, b"{}", 1); // offline from here on
    ann(&mut stage, ANA, 1, b"null", 2);
    for client in 2..70_u8 {
        ann(&mut stage, ANA, client, b"{}", 1);
        stage.edit(ANA, &Writer::new(u64::from(client)).node(&format!("n{client}")));
        stage.wait(20);
        let a = stage.take_append().unwrap();
        stage.commit(&a, u64::from(client) - 1);
        stage.wait(20);
        ann(&mut stage, ANA, client, b"null", 2);
    }
    for _ in 0..30 {
        stage.wait(30_000);
    }
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    stage.effects.clear();
    stage.edit(EVE, &Writer::new(1).node("silenced"));
    stage.wait(20);
    assert!(
        stage.take_append().is_none(),
        "of no other id is nothing committed: 1 is the newest such id of Ana"
    );
}

#[test]
fn a_room_that_is_made_anew_does_not_storm_the_log() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(1),
        update: Bytes::from_static(&[9, 9]),
        claims: vec![],
    });
    let row = LogRow { seq: Seq::new(1), update: Writer::new(100).node("a"), claims: vec![] };
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(2),
        update: row.update.clone(),
        claims: vec![],
    });
    stage.input(Input::LoadFailed { reason: "store".into() });
    let mut asked = 0;
    for _ in 0..400 {
        stage.wait(10);
        let n = stage.effects.iter().filter(|e| matches!(e, Effect::CatchUp { .. })).count();
        asked += n;
        stage.effects.clear();
        if n > 0 {
            stage.input(Input::CaughtUp { rows: vec![row.clone()] });
        }
    }
    assert!(asked <= 2, "{asked} reads in 4 s");
}

#[test]
fn what_waits_above_the_head_is_taken_over_after_a_rebuild() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(1),
        update: Bytes::from_static(&[9, 9]),
        claims: vec![],
    });
    let (one, two) = (Writer::new(100).node("a"), Writer::new(101).node("b"));
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(2),
        update: two,
        claims: vec![],
    });
    stage.input(Input::Loaded(Loaded {
        tail: vec![LogRow { seq: Seq::new(1), update: one, claims: vec![] }],
        ..empty()
    }));
    stage.wait(1000);
    assert_eq!(stage.room.stats().head, Seq::new(2));
}

#[test]
fn after_a_refusal_that_resets_deletions_of_the_same_socket_do_not_pass() {
    for dialect in [Dialect::Stock, Dialect::Atlas] {
        let mut stage = Stage::live();
        stage.sync(ANA, DesignRole::Editor, dialect);
        stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
        let writer = Writer::new(100);
        let nodes = writer.0.get_or_insert_map("nodes");
        let many = {
            let mut txn = writer.0.transact_mut();
            for at in 0..limits::NODES_MAX {
                nodes.insert(&mut txn, at.to_string(), yrs::MapPrelim::default());
            }
            Bytes::from(txn.encode_update_v1())
        };
        stage.edit(ANA, &many);
        let append = stage.take_append().unwrap();
        stage.commit(&append, 1);
        stage.wait(20);
        // Ben keeps the log busy, so that both messages are of one flush.
        stage.edit(BEN, &Writer::new(200).name("busy"));
        let busy = stage.take_append().unwrap();
        // "Rename": put a copy, then delete the original.
        stage.edit(ANA, &writer.node("copy"));
        stage.edit(ANA, &writer.delete("7"));
        stage.commit(&busy, 2);
        stage.wait(20);
        let append = stage.take_append();
        assert!(
            append.is_none(),
            "{dialect:?}: the copy was refused (closed: {:?}), the original is deleted",
            stage.close_of(ANA)
        );
    }
}

#[test]
fn what_was_announced_survives_a_rebuild() {
    let mut stage = Stage::live();
    for conn in [ANA, BEN, EVE] {
        stage.sync(conn, DesignRole::Editor, Dialect::Atlas);
    }
    stage.frame(BEN, ClientFrame::Awareness { update: vec![1, 77, 1, 2, b'{', b'}'].into() });
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Announce { .. })));
    // The store did not take it (one try). Ben leaves and comes back: is it told to the store again?
    stage.effects.clear();
    stage.input(Input::Leave { conn: BEN });
    stage.wait(100);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.effects.clear();
    stage.frame(BEN, ClientFrame::Awareness { update: vec![1, 77, 5, 2, b'{', b'}'].into() });
    assert!(
        stage.effects.iter().any(|e| matches!(e, Effect::Announce { .. })),
        "executor.rs: 'the client announces itself again on its next socket'"
    );
}

#[test]
fn an_answer_from_before_does_not_count_for_what_came_after() {
    use yrs::GetString as _;
    let _ = |t: yrs::TextRef, d: &Doc| t.get_string(&d.transact());
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Viewer, Dialect::Atlas);
    stage.effects.clear();
    // A question is under way ...
    stage.edit(EVE, &Writer::new(33).node("x"));
    stage.wait(20);
    // ... when the room is made anew (any reason; here the bus).
    stage.input(Input::Remote {
        generation: empty().generation,
        seq: Seq::new(1),
        update: Bytes::from_static(&[9, 9]),
        claims: vec![],
    });
    let one = Writer::new(100).node("a");
    stage.input(Input::Loaded(Loaded {
        tail: vec![LogRow { seq: Seq::new(1), update: one, claims: vec![] }],
        ..empty()
    }));
    // Another pod commits row 2; Ben, who saw it there, builds on it here.
    let other = Writer::new(200);
    let two = other.node("theirs");
    let ben = Writer::new(201);
    ben.take(&two);
    let _row = LogRow { seq: Seq::new(2), update: two, claims: vec![] };
    stage.edit(BEN, &ben.node("theirs"));
    stage.wait(20);
    let asked = stage.effects.iter().filter(|e| matches!(e, Effect::CatchUp { .. })).count();
    eprintln!("questions under way at once: {asked}");
    stage.effects.clear();
    // The first question's answer: read before row 2 was there.
    stage.input(Input::CaughtUp { rows: vec![] });
    stage.wait(20);
    let asked_ben = stage.heard(BEN).iter().any(|f| matches!(f, ServerFrame::SyncStep1 { .. }));
    assert!(!asked_ben, "Ben is judged by an answer from before his edit");
}
