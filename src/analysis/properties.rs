//! What holds for the whole analysis, whatever is drawn: laws that no rule may break.

use std::collections::BTreeMap;

use atlas_crdt::integrity::{HiddenEdge, Integrity};
use atlas_crdt::view::cosmetic::{DATA_COSMETIC, EDGE_COSMETIC, META_COSMETIC, NODE_COSMETIC};
use atlas_crdt::view::{DesignView, Element};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::{analyse, testing};

const TYPES: &[&str] = &[
    "web-browser",
    "edge-cdn",
    "edge-dns",
    "waf",
    "firewall",
    "load-balancer-global",
    "api-gateway",
    "web-server",
    "app-server",
    "microservice",
    "kubernetes-cluster",
    "database",
    "database",
    "cache",
    "message-queue",
    "object-storage",
    "secrets-manager",
    "identity",
    "monitoring",
    "ci-cd-pipeline",
    "bastion-host",
    "dam",
    "openai",
    "nat-gateway",
    "network-zone",
    "gizmo",
    "service",
    "ddos-protection",
    "container-registry",
];
const CONTAINERS: &[&str] = &["vpc-vnet", "subnet", "network-segmentation"];
const ZONES: &[&str] = &[
    "external",
    "dmz",
    "Web Tier",
    "app",
    "internal",
    "data",
    "Data Tier - Private",
    "management",
    "Cloud",
    "Wonderland",
    "",
];
const PROTOCOLS: &[&str] = &[
    "HTTPS",
    "HTTP",
    "HTTP/2 over mTLS",
    "PostgreSQL",
    "Redis",
    "ANY",
    "SSH",
    "RDP",
    "Telnet",
    "LDAP",
    "gRPC",
    "Kafka",
    "Various",
    "Frobnicate",
    "HTTPS (Vault HTTP API)",
    "HTTP (Prometheus scrape)",
    "SMTP",
    "TCP",
    "",
];
const ENCRYPTIONS: &[&str] = &["None", "TLS 1.3", "TLS 1.0", "mTLS", "SSLv3", "CMEK", ""];
const AUTHENTICATIONS: &[&str] =
    &["none", "basic", "JWT", "IAM role", "mTLS", "API key", "anonymous", "magic", ""];
const LABELS: &[&str] = &[
    "Vault",
    "Orders Postgres",
    "Flux",
    "User Service",
    "Public Internet",
    "",
    "HTTPS:443",
    "PostgreSQL 5432",
    "HTTP:80",
];
const FLAGS: &[(&str, &[&str])] = &[
    ("encryptedAtRest", &["true", "false"]),
    ("encryptedInTransit", &["true", "false"]),
    ("hasBackup", &["true", "false"]),
    ("backupFrequency", &["\"daily\"", "\"none\""]),
    ("auditLoggingEnabled", &["true", "false"]),
    ("directInternetAccess", &["true", "false"]),
    ("networkSegmentation", &["\"public-subnet\"", "\"private-subnet\""]),
    ("mfaRequired", &["true", "false"]),
    ("rateLimited", &["true", "false"]),
    ("activityMonitoring", &["true", "false"]),
    ("secretsManagement", &["\"Vault\"", "\"env\""]),
    ("replicas", &["1", "3"]),
    ("environment", &["\"production\"", "\"dev\""]),
    ("dataClassification", &["\"restricted\"", "\"public\""]),
    ("imageScanning", &["true", "false"]),
    ("fetchesUrls", &["true"]),
    ("egressFiltering", &["true", "false"]),
    ("oidc", &["true", "false"]),
    ("encrypted", &["true", "false"]),
    ("authenticated", &["true", "false"]),
    ("authorizationEnabled", &["true", "false"]),
    ("bidirectional", &["true"]),
];

fn flags() -> impl Strategy<Value = Value> {
    let one = select(FLAGS).prop_flat_map(|(key, values)| (Just(key), select(values)));
    prop::collection::vec(one, 0..6).prop_map(|all| {
        all.into_iter()
            .map(|(key, value)| (key.to_owned(), serde_json::from_str(value).expect("JSON")))
            .collect::<Map<_, _>>()
            .into()
    })
}

