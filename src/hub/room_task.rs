//! The one task that owns a room: it waits for what can happen, tells the room, and carries out what the room wants.
//!
//! Two queues lead into a room. `frames` brings what its connections say, each one's in order; it is not read while
//! the room accepts no frames, and since it is bounded in number and in bytes, that stops the reading of sockets.
//! `control` brings what must not wait behind it. Results of effects and the bus come first, in that order.

use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::room::{Effect, Input, Room, RoomConfig};
use atlas_crdt::wire::CloseCode;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::Inner;
use super::analyses::{AnalysisWatch, Answer};
use super::executor::{Done, Executor};
use super::folds::FoldWatch;
use super::inbox::{Control, RoomHandle, ToRoom};
use crate::bus::{AnalysisWord, BusMessage, Heard, Subscription, Word};
use crate::lifecycle::panic_text;

/// Frames handled between two looks at everything else.
const FRAMES_PER_TURN: usize = 64;
/// How long a room that panicked waits for its append in flight.
const PANIC_SETTLE: Duration = Duration::from_secs(5);

/// Starts a room and its task. Called under the map's entry: returns at once.
pub(super) fn start(hub: &Arc<Inner>, design: DesignId, incarnation: u64) -> Arc<RoomHandle> {
    let (handle, frames_rx, control_rx) = RoomHandle::new(incarnation);
    let ids = &hub.deps.ids;
    let idle_evict_ms = u64::try_from(hub.deps.idle_evict.as_millis()).unwrap_or(u64::MAX);
    let config = RoomConfig {
        idle_evict_ms,
        unsaved_bytes_max: hub.deps.unsaved_bytes_max,
        ..RoomConfig::new(ids.seed(), ids.append_salt(), ids.client())
    };
    let task = RoomTask {
        design,
        hub: Arc::clone(hub),
        handle: Arc::clone(&handle),
        room: None,
        executor: Executor::new(design, Arc::clone(hub)),
        folds: FoldWatch::new(design, hub.deps.folds.clone()),
        analyses: AnalysisWatch::default(),
        frames: frames_rx,
        control: control_rx,
        bus: None,
        owes_resume: false,
        lagged: VecDeque::new(),
        effects: Vec::new(),
    };
    // Dropping the join handle detaches the task: it ends when its room does.
    drop(hub.deps.tasks.spawn("room", task.live(config)));
    handle
}

struct RoomTask {
    design: DesignId,
    hub: Arc<Inner>,
    handle: Arc<RoomHandle>,
    /// Made by the task itself, so that whatever a room does, it does under the same watch.
    room: Option<Room>,
    executor: Executor,
    folds: FoldWatch,
    analyses: AnalysisWatch,
    frames: mpsc::Receiver<ToRoom>,
    control: mpsc::Receiver<Control>,
    bus: Option<Subscription>,
    /// The bus was away, and the room is told when its turn comes.
    owes_resume: bool,
    /// Scratch space of `tell`, empty between two calls.
    effects: Vec<Effect>,
    lagged: VecDeque<Input>,
}

impl fmt::Debug for RoomTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomTask").field("design", &self.design).finish_non_exhaustive()
    }
}

/// What ended a wait.
enum Event {
    Done(Done),
    Control(Control),
    Bus(Option<Heard<BusMessage>>),
    Frames(ToRoom),
    Analysis(Answer),
    Deadline,
}

impl RoomTask {
    async fn live(mut self, config: RoomConfig) {
        // The room is thrown away after a panic, and the queues and outboxes are never left half-changed by one.
        match AssertUnwindSafe(self.run(config)).catch_unwind().await {
            Ok(()) => self.executor.close_all(CloseCode::Restarting, "the design was closed"),
            Err(panic) => {
                let panic = panic_text(&*panic);
                tracing::error!(design = %self.design, panic, "a room panicked; its connections come back to a new one");
                self.executor.close_all(CloseCode::Overloaded, "the design must be loaded again");
                self.settle().await;
            }
        }
        let divergences = self.room.as_ref().map_or(0, |room| room.stats().divergences);
        self.hub.divergences.fetch_add(divergences, Ordering::Relaxed);
        // A failed room's edits are with their authors alone.
        self.hub.note_given_up(self.design, self.handle.unsaved_bytes.load(Ordering::Relaxed));
        self.hub.note_unsaved(&self.handle, 0);
        // In this order: whoever finds the queue closed finds the next room in the map.
        self.hub.forget_room(self.design, self.handle.incarnation);
        self.frames.close();
        self.control.close();
        // Unanswered joins are dropped with the queue: their senders try again.
    }

