//! ATL-R03: a public entry without a rate limit.

use crate::analysis::context::Context;
use crate::analysis::graph::Way;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Reference, Rule, Severity};

use super::exposure::{self, Front};

pub(super) const RULE: Rule = Rule {
    id: "ATL-R03",
    title: "Public entry without a rate limit",
    severity: Severity::Medium,
    stride: &[DenialOfService],
    cwe: &[770],
    why: "One caller may send as much as it likes. That is enough to try passwords by the million, to empty a catalogue through the API, to run up the bill of everything that scales, or to take the capacity of all others.",
    remediation: "Limit requests for each client and each key at the entry: usage plans and throttling of the API gateway, rate-based rules of the WAF, `limit_req` in nginx. Answer 429 with `Retry-After`, and hold logins and expensive calls to much lower limits.",
    references: &[
        Reference { name: "CWE-770", url: Some("https://cwe.mitre.org/data/definitions/770.html") },
        Reference {
            name: "OWASP API4:2023 Unrestricted Resource Consumption",
            url: Some("https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // A filter of which nothing is said stands before the entry; one that has no limit is told so itself.
    let lets_on = |node: &Node<'_>| {
        let is_silent_filter = exposure::is_filter(node) && node.flags.get(Flag::RateLimited).is_none();
        is_silent_filter || (node.is_untrusted() && !node.is(Flag::RateLimited))
    };
    let front = Front::of(context, lets_on, |edge| {
        exposure::is_web_traffic(edge) && edge.rate_limited != Some(true)
    });
    for (at, node) in context.nodes() {
        let ways = front.ways_into(at);
        let is_met = !ways.is_empty() || node.is(Flag::Internet);
        let is_entry = exposure::is_service(node)
            || (exposure::is_filter(node) && node.kind != Kind::Boundary && node.is_not(Flag::RateLimited));
        if !is_met || !is_entry || node.is_untrusted() || node.is(Flag::RateLimited) {
            continue;
        }
        let (confidence, seen) = if node.is_not(Flag::RateLimited) {
            (Confidence::SURE, context.flag_evidence(at, Flag::RateLimited))
        } else if let Some((edge, _)) = unlimited(context, ways) {
            let says = "is said to have no rate limit";
            (Confidence::SURE, Some(exposure::computed(At::Edge(edge), "data.rateLimited", "false", says)))
        } else if is_limited_behind(context, at) {
            continue;
        } else {
            let says = "nothing is said about a rate limit";
            (Confidence::UNSAID, Some(exposure::computed(At::Node(at), "rateLimited", "not said", says)))
        };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also(ways.iter().map(|(edge, _)| At::Edge(*edge)))
                .confidence(confidence)
                .because(seen)
                .because(entry_evidence(context, at, ways)),
        );
    }
}

/// The first way in that is said to have no limit.
fn unlimited(context: &Context<'_>, ways: &[Way]) -> Option<Way> {
    ways.iter().copied().find(|(edge, _)| context.model.edges[*edge].rate_limited == Some(false))
}

/// A load balancer behind which everything limits for itself.
fn is_limited_behind(context: &Context<'_>, at: usize) -> bool {
    let on = &context.graph.out[at];
    let limits = |(edge, to): &Way| {
        context.model.edges[*edge].rate_limited == Some(true) || context.model.nodes[*to].is(Flag::RateLimited)
    };
    context.model.nodes[at].kind == Kind::LoadBalancer && !on.is_empty() && on.iter().all(limits)
}

fn entry_evidence(context: &Context<'_>, at: usize, ways: &[Way]) -> Vec<Evidence> {
    match ways.first() {
        Some((edge, _)) => vec![exposure::protocol_evidence(context, *edge, "brings requests of strangers")],
        None => context.flag_evidence(at, Flag::Internet).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn api(limit: &Value) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node_with("gate", "api-gateway", "dmz", json!({"securityFlags": {"rateLimited": limit}}))
            .node("app", "app-server", "internal")
            .edge("call", "user", "gate", json!({"protocol": "HTTPS"}))
            .edge("pass", "gate", "app", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn an_entry_that_says_so_is_found_and_one_that_is_silent_is_doubted() {
        api(&json!(false)).assert_steady("ATL-R03", &["gate"]);
        assert_eq!(api(&json!(false)).found("ATL-R03")[0].confidence, 1.0);
        api(&Value::Null).assert_steady("ATL-R03", &["gate"]);
        assert_eq!(api(&Value::Null).found("ATL-R03")[0].confidence, 0.4);
        let edge = api(&Value::Null).edge_data("call", json!({"securityFlags": {"rateLimited": false}}));
        edge.assert_steady("ATL-R03", &["gate"]);
        assert_eq!(edge.found("ATL-R03")[0].confidence, 1.0);
    }

    #[test]
    fn a_limit_on_the_node_or_on_its_ways_in_silences_it() {
        api(&json!(true)).assert_steady("ATL-R03", &[]);
        let edge = api(&Value::Null).edge_data("call", json!({"securityFlags": {"rateLimitValue": "100/min"}}));
        edge.assert_steady("ATL-R03", &[]);
        edge.edge("round", "user", "gate", json!({"protocol": "HTTPS"})).assert_steady("ATL-R03", &["gate"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        api(&json!(false)).zone("user", "internal").assert_steady("ATL-R03", &[]);
        api(&json!(false)).zone("gate", "external").assert_steady("ATL-R03", &["app"]);
        api(&json!(false)).without("call").assert_steady("ATL-R03", &[]);
        api(&json!(false)).edge_data("call", json!({"protocol": "SSH"})).assert_steady("ATL-R03", &[]);
        api(&json!(false)).node_data("gate", json!({"type": "bastion-host"})).assert_steady("ATL-R03", &[]);
    }

    #[test]
    fn the_entry_stands_behind_filters() {
        let over = |limit: &Value| {
            api(&Value::Null)
                .without("call")
                .node_with("waf", "waf", "dmz", json!({"securityFlags": {"rateLimited": limit}}))
                .edge("in", "user", "waf", json!({"protocol": "HTTPS"}))
                .edge("on", "waf", "gate", json!({"protocol": "HTTPS"}))
        };
        over(&Value::Null).assert_steady("ATL-R03", &["gate"]);
        over(&json!(true)).assert_steady("ATL-R03", &[]);
        over(&json!(false)).assert_steady("ATL-R03", &["waf"]);
    }

    #[test]
    fn a_load_balancer_may_leave_it_to_what_stands_behind() {
        let spread = api(&Value::Null).node_data("gate", json!({"type": "load-balancer-global"}));
        spread.assert_steady("ATL-R03", &["gate"]);
        let limited = spread.node_data("app", json!({"securityFlags": {"rateLimited": true}}));
        limited.assert_steady("ATL-R03", &[]);
        limited.node_data("gate", json!({"type": "api-gateway"})).assert_steady("ATL-R03", &["gate"]);
    }
}
