//! What pods do: their rooms' effects, and the store behind all of them.

use std::hash::Hash;
use std::sync::Arc;

use atlas_crdt::ids::{ClientId, ConnId, Generation};
use atlas_crdt::limits::DIGEST_EVERY_MS;
use atlas_crdt::room::{Append, Effect, FrameKind, Input, Room, RoomConfig};
use atlas_crdt::wire::CloseCode;
use yrs::StateVector;

use crate::disk::Refused;
use crate::mallory;
use crate::plan::Outcome;
use crate::pod::{Job, Word};
use crate::world::World;

/// Connections that do not read, each with the document that they have.
type Lagging = Vec<(ConnId, Arc<StateVector>)>;

impl World {
    pub(crate) fn open_room(&mut self, pod: usize) {
        if self.pods[pod].room.is_none() {
            let salt = u128::from(self.rng.next()) << 64;
            let config = RoomConfig {
                digest_every_ms: DIGEST_EVERY_MS / 10,
                ..RoomConfig::new(self.rng.next(), salt, ClientId::new(2))
            };
            let (room, effects) = Room::new(config);
            self.pods[pod].room = Some(room);
            self.execute(pod, effects);
        }
    }

    pub(crate) fn handle(&mut self, pod: usize, input: Input) {
        let now = self.pods[pod].clock;
        self.note_commit(pod, &input);
        let Some(room) = &mut self.pods[pod].room else { return };
        let mut effects = Vec::new();
        room.handle(now, input, &mut effects);
        self.execute(pod, effects);
    }

    fn execute(&mut self, pod: usize, effects: Vec<Effect>) {
        let life = self.pods[pod].id;
        let mut lagging = Vec::new();
        for effect in effects {
            if self.burns_down(pod) {
                self.faults.count("crashes between two effects");
                return self.kill(pod);
            }
            self.carry_out(pod, effect, &mut lagging);
        }
        for (conn, since) in lagging {
            if self.pods[pod].id == life {
                self.faults.count("lags");
                self.handle(pod, Input::Lagged { conn, since });
            }
        }
    }

