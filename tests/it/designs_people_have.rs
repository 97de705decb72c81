//! The analysis of designs that people really have, where the folder with them exists.

use std::path::{Path, PathBuf};

use atlas_collab::analysis::{self, Report};
use atlas_collab::formats;
use atlas_crdt::design::{DesignDoc, create};
use atlas_crdt::ids::ClientId;
use atlas_crdt::view::DesignView;

/// `None`, and a word about it, where the folder is missing.
fn file(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/kohatlas").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: there is no {}", path.display());
    None
}

fn view(path: &Path) -> DesignView {
    let imported = formats::import(&std::fs::read(path).unwrap(), "auto").unwrap();
    let update = create(ClientId::new(1), &imported.design).unwrap();
    DesignDoc::load(ClientId::new(2), [&*update]).unwrap().view()
}

fn report(path: &Path) -> Report {
    let report = analysis::analyse(&view(path));
    let score = &report.score;
    println!("{}: {} ({}), coverage {}", path.display(), score.security_score, score.grade, report.coverage);
    for cost in &score.explanation {
        println!("  {} {:?} x{}: {}", cost.rule_id, cost.severity, cost.count, cost.points);
    }
    report
}

/// The elements that a rule's findings are about, sorted.
fn about(report: &Report, rule: &str) -> Vec<String> {
    let issues = report.issues.iter().filter(|issue| issue.rule_id == rule);
    let mut about: Vec<String> = issues.filter_map(|issue| issue.elements.first().cloned()).collect();
    about.sort();
    about
}

#[test]
fn the_vulnerable_preset_scores_below_two_and_the_secure_one_between_six_and_nine() {
    if let Some(path) = file("preset-vulnerable.json") {
        let report = report(&path);
        assert!(report.score.security_score < 2.0, "{}", report.score.security_score);
        assert_eq!(about(&report, "ATL-X01"), ["3"], "the way to the database is drawn");
    }
    if let Some(path) = file("preset-secure.json") {
        let score = report(&path).score.security_score;
        assert!((6.0..=9.0).contains(&score), "{score}");
    }
}

#[test]
fn all_three_labelled_risks_of_the_older_form_are_found() {
    let Some(path) = file("example-legacy-format.json") else { return };
    let view = view(&path);
    let between = |source: &str, target: &str| {
        let edge = view.edges.iter().find(|edge| edge.body["source"] == source && edge.body["target"] == target);
        edge.unwrap_or_else(|| panic!("no edge from {source} to {target}")).id.clone()
    };
    let report = report(&path);
    let any = about(&report, "ATL-N08");
    // RISK-001: any protocol from the internet; RISK-003: the same behind the internal firewall.
    assert!(any.contains(&between("internet", "edge_fw")), "{any:?}");
    assert!(any.contains(&between("internal_fw", "app_tier")), "{any:?}");
    // RISK-002: HTTP inside.
    let plaintext: Vec<String> =
        ["ATL-T01", "ATL-T02", "ATL-T03", "ATL-T06"].iter().flat_map(|rule| about(&report, rule)).collect();
    for (source, target) in [("dmz", "waf"), ("app_tier", "backend_api"), ("backend_api", "auth_service")] {
        assert!(plaintext.contains(&between(source, target)), "{source} to {target}: {plaintext:?}");
    }
}

#[test]
fn links_that_contradict_themselves_are_all_reported() {
    let Some(path) = file("kohGrid.json") else { return };
    let report = report(&path);
    assert_eq!(about(&report, "ATL-M01"), ["e10-external"]);
    let contradicted = about(&report, "ATL-M02");
    for edge in ["e4-10", "e6-10", "e7-10"] {
        assert!(contradicted.contains(&edge.to_owned()), "{edge}: {contradicted:?}");
    }
    let mislabelled = about(&report, "ATL-M03");
    assert!(9 <= mislabelled.len(), "{mislabelled:?}");
    let score = report.score.security_score;
    assert!((3.5..=6.5).contains(&score), "its own words say 8.5, and it gets {score}");
}
