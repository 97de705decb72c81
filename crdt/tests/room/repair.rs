//! What a room does about words that the bus lost, and about a log that is not what it takes it for.

use atlas_crdt::ids::{ClientId, ConnId, Generation, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, Dialect, Effect, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;

use crate::stage::{ANA, BEN, Stage, Writer, empty};

fn row(seq: u64, update: &Bytes) -> LogRow {
    LogRow { seq: Seq::new(seq), update: update.clone(), claims: Vec::new() }
}

fn remote(seq: u64, update: &Bytes) -> Input {
    Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(seq),
        update: update.clone(),
        claims: Vec::new(),
    }
}

impl Stage {
    /// A room with ANA and BEN in it, whose questions to the log wait.
    fn with_two() -> Self {
        let mut stage = Self::live();
        stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
        stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
        stage.log_answers = false;
        stage.effects.clear();
        stage
    }

    fn look(&mut self, generation: u64, seq: u64) {
        self.input(Input::Head { generation: Generation::new(generation), seq: Seq::new(seq) });
    }

    fn take(&mut self, wanted: impl Fn(&Effect) -> bool) -> bool {
        let found = self.effects.iter().position(wanted);
        found.map(|at| self.effects.remove(at)).is_some()
    }

    fn asks_log(&mut self) -> bool {
        self.take(|effect| matches!(effect, Effect::CatchUp { .. }))
    }

    fn loads(&mut self) -> bool {
        self.take(|effect| matches!(effect, Effect::Load))
    }

    fn flight(&mut self, conn: ConnId, update: &Bytes) -> Append {
        self.wait(limits::FLUSH_INTERVAL_MS);
        self.edit(conn, update);
        self.wait(limits::FLUSH_INTERVAL_MS);
        self.take_append().unwrap()
    }

    fn shown(&mut self, conn: ConnId) -> Vec<Bytes> {
        let of = |frame| match frame {
            ServerFrame::Update { update } => Some(update),
            _ => None,
        };
        self.heard(conn).into_iter().filter_map(of).collect()
    }

    fn is_given_up(&self) -> bool {
        self.close_of(ANA) == Some(CloseCode::Overloaded) && self.close_of(BEN) == Some(CloseCode::Overloaded)
    }
}

// R-SYNC-11
#[test]
fn a_look_finds_what_the_bus_lost_within_the_wait_for_a_hole_and_one_read() {
    let mut stage = Stage::with_two();
    let theirs = Writer::new(500).node("theirs");
    stage.look(0, 1);
    stage.wait(limits::HOLE_WAIT_MS - 1);
    assert!(!stage.asks_log(), "it may be on its way");
    stage.wait(1);
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: vec![row(1, &theirs)] });
    assert_eq!((stage.shown(ANA), stage.room.stats().head), (vec![theirs], Seq::new(1)));
    // What arrives in time costs nothing.
    let later = Writer::new(501).node("later");
    stage.look(0, 2);
    stage.input(remote(2, &later));
    stage.wait(10 * limits::HOLE_WAIT_MS);
    assert!(!stage.asks_log());
    // Nor does what is told of twice, or without its bytes when they are here.
    let elsewhere = |seq| Input::CommittedElsewhere { generation: Generation::new(0), seq: Seq::new(seq) };
    stage.input(elsewhere(2));
    stage.look(0, 2);
    stage.wait(10 * limits::HOLE_WAIT_MS);
    assert!(!stage.asks_log() && !stage.loads());
    stage.input(elsewhere(3));
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
}

#[test]
fn a_commit_of_our_own_that_the_log_tells_of_first_is_told_by_it() {
    let mut stage = Stage::with_two();
    let (ours, upon) = (Writer::new(100), Writer::new(500));
    let edit = ours.node("ours");
    upon.take(&edit);
    let theirs = upon.delete("ours");
    let append = stage.flight(ANA, &edit);
    stage.look(0, 1);
    stage.wait(limits::HOLE_WAIT_MS - 1);
    assert!(!stage.asks_log(), "our own append explains it, for a moment");
    stage.wait(1);
    assert!(stage.asks_log(), "and no longer");
    assert_eq!((stage.shown(BEN), stage.heard(ANA)), (Vec::new(), Vec::new()), "nothing is known yet");
    // The attempt still runs, the log has it, and another server has built upon it: it comes first.
    stage.input(Input::CaughtUp { rows: vec![row(1, &edit), row(2, &theirs)] });
    assert_eq!(stage.shown(BEN), [edit.clone(), theirs]);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
    assert!(stage.take(|effect| matches!(effect, Effect::Publish { seq, .. } if seq.get() == 1)));
    // Nothing else is appended until the attempt has ended, and its end tells nobody anything.
    stage.edit(ANA, &ours.node("next"));
    stage.wait(100);
    assert!(stage.take_append().is_none());
    stage.commit(&append, 1);
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let next = stage.take_append().unwrap();
    assert_eq!((next.after, stage.shown(BEN)), (Seq::new(2), Vec::new()));
}

