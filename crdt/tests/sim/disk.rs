//! A log that all pods share. It can be slow, fail before it wrote, or fail after it wrote.

use std::collections::{BTreeMap, BTreeSet};

use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{clock_of, scan_stored};
use atlas_crdt::ids::{AppendId, ClientId, Epoch, Generation, Seq, UserId};
use atlas_crdt::room::{Append, Claim, ClockRange, Loaded, LogRow, QuarantineMark};
use bytes::Bytes;
use yrs::Doc;

use crate::graph;
use crate::programs::FIRST_CLIENT;

/// The durable truth of the simulated design.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Every row that ever was. Those that are folded are for the eyes of this simulation only.
    rows: Vec<LogRow>,
    /// The newest snapshot, and up to where it goes.
    snapshot: Option<(Seq, Bytes)>,
    by_append_id: BTreeMap<AppendId, Seq>,
    /// Everything in the log, applied: what "it is saved" means.
    doc: DesignDoc,
    /// The same, for whoever reads with yrs itself.
    reader: Doc,
    marks: BTreeSet<String>,
    names: Vec<String>,
    /// Whose each client id is.
    claims: BTreeMap<ClientId, Option<UserId>>,
    /// What each row wrote.
    wrote: Vec<Vec<ClockRange>>,
    announced: Vec<Claim>,
    quarantined: Vec<QuarantineMark>,
}

