//! Numbers of the score, and thresholds of rules. Calibrated on few files: keep them here.

use crate::analysis::rule::Severity;

/// Points of a finding that is certain.
#[must_use]
pub const fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 10.0,
        Severity::High => 5.0,
        Severity::Medium => 2.0,
        Severity::Low => 0.5,
        Severity::Info => 0.0,
    }
}

/// Each further finding of a rule counts so much of the one before.
pub const DAMPING: f64 = 0.7;
/// The score is `10 · e^(−points / FALL)`.
pub const FALL: f64 = 22.0;
/// A finding so sure, in percent, holds the score below the cap of its severity.
pub const CAP_CONFIDENCE: u8 = 70;
/// The highest score with an open finding of this severity.
pub const CAPS: [(Severity, f64); 3] =
    [(Severity::Critical, 3.9), (Severity::High, 6.9), (Severity::Medium, 8.9)];
/// Scores from here on, best first; below the last it is an F.
pub const GRADES: [(f64, &str); 5] = [(9.0, "A"), (8.0, "B"), (7.0, "C"), (6.0, "D"), (4.0, "E")];

/// Workloads from which on a design is expected to have segments (N07) and a vault (D03).
pub const WORKLOADS_MANY: usize = 5;
/// Workloads from which on a design is expected to be monitored (L01).
pub const WORKLOADS_SOME: usize = 3;
/// Direct neighbours of a node beyond which it is a hub (R04).
pub const HUB_DEGREE: usize = 10;
/// Levels that an edge may lead inwards without being a skip (N09).
pub const ZONE_STEP: u8 = 1;
