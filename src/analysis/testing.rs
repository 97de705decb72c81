//! Drawings for tests of rules.

use atlas_crdt::integrity::{HiddenEdge, Integrity};
use atlas_crdt::view::kinds::KNOWN_TYPES;
use atlas_crdt::view::{DesignView, Element};
use serde_json::{Map, Value, json};

use super::report::Issue;
use super::rule::Severity;

/// A small design, made step by step.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    nodes: Vec<Value>,
    edges: Vec<Value>,
    meta: Map<String, Value>,
}

impl Drawing {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), edges: Vec::new(), meta: Map::new() }
    }

    /// A node of this type in this zone; an empty zone is not said. Nodes stand far from each other.
    pub(crate) fn node(self, id: &str, kind: &str, zone: &str) -> Self {
        self.node_with(id, kind, zone, json!({}))
    }

    /// The same with further keys of `data`.
    pub(crate) fn node_with(mut self, id: &str, kind: &str, zone: &str, data: Value) -> Self {
        let mut node = json!({
            "id": id, "type": "custom",
            "position": {"x": 1_000 * self.nodes.len(), "y": -5_000},
            "data": {"type": kind, "label": id, "securityFlags": {}},
        });
        if !zone.is_empty() {
            node["data"]["zone"] = zone.into();
        }
        merge(&mut node["data"], data);
        self.nodes.push(node);
        self
    }

    /// A container: x, y, width, height.
    pub(crate) fn container(
        mut self,
        id: &str,
        kind: &str,
        zone: &str,
        [x, y, width, height]: [i32; 4],
    ) -> Self {
        self = self.node(id, kind, zone);
        let node = find(&mut self.nodes, id);
        node["position"] = json!({"x": x, "y": y});
        node["width"] = width.into();
        node["height"] = height.into();
        self
    }

    /// Moves a node.
    pub(crate) fn at(mut self, id: &str, x: i32, y: i32) -> Self {
        find(&mut self.nodes, id)["position"] = json!({"x": x, "y": y});
        self
    }

    pub(crate) fn edge(mut self, id: &str, source: &str, target: &str, data: Value) -> Self {
        self.edges.push(json!({"id": id, "source": source, "target": target, "data": data}));
        self
    }

    /// Merges into the data of a node; null removes.
    pub(crate) fn node_data(mut self, id: &str, data: Value) -> Self {
        merge(&mut find(&mut self.nodes, id)["data"], data);
        self
    }

    /// Merges into the data of an edge; null removes.
    pub(crate) fn edge_data(mut self, id: &str, data: Value) -> Self {
        merge(&mut find(&mut self.edges, id)["data"], data);
        self
    }

    pub(crate) fn zone(self, id: &str, zone: &str) -> Self {
        self.node_data(id, json!({"zone": zone}))
    }

    pub(crate) fn label(mut self, edge: &str, label: &str) -> Self {
        find(&mut self.edges, edge)["label"] = label.into();
        self
    }

    pub(crate) fn without(mut self, id: &str) -> Self {
        self.nodes.retain(|node| node["id"] != id);
        self.edges.retain(|edge| edge["id"] != id);
        self
    }

    pub(crate) fn view(&self) -> DesignView {
        view(&json!({"nodes": self.nodes, "edges": self.edges, "meta": self.meta}))
    }

    /// What the rule says.
    pub(crate) fn found(&self, rule: &str) -> Vec<Issue> {
        let view = self.view();
        super::analyse(&view).issues.into_iter().filter(|issue| issue.rule_id == rule).collect()
    }

    /// The elements of each finding of the rule, sorted by the first.
    pub(crate) fn subjects(&self, rule: &str) -> Vec<Vec<String>> {
        let mut subjects: Vec<_> = self.found(rule).into_iter().map(|issue| issue.elements).collect();
        subjects.sort();
        subjects
    }

    /// The first element of each finding of the rule, sorted: what it is about.
    pub(crate) fn about(&self, rule: &str) -> Vec<String> {
        self.subjects(rule).into_iter().map(|all| all.into_iter().next().unwrap_or_default()).collect()
    }

    /// The design after the first fix that the rule offers; panics when it offers none.
    pub(crate) fn fixed(&self, rule: &str) -> Self {
        let fix = self.found(rule).into_iter().find_map(|issue| issue.autofix).expect("a fix");
        self.patched(&fix)
    }

    /// The design after a fix.
    pub(crate) fn patched(&self, fix: &Value) -> Self {
        let mut fixed = self.clone();
        for (list, patch) in
            [(&mut fixed.nodes, &fix["patch"]["nodes"]), (&mut fixed.edges, &fix["patch"]["edges"])]
        {
            let removed: Vec<&Value> = patch["remove"].as_array().into_iter().flatten().collect();
            list.retain(|element| !removed.contains(&&element["id"]));
            for upsert in patch["upsert"].as_array().into_iter().flatten() {
                match list.iter_mut().find(|element| element["id"] == upsert["id"]) {
                    Some(element) => merge(element, upsert.clone()),
                    None => list.push(upsert.clone()),
                }
            }
        }
        fixed
    }
}

