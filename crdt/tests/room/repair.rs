//! What a room does about words that the bus lost, and about a log that is not what it takes it for.

use atlas_crdt::ids::{ClientId, ConnId, Generation, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Dialect, Effect, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;

use crate::stage::{ANA, BEN, Stage, Writer, empty};

pub(crate) fn row(seq: u64, update: &Bytes) -> LogRow {
    LogRow { seq: Seq::new(seq), update: update.clone(), claims: Vec::new() }
}

pub(crate) fn remote(seq: u64, update: &Bytes) -> Input {
    Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(seq),
        update: update.clone(),
        claims: Vec::new(),
    }
}

impl Stage {
    /// A room with ANA and BEN in it, whose questions to the log wait.
    pub(crate) fn with_two() -> Self {
        let mut stage = Self::live();
        stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
        stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
        stage.log_answers = false;
        stage.effects.clear();
        stage
    }

    pub(crate) fn look(&mut self, generation: u64, seq: u64) {
        self.input(Input::Head { generation: Generation::new(generation), seq: Seq::new(seq) });
    }

    pub(crate) fn take(&mut self, wanted: impl Fn(&Effect) -> bool) -> bool {
        let found = self.effects.iter().position(wanted);
        found.map(|at| self.effects.remove(at)).is_some()
    }

    pub(crate) fn asks_log(&mut self) -> bool {
        self.take(|effect| matches!(effect, Effect::CatchUp { .. }))
    }

    pub(crate) fn loads(&mut self) -> bool {
        self.take(|effect| matches!(effect, Effect::Load))
    }

    pub(crate) fn flight(&mut self, conn: ConnId, update: &Bytes) -> Append {
        self.wait(limits::FLUSH_INTERVAL_MS);
        self.edit(conn, update);
        self.wait(limits::FLUSH_INTERVAL_MS);
        self.take_append().unwrap()
    }

    pub(crate) fn shown(&mut self, conn: ConnId) -> Vec<Bytes> {
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
