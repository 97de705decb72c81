//! What mends a finding mechanically: a change of the design as data, applied by whoever presses the button.

use serde_json::{Map, Value, json};

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
}

impl Fix {
    #[must_use]
    pub fn to_json(&self) -> Value {
        let place: Map<String, Value> =
            self.near.iter().map(|(id, near)| (id.clone(), json!({"near": near}))).collect();
        json!({
            "title": self.title,
            "patch": {
                "nodes": {"upsert": self.nodes, "remove": self.removed_nodes},
                "edges": {"upsert": self.edges, "remove": self.removed_edges},
            },
            "place": place,
        })
    }
}
