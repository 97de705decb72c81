//! The log of the design: what is durable, and therefore what may be seen.

use std::collections::BTreeMap;

use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::scan_update;
use atlas_crdt::ids::{AppendId, ClientId, Epoch, Generation, Seq, UserId};
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use atlas_crdt::room::{Append, Claim, Loaded, LogRow, QuarantineMark};
use bytes::Bytes;

use crate::known::{self, READER};

pub(super) struct Log {
    pub(super) rows: Vec<LogRow>,
    /// What all rows make together.
    pub(super) doc: DesignDoc,
    /// Where each append stands.
    appended: BTreeMap<AppendId, Seq>,
    /// What the store keeps beside the log.
    pub(super) announced: Vec<Claim>,
    pub(super) quarantined: Vec<QuarantineMark>,
}

impl Log {
    /// Holds the known document.
    pub(super) fn new() -> Self {
        let first =
            LogRow { seq: Seq::new(1), update: Bytes::from_static(&known::document().0), claims: Vec::new() };
        Self {
            rows: vec![first],
            doc: known::copy().0,
            appended: BTreeMap::new(),
            announced: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, append: &Append) -> Seq {
        if let Some(seq) = self.appended.get(&append.append_id) {
            return *seq;
        }
        let seq = self.write(&append.update, &append.claims);
        self.check_authors(append);
        self.appended.insert(append.append_id, seq);
        seq
    }

    /// Whether the append is in it.
    pub(super) fn has(&self, append: &Append) -> bool {
        self.appended.contains_key(&append.append_id)
    }

    /// INV-5: nobody writes under a client id that somebody else wrote under first. The log's first row has no owner.
    fn check_authors(&self, append: &Append) {
        let claims: BTreeMap<ClientId, Option<UserId>> = self
            .rows
            .iter()
            .rev()
            .flat_map(|row| &row.claims)
            .map(|claim| (claim.client, claim.user))
            .collect();
        for author in &append.authors {
            for range in &author.wrote {
                assert_eq!(claims.get(&range.client), Some(&Some(author.user)), "INV-5: {range:?}");
            }
        }
    }

    /// Whatever is logged builds on the log, adds something, and passes the gate again.
    pub(super) fn write(&mut self, update: &Bytes, claims: &[Claim]) -> Seq {
        let scan = scan_update(update, DOCUMENT_BYTES_MAX).expect("what is logged passes the gate");
        assert!(!scan.has_skip, "what is logged leaves nothing out");
        self.doc.apply(&[update], false).expect("what is logged can be applied");
        let seq = Seq::new(self.rows.len() as u64 + 1);
        self.rows.push(LogRow { seq, update: update.clone(), claims: claims.to_vec() });
        seq
    }

    /// A snapshot of the older half, and the tail.
    pub(super) fn load(&self) -> Loaded {
        let at = self.rows.len() / 2;
        let parts = self.rows[..at].iter().map(|row| &row.update[..]);
        let folded = DesignDoc::load(READER, parts).expect("the log can be read");
        let snapshot = self.rows[..at].last().map(|row| (row.seq, folded.encode()));
        let (generation, epoch) = (Generation::new(0), Epoch::new(0));
        Loaded {
            analysis_no: 0,
            generation,
            epoch,
            snapshot,
            tail: self.rows[at..].to_vec(),
            claims: self.rows.iter().flat_map(|row| row.claims.iter().copied()).collect(),
            announced: self.announced.clone(),
            quarantined: self.quarantined.clone(),
        }
    }

    /// The document up to and with this place.
    pub(super) fn up_to(&self, head: Seq) -> DesignDoc {
        let count = usize::try_from(head.get()).expect("few");
        let parts = self.rows[..count].iter().map(|row| &row.update[..]);
        DesignDoc::load(READER, parts).expect("the log can be read")
    }

    /// Read at once it makes what it made row by row.
    pub(super) fn check_replay(&self) {
        let replayed = self.up_to(Seq::new(self.rows.len() as u64));
        assert_eq!(replayed.state_vector(), self.doc.state_vector());
        assert_eq!(replayed.view(), self.doc.view(), "the log replays into another design");
    }
}