fn node() -> impl Strategy<Value = Value> {
    let place = (0i32..24, 0i32..24, any::<bool>());
    (select(TYPES), select(CONTAINERS), 0u8..5, select(ZONES), select(LABELS), flags(), place).prop_map(
        |(kind, container, is_container, zone, label, flags, (x, y, is_in_flags))| {
            let kind = if is_container == 0 { container } else { kind };
            let mut data = json!({"type": kind, "zone": zone, "label": label});
            if is_in_flags {
                data["securityFlags"] = flags;
            } else if let (Value::Object(data), Value::Object(flags)) = (&mut data, flags) {
                data.extend(flags);
            }
            json!({"type": "custom", "position": {"x": x * 40, "y": y * 40}, "data": data})
        },
    )
}

fn edge(nodes: usize) -> impl Strategy<Value = Value> {
    // Now and then an end is nowhere.
    let end = || 0..nodes + 1;
    let port = select(vec![Value::Null, json!(443), json!(80), json!("5432"), json!("ANY"), json!(22)]);
    let words =
        (select(PROTOCOLS), port, select(ENCRYPTIONS), select(AUTHENTICATIONS), select(LABELS), flags());
    (end(), end(), words).prop_map(|(source, target, (protocol, port, encryption, authentication, label, flags))| {
        json!({"source": name(source), "target": name(target), "label": label, "data": {
            "protocol": protocol, "port": port, "encryption": encryption, "authentication": authentication, "securityFlags": flags,
        }})
    })
}

fn name(at: usize) -> String {
    format!("n{at:02}")
}

/// Nodes and edges as a saved file has them.
fn design() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    prop::collection::vec(node(), 1..14).prop_flat_map(|nodes| {
        let edges = prop::collection::vec(edge(nodes.len()), 0..24);
        (Just(nodes), edges).prop_map(|(mut nodes, mut edges)| {
            for (at, node) in nodes.iter_mut().enumerate() {
                node["id"] = name(at).into();
                // No two areas alike: of equal containers the smaller id holds what lies in both.
                node["width"] = (300 + at).into();
            }
            for (at, edge) in edges.iter_mut().enumerate() {
                edge["id"] = format!("e{at:02}").into();
            }
            (nodes, edges)
        })
    })
}

fn view(nodes: &[Value], edges: &[Value]) -> DesignView {
    testing::view(&json!({"nodes": nodes, "edges": edges}))
}

fn bytes(view: &DesignView) -> String {
    serde_json::to_string_pretty(&analyse(view)).expect("a report is JSON")
}

/// Are two reports the same bytes? Says the first line that differs.
fn same(a: &DesignView, b: &DesignView) -> Result<(), TestCaseError> {
    let (a, b) = (bytes(a), bytes(b));
    if let Some((a, b)) = a.lines().zip(b.lines()).find(|(a, b)| a != b) {
        return Err(TestCaseError::fail(format!("{a} is not {b}")));
    }
    prop_assert_eq!(a.len(), b.len());
    Ok(())
}

/// Keys that other tests cover: they are seen in another form (position as container, type as kind), or are sizes.
const SHOWN_OTHERWISE: &[&str] = &[
    "data",
    "height",
    "label",
    "parentId",
    "position",
    "source",
    "sourceLabel",
    "style",
    "target",
    "targetLabel",
    "type",
    "width",
];
/// Values that would change a lot if anybody read them.
const LOUD: &[&str] = &[
    "\"HTTP\"",
    "\"none\"",
    "true",
    "false",
    "\"external\"",
    "{\"encrypted\":false}",
    "[\"Vault\"]",
    "0",
    "null",
    "{}",
];

