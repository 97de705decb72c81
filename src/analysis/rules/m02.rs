//! ATL-M02: what a drawing declares, and what it shows otherwise.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Node};
use crate::analysis::normaliser;
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M02",
    title: "A declared control contradicts the evidence",
    severity: Severity::Medium,
    stride: &[],
    cwe: &[1059],
    why: "The drawing claims a protection that other words in it rule out, for instance TLS on a connection that speaks plain HTTP. A review that trusts the claim approves something that is not there.",
    remediation: "Find out which of both is built. If the control exists, correct the protocol or the setting that says otherwise (HTTPS in place of HTTP, a private subnet, a backup schedule); if it does not, remove the claim and plan the control.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        if edge.is_contradicted {
            findings.push(Finding::new(&RULE, [At::Edge(at)]).because(context.encryption_evidence(at)));
        }
    }
    for (at, node) in context.nodes() {
        let mut evidence = own_words(at, node);
        let mut also = Vec::new();
        let mut confidence = Confidence::SURE;
        let in_transit = claim(context, at, Flag::InTransit, true);
        let hidden = claim(context, at, Flag::Internet, false);
        if let Some(claim) = in_transit {
            let plain = plain_edges(context, at);
            if let Some(edge) = plain.first() {
                evidence.push(claim);
                evidence.extend(context.encryption_evidence(*edge).into_iter().take(1));
                also.extend(plain.into_iter().map(At::Edge));
            }
        }
        if let Some(claim) = hidden {
            let open = edges_of_strangers(context, at);
            if let Some(edge) = open.first() {
                // The edge may lead through something that was not drawn.
                if evidence.is_empty() {
                    confidence = Confidence::CONTRADICTED;
                }
                evidence.push(claim);
                evidence.push(context.zone_evidence(context.model.edges[*edge].source));
                also.extend(open.into_iter().map(At::Edge));
            }
        }
        if !evidence.is_empty() {
            also.sort_unstable();
            also.dedup();
            findings
                .push(Finding::new(&RULE, [At::Node(at)]).also(also).confidence(confidence).because(evidence));
        }
    }
}

/// A flag that is said, and said so.
fn claim(context: &Context<'_>, at: usize, flag: Flag, says: bool) -> Option<Evidence> {
    let said = context.model.nodes[at].flags.get(flag) == Some(says);
    said.then(|| context.flag_evidence(at, flag)).flatten()
}

/// Flags of which the node itself says both yes and no.
fn own_words(at: usize, node: &Node<'_>) -> Vec<Evidence> {
    let shown = |statement: &normaliser::Statement<'_>| Evidence {
        at: At::Node(at),
        key: statement.key.clone(),
        value: statement.shown(),
        says: if statement.says { "yes" } else { "no" }.to_owned(),
    };
    normaliser::contradictions(node.element).iter().flatten().map(shown).collect()
}

/// Edges of the node that are known to be plaintext. Those that contradict themselves are findings of their own.
fn plain_edges(context: &Context<'_>, at: usize) -> Vec<usize> {
    let graph = context.graph;
    let all = graph.out[at].iter().chain(&graph.into[at]).map(|(edge, _)| *edge);
    let mut plain: Vec<usize> = all
        .filter(|edge| context.is_plaintext(*edge) && !context.model.edges[*edge].is_contradicted)
        .collect();
    plain.sort_unstable();
    plain.dedup();
    plain
}

