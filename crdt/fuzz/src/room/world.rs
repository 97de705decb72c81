//! The world around one room: a log, jobs that take their time, other pods, and people.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{clock_of, scan_update};
use atlas_crdt::ids::{ClientId, ConnId, Millis, Seq, UserId};
use atlas_crdt::invariants::check_room;
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, Dialect, Effect, FrameKind, Input, Join, LogRow, Room, RoomConfig};
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use yrs::StateVector;

use super::log::Log;
use super::people::{Person, Socket, cursor, is_in};
use crate::build;
use crate::judge::ORDER_IS_CHECKED;
use crate::known::{self, Clocks, READER};

/// How many effects one input may have: each person hears a few things about each of the frames that wait.
const EFFECTS_MAX: usize = 2_000;
pub(super) const ROLES: [DesignRole; 4] =
    [DesignRole::Owner, DesignRole::Editor, DesignRole::Commenter, DesignRole::Viewer];

/// What the executor has to do.
enum Job {
    Load,
    CatchUp { after: Seq },
    Append(Append),
}

pub(super) struct World {
    room: Option<Room>,
    rooms: u64,
    now: Millis,
    pub(super) people: Vec<Person>,
    pub(super) conns: u64,
    jobs: VecDeque<Job>,
    pub(super) log: Log,
    /// Commits of other pods that the bus has not brought.
    pub(super) bus: VecDeque<LogRow>,
    /// For plans of hostile updates.
    clocks: Clocks,
}

