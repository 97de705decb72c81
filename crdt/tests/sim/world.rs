//! One pod, many architects, sockets that are cut or stall, a disk that fails, and kill -9: all driven by one seed.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use atlas_crdt::ids::{ClientId, ConnId, Millis, Seq, UserId};
use atlas_crdt::invariants;
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Dialect, Effect, FrameKind, Input, Join, Room, RoomConfig};
use atlas_crdt::wire::{self, ClientFrame};

use crate::architect::Architect;
use crate::disk::Disk;
use crate::graph;
use crate::mallory::{self, Attack, Mallory};
use crate::plan::{Action, Faults, Outcome};
use crate::programs::Programs;
use crate::rng::Rng;

/// Work the executor has been given and has not reported on.
#[derive(Debug)]
enum Job {
    Load,
    CatchUp { after: Seq },
    Append(Append),
}

pub(crate) struct World {
    rng: Rng,
    now: Millis,
    room: Option<Room>,
    jobs: VecDeque<Job>,
    disk: Disk,
    pub(crate) architects: Vec<Architect>,
    /// Which architect a live connection belongs to.
    conns: BTreeMap<ConnId, usize>,
    next_conn: u64,
    mallory: Mallory,
    programs: Programs,
    pub(crate) faults: Faults,
    trace: DefaultHasher,
}

impl World {
    pub(crate) fn new(seed: u64, architects: usize) -> Self {
        let mut rng = Rng::new(seed);
        let architects = (0..architects)
            .map(|name| Architect::new(name, name != 0 && rng.one_in(5), !rng.one_in(3)))
            .collect();
        Self {
            rng,
            now: Millis::new(0),
            room: None,
            jobs: VecDeque::new(),
            disk: Disk::new(),
            architects,
            conns: BTreeMap::new(),
            next_conn: 0,
            mallory: Mallory::default(),
            programs: Programs::default(),
            faults: Faults::default(),
            trace: DefaultHasher::new(),
        }
    }

    /// One thing happens, and everything that must hold still holds.
    pub(crate) fn act(&mut self, action: Action) {
        let people = self.architects.len();
        let who = |who: usize| who % people;
        match action {
            Action::Edit(name) => self.edit(who(name)),
            Action::ToServer(name) => self.deliver_to_server(who(name)),
            Action::ToClient(name) => self.deliver_to_client(who(name)),
            Action::Store(outcome) => self.work_once(outcome),
            Action::Wait(ms) => self.pass_time(ms),
            Action::Connect(name) => self.connect(who(name)),
            Action::Cut(name) => self.cut(who(name)),
            Action::Stall(name) => self.stall(who(name)),
            Action::Unstall(name) => self.unstall(who(name)),
            Action::Announce(name) => self.architects[who(name)].announce(),
            Action::Ask => self.ask(),
            Action::Kill => self.kill(),
            Action::Fold => self.faults.folds += u64::from(self.disk.fold()),
            Action::Attack => self.attack(),
        }
        self.check();
    }

    /// Every fault ends, everybody connects who is not, and everything that is under way arrives. Open sockets stay
    /// open: a new one would mend what the old one missed.
    pub(crate) fn heal_and_settle(&mut self) {
        for round in 0..20_000_u64 {
            for who in 0..self.architects.len() {
                // A room may have refused while it failed to load; a real client tries again.
                self.connect(who);
                self.unstall(who);
                self.deliver_to_server(who);
                self.deliver_to_client(who);
            }
            self.work_once(Outcome::Done);
            self.pass_time(5 + round % 50);
            self.check();
            if self.is_quiet() && 100 < round {
                return;
            }
        }
        panic!("the world did not come to rest");
    }

    fn is_quiet(&self) -> bool {
        self.jobs.is_empty()
            && !self.programs.is_waiting()
            && self.room.as_ref().is_some_and(|room| !room.stats().has_unsaved)
            && self.architects.iter().all(|architect| {
                architect.socket.as_ref().is_some_and(|socket| {
                    socket.to_client.is_empty() && socket.to_server.is_empty() && !socket.lag_reported
                })
            })
    }

    // --- people and sockets

    fn edit(&mut self, who: usize) {
        self.architects[who].edit(&mut self.rng);
    }

