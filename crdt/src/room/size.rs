//! How large a document is, kept as upper bounds that are replaced by the truth only where it matters.

use std::ops::Add;

use crate::design::DesignDoc;
use crate::limits;
use crate::schema::Root;
use crate::wire::RefusalCode;

/// At most what one or several updates add to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Growth {
    pub(super) bytes: usize,
    /// 0 for what only deletes.
    pub(super) structs: usize,
    pub(super) delete_ranges: usize,
    pub(super) nodes: usize,
    pub(super) edges: usize,
}

impl Add for Growth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            structs: self.structs + other.structs,
            delete_ranges: self.delete_ranges + other.delete_ranges,
            nodes: self.nodes + other.nodes,
            edges: self.edges + other.edges,
        }
    }
}

/// Upper bounds of what a document holds: what was measured, and everything added since.
#[derive(Debug, Default)]
pub(super) struct Size {
    at_most: Growth,
    /// The version of the document that was measured: measuring costs as much as encoding.
    measured: Option<u64>,
}

impl Size {
    pub(super) const fn new(at_most: Growth) -> Self {
        Self { at_most, measured: None }
    }

    pub(super) fn add(&mut self, growth: Growth) {
        self.at_most = self.at_most + growth;
    }

    /// The encoded document was seen to have so many bytes.
    pub(super) fn set_bytes(&mut self, bytes: usize) {
        self.at_most.bytes = bytes;
    }

    /// Replaces the bounds by the truth, at most once for each version of the document.
    pub(super) fn measure(&mut self, doc: &DesignDoc, version: u64) {
        if self.measured != Some(version) {
            let at_most = Growth {
                bytes: doc.encode().len(),
                structs: 0,
                delete_ranges: doc.delete_ranges(),
                nodes: doc.keys(Root::Nodes),
                edges: doc.keys(Root::Edges),
            };
            *self = Self { at_most, measured: Some(version) };
        }
    }

    /// Which of today's limits the document may exceed with this growth, after what goes `ahead` of it. A limit that
    /// the growth does not touch is not looked at. What only deletes may go on where everything else has to stop.
    pub(super) fn outgrown(&self, ahead: Growth, growth: Growth) -> Option<(RefusalCode, &'static str)> {
        let total = self.at_most + ahead + growth;
        let headroom = if growth.structs == 0 { 0 } else { limits::DOCUMENT_HEADROOM_BYTES };
        if limits::DOCUMENT_BYTES_MAX - headroom < total.bytes {
            return Some((RefusalCode::TooLarge, "the design has reached its largest size"));
        }
        if 0 < growth.delete_ranges && limits::DOCUMENT_DELETE_RANGES_MAX < total.delete_ranges {
            return Some((RefusalCode::TooMany, "the design has too many separate deletions"));
        }
        if 0 < growth.nodes && limits::NODES_MAX < total.nodes {
            return Some((RefusalCode::TooMany, "the design has as many nodes as it may have"));
        }
        if 0 < growth.edges && limits::EDGES_MAX < total.edges {
            return Some((RefusalCode::TooMany, "the design has as many edges as it may have"));
        }
        None
    }

    /// What the document has so much more of than it may grow to that nobody may change it. Pods that let something pass side by
    /// side, each within the limits, may bring it beyond these; then it does not grow any more, and is not frozen.
    pub(super) fn broken(&self) -> Option<String> {
        let Growth { bytes, delete_ranges, nodes, edges, .. } = self.at_most;
        let breaks = |is: usize, max: usize, what: &str| {
            (max < is).then(|| format!("the design has {is} {what}, and {max} are allowed"))
        };
        breaks(bytes, limits::DOCUMENT_BYTES_MAX, "bytes")
            .or_else(|| breaks(delete_ranges, limits::DELETE_RANGES_MAX, "separate deletions"))
            .or_else(|| breaks(nodes, 2 * limits::NODES_MAX, "nodes"))
            .or_else(|| breaks(edges, 2 * limits::EDGES_MAX, "edges"))
    }
}
