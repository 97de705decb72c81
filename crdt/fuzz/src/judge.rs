//! The one place that asks the gate.

use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{Placed, Places, Refusal, Scan, Verdict as Gate, clock_of, scan_update};

/// Whether the gate knows that an item's parent in the document is a plain value. While it does not, yrs may still find
/// a parent misplaced in what is called clean, and the room makes its document anew.
pub const PARENTS_ARE_LOOKED_UP: bool = true;

/// Whether the gate refuses an item of a sequence whose right neighbour stands before its left one. Where that item then
/// stands depends on who reads it, so that copies may differ in the order of a text or a list.
///
/// While it does not, only what `build` makes in its tame way is held to come out the same.
pub const ORDER_IS_CHECKED: bool = false;

/// The index beside a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index(Places);

/// What the gate says about one update.
#[derive(Debug)]
pub enum Verdict {
    Clean { scan: Scan, placed: Placed },
    Gap,
    Refused(Refusal),
}

/// The whole judgement of an update of at most `bytes_max` bytes against a document and its index.
#[must_use]
pub fn judge(bytes: &[u8], bytes_max: usize, doc: &DesignDoc, index: &Index) -> Verdict {
    let scan = match scan_update(bytes, bytes_max) {
        Ok(scan) => scan,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    match scan.judge(bytes, |client| clock_of(doc.state(), client), &index.0) {
        Gate::Gap { .. } => Verdict::Gap,
        Gate::Clean(placed) => Verdict::Clean { scan, placed },
        Gate::Refused(refusal) => Verdict::Refused(refusal),
    }
}

impl Index {
    /// Notes an update that was judged clean and has been applied.
    pub fn note(&mut self, placed: Placed, bytes: &[u8]) {
        self.0.note(placed, bytes);
    }
}
