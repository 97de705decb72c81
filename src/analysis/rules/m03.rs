//! ATL-M03: a protocol or port that does not fit what it joins.

use atlas_crdt::view::edge_evidence;

use crate::analysis::context::Context;
use crate::analysis::model::Edge;
use crate::analysis::normaliser;
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Rule, Severity};
use crate::analysis::tables::endpoints;

pub(super) const RULE: Rule = Rule {
    id: "ATL-M03",
    title: "The protocol does not fit what it joins",
    severity: Severity::Low,
    stride: &[],
    cwe: &[1059],
    why: "What this connection speaks is not served where it leads, as a database protocol is not served by a vault. Either it leads to another component than is meant, or it was described by mistake; firewall rules made from such a drawing open the wrong doors.",
    remediation: "Lead the connection to the component that serves this protocol, or correct its protocol and port. If the component is drawn as something else than it is, change its type.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        let Some(protocol) = edge.protocol else { continue };
        let Some((key, value, says)) = spoken(edge) else { continue };
        let at = At::Edge(at);
        let mut evidence = Vec::new();
        let mut also = Vec::new();
        if !endpoints::fits(protocol, source.kind, target.kind) {
            evidence.push(Evidence {
                at: At::Node(edge.target),
                key: "kind".to_owned(),
                value: normaliser::kind_word(target.kind).to_owned(),
                says: format!("does not serve {}", protocol.name),
            });
            also.push(At::Node(edge.target));
        }
        if let Some(port) = edge.port.filter(|port| endpoints::is_foreign_port(protocol, *port)) {
            evidence.push(Evidence {
                at,
                key: "data.port".to_owned(),
                value: port.to_string(),
                says: "the port of another protocol".to_owned(),
            });
        }
        if !evidence.is_empty() {
            let spoken = Evidence { at, key, value, says };
            findings.push(
                Finding::new(&RULE, [at])
                    .confidence(Confidence::CONTRADICTED)
                    .also(also)
                    .because([spoken])
                    .because(evidence),
            );
        }
    }
}

/// Where the protocol stands. `None`: only the label names it, and without a port; that may speak of anything.
fn spoken(edge: &Edge<'_>) -> Option<(String, String, String)> {
    let protocol = edge.protocol?;
    let found = normaliser::protocol_evidence(edge)?;
    let is_told = found.0 != "label"
        || edge_evidence(edge.element)
            .iter()
            .any(|word| word.parse().is_ok_and(|port| protocol.ports.contains(&port)));
    is_told.then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn found(source: &str, data: Value, target: &str) -> bool {
        let drawing =
            Drawing::new().node("a", source, "app").node("b", target, "app").edge("talk", "a", "b", data);
        let about = drawing.about("ATL-M03");
        assert!(about.is_empty() || about == ["talk"]);
        !about.is_empty()
    }

    #[test]
    fn a_protocol_leads_to_what_serves_it() {
        for (source, protocol, target) in [
            ("api-gateway", "PostgreSQL wire protocol v3", "secrets-manager"),
            ("api-gateway", "RESP3 (Redis Serialization Protocol v3)", "database"),
            ("cache", "Redis", "database"),
            ("cache", "HTTPS (Vault HTTP API)", "api-gateway"),
            ("cache", "HTTPS (AWS S3 API)", "app-server"),
            ("load-balancer", "HTTP (Prometheus scrape)", "object-storage"),
            ("app-server", "SSH", "object-storage"),
            ("app-server", "SMTP", "cache"),
        ] {
            assert!(found(source, json!({"protocol": protocol}), target), "{source} {protocol} {target}");
        }
        for (source, protocol, target) in [
            ("api-gateway", "PostgreSQL", "database"),
            ("api-gateway", "Redis", "cache"),
            ("api-gateway", "BullMQ (Redis-backed job queue)", "cache"),
            ("app-server", "HTTPS (Vault HTTP API)", "vault"),
            ("app-server", "HTTPS (AWS S3 API)", "s3"),
            ("app-server", "HTTPS", "database"),
            ("monitoring", "HTTP (Prometheus scrape)", "object-storage"),
            ("database", "PostgreSQL", "app-server"),
            ("message-queue", "Kafka", "microservice"),
            ("app-server", "PostgreSQL", "load-balancer-internal"),
            ("app-server", "SSH", "database"),
            ("app-server", "what nobody knows", "database"),
        ] {
            assert!(!found(source, json!({"protocol": protocol}), target), "{source} {protocol} {target}");
        }
    }

    #[test]
    fn a_port_belongs_to_its_protocol() {
        for (protocol, port) in [("HTTP", 443), ("HTTPS", 80), ("HTTPS", 5432), ("MySQL", 5432), ("Redis", 5432)] {
            assert!(found("app-server", json!({"protocol": protocol, "port": port}), "unheard-of"), "{protocol} {port}");
        }
        for (protocol, port) in
            [("HTTPS", 8080), ("HTTPS", 9200), ("SFTP", 22), ("Syslog", 514), ("JDBC", 5432), ("BullMQ", 6379), ("gRPC", 443)]
        {
            assert!(!found("app-server", json!({"protocol": protocol, "port": port}), "unheard-of"), "{protocol} {port}");
        }
    }

    #[test]
    fn the_port_speaks_where_the_protocol_does_not_and_a_label_needs_both() {
        assert!(found("app-server", json!({"port": 5432}), "cache"));
        assert!(found("app-server", json!({"protocol": "TCP", "port": "5432"}), "cache"));
        assert!(!found("app-server", json!({"port": 6379}), "cache"));
        let labelled = |label| {
            let drawing = Drawing::new().node("a", "app-server", "app").node("b", "vault", "app");
            drawing.edge("talk", "a", "b", json!({})).label("talk", label).about("ATL-M03")
        };
        assert_eq!(labelled("PostgreSQL:5432"), ["talk"]);
        assert!(labelled("the PostgreSQL password").is_empty());
    }

    #[test]
    fn only_protocol_and_kinds_matter() {
        let wrong = Drawing::new()
            .node("a", "api-gateway", "app")
            .node("b", "vault", "data")
            .edge("talk", "a", "b", json!({"protocol": "PostgreSQL", "port": 5432}));
        assert_eq!(wrong.subjects("ATL-M03"), [["talk", "b"]]);
        assert_eq!(wrong.found("ATL-M03")[0].confidence, 0.6);
        for same in [
            wrong.clone().edge_data("talk", json!({"encryption": "TLS 1.3"})),
            wrong.clone().node_data("b", json!({"label": "PostgreSQL"})),
            wrong.clone().at("b", -7, 9).zone("b", "dmz"),
        ] {
            assert_eq!(same.subjects("ATL-M03"), [["talk", "b"]]);
        }
        assert!(wrong.clone().node_data("b", json!({"type": "database"})).about("ATL-M03").is_empty());
        assert!(wrong.edge_data("talk", json!({"protocol": "HTTPS", "port": 8200})).about("ATL-M03").is_empty());
    }
}
