//! The rules against drawings that somebody else labelled before there was a rule: `tests/fixtures/truth`.
//!
//! A finding counts as right when an expected one has its rule, and all of its elements. Each expected finding that no rule
//! reports is missed; each reported one that is neither expected nor said to be fine is a false positive. The thresholds
//! were fixed before the first run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::testing;

/// Of all expected findings, so many are found at least …
const RECALL_MIN: f64 = 0.90;
/// … and of all that count, fewer than this are false.
const FALSE_SHARE_MAX: f64 = 0.05;
/// Drawings.
const DRAWINGS_MIN: usize = 60;

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    expected: usize,
    found: usize,
    right: usize,
    wrong: usize,
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for people")]
fn the_rules_find_what_people_find_and_little_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/truth");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    assert!(DRAWINGS_MIN <= paths.len(), "only {} drawings in {}", paths.len(), folder.display());

    let mut tallies: BTreeMap<String, Tally> =
        super::rules::ALL.iter().map(|rule| (rule.id.to_owned(), Tally::default())).collect();
    let mut remarks = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let labelled: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        compare(&name, &labelled, &mut tallies, &mut remarks);
    }

    println!("rule      expected  found  recall   right  false");
    let mut all = Tally::default();
    for (rule, tally) in &tallies {
        let recall = share(tally.found, tally.expected);
        let Tally { expected, found, right, wrong } = *tally;
        println!("{rule}  {expected:>8}  {found:>5}  {recall:>6.2}  {right:>6}  {wrong:>5}");
        all.expected += expected;
        all.found += found;
        all.right += right;
        all.wrong += wrong;
    }
    for remark in &remarks {
        println!("{remark}");
    }
    let (recall, wrong) = (share(all.found, all.expected), share(all.wrong, all.right + all.wrong));
    println!("{} drawings, {} expected findings: recall {recall:.3}, false positives {wrong:.3}", paths.len(), all.expected);
    assert!(RECALL_MIN <= recall, "recall is {recall:.3}");
    assert!(wrong < FALSE_SHARE_MAX, "{wrong:.3} of the findings are false");
}

fn compare(name: &str, labelled: &Value, tallies: &mut BTreeMap<String, Tally>, remarks: &mut Vec<String>) {
    let view = testing::view(&labelled["design"]);
    let issues = super::analyse(&view).issues;
    let expected: Vec<(&str, Vec<&str>)> = labelled["expect"]
        .as_array()
        .unwrap()
        .iter()
        .map(|expected| {
            let elements = expected["elements"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
            (expected["rule"].as_str().unwrap(), elements.collect())
        })
        .collect();
    let fine: Vec<&str> =
        labelled["also_fine"].as_array().into_iter().flatten().map(|rule| rule.as_str().unwrap()).collect();
    let is_it = |(rule, elements): &(&str, Vec<&str>), issue: &super::report::Issue| {
        *rule == issue.rule_id && elements.iter().all(|id| issue.elements.iter().any(|other| other == id))
    };
    for expectation in &expected {
        let tally = tallies.get_mut(expectation.0).unwrap_or_else(|| panic!("{name}: no rule {}", expectation.0));
        tally.expected += 1;
        if issues.iter().any(|issue| is_it(expectation, issue)) {
            tally.found += 1;
        } else {
            remarks.push(format!("missed  {name}: {} {:?}", expectation.0, expectation.1));
        }
    }
    for issue in &issues {
        let tally = tallies.get_mut(issue.rule_id).expect("a rule");
        if expected.iter().any(|expectation| is_it(expectation, issue)) {
            tally.right += 1;
        } else if !fine.contains(&issue.rule_id) {
            tally.wrong += 1;
            let confidence = issue.confidence;
            remarks.push(format!("false   {name}: {} {:?} ({confidence})", issue.rule_id, issue.elements));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "some hundred findings")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { if part == 0 { 1.0 } else { 0.0 } } else { part as f64 / whole as f64 }
}
