use std::path::Path;

use atlas_crdt::design::{DesignDoc, create};
use atlas_crdt::gate;
use atlas_crdt::ids::{ClientId, DesignId, Epoch, Seq};
use atlas_crdt::invariants::check_view;
use atlas_crdt::limits;
use atlas_crdt::view::{DesignView, SnapshotHead};
use serde_json::json;

use super::*;

mod anything;

const DANGLING: &[u8] = include_bytes!("../../tests/fixtures/designs/dangling.json");
const LEGACY: &[u8] = include_bytes!("../../tests/fixtures/designs/legacy.json");
const AWKWARD: &[u8] = include_bytes!("../../tests/fixtures/designs/awkward.json");

fn imported(bytes: &[u8]) -> Imported {
    let imported = import(bytes, "auto").unwrap();
    assert_creates(&imported.design);
    imported
}

fn imported_json(file: &Value) -> Imported {
    imported(file.to_string().as_bytes())
}

fn refused(file: &Value) -> ImportError {
    import(file.to_string().as_bytes(), "auto").unwrap_err()
}

/// The core takes the design, and what it makes of it passes the gate like any client's update.
fn assert_creates(design: &NewDesign) {
    let update = create(ClientId::new(7), design).unwrap();
    gate::scan_update(&update, limits::DOCUMENT_BYTES_MAX).unwrap();
}

/// What a reader sees of the design once it is a document.
fn view(design: &NewDesign) -> DesignView {
    let update = create(ClientId::new(7), design).unwrap();
    let view = DesignDoc::load(ClientId::new(8), [&update[..]]).unwrap().view();
    check_view(&view).unwrap();
    view
}

/// The snapshot as a file.
fn exported(design: &NewDesign) -> Vec<u8> {
    let head = SnapshotHead { id: DesignId::from_u128(1), epoch: Epoch::new(3), seq: Seq::new(90) };
    view(design).to_snapshot_json(&head).to_string().into_bytes()
}

/// Exported, imported and exported again, a design is what it was.
fn assert_comes_back(name: &str, design: &NewDesign) {
    let again = imported(&exported(design));
    assert_eq!(again.report.format, "snapshot", "{name}");
    assert_eq!(view(&again.design), view(design), "{name}");
    assert_eq!(view(&again.design).content_hash(), view(design).content_hash(), "{name}");
    assert_eq!(exported(&again.design), exported(design), "{name}");
}

fn body<'a>(elements: &'a [(String, Map<String, Value>)], id: &str) -> &'a Map<String, Value> {
    &elements.iter().find(|(other, _)| other == id).unwrap_or_else(|| panic!("no element {id}")).1
}

fn ids(elements: &[(String, Map<String, Value>)]) -> Vec<&str> {
    elements.iter().map(|(id, _)| id.as_str()).collect()
}

fn change<'a>(report: &'a ImportReport, path: &str) -> &'a Change {
    report
        .changed
        .iter()
        .find(|change| change.path == path)
        .unwrap_or_else(|| panic!("no change of {path}: {report:?}"))
}

fn is_dropped(report: &ImportReport, path: &str) -> bool {
    report.dropped.iter().any(|dropped| dropped.path == path)
}

/// Every key of every element and every top-level key of the file is in the design, with the value that it had there.
fn assert_nothing_is_lost(name: &str, file: &Value, imported: &Imported) {
    let design = &imported.design;
    let mut kept = 0;
    for (list, elements) in [("nodes", &design.nodes), ("edges", &design.edges)] {
        let found = file[list].as_array().unwrap();
        assert_eq!(found.len(), elements.len(), "{name}: {list}");
        for element in found {
            let body = body(elements, element["id"].as_str().unwrap());
            for (key, value) in element.as_object().unwrap() {
                match key.as_str() {
                    "id" => {}
                    "measured" => {
                        assert_eq!(body["width"], value["width"]);
                        assert_eq!(body["height"], value["height"]);
                        assert!(!body.contains_key(key));
                    }
                    _ => assert_eq!(body.get(key), Some(value), "{name}: {list} {} {key}", element["id"]),
                }
                kept += 1;
            }
        }
    }
    assert_top_level_is_kept(name, file, design, &["nodes", "edges"]);
    println!("{name}: {kept} keys of {} nodes and {} edges", design.nodes.len(), design.edges.len());
}

