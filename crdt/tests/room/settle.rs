//! When a room says that its design has settled.

use atlas_crdt::ids::{AppendId, ConnId, Generation, Seq};
use atlas_crdt::limits::{SETTLE_LEFT_MS, SETTLE_MAX_MS, SETTLE_QUIET_MS};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Effect, Input, Loaded, LogRow};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use yrs::{Map, Transact};

use crate::edits::{edit, node};
use crate::stage::{ANA, BEN, Stage, Writer, empty};

/// Milliseconds: two flushes, in case that the log is asked in between.
const WRITING_MS: u64 = 16;

impl Writer {
    /// The node's position, which exists.
    fn drag(&self, id: &str, x: u64) -> Bytes {
        let nodes = self.0.get_or_insert_map("nodes");
        let mut txn = self.0.transact_mut();
        let Some(yrs::Out::YMap(node)) = nodes.get(&txn, id) else { panic!("{id} is drawn") };
        node.insert(&mut txn, "position", f64::from(u32::try_from(x).unwrap()));
        txn.encode_update_v1().into()
    }
}

impl Stage {
    /// What the room said since this was last called.
    fn settled(&mut self) -> Option<Seq> {
        let is_settled = |effect: &Effect| matches!(effect, Effect::Settled { .. });
        let seqs: Vec<Seq> = (self.effects.iter())
            .filter_map(|effect| match effect {
                Effect::Settled { seq } => Some(*seq),
                _ => None,
            })
            .collect();
        assert!(seqs.len() < 2, "said twice at once: {seqs:?}");
        self.effects.retain(|effect| !is_settled(effect));
        seqs.first().copied()
    }

    /// Time passes as it does outside: the room is woken when it asked to be.
    fn pass(&mut self, ms: u64) -> Vec<(u64, Seq)> {
        let end = self.now.plus(ms);
        let mut settled = Vec::new();
        while let Some(at) = self.room.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Tick);
            settled.extend(self.settled().map(|seq| (self.now.get(), seq)));
        }
        self.now = end;
        settled
    }

    /// Takes [`WRITING_MS`].
    fn write(&mut self, update: &Bytes) -> Vec<(u64, Seq)> {
        self.edit(ANA, update);
        let settled = self.pass(WRITING_MS);
        let append = self.take_append().unwrap();
        let seq = self.room.stats().head.next();
        self.commit(&append, seq.get());
        settled
    }
}

fn stage() -> (Stage, Writer) {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    stage.write(&writer.node("web"));
    assert_eq!(stage.pass(SETTLE_QUIET_MS).len(), 1);
    (stage, writer)
}

#[test]
fn a_quiet_design_has_settled_once() {
    let (mut stage, writer) = stage();
    stage.edit(ANA, &writer.node("db"));
    stage.wait(10);
    let append = stage.take_append().unwrap();
    assert_eq!(stage.pass(10 * SETTLE_MAX_MS), [], "nothing is durable");
    stage.commit(&append, 2);
    let at = stage.now.get();
    assert_eq!(stage.pass(SETTLE_QUIET_MS - 1), []);
    assert_eq!(stage.pass(1), [(at + SETTLE_QUIET_MS, Seq::new(2))]);
    assert_eq!(stage.pass(60_000), [], "once");
    assert_eq!(stage.room.stats().unsettled, None);
}

#[test]
fn a_drag_never_puts_off_what_means_something_and_settles_by_itself_in_the_end() {
    let (mut stage, writer) = stage();
    stage.write(&writer.node("db"));
    let at = stage.now.get();
    let mut settled = Vec::new();
    for x in 0..30 {
        settled.extend(stage.write(&writer.drag("web", x)));
    }
    let [(first, _)] = settled[..] else { panic!("{settled:?}") };
    assert_eq!(first, at + SETTLE_QUIET_MS);
    stage.pass(SETTLE_MAX_MS);
    stage.write(&writer.drag("web", 99));
    let (at, seq) = (stage.now.get(), stage.room.stats().head);
    assert_eq!(stage.pass(60_000), [(at + SETTLE_MAX_MS, seq)], "the node may be in another network now");
}

#[test]
fn who_leaves_last_has_it_settled_within_a_second() {
    let (mut stage, writer) = stage();
    stage.sync(BEN, DesignRole::Viewer, Dialect::Stock);
    stage.settled();
    stage.write(&writer.drag("web", 1));
    stage.input(Input::Leave { conn: ANA });
    assert_eq!(stage.pass(SETTLE_LEFT_MS), [], "somebody is here");
    stage.input(Input::Leave { conn: BEN });
    let at = stage.now.get();
    assert_eq!(stage.pass(60_000), [(at + SETTLE_LEFT_MS, Seq::new(2))]);
}

