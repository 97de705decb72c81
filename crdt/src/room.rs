//! One design's life on one pod: events in, effects out.
//!
//! [`Room::handle`] is the whole interface: an [`Input`] and the time go in, [`Effect`]s come out. The room reads no
//! clock and draws no randomness (INV-10); whoever owns it carries the effects out in order, reports their outcome as
//! further inputs, and calls again with [`Input::Tick`] when [`Room::deadline`] comes.
//!
//! In reading order: [`input`](Input) and [`effect`](Effect); `phase` (Loading, Live, Draining, Closed);
//! `members` (connections, and the counting behind `Saved`); `live` (what a loaded room is, and how frames enter); `answers`;
//! `stored` (reading what the store holds); `durability` (what waits, what is in flight); `judge`, with `owners`, `size`
//! and `quarantine` (what each frame is worth); `flush` (apply, append, and what follows the commit); `edit` (what HTTP asks for); `remote` (other
//! pods' commits) and `company` (who is on them); `rebuild` (when yrs itself fails); `settle` (when somebody should look at what the design means now) and `news` (what came of it); `astray` and `digests` (when the log is
//! not what the room takes it for); `known` (the state vector of the log).

mod input;
mod effect;
mod phase;
mod members;
mod live;
mod answers;
mod known;
mod durability;
mod owners;
mod quarantine;
mod size;
mod stored;
mod judge;
mod flush;
mod edit;
mod remote;
mod company;
mod rebuild;
mod settle;
mod news;
mod astray;
mod digests;

use astray::Astray;
pub use edit::{Edit, EditOutcome, Edited, Expected, Tag};
pub use effect::{Append, Author, Claim, ClockRange, Effect, FrameKind, Quarantine, QuarantineMark};
pub use input::{Dialect, Input, Join, Loaded, LogRow};
use phase::{Draining, Phase};
use rebuild::Rebuild;

use crate::ids::{ClientId, Epoch, Generation, Millis, Seq};
use crate::limits;
use crate::wire::{CloseCode, Notice};
use live::{ASTRAY, Live};

/// What is told of a design that is not there.
const GONE: &str = "no such design";

/// What a room is given at its birth.
#[derive(Debug, Clone, Copy)]
pub struct RoomConfig {
    /// For jitter.
    pub seed: u64,
    /// Random and never used twice: append ids count up from here.
    pub append_salt: u128,
    /// The client id of the room's own document. It writes nothing.
    pub doc_client: ClientId,
    /// Milliseconds without connections after which the room goes.
    pub idle_evict_ms: u64,
    /// Bytes. The unsaved budget: past it, with a store in trouble, the room closes its sockets with 1013. At most
    /// [`limits::UNSAVED_BYTES_MAX`].
    pub unsaved_bytes_max: usize,
    /// Milliseconds between two digests of the document that the room tells other pods, at least.
    pub digest_every_ms: u64,
}

impl RoomConfig {
    #[must_use]
    pub const fn new(seed: u64, append_salt: u128, doc_client: ClientId) -> Self {
        let (idle_evict_ms, unsaved_bytes_max) = (limits::IDLE_EVICT_MS, limits::UNSAVED_BYTES_MAX);
        let digest_every_ms = limits::DIGEST_EVERY_MS;
        Self { seed, append_salt, doc_client, idle_evict_ms, unsaved_bytes_max, digest_every_ms }
    }
}

/// See the module's head.
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    phase: Phase,
    /// How often the document turned out to be another one than on another pod.
    divergences: u64,
}

impl Room {
    /// A room that is being loaded: the first effect is the load.
    #[must_use]
    pub fn new(config: RoomConfig) -> (Self, Vec<Effect>) {
        (Self { config, phase: Phase::Loading { notes: Vec::new() }, divergences: 0 }, vec![Effect::Load])
    }

    /// Takes one event. What is to be done is appended to `effects`, in order.
    pub fn handle(&mut self, now: Millis, input: Input, effects: &mut Vec<Effect>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        self.phase = match phase {
            Phase::Loading { notes } => self.loading(now, notes, input, effects),
            Phase::Live(live) => self.live(now, live, input, effects),
            Phase::Draining(draining) => self.draining(now, draining, input, effects),
            Phase::Closed => {
                phase::turn_away(
                    &input,
                    CloseCode::Overloaded,
                    "the design is being closed: connect again",
                    effects,
                );
                Phase::Closed
            }
        };
        debug_assert_eq!(crate::invariants::check_room(self), Ok(()));
    }

