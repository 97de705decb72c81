//! A log that can be slow, fail before it wrote, or fail after it wrote.

use std::collections::{BTreeMap, BTreeSet};

use atlas_crdt::design::DesignDoc;
use atlas_crdt::ids::{AppendId, ClientId, Epoch, Generation, Seq};
use atlas_crdt::room::{Append, Loaded, LogRow};

use crate::graph;

/// The durable truth of the simulated design.
#[derive(Debug)]
pub(crate) struct Disk {
    rows: Vec<LogRow>,
    by_append_id: BTreeMap<AppendId, Seq>,
    /// Everything in the log, applied: what "it is saved" means.
    doc: DesignDoc,
    marks: BTreeSet<String>,
    names: Vec<String>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            by_append_id: BTreeMap::new(),
            doc: DesignDoc::new(ClientId::new(1)),
            marks: BTreeSet::new(),
            names: Vec::new(),
        }
    }

    /// Idempotent by `append_id`, as every store must be.
    pub(crate) fn append(&mut self, append: &Append) -> Seq {
        if let Some(seq) = self.by_append_id.get(&append.append_id) {
            return *seq;
        }
        let seq = Seq::new(self.rows.len() as u64 + 1);
        let applied = self.doc.apply(&[&append.update[..]], false);
        let applied = applied.expect("what a room appends is closed and can be applied");
        assert!(applied.changed, "a row that adds nothing: the same append twice");
        self.rows.push(LogRow { seq, update: append.update.clone(), claims: append.claims.clone() });
        self.by_append_id.insert(append.append_id, seq);
        self.names.extend(append.name.clone());
        self.marks = graph::marks(&graph::document(&self.doc.encode()));
        seq
    }

    pub(crate) fn load(&self) -> Loaded {
        Loaded {
            generation: Generation::new(0),
            epoch: Epoch::new(0),
            snapshot: None,
            tail: self.rows.clone(),
            claims: self.rows.iter().flat_map(|row| row.claims.iter().copied()).collect(),
            quarantined: Vec::new(),
        }
    }

    pub(crate) fn has_mark(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    pub(crate) fn doc(&self) -> &DesignDoc {
        &self.doc
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn last_name(&self) -> Option<&String> {
        self.names.last()
    }
}