fn assert_top_level_is_kept(name: &str, file: &Value, design: &NewDesign, except: &[&str]) {
    for (key, value) in file.as_object().unwrap() {
        match key.as_str() {
            key if except.contains(&key) => {}
            "name" => assert_eq!(value, &json!(design.name), "{name}"),
            "description" => assert_eq!(value, &json!(design.description), "{name}"),
            _ => assert_eq!(design.meta.get(key), Some(value), "{name}: {key}"),
        }
    }
}

/// The same for the older form, where the keys move into `data`.
fn assert_nothing_of_the_older_form_is_lost(name: &str, file: &Value, design: &NewDesign) {
    let components = file["components"].as_array().unwrap();
    assert_eq!(components.len(), design.nodes.len(), "{name}");
    for (component, (id, node)) in components.iter().zip(&design.nodes) {
        assert_eq!(
            component["id"].as_str().map_or(component["id"].to_string(), str::to_owned),
            *id,
            "{name}"
        );
        assert_eq!(node["type"], "custom");
        assert!(node["position"]["x"].is_number() && node["position"]["y"].is_number());
        for (key, value) in component.as_object().unwrap() {
            assert!(key == "id" || node["data"].get(key) == Some(value), "{name}: {id} {key}");
        }
    }
    let connections = file["connections"].as_array().unwrap();
    assert_eq!(connections.len(), design.edges.len(), "{name}");
    for (connection, (id, edge)) in connections.iter().zip(&design.edges) {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        assert_eq!(text(&connection["from"]), edge["source"], "{name}: {id}");
        assert_eq!(text(&connection["to"]), edge["target"], "{name}: {id}");
        if let Some(description) = connection.get("description") {
            assert_eq!(&edge["label"], description);
        }
        for (key, value) in connection.as_object().unwrap() {
            let moved = ["id", "from", "to"].contains(&key.as_str());
            assert!(moved || edge["data"].get(key) == Some(value), "{name}: {id} {key}");
        }
    }
    assert_top_level_is_kept(name, file, design, &["components", "connections"]);
}

#[test]
fn every_koh_atlas_file_survives_element_by_element() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/kohatlas");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped the files of ../shared/data/kohatlas: the folder is not there");
        return;
    };
    for path in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file: Value = serde_json::from_slice(&bytes).unwrap();
        let imported = imported(&bytes);
        assert_comes_back(&name, &imported.design);
        if file.get("components").is_some() {
            assert_eq!(imported.report.format, "kohatlas-legacy");
            assert_nothing_of_the_older_form_is_lost(&name, &file, &imported.design);
        } else {
            assert_eq!(imported.report.format, "kohatlas");
            assert_nothing_is_lost(&name, &file, &imported);
        }
        match name.as_str() {
            "kohGrid.json" => {
                assert_eq!((imported.report.kept.nodes, imported.report.kept.edges), (11, 16));
                assert_eq!(imported.report.warnings.len(), 1, "{:?}", imported.report.warnings);
                assert_eq!(imported.report.warnings[0].code, "dangling_edge");
                assert_eq!(imported.report.guessed[0].path, "name");
                assert_eq!(json!(imported.design.name), file["projectName"]);
            }
            "tier1-gcp-architecture-secure.json" => {
                assert_eq!(imported.design.name, "Tier 1 - Secure GCP-Native Architecture");
            }
            _ => {}
        }
    }
}

#[test]
fn other_react_flow_files_are_read_as_well() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/react-flow/sql-agent.json");
    let Ok(bytes) = std::fs::read(path) else {
        println!("skipped ../shared/data/react-flow/sql-agent.json: it is not there");
        return;
    };
    let imported = imported(&bytes);
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    for node in file["nodes"].as_array().unwrap() {
        let body = body(&imported.design.nodes, node["id"].as_str().unwrap());
        for (key, value) in node.as_object().unwrap() {
            let transient = ["id", "selected", "dragging", "positionAbsolute"].contains(&key.as_str());
            assert!(transient || body.get(key) == Some(value), "{key}");
        }
    }
    assert!(is_dropped(&imported.report, "nodes[0].positionAbsolute"));
    assert_eq!(file["edges"].as_array().unwrap().len(), imported.design.edges.len());
}

