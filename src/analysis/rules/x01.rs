//! ATL-X01: a whole way from strangers to data or secrets on which nobody stops them.

use crate::analysis::context::Context;
use crate::analysis::graph::{Way, Ways};
use crate::analysis::model::{Authentication, Edge, Kind};
use crate::analysis::rule::Stride::{ElevationOfPrivilege, InformationDisclosure};
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Reference, Rule, Severity};

use super::{exposure, seen};

pub(super) const RULE: Rule = Rule {
    id: "ATL-X01",
    title: "Attack path from the internet to data or secrets",
    severity: Severity::Critical,
    stride: &[InformationDisclosure, ElevationOfPrivilege],
    cwe: &[],
    why: "Hop by hop, strangers reach this store over connections that are readable or ask nobody who he is. Each weakness may look small alone; one behind the other they are an open road: enter, listen in or call, take the data.",
    remediation: "Breaking one hop breaks this road, and the evidence names the one that takes the least: give it TLS, and callers an identity (mutual TLS, tokens, IAM). Then mend the other hops too, the one next to the store first, since the next way in may join the road behind the break.",
    references: &[
        Reference {
            name: "ATT&CK T1190 Exploit Public-Facing Application",
            url: Some("https://attack.mitre.org/techniques/T1190/"),
        },
        Reference {
            name: "ATT&CK T1557 Adversary-in-the-Middle",
            url: Some("https://attack.mitre.org/techniques/T1557/"),
        },
        Reference {
            name: "ATT&CK T1213 Data from Information Repositories",
            url: Some("https://attack.mitre.org/techniques/T1213/"),
        },
    ],
    check,
};

/// Hops of a path that are listed: of a longer one the last, next to the store.
const HOPS_MAX: usize = 32;
/// Hops that are shown as evidence.
const EVIDENCE_HOPS_MAX: usize = 8;

/// Known to let everybody in.
fn is_unauthenticated(edge: &Edge<'_>) -> bool {
    matches!(edge.authentication, Authentication::None | Authentication::Anonymous)
}

/// Known to be readable, and nothing contradicts it.
fn is_surely_open(edge: &Edge<'_>) -> bool {
    is_unauthenticated(edge) || (edge.is_plaintext() && !edge.is_contradicted)
}

fn is_open(edge: &Edge<'_>) -> bool {
    is_unauthenticated(edge) || edge.is_plaintext()
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let edges = &context.model.edges;
    let starts = || context.nodes().filter(|(_, node)| node.is_untrusted()).map(|(at, _)| at);
    // A road of which everything is sure is shown before a shorter one with a contradiction in it.
    let sure = context.graph.ways(starts(), |edge, _| is_surely_open(&edges[edge]));
    let likely = context.graph.ways(starts(), |edge, _| is_open(&edges[edge]));
    for (at, node) in context.nodes() {
        let is_prize = node.kind.is_store() || node.kind == Kind::Secret;
        if !is_prize || node.is_untrusted() {
            continue;
        }
        let (ways, confidence) = if sure.is_reached(at) {
            (&sure, Confidence::SURE)
        } else if likely.is_reached(at) {
            (&likely, Confidence::CONTRADICTED)
        } else {
            continue;
        };
        findings.push(finding(context, at, ways).confidence(confidence));
    }
}

fn finding(context: &Context<'_>, store: usize, ways: &Ways) -> Finding {
    let mut hops: Vec<Way> = ways.back_from(store).take(HOPS_MAX).collect();
    let cheapest = cheapest(context, &hops);
    hops.reverse();
    let mut path = Vec::new();
    for (edge, from) in &hops {
        path.extend([At::Node(*from), At::Edge(*edge)]);
    }
    path.push(At::Node(store));
    let mut finding = Finding::new(&RULE, [At::Node(store)]).also(path.clone()).path(path);
    if let Some((edge, needs)) = cheapest {
        finding = finding.because([exposure::computed(
            At::Edge(edge),
            "cut",
            needs,
            "of all hops this one takes the least to break the road",
        )]);
    }
    let shown = hops.iter().rev().take(EVIDENCE_HOPS_MAX).rev();
    finding.because(shown.flat_map(|(edge, _)| hop_evidence(context, *edge)).collect::<Vec<_>>())
}

/// The hop that takes the fewest changes, of equal ones the nearest to the store, and what it needs.
fn cheapest(context: &Context<'_>, hops: &[Way]) -> Option<(usize, &'static str)> {
    let cost = |edge: &Edge<'_>| match (edge.is_plaintext(), is_unauthenticated(edge)) {
        (true, true) => (3, "encrypt it and authenticate its callers"),
        (false, _) => (2, "authenticate its callers"),
        (true, false) => (1, "encrypt it"),
    };
    let costs = hops.iter().map(|(edge, _)| (*edge, cost(&context.model.edges[*edge])));
    costs.min_by_key(|(_, (cost, _))| *cost).map(|(edge, (_, needs))| (edge, needs))
}

