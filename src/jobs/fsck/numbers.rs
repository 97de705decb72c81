//! What can be said of a design without reading its blobs: whether its numbers fit together, and its columns the snapshot.

use std::collections::BTreeMap;

use atlas_crdt::ids::Seq;
use atlas_crdt::view::Element;
use serde_json::Value;

use super::super::fold::{Folding, column};
use crate::store::folds::{Remains, Segment};

/// What the numbers alone tell.
pub(super) fn structure(remains: &Remains) -> Vec<String> {
    let mut problems = Vec::new();
    let Remains { head, rows, snapshots, segments, owner, .. } = remains;
    let folded = snapshots.last().map_or(Seq::ZERO, |(seq, ..)| *seq);
    let first = rows.first().map_or(folded.next(), |(seq, _)| *seq);
    if folded.next() < first {
        let last = first.get() - 1;
        problems.push(format!("rows {} to {last} are missing: no snapshot has them", folded.next()));
    }
    for pair in rows.windows(2) {
        let (before, after) = (pair[0].0, pair[1].0);
        if before.next() != after {
            problems.push(format!("rows {} to {} are missing", before.next(), after.get().saturating_sub(1)));
        }
    }
    let end = rows.last().map_or(folded, |(seq, _)| (*seq).max(folded));
    if end < *head {
        problems.push(format!("rows {} to {head} are missing at the end of the log", end.next()));
    }
    if *head < end {
        problems.push(format!("the log goes to row {end}, and its head says {head}"));
    }
    let mut archived = Seq::ZERO;
    for Segment { first, last, .. } in segments {
        if *first != archived.next() || last < first {
            problems.push(format!("a segment of rows {first} to {last} follows on row {archived}"));
        }
        archived = *last;
    }
    // What a fold notes is one transaction, so that both end together.
    if archived != folded {
        problems.push(format!("segments go to row {archived}, and the snapshot to row {folded}"));
    }
    if snapshots.is_empty() == remains.columns.is_some() {
        problems.push("the columns of nodes and edges do not belong to a snapshot".to_owned());
    }
    if !remains.owner_is_member {
        problems.push(format!("its owner {owner} is not a member"));
    }
    problems
}

pub(super) fn has_holes(remains: &Remains) -> bool {
    remains.rows.windows(2).any(|pair| pair[0].0.next() != pair[1].0)
        || remains.rows.last().is_some_and(|(last, _)| *last < remains.head)
}

/// Whether nodes and edges in the columns are those of the snapshot.
pub(super) fn odd_columns(folding: &Folding, (nodes, edges): &(String, String)) -> Option<String> {
    let view = folding.view();
    let is_odd = |stored: &str, elements: &[Element]| {
        let stored: Result<Value, _> = serde_json::from_str(stored);
        let made: Result<Value, _> = serde_json::from_str(&column(elements));
        !matches!((stored, made), (Ok(stored), Ok(made)) if is_same(&stored, &made))
    };
    let columns = [("nodes", is_odd(nodes, &view.nodes)), ("edges", is_odd(edges, &view.edges))];
    let odd: Vec<_> = columns.iter().filter(|(_, is_odd)| *is_odd).map(|(name, _)| *name).collect();
    (!odd.is_empty()).then(|| format!("the columns are not what the snapshot shows: {}", odd.join(", ")))
}

/// Databases write numbers in other ways, and one of them has no NUL in a text.
fn is_same(stored: &Value, made: &Value) -> bool {
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    match (stored, made) {
        (Value::Number(stored), Value::Number(made)) => stored.as_f64() == made.as_f64(),
        (Value::String(stored), Value::String(made)) => text(stored) == text(made),
        (Value::Array(stored), Value::Array(made)) => {
            stored.len() == made.len() && stored.iter().zip(made).all(|(stored, made)| is_same(stored, made))
        }
        (Value::Object(stored), Value::Object(made)) => {
            let made: BTreeMap<String, &Value> = made.iter().map(|(key, value)| (text(key), value)).collect();
            stored.len() == made.len()
                && stored
                    .iter()
                    .all(|(key, value)| made.get(&text(key)).is_some_and(|made| is_same(value, made)))
        }
        (stored, made) => stored == made,
    }
}
