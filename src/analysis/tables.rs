//! What the analysis knows of words and numbers, as data: kinds, zones, protocols, flags, weights, thresholds. A change here is a
//! change of the ruleset: raise [`RULESET_VERSION`](super::RULESET_VERSION).

pub mod auth;
pub mod encryption;
pub mod endpoints;
pub mod flags;
pub mod kinds;
pub mod protocols;
pub mod weights;
pub mod words;
pub mod zones;