fn edges_of_strangers(context: &Context<'_>, at: usize) -> Vec<usize> {
    let into = context.graph.into[at].iter();
    into.filter(|(_, from)| context.model.nodes[*from].is_untrusted() && *from != at)
        .map(|(edge, _)| *edge)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn shop(node: Value, edge: Value) -> Drawing {
        Drawing::new()
            .node("web", "web-server", "dmz")
            .node_with("db", "database", "data", node)
            .edge("query", "web", "db", edge)
    }

    fn edge(data: Value) -> Vec<String> {
        shop(json!({}), data).about("ATL-M02")
    }

    fn node(flags: Value) -> Vec<String> {
        shop(json!({"securityFlags": flags}), json!({"protocol": "PostgreSQL", "encryption": "TLS"})).about("ATL-M02")
    }

    #[test]
    fn encryption_that_the_protocol_rules_out_is_found() {
        assert_eq!(edge(json!({"protocol": "HTTP", "encryption": "TLS 1.3"})), ["query"]);
        assert_eq!(edge(json!({"protocol": "HTTPS", "encryption": "None"})), ["query"]);
        assert_eq!(edge(json!({"protocol": "HTTP", "securityFlags": {"encrypted": true}})), ["query"]);
        assert_eq!(edge(json!({"protocol": "MySQL", "encryption": "None", "securityFlags": {"encrypted": true}})), ["query"]);
        let evidence = &shop(json!({}), json!({"protocol": "HTTP", "encryption": "TLS 1.3"})).found("ATL-M02")[0].evidence;
        let shown: Vec<_> = evidence.iter().map(|piece| (piece.key.as_str(), piece.value.as_str())).collect();
        assert_eq!(shown, [("data.protocol", "HTTP"), ("data.encryption", "TLS 1.3")]);
    }

    #[test]
    fn what_fits_together_or_is_not_said_is_no_contradiction() {
        for fine in [
            json!({"protocol": "HTTP", "encryption": "None"}),
            json!({"protocol": "HTTP"}),
            json!({"protocol": "HTTP/2 over mTLS", "encryption": "TLS 1.3"}),
            json!({"protocol": "HTTPS", "encryption": "CMEK"}),
            json!({"protocol": "MySQL", "encryption": "TLS", "securityFlags": {"encryptionProtocol": "mTLS"}}),
            json!({"protocol": "TCP", "encryption": "TLS 1.2"}),
        ] {
            assert!(edge(fine.clone()).is_empty(), "{fine}");
        }
    }

    #[test]
    fn a_node_that_says_yes_and_no_is_found() {
        assert_eq!(node(json!({"hasBackup": false, "backupFrequency": "daily"})), ["db"]);
        assert_eq!(node(json!({"networkSegmentation": "public-subnet", "directInternetAccess": false})), ["db"]);
        assert_eq!(node(json!({"rateLimited": false, "rateLimitValue": "100/min"})), ["db"]);
        for fine in [
            json!({"hasBackup": true, "backupFrequency": "daily"}),
            json!({"hasBackup": false, "backupFrequency": "none"}),
            json!({"networkSegmentation": "private-subnet", "directInternetAccess": false}),
            json!({"auditLoggingEnabled": false, "loggingEnabled": true}),
            json!({"replicas": 1, "multiAZ": true}),
        ] {
            assert!(node(fine.clone()).is_empty(), "{fine}");
        }
    }

    #[test]
    fn a_node_that_claims_encryption_and_talks_in_plaintext_is_found() {
        let claims = json!({"securityFlags": {"encryptedInTransit": true}});
        let plain = json!({"protocol": "MySQL", "encryption": "None"});
        assert_eq!(shop(claims.clone(), plain.clone()).subjects("ATL-M02"), [["db", "query"]]);
        assert!(shop(json!({"securityFlags": {"encryptedInTransit": false}}), plain.clone()).about("ATL-M02").is_empty());
        assert!(shop(claims.clone(), json!({"protocol": "MySQL"})).about("ATL-M02").is_empty());
        // Then it is the edge that contradicts itself.
        assert_eq!(shop(claims, json!({"protocol": "HTTP", "encryption": "TLS"})).about("ATL-M02"), ["query"]);
    }

    #[test]
    fn a_node_that_claims_to_be_hidden_and_is_visited_by_strangers_is_found() {
        let hidden = shop(json!({"securityFlags": {"directInternetAccess": false}}), json!({"protocol": "PostgreSQL"}));
        assert!(hidden.about("ATL-M02").is_empty());
        let visited = hidden.zone("web", "external");
        assert_eq!(visited.subjects("ATL-M02"), [["db", "query"]]);
        assert_eq!(visited.found("ATL-M02")[0].confidence, 0.6);
        assert!(visited.node_data("db", json!({"securityFlags": {"directInternetAccess": true}})).about("ATL-M02").is_empty());
    }
}
