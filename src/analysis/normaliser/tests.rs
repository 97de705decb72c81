use super::*;

#[test]
fn dump() {
    for file in [
        "kohGrid",
        "tier1-gcp-architecture-secure",
        "preset-secure",
        "preset-vulnerable",
        "example-legacy-format",
    ] {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/kohatlas/").to_owned() + file + ".json";
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let mut design: Value = serde_json::from_str(&text).unwrap();
        if let Some(c) = design.get("components").cloned() {
            let nodes: Vec<Value> =
                c.as_array().unwrap().iter().map(|n| serde_json::json!({"id": n["id"], "data": n})).collect();
            let edges: Vec<Value> = design["connections"].as_array().unwrap().iter().enumerate().map(|(i, n)| serde_json::json!({"id": format!("e{i}"), "source": n["from"], "target": n["to"], "data": n})).collect();
            design = serde_json::json!({"nodes": nodes, "edges": edges});
        }
        let view = crate::analysis::testing::view(&design);
        let model = model(&view);
        println!("== {file} coverage {}", coverage(&model));
        for node in &model.nodes {
            let flags: Vec<String> =
                statements(node.element).iter().map(|s| format!("{:?}={}", s.flag, s.says)).collect();
            println!(
                "{} {:?}{} {:?}{} in {:?} | {} | {} | {}",
                node.id(),
                node.kind,
                if node.is_kind_guessed { "?" } else { "" },
                node.zone,
                if node.is_zone_odd { "!" } else { "" },
                node.container.map(|c| model.nodes[c].id()),
                node.element.body["data"]["label"],
                zone_words(node),
                flags.join(" ")
            );
        }
        for e in &model.edges {
            println!(
                "{} {}->{} {:?} any={} {:?} {:?}{} {:?} authz={:?} rl={:?} both={} | {} {:?}",
                e.id(),
                model.nodes[e.source].id(),
                model.nodes[e.target].id(),
                e.protocol.map(|p| p.name),
                e.is_any,
                e.port,
                e.encryption,
                if e.is_contradicted { "!!" } else { "" },
                e.authentication,
                e.authorization,
                e.rate_limited,
                e.is_both_ways,
                e.element.body["data"]["authentication"],
                encryption_evidence(e)
            );
        }
        println!("dangling {:?}", model.dangling.iter().map(|d| &d.element.id).collect::<Vec<_>>());
        let report = crate::analysis::analyse(&view);
        for i in &report.issues {
            println!("{} {:?} {} {:?}", i.rule_id, i.severity, i.confidence, i.elements);
        }
        println!("score {} coverage {}", report.score.security_score, report.coverage);
    }
}
