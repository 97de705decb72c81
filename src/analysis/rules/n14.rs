//! ATL-N14: nothing absorbs floods before the public entry.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure::{self, Front};
use super::seen::MARKED_MAX;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N14",
    title: "No DDoS protection or CDN before the public entry",
    severity: Severity::Low,
    stride: &[DenialOfService],
    cwe: &[400],
    why: "Strangers talk to the design's own entry, and nothing larger stands in front. A flood that anybody can rent fills its line or its servers, and with them everything that is reached over it.",
    remediation: "Put a content delivery network or a scrubbing service in front (CloudFront with Shield, Azure Front Door with DDoS Protection, Cloud Armor, Cloudflare, Akamai) and let the origin take connections from it alone.",
    references: &[
        Reference { name: "CWE-400", url: Some("https://cwe.mitre.org/data/definitions/400.html") },
        Reference {
            name: "ATT&CK T1498 Network Denial of Service",
            url: Some("https://attack.mitre.org/techniques/T1498/"),
        },
    ],
    check,
};

fn absorbs_floods(node: &Node<'_>) -> bool {
    matches!(node.kind, Kind::Cdn | Kind::Ddos) || node.is(Flag::Ddos)
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    if context.nodes().any(|(_, node)| absorbs_floods(node)) {
        return;
    }
    let front = Front::of(
        context,
        |node| exposure::is_filter(node) || node.is_untrusted(),
        exposure::is_web_traffic,
    );
    let mut entries: Vec<usize> = front.met(context, exposure::is_service).collect();
    entries.extend(
        context
            .nodes()
            .filter(|(_, node)| {
                exposure::is_service(node) && node.is(Flag::Internet) && !node.is_untrusted()
            })
            .map(|(at, _)| at),
    );
    entries.sort_unstable();
    entries.dedup();
    let Some(first) = entries.first().copied() else { return };
    let way = front.ways_into(first).first();
    findings.push(
        Finding::new(&RULE, [])
            .also(entries.iter().take(MARKED_MAX).map(|at| At::Node(*at)))
            .because([exposure::type_evidence(context, first, "is where strangers come in")])
            .because(way.map(|(edge, _)| exposure::protocol_evidence(context, *edge, "brings strangers")))
            .because(context.flag_evidence(first, Flag::Internet).filter(|_| way.is_none()))
            .because(context.flag_evidence(first, Flag::Ddos)),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("waf", "waf", "dmz")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "waf", json!({"protocol": "HTTPS"}))
            .edge("pass", "waf", "web", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_public_entry_without_a_shield_is_found_once() {
        shop().assert_count("ATL-N14", 1);
        assert_eq!(shop().subjects("ATL-N14"), [["web"]]);
        let two = shop().node("api", "api-gateway", "dmz").edge("call", "user", "api", json!({}));
        two.assert_count("ATL-N14", 1);
        assert_eq!(two.subjects("ATL-N14"), [["api", "web"]]);
        let fingerprint = |drawing: &Drawing| drawing.found("ATL-N14")[0].fingerprint.clone();
        assert_eq!(fingerprint(&two), fingerprint(&shop()), "it is about the whole design");
    }

    #[test]
    fn a_shield_anywhere_or_said_silences_it() {
        for kind in ["edge-cdn", "ddos-protection"] {
            shop().node("shield", kind, "dmz").assert_count("ATL-N14", 0);
        }
        let said = |value: bool| shop().node_data("waf", json!({"securityFlags": {"ddosProtection": value}}));
        said(true).assert_count("ATL-N14", 0);
        said(false).assert_count("ATL-N14", 1);
    }

    #[test]
    fn without_a_public_entry_there_is_nothing_to_shield() {
        shop().zone("user", "internal").assert_count("ATL-N14", 0);
        shop().without("visit").assert_count("ATL-N14", 0);
        let public =
            shop().without("visit").node_data("web", json!({"securityFlags": {"directInternetAccess": true}}));
        public.assert_count("ATL-N14", 1);
        shop().node_data("web", json!({"type": "bastion-host"})).assert_count("ATL-N14", 0);
    }
}
