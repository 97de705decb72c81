//! What the rules of the security analysis can see of a design, and nothing else: the base of the semantic hash.
//!
//! The projection leaves out what is known to be cosmetic and keeps everything else: an unknown key costs at most an
//! analysis that finds nothing new, a forgotten one would hide a change from the rules.
//!
//! | of | kept | left out |
//! |---|---|---|
//! | node | id, kind (`data.type`, or the node's `type` where there is none), container, every other key | [`NODE_COSMETIC`], [`DATA_COSMETIC`]; `data.label` if the kind is known |
//! | edge | id, source, target, evidence, every other key | [`EDGE_COSMETIC`], [`DATA_COSMETIC`], labels as text |
//! | hidden edge | as an edge, and which ends are missing | as an edge |
//! | `meta` | every other key | [`META_COSMETIC`] |
//!
//! An empty object, null and an absent key are one and the same here: unknown never counts as a statement.
//!
//! **Container.** The types in [`kinds::CONTAINER_TYPES`] contain by geometry: a node belongs to the smallest container (by
//! area, then by id) whose rectangle, borders included, holds the node's centre; a container belongs only to a larger one.
//! Sizes are `width` and `height` of the node, else of its `style`, else of its `data`, else 300 × 200 for a container (but 150 × 80 for
//! a `network-zone`) and 150 × 80 for others. Positions are summed along `parentId`, as React Flow does; `parentId` itself contains nothing.
//!
//! **Evidence** is what a label says about protocols, ports and technologies ([`label_evidence`]), so that renaming an edge
//! from "HTTPS:443" to "Orders, HTTPS:443" is no change, and to "HTTP:80" is one.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::cosmetic::{DATA_COSMETIC, EDGE_COSMETIC, META_COSMETIC, NODE_COSMETIC};
use super::kinds::{self, EVIDENCE_WORDS};
use super::{DesignView, Element};
use crate::integrity;
use crate::schema;

/// What the label of an edge says about the connection: its [`EVIDENCE_WORDS`], also with a version behind them
/// ("http/2", "tls1.0"), version numbers ("1.3") and ports, in lower case, sorted, each once. Words are separated by
/// anything but letters, digits, `/` and `.`.
#[must_use]
pub fn label_evidence(label: &str) -> BTreeSet<String> {
    let mut evidence = BTreeSet::new();
    for word in label.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '/' && c != '.') {
        let name = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '/' || c == '.');
        let is_word = |word: &str| EVIDENCE_WORDS.binary_search(&word).is_ok();
        if is_word(name) {
            evidence.insert(name.to_owned());
        }
        if is_word(name) || is_word(word) || is_port(word) || is_version(word) {
            evidence.insert(word.to_owned());
        }
    }
    evidence
}

fn is_port(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) && word.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_version(word: &str) -> bool {
    let digit = |part: &str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once('.').is_some_and(|(major, minor)| digit(major) && digit(minor))
}

pub(super) fn project(view: &DesignView) -> Value {
    let nodes: Vec<Value> = view
        .nodes
        .iter()
        .zip(containers(&view.nodes))
        .map(|(node, container)| project_node(node, container.map(|at| view.nodes[at].id.as_str())))
        .collect();
    let edges: Vec<Value> = view.edges.iter().map(project_edge).collect();
    let hidden: Vec<Value> = view
        .integrity
        .hidden_edges
        .iter()
        .map(|hidden| json!({"edge": project_edge(&hidden.edge), "missing": hidden.missing}))
        .collect();
    json!({"nodes": nodes, "edges": edges, "hidden": hidden, "meta": kept(&view.meta, &META_COSMETIC)})
}

fn project_node(node: &Element, container: Option<&str>) -> Value {
    let mut projected = Map::new();
    set(&mut projected, "id", Some(Value::from(node.id.as_str())));
    set(&mut projected, "kind", node_type(node).map(Value::from));
    set(&mut projected, "container", container.map(Value::from));
    set(&mut projected, "label", judged_label(node).cloned());
    set(&mut projected, "data", project_data(&node.body));
    set(&mut projected, "rest", Some(Value::Object(kept(&node.body, &NODE_COSMETIC))));
    Value::Object(projected)
}

