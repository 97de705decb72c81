//! What the pages under `docs/` promise, held against the code and the tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::Violation;
use crate::source::File;

const PROTOCOL: &str = "docs/PROTOCOL.md";
const OPERATIONS: &str = "docs/OPERATIONS.md";

/// Where a name in backticks is a path.
const FOLDERS: &[&str] =
    &["src/", "crdt/", "web-client/", "tests/", "loadtest/", "migrations/", "docs/", "scripts/"];

/// Rules that no test names yet, and why. A rule that gets its test leaves this list.
const UNTESTED: &[(&str, &str)] =
    &[("R-TIME-6", "a design that takes half a minute to open needs a store that can be slowed down")];

/// Design rule: behaviour has rule ids, and every id has a test.
pub(crate) fn rules(files: &[File]) -> Vec<Violation> {
    rules_but(files, UNTESTED)
}

fn rules_but(files: &[File], untested: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    let Some(protocol) = files.iter().find(|file| file.path == PROTOCOL) else {
        return vec![Violation {
            path: PROTOCOL.into(),
            line: 1,
            what: "missing".into(),
            rule: "rules: the protocol has a page".into(),
        }];
    };
    let mut defined: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, line) in protocol.text.lines().enumerate() {
        let Some(id) =
            line.trim_start_matches("- ").strip_prefix("**[").and_then(|rest| rest.split("]**").next())
        else {
            continue;
        };
        if defined.insert(id, at + 1).is_some() {
            found.push(protocol.at(at + 1, format!("{id} is defined twice"), "rules: an id has one meaning"));
        }
    }
    let mut tested: BTreeSet<String> = BTreeSet::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            for id in rule_ids(line) {
                if !defined.contains_key(&id[..]) {
                    found.push(file.at(
                        at + 1,
                        format!("{id} is no rule of {PROTOCOL}"),
                        "rules: only ids that exist are named",
                    ));
                } else if is_test_line(file, at) {
                    tested.insert(id);
                }
            }
        }
    }
    for (id, line) in &defined {
        let is_excused = untested.iter().any(|(excused, _)| excused == id);
        if !tested.contains(*id) && !is_excused {
            found.push(protocol.at(
                *line,
                format!("{id} has no test"),
                "rules: a test names each rule in a comment",
            ));
        }
    }
    for (id, _) in untested {
        if tested.contains(*id) || !defined.contains_key(id) {
            found.push(protocol.at(
                1,
                format!("{id} is excused without need"),
                "rules: excuses end with their reason",
            ));
        }
    }
    found
}

/// A comment of a test: in a Rust file a test line or the lines right above a test.
fn is_test_line(file: &File, at: usize) -> bool {
    let is_comment = file.text.lines().nth(at).is_some_and(|line| line.trim_start().starts_with("//"));
    is_comment
        && (file.has_ending("mjs") && file.path.starts_with("tests/")
            || file.is_test.get(at).copied().unwrap_or(false))
}

/// Words such as R-HAND-3.
fn rule_ids(line: &str) -> Vec<String> {
    let is_part = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '-';
    let words = line.split(|char: char| !is_part(char) && !char.is_alphanumeric() && char != '_');
    let ids = words.map(|word| word.trim_end_matches('-')).filter(|word| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.len() == 3
            && parts[0] == "R"
            && parts.iter().all(|part| !part.is_empty())
            && word.chars().all(is_part)
    });
    ids.map(str::to_owned).collect()
}

/// Design rule: every setting is documented, and every documented setting exists.
pub(crate) fn settings(files: &[File]) -> Vec<Violation> {
    let Some(page) = files.iter().find(|file| file.path == OPERATIONS) else { return Vec::new() };
    let mut read: BTreeMap<String, (&File, usize)> = BTreeMap::new();
    for file in files {
        if file.path != "src/config.rs" && !file.path.starts_with("src/config/") {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            // Names stand in string literals; the code is looked at only to leave tests out.
            if !file.is_test.get(at).copied().unwrap_or(false) && !line.trim_start().starts_with("//") {
                for name in settings_in(line).into_iter().filter(|name| line.contains(&format!("\"{name}\"")))
                {
                    read.entry(name).or_insert((file, at + 1));
                }
            }
        }
    }
    let mut documented: BTreeMap<String, usize> = BTreeMap::new();
    for (at, line) in page.text.lines().enumerate() {
        for name in settings_in(line) {
            documented.entry(name).or_insert(at + 1);
        }
    }
    let mut found = Vec::new();
    for (name, (file, line)) in &read {
        if !documented.contains_key(name) {
            found.push(file.at(
                *line,
                format!("{name} is not in {OPERATIONS}"),
                "settings: every one is documented",
            ));
        }
    }
    for (name, line) in &documented {
        let base = name.strip_suffix("_FILE").unwrap_or(name);
        if !read.contains_key(name) && !read.contains_key(base) {
            found.push(page.at(
                *line,
                format!("{name} is read by nobody"),
                "settings: only what exists is documented",
            ));
        }
    }
    found
}