#[test]
fn an_edge_that_leads_nowhere_is_kept_and_reported() {
    let imported = imported(DANGLING);
    let file: Value = serde_json::from_slice(DANGLING).unwrap();
    assert_nothing_is_lost("dangling.json", &file, &imported);
    let report = serde_json::to_value(&imported.report).unwrap();
    assert_eq!(report["kept"], json!({ "nodes": 5, "edges": 5 }));
    assert_eq!(report["changed"], json!([]));
    assert_eq!(report["guessed"], json!([]));
    assert_eq!(report["dropped"], json!([]));
    assert_eq!(report["warnings"][0]["code"], "dangling_edge");
    assert_eq!(report["warnings"][0]["element"], "mail-printer");
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn the_older_form_is_laid_out_by_zone_and_keeps_its_keys_in_data() {
    let imported = imported(LEGACY);
    let file: Value = serde_json::from_slice(LEGACY).unwrap();
    let mut expected = file.clone();
    // What is reported is not lost: an id that was a number, a label that was missing.
    expected["components"][3]["label"] = json!("Reminders");
    assert_nothing_of_the_older_form_is_lost("legacy.json", &expected, &imported.design);
    let x = |id: &str| body(&imported.design.nodes, id)["position"]["x"].as_i64().unwrap();
    assert!(x("readers") < x("desk") && x("desk") < x("catalogue") && x("catalogue") < x("loans"));
    assert_eq!(x("catalogue"), x("4"), "one zone, one column");
    assert_eq!(ids(&imported.design.edges), ["c1", "c2", "reminders", "c4", "c5"]);
    assert_eq!(imported.design.name, "Library loans");
    assert_eq!(change(&imported.report, "components[3].id").rule, "id_to_string");
    assert_eq!(change(&imported.report, "connections[*].from").to, "source");
    assert_eq!(change(&imported.report, "components[0].position").rule, "placed");
    assert_eq!(imported.report.warnings.iter().map(|w| w.element.as_str()).collect::<Vec<_>>(), ["c5"]);
    assert_eq!(imported, import(LEGACY, "kohatlas").unwrap(), "always the same");
}

#[test]
fn ids_become_strings_of_their_own() {
    let Imported { design, report } = imported(AWKWARD);
    assert_eq!(
        ids(&design.nodes),
        ["vpc", "web", "web-3", "web-2", "7", "7-2", "n7", "n8", "lost", "orphan", "ключ 🔑 \"quoted\""]
    );
    assert_eq!(ids(&design.edges), ["e", "e-2", "c3", "c4", "nowhere", "half", "loose"]);
    assert_eq!(body(&design.edges, "e-2")["target"], "7");
    assert_eq!(change(&report, "nodes[2].id").rule, "duplicate_id");
    assert_eq!(change(&report, "nodes[2].id").to, "web-3", "web-2 is somebody else's");
    assert_eq!(
        change(&report, "nodes[6].id"),
        &Change { path: "nodes[6].id".to_owned(), rule: "missing_id", from: Value::Null, to: "n7".into() }
    );
    assert_eq!(change(&report, "edges[2].source").rule, "id_to_string");
    assert!(
        is_dropped(&report, "nodes[11]")
            && is_dropped(&report, "nodes[12]")
            && is_dropped(&report, "edges[7]")
    );
}

#[test]
fn what_react_flow_writes_for_the_screen_is_left_out() {
    let Imported { design, report } = imported(AWKWARD);
    let web = body(&design.nodes, "web");
    assert_eq!(web["parentId"], "vpc");
    assert_eq!((&web["width"], &web["height"]), (&json!(200), &json!(150)));
    for key in ["parentNode", "measured", "selected", "dragging", "positionAbsolute"] {
        assert!(!web.contains_key(key), "{key}");
    }
    for key in ["measured", "selected", "dragging", "positionAbsolute"] {
        assert!(is_dropped(&report, &format!("nodes[1].{key}")), "{key}");
    }
    assert_eq!(change(&report, "nodes[1].parentNode").rule, "parent_node");
    assert_eq!(web["data"]["selected"], "kept inside of data");
    let again = body(&design.nodes, "web-3");
    assert_eq!((&again["width"], &again["height"]), (&json!(90), &json!(150)), "a chosen width wins");
    let edge = body(&design.edges, "c3");
    assert!(!edge.contains_key("selected"));
    assert_eq!(edge["data"], json!({ "port": null }));
    assert_eq!(body(&design.edges, "e")["data"]["port"], 443);
    assert_eq!(body(&design.edges, "e-2")["data"]["port"], "3306");
}

#[test]
fn nodes_without_a_place_get_one_below_the_others() {
    let Imported { design, report } = imported(AWKWARD);
    assert_eq!(body(&design.nodes, "7")["position"], json!({ "x": 12.5, "y": 40.0 }));
    assert_eq!(change(&report, "nodes[4].position.x").rule, "number_from_text");
    assert_eq!(body(&design.nodes, "n8")["position"], json!({ "x": 100, "y": 780 }));
    assert_eq!(body(&design.nodes, "lost")["position"], json!({ "x": 400, "y": 780 }));
    assert_eq!(change(&report, "nodes[7].position").from, json!({ "x": null, "y": 5 }));
    assert_eq!(body(&design.nodes, "orphan")["position"], json!({ "x": 1, "y": 2, "z": 3 }));
    assert!(report.warnings.iter().any(|w| w.code == "unknown_parent" && w.element == "orphan"));
    assert!(report.warnings.iter().any(|w| w.code == "odd_data" && w.element == "orphan"));
}

#[test]
fn top_level_keys_are_kept_beside_our_own() {
    let Imported { design, report } = imported(AWKWARD);
    assert_eq!(design.name, "Everything at once");
    assert_eq!(report.guessed[0].path, "name");
    assert_eq!(change(&report, "name").rule, "blank_name");
    assert_eq!(design.description, None);
    assert_eq!(design.meta["description-2"], json!({ "text": "not a text" }));
    assert_eq!(design.meta["schema_version-2"], "9.9");
    assert_eq!(change(&report, "description").to, "description-2");
    assert_eq!(design.meta["meta"], json!({ "owner": "a key called meta" }));
    assert_eq!(design.meta["version"], 2);
    assert_eq!(design.meta["findings"][0]["id"], "f-1");
    assert!(design.meta.contains_key("weird key \"with quotes\""));
    assert_eq!(change(&report, "edges[4].data.big").rule, "number_precision");
}

#[test]
fn a_file_without_any_name_gets_one_and_says_so() {
    let Imported { design, report } = imported_json(&json!({ "nodes": [], "edges": [], "name": null }));
    assert_eq!(design.name, "Imported design");
    let report = serde_json::to_value(&report).unwrap();
    assert_eq!(report["guessed"], json!([{ "path": "name", "as": "Imported design", "confidence": 0.1 }]));
    assert_eq!(report["format"], "kohatlas");
}

#[test]
fn files_are_recognised_by_their_keys_alone() {
    let both = json!({ "version": "legacy", "nodes": [], "edges": [], "components": [1], "connections": [] });
    let Imported { design, report } = imported_json(&both);
    assert_eq!(report.format, "kohatlas");
    assert_eq!(design.meta["components"], json!([1]));
    assert_eq!(refused(&json!({ "nodes": [] })), ImportError::Unrecognised);
    assert_eq!(refused(&json!({ "version": "0.2.0" })), ImportError::Unrecognised);
    assert!(matches!(refused(&json!([])), ImportError::Unexpected { .. }));
    assert!(
        matches!(refused(&json!({ "nodes": {}, "edges": [] })), ImportError::Unexpected { path, .. } if path == "nodes")
    );
    assert!(matches!(import(b"{}", "visio"), Err(ImportError::UnknownFormat(format)) if format == "visio"));
    assert_eq!(import(DANGLING, "snapshot"), Err(ImportError::Unrecognised));
    assert!(matches!(import(b"{\"nodes\": [", "auto"), Err(ImportError::NotJson(_))));
    assert!(matches!(import(b"{\"nodes\": [NaN], \"edges\": []}", "auto"), Err(ImportError::NotJson(_))));
    let with_mark = [b"\xef\xbb\xbf", DANGLING].concat();
    assert_eq!(import(&with_mark, "auto"), import(DANGLING, "auto"));
}

#[test]
fn of_a_key_that_stands_twice_the_last_value_counts() {
    let file = br#"{"nodes": 1, "nodes": [{"id": "a", "id": "b", "position": {"x": 1, "x": 2, "y": 3}}], "edges": []}"#;
    let Imported { design, .. } = imported(file);
    assert_eq!(ids(&design.nodes), ["b"]);
    assert_eq!(design.nodes[0].1["position"], json!({ "x": 2, "y": 3 }));
}

#[test]
fn broken_limits_are_named_with_their_place() {
    let file = |node: Value| json!({ "name": "x", "nodes": [{ "id": "ok" }, node], "edges": [] });
    let limit = |file: &Value| match refused(file) {
        ImportError::Limit { path, rule, .. } => (path, rule),
        other => panic!("{other}"),
    };
    let long = |chars: usize| "é".repeat(chars);
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let cases = [
        (file(json!({ "id": long(129) })), "nodes[1].id", "element_id_chars_max"),
        (file(json!({ "id": "a", "label": long(201) })), "nodes[1].label", "label_chars_max"),
        (
            file(json!({ "id": "a", "data": { "label": long(201) } })),
            "nodes[1].data.label",
            "label_chars_max",
        ),
        (file(json!({ "id": "a", "deep": nested(33) })), "nodes[1].deep", "any_depth_max"),
        (file(json!({ "id": "a", "data": { "deep": nested(32) } })), "nodes[1].data.deep", "any_depth_max"),
        (json!({ "name": long(256), "nodes": [], "edges": [] }), "name", "name_chars_max"),
        (
            json!({ "description": long(5_001), "nodes": [], "edges": [] }),
            "description",
            "description_chars_max",
        ),
        (json!({ "wide": vec![0; 200_000], "nodes": [], "edges": [] }), "wide", "any_values_max"),
        (json!({ "nodes": vec![json!({}); 10_001], "edges": [] }), "nodes", "nodes_max"),
        (json!({ "nodes": [], "edges": vec![json!({}); 20_001] }), "edges", "edges_max"),
    ];
    for (file, path, rule) in cases {
        assert_eq!(limit(&file), (path.to_owned(), rule));
    }
    let long_key = "k".repeat(1_025);
    let (path, rule) = limit(&json!({ "nodes": [], "edges": [], long_key: 1 }));
    assert_eq!((path.len() < 100, rule), (true, "key_bytes_max"));
    // One less is fine everywhere.
    imported_json(&file(
        json!({ "id": long(128), "label": long(200), "deep": nested(32), "data": { "deep": nested(31) } }),
    ));
    imported_json(
        &json!({ "name": long(255), "description": long(5_000), "wide": vec![0; 199_999], "nodes": [], "edges": [] }),
    );
    let deep = "[".repeat(100_000);
    assert!(matches!(import(deep.as_bytes(), "auto"), Err(ImportError::NotJson(_))));
    assert!(matches!(import(&vec![b' '; FILE_BYTES_MAX + 1], "auto"), Err(ImportError::TooLarge { .. })));
}

#[test]
fn long_ids_of_edges_are_cut_and_stay_apart() {
    let id = |last: &str| format!("reactflow__edge-{}{last}", "handle-".repeat(20));
    let file = json!({ "nodes": [], "edges": [{ "id": id("a") }, { "id": id("b") }, { "id": "c" }] });
    let Imported { design, report } = imported_json(&file);
    assert_eq!(design.edges[0].0, id("")[..128]);
    assert_eq!(design.edges[1].0, format!("{}-2", &id("")[..126]));
    assert_eq!(change(&report, "edges[0].id").rule, "element_id_chars_max");
    assert_eq!(change(&report, "edges[0].id").from, id("a"));
}

#[test]
fn ids_that_all_clash_are_settled_quickly_and_within_their_limit() {
    let id = "w".repeat(limits::ELEMENT_ID_CHARS_MAX);
    let file = json!({ "nodes": vec![json!({ "id": id }); 10_000], "edges": [] });
    let Imported { design, report } = imported_json(&file);
    assert_eq!(design.nodes.len(), 10_000);
    assert_eq!(report.changed.len(), 1_000);
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].message.contains("18999"), "{:?}", report.warnings);
}

