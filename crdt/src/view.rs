//! The document as plain data: sorted nodes and edges, `meta`, and what had to be hidden or repaired to show them.
//!
//! Every reader of a design (REST, exports, analysis, hashes) reads this view, never the Yjs document, so that a merged
//! but odd graph is judged in one place ([`integrity`](crate::integrity)) and never written back.
//!
//! How values read:
//!
//! - A Y.Map and a plain object read as an object, a Y.Array and a plain array as an array, a Y.Text as a string.
//! - Numbers are JavaScript's: 100 and 100.0 are one value, -0 is 0, and NaN and the infinities read as null. An integer
//!   that no JavaScript number can hold (a BigInt) reads as a string of its digits.
//! - `undefined` reads as an absent key, and as null inside an array.
//! - Binary values, XML types, subdocuments, arrays that hold text, and anything nested deeper than
//!   [`VIEW_DEPTH_MAX`] are left out and listed under `integrity.repaired`.

mod canonical;
pub mod cosmetic;
pub mod kinds;
mod read;
mod semantic;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::ids::{DesignId, Epoch, Seq};
use crate::integrity::Integrity;
use crate::limits::{ANY_DEPTH_MAX, TYPE_DEPTH_MAX};
use crate::schema;

pub(crate) use read::read;
pub use semantic::{edge_evidence, judged_label, label_evidence, node_type};

/// Levels of objects and arrays inside one element or one value of `meta`.
pub const VIEW_DEPTH_MAX: usize = TYPE_DEPTH_MAX + ANY_DEPTH_MAX;

/// A design as plain data. [`check_view`](crate::invariants::check_view) says what always holds for it (INV-11).
#[derive(Debug, Clone, PartialEq)]
pub struct DesignView {
    pub schema_version: u64,
    /// Sorted by id.
    pub nodes: Vec<Element>,
    /// Sorted by id; both ends of each stand in `nodes`.
    pub edges: Vec<Element>,
    /// The root `meta` as it is, `name`, `description` and `schema_version` included.
    pub meta: Map<String, Value>,
    pub integrity: Integrity,
}

/// A node or an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    pub id: String,
    /// Everything but the id.
    pub body: Map<String, Value>,
}

/// What a snapshot says about the document besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHead {
    pub id: DesignId,
    pub epoch: Epoch,
    pub seq: Seq,
}

impl Element {
    /// The element as it stands in lists: its body with `id` among the keys.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = self.body.clone();
        object.insert(schema::ID.to_owned(), Value::String(self.id.clone()));
        Value::Object(object)
    }
}

impl DesignView {
    /// `meta.name`; empty when there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.meta.get(schema::META_NAME).and_then(Value::as_str).unwrap_or_default()
    }

    /// SHA-256 of the view as canonical JSON (RFC 8785): an object of `edges`, `integrity`, `meta`, `nodes` and
    /// `schema_version`, as a snapshot shows them. Equal exactly when the snapshots differ in nothing but `id`, `epoch`
    /// and `seq`.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        let mut text = String::from("{\"edges\":");
        canonical::write_elements(&self.edges, &mut text);
        text.push_str(",\"integrity\":");
        canonical::write(&self.integrity.to_json(), &mut text);
        text.push_str(",\"meta\":");
        canonical::write_object(
            self.meta.iter().map(|(key, value)| (key.as_str(), value)).collect(),
            &mut text,
        );
        text.push_str(",\"nodes\":");
        canonical::write_elements(&self.nodes, &mut text);
        text.push_str(",\"schema_version\":");
        canonical::write(&Value::from(self.schema_version), &mut text);
        text.push('}');
        Sha256::digest(text).into()
    }

    /// SHA-256 of what the rules of the security analysis can see, as canonical JSON (RFC 8785). Moving a node inside its
    /// container, colours, sizes and free text do not change it.
    #[must_use]
    pub fn semantic_hash(&self) -> [u8; 32] {
        let mut text = String::new();
        canonical::write(&semantic::project(self), &mut text);
        Sha256::digest(text).into()
    }

    /// For each node the innermost container that it lies in, as an index into the nodes. Where a node lies inside of it is
    /// nothing that the security analysis sees.
    #[must_use]
    pub fn containers(&self) -> Vec<Option<usize>> {
        semantic::containers(&self.nodes)
    }

    /// The snapshot that REST and exports give out.
    #[must_use]
    pub fn to_snapshot_json(&self, head: &SnapshotHead) -> Value {
        json!({
            "schema_version": self.schema_version,
            "id": head.id,
            "name": self.name(),
            "epoch": head.epoch,
            "seq": head.seq,
            "content_hash": hex(&self.content_hash()),
            "nodes": self.nodes.iter().map(Element::to_json).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(Element::to_json).collect::<Vec<_>>(),
            "meta": self.meta,
            "integrity": self.integrity.to_json(),
        })
    }
}

/// A value as text, the same for all that JSON holds for equal: canonical JSON (RFC 8785).
#[must_use]
pub fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    canonical::write(value, &mut text);
    text
}

/// Lower-case hexadecimal, as hashes are written everywhere outside.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrity::{HiddenEdge, Repair};

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("not an object") };
        object
    }

    fn view() -> DesignView {
        let hidden = object(json!({"source": "web", "target": "db", "data": {"port": "443"}}));
        DesignView {
            schema_version: 1,
            nodes: vec![Element {
                id: "web".into(),
                body: object(
                    json!({"position": {"x": -0.5, "y": 1e21}, "data": {"label": "Größe 🌍\n", "\u{fb33}": 1, "😂": 2}}),
                ),
            }],
            edges: Vec::new(),
            meta: object(json!({"name": "Shop", "schema_version": 1, "tiny": 5e-324, "third": 1.0 / 3.0})),
            integrity: Integrity {
                hidden_edges: vec![HiddenEdge {
                    edge: Element { id: "web-db".into(), body: hidden },
                    missing: vec!["db".into()],
                }],
                repaired: vec![Repair { element: "web".into(), field: "parentId".into(), was: json!("vpc") }],
            },
        }
    }

    #[test]
    fn any_client_can_compute_the_content_hash() {
        // Computed by the program in docs/DOCUMENT.md from this snapshot, under Node 20.
        let expected = "40840b7c630df12012040006d22c6f479c4f016094764af730b240bd5f72e353";
        let head = SnapshotHead { id: DesignId::from_u128(7), epoch: Epoch::new(2), seq: Seq::new(9) };
        let snapshot = view().to_snapshot_json(&head);
        assert_eq!(snapshot["content_hash"], expected, "{snapshot}");
        assert_eq!(snapshot["name"], "Shop");
        assert_eq!(snapshot["seq"], 9);
        assert_eq!(snapshot["integrity"]["hidden_edges"][0]["edge"]["id"], "web-db");
    }

    #[test]
    fn the_content_hash_follows_everything_that_a_snapshot_shows() {
        let whole = view().content_hash();
        let changed = |change: fn(&mut DesignView)| {
            let mut other = view();
            change(&mut other);
            other.content_hash()
        };
        assert_ne!(changed(|view| view.schema_version = 2), whole);
        assert_ne!(changed(|view| view.nodes[0].id.push('b')), whole);
        assert_ne!(changed(|view| view.meta.clear()), whole);
        assert_ne!(changed(|view| view.integrity.repaired.clear()), whole);
        assert_ne!(changed(|view| view.integrity.hidden_edges[0].missing.clear()), whole);
    }
}
