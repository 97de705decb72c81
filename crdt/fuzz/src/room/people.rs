//! Who connects to the room.

use std::collections::VecDeque;

use arbitrary::{Result, Unstructured};
use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{Scan, clock_of, scan_update};
use atlas_crdt::ids::ConnId;
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::ClientFrame;
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Array, ArrayPrelim, Doc, Map, MapPrelim, Out, ReadTxn, StateVector, Text, TextPrelim, Transact, Update,
};

use crate::build::Writer;
use crate::known;

/// One open socket. What the client sends arrives in order, when the plan says so.
pub(super) struct Socket {
    pub(super) conn: ConnId,
    pub(super) role: DesignRole,
    pub(super) dialect: Dialect,
    pub(super) to_server: VecDeque<ClientFrame>,
    /// The outbox takes no document frames.
    pub(super) stalled: bool,
    pub(super) lag_reported: bool,
    /// What each document message brought that the room took in, from the first.
    pub(super) sent: Vec<Option<Scan>>,
    /// How many of them may be missing in the log for all that `Saved` says: those that were answered by `refused`.
    pub(super) refused: usize,
    pub(super) saved: u64,
}

impl Socket {
    pub(super) fn new(conn: ConnId, role: DesignRole, dialect: Dialect) -> Self {
        Self {
            conn,
            role,
            dialect,
            to_server: VecDeque::new(),
            stalled: false,
            lag_reported: false,
            sent: Vec::new(),
            refused: 0,
            saved: 0,
        }
    }

    /// Notes a document message that the room gets now.
    pub(super) fn note_sent(&mut self, frame: &ClientFrame) {
        if let ClientFrame::SyncStep2 { update } | ClientFrame::Update { update } = frame {
            self.sent.push(scan_update(update, DOCUMENT_BYTES_MAX).ok());
        }
    }

    /// INV-2: all that `Saved(n)` covers is in the log, but for what was refused. Who answers a SyncStep1 with something
    /// else than all that was missing (the hostile do) has only the numbers to rely on.
    pub(super) fn check_saved(&mut self, n: u64, log: &DesignDoc, honest: bool) {
        assert_eq!(self.dialect, Dialect::Atlas, "a stock client hears no Saved");
        assert!(self.saved < n, "Saved({n}) after Saved({})", self.saved);
        self.saved = n;
        let n = usize::try_from(n).expect("few");
        assert!(n <= self.sent.len(), "Saved({n}) of {}", self.sent.len());
        let missing = self.sent[..n].iter().flatten().filter(|scan| !is_in(log, scan)).count();
        assert!(
            !honest || missing <= self.refused,
            "INV-2: of {n} saved messages {missing} are not in the log"
        );
    }
}

/// Whether everything that the update brings and deletes is in the document.
pub(super) fn is_in(doc: &DesignDoc, scan: &Scan) -> bool {
    !scan.adds_structs(|client| clock_of(doc.state(), client))
        && scan.deletes.iter().all(|range| range.end <= clock_of(doc.state(), range.client))
        && !doc.deletes_anything(&scan.deletes)
}

/// Somebody with a Yjs document.
pub(super) struct Person {
    pub(super) user: u128,
    pub(super) doc: Doc,
    pub(super) client: u64,
    pub(super) socket: Option<Socket>,
    /// Every frame that leaves here is the work of yrs.
    pub(super) honest: bool,
    edits: u32,
}

impl Person {
    pub(super) fn new(user: u128, client: u64, honest: bool) -> Self {
        Self { user, doc: known::editor(client), client, socket: None, honest, edits: 0 }
    }

    /// A client whose id is spent begins again with another.
    pub(super) fn reset(&mut self) {
        self.client += 1;
        self.doc = known::editor(self.client);
    }

    pub(super) fn step1(&self) -> ClientFrame {
        ClientFrame::SyncStep1 { state_vector: self.doc.transact().state_vector().encode_v1().into() }
    }

    pub(super) fn step2(&self, since: &[u8]) -> ClientFrame {
        let since = StateVector::decode_v1(since).expect("the room sends state vectors");
        ClientFrame::SyncStep2 { update: self.doc.transact().encode_diff_v1(&since).into() }
    }

    /// What the room sends is complete and can be applied.
    pub(super) fn receive(&mut self, update: &[u8], is_whole: bool) {
        let update = Update::decode_v1(update).expect("the room sends updates");
        let applied = self.doc.transact_mut().apply_update(update);
        if !is_whole {
            return;
        }
        applied.expect("the room sends what can be applied");
        assert!(!self.doc.transact().has_missing_updates(), "the room sends what is complete");
    }

    /// One transaction, and its update.
    pub(super) fn edit(&mut self, u: &mut Unstructured<'_>) -> Result<Bytes> {
        const KEYS: [&str; 4] = ["a", "b", "c", "name"];
        self.edits += 1;
        let (what, key, at) = (u.int_in_range(0..=9)?, *u.choose(&KEYS)?, u.int_in_range(0..=7_u32)?);
        let root = *u.choose(&["nodes", "edges", "meta", "comments"])?;
        let map = self.doc.get_or_insert_map(root);
        let mut txn = self.doc.transact_mut();
        match (what, map.get(&txn, key)) {
            (0, _) => {
                map.remove(&mut txn, key);
            }
            (1, _) => {
                let node = map.insert(&mut txn, key, MapPrelim::default());
                node.insert(&mut txn, "data", MapPrelim::default());
            }
            (2, _) => {
                map.insert(&mut txn, key, TextPrelim::default());
            }
            (3, _) => {
                map.insert(&mut txn, key, ArrayPrelim::default());
            }
            (4, _) => {
                map.insert(&mut txn, key, f64::from(self.edits));
            }
            (5, Some(Out::YText(text))) => {
                let len = text.len(&txn);
                text.remove_range(&mut txn, 0, len.min(at));
            }
            (_, Some(Out::YText(text))) => {
                // Between whole characters, as editors do: only plain letters are ever written here.
                let len = text.len(&txn);
                text.insert(&mut txn, at.min(len), "abc");
            }
            (6, Some(Out::YArray(array))) => {
                let len = array.len(&txn);
                array.remove_range(&mut txn, 0, len.min(at));
            }
            (_, Some(Out::YArray(array))) => {
                let len = array.len(&txn);
                array.insert(&mut txn, at.min(len), f64::from(self.edits));
            }
            (_, Some(Out::YMap(inner))) => {
                inner.insert(&mut txn, format!("k{at}"), "value");
            }
            _ => {
                map.insert(&mut txn, key, format!("{root} {}", self.edits));
            }
        }
        Ok(txn.encode_update_v1().into())
    }
}

/// An awareness update about one client.
pub(super) fn cursor(client: u64, clock: u64) -> Bytes {
    let mut out = Writer::default();
    out.n(1);
    out.n(client);
    out.n(clock);
    out.s("{}");
    out.0.into()
}
