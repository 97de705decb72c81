//! Files that people made. They stand beside the project, not in it: where they are absent, this says so.

use std::collections::BTreeSet;
use std::path::Path;

use atlas_crdt::view::DesignView;
use atlas_crdt::view::kinds::type_key;
use serde_json::{Value, json};

use crate::analysis::model::Kind;
use crate::analysis::tables::zones::{self, Reading};
use crate::analysis::tables::{kinds, protocols};
use crate::analysis::testing;
use crate::analysis::{Report, analyse, normaliser};

fn read(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not here", path.display());
    }
    text
}

/// A saved file; the older form of components and connections too, each component far from the others.
fn design(file: &str) -> Option<DesignView> {
    let saved: Value = serde_json::from_str(&read(file)?).expect("JSON");
    let list = |key: &str| saved[key].as_array().cloned().unwrap_or_default();
    let nodes = list("components").into_iter().enumerate().map(|(at, component)| {
        json!({"id": component["id"], "position": {"x": at * 1_000, "y": 0}, "data": component})
    });
    let edges = list("connections").into_iter().enumerate().map(|(at, connection)| {
        let id = format!("connection-{at}");
        json!({"id": id, "source": connection["from"], "target": connection["to"], "data": connection})
    });
    let nodes: Vec<Value> = list("nodes").into_iter().chain(nodes).collect();
    let edges: Vec<Value> = list("edges").into_iter().chain(edges).collect();
    Some(testing::view(&json!({"nodes": nodes, "edges": edges})))
}

const KOHATLAS: [&str; 5] = [
    "kohatlas/kohGrid.json",
    "kohatlas/tier1-gcp-architecture-secure.json",
    "kohatlas/preset-secure.json",
    "kohatlas/preset-vulnerable.json",
    "kohatlas/example-legacy-format.json",
];

/// Zones that say nothing about trust: a cloud and a network may be anything.
const VAGUE_ZONES: [&str; 2] = ["Cloud", "Networking"];

#[test]
fn every_word_of_saved_files_is_understood_or_left_open_on_purpose() {
    for file in KOHATLAS {
        let Some(view) = design(file) else { continue };
        let model = normaliser::model(&view);
        for node in &model.nodes {
            assert_ne!(node.kind, Kind::Unknown, "{file}: {:?}", node.element);
            let words = normaliser::zone_words(node);
            let is_vague = VAGUE_ZONES.contains(&words.as_str());
            assert_eq!(node.zone.is_none(), is_vague, "{file}: {words}");
            assert_eq!(zones::of(&words) == Reading::Vague, is_vague, "{file}: {words}");
        }
        for edge in &model.edges {
            assert_eq!(normaliser::odd_protocol(edge), None, "{file}: {}", edge.id());
        }
    }
}

fn about(report: &Report, rule: &str) -> BTreeSet<String> {
    report
        .issues
        .iter()
        .filter(|issue| issue.rule_id == rule)
        .map(|issue| issue.elements[0].clone())
        .collect()
}

#[test]
fn a_file_that_calls_itself_secure_is_seen_through() {
    let Some(view) = design("kohatlas/kohGrid.json") else { return };
    let report = analyse(&view);
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(about(&report, "ATL-M01"), set(&["e10-external"]));
    // TLS over plain HTTP, three times; and what stands in a public subnet without access from the internet.
    assert_eq!(about(&report, "ATL-M02"), set(&["e4-10", "e6-10", "e7-10", "3", "4"]));
    // What they speak belongs to other ends. Two more (e4-5 and e5-8) say so in free text only.
    let wrong = ["e5-6", "e5-7", "e5-9", "e8-7", "e8-5", "e8-9", "e4-9", "e4-10", "e6-10", "e7-10"];
    assert_eq!(about(&report, "ATL-M03"), set(&wrong));
}

/// Technologies that say too little, or are no component.
const VAGUE_TECHNOLOGIES: [&str; 5] = ["unknown-technology", "local-file-system", "tool", "cli", "library"];

#[test]
fn technologies_and_protocols_of_threagile_are_known() {
    let Some(text) = read("threagile/schema.json") else { return };
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let words = |within: &Value, key: &str| -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![within];
        while let Some(value) = waiting.pop() {
            if let Some(list) =
                value.get(key).and_then(|property| property.get("enum")).and_then(Value::as_array)
            {
                found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            match value {
                Value::Object(entries) => waiting.extend(entries.values()),
                Value::Array(values) => waiting.extend(values),
                _ => {}
            }
        }
        found
    };
    let technologies = words(&schema, "technology");
    assert!(40 < technologies.len());
    for technology in technologies {
        let is_known = kinds::of_type(&type_key(&technology)).is_some();
        assert_eq!(is_known, !VAGUE_TECHNOLOGIES.contains(&technology.as_str()), "{technology}");
    }
    let spoken = words(&schema, "protocol");
    assert!(30 < spoken.len());
    for protocol in spoken {
        let plain = protocol.strip_suffix("-encrypted").unwrap_or(&protocol);
        let is_known = protocols::named(&protocol).or_else(|| protocols::named(plain)).is_some();
        assert_eq!(is_known, protocol != "unknown-protocol", "{protocol}");
    }
}

/// Shapes for what no rule asks about: things, decoration, devices of the internet of things.
const OTHER_SHAPES: &str = "camera car coffee-pot door-lock greengrass house illustration-devices internet-of-things iot-analytics iot-core iot-events
    lightbulb resourceIcon sagemaker-model thermostat utility group groupCenter group-auto-scaling-group
    group-aws-cloud-alt group-security-group elastic-ip-address application-system external-payment-form google-cloud-platform
    internal-payment-authorization payment";

#[test]
fn shapes_of_draw_io_are_known_where_they_are_services() {
    for file in [
        "drawio/aws_1.xml",
        "drawio/retail_pci.xml",
        "drawio/drawio_aws.drawio",
        "drawio/aws-simple-architecture.drawio",
    ] {
        let Some(text) = read(file) else { continue };
        for set in ["mxgraph.aws4.", "mxgraph.gcp2."] {
            for at in text.match_indices(set).map(|(at, _)| at) {
                let shape: String =
                    text[at..].chars().take_while(|c| c.is_alphanumeric() || "._".contains(*c)).collect();
                let key = type_key(&shape);
                let name = shape.trim_start_matches(set).replace('_', "-");
                let is_other = OTHER_SHAPES.split_whitespace().any(|other| other == name);
                assert_eq!(kinds::of_type(&key).is_none(), is_other, "{file}: {shape}");
            }
        }
    }
}

#[test]
fn flows_of_language_models_are_mostly_steps_of_a_program() {
    let Some(view) = design("react-flow/sql-agent.json") else { return };
    let model = normaliser::model(&view);
    let kinds: BTreeSet<Kind> = model.nodes.iter().map(|node| node.kind).collect();
    assert!(kinds.contains(&Kind::Llm));
    assert!(analyse(&view).score.security_score <= 10.0);
}
