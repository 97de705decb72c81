//! The plan as a test: reads the repository's own files and tells everything that does not keep the rules of
//! docs/ARCHITECTURE.md and docs/PROTOCOL.md. Each rule is a small function over files, proven by small bad examples.
//!
//! - `source.rs` Rust files as far as needed: code without comments and literals, paths, what is test;
//! - `layers.rs` who may import whom, and which names have one home only;
//! - `text.rs` sizes, place-holders, phrases, the core's manifest;
//! - `documents.rs` rule ids, settings, links;
//! - `web.rs` the layers of the web client.

use std::fmt;
use std::fs;
use std::path::Path;

mod documents;
mod layers;
mod source;
mod text;
mod web;

use source::File;

/// Something that does not keep a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.what, self.rule)
    }
}

impl File {
    pub(crate) fn at(&self, line: usize, what: String, rule: &str) -> Violation {
        Violation { path: self.path.clone(), line, what, rule: rule.to_owned() }
    }
}

/// What is known and borne for a reason: beginning of the path, beginning of what is told, reason. One that is no
/// longer needed is a violation itself.
const KNOWN: &[(&str, &str, &str)] = &[];

/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &["target", "node_modules", ".git", "data", "dist"];
/// Endings of the files that are read.
const ENDINGS: &[&str] =
    &["rs", "md", "toml", "mjs", "ts", "tsx", "js", "html", "css", "sql", "yml", "yaml", "json", "sh"];
/// Files without an ending that are read.
const NAMES: &[&str] = &["Makefile", "Dockerfile"];
/// Not written by hand.
const GENERATED: &[&str] = &["package-lock.json", "Cargo.lock"];

#[test]
fn the_repository_keeps_the_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    read_folder(root, "", &mut files);
    source::mark_test_modules(&mut files);
    assert!(files.iter().any(|file| file.path == "crdt/src/room.rs"), "the repository was not found");

    let per_file: [fn(&File) -> Vec<Violation>; 9] = [
        layers::imports,
        layers::purity,
        layers::documents,
        layers::surroundings,
        text::sizes,
        text::unfinished,
        text::phrases,
        text::core_manifest,
        web::web,
    ];
    let mut found: Vec<Violation> = Vec::new();
    for file in &files {
        // The bad examples of these tests are no violations; sizes and layers hold for them, too.
        let own = file.path.starts_with("tests/tidy/");
        let checks = per_file
            .iter()
            .filter(|check| !own || !std::ptr::fn_addr_eq(**check, text::phrases as fn(&File) -> _));
        found.extend(checks.flat_map(|check| check(file)));
    }
    let others: Vec<File> =
        files.iter().filter(|file| !file.path.starts_with("tests/tidy/")).cloned().collect();
    found.extend(documents::rules(&others));
    found.extend(documents::settings(&others));
    found.extend(documents::references(&files));

    let found = without_known(found, KNOWN);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{} violations:\n{}", told.len(), told.join("\n"));
}

fn without_known(found: Vec<Violation>, known: &[(&str, &str, &str)]) -> Vec<Violation> {
    let is_known = |violation: &Violation, (path, what, _): &(&str, &str, &str)| {
        violation.path.starts_with(path) && violation.what.starts_with(what)
    };
    let unneeded = known.iter().filter(|known| !found.iter().any(|violation| is_known(violation, known)));
    let mut rest: Vec<Violation> = unneeded
        .map(|(path, what, _)| Violation {
            path: (*path).to_owned(),
            line: 1,
            what: format!("`{what}` is borne without need"),
            rule: "tests/tidy/main.rs: KNOWN lists only what is there".to_owned(),
        })
        .collect();
    rest.extend(found.into_iter().filter(|violation| !known.iter().any(|known| is_known(violation, known))));
    rest
}

fn read_folder(root: &Path, below: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else { return };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if root.join(&path).is_dir() {
            if !FOREIGN.contains(&&name[..])
                && (!name.starts_with('.') || matches!(&name[..], ".ci" | ".github"))
            {
                read_folder(root, &path, files);
            }
            continue;
        }
        let is_ours = match name.rsplit_once('.') {
            Some((_, ending)) => ENDINGS.contains(&ending) && !GENERATED.contains(&&name[..]),
            None => NAMES.contains(&&name[..]) || path.starts_with("scripts/") || path.starts_with(".ci/"),
        };
        // Of all others only the name counts: pages may link to them.
        let text =
            if is_ours { fs::read_to_string(root.join(&path)).unwrap_or_default() } else { String::new() };
        files.push(File::new(&path, &text));
    }
}

#[test]
fn what_is_borne_must_be_there() {
    let violation = |what: &str| Violation { path: "a".into(), line: 1, what: what.into(), rule: "r".into() };
    let known = [("a", "one", "why"), ("a", "two", "why")];
    let rest = without_known(vec![violation("one thing"), violation("three")], &known);
    assert_eq!(
        rest.iter().map(|violation| &violation.what[..]).collect::<Vec<_>>(),
        ["`two` is borne without need", "three"]
    );
}
