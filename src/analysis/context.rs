//! What all rules of one run share: the model, and what is computed from it once.

use super::graph::Graph;
use super::model::{Edge, Encryption, Flag, Model, Node};
use super::normaliser;
use super::rule::{At, Confidence, Evidence};

#[derive(Debug)]
pub struct Context<'a> {
    pub model: &'a Model<'a>,
    pub graph: &'a Graph,
}

impl<'a> Context<'a> {
    /// Nodes with their indices.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &'a Node<'a>)> {
        self.model.nodes.iter().enumerate()
    }

    /// Edges with their indices and both ends.
    pub fn edges(&self) -> impl Iterator<Item = (usize, &'a Edge<'a>, &'a Node<'a>, &'a Node<'a>)> {
        let nodes = &self.model.nodes;
        self.model
            .edges
            .iter()
            .enumerate()
            .map(|(at, edge)| (at, edge, &nodes[edge.source], &nodes[edge.target]))
    }

    /// Both zones are known, and differ.
    #[must_use]
    pub fn crosses_zones(&self, edge: &Edge<'_>) -> bool {
        let (source, target) = (&self.model.nodes[edge.source], &self.model.nodes[edge.target]);
        matches!((source.zone, target.zone), (Some(a), Some(b)) if a != b)
    }

    /// How sure one may be of an edge's encryption.
    #[must_use]
    pub fn sure_of_encryption(&self, edge: &Edge<'_>) -> Confidence {
        if edge.is_contradicted { Confidence::CONTRADICTED } else { Confidence::SURE }
    }

    /// What says that a node's flag is as it is. Nothing, when nothing does.
    #[must_use]
    pub fn flag_evidence(&self, node: usize, flag: Flag) -> Option<Evidence> {
        normaliser::flag_evidence(&self.model.nodes[node], flag).map(|(key, value, says)| Evidence {
            at: At::Node(node),
            key,
            value,
            says,
        })
    }

    /// What says how an edge is encrypted: protocol, port, text, flags, in this order.
    #[must_use]
    pub fn encryption_evidence(&self, edge: usize) -> Vec<Evidence> {
        normaliser::encryption_evidence(&self.model.edges[edge])
            .into_iter()
            .map(|(key, value, says)| Evidence { at: At::Edge(edge), key, value, says })
            .collect()
    }

    /// The zones of both ends, as evidence.
    #[must_use]
    pub fn zone_evidence(&self, node: usize) -> Evidence {
        let said = self.model.nodes[node].zone;
        Evidence {
            at: At::Node(node),
            key: "zone".to_owned(),
            value: normaliser::zone_words(&self.model.nodes[node]),
            says: said.map_or_else(|| "unknown".to_owned(), |zone| format!("zone {}", zone.level())),
        }
    }

    /// Known to be without any protection.
    #[must_use]
    pub fn is_plaintext(&self, edge: usize) -> bool {
        self.model.edges[edge].encryption == Encryption::None
    }
}