#[test]
fn what_is_asked_for_over_http_settles_like_any_edit() {
    let mut stage = Stage::live();
    stage.ask(edit(1, node("web", json!({"position": {"x": 1, "y": 2}}))));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 1);
    let at = stage.now.get();
    assert_eq!(stage.pass(20_000), [(at + SETTLE_QUIET_MS, Seq::new(1))]);
    stage.ask(edit(2, node("web", json!({"position": {"x": 7, "y": 2}}))));
    stage.wait(10);
    let append = stage.take_append().unwrap();
    stage.commit(&append, 2);
    let at = stage.now.get();
    assert_eq!(stage.pass(20_000), [(at + SETTLE_MAX_MS, Seq::new(2))], "a move");
}

#[test]
fn other_pods_settle_what_they_commit() {
    let (mut stage, _) = stage();
    let theirs = Writer::new(500).node("db");
    let (generation, claims) = (Generation::new(0), Vec::new());
    stage.input(Input::Remote { generation, seq: Seq::new(2), update: theirs, claims });
    assert_eq!(stage.room.stats().head, Seq::new(2));
    assert_eq!(stage.pass(60_000), []);
}

#[test]
fn a_room_that_goes_says_it_first() {
    let (mut stage, writer) = stage();
    stage.write(&writer.node("db"));
    stage.input(Input::Drain);
    let all: Vec<&Effect> = stage.effects.iter().collect();
    let at = |is: fn(&&Effect) -> bool| all.iter().position(is);
    let settled = at(|effect| matches!(effect, Effect::Settled { seq } if seq.get() == 2)).unwrap();
    assert!(settled < at(|effect| matches!(effect, Effect::Evict)).unwrap());

    // What is on its way when the pod stops is settled once it is durable.
    let (mut stage, writer) = self::stage();
    stage.edit(ANA, &writer.node("db"));
    stage.wait(10);
    let append = stage.take_append().unwrap();
    stage.input(Input::Drain);
    assert_eq!(stage.settled(), None);
    stage.commit(&append, 2);
    assert_eq!(stage.settled(), Some(Seq::new(2)));
    assert!(stage.evicted());

    // The log is not what the room took it for.
    let (mut stage, writer) = self::stage();
    stage.write(&writer.node("db"));
    stage.edit(ANA, &writer.node("third"));
    stage.wait(10);
    let append_id = stage.take_append().unwrap().append_id;
    stage.input(Input::AppendRefused { append_id });
    assert_eq!(stage.settled(), Some(Seq::new(2)));

    let (mut stage, writer) = self::stage();
    stage.write(&writer.node("db"));
    stage.input(Input::Deleted);
    assert_eq!(stage.settled(), None, "there is nothing to look at");
}

#[test]
fn a_commit_that_the_log_tells_first_counts_once() {
    let (mut stage, writer) = stage();
    stage.log_answers = false;
    let update = writer.node("db");
    stage.edit(ANA, &update);
    stage.wait(10);
    let append = stage.take_append().unwrap();
    let (generation, claims) = (Generation::new(0), append.claims.clone());
    stage.input(Input::Remote { generation, seq: Seq::new(2), update: append.update.clone(), claims });
    let at = stage.now.get();
    assert_eq!(stage.pass(SETTLE_QUIET_MS), [(at + SETTLE_QUIET_MS, Seq::new(2))]);
    stage.commit(&append, 2);
    assert_eq!(stage.pass(60_000), []);
}

#[test]
fn a_commit_settles_in_time_also_while_the_document_is_away() {
    let (mut stage, writer) = stage();
    stage.edit(ANA, &writer.node("db"));
    stage.pass(WRITING_MS);
    let append = stage.take_append().unwrap();
    stage.input(Input::LogFolded);
    stage.commit(&append, 2);
    let at = stage.now.get();
    assert_eq!(stage.pass(SETTLE_QUIET_MS), [(at + SETTLE_QUIET_MS, Seq::new(2))]);
    let tail = vec![
        LogRow { seq: Seq::new(1), update: Writer::new(100).node("web"), claims: Vec::new() },
        LogRow { seq: Seq::new(2), update: append.update, claims: append.claims },
    ];
    stage.input(Input::Loaded(Loaded { tail, ..empty() }));
    assert_eq!(stage.pass(60_000), [], "and once");
}

/// What happens to a room between two ticks of a clock.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Means,
    Moves,
    Commits,
    Fails,
    Joins,
    Leaves,
    Waits(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::Means),
        4 => Just(Happens::Moves),
        8 => Just(Happens::Commits),
        1 => Just(Happens::Fails),
        1 => Just(Happens::Joins),
        1 => Just(Happens::Leaves),
        4 => (1..300_u64).prop_map(Happens::Waits),
        1 => (300..4_000_u64).prop_map(Happens::Waits),
    ]
}