impl World {
    pub(super) fn new() -> Self {
        let (_, clocks) = known::document();
        let people = [(1, 1_000, true), (2, 2_000, true), (3, 3_000, false), (1, 4_000, false)];
        let people = people.map(|(user, client, honest)| Person::new(user, client, honest));
        Self {
            room: None,
            rooms: 0,
            now: Millis::new(0),
            people: people.into(),
            conns: 0,
            jobs: VecDeque::new(),
            log: Log::new(),
            bus: VecDeque::new(),
            clocks: clocks.clone(),
        }
    }

    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.int_in_range(0..=3)?;
        match u.int_in_range(0..=31)? {
            0..=2 => self.connect(who, *u.choose(&ROLES)?, u.ratio(1, 2)?),
            3 => self.leave(who),
            4..=9 => self.edit(who, u)?,
            10..=14 => self.hostile(who, u)?,
            15..=17 => self.arrive(who),
            18..=22 => self.work(u.int_in_range(0..=5)?),
            23 | 24 => self.pass(u.int_in_range(1..=20)?),
            25 => self.pass(u.int_in_range(1..=40_000)?),
            26 => self.stall(who),
            27 => self.unstall(who),
            28 => self.other_pod(u)?,
            29 => self.deliver_remote(u.ratio(1, 3)?),
            30 => self.odd(who, u)?,
            _ => self.end(u.int_in_range(0..=5)?),
        }
        Ok(())
    }

    /// A room is opened by whoever comes first.
    fn open(&mut self) {
        if self.room.is_some() {
            return;
        }
        self.rooms += 1;
        let config = RoomConfig::new(self.rooms, u128::from(self.rooms) << 64, READER);
        let (room, effects) = Room::new(config);
        self.room = Some(room);
        self.execute(effects);
        self.work(0);
    }

    fn connect(&mut self, who: usize, role: DesignRole, is_atlas: bool) {
        if self.people[who].socket.is_some() {
            return;
        }
        self.open();
        self.conns += 1;
        let conn = ConnId::new(self.conns);
        let dialect = if is_atlas { Dialect::Atlas } else { Dialect::Stock };
        let mut socket = Socket::new(conn, role, dialect);
        let person = &mut self.people[who];
        socket.to_server.push_back(person.step1());
        person.socket = Some(socket);
        let user = UserId::from_u128(person.user);
        self.handle(Input::Join(Join { conn, user, role, dialect, epoch: None }));
    }

    fn leave(&mut self, who: usize) {
        if let Some(socket) = self.people[who].socket.take() {
            self.handle(Input::Leave { conn: socket.conn });
        }
    }

    fn edit(&mut self, who: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let person = &mut self.people[who];
        let update = person.edit(u)?;
        if let Some(socket) = &mut person.socket {
            if person.honest && !socket.role.may_edit() {
                // What a viewer wrote is refused: it begins again, on a new socket.
                person.reset();
                self.leave(who);
                return Ok(());
            }
            socket.to_server.push_back(ClientFrame::Update { update });
        }
        Ok(())
    }

    /// Frames of somebody who wants to know how much the room bears.
    fn hostile(&mut self, who: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let mut clocks = self.clocks.clone();
        for client in [1, 2, 3, 1_000, 1_001, 2_000, 3_000] {
            clocks.next.insert(client, clock_of(self.log.doc.state(), ClientId::new(client)));
        }
        let frame = match u.int_in_range(0..=9)? {
            0 if ORDER_IS_CHECKED => {
                ClientFrame::Update { update: build::update(u, &clocks, false)?.0.into() }
            }
            0 => ClientFrame::Update { update: Bytes::copy_from_slice(u.bytes(u.len().min(16))?) },
            1 => ClientFrame::SyncStep1 { state_vector: Bytes::copy_from_slice(u.bytes(u.len().min(8))?) },
            2 => ClientFrame::QueryAwareness,
            3 => ClientFrame::Awareness { update: Bytes::copy_from_slice(u.bytes(u.len().min(16))?) },
            4 => ClientFrame::Awareness { update: cursor(u.int_in_range(0..=12)?, u.int_in_range(0..=9)?) },
            5 => ClientFrame::SyncStep2 { update: build::update(u, &clocks, true)?.0.into() },
            _ => ClientFrame::Update { update: build::update(u, &clocks, true)?.0.into() },
        };
        let person = &mut self.people[who];
        if let Some(socket) = &mut person.socket
            && !person.honest
        {
            socket.to_server.push_back(frame);
        }
        Ok(())
    }

    fn arrive(&mut self, who: usize) {
        if !self.room.as_ref().is_some_and(Room::accepts_frames) {
            return;
        }
        let Some(socket) = &mut self.people[who].socket else { return };
        let Some(frame) = socket.to_server.pop_front() else { return };
        socket.note_sent(&frame);
        let conn = socket.conn;
        self.handle(Input::Frame { conn, frame });
    }

    fn stall(&mut self, who: usize) {
        if let Some(socket) = &mut self.people[who].socket {
            socket.stalled = true;
        }
    }

    fn unstall(&mut self, who: usize) {
        let Some(socket) = &mut self.people[who].socket else { return };
        socket.stalled = false;
        if std::mem::take(&mut socket.lag_reported) {
            let conn = socket.conn;
            self.handle(Input::Writable { conn });
        }
    }

    /// The room ends in one way or the other.
    fn end(&mut self, how: u8) {
        match how {
            0 => self.handle(Input::Drain),
            1 => {
                // kill -9: the append in flight may have been written.
                let jobs = std::mem::take(&mut self.jobs);
                if let Some(Job::Append(append)) = jobs.front() {
                    self.log.append(append);
                }
                self.room = None;
                for person in &mut self.people {
                    person.socket = None;
                }
            }
            2 => self.pass(100_000),
            _ => {}
        }
    }

    // --- the pod

    pub(super) fn handle(&mut self, input: Input) {
        let Some(room) = &mut self.room else { return };
        let mut effects = Vec::new();
        room.handle(self.now, input, &mut effects);
        check_room(room).expect("the room's invariants");
        assert!(effects.len() <= EFFECTS_MAX, "INV-6: {} effects of one input", effects.len());
        self.execute(effects);
    }

    fn execute(&mut self, effects: Vec<Effect>) {
        let mut lagging = Vec::new();
        for effect in effects {
            match effect {
                Effect::Load => self.jobs.push_back(Job::Load),
                Effect::CatchUp { after } => self.jobs.push_back(Job::CatchUp { after }),
                Effect::Append(append) => {
                    let busy = self.jobs.iter().any(|job| matches!(job, Job::Append(_)));
                    assert!(!busy, "two appends in flight");
                    self.jobs.push_back(Job::Append(append));
                }
                Effect::PublishPresence { .. }
                | Effect::AskPresence
                | Effect::PublishDigest { .. }
                | Effect::Settled { .. } => {}
                Effect::Publish { seq, update, .. } => {
                    let row = &self.log.rows[usize::try_from(seq.get()).expect("few") - 1];
                    assert_eq!(row.update, update, "INV-3: published, and not what the log holds");
                }
                Effect::Send { to, frame, kind } => {
                    for conn in to {
                        self.deliver(conn, &frame, &kind, &mut lagging);
                    }
                }
                Effect::Close { conn, .. } => {
                    if let Some(who) = self.find(conn) {
                        self.people[who].socket = None;
                        // Whatever the reason: what was not saved is not relied upon here.
                        self.people[who].reset();
                    }
                }
                Effect::Announce { client, user } => {
                    self.log.announced.push(Claim { client, user: Some(user) });
                }
                Effect::Quarantine(quarantine) => self.log.quarantined.push(quarantine.mark),
                Effect::Report { what } => assert!(!what.is_empty()),
                Effect::Answer { outcome, .. } => panic!("nobody asked for an edit over HTTP: {outcome:?}"),
                Effect::Evict => {
                    let room = self.room.take().expect("a room goes once");
                    assert!(!room.stats().has_unsaved, "INV-7");
                    let is_lost = |job: &Job| matches!(job, Job::Append(append) if !self.log.has(append));
                    assert!(!self.jobs.iter().any(is_lost), "INV-7");
                    self.jobs.clear();
                }
            }
        }
        for (conn, since) in lagging {
            self.handle(Input::Lagged { conn, since });
        }
    }

    fn find(&self, conn: ConnId) -> Option<usize> {
        self.people.iter().position(|person| person.socket.as_ref().is_some_and(|socket| socket.conn == conn))
    }

    fn deliver(
        &mut self,
        conn: ConnId,
        frame: &Bytes,
        kind: &FrameKind,
        lagging: &mut Vec<(ConnId, Arc<StateVector>)>,
    ) {
        let read = wire::decode_server(frame).expect("the room speaks the protocol");
        // INV-3, whoever it is for and whether or not it gets there.
        if let ServerFrame::SyncStep2 { update } | ServerFrame::Update { update } = &read {
            let scan = scan_update(update, DOCUMENT_BYTES_MAX).expect("the room sends what its gate lets in");
            assert!(is_in(&self.log.doc, &scan), "INV-3: sent, and not in the log");
        }
        let Some(who) = self.find(conn) else { return };
        let person = &mut self.people[who];
        let Some(socket) = &mut person.socket else { return };
        match kind {
            FrameKind::Document { since } if socket.stalled => {
                socket.lag_reported = true;
                lagging.push((conn, Arc::clone(since)));
                return;
            }
            FrameKind::Presence { .. } if socket.stalled => return,
            _ => {}
        }
        match read {
            ServerFrame::SyncStep1 { state_vector } => {
                let answer = person.step2(&state_vector);
                let may_edit = person.socket.as_ref().is_some_and(|socket| socket.role.may_edit());
                if (may_edit || !person.honest)
                    && let Some(socket) = &mut person.socket
                {
                    socket.to_server.push_back(answer);
                }
            }
            ServerFrame::SyncStep2 { update } | ServerFrame::Update { update } => {
                // Somebody may have written under this person's client id: then their documents differ for ever.
                let is_whole = person.honest && !self.is_hijacked(who);
                self.people[who].receive(&update, is_whole);
            }
            ServerFrame::Saved(n) => socket.check_saved(n, &self.log.doc, person.honest),
            ServerFrame::Notice(notice) if notice["type"] == "refused" => socket.refused += 1,
            ServerFrame::Notice(_) => assert_eq!(socket.dialect, Dialect::Atlas),
            ServerFrame::PermissionDenied { .. } => assert_eq!(socket.dialect, Dialect::Stock),
            ServerFrame::Awareness { .. } | ServerFrame::QueryAwareness => {}
            ServerFrame::Unknown { .. } => panic!("an unknown frame"),
        }
    }

    /// Hostile people write under these, too.
    fn is_hijacked(&self, who: usize) -> bool {
        matches!(self.people[who].client, 1_000 | 1_001 | 2_000)
    }

    // --- the store

    fn work(&mut self, outcome: u8) {
        let Some(job) = self.jobs.pop_front() else { return };
        match (job, outcome) {
            (Job::Load, 5) => self.handle(Input::LoadFailed { reason: "disk".to_owned() }),
            (Job::Load, _) => {
                let loaded = self.log.load();
                self.handle(Input::Loaded(loaded));
            }
            (Job::CatchUp { .. }, 5) => self.handle(Input::CatchUpFailed { reason: "disk".to_owned() }),
            (Job::CatchUp { after }, _) => {
                let rows = self.log.rows.iter().filter(|row| after < row.seq).cloned().collect();
                self.handle(Input::CaughtUp { rows });
            }
            (Job::Append(append), 4 | 5) => {
                // Failed after it was written, or before.
                if outcome == 4 {
                    self.log.append(&append);
                }
                self.handle(Input::AppendFailed { append_id: append.append_id, reason: "disk".to_owned() });
            }
            (Job::Append(append), _) => {
                let seq = self.log.append(&append);
                self.handle(Input::Appended { append_id: append.append_id, seq });
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let target = self.now.plus(ms);
        let mut turns = 0;
        while let Some(deadline) = self.room.as_ref().and_then(Room::deadline).filter(|at| *at <= target) {
            self.now = self.now.max(deadline);
            self.handle(Input::Tick);
            let next = self.room.as_ref().and_then(Room::deadline);
            assert!(next.is_none_or(|next| self.now < next), "a deadline that does not move on");
            turns += 1;
            assert!(turns < 10_000, "a room that never rests");
        }
        self.now = target;
        self.handle(Input::Tick);
    }

    // --- the end

    /// Every fault ends; what the room then shows is the log and nothing else.
    pub(super) fn settle(&mut self) {
        for who in 0..self.people.len() {
            self.unstall(who);
        }
        for _ in 0..200 {
            for who in 0..self.people.len() {
                while self.people[who].socket.as_ref().is_some_and(|socket| !socket.to_server.is_empty())
                    && self.room.as_ref().is_some_and(Room::accepts_frames)
                {
                    self.arrive(who);
                }
            }
            while !self.bus.is_empty() {
                self.deliver_remote(false);
            }
            while !self.jobs.is_empty() {
                self.work(0);
            }
            self.pass(10_000);
            let is_quiet = self.jobs.is_empty()
                && self.room.as_ref().is_none_or(|room| !room.stats().has_unsaved)
                && self
                    .people
                    .iter()
                    .all(|person| person.socket.as_ref().is_none_or(|socket| socket.to_server.is_empty()));
            if is_quiet {
                break;
            }
        }
        self.check_end();
    }

    fn check_end(&mut self) {
        self.log.check_replay();
        if !self.room.as_ref().is_some_and(|room| !room.stats().has_unsaved) {
            return;
        }
        // Somebody new asks for everything.
        let Some(room) = &mut self.room else { return };
        let head = room.stats().head;
        // A commit of its own above a lost one of another pod does not yet make a room ask the log for the lost one.
        if usize::try_from(head.get()).expect("few") < self.log.rows.len() {
            return;
        }
        let (conn, user) = (ConnId::new(self.conns + 1), UserId::from_u128(77));
        let (role, dialect) = (DesignRole::Viewer, Dialect::Stock);
        let mut effects = Vec::new();
        room.handle(self.now, Input::Join(Join { conn, user, role, dialect, epoch: None }), &mut effects);
        let frame = ClientFrame::SyncStep1 { state_vector: Bytes::from_static(&[0]) };
        room.handle(self.now, Input::Frame { conn, frame }, &mut effects);
        let whole = effects.iter().find_map(|effect| match effect {
            Effect::Send { to, frame, .. } if to.contains(&conn) => match wire::decode_server(frame) {
                Ok(ServerFrame::SyncStep2 { update }) => Some(update),
                _ => None,
            },
            _ => None,
        });
        let Some(whole) = whole else { return };
        let shown = DesignDoc::load(READER, [&whole[..]]).expect("the room shows an update");
        let logged = self.log.up_to(head);
        assert_eq!(shown.state_vector(), logged.state_vector(), "the room shows other clocks than the log");
        assert_eq!(shown.view(), logged.view(), "the room shows another design than the log");
    }
}
