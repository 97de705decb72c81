//! What must hold at every moment, and what must hold when every fault has ended.

use std::collections::BTreeMap;

use atlas_crdt::ids::{Millis, Seq, UserId};
use atlas_crdt::invariants;
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Input, Join, Room};
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;

use crate::graph;
use crate::peer;
use crate::plan::{Fate, Outcome};
use crate::world::World;

/// Milliseconds in which every room has everything, once store and pods can be reached.
const CONVERGED_MS: u64 = 2_000;
/// Milliseconds of quiet after which everybody sees everybody: ghosts expire after 30 s, and clients renew after 15.
const PRESENCE_MS: u64 = 50_000;

impl World {
    // --- at every moment

    pub(crate) fn check(&mut self) {
        for room in self.pods.iter().filter_map(|pod| pod.room.as_ref()) {
            invariants::check_room(room).expect("room invariants");
            let bound = limits::UNSAVED_BYTES_MAX + limits::DOCUMENT_BYTES_MAX;
            assert!(room.stats().unsaved_bytes <= bound, "INV-6");
            assert_eq!(
                room.stats().divergences,
                0,
                "two rooms with different documents at one place of the log"
            );
        }
        if self.rng.one_in(16) {
            self.check_nobody_sees_what_can_be_lost();
        }
    }

    /// INV-3: every edit of somebody else's that anybody sees is in the log.
    pub(crate) fn check_nobody_sees_what_can_be_lost(&self) {
        for architect in &self.architects {
            let own = format!("mark-{}-", architect.name);
            for mark in architect.visible_marks() {
                let is_own = mark.starts_with(&own);
                assert!(is_own || self.disk.has_mark(&mark), "INV-3: {mark} is seen and not in the log");
            }
        }
    }

    // --- at the end

    /// Every fault ends, everybody connects who is not, and everything that is under way arrives. Open sockets stay
    /// open: a new one would mend what the old one missed.
    pub(crate) fn heal_and_settle(&mut self) {
        for pod in 0..self.pods.len() {
            self.pods[pod].fuse = None;
            self.pods[pod].looks.clear();
            self.regain_bus(pod);
            self.dismiss_mallory(pod);
        }
        while !self.zombies.is_empty() {
            self.write_late();
        }
        for architect in &mut self.architects {
            architect.edit(&mut self.rng);
        }
        let mut target: (Millis, Seq) = (self.now, self.disk.head());
        let mut quiet_since = None;
        for round in 0..20_000_u64 {
            self.settle_once(round);
            // While all is quiet, time goes faster.
            self.pass_time(if quiet_since.is_some() { 250 } else { 5 + round % 40 });
            self.check();
            target = self.check_convergence(target);
            if !self.is_quiet() {
                quiet_since = quiet_since.filter(|_| self.is_nearly_quiet());
                continue;
            }
            let since = *quiet_since.get_or_insert(self.now);
            if PRESENCE_MS <= self.now.since(since) && 100 < round {
                return;
            }
        }
        panic!("the world did not come to rest");
    }

    fn settle_once(&mut self, round: u64) {
        for who in 0..self.architects.len() {
            // A room may have refused while it failed to load; a real client tries again.
            let pod = self.rng.below(self.pods.len());
            self.connect(who, pod);
            self.unstall(who);
            for _ in 0..3 {
                self.deliver_to_server(who);
                self.deliver_to_client(who);
            }
        }
        self.end_abandoned();
        for pod in 0..self.pods.len() {
            self.work_once(pod, Outcome::Done);
            self.answer_once(pod);
            for _ in 0..4 {
                self.hear_word(pod, Fate::Arrives);
            }
            if round.is_multiple_of(16) {
                self.look(pod);
                self.hear_look(pod);
            }
        }
    }

    fn is_quiet(&self) -> bool {
        let head = self.disk.head();
        let is_saved = |room: &Room| !room.stats().has_unsaved && room.stats().head == head;
        self.is_nearly_quiet()
            && self.abandoned.is_empty()
            && !self.programs.is_waiting()
            && self.pods.iter().all(|pod| pod.room.as_ref().is_none_or(is_saved))
            && self.architects.iter().all(|architect| {
                architect.socket.as_ref().is_some_and(|socket| {
                    socket.to_client.is_empty() && socket.to_server.is_empty() && !socket.lag_reported
                })
            })
    }

    /// Nothing is asked of the store. Presence still comes and goes.
    fn is_nearly_quiet(&self) -> bool {
        self.pods.iter().all(|pod| {
            pod.jobs.is_empty()
                && pod.answers.is_empty()
                && pod.inbox.as_ref().is_none_or(|inbox| inbox.len() < 4)
        })
    }