/// What all labels of an edge say together about the connection, as [`label_evidence`] reads them. Which label says what is
/// not seen.
#[must_use]
pub fn edge_evidence(edge: &Element) -> BTreeSet<String> {
    let data = edge.body.get(schema::DATA);
    let labels = [
        edge.body.get("label"),
        data.and_then(|data| data.get("label")),
        data.and_then(|data| data.get("sourceLabel")),
        data.and_then(|data| data.get("targetLabel")),
    ];
    labels.into_iter().flatten().filter_map(Value::as_str).flat_map(label_evidence).collect()
}

fn project_edge(edge: &Element) -> Value {
    let mut projected = Map::new();
    set(&mut projected, "id", Some(Value::from(edge.id.as_str())));
    set(&mut projected, "source", edge.body.get(schema::SOURCE).cloned());
    set(&mut projected, "target", edge.body.get(schema::TARGET).cloned());
    set(&mut projected, "evidence", Some(Value::from_iter(edge_evidence(edge))));
    set(&mut projected, "data", project_data(&edge.body));
    set(&mut projected, "rest", Some(Value::Object(kept(&edge.body, &EDGE_COSMETIC))));
    Value::Object(projected)
}

/// `None`: nothing is said.
fn project_data(body: &Map<String, Value>) -> Option<Value> {
    match body.get(schema::DATA)? {
        Value::Object(data) => Some(Value::Object(kept(data, &DATA_COSMETIC))),
        odd => Some(odd.clone()),
    }
}

fn kept(body: &Map<String, Value>, cosmetic: &[&str]) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in body {
        if !cosmetic.contains(&key.as_str()) {
            set(&mut kept, key, Some(value.clone()));
        }
    }
    kept
}

fn set(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Object(entries)) if entries.is_empty() => {}
        Some(Value::Array(values)) if values.is_empty() => {}
        Some(value) => {
            object.insert(key.to_owned(), value);
        }
    }
}

/// The type of a node: `data.type`, or the node's own `type` where there is none.
#[must_use]
pub fn node_type(node: &Element) -> Option<&str> {
    let data = node.body.get(schema::DATA);
    data.and_then(|data| data.get("type")).or_else(|| node.body.get("type")).and_then(Value::as_str)
}

/// The label by which a node is judged: none, if its type is known.
#[must_use]
pub fn judged_label(node: &Element) -> Option<&Value> {
    if node_type(node).is_some_and(kinds::is_known_type) {
        return None;
    }
    node.body.get(schema::DATA).and_then(|data| data.get("label")).or(node.body.get("label"))
}

/// A rectangle on the canvas, in canvas units; y grows downwards.
#[derive(Debug, Clone, Copy)]
struct Rect {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Rect {
    fn area(&self) -> f64 {
        self.width * self.height
    }

