//! A person with a Yjs document of their own, who goes on editing whether or not anybody listens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use atlas_crdt::ids::{ClientId, ConnId};
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Any, Doc, Map, MapPrelim, OffsetKind, Options, Out, ReadTxn, StateVector, Transact, Update};

use crate::rng::Rng;

/// One open socket: two pipes and what the server's outbox holds back.
#[derive(Debug, Default)]
pub struct Socket {
    pub conn: ConnId,
    pub to_server: VecDeque<Bytes>,
    pub to_client: VecDeque<Bytes>,
    /// The outbox refuses document frames until it has been drained.
    pub stalled: bool,
    pub lag_reported: bool,
    sent: u64,
    /// Marks in document message n of this socket.
    marks_in: BTreeMap<u64, Vec<String>>,
}

pub struct Architect {
    pub name: usize,
    pub socket: Option<Socket>,
    pub is_viewer: bool,
    /// Speaks `atlas.v1`.
    pub is_atlas: bool,
    doc: Doc,
    edits: u64,
    /// Everything this person ever wrote.
    pub own_marks: BTreeSet<String>,
    /// Everything the server said is saved.
    pub saved_marks: BTreeSet<String>,
    pub refused: u64,
}

impl Architect {
    pub fn new(name: usize, is_viewer: bool, is_atlas: bool) -> Self {
        let mut options = Options::with_client_id(yrs::block::ClientID::new(1_000 + name as u64));
        options.offset_kind = OffsetKind::Utf16;
        let doc = Doc::with_options(options);
        for root in ["nodes", "edges", "meta", "comments"] {
            doc.get_or_insert_map(root);
        }
        Self {
            name,
            socket: None,
            is_viewer,
            is_atlas,
            doc,
            edits: 0,
            own_marks: BTreeSet::new(),
            saved_marks: BTreeSet::new(),
            refused: 0,
        }
    }

    pub fn connect(&mut self, conn: ConnId) {
        let mut socket = Socket { conn, ..Socket::default() };
        let state_vector = Bytes::from(self.doc.transact().state_vector().encode_v1());
        socket.to_server.push_back(wire::encode_client(&ClientFrame::SyncStep1 { state_vector }));
        self.socket = Some(socket);
        self.announce();
    }

    /// Says where the cursor is.
    pub fn announce(&mut self) {
        if let Some(socket) = &mut self.socket {
            let clock = self.edits.min(100_000) + socket.conn.get();
            let mut update = vec![1];
            write_var(&mut update, 1_000 + self.name as u64);
            write_var(&mut update, clock);
            let state = format!("{{\"at\":{clock}}}");
            write_var(&mut update, state.len() as u64);
            update.extend_from_slice(state.as_bytes());
            socket.to_server.push_back(wire::encode_client(&ClientFrame::Awareness { update: update.into() }));
        }
    }

    /// One transaction: a change of the graph and a mark that is unique in the world.
    pub fn edit(&mut self, rng: &mut Rng) {
        self.edits += 1;
        let mark = format!("mark-{}-{}", self.name, self.edits);
        let (nodes, edges, meta) =
            (self.doc.get_or_insert_map("nodes"), self.doc.get_or_insert_map("edges"), self.doc.get_or_insert_map("meta"));
        let update = {
            let mut txn = self.doc.transact_mut();
            let id = format!("n{}", rng.below(12));
            match rng.below(6) {
                0 => {
                    nodes.remove(&mut txn, &id);
                }
                1 => {
                    let edge = MapPrelim::from([
                        ("source".to_owned(), Any::from(format!("n{}", rng.below(12)))),
                        ("target".to_owned(), Any::from(format!("n{}", rng.below(12)))),
                    ]);
                    edges.insert(&mut txn, format!("e{}", rng.below(12)), edge);
                }
                2 => {
                    meta.insert(&mut txn, "name", format!("name {}", self.edits));
                }
                _ => {
                    if let Some(Out::YMap(node)) = nodes.get(&txn, &id) {
                        node.insert(&mut txn, "width", f64::from(u32::try_from(rng.below(500)).unwrap()));
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
            socket.marks_in.entry(socket.sent).or_default().push(mark);
            socket.to_server.push_back(wire::encode_client(&ClientFrame::Update { update }));
        }
    }

    /// Reads one message from the server.
    pub fn receive(&mut self) {
        let Some(message) = self.socket.as_mut().and_then(|socket| socket.to_client.pop_front()) else { return };
        match wire::decode_server(&message).expect("the server speaks its own protocol") {
            ServerFrame::SyncStep1 { state_vector } => self.answer_step1(&state_vector),
            ServerFrame::SyncStep2 { update } | ServerFrame::Update { update } => {
                let update = Update::decode_v1(&update).expect("the server sends updates that decode");
                self.doc.transact_mut().apply_update(update).expect("the server sends updates that apply");
            }
            ServerFrame::Saved(n) => self.note_saved(n),
            ServerFrame::Notice(notice) => {
                if notice["type"] == "refused" {
                    self.refused += 1;
                }
            }
            ServerFrame::PermissionDenied { .. } => self.refused += 1,
            ServerFrame::Awareness { .. } | ServerFrame::QueryAwareness | ServerFrame::Unknown { .. } => {}
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
    pub fn visible_marks(&self) -> BTreeSet<String> {
        let meta = self.doc.get_or_insert_map("meta");
        let txn = self.doc.transact();
        meta.keys(&txn).filter(|key| key.starts_with("mark-")).map(str::to_owned).collect()
    }

    /// The whole document, for the final comparison.
    pub fn encode(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    pub fn has_missing(&self) -> bool {
        self.doc.transact().has_missing_updates()
    }

    pub fn client(&self) -> ClientId {
        ClientId::new(1_000 + self.name as u64)
    }
}

fn write_var(out: &mut Vec<u8>, mut n: u64) {
    while 0x7f < n {
        out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap());
}
