//! What the store holds of a design, read into a document.
//!
//! The log was written under the limits of its day, perhaps by another version, perhaps by no server of ours. What
//! could hurt is refused before yrs sees it; what only breaks today's limits opens, but nobody may add to it.

use super::RoomConfig;
use super::input::Loaded;
use super::owners::Owners;
use super::quarantine::Marks;
use super::size::{Growth, Size};
use crate::design::{ApplyFault, DesignDoc};
use crate::gate::{self, Places, Refusal};
use crate::ids::Seq;
use crate::limits;
use crate::schema::Root;

/// A design as the log has it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) doc: DesignDoc,
    pub(super) head: Seq,
    pub(super) places: Places,
    pub(super) owners: Owners,
    pub(super) marks: Marks,
    pub(super) size: Size,
    /// Why the design may be read only.
    pub(super) read_only: Option<String>,
}

/// The design cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredFault {
    #[error("row {seq} of the log: {refusal}")]
    Refused { seq: Seq, refusal: Refusal },
    #[error(transparent)]
    Apply(#[from] ApplyFault),
}

impl Stored {
    pub(super) fn read(config: &RoomConfig, loaded: &Loaded) -> Result<Self, StoredFault> {
        let Index { places, breach, bytes } = index(loaded)?;
        let doc = document(config, loaded)?;
        let at_most = Growth {
            bytes,
            delete_ranges: doc.delete_ranges(),
            nodes: doc.keys(Root::Nodes),
            edges: doc.keys(Root::Edges),
            structs: 0,
        };
        let mut size = Size::new(at_most);
        if size.broken().is_some() {
            // The sum of a long log's rows says little.
            size.measure(&doc, 0);
        }
        let read_only = breach
            .map(|refusal| refusal.to_string())
            .or_else(|| size.broken())
            .or_else(|| too_many_clients(&doc))
            .or_else(|| too_long_lists(&places))
            .map(|breach| format!("read-only, since it breaks a limit of this server: {breach}"));
        Ok(Self {
            doc,
            head: loaded.head(),
            places,
            owners: Owners::new(&loaded.claims, &loaded.announced),
            marks: Marks::new(&loaded.quarantined),
            size,
            read_only,
        })
    }
}

/// The document alone, of what was [`Stored::read`] before.
pub(super) fn document(config: &RoomConfig, loaded: &Loaded) -> Result<DesignDoc, ApplyFault> {
    DesignDoc::load_scanned(config.doc_client, parts(loaded).map(|(_, part)| part))
}

fn too_many_clients(doc: &DesignDoc) -> Option<String> {
    let (clients, max) = (doc.state().len(), limits::DOCUMENT_CLIENTS_FROZEN);
    (max < clients).then(|| format!("{clients} client ids have written to the design, and {max} may"))
}

fn too_long_lists(places: &Places) -> Option<String> {
    let (is, max) = (places.in_lists(), 2 * limits::DOCUMENT_SEQUENCE_MAX);
    (max < is)
        .then(|| format!("its shared texts and lists have {is} letters and entries, and {max} are allowed"))
}

struct Index {
    places: Places,
    /// The first of today's limits that a row breaks.
    breach: Option<Refusal>,
    bytes: usize,
}

fn index(loaded: &Loaded) -> Result<Index, StoredFault> {
    let mut index = Index { places: Places::new(), breach: None, bytes: 0 };
    for (seq, part) in parts(loaded) {
        let refused = |refusal| StoredFault::Refused { seq, refusal };
        let stored = gate::scan_stored(part).map_err(refused)?;
        let placed = stored.scan.place(part, &index.places).map_err(refused)?;
        index.breach = index.breach.or(stored.breach).or_else(|| placed.breach.clone());
        index.places.note(placed, part);
        index.bytes += part.len();
    }
    Ok(index)
}

/// Snapshot and rows, oldest first, each with the place in the log up to which it goes.
fn parts(loaded: &Loaded) -> impl Iterator<Item = (Seq, &[u8])> {
    let snapshot = loaded.snapshot.iter().map(|(seq, bytes)| (*seq, &bytes[..]));
    snapshot.chain(loaded.tail.iter().map(|row| (row.seq, &row.update[..])))
}