#[test]
fn our_own_commit_is_shown_behind_what_stands_below_it() {
    let mut stage = Stage::with_two();
    let ours = Writer::new(100);
    let append = stage.flight(ANA, &ours.node("ours"));
    stage.commit(&append, 2);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)), "it is durable");
    assert!(stage.take(|effect| matches!(effect, Effect::Publish { seq, .. } if seq.get() == 2)));
    assert_eq!(stage.shown(BEN), Vec::<Bytes>::new(), "what is below it comes first");
    assert_eq!((stage.room.stats().has_unsaved, stage.room.stats().unsaved_bytes), (false, 0));
    let theirs = Writer::new(500).node("theirs");
    stage.input(remote(1, &theirs));
    assert_eq!(stage.shown(BEN), [theirs.clone(), append.update.clone()]);
    assert_eq!(stage.shown(ANA), [theirs]);
    stage.edit(ANA, &ours.node("next"));
    stage.wait(limits::FLUSH_INTERVAL_MS);
    assert!(stage.take_append().is_some());
}

#[test]
fn an_old_look_proves_nothing_and_a_load_says_what_is_true() {
    let mut stage = Stage::with_two();
    let writer = Writer::new(500);
    let rows: Vec<Bytes> = ["a", "b", "c"].iter().map(|id| writer.node(id)).collect();
    let all = || rows.iter().zip(1..).map(|(update, seq)| row(seq, update)).collect::<Vec<_>>();
    stage.input(remote(1, &rows[0]));
    stage.input(remote(2, &rows[1]));
    // Taken before the last commits, and heard after them: twice, and newer each time.
    for seq in [0, 1] {
        stage.look(0, seq);
        stage.look(0, 2);
    }
    assert!(!stage.loads());
    stage.look(0, 1);
    stage.input(remote(3, &rows[2]));
    stage.look(0, 2);
    assert!(!stage.loads(), "by then the first is explained");
    // Two in a row that nothing explains: the store is read, and knows better.
    stage.look(0, 1);
    assert!(stage.loads());
    stage.input(Input::Loaded(Loaded { tail: all(), ..empty() }));
    assert!(!stage.is_given_up());
    // And once more, when it does not.
    stage.look(0, 2);
    stage.look(0, 2);
    assert!(stage.loads());
    stage.input(Input::Loaded(Loaded { tail: all()[..2].to_vec(), ..empty() }));
    assert!(stage.is_given_up());
    stage.wait(2_000);
    assert!(stage.room.is_closed(), "the next room reads the log as it is");
}

#[test]
fn another_generation_of_the_log_ends_the_room() {
    let mut stage = Stage::with_two();
    let append = stage.flight(ANA, &Writer::new(100).node("x"));
    stage.look(1, 0);
    assert!(stage.is_given_up());
    let told = stage.heard(ANA);
    assert!(!told.iter().any(|frame| matches!(frame, ServerFrame::Saved(_))), "INV-2: {told:?}");
    stage.commit(&append, 1);
    stage.wait(2_000);
    assert!(stage.room.is_closed());

    // An earlier one may be an old look; a load decides.
    let mut stage = Stage::loading();
    stage.input(Input::Loaded(Loaded { generation: Generation::new(2), ..empty() }));
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.look(1, 9);
    assert!(!stage.loads());
    stage.look(1, 9);
    assert!(stage.loads());
    stage.input(Input::Loaded(Loaded { generation: Generation::new(3), ..empty() }));
    assert!(stage.is_given_up());
}

