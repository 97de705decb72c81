//! Many who come at once: what they lack is encoded once for all who lack the same, and in portions, so that edits pass.

use std::collections::BTreeSet;

use atlas_crdt::ids::{ConnId, Millis};
use atlas_crdt::limits::{ANSWER_BYTES_MIN, ANSWER_BYTES_PER_TURN, ANSWERS_KEPT_MAX};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Effect, FrameKind, Input};
use atlas_crdt::wire::{ClientFrame, ServerFrame, decode_server};
use bytes::Bytes;
use yrs::block::ClientID;
use yrs::{ReadTxn, StateVector, Transact};

use crate::stage::{ANA, Stage, Writer, step1};

const HERD: u64 = 100;
/// Answers of the smallest kind that are made at one go.
const PER_TURN: usize = ANSWER_BYTES_PER_TURN / ANSWER_BYTES_MIN;

fn one(n: u64) -> ConnId {
    ConnId::new(1_000 + n)
}

fn herd() -> impl Iterator<Item = ConnId> {
    (0..HERD).map(one)
}

/// A room in which somebody edits, and a herd that has not asked yet.
fn stage(dialect: Dialect) -> (Stage, Writer) {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    for (seq, n) in (1..).zip(0..5) {
        stage.edit(ANA, &writer.node(&format!("n{n}")));
        stage.wait(20);
        let append = stage.take_append().unwrap();
        stage.commit(&append, seq);
    }
    stage.effects.clear();
    for conn in herd() {
        stage.join(conn, DesignRole::Viewer, dialect);
    }
    (stage, writer)
}

/// Everything that was sent to single connections, in order: whom, and the frame itself.
fn sent(stage: &mut Stage) -> Vec<(ConnId, Bytes)> {
    let effects = std::mem::take(&mut stage.effects);
    let to_one = |effect| match effect {
        Effect::Send { to, frame, kind: FrameKind::Control } if to.len() == 1 => Some((to[0], frame)),
        _ => None,
    };
    effects.into_iter().filter_map(to_one).collect()
}

fn answers(stage: &mut Stage) -> Vec<(ConnId, Bytes)> {
    let is_answer = |frame: &Bytes| matches!(decode_server(frame).unwrap(), ServerFrame::SyncStep2 { .. });
    sent(stage).into_iter().filter(|(_, frame)| is_answer(frame)).collect()
}

/// Where each frame lies: shared frames lie in one place.
fn places<'a>(frames: impl IntoIterator<Item = &'a (ConnId, Bytes)>) -> usize {
    frames.into_iter().map(|(_, frame)| frame.as_ptr()).collect::<BTreeSet<_>>().len()
}

/// Knows the design, and something of its own that nobody else has.
fn state(writer: &Writer, own: u64) -> StateVector {
    let mut state = writer.0.transact().state_vector();
    state.set_max(ClientID::new(own), 1);
    state
}

fn ask(stage: &mut Stage, conn: ConnId, has: &StateVector) {
    stage.frame(conn, step1(has));
}

// R-SYNC-4
#[test]
fn who_lacks_the_same_gets_the_same_buffer() {
    let (mut stage, writer) = stage(Dialect::Stock);
    let greetings = sent(&mut stage);
    assert_eq!((greetings.len() as u64, places(&greetings)), (HERD, 1), "one question for all");
    for conn in herd() {
        ask(&mut stage, conn, &StateVector::default());
    }
    let whole = answers(&mut stage);
    assert_eq!((whole.len() as u64, places(&whole)), (HERD, 1));
    // Equal, and not the same: each client has made its own.
    for conn in herd() {
        ask(&mut stage, conn, &state(&writer, 7));
    }
    let rest = answers(&mut stage);
    assert_eq!((rest.len() as u64, places(&rest)), (HERD, 1));
    assert!(places(rest.iter().chain(&whole)) == 2);

    // Another document, another answer.
    stage.edit(ANA, &writer.node("more"));
    stage.wait(20);
    let append = stage.take_append().unwrap();
    stage.commit(&append, 6);
    stage.effects.clear();
    ask(&mut stage, one(0), &StateVector::default());
    let [(_, newer)] = &answers(&mut stage)[..] else { panic!() };
    let reader = Writer::new(300);
    let ServerFrame::SyncStep2 { update } = decode_server(newer).unwrap() else { panic!() };
    reader.take(&update);
    assert_eq!(reader.everything(), writer.everything());
}

