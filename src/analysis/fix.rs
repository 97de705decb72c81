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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    const KINDS: [&str; 14] = [
        "web-browser",
        "web-server",
        "app-server",
        "microservice",
        "api-gateway",
        "load-balancer",
        "edge-cdn",
        "waf",
        "database",
        "message-queue",
        "object-storage",
        "secrets-manager",
        "identity",
        "monitoring",
    ];
    const ZONES: [&str; 7] = ["external", "dmz", "internal", "data", "management", "", "somewhere"];
    const PROTOCOLS: [&str; 14] = [
        "HTTP",
        "HTTP",
        "HTTPS",
        "gRPC",
        "TCP",
        "PostgreSQL",
        "AMQP",
        "LDAP",
        "FTP",
        "ANY",
        "HTTP (REST)",
        "Kafka (SASL_PLAINTEXT)",
        "WS",
        "",
    ];
    const ENCRYPTION: [&str; 6] = ["", "None", "TLS 1.3", "TLS 1.0", "mTLS", "unencrypted"];

    fn drawings() -> impl Strategy<Value = Drawing> {
        let node = (0..KINDS.len(), 0..ZONES.len());
        let edge = (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            0..PROTOCOLS.len(),
            0..ENCRYPTION.len(),
            prop::option::of(prop::sample::select(vec![80, 443, 8080, 5432, 9092, 389])),
            prop::option::of(any::<bool>()),
            prop::bool::weighted(0.1),
        );
        (prop::collection::vec(node, 2..9), prop::collection::vec(edge, 0..14)).prop_map(|(nodes, edges)| {
            let count = nodes.len();
            let mut drawing = Drawing::new();
            for (at, (kind, zone)) in nodes.into_iter().enumerate() {
                drawing = drawing.node(&format!("n{at}"), KINDS[kind], ZONES[zone]);
            }
            for (at, edge) in edges.into_iter().enumerate() {
                let (source, target, protocol, encryption, port, encrypted, is_both_ways) = edge;
                let mut data = json!({
                    "protocol": PROTOCOLS[protocol], "encryption": ENCRYPTION[encryption], "bidirectional": is_both_ways,
                });
                if let Some(port) = port {
                    data["port"] = port.into();
                }
                if let Some(encrypted) = encrypted {
                    data["securityFlags"] = json!({"encrypted": encrypted, "encryptionProtocol": "TLS-1.1"});
                }
                let end = |index: prop::sample::Index| format!("n{}", index.index(count));
                drawing = drawing.edge(&format!("e{at}"), &end(source), &end(target), data);
            }
            drawing
        })
    }

    proptest! {
        /// Whatever is drawn, each fix that is offered mends what it is offered for and harms nothing.
        #[test]
        fn every_fix_mends(drawing in drawings()) {
            for issue in super::super::analyse(&drawing.view()).issues {
                if issue.autofix.is_some() {
                    drawing.assert_mends(&issue);
                }
            }
        }
    }
}