impl Drawing {
    /// The same meaning in other words: other ids, order, positions, colours, and labels where they do not count.
    pub(crate) fn retold(&self) -> Self {
        let mut other = self.clone();
        let renamed = |value: &Value| json!(format!("z{}", value.as_str().expect("an id")));
        for node in &mut other.nodes {
            node["id"] = renamed(&node["id"]);
            let at = |axis: &str| node["position"][axis].as_i64().expect("a number");
            node["position"] = json!({"x": at("x") + 37, "y": at("y") - 4_100});
            node["style"] = json!({"background": "#fff"});
            if node["data"]["type"].as_str().is_some_and(|kind| KNOWN_TYPES.contains(&kind)) {
                node["data"]["label"] = "The vault of the public internet".into();
            }
        }
        for edge in &mut other.edges {
            for key in ["id", "source", "target"] {
                edge[key] = renamed(&edge[key]);
            }
            edge["animated"] = true.into();
        }
        other.nodes.reverse();
        other.edges.reverse();
        other
    }

    /// The rule speaks about these elements, and does so however the same is drawn.
    #[track_caller]
    pub(crate) fn assert_steady(&self, rule: &str, expected: &[&str]) {
        assert_eq!(self.about(rule), expected, "{rule}");
        let retold: Vec<String> = expected.iter().map(|id| format!("z{id}")).collect();
        assert_eq!(self.retold().about(rule), retold, "{rule}, retold");
    }

    /// The rule says so many things, however the same is drawn: for rules about the whole design.
    #[track_caller]
    pub(crate) fn assert_count(&self, rule: &str, expected: usize) {
        assert_eq!(self.found(rule).len(), expected, "{rule}");
        assert_eq!(self.retold().found(rule).len(), expected, "{rule}, retold");
    }

    /// The design after the first fix that the rule offers: its finding is gone, nothing worse than a remark is new, and
    /// the score is not lower.
    #[track_caller]
    pub(crate) fn assert_mended(&self, rule: &str) -> Self {
        let issue = self.found(rule).into_iter().find(|issue| issue.autofix.is_some()).expect("a fix");
        self.assert_mends(&issue)
    }

    /// The same for one finding.
    #[track_caller]
    pub(crate) fn assert_mends(&self, issue: &Issue) -> Self {
        let rule = issue.rule_id;
        let before = super::analyse(&self.view());
        let fixed = self.patched(issue.autofix.as_ref().expect("a fix"));
        let after = super::analyse(&fixed.view());
        for left in &after.issues {
            assert_ne!(left.fingerprint, issue.fingerprint, "{rule} is still there: {left:?}");
            let was_there = before.issues.iter().any(|known| known.fingerprint == left.fingerprint);
            assert!(was_there || left.severity == Severity::Info, "the fix of {rule} brings {left:?}");
        }
        let (before, after) = (before.score.security_score, after.score.security_score);
        assert!(before <= after, "the fix of {rule} lowers the score from {before} to {after}");
        fixed
    }
}

/// As a PATCH merges: objects key by key, null removes.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert_with(|| json!({})), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

fn find<'a>(list: &'a mut [Value], id: &str) -> &'a mut Value {
    list.iter_mut().find(|element| element["id"] == id).expect("an element with this id")
}

/// `{nodes, edges, hidden_edges?, meta?}` as a view; edges whose ends are no nodes are hidden.
pub(crate) fn view(design: &Value) -> DesignView {
    let elements = |key: &str| {
        let mut elements: Vec<Element> = design[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(|element| {
                let mut body = element.as_object().expect("an object").clone();
                let id = body.remove("id").and_then(|id| id.as_str().map(str::to_owned)).expect("an id");
                Element { id, body }
            })
            .collect();
        elements.sort_by(|a, b| a.id.cmp(&b.id));
        elements
    };
    let nodes = elements("nodes");
    let mut all = elements("edges");
    all.extend(elements("hidden_edges"));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let (mut edges, mut hidden_edges) = (Vec::new(), Vec::new());
    for edge in all {
        let missing: Vec<String> = ["source", "target"]
            .into_iter()
            .filter_map(|end| edge.body.get(end).and_then(Value::as_str))
            .filter(|end| !nodes.iter().any(|node| node.id == *end))
            .map(str::to_owned)
            .collect();
        if missing.is_empty() {
            edges.push(edge);
        } else {
            hidden_edges.push(HiddenEdge { edge, missing });
        }
    }
    let meta = design["meta"].as_object().cloned().unwrap_or_default();
    DesignView {
        schema_version: 1,
        nodes,
        edges,
        meta,
        integrity: Integrity { hidden_edges, repaired: Vec::new() },
    }
}
