//! What holds for every rule: its name, its words, and that none is missing.

use super::rule::Rule;
use super::rules::ALL;

/// All rules, in the order of the registry.
const IDS: [&str; 50] = [
    "T01", "T02", "T03", "T04", "T05", "T06", "N01", "N02", "N03", "N04", "N05", "N06", "N07", "N08", "N09",
    "N10", "N11", "N12", "N13", "N14", "A01", "A02", "A03", "A04", "A05", "A06", "A07", "D01", "D02", "D03",
    "D04", "D05", "R01", "R02", "R03", "R04", "L01", "L02", "L03", "P01", "P02", "P03", "M01", "M02", "M03",
    "M04", "M05", "M06", "M07", "X01",
];

/// Weaknesses that are known to be what the rules say they are.
const CWE: [u16; 23] = [
    201, 284, 287, 306, 308, 311, 319, 327, 400, 501, 522, 653, 668, 693, 732, 770, 778, 798, 862, 912, 918,
    923, 1059,
];

/// Sites whose addresses stay.
const SITES: [&str; 4] = [
    "https://cwe.mitre.org/data/definitions/",
    "https://attack.mitre.org/",
    "https://owasp.org/",
    "https://www.rfc-editor.org/",
];

/// Longest title: it has to fit beside a severity in a narrow panel.
const TITLE_CHARS_MAX: usize = 70;
/// Sentences of an explanation: enough to say it, few enough to be read.
const SENTENCES: std::ops::RangeInclusive<usize> = 1..=4;

#[test]
fn no_rule_is_missing_named_twice_or_out_of_order() {
    let ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
    let expected: Vec<String> = IDS.iter().map(|id| format!("ATL-{id}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn rules_come_in_the_order_of_the_catalogue() {
    let places: Vec<usize> = ALL
        .iter()
        .map(|rule| IDS.iter().position(|id| rule.id.strip_prefix("ATL-") == Some(id)).expect(rule.id))
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}

#[test]
fn titles_are_short_and_explanations_are_sentences() {
    for rule in ALL {
        assert!(rule.title.chars().count() <= TITLE_CHARS_MAX, "{}: {}", rule.id, rule.title);
        assert!(!rule.title.ends_with('.'), "{}: a title is no sentence", rule.id);
        is_well_formed(rule, rule.title);
        for text in [rule.why, rule.remediation] {
            is_well_formed(rule, text);
            assert!(text.ends_with('.'), "{}: {text}", rule.id);
            let sentences = text.split(". ").count();
            assert!(SENTENCES.contains(&sentences), "{}: {sentences} sentences: {text}", rule.id);
        }
        assert_ne!(rule.why, rule.remediation, "{}", rule.id);
    }
}

fn is_well_formed(rule: &Rule, text: &str) {
    let id = rule.id;
    assert_eq!(text.trim(), text, "{id}: blanks at the ends of {text:?}");
    assert!(text.chars().next().is_some_and(|first| first.is_uppercase()), "{id}: {text:?} begins small");
    assert!(!text.contains("  ") && !text.contains(char::is_control), "{id}: odd blanks in {text:?}");
    assert_eq!(text.matches('`').count() % 2, 0, "{id}: an open quotation in {text:?}");
}

#[test]
fn weaknesses_and_references_are_known_and_named_once() {
    for rule in ALL {
        let id = rule.id;
        for cwe in rule.cwe {
            assert!(CWE.contains(cwe), "{id}: CWE-{cwe} is not on the list");
        }
        assert!(!rule.stride.is_empty() || id.starts_with("ATL-M"), "{id}: no kind of threat");
        let mut names: Vec<&str> = rule.references.iter().map(|reference| reference.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{id}: a reference stands twice");
        for reference in rule.references {
            is_well_formed_name(id, reference.name);
            if let Some(url) = reference.url {
                assert!(SITES.iter().any(|site| url.starts_with(site)), "{id}: {url}");
                assert!(!url.contains(char::is_whitespace), "{id}: {url:?}");
            }
            if let Some(number) = reference.name.strip_prefix("CWE-") {
                let known = number.split(' ').next().and_then(|number| number.parse().ok());
                assert!(
                    known.is_some_and(|number: u16| rule.cwe.contains(&number)),
                    "{id}: {}",
                    reference.name
                );
            }
        }
    }
}

fn is_well_formed_name(id: &str, name: &str) {
    assert!(!name.is_empty() && name.trim() == name && !name.ends_with('.'), "{id}: {name:?}");
}

/// The table in the documentation, made from the rules.
fn table() -> String {
    use std::fmt::Write as _;
    let mut table = String::from("| rule | what it finds | severity | STRIDE | CWE |\n|---|---|---|---|---|\n");
    for rule in ALL {
        let stride = serde_json::to_value(rule.stride).expect("letters");
        let letters: Vec<&str> =
            stride.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        let cwe: Vec<String> = rule.cwe.iter().map(ToString::to_string).collect();
        let (severity, letters, cwe) = (rule.severity.as_str(), letters.join(" "), cwe.join(", "));
        let _ = writeln!(table, "| {} | {} | {severity} | {letters} | {cwe} |", rule.id, rule.title);
    }
    table
}

#[test]
fn the_documentation_lists_all_rules_as_they_are() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ANALYSIS.md");
    let text = std::fs::read_to_string(path).expect("docs/ANALYSIS.md");
    let table = table();
    assert!(text.contains(&table), "docs/ANALYSIS.md should hold this table:\n{table}");
}