    /// Whatever was in the log is in all rooms soon after.
    fn check_convergence(&self, (since, wanted): (Millis, Seq)) -> (Millis, Seq) {
        let is_behind = |room: &Room| {
            let stats = room.stats();
            stats.head != Seq::ZERO && stats.head < wanted
        };
        let behind = self.pods.iter().position(|pod| pod.room.as_ref().is_some_and(is_behind));
        match behind {
            None => (self.now, self.disk.head()),
            Some(pod) => {
                let late = self.now.since(since);
                assert!(late <= CONVERGED_MS + 500, "pod {pod} lacks something of the log after {late} ms");
                (since, wanted)
            }
        }
    }

    /// INV-1 and INV-2 at rest.
    pub(crate) fn check_agreement(&mut self) {
        invariants::check_view(&self.disk.doc().view()).expect("INV-11");
        // Read from the store as a load does it, and with yrs itself.
        let loaded =
            self.disk.load().document(atlas_crdt::ids::ClientId::new(1)).expect("the store can be read");
        assert_eq!(loaded.view(), self.disk.doc().view(), "the store replays into another design");
        let content = graph::content(self.disk.reader());
        for architect in &self.architects {
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
        self.check_presence();
        for pod in 0..self.pods.len() {
            self.audit(pod, &content);
        }
    }

    /// `designs.name` follows `meta.name`. Two pods that tell the store a name at once may leave it with the one that did not
    /// win, until the design gets another name.
    pub(crate) fn check_name(&mut self) {
        self.architects[0].rename();
        for round in 0..1_000 {
            self.settle_once(round);
            self.pass_time(20);
            if self.is_quiet() {
                let name = self.disk.doc().name();
                assert_eq!(self.disk.name().cloned(), name, "designs.name follows meta.name");
                return;
            }
        }
        panic!("one more name does not come to rest");
    }

    fn visible_to_all(&self) -> usize {
        let of_people: usize = self.architects.iter().map(|architect| architect.own_marks.len()).sum();
        of_people + self.disk.marks_of_programs()
    }

    /// Who is here, by id, and what each says.
    fn company(&self) -> BTreeMap<u64, String> {
        let state = |name: usize| self.architects[name].peer.state().cloned().unwrap_or_default();
        (0..self.architects.len()).map(|name| (1_000 + name as u64, state(name))).collect()
    }

    /// Everybody sees exactly those who are here, wherever they are connected.
    fn check_presence(&self) {
        let company = self.company();
        for architect in &self.architects {
            let (name, peer) = (architect.name, &architect.peer);
            let pods: Vec<_> = self.architects.iter().map(|it| it.socket.as_ref().map(|it| it.pod)).collect();
            assert_eq!(
                *peer.sees(),
                company,
                "what architect {name} sees of the others, at {pods:?}: {peer:?}"
            );
        }
    }

    /// What a pod tells whoever comes now: the store's document, and who is here.
    fn audit(&mut self, pod: usize, content: &[yrs::Any]) {
        if self.pods[pod].room.is_none() {
            return;
        }
        let conn = self.new_conn();
        self.auditor = Some((conn, Vec::new()));
        let (user, role, dialect) = (UserId::from_u128(777), DesignRole::Viewer, Dialect::Stock);
        self.handle(pod, Input::Join(Join { conn, user, role, dialect, epoch: None }));
        let frame = ClientFrame::SyncStep1 { state_vector: Bytes::from_static(&[0]) };
        self.handle(pod, Input::Frame { conn, frame });
        let heard = self.auditor.take().map(|(_, heard)| heard).unwrap_or_default();
        let (mut shown, mut here) = (None, BTreeMap::new());
        for frame in &heard {
            match wire::decode_server(frame).expect("the server speaks its own protocol") {
                ServerFrame::SyncStep2 { update } => shown = Some(graph::document(&update)),
                ServerFrame::Awareness { update } => {
                    here = peer::read(&update)
                        .into_iter()
                        .filter_map(|(client, _, state)| Some((client, state?)))
                        .collect();
                }
                _ => {}
            }
        }
        let shown = shown.expect("a SyncStep1 at rest is answered at once");
        assert_eq!(graph::content(&shown), content, "INV-1: the room at pod {pod} is not the store");
        assert_eq!(here, self.company(), "what pod {pod} tells of who is here");
        self.handle(pod, Input::Leave { conn });
    }
}