fn settings_in(line: &str) -> Vec<String> {
    let words = line.split(|char: char| !char.is_ascii_uppercase() && !char.is_ascii_digit() && char != '_');
    words
        .filter(|word| word.starts_with("ATLAS_") && 6 < word.len() && !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// Design rule: what a page names is there. Links of all pages, and the paths in the code map.
pub(crate) fn references(files: &[File]) -> Vec<Violation> {
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")))
    };
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.has_ending("md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in file.text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                if !link.is_empty() && !link.contains("://") && !exists(&joined(folder, link)) {
                    found.push(file.at(at + 1, format!("a link to {link}"), "pages: links lead somewhere"));
                }
            }
            if file.path != "docs/ARCHITECTURE.md" && file.path != "README.md" {
                continue;
            }
            for name in line.split('`').skip(1).step_by(2) {
                let is_path = FOLDERS.iter().any(|start| name.starts_with(start));
                if is_path && !name.contains(['*', ' ', '{', ':']) && !exists(name) {
                    found.push(file.at(
                        at + 1,
                        format!("names {name}"),
                        "pages: the map shows what is there",
                    ));
                }
                if let Some(unknown) = unknown_item(files, name) {
                    found.push(file.at(
                        at + 1,
                        format!("names {unknown}"),
                        "pages: walks go through code that is there",
                    ));
                }
            }
        }
    }
    found
}

/// Of a name such as `Live::join`: its parts that no Rust file has as a word.
fn unknown_item<'a>(files: &[File], name: &'a str) -> Option<&'a str> {
    if !name.contains("::") || name.contains([' ', '/', '(']) {
        return None;
    }
    let is_there = |part: &str| {
        let mut code = files.iter().flat_map(File::product);
        part.starts_with("atlas_") || code.any(|(_, line)| has_word(line, part))
    };
    let is_module = |part: &str| files.iter().any(|file| file.path.ends_with(&format!("/{part}.rs")));
    name.split("::").find(|part| !is_module(part) && !is_there(part))
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|char: char| !char.is_alphanumeric() && char != '_').any(|found| found == word)
}

fn joined(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(violations: &[Violation]) -> Vec<String> {
        violations
            .iter()
            .map(|violation| format!("{}:{} {}", violation.path, violation.line, violation.what))
            .collect()
    }

    #[test]
    fn rules_without_a_test_and_ids_without_a_rule_are_found() {
        let page = File::new(
            PROTOCOL,
            "- **[R-HAND-1]** one\n- **[R-HAND-2]** two, see R-HAND-1\n- **[R-HAND-1]** again\n",
        );
        let test = File::new("tests/it/a.rs", "// R-HAND-1, R-NOPE-7\nfn a() {}\n");
        let product = File::new("src/a.rs", "// R-HAND-2\nfn a() {}\n");
        let files = [page, test, product];
        assert_eq!(
            told(&rules_but(&files, &[])),
            [
                "docs/PROTOCOL.md:3 R-HAND-1 is defined twice",
                "tests/it/a.rs:1 R-NOPE-7 is no rule of docs/PROTOCOL.md",
                "docs/PROTOCOL.md:2 R-HAND-2 has no test",
            ]
        );
        let excused = rules_but(&files, &[("R-HAND-2", "why"), ("R-HAND-1", "why")]);
        assert_eq!(told(&excused)[2..], ["docs/PROTOCOL.md:1 R-HAND-1 is excused without need"]);
    }

    #[test]
    fn a_rule_in_a_test_module_or_a_script_counts() {
        let page = File::new(PROTOCOL, "- **[R-HAND-1]** one\n- **[R-HAND-2]** two\n");
        let module = File::new("src/a.rs", "#[cfg(test)]\nmod tests {\n    // R-HAND-1\n    fn a() {}\n}\n");
        let script = File::new("tests/interop/a.test.mjs", "// R-HAND-2\n");
        assert_eq!(told(&rules_but(&[page, module, script], &[])), [""; 0]);
    }

    #[test]
    fn settings_that_are_only_read_or_only_documented_are_found() {
        let config = File::new(
            "src/config.rs",
            "let a = \"ATLAS_A\"; let b = \"ATLAS_KEY\"; let c = \"see ATLAS_A\";\n",
        );
        let page = File::new(OPERATIONS, "`ATLAS_KEY_FILE` and `ATLAS_KEY`\n`ATLAS_B`\n");
        assert_eq!(
            told(&settings(&[config, page])),
            [
                "src/config.rs:1 ATLAS_A is not in docs/OPERATIONS.md",
                "docs/OPERATIONS.md:2 ATLAS_B is read by nobody",
            ]
        );
    }

    #[test]
    fn links_and_names_that_lead_nowhere_are_found() {
        let readme = File::new(
            "README.md",
            "[a](docs/A.md) [b](docs/B.md#x) [c](https://x.example/y) `src/a.rs` `src/b.rs` `web-client/c.ts`\n`a::run` `a::stop`\n",
        );
        let page = File::new("docs/A.md", "[up](../README.md) [there](adr/)\n");
        let code = File::new("src/a.rs", "fn run() {}");
        assert_eq!(
            told(&references(&[readme, page, code])),
            [
                "README.md:1 a link to docs/B.md",
                "README.md:1 names src/b.rs",
                "README.md:1 names web-client/c.ts",
                "README.md:2 names stop",
                "docs/A.md:1 a link to adr/",
            ]
        );
    }
}