/// An append that the log can never take, or not at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Foreign,
    Overtaken,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            snapshot: None,
            by_append_id: BTreeMap::new(),
            doc: DesignDoc::new(ClientId::new(1)),
            reader: graph::new_document(9),
            marks: BTreeSet::new(),
            names: Vec::new(),
            claims: BTreeMap::new(),
            wrote: Vec::new(),
            announced: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// Idempotent by `append_id`, as every store must be.
    pub(crate) fn append(&mut self, append: &Append) -> Result<Seq, Refused> {
        if let Some(seq) = self.by_append_id.get(&append.append_id) {
            return Ok(*seq);
        }
        if append.claims.iter().any(|claim| self.is_foreign(claim)) {
            return Err(Refused::Foreign);
        }
        let seq = self.head().next();
        assert!(append.after < seq, "{:?} is further than the log ever was", append.after);
        let known = usize::try_from(append.after.get()).unwrap();
        let is_second = append.writes_any_of(self.wrote[known..].iter().flatten());
        if is_second || append.exactly && append.after.next() != seq {
            return Err(Refused::Overtaken);
        }
        self.claims.extend(append.claims.iter().map(|claim| (claim.client, claim.user)));
        for author in &append.authors {
            for range in &author.wrote {
                // What the server writes for somebody is nobody's.
                let user = (range.client.get() < FIRST_CLIENT).then_some(author.user);
                let owner = self.claims.get(&range.client);
                assert_eq!(owner, Some(&user), "INV-5: somebody else's client id {range:?}");
            }
        }
        let applied = self.doc.apply(&[&append.update[..]], false);
        let applied = applied.expect("what a room appends is closed and can be applied");
        // Two may delete one thing.
        assert!(applied.changed || append.wrote().next().is_none(), "a row that adds nothing");
        self.wrote.push(append.wrote().copied().collect());
        self.rows.push(LogRow { seq, update: append.update.clone(), claims: append.claims.clone() });
        self.by_append_id.insert(append.append_id, seq);
        self.names.extend(append.name.clone());
        graph::apply(&self.reader, &append.update);
        self.marks = graph::marks(&self.reader);
        Ok(seq)
    }

    /// Somebody else wrote under the id, or announced it.
    fn is_foreign(&self, claim: &Claim) -> bool {
        let announced = self.announced.iter().find(|announced| announced.client == claim.client);
        let owner = self.claims.get(&claim.client).copied().or(announced.map(|announced| announced.user));
        owner.is_some_and(|user| user != claim.user)
    }

    /// What is in the log so far becomes a snapshot, and its rows go. False: there was nothing to fold.
    pub(crate) fn fold(&mut self) -> bool {
        let head = self.head();
        if self.folded() == head {
            return false;
        }
        // From what a load gives, as the job does it: not from the document that the simulation keeps.
        let document = self.load().document(ClientId::new(1)).expect("what is stored can be loaded");
        self.snapshot = Some((head, document.encode()));
        true
    }

    fn folded(&self) -> Seq {
        self.snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq)
    }

    pub(crate) fn load(&self) -> Loaded {
        let folded = self.folded();
        Loaded {
            generation: Generation::new(0),
            epoch: Epoch::new(0),
            snapshot: self.snapshot.clone(),
            tail: self.rows.iter().filter(|row| folded < row.seq).cloned().collect(),
            claims: self.rows.iter().flat_map(|row| row.claims.iter().copied()).collect(),
            announced: self.announced.clone(),
            quarantined: self.quarantined.clone(),
            analysis_no: 0,
        }
    }

    /// `None`: they are folded.
    pub(crate) fn rows_after(&self, after: Seq) -> Option<Vec<LogRow>> {
        let is_there = self.folded() <= after;
        is_there.then(|| self.rows.iter().filter(|row| after < row.seq).cloned().collect())
    }

    pub(crate) fn row(&self, seq: Seq) -> Option<&LogRow> {
        self.rows.get(usize::try_from(seq.get()).unwrap().checked_sub(1)?)
    }

    /// The client ids that are somebody's for good.
    pub(crate) fn claimed(&self) -> Vec<ClientId> {
        self.claims.keys().copied().collect()
    }

    /// Whose an id is, if anybody wrote under it.
    pub(crate) fn owner(&self, client: u64) -> Option<UserId> {
        self.claims.get(&ClientId::new(client)).copied().flatten()
    }

    /// Those under which nothing was written when they were announced.
    pub(crate) fn announced(&self) -> Vec<ClientId> {
        self.announced.iter().map(|claim| claim.client).collect()
    }

    /// The design's name, as the last append that named it said.
    pub(crate) fn name(&self) -> Option<&String> {
        self.names.last()
    }

    pub(crate) fn announce(&mut self, client: ClientId, user: UserId) {
        self.announced.push(Claim { client, user: Some(user) });
    }

    pub(crate) fn quarantine(&mut self, mark: QuarantineMark) {
        self.quarantined.push(mark);
    }

    /// Where this client wrote first.
    pub(crate) fn first_row_of(&self, client: ClientId) -> Option<Seq> {
        let claims = |row: &&LogRow| row.claims.iter().any(|claim| claim.client == client);
        self.rows.iter().find(claims).map(|row| row.seq)
    }

    /// Whether the design right before `next` looked as it did at `on`.
    pub(crate) fn shows_the_same(&self, on: Seq, next: Seq) -> bool {
        let upto = |end: Seq| {
            let rows = self.rows.iter().filter(|row| row.seq <= end).map(|row| &row.update[..]);
            DesignDoc::load(ClientId::new(1), rows)
                .expect("what is stored can be loaded")
                .view()
                .content_hash()
        };
        upto(on) == upto(Seq::new(next.get() - 1))
    }

    /// Whether the log says all that the update says.
    pub(crate) fn holds(&self, update: &[u8]) -> bool {
        let scan = scan_stored(update).expect("what a room appends can be read").scan;
        !scan.adds_structs(|client| clock_of(self.doc.state(), client))
            && !self.doc.deletes_anything(&scan.deletes)
    }

    pub(crate) fn marks_of_programs(&self) -> usize {
        self.marks.iter().filter(|mark| mark.starts_with("mark-rest-")).count()
    }

    pub(crate) fn has_mark(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    pub(crate) fn doc(&self) -> &DesignDoc {
        &self.doc
    }

    pub(crate) fn reader(&self) -> &Doc {
        &self.reader
    }

    pub(crate) fn head(&self) -> Seq {
        Seq::new(self.rows.len() as u64)
    }
}