    async fn run(&mut self, config: RoomConfig) {
        let (room, mut effects) = Room::new(config);
        self.room = Some(room);
        self.effects.append(&mut effects);
        self.carry_out();
        while !self.executor.evicted {
            match self.next_event().await {
                Event::Done(Done { input, subscription, logged_bytes, turn }) => {
                    // A room that is made anew goes on hearing what it heard: nothing of it is lost.
                    if self.bus.is_none() {
                        self.bus = subscription;
                    }
                    self.folds.wrote(logged_bytes);
                    self.folds.hear(&input);
                    if let Input::Loaded(loaded) = &input {
                        self.analyses.loaded(&self.handle.analysis_told, loaded.analysis_no);
                    }
                    if matches!(input, Input::AppendRefused { .. }) {
                        let unsaved = self.handle.unsaved_bytes.load(Ordering::Relaxed);
                        self.hub.note_given_up(self.design, unsaved);
                    }
                    self.tell(input);
                    drop(turn);
                }
                Event::Control(control) => self.hear_control(control),
                Event::Bus(Some(message)) => self.hear_bus(message),
                Event::Bus(None) => self.bus = None,
                Event::Frames(first) => self.frames_turn(first),
                Event::Analysis(answer) => {
                    if let Some(input) = self.analyses.answered(&self.handle.analysis_told, answer) {
                        self.tell(input);
                    }
                    self.ask_what_is_said();
                }
                Event::Deadline => {}
            }
            self.tick_if_due();
            self.note_figures();
        }
        self.folds.end();
    }

