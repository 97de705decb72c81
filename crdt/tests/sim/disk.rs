//! A log that can be slow, fail before it wrote, or fail after it wrote.

use std::collections::BTreeMap;

use atlas_crdt::design::DesignDoc;
use atlas_crdt::ids::{AppendId, ClientId, Epoch, Generation, Seq};
use atlas_crdt::room::{Append, Loaded, LogRow};
use serde_json::Value;

/// The durable truth of the simulated design.
#[derive(Debug)]
pub struct Disk {
    rows: Vec<LogRow>,
    by_append_id: BTreeMap<AppendId, Seq>,
    /// Everything in the log, applied: what "it is saved" means.
    doc: DesignDoc,
    marks: std::collections::BTreeSet<String>,
    names: Vec<String>,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            rows: Vec::new(),
            by_append_id: BTreeMap::new(),
            doc: DesignDoc::new(ClientId::new(1)),
            marks: std::collections::BTreeSet::new(),
            names: Vec::new(),
        }
    }

    /// Idempotent by `append_id`, as every store must be.
    pub fn append(&mut self, append: &Append) -> Seq {
        if let Some(seq) = self.by_append_id.get(&append.append_id) {
            return *seq;
        }
        let seq = Seq::new(self.rows.len() as u64 + 1);
        self.doc.apply(&[&append.update[..]], false).expect("what a room appends is closed and can be applied");
        self.rows.push(LogRow { seq, update: append.update.clone() });
        self.by_append_id.insert(append.append_id, seq);
        self.names.extend(append.name.clone());
        self.marks = marks_of(&self.doc);
        seq
    }

    pub fn load(&self) -> Loaded {
        Loaded { generation: Generation::new(0), epoch: Epoch::new(0), snapshot: None, tail: self.rows.clone() }
    }

    pub fn has_mark(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    pub fn doc(&self) -> &DesignDoc {
        &self.doc
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub fn last_name(&self) -> Option<&String> {
        self.names.last()
    }
}

/// The marks that architects leave in `meta`: one key for each edit, never removed.
fn marks_of(doc: &DesignDoc) -> std::collections::BTreeSet<String> {
    let meta = doc.view().meta;
    meta.iter()
        .filter(|(key, value)| key.starts_with("mark-") && !matches!(value, Value::Null))
        .map(|(key, _)| key.clone())
        .collect()
}