#[test]
fn a_snapshot_is_taken_back_as_it_stands() {
    let snapshot = json!({
        "schema_version": 1, "id": "0190c0de-0000-7000-8000-000000000000", "name": "Shop", "epoch": 3, "seq": 90,
        "content_hash": "00ff",
        "nodes": [
            { "id": "a", "position": { "x": 0, "y": 0 }, "data": { "securityFlags": {} }, "selected": true },
            { "id": "b", "position": { "x": 0, "y": 0 }, "data": null },
        ],
        "edges": [],
        "meta": { "schema_version": 1, "name": "Shop", "description": "sells", "owner": { "team": "till" } },
        "integrity": {
            "hidden_edges": [{ "edge": { "id": "e", "source": "a", "target": "gone" }, "missing": ["gone"] }],
            "repaired": [
                { "element": "a", "field": "parentId", "was": "gone" },
                { "element": "a", "field": "position", "was": { "x": "NaN", "y": 0 } },
                { "element": "b", "field": "position", "was": null },
                { "element": "c", "field": "", "was": 5 },
            ],
        },
    });
    let Imported { design, report } = imported_json(&snapshot);
    assert_eq!((design.name.as_str(), design.description.as_deref()), ("Shop", Some("sells")));
    assert_eq!(Value::Object(design.meta.clone()), json!({ "owner": { "team": "till" } }));
    assert_eq!(ids(&design.edges), ["e"]);
    let a = body(&design.nodes, "a");
    assert_eq!(a["parentId"], "gone");
    assert_eq!(a["position"], json!({ "x": "NaN", "y": 0 }));
    assert_eq!(a["selected"], true, "nothing is tidied");
    assert_eq!(Value::Object(body(&design.nodes, "b").clone()), json!({ "data": null }));
    assert_eq!(report.format, "snapshot");
    assert!(report.changed.is_empty(), "{:?}", report.changed);
    let dropped: Vec<_> = report.dropped.iter().map(|dropped| dropped.path.as_str()).collect();
    assert_eq!(dropped, ["id", "epoch", "seq", "content_hash", "schema_version", "integrity.repaired[3]"]);
}

