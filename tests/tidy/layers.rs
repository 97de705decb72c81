//! Who may import whom, and which names have one home only.

use crate::Violation;
use crate::source::{File, Path};

/// The modules of `src/` and what else of `src/` each may name. `lifecycle` and `clock` are open to all.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["app", "config", "telemetry"]),
    ("lib", &[]),
    (
        "app",
        &[
            "http",
            "jobs",
            "hub",
            "store",
            "bus",
            "blob",
            "analysis",
            "formats",
            "auth",
            "config",
            "telemetry",
        ],
    ),
    ("http", &["hub", "store", "blob", "auth", "formats"]),
    ("jobs", &["store", "blob", "bus", "analysis", "formats"]),
    ("hub", &["store", "bus"]),
    ("store", &[]),
    ("bus", &[]),
    ("blob", &[]),
    ("analysis", &[]),
    ("formats", &[]),
    ("auth", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("clock", &[]),
    ("lifecycle", &[]),
];

/// Open to every module of `src/`.
const FOR_ALL: &[&str] = &["clock", "lifecycle"];

/// Modules of `src/` that may name these modules of the core only. Limits are plain numbers.
const CORE_OF: &[(&str, &[&str])] = &[
    ("auth", &["ids", "roles", "limits"]),
    ("config", &["ids", "roles"]),
    ("clock", &["ids", "roles", "limits"]),
    ("telemetry", &["ids", "roles"]),
    ("lifecycle", &["ids", "roles"]),
];

/// Crates, and the module of `src/` that alone may name them beside `app`, which wires them.
const HOMES: &[(&str, &str)] = &[
    ("axum", "http"),
    ("hyper", "http"),
    ("hyper_util", "http"),
    ("tower", "http"),
    ("tower_http", "http"),
    ("tokio_tungstenite", "http"),
    ("sqlx", "store"),
    ("fred", "bus"),
];

/// What the core may stand on, beside the standard library.
pub(crate) const CORE_CRATES: &[&str] = &["yrs", "serde", "serde_json", "bytes", "sha2", "thiserror"];

/// Parts of the standard library that reach outside.
const OUTSIDE: &[&str] = &["time", "env", "fs", "net", "process", "thread", "os"];

/// What of yrs the gate and the room may name: words about clocks, nothing that holds a document.
const YRS_WORDS: &[&str] = &["StateVector", "ClientID", "block::ClientID", "updates::encoder::Encode"];

/// The first module below `src/`.
fn top(file: &File) -> Option<&str> {
    let rest = file.path.strip_prefix("src/")?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// `a`, or below `a/`, of the core.
fn is_core(file: &File, modules: &[&str]) -> bool {
    let Some(rest) = file.path.strip_prefix("crdt/src/") else { return false };
    let first = rest.split('/').next().unwrap_or(rest);
    modules.contains(&first.strip_suffix(".rs").unwrap_or(first))
}

/// A path of `src/` without `crate`, `self` and `super`: the modules from the root on. `None`: not of this crate.
fn resolved(file: &File, path: &Path) -> Option<Vec<String>> {
    let own = file.path.strip_prefix("src/")?.trim_end_matches(".rs");
    let mut from: Vec<&str> =
        if matches!(own, "lib" | "main") { Vec::new() } else { own.split('/').collect() };
    let mut rest = &path.parts[..];
    match rest.first().map(String::as_str) {
        Some("crate" | "atlas_collab") => from.clear(),
        Some("self" | "super") => {}
        _ => return None,
    }
    while let Some(first) = rest.first() {
        match &first[..] {
            "super" => drop(from.pop()),
            "crate" | "atlas_collab" | "self" => {}
            _ => break,
        }
        rest = &rest[1..];
    }
    Some(from.into_iter().map(str::to_owned).chain(rest.iter().cloned()).collect())
}

/// Design rule: imports run downwards only.
pub(crate) fn imports(file: &File) -> Vec<Violation> {
    let Some(top) = top(file) else { return Vec::new() };
    let mut found = Vec::new();
    let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == top) else {
        return vec![file.at(
            1,
            format!("the module {top} has no place in the plan"),
            "layers: tests/tidy/layers.rs lists all",
        )];
    };
    let core = CORE_OF.iter().find(|(module, _)| *module == top);
    for path in file.paths() {
        let line = path.line;
        if let Some(target) = resolved(file, &path).and_then(|path| path.first().cloned())
            && LAYERS.iter().any(|(module, _)| *module == target)
            && target != top
            && !allowed.contains(&&target[..])
            && !FOR_ALL.contains(&&target[..])
        {
            found.push(file.at(line, format!("{top} names {target}"), "layers: imports run downwards only"));
        }
        if let (Some((_, allowed)), [first, target, ..]) = (core, &path.parts[..])
            && first == "atlas_crdt"
            && !allowed.contains(&&target[..])
        {
            let what = format!("{top} names atlas_crdt::{target}");
            found.push(file.at(line, what, "layers: of the core it knows ids, roles and limits at most"));
        }
        if let Some((name, home)) = HOMES.iter().find(|(name, _)| path.first() == *name)
            && top != *home
            && top != "app"
        {
            found.push(file.at(line, format!("{top} names {name}"), &format!("homes: only {home} knows it")));
        }
        if path.first() == "yrs" {
            found.push(file.at(line, format!("{top} names yrs"), "homes: the document belongs to the core"));
        }
    }
    // A group names one module several times.
    found.dedup();
    found
}

