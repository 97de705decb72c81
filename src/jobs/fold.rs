//! A document that is folded out of its log piece by piece. Pure; takes a core for as long as a piece is large, so it runs
//! where work may block.

use atlas_crdt::design::{ApplyFault, DesignDoc};
use atlas_crdt::gate;
use atlas_crdt::ids::{ClientId, Seq};
use atlas_crdt::view::{DesignView, Element};
use bytes::Bytes;
use serde_json::Value;

use crate::store::folds::ArchivedRow;

/// The document as the log has it, up to a row.
#[derive(Debug)]
pub(super) struct Folding {
    doc: DesignDoc,
    seq: Seq,
    client: ClientId,
}

/// What a fold leaves behind.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) seq: Seq,
    /// Yjs update v1 of the whole document.
    pub(super) snapshot: Bytes,
    /// JSON arrays, as the API shows them.
    pub(super) nodes: String,
    pub(super) edges: String,
}

/// The log cannot be folded: what is stored is damaged, or yrs fails at it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FoldFault {
    #[error("the snapshot of row {seq} cannot be read: {fault}")]
    Snapshot { seq: Seq, fault: ApplyFault },
    #[error("row {seq} cannot be read: {fault}")]
    Row { seq: Seq, fault: ApplyFault },
    #[error("rows {first} to {last} cannot be applied: {fault}")]
    Rows { first: Seq, last: Seq, fault: ApplyFault },
    #[error("row {expected} is missing")]
    Hole { expected: Seq },
    #[error("the document of row {seq} cannot be read back: {fault}")]
    NotReadBack { seq: Seq, fault: ApplyFault },
    #[error("the document of row {seq} is not the same when it is read back: its {what} differs")]
    Different { seq: Seq, what: &'static str },
}

impl Folding {
    /// Begins with what is folded already. `client` writes nothing.
    pub(super) fn start(client: ClientId, snapshot: Option<&(Seq, Bytes)>) -> Result<Self, FoldFault> {
        let seq = snapshot.map_or(Seq::ZERO, |(seq, _)| *seq);
        let doc = DesignDoc::load(client, snapshot.iter().map(|(_, bytes)| &bytes[..]))
            .map_err(|fault| FoldFault::Snapshot { seq, fault })?;
        Ok(Self { doc, seq, client })
    }

    /// Up to where the log is in it.
    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    pub(super) fn view(&self) -> DesignView {
        self.doc.view()
    }

    /// Whether both hold the same: clocks, and what they show.
    pub(super) fn same_as(&self, other: &Self) -> Result<(), &'static str> {
        same(&self.doc, &self.doc.view(), &other.doc)
    }

    /// Applies the rows that follow. After a fault the whole is of no use.
    pub(super) fn take(&mut self, rows: &[ArchivedRow]) -> Result<(), FoldFault> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let mut expected = self.seq.next();
        for row in rows {
            if row.seq != expected {
                return Err(FoldFault::Hole { expected });
            }
            expected = expected.next();
            let fault = |refusal| FoldFault::Row { seq: row.seq, fault: ApplyFault::Unreadable(refusal) };
            gate::scan_stored(&row.update).map_err(fault)?;
        }
        let updates: Vec<&[u8]> = rows.iter().map(|row| &row.update[..]).collect();
        let fault = |fault| FoldFault::Rows { first: first.seq, last: last.seq, fault };
        self.doc.apply(&updates, false).map_err(fault)?;
        self.seq = last.seq;
        Ok(())
    }

    /// The snapshot, read back and compared: what takes the place of rows must be worth them.
    pub(super) fn finish(&self) -> Result<Folded, FoldFault> {
        let seq = self.seq;
        let snapshot = self.doc.encode();
        let again = DesignDoc::load(self.client, [&snapshot[..]])
            .map_err(|fault| FoldFault::NotReadBack { seq, fault })?;
        let view = self.doc.view();
        same(&self.doc, &view, &again).map_err(|what| FoldFault::Different { seq, what })?;
        Ok(Folded { seq, snapshot, nodes: column(&view.nodes), edges: column(&view.edges) })
    }
}

fn same(one: &DesignDoc, view: &DesignView, other: &DesignDoc) -> Result<(), &'static str> {
    if one.state() != other.state() {
        return Err("state vector");
    }
    let other = other.view();
    if *view != other {
        return Err("view");
    }
    if view.content_hash() != other.content_hash() {
        return Err("content hash");
    }
    Ok(())
}

/// Elements as a JSON array, as snapshots show them.
pub(super) fn column(elements: &[Element]) -> String {
    Value::Array(elements.iter().map(Element::to_json).collect()).to_string()
}
