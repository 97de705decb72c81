//! Some pods that share a log and a bus, many architects who change the pod when they like, sockets that are cut or stall,
//! a store that fails, a bus that loses words, and kill -9: all driven by one seed.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use atlas_crdt::ids::{ConnId, Millis, PodId, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Dialect, Input, Join};
use atlas_crdt::wire::{self, ClientFrame};
use bytes::Bytes;

use crate::architect::Architect;
use crate::disk::Disk;
use crate::faults::Faults;
use crate::mallory::{self, Attack, Mallory};
use crate::plan::{Action, Plan};
use crate::pod::Pod;
use crate::programs::Programs;
use crate::rng::Rng;

/// A socket whose client is elsewhere by now, and what was still on its way on it. The pod has not noticed.
#[derive(Debug)]
pub(crate) struct Abandoned {
    pub(crate) pod: usize,
    conn: ConnId,
    to_server: VecDeque<Bytes>,
}

/// One pod takes another for dead at this time, unless it is heard of before.
#[derive(Debug)]
pub(crate) struct Obituary {
    pub(crate) at: Millis,
    pub(crate) reader: usize,
    pub(crate) dead: PodId,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: Millis,
    pub(crate) pods: Vec<Pod>,
    pub(crate) disk: Disk,
    pub(crate) architects: Vec<Architect>,
    /// Which architect a live connection belongs to.
    pub(crate) conns: BTreeMap<ConnId, usize>,
    pub(crate) abandoned: VecDeque<Abandoned>,
    /// Writes that everybody takes for failed.
    pub(crate) zombies: VecDeque<Append>,
    pub(crate) obituaries: Vec<Obituary>,
    /// Somebody who only looks on, and everything that was sent there.
    pub(crate) auditor: Option<(ConnId, Vec<Bytes>)>,
    next_conn: u64,
    next_pod: u64,
    pub(crate) mallory: Mallory,
    pub(crate) programs: Programs,
    pub(crate) faults: Faults,
    pub(crate) trace: DefaultHasher,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut rng = Rng::new(plan.seed);
        let architects = (0..plan.architects)
            .map(|name| Architect::new(name, name != 0 && rng.one_in(5), !rng.one_in(3)))
            .collect();
        let pods = (0..plan.pods).map(|pod| Pod::new(&mut rng, PodId::new(pod as u64 + 1))).collect();
        Self {
            rng,
            now: Millis::new(0),
            pods,
            disk: Disk::new(),
            architects,
            conns: BTreeMap::new(),
            abandoned: VecDeque::new(),
            zombies: VecDeque::new(),
            obituaries: Vec::new(),
            auditor: None,
            next_conn: 0,
            next_pod: plan.pods as u64,
            mallory: Mallory::default(),
            programs: Programs::default(),
            faults: Faults::default(),
            trace: DefaultHasher::new(),
        }
    }

    /// One thing happens, and everything that must hold still holds.
    pub(crate) fn act(&mut self, action: Action) {
        let (people, pods) = (self.architects.len(), self.pods.len());
        let (who, at) = (|who: usize| who % people, |pod: usize| pod % pods);
        match action {
            Action::Edit(name) => self.architects[who(name)].edit(&mut self.rng),
            Action::ToServer(name) => self.deliver_to_server(who(name)),
            Action::ToClient(name) => self.deliver_to_client(who(name)),
            Action::Store(pod, outcome) => self.work_once(at(pod), outcome),
            Action::Answer(pod) => self.answer_once(at(pod)),
            Action::Wait(ms) => self.pass_time(ms),
            Action::Connect(name, pod) => self.connect(who(name), at(pod)),
            Action::Cut(name) => self.cut(who(name)),
            Action::Roam(name, pod) => self.roam(who(name), at(pod)),
            Action::Abandoned => self.end_abandoned(),
            Action::Stall(name) => self.stall(who(name)),
            Action::Unstall(name) => self.unstall(who(name)),
            Action::Announce(name) => {
                let now = self.now;
                self.architects[who(name)].announce(now);
            }
            Action::Word(pod, fate) => self.hear_word(at(pod), fate),
            Action::Away(pod) => self.lose_bus(at(pod)),
            Action::Back(pod) => self.regain_bus(at(pod)),
            Action::Look(pod) => self.look(at(pod)),
            Action::Seen(pod) => self.hear_look(at(pod)),
            Action::Kill(pod) => self.kill(at(pod)),
            Action::Fuse(pod, effects) => self.pods[at(pod)].fuse = Some(effects),
            Action::Zombie => self.write_late(),
            Action::Fold => {
                let folded = self.disk.fold();
                self.faults.count_many("folds of the log", u64::from(folded));
            }
            Action::Ask(pod) => self.ask(at(pod)),
            Action::Attack(pod) => self.attack(at(pod)),
        }
        self.check();
    }

    pub(crate) fn new_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId::new(self.next_conn)
    }

    pub(crate) fn new_pod_id(&mut self) -> PodId {
        self.next_pod += 1;
        PodId::new(self.next_pod)
    }

    // --- people and sockets

    pub(crate) fn connect(&mut self, who: usize, pod: usize) {
        if self.architects[who].socket.is_some() {
            return;
        }
        self.open_room(pod);
        if !self.pods[pod].accepts_frames() {
            return; // the join waits in the inbox: here the person simply tries again
        }
        let conn = self.new_conn();
        let architect = &mut self.architects[who];
        architect.connect(conn, pod);
        self.conns.insert(conn, who);
        let join = Join {
            conn,
            user: UserId::from_u128(who as u128),
            role: if architect.is_viewer { DesignRole::Viewer } else { DesignRole::Editor },
            dialect: if architect.is_atlas { Dialect::Atlas } else { Dialect::Stock },
            epoch: None,
        };
        self.handle(pod, Input::Join(join));
    }

    fn cut(&mut self, who: usize) {
        let Some(socket) = self.architects[who].disconnect() else { return };
        self.faults.count("cuts");
        self.conns.remove(&socket.conn);
        self.handle(socket.pod, Input::Leave { conn: socket.conn });
    }

    fn roam(&mut self, who: usize, pod: usize) {
        if let Some(socket) = self.architects[who].disconnect() {
            self.conns.remove(&socket.conn);
            let (conn, to_server) = (socket.conn, socket.to_server);
            if socket.pod != pod {
                self.faults.count("clients that changed the pod");
            }
            self.abandoned.push_back(Abandoned { pod: socket.pod, conn, to_server });
        }
        self.connect(who, pod);
    }

    /// What was on its way still arrives, and when there is nothing, the pod notices.
    pub(crate) fn end_abandoned(&mut self) {
        let Some(mut socket) = self.abandoned.pop_front() else { return };
        let Abandoned { pod, conn, .. } = socket;
        match socket.to_server.pop_front() {
            Some(message) if self.pods[pod].accepts_frames() => {
                self.faults.count("frames of a socket whose client is elsewhere");
                let frame = wire::decode(&message).expect("architects speak the protocol");
                self.abandoned.push_back(socket);
                self.handle(pod, Input::Frame { conn, frame });
            }
            // It waits, as the others do; what is cut off is lost.
            Some(message) if !self.rng.one_in(3) => {
                socket.to_server.push_front(message);
                self.abandoned.push_back(socket);
            }
            _ => self.handle(pod, Input::Leave { conn }),
        }
    }

    fn stall(&mut self, who: usize) {
        if let Some(socket) = &mut self.architects[who].socket {
            socket.stalled = true;
            self.faults.count("stalls");
        }
    }

    pub(crate) fn unstall(&mut self, who: usize) {
        let Some(socket) = &mut self.architects[who].socket else { return };
        socket.stalled = false;
        if std::mem::take(&mut socket.lag_reported) {
            let (conn, pod) = (socket.conn, socket.pod);
            self.handle(pod, Input::Writable { conn });
        }
    }

    pub(crate) fn deliver_to_server(&mut self, who: usize) {
        let Some(socket) = &mut self.architects[who].socket else { return };
        let (conn, pod) = (socket.conn, socket.pod);
        if !self.pods[pod].accepts_frames() {
            return;
        }
        if let Some(message) = socket.to_server.pop_front() {
            let frame = wire::decode(&message).expect("architects speak the protocol");
            self.trace_event(match &frame {
                ClientFrame::Update { .. } => "update",
                ClientFrame::SyncStep2 { .. } => "step2",
                _ => "frame",
            });
            self.handle(pod, Input::Frame { conn, frame });
        }
    }

    pub(crate) fn deliver_to_client(&mut self, who: usize) {
        let architect = &mut self.architects[who];
        if architect.socket.as_ref().is_some_and(|socket| socket.stalled) {
            return;
        }
        let reminded = architect.reminded;
        architect.receive(self.now);
        self.faults.count_many("clients told of their own removal", architect.reminded - reminded);
        // INV-2: what was said to be saved is in the log.
        for mark in std::mem::take(&mut architect.saved_marks) {
            assert!(self.disk.has_mark(&mark), "INV-2: {mark} was acknowledged and is not in the log");
            self.faults.count("edits told to be saved");
        }
        let refused = std::mem::take(&mut architect.refused);
        if !refused.is_empty() && !architect.is_viewer {
            let owner = self.disk.owner(1_000 + who as u64);
            panic!("architect {who}, who may edit, and whose id is {owner:?}'s: {refused:?}");
        }
        self.faults.count_many("refusals of viewers", refused.len() as u64);
    }

    // --- programs, and somebody evil

    fn ask(&mut self, pod: usize) {
        self.open_room(pod);
        if !self.pods[pod].accepts_frames() {
            return; // it waits in the inbox, and is given up there
        }
        let edit = self.programs.ask(&mut self.rng, &self.disk, pod);
        if edit.user == mallory::USER {
            self.faults.count("attacks");
        }
        self.trace_event("edit over HTTP");
        self.handle(pod, Input::Edit(Arc::new(edit)));
    }

    /// Mallory comes, if she is not here, and does her worst.
    fn attack(&mut self, pod: usize) {
        if !self.pods[pod].accepts_frames() {
            return;
        }
        self.faults.count("attacks");
        let conn = match self.mallory.conns.get(&pod) {
            Some(conn) => *conn,
            None => self.invite_mallory(pod),
        };
        let mut claimed = self.disk.claimed();
        let has_one_pod = self.pods.len() == 1;
        if has_one_pod {
            // Another pod may not have heard whose they are, and the log does not know: the first who writes has them.
            claimed.extend(self.disk.announced());
        }
        let frame = match self.mallory.attack(&mut self.rng, self.disk.doc(), &claimed, has_one_pod) {
            Attack::Update(update) => ClientFrame::Update { update },
            Attack::Awareness(update) => ClientFrame::Awareness { update },
        };
        self.handle(pod, Input::Frame { conn, frame });
        if self.rng.one_in(2) {
            self.dismiss_mallory(pod);
        }
    }

    fn invite_mallory(&mut self, pod: usize) -> ConnId {
        let conn = self.new_conn();
        self.mallory.conns.insert(pod, conn);
        let (user, role) = (mallory::USER, DesignRole::Editor);
        let dialect = if self.rng.one_in(2) { Dialect::Atlas } else { Dialect::Stock };
        self.handle(pod, Input::Join(Join { conn, user, role, dialect, epoch: None }));
        conn
    }

    pub(crate) fn dismiss_mallory(&mut self, pod: usize) {
        if let Some(conn) = self.mallory.conns.remove(&pod) {
            self.handle(pod, Input::Leave { conn });
        }
    }

    // --- time

    pub(crate) fn pass_time(&mut self, ms: u64) {
        let target = self.now.plus(ms);
        for pod in 0..self.pods.len() {
            let until = self.pods[pod].time_at(target);
            while let Some(at) = self.deadline(pod).filter(|at| *at <= until) {
                self.pods[pod].clock = self.pods[pod].clock.max(at);
                self.handle(pod, Input::Tick);
                let (next, now) = (self.deadline(pod), self.pods[pod].clock);
                assert!(next.is_none_or(|next| now < next), "a deadline that does not move on: {next:?}");
            }
            self.pods[pod].clock = until;
            self.check_settling(pod);
        }
        self.now = target;
        self.architects.iter_mut().for_each(|architect| architect.renew(target));
        self.read_obituaries();
    }

    fn deadline(&self, pod: usize) -> Option<Millis> {
        self.pods[pod].room.as_ref()?.deadline()
    }

    pub(crate) fn trace_event(&mut self, event: &str) {
        (event, self.now.get()).hash(&mut self.trace);
    }

    /// INV-10: equal for equal seeds.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
