//! One number for a design, 0.0 to 10.0, and what it is made of.
//!
//! A finding costs the weight of its severity times its confidence. Of each rule's findings, the most expensive counts in
//! full and each further one [`DAMPING`] of the one before: the tenth plaintext link says less than the first. All points
//! together make `10 · e^(−points / FALL)`; a finding that is rather sure also holds the score below the cap of its severity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rule::Severity;
use super::tables::weights::{CAP_CONFIDENCE, CAPS, DAMPING, FALL, GRADES, weight};

/// Findings that count alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    pub rule_id: String,
    pub severity: Severity,
    /// 0.0 to 1.0, in hundredths.
    pub confidence: f64,
    pub count: u64,
}

/// What a rule costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub rule_id: String,
    /// Of its worst finding.
    pub severity: Severity,
    pub count: u64,
    pub points: f64,
}

/// What the score cannot rise above, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cap {
    pub rule_id: String,
    pub severity: Severity,
    pub limit: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 0.0 to 10.0, one decimal.
    pub security_score: f64,
    pub grade: String,
    /// Of the worst finding.
    pub severity: Option<Severity>,
    pub findings_count: u64,
    /// The most expensive first. Rules that cost nothing are not listed.
    pub explanation: Vec<Cost>,
    pub cap: Option<Cap>,
}

/// Confidence in hundredths: sums do not depend on how a fraction was written.
fn percent(confidence: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let percent = (confidence * 100.0).round().clamp(0.0, 100.0) as u8;
    percent
}

/// The score of these findings, in whatever order they come.
#[must_use]
pub fn of(findings: impl IntoIterator<Item = Counted>) -> Score {
    let mut by_rule: BTreeMap<String, BTreeMap<(Severity, u8), u64>> = BTreeMap::new();
    for Counted { rule_id, severity, confidence, count } in findings {
        *by_rule.entry(rule_id).or_default().entry((severity, percent(confidence))).or_default() += count;
    }
    let mut explanation = Vec::new();
    let mut cap: Option<Cap> = None;
    let mut worst = None;
    let mut findings_count = 0;
    let mut points = 0.0;
    for (rule_id, kinds) in by_rule {
        let count: u64 = kinds.values().sum();
        let Some(severity) = kinds.keys().map(|(severity, _)| *severity).max() else { continue };
        findings_count += count;
        worst = worst.max(Some(severity));
        for (severity, _) in kinds.keys().filter(|(_, percent)| CAP_CONFIDENCE <= *percent) {
            let Some((_, limit)) = CAPS.iter().find(|(capped, _)| capped == severity) else { continue };
            if cap.as_ref().is_none_or(|cap| *limit < cap.limit) {
                cap = Some(Cap { rule_id: rule_id.clone(), severity: *severity, limit: *limit });
            }
        }
        let cost = cost(&kinds);
        points += cost;
        if 0.0 < cost {
            explanation.push(Cost { rule_id, severity, count, points: round(cost, 100.0) });
        }
    }
    explanation.sort_by(|a, b| b.points.total_cmp(&a.points).then_with(|| a.rule_id.cmp(&b.rule_id)));
    let uncapped = round(10.0 * (-points / FALL).exp(), 10.0);
    let security_score = cap.as_ref().map_or(uncapped, |cap| uncapped.min(cap.limit));
    // A cap that holds nothing down explains nothing.
    let cap = cap.filter(|cap| cap.limit < uncapped);
    Score {
        security_score,
        grade: grade(security_score).to_owned(),
        severity: worst,
        findings_count,
        explanation,
        cap,
    }
}

/// Points of one rule's findings: the most expensive in full, each further one damped.
fn cost(kinds: &BTreeMap<(Severity, u8), u64>) -> f64 {
    let mut weights: Vec<(f64, u64)> = kinds
        .iter()
        .map(|((severity, percent), count)| (weight(*severity) * f64::from(*percent) / 100.0, *count))
        .collect();
    weights.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut factor = 1.0;
    let mut sum = 0.0;
    for (weight, count) in weights {
        // A geometric series; beyond some hundred terms nothing is added.
        let damped = DAMPING.powi(i32::try_from(count.min(1_000)).unwrap_or(1_000));
        sum += weight * factor * (1.0 - damped) / (1.0 - DAMPING);
        factor *= damped;
    }
    sum
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[must_use]
pub fn grade(score: f64) -> &'static str {
    GRADES.iter().find(|(from, _)| *from <= score).map_or("F", |(_, grade)| grade)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finding(rule: usize, severity: Severity, percent: u8) -> Counted {
        Counted { rule_id: format!("ATL-{rule}"), severity, confidence: f64::from(percent) / 100.0, count: 1 }
    }

    fn findings() -> impl Strategy<Value = Vec<Counted>> {
        let severity = prop_oneof![
            Just(Severity::Info),
            Just(Severity::Low),
            Just(Severity::Medium),
            Just(Severity::High),
            Just(Severity::Critical)
        ];
        prop::collection::vec((0usize..8, severity, 0u8..=100), 0..40).prop_map(|all| {
            all.into_iter().map(|(rule, severity, percent)| finding(rule, severity, percent)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_findings_does_not_matter(all in findings()) {
            let mut turned = all.clone();
            turned.reverse();
            prop_assert_eq!(of(turned), of(all));
        }

        #[test]
        fn one_more_finding_never_raises_and_one_less_never_lowers(all in findings(), at in any::<prop::sample::Index>()) {
            prop_assume!(!all.is_empty());
            let mut fewer = all.clone();
            fewer.remove(at.index(all.len()));
            let (more, less) = (of(all), of(fewer));
            prop_assert!(more.security_score <= less.security_score, "{} {}", more.security_score, less.security_score);
        }

        #[test]
        fn alike_findings_count_one_by_one_or_together(count in 1u64..30) {
            let one = finding(1, Severity::High, 60);
            let apart = of(std::iter::repeat_n(one.clone(), usize::try_from(count).unwrap()));
            prop_assert_eq!(of([Counted { count, ..one }]), apart);
        }
    }

    #[test]
    fn the_score_is_what_its_formula_says() {
        assert_eq!(of([]).security_score, 10.0);
        assert_eq!(of([]).grade, "A");
        // 5 + 3.5 points.
        let two = of([finding(1, Severity::High, 60), finding(1, Severity::High, 60)]);
        assert_eq!(two.explanation[0].points, 5.1);
        assert_eq!(two.security_score, 7.9);
        assert_eq!(two.cap, None);
        let sure = of([finding(1, Severity::High, 70)]);
        assert_eq!(sure.security_score, 6.9);
        assert_eq!(sure.cap.unwrap().limit, 6.9);
        assert_eq!(of([finding(1, Severity::Critical, 100)]).security_score, 3.9);
        assert_eq!(of([finding(1, Severity::Info, 100)]).security_score, 10.0);
    }

    #[test]
    fn very_many_findings_make_zero_and_no_less() {
        let many =
            of((0..50).map(|rule| Counted { count: 100_000, ..finding(rule, Severity::Critical, 100) }));
        assert_eq!(many.security_score, 0.0);
        assert_eq!(many.grade, "F");
    }
}