/// What the room owes, kept beside it.
#[derive(Default)]
struct Owed {
    /// The oldest commit that is not settled, and when it was made.
    first: Option<u64>,
    newest: Option<Seq>,
    durable: Seq,
    said: Vec<u64>,
}

impl Owed {
    fn committed(&mut self, now: u64, seq: Seq) {
        self.first.get_or_insert(now);
        (self.newest, self.durable) = (Some(seq), seq);
    }

    fn heard(&mut self, settled: Vec<(u64, Seq)>) {
        for (at, seq) in settled {
            assert!(seq <= self.durable, "said before it is durable");
            assert_eq!(Some(seq), self.newest, "the newest of all, and only when there is one");
            let first = self.first.take().unwrap();
            assert!(at <= first + SETTLE_MAX_MS, "{at}: too late for {first}");
            self.newest = None;
            self.said.push(at);
        }
    }
}

proptest! {
    /// Whatever happens, in any order: every commit of the room's own has settled within the bound, never before it is
    /// durable, and once.
    #[test]
    fn every_commit_settles_once_and_in_time(all in proptest::collection::vec(happens(), 0..120)) {
        let (mut stage, writer) = stage();
        let mut owed = Owed { durable: Seq::new(1), ..Owed::default() };
        let (mut nodes, mut conn, mut is_here) = (0, ANA, true);
        for one in all {
            match one {
                Happens::Means if is_here => {
                    nodes += 1;
                    stage.edit(conn, &writer.node(&format!("n{nodes}")));
                }
                Happens::Moves if is_here => {
                    nodes += 1;
                    stage.edit(conn, &writer.drag("web", nodes));
                }
                Happens::Commits => {
                    if let Some(append) = stage.take_append() {
                        let seq = owed.durable.next();
                        owed.committed(stage.now.get(), seq);
                        stage.commit(&append, seq.get());
                    }
                }
                Happens::Fails => {
                    if let Some(append) = stage.take_append() {
                        let append_id = append.append_id;
                        stage.input(Input::AppendFailed { append_id, reason: "away".into() });
                    }
                }
                Happens::Joins if !is_here => {
                    conn = ConnId::new(conn.get() + 10);
                    stage.join(conn, DesignRole::Editor, Dialect::Atlas);
                    is_here = true;
                }
                Happens::Leaves if is_here => {
                    stage.input(Input::Leave { conn });
                    is_here = false;
                }
                Happens::Waits(ms) => owed.heard(stage.pass(ms)),
                _ => {}
            }
            let now = stage.now.get();
            let settled = stage.settled().map(|seq| (now, seq));
            owed.heard(settled.into_iter().collect());
        }
        while let Some(append) = stage.take_append() {
            let seq = owed.durable.next();
            owed.committed(stage.now.get(), seq);
            stage.commit(&append, seq.get());
            owed.heard(stage.pass(20));
        }
        owed.heard(stage.pass(SETTLE_MAX_MS));
        prop_assert_eq!(owed.first, None, "left unsettled");
        prop_assert_eq!(stage.room.stats().unsettled, None);
    }

    /// Somebody writes all the time, in steps that are shorter than what counts as quiet.
    #[test]
    fn constant_edits_settle_every_three_seconds_or_a_little_later(
        steps in proptest::collection::vec((WRITING_MS..SETTLE_QUIET_MS - WRITING_MS, 0..3_u64), 60..200),
    ) {
        let (mut stage, writer) = stage();
        let began = stage.now.get();
        let mut said = Vec::new();
        for (n, (ms, drags)) in steps.into_iter().enumerate() {
            said.extend(stage.write(&writer.node(&format!("n{n}"))));
            let mut left = ms;
            for x in 0..drags.min(ms / (2 * WRITING_MS)) {
                said.extend(stage.write(&writer.drag("web", x)));
                left -= WRITING_MS;
            }
            said.extend(stage.pass(left - WRITING_MS.min(left)));
        }
        let said: Vec<u64> = said.into_iter().map(|(at, _)| at).collect();
        let points: Vec<u64> = std::iter::once(began).chain(said.iter().copied()).chain([stage.now.get()]).collect();
        for pair in points.windows(2) {
            prop_assert!(pair[1] - pair[0] <= SETTLE_MAX_MS + SETTLE_QUIET_MS, "too seldom: {points:?}");
        }
        for pair in said.windows(2) {
            prop_assert!(SETTLE_MAX_MS <= pair[1] - pair[0], "too often: {points:?}");
        }
    }
}

#[test]
fn an_append_that_nobody_asked_for_settles_nothing() {
    let mut stage = Stage::loading();
    stage.input(Input::Appended { append_id: AppendId::from_u128(5), seq: Seq::new(9) });
    stage.input(Input::Loaded(empty()));
    stage.input(Input::Appended { append_id: AppendId::from_u128(5), seq: Seq::new(9) });
    assert_eq!(stage.pass(60_000), []);
}