    fn connect(&mut self, who: usize) {
        if self.architects[who].socket.is_some() {
            return;
        }
        self.open_room();
        if !self.room.as_ref().is_some_and(Room::accepts_frames) {
            return; // the join waits in the inbox: here the person simply tries again
        }
        self.next_conn += 1;
        let conn = ConnId::new(self.next_conn);
        self.architects[who].connect(conn);
        self.conns.insert(conn, who);
        let architect = &self.architects[who];
        let join = Join {
            conn,
            user: UserId::from_u128(who as u128),
            role: if architect.is_viewer { DesignRole::Viewer } else { DesignRole::Editor },
            dialect: if architect.is_atlas { Dialect::Atlas } else { Dialect::Stock },
            epoch: None,
        };
        self.handle(Input::Join(join));
    }

    fn open_room(&mut self) {
        if self.room.is_none() {
            let config =
                RoomConfig::new(self.rng.next(), u128::from(self.rng.next()) << 64, ClientId::new(2));
            let (room, effects) = Room::new(config);
            self.room = Some(room);
            self.execute(effects);
        }
    }

    fn ask(&mut self) {
        self.open_room();
        if !self.room.as_ref().is_some_and(Room::accepts_frames) {
            return; // it waits in the inbox, and is given up there
        }
        let edit = self.programs.ask(&mut self.rng, &self.disk);
        if edit.user == mallory::USER {
            self.faults.attacks += 1;
        }
        self.trace_event("edit over HTTP");
        self.handle(Input::Edit(Arc::new(edit)));
    }

    /// Mallory comes, if she is not here, and does her worst.
    fn attack(&mut self) {
        if !self.room.as_ref().is_some_and(Room::accepts_frames) {
            return;
        }
        let conn = self.mallory.conn.unwrap_or_else(|| {
            self.next_conn += 1;
            ConnId::new(self.next_conn)
        });
        if self.mallory.conn.replace(conn).is_none() {
            let (user, role) = (mallory::USER, DesignRole::Editor);
            let dialect = if self.rng.one_in(2) { Dialect::Atlas } else { Dialect::Stock };
            self.handle(Input::Join(Join { conn, user, role, dialect, epoch: None }));
        }
        self.faults.attacks += 1;
        let claimed = self.disk.claimed();
        let frame = match self.mallory.attack(&mut self.rng, self.disk.doc(), &claimed) {
            Attack::Update(update) => ClientFrame::Update { update },
            Attack::Awareness(update) => ClientFrame::Awareness { update },
        };
        self.handle(Input::Frame { conn, frame });
        if self.rng.one_in(2) && self.mallory.conn.take().is_some() {
            self.handle(Input::Leave { conn });
        }
    }

    fn cut(&mut self, who: usize) {
        let Some(socket) = self.architects[who].socket.take() else { return };
        self.faults.cuts += 1;
        self.conns.remove(&socket.conn);
        self.handle(Input::Leave { conn: socket.conn });
    }

    fn stall(&mut self, who: usize) {
        if let Some(socket) = &mut self.architects[who].socket {
            socket.stalled = true;
            self.faults.stalls += 1;
        }
    }

    fn unstall(&mut self, who: usize) {
        let Some(socket) = &mut self.architects[who].socket else { return };
        socket.stalled = false;
        if std::mem::take(&mut socket.lag_reported) {
            let conn = socket.conn;
            self.handle(Input::Writable { conn });
        }
    }

    fn deliver_to_server(&mut self, who: usize) {
        if !self.room.as_ref().is_some_and(Room::accepts_frames) {
            return;
        }
        let Some(socket) = &mut self.architects[who].socket else { return };
        let conn = socket.conn;
        if let Some(message) = socket.to_server.pop_front() {
            let frame = wire::decode(&message).expect("architects speak the protocol");
            self.trace_event(match &frame {
                ClientFrame::Update { .. } => "update",
                ClientFrame::SyncStep2 { .. } => "step2",
                _ => "frame",
            });
            self.handle(Input::Frame { conn, frame });
        }
    }

