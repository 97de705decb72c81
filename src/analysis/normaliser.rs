//! From the words of a drawing to the model. Table-driven: every word stands in `analysis/tables`.

use atlas_crdt::view::DesignView;

use super::model::{Edge, Flag, Model, Node};

/// The model of a design.
#[must_use]
pub fn model(view: &DesignView) -> Model<'_> {
    let _ = view;
    Model::default()
}

/// Key, value and reading of what says a flag.
#[must_use]
pub fn flag_evidence(node: &Node<'_>, flag: Flag) -> Option<(String, String, String)> {
    let _ = (node, flag);
    None
}

/// Key, value and reading of everything that says how an edge is encrypted, the strongest first.
#[must_use]
pub fn encryption_evidence(edge: &Edge<'_>) -> Vec<(String, String, String)> {
    let _ = edge;
    Vec::new()
}

/// What a node says about its zone, as it stands there; empty: nothing.
#[must_use]
pub fn zone_words(node: &Node<'_>) -> String {
    let _ = node;
    String::new()
}

/// Known attributes among all that rules ask about, 0.0 to 1.0; 1.0 for an empty model.
#[must_use]
pub fn coverage(model: &Model<'_>) -> f64 {
    let _ = model;
    1.0
}
