//! The one place that asks the gate.

use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{Closure, Depths, Refusal, Scan, clock_of, scan_update};

/// Whether the gate knows that an item's parent in the document is a plain value. While it does not, yrs may still find
/// a parent misplaced in what is called clean, and the room makes its document anew.
pub const PARENTS_ARE_LOOKED_UP: bool = false;

/// Whether the gate compares what an update says about the place of a struct that is known in part with where the known
/// part stands. While it does not, what is new of such a struct stands in one place in this document, and in another in
/// every copy, since an item is encoded without its parent once it has a neighbour.
pub const PLACES_ARE_COMPARED: bool = false;

/// The index beside a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index(Depths);

/// What the gate says about one update.
#[derive(Debug)]
pub enum Verdict {
    Clean { scan: Scan, overlaps: bool },
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
    match scan.closure(|client| clock_of(doc.state(), client)) {
        Closure::Gap { .. } => Verdict::Gap,
        Closure::Closed { overlaps } => match scan.fits(&index.0) {
            Ok(()) => Verdict::Clean { scan, overlaps },
            Err(refusal) => Verdict::Refused(refusal),
        },
    }
}

impl Index {
    /// Notes an update that was judged clean and has been applied.
    pub fn note(&mut self, scan: &Scan) {
        scan.note(&mut self.0);
    }
}
