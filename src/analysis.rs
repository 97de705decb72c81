//! Security analysis: what is wrong with an architecture, where, why, and how to mend it.
//!
//! A design becomes a [`model::Model`] (`normaliser`, by the tables of words in `tables`), rules look at the model (`rules`,
//! one file each), and what they find becomes a [`Report`] with a score. Pure: the same meaning gives the same bytes, on
//! every pod and in any order of nodes and edges. Rules never see positions, only what lies in which container, and no
//! free text except the labels of nodes whose type nobody knows.
//!
//! | file | what |
//! |---|---|
//! | `normaliser` | from words to kinds, zones, protocols, flags; what is not said stays unknown |
//! | `model`, `graph`, `context` | what rules look at |
//! | `rule`, `rules/*` | the questions |
//! | `fix` | what mends a finding at the press of a button |
//! | `report`, `score` | what is stored and shown |
//! | `tables/*` | every word, weight and threshold |
//! | `advisor` | the seam to language models |

use atlas_crdt::view::DesignView;

pub mod advisor;
pub mod context;
pub mod fix;
pub mod graph;
pub mod model;
pub mod normaliser;
pub mod report;
pub mod rule;
pub mod rules;
pub mod score;
pub mod tables;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod truth;

pub use report::Report;

/// Names the rules, tables and weights together. Raised with every change of what they say: results are stored once for
/// each version.
pub const RULESET_VERSION: &str = "1";

/// Puts all rules to a design.
#[must_use]
pub fn analyse(view: &DesignView) -> Report {
    let model = normaliser::model(view);
    let graph = graph::Graph::of(&model);
    let context = context::Context { model: &model, graph: &graph };
    let found = rules::ALL
        .iter()
        .map(|rule| {
            let mut findings = Vec::new();
            (rule.check)(&context, &mut findings);
            (*rule, findings)
        })
        .collect();
    report::of(&model, found, normaliser::coverage(&model))
}