    async fn next_event(&mut self) -> Event {
        let (accepts_frames, deadline) =
            self.room.as_ref().map_or((false, None), |room| (room.accepts_frames(), room.deadline()));
        let clock = &self.hub.deps.clock;
        let at_deadline = async {
            match deadline {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let from_bus = async {
            match &mut self.bus {
                Some(bus) => bus.messages.recv().await,
                None => std::future::pending().await,
            }
        };
        // The queues cannot end: this task's own handle holds a sender of each.
        tokio::select! {
            biased;
            Some(done) = self.executor.results.next() => Event::Done(done),
            Some(control) = self.control.recv() => Event::Control(control),
            message = from_bus => Event::Bus(message),
            answer = self.analyses.answer() => Event::Analysis(answer),
            Some(message) = self.frames.recv(), if accepts_frames => Event::Frames(message),
            () = at_deadline => Event::Deadline,
        }
    }

    fn frames_turn(&mut self, first: ToRoom) {
        let mut next = Some(first);
        let mut handled = 0;
        while let Some(message) = next {
            self.hear(message);
            handled += 1;
            let more = handled < FRAMES_PER_TURN
                && !self.executor.evicted
                && self.room.as_ref().is_some_and(Room::accepts_frames);
            next = if more { self.frames.try_recv().ok() } else { None };
        }
    }

    fn hear_control(&mut self, control: Control) {
        match control {
            Control::RoleChanged { user, role } => {
                if let Some(role) = role {
                    self.executor.note_role(user, role);
                }
                self.tell(Input::RoleChanged { user, role });
            }
            Control::Roles(roles) => self.executor.offer_roles(&roles),
            Control::Head { generation, seq } => self.tell(Input::Head { generation, seq }),
            Control::Analysis { no } => self.hear_of_analysis(no),
            Control::Presence => self.say_presence(),
            Control::PodGone { pod } => self.tell(Input::PodGone { pod }),
            Control::Deleted => self.tell(Input::Deleted),
            Control::Drain => {
                self.hear_what_has_arrived();
                self.tell(Input::Drain);
            }
        }
    }

    /// What was received before a drain is committed before the pod goes. The queue bounds it.
    fn hear_what_has_arrived(&mut self) {
        let waiting = self.frames.len();
        for _ in 0..waiting {
            if !self.room.as_ref().is_some_and(Room::accepts_frames) {
                return;
            }
            let Ok(message) = self.frames.try_recv() else { return };
            self.hear(message);
        }
    }

    fn hear(&mut self, message: ToRoom) {
        match message {
            ToRoom::Join { join, outbox, taken } => {
                // A joiner that does not wait any more has left a `Leave` behind.
                self.executor.join(&join, outbox);
                self.tell(Input::Join(join));
                let _ = taken.send(());
                self.ask_presence_if_owed();
            }
            ToRoom::Frame { conn, frame, space } => {
                if let Some(frame) = self.executor.admit(conn, frame) {
                    self.tell(Input::Frame { conn, frame });
                }
                drop(space);
            }
            ToRoom::Writable { conn } => {
                for input in self.executor.writable(conn) {
                    self.tell(input);
                }
            }
            ToRoom::Edit { edit, taken, answer, space } => {
                if taken.send(()).is_ok() {
                    self.executor.asked(edit.request, answer);
                    self.tell(Input::Edit(edit));
                }
                drop(space);
            }
            ToRoom::Leave { conn } => {
                if self.executor.leave(conn) {
                    self.tell(Input::Leave { conn });
                }
            }
        }
    }

    fn hear_bus(&mut self, heard: Heard<BusMessage>) {
        let (pod, word) = match heard {
            // The jobs of this pod speak through the bus, too.
            Heard::Message(BusMessage { word: Word::Analysis(word), .. }) => return self.hear_analysis(word),
            Heard::Message(BusMessage { pod, .. }) if pod == self.hub.deps.pod => return,
            Heard::Message(BusMessage { pod, word }) => (pod, word),
            Heard::Gap => {
                // One look for all that were told, and only who is behind reads its log.
                self.hub.watch.ask(self.design);
                self.owes_resume = true;
                return self.hub.watch.turns_wanted.add(self.design);
            }
        };
        let input = match word {
            Word::Commit { generation, seq, update, claims } => {
                Input::Remote { generation, seq, update, claims }
            }
            Word::CommitElsewhere { generation, seq } => Input::CommittedElsewhere { generation, seq },
            Word::Presence { update, users, whole } => Input::RemotePresence { pod, update, users, whole },
            Word::AskPresence => Input::PresenceAsked,
            Word::Digest { generation, seq, hash } => Input::Digest { generation, seq, hash },
            Word::Notice => return self.hub.watch.ask(self.design),
            Word::Analysis(word) => return self.hear_analysis(word),
        };
        self.folds.hear(&input);
        self.tell(input);
    }

    fn hear_analysis(&mut self, word: AnalysisWord) {
        match word {
            AnalysisWord::Started { seq } => self.tell(Input::AnalysisStarted { seq }),
            AnalysisWord::Completed { no } => self.hear_of_analysis(no),
        }
    }

    fn hear_of_analysis(&mut self, no: u64) {
        let has_people = 0 < self.handle.seats_taken.load(Ordering::SeqCst);
        self.analyses.hear(&self.handle.analysis_told, no, has_people);
        self.ask_what_is_said();
    }

    fn ask_what_is_said(&mut self) {
        self.analyses.ask_if_due(&self.handle.analysis_told, &self.hub, self.design);
    }

    /// Its turn has come: see [`Control::Presence`].
    fn say_presence(&mut self) {
        if std::mem::take(&mut self.owes_resume) {
            // This asks, too.
            self.handle.owes_question.store(false, Ordering::SeqCst);
            return self.tell(Input::BusResumed);
        }
        self.ask_presence_if_owed();
    }

    fn ask_presence_if_owed(&self) {
        if self.handle.owes_question.swap(false, Ordering::SeqCst) {
            self.executor.publish(Word::AskPresence);
        }
    }

    /// Frames and results may come so densely that the timer is never polled.
    fn tick_if_due(&mut self) {
        if !self.is_due() {
            return;
        }
        // Who waits to come in comes first: a load may take longer than a room is kept that nobody is in.
        if self.room.as_ref().is_some_and(Room::accepts_frames)
            && let Ok(first) = self.frames.try_recv()
        {
            self.frames_turn(first);
        }
        if self.is_due() {
            self.tell(Input::Tick);
        }
    }

    fn is_due(&self) -> bool {
        let now = self.hub.deps.clock.now();
        let at = self.room.as_ref().and_then(Room::deadline);
        !self.executor.evicted && at.is_some_and(|at| at <= now)
    }

    /// Tells the room, and carries out what follows from it.
    fn tell(&mut self, input: Input) {
        let now = self.hub.deps.clock.now();
        if let Some(room) = &mut self.room {
            room.handle(now, input, &mut self.effects);
            self.carry_out();
        }
    }

    /// A connection that began to lag is reported before the room hears anything else.
    fn carry_out(&mut self) {
        self.executor.execute(&mut self.effects, &mut self.lagged);
        while let Some(lagged) = self.lagged.pop_front() {
            let now = self.hub.deps.clock.now();
            if let Some(room) = &mut self.room {
                room.handle(now, lagged, &mut self.effects);
            }
            self.executor.execute(&mut self.effects, &mut self.lagged);
        }
    }

    fn note_figures(&mut self) {
        let stats = self.room.as_ref().map(Room::stats).unwrap_or_default();
        self.handle.is_live.store(stats.head != Seq::ZERO, Ordering::Relaxed);
        if self.hub.note_unsaved(&self.handle, stats.unsaved_bytes) && stats.degraded && stats.has_unsaved {
            self.tell(Input::Overloaded);
            let unsaved = self.room.as_ref().map(Room::stats).unwrap_or_default().unsaved_bytes;
            self.hub.note_unsaved(&self.handle, unsaved);
        }
        // A room that is not live has no log.
        if stats.head != Seq::ZERO {
            self.folds.look(stats.head, stats.connections);
        }
    }

    /// After a panic: the append in flight, if any, ends before the next room reads the log.
    async fn settle(&mut self) {
        let settled = async { while self.executor.results.next().await.is_some() {} };
        if tokio::time::timeout(PANIC_SETTLE, settled).await.is_err() {
            tracing::warn!(design = %self.design, "an append of a room that panicked is still in flight");
        }
    }
}