    fn centre(&self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    fn holds(&self, (x, y): (f64, f64)) -> bool {
        self.x <= x && x <= self.x + self.width && self.y <= y && y <= self.y + self.height
    }
}

/// For each node the container that it lies in. Costs nodes × containers at worst; the smallest container is
/// tried first.
pub(super) fn containers(nodes: &[Element]) -> Vec<Option<usize>> {
    let rects = rects(nodes);
    let mut containers: Vec<usize> = (0..nodes.len()).filter(|at| is_container(&nodes[*at])).collect();
    let by_area =
        |a: usize, b: usize| rects[a].area().partial_cmp(&rects[b].area()).unwrap_or(Ordering::Equal);
    // Nodes are sorted by id and the sort is stable: of equal areas the smaller id comes first.
    containers.sort_by(|a, b| by_area(*a, *b));
    (0..nodes.len())
        .map(|at| {
            let centre = rects[at].centre();
            let larger =
                |container: usize| !is_container(&nodes[at]) || by_area(at, container) == Ordering::Less;
            containers.iter().copied().find(|container| rects[*container].holds(centre) && larger(*container))
        })
        .collect()
}

fn is_container(node: &Element) -> bool {
    node_type(node).is_some_and(kinds::is_container_type)
}

/// Zones of a network that say no size are boxes as any other node; the containers of the palette are larger.
fn is_drawn_large(node: &Element) -> bool {
    is_container(node) && node_type(node).is_some_and(|kind| kinds::type_key(kind) != "network-zone")
}

fn rects(nodes: &[Element]) -> Vec<Rect> {
    let parents = integrity::parents(nodes);
    let mut origins: Vec<Option<(f64, f64)>> = vec![None; nodes.len()];
    for start in 0..nodes.len() {
        // Down to the first ancestor whose origin is known, then back up. A view has no cycles; the bound is a second lock.
        let mut chain = Vec::new();
        let mut at = Some(start);
        while let Some(node) = at.filter(|node| origins[*node].is_none() && chain.len() < nodes.len()) {
            chain.push(node);
            at = parents[node];
        }
        let mut origin = at.and_then(|node| origins[node]).unwrap_or((0.0, 0.0));
        for node in chain.into_iter().rev() {
            let (x, y) = own_position(&nodes[node]);
            origin = (origin.0 + x, origin.1 + y);
            origins[node] = Some(origin);
        }
    }
    nodes
        .iter()
        .zip(origins)
        .map(|(node, origin)| {
            let (x, y) = origin.unwrap_or((0.0, 0.0));
            let (width, height) = if is_drawn_large(node) { (300.0, 200.0) } else { (150.0, 80.0) };
            Rect { x, y, width: size(node, "width", width), height: size(node, "height", height) }
        })
        .collect()
}

fn own_position(node: &Element) -> (f64, f64) {
    let coordinate = |key| {
        node.body
            .get(schema::POSITION)
            .and_then(|position| position.get(key))
            .and_then(Value::as_f64)
            .unwrap_or_default()
    };
    (coordinate("x"), coordinate("y"))
}

fn size(node: &Element, key: &str, default: f64) -> f64 {
    let inside = |place: &str| node.body.get(place).and_then(|place| place.get(key));
    [node.body.get(key), inside("style"), inside(schema::DATA)]
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .find(|size| 0.0 < *size)
        .unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element((id, body): (&str, Value)) -> Element {
        Element { id: id.to_owned(), body: body.as_object().unwrap().clone() }
    }

    fn view<const N: usize, const E: usize>(
        nodes: [(&str, Value); N],
        edges: [(&str, Value); E],
    ) -> DesignView {
        let (nodes, edges, integrity) =
            integrity::settle(nodes.map(element).to_vec(), edges.map(element).to_vec(), Vec::new());
        DesignView { schema_version: 1, nodes, edges, meta: Map::new(), integrity }
    }

    fn node(kind: &str, x: f64, y: f64) -> Value {
        json!({"type": "custom", "position": {"x": x, "y": y}, "data": {"type": kind, "label": kind}})
    }

    /// A subnet at (0, 0) of 300 × 200, and a database at the place given.
    fn subnet_and_database(x: f64, y: f64) -> DesignView {
        view([("db", node("database", x, y)), ("net", node("subnet", 0.0, 0.0))], [])
    }

    #[test]
    fn what_the_room_takes_for_cosmetic_is_left_out() {
        for key in schema::COSMETIC {
            assert!(NODE_COSMETIC.contains(&key) || EDGE_COSMETIC.contains(&key), "{key}");
        }
    }

    #[test]
    fn the_words_of_evidence_are_sorted_so_that_they_are_found() {
        assert!(EVIDENCE_WORDS.is_sorted());
        for word in EVIDENCE_WORDS {
            assert!(label_evidence(word).contains(word), "{word}");
        }
    }

    #[test]
    fn a_label_is_reduced_to_protocols_and_ports() {
        let evidence = |label| label_evidence(label).into_iter().collect::<Vec<_>>();
        assert_eq!(evidence("PostgreSQL:5432"), ["5432", "postgresql"]);
        assert_eq!(evidence("Orders → shop, HTTPS 443 (TLS 1.3)"), ["1.3", "443", "https", "tls"]);
        assert_eq!(evidence("HTTP/2:3000"), ["3000", "http", "http/2"]);
        assert_eq!(evidence("TLS1.0"), ["tls", "tls1.0"]);
        assert_eq!(evidence("the weekly report"), Vec::<String>::new());
        assert_eq!(evidence("port 0, 65536, 99999999999999999999"), Vec::<String>::new());
    }

    #[test]
    fn a_move_is_semantic_only_when_it_crosses_the_border_of_a_container() {
        let inside = subnet_and_database(20.0, 20.0).semantic_hash();
        assert_eq!(subnet_and_database(100.0, 90.0).semantic_hash(), inside);
        let outside = subnet_and_database(400.0, 20.0).semantic_hash();
        assert_ne!(outside, inside);
        assert_eq!(subnet_and_database(900.0, -500.0).semantic_hash(), outside);
        // The centre decides: half of 150 × 80 beyond the corner is still inside.
        assert_eq!(subnet_and_database(225.0, 160.0).semantic_hash(), inside);
        assert_eq!(subnet_and_database(226.0, 160.0).semantic_hash(), outside);
    }

    #[test]
    fn the_smallest_container_counts_and_parents_shift_positions() {
        let mut vpc = node("vpc-vnet", -500.0, -500.0);
        vpc["style"] = json!({"width": 2000, "height": 2000});
        let mut child = node("database", 10.0, 10.0);
        child["parentId"] = json!("net");
        let view = view([("db", child), ("net", node("subnet", 600.0, 600.0)), ("vpc", vpc)], []);
        assert_eq!(containers(&view.nodes), [Some(1), Some(2), None]);
    }

    #[test]
    fn containers_of_one_size_never_contain_each_other() {
        let view = view([("a", node("subnet", 0.0, 0.0)), ("b", node("subnet", 0.0, 0.0))], []);
        assert_eq!(containers(&view.nodes), [None, None]);
    }

    #[test]
    fn looks_and_free_text_are_cosmetic_and_what_an_unknown_type_is_called_is_not() {
        let hash = |node: Value| view([("n", node)], []).semantic_hash();
        let plain = node("database", 0.0, 0.0);
        let mut dressed = plain.clone();
        dressed["style"] = json!({"color": "red"});
        dressed["zIndex"] = json!(7);
        dressed["width"] = json!(151);
        dressed["data"]["label"] = json!("Orders");
        dressed["data"]["description"] = json!("The orders of the shop.");
        dressed["data"]["securityFlags"] = json!({});
        assert_eq!(hash(dressed), hash(plain.clone()));

        let mut flagged = plain.clone();
        flagged["data"]["securityFlags"] = json!({"encryptedAtRest": false});
        assert_ne!(hash(flagged), hash(plain.clone()));
        let mut further = plain.clone();
        further["data"]["replicas"] = json!(2);
        assert_ne!(hash(further), hash(plain));

        let unknown = node("gizmo", 0.0, 0.0);
        let mut renamed = unknown.clone();
        renamed["data"]["label"] = json!("Vault");
        assert_ne!(hash(renamed), hash(unknown));
    }

    #[test]
    fn an_edge_is_known_by_its_ends_its_data_and_the_evidence_in_its_label() {
        let hash = |edge: Value| {
            view([("a", node("web-server", 0.0, 0.0)), ("b", node("database", 0.0, 0.0))], [("e", edge)])
                .semantic_hash()
        };
        let edge = json!({"source": "a", "target": "b", "label": "HTTPS:443", "data": {"protocol": "HTTPS"}});
        let with = |key: &str, value: Value| {
            let mut changed = edge.clone();
            changed[key] = value;
            hash(changed)
        };
        assert_eq!(with("label", json!("Orders, https:443")), hash(edge.clone()));
        assert_eq!(with("animated", json!(true)), hash(edge.clone()));
        assert_ne!(with("label", json!("HTTP:80")), hash(edge.clone()));
        assert_ne!(with("data", json!({"protocol": "HTTP"})), hash(edge.clone()));
        assert_ne!(with("target", json!("a")), hash(edge.clone()));
        assert_ne!(with("target", json!("gone")), hash(edge.clone()), "a hidden edge is seen as hidden");
    }
}
