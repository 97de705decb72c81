//! What mends a finding mechanically: a change of the design as data, applied by whoever presses the button.

use atlas_crdt::view::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Digits of a fingerprint that stand in the ids of new elements.
const ID_DIGITS: usize = 8;

/// A change of the design: the body of a PATCH, and where new nodes belong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fix {
    /// What the button says.
    pub title: &'static str,
    /// `{id, …}`: merged into the element, or a new one. Never with positions: rules do not see them.
    pub nodes: Vec<Value>,
    pub edges: Vec<Value>,
    pub removed_nodes: Vec<String>,
    pub removed_edges: Vec<String>,
    /// New nodes, each with the nodes that it stands near to.
    pub near: Vec<(String, Vec<String>)>,
    /// Edges, each with what its label says afterwards if it says nothing but a protocol and a port. No part of the patch:
    /// rules do not see what else stands in a label, so whoever presses the button looks.
    pub labels: Vec<(String, String)>,
}

impl Fix {
    #[must_use]
    pub fn to_json(&self) -> Value {
        let place: Map<String, Value> =
            self.near.iter().map(|(id, near)| (id.clone(), json!({"near": near}))).collect();
        let mut fix = json!({
            "title": self.title,
            "patch": {
                "nodes": {"upsert": self.nodes, "remove": self.removed_nodes},
                "edges": {"upsert": self.edges, "remove": self.removed_edges},
            },
            "place": place,
        });
        if !self.labels.is_empty() {
            fix["labels"] = self.labels.iter().map(|(id, label)| (id.clone(), json!(label))).collect();
        }
        fix
    }
}

/// The id of a new element: the same for whoever presses the button, and known by the finding that it mends.
#[must_use]
pub fn new_id(prefix: &str, fingerprint: &str) -> String {
    format!("{prefix}-{}", fingerprint.get(..ID_DIGITS).unwrap_or(fingerprint))
}

/// The id of a new edge between an element that is there and a new one.
#[must_use]
pub fn edge_id(new_node: &str, other: &str) -> String {
    new_id(new_node, &hex(&Sha256::digest(other)))
}

/// A node that the design lacks. Its label is its name, its zone the management's.
#[must_use]
pub fn management_node(id: &str, kind: &str, label: &str) -> Value {
    json!({
        "id": id,
        "type": "custom",
        "data": {"type": kind, "label": label, "zone": "management", "securityFlags": {}},
    })
}

/// An edge with TLS and authentication by these means.
#[must_use]
pub fn tls_edge(id: &str, source: &str, target: &str, authentication: Option<&str>) -> Value {
    let mut flags = json!({"encrypted": true, "authenticated": true});
    if let Some(means) = authentication {
        flags["authenticationType"] = means.into();
    }
    json!({
        "id": id,
        "source": source,
        "target": target,
        "type": "smoothstep",
        "label": "HTTPS:443",
        "data": {"protocol": "HTTPS", "port": 443, "encryption": "TLS 1.3", "securityFlags": flags},
    })
}