fn hop_evidence(context: &Context<'_>, at: usize) -> Vec<Evidence> {
    let edge = &context.model.edges[at];
    let mut evidence = Vec::new();
    if edge.is_plaintext() {
        evidence.extend(context.encryption_evidence(at));
    }
    if is_unauthenticated(edge) {
        evidence.push(seen::authentication(context, at));
    }
    evidence
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn plain() -> Value {
        json!({"protocol": "HTTP", "encryption": "None"})
    }

    fn road() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .node("app", "app-server", "internal")
            .node("db", "database", "data")
            .edge("visit", "user", "web", plain())
            .edge("call", "web", "app", json!({"protocol": "HTTPS", "authentication": "none"}))
            .edge("query", "app", "db", json!({"protocol": "MySQL", "encryption": "None"}))
    }

    #[test]
    fn a_road_of_open_hops_is_found_with_all_its_stations() {
        road().assert_steady("ATL-X01", &["db"]);
        let found = road().found("ATL-X01").remove(0);
        assert_eq!(found.path, ["user", "visit", "web", "call", "app", "query", "db"]);
        assert_eq!(found.confidence, 1.0);
        for kind in ["secrets-manager", "cache", "object-storage"] {
            road().node_data("db", json!({"type": kind})).assert_steady("ATL-X01", &["db"]);
        }
    }

    #[test]
    fn one_hop_that_is_not_known_to_be_open_breaks_it() {
        road().edge_data("visit", json!({"protocol": "HTTPS", "encryption": null})).assert_steady("ATL-X01", &[]);
        road().edge_data("call", json!({"authentication": "OAuth"})).assert_steady("ATL-X01", &[]);
        road().edge_data("call", json!({"authentication": null})).assert_steady("ATL-X01", &[]);
        road().edge_data("query", json!({"encryption": "TLS 1.3"})).assert_steady("ATL-X01", &[]);
        road().edge_data("query", json!({"encryption": null})).assert_steady("ATL-X01", &[]);
        for edge in ["visit", "call", "query"] {
            road().without(edge).assert_steady("ATL-X01", &[]);
        }
        road().zone("user", "internal").assert_steady("ATL-X01", &[]);
        road().zone("db", "external").assert_steady("ATL-X01", &[]);
        road().node_data("db", json!({"type": "app-server"})).assert_steady("ATL-X01", &[]);
    }

    #[test]
    fn the_shortest_road_is_shown_for_each_store() {
        let two = road()
            .node("cache", "cache", "data")
            .edge("keep", "app", "cache", json!({"protocol": "Redis", "encryption": "None"}))
            .edge("short", "web", "db", json!({"protocol": "MySQL", "encryption": "None"}));
        two.assert_steady("ATL-X01", &["cache", "db"]);
        let found = two.found("ATL-X01");
        let path = |store: &str| {
            let issue = found.iter().find(|issue| issue.elements[0] == store).expect("a finding");
            issue.path.join(" ")
        };
        assert_eq!(path("db"), "user visit web short db");
        assert_eq!(path("cache"), "user visit web call app keep cache");
    }

    #[test]
    fn a_contradiction_on_the_road_makes_it_less_sure_and_a_sure_road_goes_first() {
        let claimed = road().edge_data("visit", json!({"encryption": "TLS 1.3"}));
        claimed.assert_steady("ATL-X01", &["db"]);
        assert_eq!(claimed.found("ATL-X01")[0].confidence, 0.6);
        let short = road().edge("direct", "user", "app", json!({"protocol": "HTTP", "encryption": "TLS 1.3"}));
        let found = short.found("ATL-X01").remove(0);
        assert_eq!((found.confidence, found.path.len()), (1.0, 7));
    }

    #[test]
    fn the_hop_that_takes_the_least_is_named() {
        let cut = |drawing: &Drawing| {
            let found = drawing.found("ATL-X01").remove(0);
            let piece = found.evidence.into_iter().find(|piece| piece.key == "cut").expect("a cut");
            (piece.element, piece.value)
        };
        assert_eq!(cut(&road()), ("query".to_owned(), "encrypt it".to_owned()));
        let open = road().edge_data("query", json!({"authentication": "none"}));
        assert_eq!(cut(&open), ("visit".to_owned(), "encrypt it".to_owned()));
        let all = open.edge_data("visit", json!({"authentication": "anonymous"}));
        assert_eq!(cut(&all), ("call".to_owned(), "authenticate its callers".to_owned()));
    }

    #[test]
    fn of_a_very_long_road_the_end_is_shown() {
        let mut drawing = Drawing::new().node("n000", "web-browser", "external");
        for number in 1..100 {
            let (before, node) = (format!("n{:03}", number - 1), format!("n{number:03}"));
            let kind = if number == 99 { "database" } else { "app-server" };
            drawing = drawing
                .node(&node, kind, "internal")
                .edge(&format!("e{number:03}"), &before, &node, plain());
        }
        let found = drawing.found("ATL-X01").remove(0);
        assert_eq!(found.path.len(), 2 * 32 + 1);
        assert_eq!(found.path.last().map(String::as_str), Some("n099"));
    }
}
