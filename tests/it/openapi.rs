//! The OpenAPI document: served, printed and committed are one and the same, and it holds together.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::support::Server;

/// What `atlas-collab openapi` prints. No setting has a say in it: not even a bad one keeps it from answering.
fn printed() -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-collab"));
    let output = command.arg("openapi").env_clear().env("ATLAS_LISTEN", "nowhere").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn document() -> Value {
    serde_json::from_str(&printed()).unwrap()
}

/// Each operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

#[test]
fn the_committed_document_is_the_current_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web-client/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == printed(),
        "web-client/openapi.json is not what this server offers: `make openapi` writes it anew, and `npm run api` in \
         web-client/ the types that follow from it"
    );
}

#[tokio::test]
async fn the_served_document_is_the_printed_one() {
    let server = Server::start();
    let answer = server.nobody().get("/openapi.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text(), printed());
}

/// The page shows the document without a script, a style or a picture from elsewhere, and under the policy of all pages.
#[tokio::test]
async fn a_page_shows_the_document() {
    let server = Server::start();
    let nobody = server.nobody();
    let page = nobody.get("/docs").await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self'; script-src 'self';"), "{policy}");
    let text = page.text();
    assert!(!text.contains("http") && !text.contains("<script>") && !text.contains("<style"), "{text}");
    for script in text.split("src=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let script = nobody.get(&format!("/docs/{script}")).await.expect(200);
        assert!(script.header("content-type").starts_with("text/javascript"));
    }
    let start = nobody.get("/docs/swagger-initializer.js").await.expect(200).text();
    assert!(start.contains("/openapi.json"), "{start}");
    assert!(
        start.contains(r#""validatorUrl": "none""#),
        "or it would ask a service on the internet: {start}"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("only references within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                    seen += 1;
                }
                open.extend(object.values());
            }
            Value::Array(array) => open.extend(array),
            _ => {}
        }
    }
    assert!(50 < seen, "references were looked for in the wrong place");
}

/// The client's generated types are as good as this: one name for each operation, errors that say what they are.
#[test]
fn every_operation_has_a_name_of_its_own_and_describes_its_errors() {
    let document = document();
    let operations = operations(&document);
    let names: BTreeSet<_> =
        operations.iter().map(|(_, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(names.len(), operations.len(), "{names:?}");
    for (which, operation) in operations {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{which}");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{which}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{which}: no success");
        for (status, answer) in answers.iter().filter(|(status, _)| "400" <= status.as_str()) {
            // The details of a server that is unwell have the shape of one that is well.
            if which != "get /api/ops/health" {
                let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{which}: {status}");
            }
        }
        let is_signed = operation["security"].to_string().contains("bearer");
        assert!(!is_signed || answers.contains_key("401"), "{which}: who is not signed in?");
    }
}

#[test]
fn roles_and_codes_are_enumerations() {
    let document = document();
    let words = |name: &str| document["components"]["schemas"][name]["enum"].clone();
    assert_eq!(words("DesignRole"), serde_json::json!(["owner", "editor", "commenter", "viewer"]));
    assert_eq!(words("PlatformRole"), serde_json::json!(["admin", "architect", "viewer", "auditor"]));
    assert!(words("ErrorCode").as_array().unwrap().contains(&"token_expired".into()));
}

/// What is described is there: none of these paths is unknown to the server that describes it.
#[tokio::test]
async fn every_path_is_served() {
    let server = Server::start();
    let nobody = server.nobody();
    for (which, _) in operations(&document()) {
        let (method, path) = which.split_once(' ').unwrap();
        let path = path.replace("{design}", "00000000-0000-0000-0000-000000000000").replace("{user}", "ada");
        let method = method.to_uppercase().parse().unwrap();
        let answer = crate::support::Answer::of(nobody.request(method, &path)).await;
        assert!(!answer.text().contains("no_such_route"), "{which}: {}", answer.text());
        assert_ne!(answer.status.as_u16(), 405, "{which}");
    }
}