    fn burns_down(&mut self, pod: usize) -> bool {
        match &mut self.pods[pod].fuse {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn carry_out(&mut self, pod: usize, effect: Effect, lagging: &mut Lagging) {
        match effect {
            Effect::Load => {
                self.faults.count_many("loads of a live room", u64::from(self.pods[pod].is_loaded));
                let is_subscribed = self.pods[pod].inbox.is_some();
                self.pods[pod].jobs.push_back(Job::Load { is_subscribed });
            }
            Effect::Report { what } => {
                assert!(0 < self.faults.of("attacks"), "honest architects, and yet: {what}");
            }
            Effect::Announce { client, user } => self.disk.announce(client, user),
            Effect::Quarantine(quarantine) => {
                assert_eq!(quarantine.mark.user, mallory::USER, "{}", quarantine.reason);
                self.faults.count("updates in quarantine");
                self.disk.quarantine(quarantine.mark);
            }
            Effect::CatchUp { after } => {
                self.faults.count("looks into the log");
                self.pods[pod].jobs.push_back(Job::CatchUp { after });
            }
            Effect::Append(append) => {
                let jobs = &self.pods[pod].jobs;
                assert!(
                    !jobs.iter().any(|job| matches!(job, Job::Append(_))),
                    "two appends in flight at once"
                );
                self.faults.count("appends");
                self.pods[pod].settling.ask(append.append_id);
                self.pods[pod].jobs.push_back(Job::Append(append));
            }
            Effect::Publish { generation, seq, update, claims } => {
                let row = self.disk.row(seq).expect("INV-3: published before the commit");
                assert_eq!(row.update, update, "INV-3: published, and not what the log holds");
                self.trace_event("publish");
                // The bus carries no large ones.
                let is_large = self.rng.one_in(8);
                self.publish(
                    pod,
                    &if is_large {
                        Word::Elsewhere { generation, seq }
                    } else {
                        Word::Commit { generation, seq, update, claims }
                    },
                );
            }
            Effect::PublishPresence { update, users, whole } => {
                self.publish(pod, &Word::Presence { update, users, whole });
            }
            Effect::AskPresence => self.publish(pod, &Word::AskPresence),
            Effect::PublishDigest { generation, seq, hash } => {
                self.publish(pod, &Word::Digest { generation, seq, hash });
            }
            Effect::Send { to, frame, kind } => {
                for conn in to {
                    self.send(conn, &frame, &kind, lagging);
                }
                frame.hash(&mut self.trace);
            }
            Effect::Answer { request, outcome } => {
                self.programs.hear(request, &outcome, &self.disk, &mut self.faults);
                self.trace_event("answer");
            }
            Effect::Settled { seq } => self.note_settled(pod, seq),
            Effect::Close { conn, code, reason } => self.close(conn, code, &reason),
            Effect::Evict => self.evict(pod),
        }
    }

    fn send(&mut self, conn: ConnId, frame: &bytes::Bytes, kind: &FrameKind, lagging: &mut Lagging) {
        if let Some((_, heard)) = self.auditor.as_mut().filter(|(auditor, _)| *auditor == conn) {
            heard.push(frame.clone());
        }
        let Some(who) = self.conns.get(&conn).copied() else { return };
        let Some(socket) = &mut self.architects[who].socket else { return };
        match kind {
            FrameKind::Document { since } if socket.stalled => {
                socket.lag_reported = true;
                lagging.push((conn, Arc::clone(since)));
            }
            FrameKind::Presence { .. } if socket.stalled => {}
            _ => socket.to_client.push_back(frame.clone()),
        }
    }

    fn close(&mut self, conn: ConnId, code: CloseCode, reason: &str) {
        code.as_u16().hash(&mut self.trace);
        self.mallory.conns.retain(|_, hers| *hers != conn);
        if let Some(who) = self.conns.remove(&conn) {
            let architect = &mut self.architects[who];
            let may_pass = matches!(code, CloseCode::Overloaded | CloseCode::Restarting);
            assert!(may_pass || architect.is_viewer, "architect {who} was closed with {code:?}: {reason}");
            drop(architect.disconnect());
        }
    }

    fn evict(&mut self, pod: usize) {
        let room = self.pods[pod].room.take().expect("a room evicts itself once");
        assert!(!room.stats().has_unsaved, "INV-7: evicted with unsaved edits");
        for job in &self.pods[pod].jobs {
            if let Job::Append(append) = job
                && self.faults.of("attacks") == 0
            {
                assert!(self.disk.holds(&append.update), "INV-7: evicted with an append under way");
            }
        }
        assert!(
            !self.pods[pod].settling.is_open(),
            "a room went, and nobody knows that its design has settled"
        );
        assert!(!self.programs.is_waiting_for(pod), "INV-7: evicted with an edit unanswered");
        self.faults.count("evictions");
        // What is under way is carried out all the same, and nobody hears of it.
        let jobs = std::mem::take(&mut self.pods[pod].jobs);
        self.pods[pod].forget_room();
        self.zombies.extend(jobs.into_iter().filter_map(|job| match job {
            Job::Append(append) => Some(append),
            Job::Load { .. } | Job::CatchUp { .. } => None,
        }));
    }

    // --- the store

    /// The store does one of the things that it was asked for, or fails at it.
    pub(crate) fn work_once(&mut self, pod: usize, outcome: Outcome) {
        if self.pods[pod].jobs.is_empty() {
            return;
        }
        let at = self.rng.below(self.pods[pod].jobs.len());
        let Some(job) = self.pods[pod].jobs.remove(at) else { return };
        let is_done = outcome == Outcome::Done;
        let reason = || "disk".to_owned();
        let answer = match job {
            Job::Load { is_subscribed: false } => {
                self.pods[pod].inbox = Some(std::collections::VecDeque::new());
                return self.pods[pod].jobs.push_back(Job::Load { is_subscribed: true });
            }
            Job::Load { .. } if !is_done => {
                self.faults.count("failed loads");
                Input::LoadFailed { reason: reason() }
            }
            Job::Load { .. } => Input::Loaded(self.disk.load()),
            Job::CatchUp { .. } if !is_done => {
                self.faults.count("failed looks into the log");
                Input::CatchUpFailed { reason: reason() }
            }
            Job::CatchUp { after } => {
                if let Some(rows) = self.disk.rows_after(after) {
                    Input::CaughtUp { rows }
                } else {
                    self.faults.count("looks below a fold");
                    Input::LogFolded
                }
            }
            Job::Append(append) => self.append(append, outcome),
        };
        self.pods[pod].answers.push_back(answer);
    }

    fn append(&mut self, append: Append, outcome: Outcome) -> Input {
        let append_id = append.append_id;
        let failed = Input::AppendFailed { append_id, reason: "disk".to_owned() };
        match outcome {
            Outcome::Failed => {
                self.faults.count("failed appends");
                return failed;
            }
            Outcome::Late => {
                self.zombies.push_back(append);
                return failed;
            }
            Outcome::Done | Outcome::Lost => {}
        }
        match self.disk.append(&append) {
            Ok(_) if outcome == Outcome::Lost => {
                self.faults.count("failed appends that were written");
                failed
            }
            Ok(seq) => Input::Appended { append_id, seq },
            Err(Refused::Foreign) => {
                let is_honest = self.faults.of("attacks") == 0;
                assert!(!is_honest, "two honest architects with one client id: {:?}", append.claims);
                self.faults.count("appends with somebody else's client id");
                Input::AppendOvertaken { append_id }
            }
            Err(Refused::Overtaken) => {
                self.faults.count("appends that were overtaken");
                Input::AppendOvertaken { append_id }
            }
        }
    }

    pub(crate) fn write_late(&mut self) {
        if let Some(append) = self.zombies.pop_front()
            && self.disk.append(&append).is_ok()
        {
            self.faults.count("failed appends that were written later");
        }
    }

    /// The room hears one of the store's answers, not always the first.
    pub(crate) fn answer_once(&mut self, pod: usize) {
        let answers = &mut self.pods[pod].answers;
        if answers.is_empty() {
            return;
        }
        let at = self.rng.below(answers.len());
        if let Some(answer) = answers.remove(at) {
            self.pods[pod].is_loaded |= matches!(answer, Input::Loaded(_) | Input::LoadFailed { .. });
            self.handle(pod, answer);
        }
    }

    pub(crate) fn look(&mut self, pod: usize) {
        self.faults.count("looks");
        let head = self.disk.head();
        self.pods[pod].looks.push_back((Generation::new(0), head));
    }

    pub(crate) fn hear_look(&mut self, pod: usize) {
        if let Some((generation, seq)) = self.pods[pod].looks.pop_front() {
            self.faults.count_many("looks that came too late", u64::from(seq < self.disk.head()));
            self.handle(pod, Input::Head { generation, seq });
        }
    }

    /// kill -9: what is only in memory is gone; an append in flight may or may not have reached the disk, or will.
    pub(crate) fn kill(&mut self, pod: usize) {
        self.faults.count("kills");
        for job in std::mem::take(&mut self.pods[pod].jobs) {
            if let Job::Append(append) = job {
                self.faults.count("kills with an append in flight");
                match self.rng.below(3) {
                    0 => drop(self.disk.append(&append)),
                    1 => self.zombies.push_back(append),
                    _ => {}
                }
            }
        }
        self.faults.count_many("commits left to the sweep", u64::from(self.pods[pod].settling.is_open()));
        self.bury(pod);
        let id = self.new_pod_id();
        self.pods[pod].restart(id);
        self.mallory.conns.remove(&pod);
        self.programs.forget(pod);
        self.abandoned.retain(|socket| socket.pod != pod);
        for architect in &mut self.architects {
            if let Some(conn) = architect.socket.as_ref().filter(|socket| socket.pod == pod).map(|it| it.conn)
            {
                self.conns.remove(&conn);
                drop(architect.disconnect());
            }
        }
        self.trace_event("kill");
    }
}
