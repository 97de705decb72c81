//! A person with a Yjs document of their own, who goes on editing whether or not anybody listens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use atlas_crdt::ids::{ConnId, Millis};
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Any, Doc, Map, MapPrelim, Out, ReadTxn, StateVector, Transact, Update};

use crate::graph;
use crate::peer::Peer;
use crate::rng::Rng;

/// One open socket: two pipes and what the server's outbox holds back.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    pub(crate) conn: ConnId,
    pub(crate) pod: usize,
    pub(crate) to_server: VecDeque<Bytes>,
    pub(crate) to_client: VecDeque<Bytes>,
    /// The outbox refuses document frames until it has been drained.
    pub(crate) stalled: bool,
    pub(crate) lag_reported: bool,
    sent: u64,
    /// Marks in document message n of this socket.
    marks_in: BTreeMap<u64, Vec<String>>,
}

pub(crate) struct Architect {
    pub(crate) name: usize,
    pub(crate) socket: Option<Socket>,
    pub(crate) is_viewer: bool,
    /// Speaks `atlas.v1`.
    pub(crate) is_atlas: bool,
    doc: Doc,
    pub(crate) peer: Peer,
    edits: u64,
    moves: u64,
    /// Everything this person ever wrote.
    pub(crate) own_marks: BTreeSet<String>,
    /// What the server lately said is saved.
    pub(crate) saved_marks: Vec<String>,
    pub(crate) refused: Vec<String>,
    /// How often it was told that it is gone itself.
    pub(crate) reminded: u64,
}

impl Architect {
    pub(crate) fn new(name: usize, is_viewer: bool, is_atlas: bool) -> Self {
        let doc = graph::new_document(1_000 + name as u64);
        Self {
            name,
            socket: None,
            is_viewer,
            is_atlas,
            doc,
            peer: Peer::new(1_000 + name as u64),
            edits: 0,
            moves: 0,
            own_marks: BTreeSet::new(),
            saved_marks: Vec::new(),
            refused: Vec::new(),
            reminded: 0,
        }
    }

    pub(crate) fn connect(&mut self, conn: ConnId, pod: usize) {
        let mut socket = Socket { conn, pod, ..Socket::default() };
        let state_vector = Bytes::from(self.doc.transact().state_vector().encode_v1());
        socket.to_server.push_back(wire::encode_client(&ClientFrame::SyncStep1 { state_vector }));
        self.socket = Some(socket);
        self.say();
    }

    /// The socket is gone, and what it was.
    pub(crate) fn disconnect(&mut self) -> Option<Socket> {
        self.peer.cut();
        self.socket.take()
    }

    /// Says where the cursor is.
    pub(crate) fn announce(&mut self, now: Millis) {
        self.moves += 1;
        self.peer.set(now, format!("{{\"at\":{}}}", self.moves));
        self.say();
    }

    /// Time has passed: it says every now and then that it is still here.
    pub(crate) fn renew(&mut self, now: Millis) {
        if self.peer.renew(now) {
            self.say();
        }
    }

    fn say(&mut self) {
        if let Some(socket) = &mut self.socket {
            let update = self.peer.own();
            socket.to_server.push_back(wire::encode_client(&ClientFrame::Awareness { update }));
        }
    }

    /// Calls the design by a new name.
    pub(crate) fn rename(&mut self) {
        self.change(2, "n0", "n1");
    }

    /// One transaction: a change of the graph and a mark that is unique in the world.
    pub(crate) fn edit(&mut self, rng: &mut Rng) {
        let (what, one, other) = (rng.below(6), rng.below(12), rng.below(12));
        self.change(what, &format!("n{one}"), &format!("n{other}"));
    }