    fn deliver_to_client(&mut self, who: usize) {
        let architect = &mut self.architects[who];
        if architect.socket.as_ref().is_some_and(|socket| socket.stalled) {
            return;
        }
        let before = architect.saved_marks.len();
        architect.receive();
        self.faults.saved += (architect.saved_marks.len() - before) as u64;
        // INV-2: what was said to be saved is in the log.
        for mark in &architect.saved_marks {
            assert!(self.disk.has_mark(mark), "INV-2: {mark} was acknowledged and is not in the log");
        }
    }

    // --- the pod

    fn handle(&mut self, input: Input) {
        let Some(room) = &mut self.room else { return };
        let mut effects = Vec::new();
        room.handle(self.now, input, &mut effects);
        self.execute(effects);
    }

    fn execute(&mut self, effects: Vec<Effect>) {
        let mut lagging = Vec::new();
        for effect in effects {
            match effect {
                Effect::Load => self.jobs.push_back(Job::Load),
                Effect::Report { what } => {
                    assert!(0 < self.faults.attacks, "honest architects, and yet: {what}");
                }
                Effect::Announce { client, user } => self.disk.announce(client, user),
                Effect::Quarantine(quarantine) => {
                    assert_eq!(quarantine.mark.user, mallory::USER, "{}", quarantine.reason);
                    self.faults.quarantined += 1;
                    self.disk.quarantine(quarantine.mark);
                }
                Effect::CatchUp { after } => {
                    self.faults.catch_ups += 1;
                    self.jobs.push_back(Job::CatchUp { after });
                }
                Effect::Append(append) => {
                    assert!(
                        !self.jobs.iter().any(|job| matches!(job, Job::Append(_))),
                        "two appends in flight at once"
                    );
                    self.faults.appends += 1;
                    self.jobs.push_back(Job::Append(append));
                }
                Effect::PublishPresence { .. } | Effect::AskPresence | Effect::PublishDigest { .. } => {}
                Effect::Publish { seq, .. } => {
                    assert!(seq.get() <= self.disk.rows() as u64, "INV-3: published before the commit");
                    self.trace_event("publish");
                }
                Effect::Send { to, frame, kind } => {
                    for conn in to {
                        let Some(who) = self.conns.get(&conn).copied() else { continue };
                        let Some(socket) = &mut self.architects[who].socket else { continue };
                        match &kind {
                            FrameKind::Document { since } if socket.stalled => {
                                socket.lag_reported = true;
                                lagging.push((conn, Arc::clone(since)));
                            }
                            FrameKind::Presence if socket.stalled => {}
                            _ => socket.to_client.push_back(frame.clone()),
                        }
                    }
                    frame.hash(&mut self.trace);
                }
                Effect::Answer { request, outcome } => {
                    self.programs.hear(request, &outcome, &self.disk, &mut self.faults);
                    self.trace_event("answer");
                }
                Effect::Close { conn, code, .. } => {
                    code.as_u16().hash(&mut self.trace);
                    if let Some(who) = self.conns.remove(&conn) {
                        self.architects[who].socket = None;
                    }
                    self.mallory.conn.take_if(|hers| *hers == conn);
                }
                Effect::Evict => {
                    let room = self.room.take().expect("a room evicts itself once");
                    assert!(!room.stats().has_unsaved, "INV-7: evicted with unsaved edits");
                    assert!(self.jobs.is_empty(), "INV-7: evicted with work under way");
                    assert!(!self.programs.is_waiting(), "INV-7: evicted with an edit unanswered");
                    self.faults.evictions += 1;
                }
            }
        }
        for (conn, since) in lagging {
            self.faults.lags += 1;
            self.handle(Input::Lagged { conn, since });
        }
    }

