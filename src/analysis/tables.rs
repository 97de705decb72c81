//! What the analysis knows of words and numbers, as data: kinds, zones, protocols, flags, weights, thresholds. A change here is a
//! change of the ruleset: raise [`RULESET_VERSION`](super::RULESET_VERSION).

pub mod protocols;
pub mod weights;