/// Design rule: the core is pure.
pub(crate) fn purity(file: &File) -> Vec<Violation> {
    if !file.path.starts_with("crdt/src/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let children = child_modules(file);
    let rule = "purity: the core has no IO, clock, randomness or async";
    for (line, code) in file.product() {
        if words(code).any(|word| word == "async" || word == "await") {
            found.push(file.at(line, "async code".to_owned(), rule));
        }
    }
    for path in file.paths() {
        let reaches_out =
            path.first() == "std" && path.parts.get(1).is_some_and(|part| OUTSIDE.contains(&&part[..]));
        if reaches_out {
            found.push(file.at(path.line, format!("names {}", path.text()), rule));
        }
        if is_foreign(&path, &children) {
            let what = format!("names {}", path.first());
            found.push(file.at(path.line, what, "purity: the core stands on six crates"));
        }
    }
    found
}

fn child_modules(file: &File) -> Vec<String> {
    let declared = file.code.iter().filter_map(|line| line.trim().strip_suffix(';'));
    let declared = declared.filter_map(|line| line.rsplit_once("mod "));
    declared
        .filter(|(before, _)| before.is_empty() || before.starts_with("pub"))
        .map(|(_, name)| name.trim().to_owned())
        .collect()
}

/// In a `use` whatever is neither ours nor allowed; elsewhere a lower-case word may be a local module or a variable's
/// type, so that only well-known names count.
fn is_foreign(path: &Path, children: &[String]) -> bool {
    let first = path.first();
    if !path.in_use {
        return matches!(
            first,
            "rand" | "getrandom" | "uuid" | "tokio" | "tracing" | "futures_util" | "anyhow"
        );
    }
    !matches!(first, "crate" | "self" | "super" | "std" | "core" | "alloc")
        && first.starts_with(|char: char| char.is_ascii_lowercase())
        && !CORE_CRATES.contains(&first)
        && !children.iter().any(|child| child == first)
}

/// Design rule: only `design` mutates a yrs document; the gate and the room know its clocks, nobody else knows it.
pub(crate) fn documents(file: &File) -> Vec<Violation> {
    let is_product = file.path.starts_with("crdt/src/") || file.path.starts_with("src/");
    if !is_product {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (line, code) in file.product() {
        if words(code).any(|word| word == "transact_mut") && !is_core(file, &["design"]) {
            found.push(file.at(line, "transact_mut".to_owned(), "homes: only design mutates a document"));
        }
    }
    if !file.path.starts_with("crdt/src/") || is_core(file, &["design", "view"]) {
        return found;
    }
    let may_name_clocks = is_core(file, &["gate", "room"]);
    for path in file.paths() {
        let line = path.line;
        let words = path.parts[1..].join("::");
        if path.first() == "yrs" && !(may_name_clocks && YRS_WORDS.iter().any(|word| words.starts_with(word)))
        {
            let rule =
                "homes: design and view read documents, gate and room know clocks, nobody else knows yrs";
            found.push(file.at(line, format!("names {}", path.text()), rule));
        }
    }
    found
}

/// Design rule: one home for time, one for the environment.
pub(crate) fn surroundings(file: &File) -> Vec<Violation> {
    let Some(top) = top(file) else { return Vec::new() };
    let mut found = Vec::new();
    for path in file.paths() {
        let line = path.line;
        let names: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        let reads_time = matches!(
            names[..],
            [.., "Instant" | "SystemTime" | "Utc" | "Local", "now"]
                | [.., "OffsetDateTime", "now_utc" | "now_local"]
        ) || names.contains(&"SystemTime");
        if reads_time && top != "clock" {
            found.push(file.at(line, format!("names {}", path.text()), "homes: only clock reads time"));
        }
        let reads_env = matches!(names[..], ["std", "env", ..] | ["env", ..]);
        if reads_env && top != "config" {
            found.push(file.at(
                line,
                format!("names {}", path.text()),
                "homes: only config reads the environment",
            ));
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|char: char| !char.is_alphanumeric() && char != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: fn(&File) -> Vec<Violation>, path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text))
            .iter()
            .map(|violation| format!("{} {}", violation.line, violation.what))
            .collect()
    }

    #[test]
    fn imports_upwards_and_sideways_are_found() {
        assert_eq!(told(imports, "src/store.rs", "\nuse crate::hub::Hub;"), ["2 store names hub"]);
        assert_eq!(
            told(imports, "src/hub/room_task.rs", "use crate::{clock::Clock, http};"),
            ["1 hub names http"]
        );
        assert_eq!(
            told(imports, "src/bus/local.rs", "use super::super::store::Store;"),
            ["1 bus names store"]
        );
        assert_eq!(
            told(imports, "src/formats.rs", "fn f() { crate::blob::get() }"),
            ["1 formats names blob"]
        );
        assert_eq!(told(imports, "src/http/a/b.rs", "use super::super::jobs;"), [""; 0], "a child of http");
        assert_eq!(told(imports, "src/http/a/b.rs", "use super::super::super::jobs;"), ["1 http names jobs"]);
        assert_eq!(told(imports, "src/main.rs", "use atlas_collab::hub::Hub;"), ["1 main names hub"]);
        assert_eq!(told(imports, "src/attic.rs", ""), ["1 the module attic has no place in the plan"]);
        assert_eq!(told(imports, "src/hub.rs", "use crate::store::Store; use crate::bus::Bus;"), [""; 0]);
        assert_eq!(
            told(imports, "src/store.rs", "#[cfg(test)]\nmod tests {\nuse crate::hub::Hub;\n}"),
            [""; 0]
        );
    }

    #[test]
    fn names_away_from_home_are_found() {
        assert_eq!(told(imports, "src/hub.rs", "use axum::Router;"), ["1 hub names axum"]);
        assert_eq!(told(imports, "src/auth.rs", "fn f() { sqlx::query!(x) }"), ["1 auth names sqlx"]);
        assert_eq!(told(imports, "src/hub.rs", "use yrs::Doc;"), ["1 hub names yrs"]);
        assert_eq!(
            told(imports, "src/auth.rs", "use atlas_crdt::room::Room;"),
            ["1 auth names atlas_crdt::room"]
        );
        assert_eq!(told(imports, "src/http.rs", "use axum::Router; use hyper::Request;"), [""; 0]);
        assert_eq!(
            told(surroundings, "src/hub.rs", "fn f() { tokio::time::Instant::now() }"),
            ["1 names tokio::time::Instant::now"]
        );
        assert_eq!(told(surroundings, "src/hub.rs", "use std::env;"), ["1 names std::env"]);
        assert_eq!(
            told(surroundings, "src/hub.rs", "use std::time::{Duration, SystemTime};"),
            ["1 names std::time::SystemTime"]
        );
        assert_eq!(told(surroundings, "src/clock.rs", "fn f() { Instant::now() }"), [""; 0]);
    }

    #[test]
    fn an_impure_core_is_found() {
        assert_eq!(told(purity, "crdt/src/a.rs", "use tokio::sync::mpsc;"), ["1 names tokio"]);
        assert_eq!(told(purity, "crdt/src/a.rs", "fn f() { rand::random() }"), ["1 names rand"]);
        assert_eq!(told(purity, "crdt/src/a.rs", "use anyhow::Result;"), ["1 names anyhow"]);
        assert_eq!(told(purity, "crdt/src/a.rs", "use std::{fs, sync::Arc};"), ["1 names std::fs"]);
        assert_eq!(told(purity, "crdt/src/a.rs", "fn f() { std::env::var(x) }"), ["1 names std::env::var"]);
        assert_eq!(told(purity, "crdt/src/a.rs", "async fn f() {}"), ["1 async code"]);
        assert_eq!(
            told(purity, "crdt/src/a.rs", "mod b;\npub use b::C;\nuse crate::ids::Seq; // use of std::fs"),
            [""; 0]
        );
    }

    #[test]
    fn documents_in_the_wrong_hands_are_found() {
        assert_eq!(
            told(documents, "crdt/src/room/a.rs", "fn f() { doc.transact_mut(); }"),
            ["1 transact_mut"]
        );
        assert_eq!(told(documents, "crdt/src/view.rs", "fn f() { doc.transact_mut(); }"), ["1 transact_mut"]);
        assert_eq!(told(documents, "crdt/src/room.rs", "use yrs::{Doc, StateVector};"), ["1 names yrs::Doc"]);
        assert_eq!(
            told(documents, "crdt/src/presence.rs", "use yrs::StateVector;"),
            ["1 names yrs::StateVector"]
        );
        assert_eq!(
            told(documents, "crdt/src/design/edit.rs", "use yrs::Doc; fn f() { doc.transact_mut(); }"),
            [""; 0]
        );
        assert_eq!(
            told(documents, "crdt/src/room.rs", "#[cfg(test)]\nmod tests {\n use yrs::Doc;\n}"),
            [""; 0]
        );
    }
}