    /// When to call with [`Input::Tick`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Loading { .. } | Phase::Closed => None,
            Phase::Live(live) => {
                let idle = live.idle_since.filter(|_| live.durability.is_clean() && live.rebuild.is_none());
                let evict = idle.map(|since| since.plus(self.config.idle_evict_ms));
                [live.deadline(), evict].into_iter().flatten().min()
            }
            Phase::Draining(draining) => draining.deadline(),
        }
    }

    /// Whether to hand the room what sockets sent. While it does not, sockets are not read: that is the back-pressure.
    #[must_use]
    pub fn accepts_frames(&self) -> bool {
        match &self.phase {
            Phase::Loading { .. } => false,
            Phase::Live(live) => {
                // With a store in trouble presence goes on, and the unsaved budget is the bound.
                live.durability.degraded || live.durability.waiting_bytes() < limits::PENDING_SOFT_BYTES
            }
            Phase::Draining(_) | Phase::Closed => true,
        }
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    #[must_use]
    pub fn stats(&self) -> RoomStats {
        let divergences = self.divergences;
        let Some(live) = self.phase.live() else { return RoomStats { divergences, ..RoomStats::default() } };
        RoomStats {
            head: live.head,
            epoch: live.epoch,
            generation: live.generation,
            connections: live.members.len(),
            unsaved_bytes: live.unsaved_bytes(),
            has_unsaved: !live.durability.is_clean()
                || live.rebuild.as_ref().is_some_and(|rebuild| !rebuild.holds_nothing()),
            degraded: live.durability.degraded,
            divergences,
            unsettled: live.settle.unsettled(),
        }
    }

    pub(crate) fn members_are_consistent(&self) -> bool {
        self.phase.live().is_none_or(|live| live.members.values().all(|member| member.acks.is_consistent()))
    }

    fn live(&mut self, now: Millis, mut live: Box<Live>, input: Input, effects: &mut Vec<Effect>) -> Phase {
        match input {
            Input::Drain => {
                let (least, spread) = limits::RETRY_AFTER_MS;
                let retry_after_ms = least + u64::from(live.jitter()) * spread / 255;
                live.tell_all(&Notice::Restarting { retry_after_ms }, effects);
                let reason = format!("{{\"retry_after_ms\":{retry_after_ms}}}");
                live.close_all(now, CloseCode::Restarting, &reason, effects);
                live.is_leaving = true;
                let draining = Draining::new(CloseCode::Restarting, reason, Some(live), now);
                return self.draining(now, draining, Input::Tick, effects);
            }
            Input::Deleted | Input::NoSuchDesign => {
                live.edits_are_pointless(CloseCode::NoSuchDesign, GONE, true, effects);
                live.tell_all(&Notice::Deleted, effects);
                live.close_all(now, CloseCode::NoSuchDesign, "the design was deleted", effects);
                live.flush_presence(now, effects);
                let reason = GONE.to_owned();
                return Phase::Draining(Draining::new(CloseCode::NoSuchDesign, reason, None, now));
            }
            other => self.live_input(now, &mut live, other, effects),
        }
        if self.gave_up(now, &mut live, effects) {
            let reason = ASTRAY.to_owned();
            return Phase::Draining(Draining::new(CloseCode::Overloaded, reason, None, now));
        }
        live.run_due(now, effects);
        if self.is_idle(now, &live) {
            live.settle_now(effects);
            effects.push(Effect::Evict);
            return Phase::Closed;
        }
        Phase::Live(live)
    }

    /// True: the log is not what this room takes it for, and everybody has been sent away.
    fn gave_up(&mut self, now: Millis, live: &mut Live, effects: &mut Vec<Effect>) -> bool {
        let Some(why) = live.astray else { return false };
        self.divergences += u64::from(why == Astray::Diverged);
        live.give_up(now, why, effects);
        true
    }

    /// INV-7: nobody is here and nothing is unsaved.
    fn is_idle(&self, now: Millis, live: &Live) -> bool {
        live.durability.is_clean()
            && live.rebuild.as_ref().is_none_or(Rebuild::holds_nothing)
            && live.idle_since.is_some_and(|since| since.plus(self.config.idle_evict_ms) <= now)
    }

    fn live_input(&self, now: Millis, live: &mut Live, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Join(join) => live.join(&join, effects),
            Input::Leave { conn } => live.leave(now, conn),
            Input::Edit(edit) => live.edit(now, edit, effects),
            Input::Frame { conn, frame } => live.frame(now, conn, frame, effects),
            Input::Lagged { conn, since } => live.lagged(conn, &since),
            Input::Writable { conn } => live.writable(conn, effects),
            Input::Appended { append_id, seq } => live.appended(now, append_id, seq, effects),
            Input::AppendFailed { append_id, reason: _ } => live.append_failed(now, append_id, effects),
            Input::CommittedElsewhere { generation, seq } => {
                live.note_others();
                live.committed_elsewhere(now, generation, seq);
            }
            Input::Remote { generation, seq, update, claims } => {
                live.note_others();
                live.remote(now, generation, seq, update, claims, effects);
            }
            Input::RemotePresence { pod, update, users, whole } => {
                live.note_others();
                live.remote_presence(now, pod, &update, &users, whole);
            }
            Input::PresenceAsked => {
                live.note_others();
                live.presence.ask_whole();
            }
            Input::PodGone { pod } => live.presence.pod_gone(pod),
            Input::BusResumed => {
                live.presence.ask_whole();
                effects.push(Effect::AskPresence);
            }
            Input::Head { generation, seq } => live.head(now, generation, seq, effects),
            Input::Digest { generation, seq, hash } => {
                live.note_others();
                live.compare(generation, seq, hash, effects);
            }
            Input::AppendRefused { append_id } => live.append_refused(append_id),
            Input::AppendOvertaken { append_id } => live.append_overtaken(append_id, effects),
            Input::CaughtUp { rows } => live.caught_up(now, rows, effects),
            Input::CatchUpFailed { reason: _ } => live.catch_up_failed(now, effects),
            Input::LogFolded => live.log_folded(effects),
            Input::Overloaded => live.overloaded(now, effects),
            Input::RoleChanged { user, role } => live.role_changed(now, user, role, effects),
            Input::Loaded(loaded) => live.rebuild_loaded(&self.config, now, &loaded, effects),
            Input::LoadFailed { reason: _ } => live.rebuild_load_failed(now, effects),
            Input::AnalysisStarted { seq } => live.analysis_started(seq, effects),
            Input::Analysed { no, brief } => live.analysed(no, brief, effects),
            Input::Tick | Input::Drain | Input::Deleted | Input::NoSuchDesign => {}
        }
    }

    fn draining(
        &mut self,
        now: Millis,
        mut draining: Draining,
        input: Input,
        effects: &mut Vec<Effect>,
    ) -> Phase {
        phase::turn_away(&input, draining.code, &draining.reason, effects);
        if let Some(live) = &mut draining.work {
            match input {
                Input::Join(_) | Input::Edit(_) => {}
                Input::Deleted | Input::NoSuchDesign => {
                    live.edits_are_pointless(CloseCode::NoSuchDesign, GONE, true, effects);
                    draining.work = None;
                }
                other => {
                    self.live_input(now, live, other, effects);
                    if self.gave_up(now, live, effects) {
                        draining.work = None;
                    }
                }
            }
        }
        if let Some(live) = &mut draining.work {
            live.run_due(now, effects);
        }
        if draining.is_done(now) {
            if let Some(live) = &mut draining.work {
                live.settle_now(effects);
            }
            effects.push(Effect::Evict);
            return Phase::Closed;
        }
        Phase::Draining(draining)
    }

    fn loading(
        &mut self,
        now: Millis,
        mut notes: Vec<Input>,
        input: Input,
        effects: &mut Vec<Effect>,
    ) -> Phase {
        let refuse = |code, reason: String| Phase::Draining(Draining::new(code, reason, None, now));
        match input {
            Input::Loaded(loaded) => match Live::load(&self.config, now, &loaded) {
                Ok(live) => {
                    self.phase = Phase::Live(Box::new(live));
                    // What the others said before is not known here.
                    effects.push(Effect::AskPresence);
                    for note in notes {
                        self.handle(now, note, effects);
                    }
                    std::mem::replace(&mut self.phase, Phase::Closed)
                }
                // Never an empty document in place of a real one.
                Err(fault) => {
                    refuse(CloseCode::Overloaded, format!("the stored design cannot be read: {fault}"))
                }
            },
            Input::LoadFailed { reason } => refuse(CloseCode::Overloaded, reason),
            Input::NoSuchDesign | Input::Deleted => {
                refuse(CloseCode::NoSuchDesign, "no such design".to_owned())
            }
            Input::Drain => {
                refuse(CloseCode::Restarting, format!("{{\"retry_after_ms\":{}}}", limits::RETRY_AFTER_MS.0))
            }
            // The bus may be faster than the load; more than the bound is left to the log.
            note @ (Input::Remote { .. } | Input::RoleChanged { .. }) => {
                if notes.len() < limits::HOLE_MESSAGES_MAX {
                    notes.push(note);
                }
                Phase::Loading { notes }
            }
            other => {
                phase::turn_away(&other, CloseCode::Overloaded, "the design is still being loaded", effects);
                Phase::Loading { notes }
            }
        }
    }
}

impl Live {
    /// What time and the last event made due, in this order: answers first, since a flush makes them wait.
    fn run_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.watch_append(now, effects);
        self.retry_rebuild_if_due(now, effects);
        self.answer_waiting(effects);
        self.give_up_late_edits(now, effects);
        if self.durability.edits.is_next {
            self.edit_if_due(now, effects);
        }
        self.flush_if_due(now, effects);
        self.edit_if_due(now, effects);
        // What the flush set aside needs an answer from the log.
        self.ask_log_if_due(now, effects);
        self.shed_if_over_budget(now, effects);
        self.say_digest_if_due(now, effects);
        self.settle_if_due(now, effects);
        self.flush_presence(now, effects);
    }
}

/// Figures of one room, for health pages and tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomStats {
    pub head: Seq,
    pub epoch: Epoch,
    pub generation: Generation,
    pub connections: usize,
    pub unsaved_bytes: usize,
    pub has_unsaved: bool,
    pub degraded: bool,
    /// How often in this room's life its document turned out to be another one than on another pod.
    pub divergences: u64,
    /// The newest commit of this room that it has not said to have settled.
    pub unsettled: Option<Seq>,
}