#[test]
fn an_export_comes_back_as_it_was_hidden_and_repaired_things_too() {
    for (name, file) in [("dangling", DANGLING), ("legacy", LEGACY), ("awkward", AWKWARD)] {
        assert_comes_back(name, &imported(file).design);
    }
    let hidden = view(&imported(DANGLING).design).integrity.hidden_edges;
    assert_eq!(hidden.iter().map(|hidden| hidden.edge.id.as_str()).collect::<Vec<_>>(), ["mail-printer"]);
    let element = |body: Value| body.as_object().unwrap().clone();
    let odd = NewDesign {
        name: "Odd".to_owned(),
        nodes: vec![
            ("a".to_owned(), element(json!({ "parentId": "b", "position": { "x": "far", "y": 1 } }))),
            ("b".to_owned(), element(json!({ "parentId": "a" }))),
            ("c".to_owned(), element(json!({ "parentId": 7, "position": null, "data": [1] }))),
            (
                "d".to_owned(),
                element(json!({ "position": { "x": 1, "y": 2 }, "data": { "securityFlags": "none" } })),
            ),
        ],
        edges: vec![("e".to_owned(), element(json!({ "source": "a", "data": null })))],
        ..NewDesign::default()
    };
    assert_eq!(view(&odd).integrity.repaired.len(), 6);
    assert_comes_back("odd", &odd);
}
