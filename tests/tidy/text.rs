//! What every file of the repository keeps, whatever it says.

use crate::Violation;
use crate::layers::CORE_CRATES;
use crate::source::File;

const LINES_MAX: usize = 500;
const DEPTH_MAX: usize = 3;

/// Design rule: a file is read in one sitting, a module found without digging.
pub(crate) fn sizes(file: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if (file.has_ending("rs") || file.has_ending("mjs")) && LINES_MAX < lines {
        found.push(file.at(lines, format!("{lines} lines"), "size: at most 500 lines in a file"));
    }
    if file.has_ending("rs") && (file.path.ends_with("/mod.rs") || file.path == "mod.rs") {
        found.push(file.at(
            1,
            "mod.rs".to_owned(),
            "names: foo.rs beside foo/, so that no two files have one name",
        ));
    }
    let below_src = file.path.strip_prefix("crdt/src/").or(file.path.strip_prefix("src/"));
    let below_src = below_src.or(file.path.strip_prefix("loadtest/src/"));
    if let Some(below) = below_src
        && DEPTH_MAX < below.split('/').count()
    {
        found.push(file.at(
            1,
            "a module too deep in the tree".to_owned(),
            "size: at most 3 modules in each other",
        ));
    }
    found
}

/// Design rule: nothing unfinished, nothing switched off.
pub(crate) fn unfinished(file: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    for (at, code) in file.code.iter().enumerate() {
        for word in ["todo!", "unimplemented!", "dbg!", "#[ignore", "#[allow(", "#![allow("] {
            if code.contains(word) {
                found.push(file.at(
                    at + 1,
                    word.to_owned(),
                    "finished: no place-holders, no tests or lints switched off",
                ));
            }
        }
    }
    found
}

/// Written in two parts, so that this file may be read by its own check.
const PHRASES: &[(&str, &str)] =
    &[("/home", "/"), ("/root", "/"), ("/Users", "/"), ("issue", " #"), ("Issue", " #")];

/// Design rule: the project speaks of itself, not of the machine or the tracker where it was made.
pub(crate) fn phrases(file: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for (one, other) in PHRASES {
            let phrase = format!("{one}{other}");
            if line.contains(&phrase) {
                let what = format!("the phrase {phrase}");
                found.push(file.at(
                    at + 1,
                    what,
                    "phrases: no paths of somebody's machine, no numbers of a tracker",
                ));
            }
        }
    }
    found
}

/// Design rule: the core's manifest proves that it is pure.
pub(crate) fn core_manifest(file: &File) -> Vec<Violation> {
    if file.path != "crdt/Cargo.toml" {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut section = "";
    for (at, line) in file.text.lines().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end().trim_end_matches(']');
            if let Some(name) =
                section.strip_prefix("dependencies.").filter(|name| !CORE_CRATES.contains(name))
            {
                found.push(file.at(
                    at + 1,
                    format!("depends on {name}"),
                    "purity: the core stands on six crates",
                ));
            }
            continue;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let counts =
            matches!(section, "dependencies" | "build-dependencies") || section.starts_with("target.");
        if counts && !name.is_empty() && !name.starts_with('#') && !CORE_CRATES.contains(&name) {
            found.push(file.at(
                at + 1,
                format!("depends on {name}"),
                "purity: the core stands on six crates",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: fn(&File) -> Vec<Violation>, path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text)).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn long_files_and_deep_modules_are_found() {
        assert_eq!(told(sizes, "src/a.rs", &"\n".repeat(501)), ["501 lines"]);
        assert_eq!(told(sizes, "tests/interop/a.mjs", &"\n".repeat(501)), ["501 lines"]);
        assert_eq!(told(sizes, "src/a.rs", &"\n".repeat(500)), [""; 0]);
        assert_eq!(told(sizes, "src/a/mod.rs", ""), ["mod.rs"]);
        assert_eq!(told(sizes, "src/a/b/c/d.rs", ""), ["a module too deep in the tree"]);
        assert_eq!(told(sizes, "crdt/src/a/b/c.rs", ""), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_found_in_code_only() {
        assert_eq!(told(unfinished, "src/a.rs", "fn a() { todo!() }"), ["todo!"]);
        assert_eq!(told(unfinished, "src/a.rs", "fn a() { dbg!(1); unimplemented!() }").len(), 2);
        assert_eq!(told(unfinished, "src/a.rs", "#[ignore = \"slow\"]"), ["#[ignore"]);
        assert_eq!(told(unfinished, "src/a.rs", "#[allow(dead_code)]"), ["#[allow("]);
        assert_eq!(told(unfinished, "src/a.rs", "// a todo!\nlet a = \"dbg!\";"), [""; 0]);
    }

    #[test]
    fn phrases_of_one_machine_are_found_everywhere() {
        for phrase in ["see /root/notes.md", "fixes issue #7", "in /home/ann/src", "in /Users/ann/src"] {
            assert_eq!(told(phrases, "docs/A.md", phrase).len(), 1, "{phrase}");
        }
        assert_eq!(told(phrases, "docs/A.md", "the network of a workshop: an issue of trust"), [""; 0]);
    }

    #[test]
    fn a_seventh_crate_under_the_core_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nyrs.workspace = true\ntokio = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n";
        assert_eq!(told(core_manifest, "crdt/Cargo.toml", manifest), ["depends on tokio"]);
        assert_eq!(
            told(core_manifest, "crdt/Cargo.toml", "[dependencies.rand]\nversion = \"1\"\n"),
            ["depends on rand"]
        );
        assert_eq!(told(core_manifest, "loadtest/Cargo.toml", manifest), [""; 0]);
    }
}