// R-SYNC-4
#[test]
fn answers_are_made_in_portions_and_edits_pass_between_them() {
    let (mut stage, writer) = stage(Dialect::Stock);
    // While an append is in flight nobody is answered, so that all of them wait.
    let edit = writer.node("in flight");
    stage.edit(ANA, &edit);
    stage.wait(20);
    let append = stage.take_append().unwrap();
    for (n, conn) in herd().enumerate() {
        ask(&mut stage, conn, &state(&writer, 1_000 + n as u64));
    }
    stage.edit(ANA, &writer.node("behind"));
    assert!(answers(&mut stage).is_empty());
    stage.commit(&append, 6);
    // The first portion, and at once the edit that waited.
    let next = stage.take_append().expect("edits are not held up by those who join");
    let mut answered = answers(&mut stage);
    assert_eq!(answered.len(), PER_TURN);
    assert!(stage.room.deadline().is_none_or(|at| Millis::new(0) < at), "nothing to do before the commit");
    stage.commit(&next, 7);
    answered.extend(answers(&mut stage));
    assert_eq!(answered.len(), 2 * PER_TURN);
    // Without anything else happening it goes on at once.
    while stage.room.deadline().is_some_and(|at| at <= stage.now) {
        stage.input(Input::Tick);
        let portion = answers(&mut stage);
        assert!(portion.len() <= PER_TURN && !portion.is_empty());
        answered.extend(portion);
    }
    let order: Vec<ConnId> = answered.iter().map(|(conn, _)| *conn).collect();
    assert_eq!(order, herd().collect::<Vec<_>>(), "in the order in which they came, each once");
    assert_eq!(places(&answered) as u64, HERD);
}

#[test]
fn who_asks_again_and_again_does_not_keep_others_waiting() {
    let (mut stage, writer) = stage(Dialect::Stock);
    stage.effects.clear();
    stage.edit(ANA, &writer.node("in flight"));
    stage.wait(20);
    let append = stage.take_append().unwrap();
    for (n, conn) in herd().enumerate() {
        ask(&mut stage, conn, &state(&writer, 1_000 + n as u64));
    }
    stage.commit(&append, 6);
    let mut waiting: BTreeSet<ConnId> = herd().collect();
    for round in 0_u64.. {
        let portion = answers(&mut stage);
        for (conn, _) in &portion {
            waiting.remove(conn);
        }
        if waiting.is_empty() {
            break;
        }
        assert!(round < HERD, "{} are never answered", waiting.len());
        // Every one of the first portion wants something else by now.
        for n in 0..PER_TURN as u64 {
            ask(&mut stage, one(n), &state(&writer, (round + 2) * 10_000 + n));
        }
    }
}

#[test]
fn few_answers_are_kept() {
    let (mut stage, writer) = stage(Dialect::Stock);
    stage.effects.clear();
    let own = |n: usize| state(&writer, 1_000 + n as u64);
    for n in 0..=ANSWERS_KEPT_MAX {
        ask(&mut stage, one(n as u64), &own(n));
    }
    let first = answers(&mut stage);
    for n in 0..=ANSWERS_KEPT_MAX {
        ask(&mut stage, one(50 + n as u64), &own(ANSWERS_KEPT_MAX - n));
    }
    let again = answers(&mut stage);
    assert_eq!(first.len(), ANSWERS_KEPT_MAX + 1);
    assert_eq!(places(first.iter().chain(&again)), ANSWERS_KEPT_MAX + 2, "the oldest was made anew");
}

// R-PRES-6
#[test]
fn everybody_who_is_here_is_one_buffer_too() {
    let (mut stage, _) = stage(Dialect::Stock);
    // One entry: client 5, clock 1, a state.
    let update = Bytes::from_static(b"\x01\x05\x01\x02{}");
    stage.frame(ANA, ClientFrame::Awareness { update });
    stage.wait(50);
    stage.effects.clear();
    for conn in herd() {
        stage.frame(conn, ClientFrame::QueryAwareness);
    }
    let told = sent(&mut stage);
    assert_eq!((told.len() as u64, places(&told)), (HERD, 1));
}
