//! Files full of anything: each is refused or becomes a design that comes back as it was.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{assert_comes_back, assert_creates, import};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["", " ", "a", "b", "a-2", "n1", "c1", "NaN", "1e999", "12"])
            .prop_map(Value::from),
        "\\PC{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Mostly keys that mean something.
fn any_key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 36] = [
        "id",
        "type",
        "position",
        "x",
        "y",
        "data",
        "label",
        "zone",
        "securityFlags",
        "source",
        "target",
        "from",
        "to",
        "description",
        "name",
        "parentId",
        "parentNode",
        "measured",
        "width",
        "height",
        "selected",
        "meta",
        "metadata",
        "projectName",
        "schema_version",
        "schema_version-2",
        "integrity",
        "hidden_edges",
        "repaired",
        "edge",
        "element",
        "field",
        "was",
        "nodes",
        "edges",
        "content_hash",
    ];
    prop_oneof![8 => prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,20}"]
}

fn any_element() -> impl Strategy<Value = Value> {
    prop_oneof![
        9 => prop::collection::vec((any_key(), any_json()), 0..8)
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        1 => any_json(),
    ]
}

/// A file that is recognised, full of anything.
fn any_file() -> impl Strategy<Value = Value> {
    let lists = (prop::collection::vec(any_element(), 0..6), prop::collection::vec(any_element(), 0..6));
    let rest = prop::collection::vec((any_key(), any_json()), 0..6);
    (0..3_usize, lists, rest, any_json(), any_json()).prop_map(
        |(form, (nodes, edges), rest, meta, integrity)| {
            let mut file: Map<String, Value> = rest.into_iter().collect();
            let (first, second) = if form == 1 { ("components", "connections") } else { ("nodes", "edges") };
            if form == 1 {
                file.remove("nodes");
            }
            file.insert(first.to_owned(), nodes.into());
            file.insert(second.to_owned(), edges.into());
            if form == 2 {
                file.insert("meta".to_owned(), if meta.is_object() { meta } else { json!({}) });
                file.insert("integrity".to_owned(), integrity);
                file.insert("schema_version".to_owned(), 1.into());
                file.insert("content_hash".to_owned(), "".into());
            }
            Value::Object(file)
        },
    )
}

proptest! {
    #[test]
    fn anything_is_refused_or_becomes_a_design(file in prop_oneof![4 => any_file(), 1 => any_json()]) {
        for format in ["auto", "kohatlas", "snapshot"] {
            if let Ok(imported) = import(file.to_string().as_bytes(), format) {
                assert_creates(&imported.design);
                if format == "auto" {
                    assert_comes_back(format, &imported.design);
                }
                let report = &imported.report;
                prop_assert_eq!(report.kept.nodes, imported.design.nodes.len());
                prop_assert_eq!(report.kept.edges, imported.design.edges.len());
                serde_json::to_string(report).unwrap();
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(import(&bytes, "auto").is_err());
    }
}