    fn change(&mut self, what: usize, id: &str, other: &str) {
        self.edits += 1;
        let mark = format!("mark-{}-{}", self.name, self.edits);
        let (nodes, edges, meta) = (
            self.doc.get_or_insert_map("nodes"),
            self.doc.get_or_insert_map("edges"),
            self.doc.get_or_insert_map("meta"),
        );
        let update = {
            let mut txn = self.doc.transact_mut();
            match what {
                0 => {
                    nodes.remove(&mut txn, id);
                }
                1 => {
                    // Key by key: a MapPrelim of several writes them in an order of its own each time (INV-10).
                    let edge = edges.insert(&mut txn, format!("e-{id}"), MapPrelim::default());
                    edge.insert(&mut txn, "source", id);
                    edge.insert(&mut txn, "target", other);
                }
                2 => {
                    meta.insert(&mut txn, "name", format!("name {} by {}", self.edits, self.name));
                }
                _ => {
                    if let Some(Out::YMap(node)) = nodes.get(&txn, id) {
                        node.insert(&mut txn, "width", format!("{other} {}", self.edits));
                    } else {
                        let node = MapPrelim::from([("type".to_owned(), Any::from("custom"))]);
                        let node = nodes.insert(&mut txn, id, node);
                        node.insert(&mut txn, "data", MapPrelim::default());
                    }
                }
            }
            meta.insert(&mut txn, mark.clone(), true);
            Bytes::from(txn.encode_update_v1())
        };
        if !self.is_viewer {
            self.own_marks.insert(mark.clone());
        }
        if let Some(socket) = &mut self.socket {
            socket.sent += 1;
            // A viewer's edits are refused; `Saved` counts them as answered.
            if !self.is_viewer {
                socket.marks_in.entry(socket.sent).or_default().push(mark);
            }
            socket.to_server.push_back(wire::encode_client(&ClientFrame::Update { update }));
        }
    }

    /// Reads one message from the server.
    pub(crate) fn receive(&mut self, now: Millis) {
        let Some(message) = self.socket.as_mut().and_then(|socket| socket.to_client.pop_front()) else {
            return;
        };
        match wire::decode_server(&message).expect("the server speaks its own protocol") {
            ServerFrame::SyncStep1 { state_vector } => self.answer_step1(&state_vector),
            ServerFrame::SyncStep2 { update } | ServerFrame::Update { update } => {
                let update = Update::decode_v1(&update).expect("the server sends updates that decode");
                self.doc.transact_mut().apply_update(update).expect("the server sends updates that apply");
            }
            ServerFrame::Saved(n) => self.note_saved(n),
            ServerFrame::Notice(notice) => {
                if notice["type"] == "refused" {
                    self.refused.push(notice.to_string());
                }
            }
            ServerFrame::PermissionDenied { reason } => self.refused.push(reason),
            ServerFrame::Awareness { update } => {
                if self.peer.hear(now, &update) {
                    self.reminded += 1;
                    self.say();
                }
            }
            ServerFrame::QueryAwareness | ServerFrame::Unknown { .. } => {}
        }
    }

    fn answer_step1(&mut self, state_vector: &[u8]) {
        let theirs = StateVector::decode_v1(state_vector).unwrap();
        let update = Bytes::from(self.doc.transact().encode_diff_v1(&theirs));
        let marks = self.own_marks.iter().cloned().collect();
        let Some(socket) = &mut self.socket else { return };
        socket.sent += 1;
        // The answer carries everything that the server lacks: all own marks are in it or known already.
        socket.marks_in.insert(socket.sent, marks);
        socket.to_server.push_back(wire::encode_client(&ClientFrame::SyncStep2 { update }));
    }

    fn note_saved(&mut self, n: u64) {
        let Some(socket) = &mut self.socket else { return };
        assert!(n <= socket.sent, "Saved({n}) counts messages that were never sent ({})", socket.sent);
        let rest = socket.marks_in.split_off(&(n + 1));
        for marks in std::mem::replace(&mut socket.marks_in, rest).into_values() {
            self.saved_marks.extend(marks);
        }
    }

    /// Marks that this person can see.
    pub(crate) fn visible_marks(&self) -> BTreeSet<String> {
        graph::marks(&self.doc)
    }

    pub(crate) fn doc(&self) -> &Doc {
        &self.doc
    }

    pub(crate) fn has_missing(&self) -> bool {
        self.doc.transact().has_missing_updates()
    }
}