    /// The store finishes one thing, or fails at it.
    fn work_once(&mut self, outcome: Outcome) {
        match self.jobs.pop_front() {
            None => {}
            Some(Job::Load) if outcome != Outcome::Done => {
                self.faults.loads_failed += 1;
                self.handle(Input::LoadFailed { reason: "disk".to_owned() });
            }
            Some(Job::Load) => {
                let loaded = self.disk.load();
                self.handle(Input::Loaded(loaded));
            }
            Some(Job::CatchUp { .. }) if outcome != Outcome::Done => {
                self.handle(Input::CatchUpFailed { reason: "disk".to_owned() });
            }
            Some(Job::CatchUp { after }) => {
                let answer = if let Some(rows) = self.disk.rows_after(after) {
                    Input::CaughtUp { rows }
                } else {
                    self.faults.looks_below_a_fold += 1;
                    Input::LogFolded
                };
                self.handle(answer);
            }
            Some(Job::Append(append)) => {
                let append_id = append.append_id;
                let seq = (outcome != Outcome::Failed).then(|| self.disk.append(&append));
                let answer = match (outcome, seq) {
                    (Outcome::Done, Some(seq)) => Input::Appended { append_id, seq },
                    _ => Input::AppendFailed { append_id, reason: "disk".to_owned() },
                };
                match outcome {
                    Outcome::Done => {}
                    Outcome::Failed => self.faults.appends_failed += 1,
                    Outcome::Lost => self.faults.appends_failed_after_the_write += 1,
                }
                self.handle(answer);
            }
        }
    }

    fn pass_time(&mut self, ms: u64) {
        let target = self.now.plus(ms);
        while let Some(deadline) = self.room.as_ref().and_then(Room::deadline).filter(|at| *at <= target) {
            self.now = self.now.max(deadline);
            self.handle(Input::Tick);
            let next = self.room.as_ref().and_then(Room::deadline);
            assert!(next.is_none_or(|next| self.now < next), "a deadline that does not move on: {next:?}");
        }
        self.now = target;
    }

    /// kill -9: what is only in memory is gone; an append in flight may or may not have reached the disk.
    fn kill(&mut self) {
        self.faults.kills += 1;
        for job in std::mem::take(&mut self.jobs) {
            if let Job::Append(append) = job {
                self.faults.kills_with_append_in_flight += 1;
                if self.rng.one_in(2) {
                    self.disk.append(&append);
                }
            }
        }
        self.room = None;
        self.conns.clear();
        self.mallory.conn = None;
        self.programs.forget();
        for architect in &mut self.architects {
            architect.socket = None;
        }
        self.trace_event("kill");
    }

    // --- what must hold at every moment

    fn check(&mut self) {
        if let Some(room) = &self.room {
            invariants::check_room(room).expect("room invariants");
            let bound = limits::UNSAVED_BYTES_MAX + limits::DOCUMENT_BYTES_MAX;
            assert!(room.stats().unsaved_bytes <= bound, "INV-6");
        }
        if self.rng.one_in(16) {
            self.check_nobody_sees_what_can_be_lost();
        }
    }

    /// INV-3: every edit of somebody else's that anybody sees is in the log.
    pub(crate) fn check_nobody_sees_what_can_be_lost(&self) {
        for architect in &self.architects {
            for mark in architect.visible_marks() {
                let own = mark.starts_with(&format!("mark-{}-", architect.name));
                assert!(own || self.disk.has_mark(&mark), "INV-3: {mark} is seen and not in the log");
            }
        }
    }

    /// INV-1 and INV-2 at rest.
    pub(crate) fn check_agreement(&mut self) {
        invariants::check_view(&self.disk.doc().view()).expect("INV-11");
        let truth = graph::document(&self.disk.doc().encode());
        let content = graph::content(&truth);
        for architect in &self.architects {
            self.faults.refused += architect.refused;
            for mark in &architect.own_marks {
                assert!(self.disk.has_mark(mark), "{mark} was written by an editor and is lost");
            }
            if architect.is_viewer {
                assert_eq!(
                    architect.visible_marks().iter().filter(|mark| self.disk.has_mark(mark)).count(),
                    architect.own_marks.len() + self.visible_to_all(),
                    "a viewer misses edits"
                );
                continue;
            }
            assert!(!architect.has_missing(), "architect {} still waits for something", architect.name);
            assert_eq!(
                graph::content(architect.doc()),
                content,
                "INV-1: architect {} differs",
                architect.name
            );
        }
        self.programs.check_at_rest(&self.disk);
        assert_eq!(self.disk.last_name().cloned(), self.disk.doc().name(), "designs.name follows meta.name");
    }

    fn visible_to_all(&self) -> usize {
        let of_people: usize = self.architects.iter().map(|architect| architect.own_marks.len()).sum();
        of_people + self.disk.marks_of_programs()
    }

    fn trace_event(&mut self, event: &str) {
        (event, self.now.get()).hash(&mut self.trace);
    }

    /// INV-10: equal for equal seeds.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