#[test]
fn what_the_store_lost_is_not_waited_for_and_our_own_loss_ends_the_room() {
    let mut stage = Stage::with_two();
    let theirs = Writer::new(500).node("theirs");
    stage.input(remote(3, &theirs));
    stage.look(0, 4);
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: Vec::new() });
    stage.wait(10 * limits::HOLE_WAIT_MS);
    assert!(!stage.asks_log(), "a failover has lost it, and the log goes on from here");
    let append = stage.flight(ANA, &Writer::new(100).node("ours"));
    stage.commit(&append, 3);
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: Vec::new() });
    assert!(stage.is_given_up(), "what was told to be saved is not there");
}

// R-SLOW-6
#[test]
fn a_look_that_succeeds_ends_the_pauses_after_failures() {
    let mut stage = Stage::with_two();
    let append = stage.flight(ANA, &Writer::new(100).node("x"));
    for _ in 0..8 {
        stage.input(Input::AppendFailed { append_id: append.append_id, reason: "away".into() });
        stage.wait(2 * limits::APPEND_RETRY_MAX_MS);
        assert!(stage.take_append().is_some());
    }
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "away".into() });
    stage.wait(1_000);
    assert!(stage.take_append().is_none(), "it waits for its turn");
    stage.look(0, 0);
    assert_eq!(stage.take_append().unwrap().append_id, append.append_id);
    stage.commit(&append, 1);

    stage.input(remote(3, &Writer::new(500).node("y")));
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    stage.input(Input::CatchUpFailed { reason: "away".into() });
    stage.wait(limits::APPEND_RETRY_MAX_MS - 1);
    assert!(!stage.asks_log());
    stage.effects.clear();
    stage.look(0, 3);
    assert!(stage.asks_log());
    let told = stage.heard(BEN);
    assert!(told.is_empty(), "it is not well before the log was read: {told:?}");

    // The same while the document is made anew.
    stage.input(Input::LogFolded);
    assert!(stage.loads());
    stage.input(Input::LoadFailed { reason: "away".into() });
    stage.wait(limits::APPEND_RETRY_MAX_MS - 1);
    assert!(!stage.loads());
    stage.look(0, 3);
    assert!(stage.loads());
}

#[test]
fn when_the_bus_is_back_everybody_is_told_who_is_here_and_a_look_says_whether_to_read_the_log() {
    let mut stage = Stage::with_two();
    stage.frame(ANA, ClientFrame::Awareness { update: vec![1, 100, 1, 2, b'{', b'}'].into() });
    stage.wait(limits::AWARENESS_TICK_MS);
    stage.effects.clear();
    stage.input(Input::BusResumed);
    stage.wait(limits::AWARENESS_TICK_MS);
    assert!(!stage.asks_log(), "with thousands of designs most have missed nothing");
    assert!(stage.take(|effect| matches!(effect, Effect::AskPresence)));
    assert!(stage.take(|effect| matches!(effect, Effect::PublishPresence { whole: true, users, .. }
        if users[..] == [(ClientId::new(100), UserId::from_u128(1))])));
    stage.look(0, 0);
    stage.wait(1_000);
    assert!(!stage.asks_log(), "nothing is missing");
    stage.look(0, 1);
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    // Once more while the question is under way: what it may miss is asked for after it.
    stage.input(Input::BusResumed);
    stage.look(0, 2);
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(!stage.asks_log());
    stage.input(Input::CaughtUp { rows: vec![row(1, &Writer::new(500).node("x"))] });
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: vec![row(2, &Writer::new(501).node("y"))] });
    stage.wait(1_000);
    assert!(!stage.asks_log());
}

#[test]
fn a_look_while_the_room_loads_or_is_gone_changes_nothing() {
    let mut stage = Stage::loading();
    stage.look(7, 9);
    stage.input(Input::BusResumed);
    stage.input(Input::Loaded(empty()));
    assert_eq!(stage.room.stats().generation, Generation::new(0));
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(100).node("x"));
    let append = stage.take_append().unwrap();
    stage.input(Input::Drain);
    stage.log_answers = false;
    // A room that drains still fills its holes, so that its last append is not refused.
    stage.look(0, 1);
    stage.wait(limits::HOLE_WAIT_MS);
    assert!(stage.asks_log());
    stage.input(Input::CaughtUp { rows: vec![row(1, &append.update)] });
    assert!(stage.evicted(), "everything is in the log");
    stage.look(0, 9);
    stage.input(Input::BusResumed);
    assert!(stage.room.is_closed());
}

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