/// A way to change a drawing; some change what is meant, some do not.
#[derive(Debug, Clone)]
enum Change {
    Move(Index, i32, i32),
    Label(Index, &'static str),
    EdgeLabel(Index, &'static str),
    /// Key and value into the data of a node or an edge.
    Data(Index, &'static str, &'static str),
    Body(Index, &'static str, &'static str),
    PortAsFraction(Index),
    Resize(Index, u16),
}

fn change() -> impl Strategy<Value = Change> {
    let keys = || {
        select(DATA_COSMETIC.to_vec())
            .boxed()
            .prop_union(select(vec!["zone", "securityFlags", "unheardOf", "encryption", "replicas"]).boxed())
    };
    let body_keys = select(
        NODE_COSMETIC
            .iter()
            .chain(&EDGE_COSMETIC)
            .copied()
            .filter(|key| !["data", "source", "target", "type"].contains(key))
            .collect::<Vec<_>>(),
    );
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 0i32..960, 0i32..960).prop_map(|(at, x, y)| Change::Move(at, x, y)),
        2 => (at(), select(LABELS)).prop_map(|(at, label)| Change::Label(at, label)),
        1 => (at(), select(LABELS)).prop_map(|(at, label)| Change::EdgeLabel(at, label)),
        3 => (at(), keys(), select(LOUD)).prop_map(|(at, key, value)| Change::Data(at, key, value)),
        2 => (at(), body_keys, select(LOUD)).prop_map(|(at, key, value)| Change::Body(at, key, value)),
        1 => at().prop_map(Change::PortAsFraction),
        1 => (at(), 1u16..900).prop_map(|(at, size)| Change::Resize(at, size)),
    ]
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn apply(change: &Change, nodes: &mut [Value], edges: &mut [Value]) {
    let node = |at: &Index| at.index(nodes.len());
    match change {
        Change::Move(at, x, y) => nodes[node(at)]["position"] = json!({"x": x, "y": y}),
        Change::Label(at, label) => nodes[node(at)]["data"]["label"] = (*label).into(),
        Change::Resize(at, size) => nodes[node(at)]["width"] = (*size).into(),
        Change::EdgeLabel(at, label) if !edges.is_empty() => {
            let at = at.index(edges.len());
            edges[at]["data"]["targetLabel"] = edges[at]["label"].take();
            edges[at]["label"] = (*label).into();
        }
        Change::PortAsFraction(at) if !edges.is_empty() => {
            let port = &mut edges[at.index(edges.len())]["data"]["port"];
            if let Some(number) = port.as_f64() {
                *port = number.into();
            }
        }
        Change::Data(at, key, value) => {
            let at = at.index(nodes.len() + edges.len());
            let element = if at < nodes.len() { &mut nodes[at] } else { &mut edges[at - nodes.len()] };
            element["data"][*key] = parsed(value);
        }
        Change::Body(at, key, value) => {
            let at = at.index(nodes.len() + edges.len());
            let element = if at < nodes.len() { &mut nodes[at] } else { &mut edges[at - nodes.len()] };
            element[*key] = parsed(value);
        }
        Change::EdgeLabel(..) | Change::PortAsFraction(_) => {}
    }
}

/// How many findings of each rule, how bad and how sure.
fn tally(view: &DesignView) -> (String, BTreeMap<String, usize>) {
    let report = analyse(view);
    let mut counts = BTreeMap::new();
    for issue in &report.issues {
        *counts.entry(format!("{} {:?} {}", issue.rule_id, issue.severity, issue.confidence)).or_default() +=
            1;
    }
    (serde_json::to_string(&report.score).expect("JSON"), counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_order_of_nodes_and_edges_does_not_matter((nodes, edges) in design(), seed in any::<u64>()) {
        let mut turned = (nodes.clone(), edges.clone());
        let key = |value: &Value| value.to_string().bytes().fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        turned.0.sort_by_key(key);
        turned.1.sort_by_key(key);
        same(&view(&turned.0, &turned.1), &view(&nodes, &edges))?;
    }

    #[test]
    fn one_hash_means_one_report((nodes, edges) in design(), changes in prop::collection::vec(change(), 1..4)) {
        let before = view(&nodes, &edges);
        let (mut nodes, mut edges) = (nodes, edges);
        for change in &changes {
            apply(change, &mut nodes, &mut edges);
        }
        let after = view(&nodes, &edges);
        if before.semantic_hash() == after.semantic_hash() {
            same(&after, &before)?;
        }
    }

    #[test]
    fn what_is_only_drawn_changes_neither_hash_nor_report((nodes, edges) in design(), loud in select(LOUD), label in select(LABELS)) {
        let before = view(&nodes, &edges);
        let (mut nodes, mut edges) = (nodes, edges);
        let with = |element: &mut Value, keys: &[&str]| {
            for key in keys.iter().filter(|key| !SHOWN_OTHERWISE.contains(key)) {
                element[*key] = parsed(loud);
            }
        };
        for node in &mut nodes {
            with(node, &NODE_COSMETIC);
            with(&mut node["data"], &DATA_COSMETIC);
            let kind = node["data"]["type"].as_str().expect("a type");
            if atlas_crdt::view::kinds::is_known_type(kind) {
                node["data"]["label"] = label.into();
            }
        }
        for edge in &mut edges {
            with(edge, &EDGE_COSMETIC);
            with(&mut edge["data"], &DATA_COSMETIC);
            edge["label"] = format!("{}, quite nice", edge["label"].as_str().expect("a label")).into();
            edge["data"]["sourceLabel"] = "somewhere".into();
        }
        let mut after = view(&nodes, &edges);
        after.meta = META_COSMETIC.iter().map(|key| ((*key).to_owned(), parsed(loud))).collect();
        prop_assert_eq!(after.semantic_hash(), before.semantic_hash());
        same(&after, &before)?;
    }

    #[test]
    fn ids_do_not_matter_for_the_score((nodes, edges) in design()) {
        let before = tally(&view(&nodes, &edges));
        let renamed = |id: &Value| -> Value {
            let id = id.as_str().expect("an id");
            // The other way round, so that every order by id turns.
            id.bytes().map(|byte| char::from(if byte.is_ascii_digit() { b'9' - (byte - b'0') } else { byte })).collect::<String>().into()
        };
        let (mut nodes, mut edges) = (nodes, edges);
        for node in &mut nodes {
            node["id"] = renamed(&node["id"]);
        }
        for edge in &mut edges {
            for key in ["id", "source", "target"] {
                edge[key] = renamed(&edge[key]);
            }
        }
        prop_assert_eq!(tally(&view(&nodes, &edges)), before);
    }

    #[test]
    fn a_design_without_findings_is_good((nodes, edges) in design()) {
        let report = analyse(&view(&nodes, &edges));
        prop_assert!((0.0..=10.0).contains(&report.score.security_score));
        prop_assert!((0.0..=1.0).contains(&report.coverage));
        if report.issues.is_empty() && 0.8 <= report.coverage {
            prop_assert!(9.0 <= report.score.security_score);
        }
    }

    #[test]
    fn evidence_stands_in_the_drawing_and_elements_exist((nodes, edges) in design()) {
        let report = analyse(&view(&nodes, &edges));
        let ids: Vec<&str> = nodes.iter().chain(&edges).filter_map(|element| element["id"].as_str()).collect();
        let mut fingerprints = std::collections::BTreeSet::new();
        for issue in &report.issues {
            prop_assert!(fingerprints.insert(&issue.fingerprint), "{:?}", issue);
            prop_assert!(issue.elements.iter().chain(&issue.path).all(|id| ids.contains(&id.as_str())), "{:?}", issue);
            prop_assert!(issue.evidence.iter().all(|piece| ids.contains(&piece.element.as_str())), "{:?}", issue);
        }
    }

    #[test]
    fn nothing_that_json_can_hold_is_too_odd(
        nodes in prop::collection::btree_map("[a-e🌍]{0,2}", body(), 0..8),
        edges in prop::collection::btree_map("[a-e]{1,2}", body(), 0..8),
        meta in body(),
    ) {
        let elements = |all: BTreeMap<String, Map<String, Value>>| -> Vec<Element> {
            all.into_iter().map(|(id, body)| Element { id, body }).collect()
        };
        let hidden_edges = vec![HiddenEdge { edge: Element { id: "x".to_owned(), body: meta.clone() }, missing: vec![String::new()] }];
        let integrity = Integrity { hidden_edges, repaired: Vec::new() };
        let view = DesignView { schema_version: 1, nodes: elements(nodes), edges: elements(edges), meta, integrity };
        prop_assert!(!bytes(&view).is_empty());
    }
}

/// Keys that something reads.
const KEYS: &[&str] = &[
    "type",
    "label",
    "zone",
    "securityFlags",
    "protocol",
    "port",
    "encryption",
    "authentication",
    "position",
    "x",
    "y",
    "width",
    "height",
    "parentId",
    "source",
    "target",
    "replicas",
    "data",
    "data",
    "data",
    "style",
    "security",
    "tls",
    "encrypted",
    "authenticated",
    "rateLimitValue",
    "direction",
    "sourceLabel",
    "hasBackup",
    "secretsManagement",
    "mfa",
    "enabled",
    "atRest",
    "inTransit",
    "version",
    "environment",
];

/// Keys that something reads, and values of every sort under them.
fn body() -> impl Strategy<Value = Map<String, Value>> {
    let words: Vec<Value> = [TYPES, CONTAINERS, ZONES, PROTOCOLS, ENCRYPTIONS, AUTHENTICATIONS, LABELS]
        .into_iter()
        .flatten()
        .map(|word| Value::from(*word))
        .collect();
    let leaf = prop_oneof![
        4 => select(words),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => select(&["a", "b", "c", "🌍", ""][..]).prop_map(Value::from),
        1 => "\\PC{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 64, 12, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            5 => prop::collection::btree_map(select(KEYS).prop_map(str::to_owned), inner, 0..12)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    prop::collection::btree_map(select(KEYS).prop_map(str::to_owned), value, 0..12)
        .prop_map(|entries| entries.into_iter().collect())
}
