//! A design as the OpenAPI document describes it. The core writes it (`DesignView::to_snapshot_json`) and knows nothing
//! of such documents; a test below reads one of its snapshots with these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A design with everything in it.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DesignSnapshot {
    /// Of the document's layout.
    schema_version: u64,
    #[schema(format = Uuid)]
    id: String,
    name: String,
    /// Counts how often the document was made anew.
    epoch: u64,
    /// Place of the newest edit in the log.
    seq: u64,
    /// SHA-256 of the content, in hexadecimal.
    content_hash: String,
    nodes: Vec<DesignElement>,
    edges: Vec<DesignElement>,
    meta: BTreeMap<String, Value>,
    integrity: Integrity,
}

/// A node or an edge: its id, and everything else as stored.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DesignElement {
    /// Unique among the nodes, or among the edges.
    id: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// What was hidden or repaired to show the design as a graph.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DesignIntegrity)]
pub struct Integrity {
    hidden_edges: Vec<HiddenEdge>,
    repaired: Vec<Repair>,
}

/// An edge that leads nowhere at this moment.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HiddenEdge {
    edge: DesignElement,
    /// Ids of nodes that are not there.
    missing: Vec<String>,
}

/// A field that is shown in another way than it is stored.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    element: String,
    field: String,
    /// As stored.
    was: Value,
}

/// The whole document as one Yjs update v1.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only described")]
pub struct YjsUpdate(Vec<u8>);

#[cfg(test)]
mod tests {
    use atlas_crdt::design::{self, DesignDoc, NewDesign};
    use atlas_crdt::ids::{ClientId, DesignId, Epoch, Seq};
    use atlas_crdt::view::SnapshotHead;
    use serde_json::{Map, json};

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    /// An edge to nowhere and a parent that does not exist, so that nothing of the shape stays empty.
    #[test]
    fn the_core_writes_what_is_described() {
        let document = NewDesign {
            name: "Shop".to_owned(),
            description: None,
            meta: object(json!({ "owner": "Ada" })),
            nodes: vec![("web".to_owned(), object(json!({ "type": "server", "parentId": "gone" })))],
            edges: vec![("e".to_owned(), object(json!({ "source": "web", "target": "nowhere" })))],
        };
        let client = ClientId::new(7);
        let first = design::create(client, &document).unwrap();
        let doc = DesignDoc::load(ClientId::new(8), [&first[..]]).unwrap();
        let head = SnapshotHead { id: DesignId::from_u128(1), epoch: Epoch::new(1), seq: Seq::new(1) };
        let written = doc.view().to_snapshot_json(&head);
        let read: DesignSnapshot = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read.integrity.hidden_edges[0].missing, ["nowhere"]);
        assert!(!read.integrity.repaired.is_empty(), "{written}");
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
    }
}
