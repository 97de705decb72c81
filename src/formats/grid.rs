//! Places for nodes that have none: always the same for the same file.

use std::collections::HashMap;

use atlas_crdt::schema;
use serde_json::{Value, json};

use super::elements::Found;
use super::report::{ImportReport, below};

/// Canvas units from one place to the next, wide enough for a node of Koh Atlas and a label on the edge between two.
const STEP_X: i64 = 300;
const STEP_Y: i64 = 180;
/// Canvas units. The first place.
const ORIGIN: i64 = 100;
/// Places side by side where nothing says how to group them.
const COLUMNS: usize = 6;
/// Places below each other in one column of a zone.
const ROWS: usize = 12;

/// From what anybody reaches to what few may touch; the first list with a word of the zone's name wins, and zones that
/// no list knows stand behind the others. "Private" and "internal" come first, because they tell more than the tier.
const ZONE_WORDS: [(usize, &[&str]); 6] = [
    (2, &["private", "internal"]),
    (0, &["untrusted", "external", "internet", "client", "user"]),
    (1, &["edge", "perimeter", "dmz", "public", "web"]),
    (3, &["data", "storage"]),
    (4, &["manage", "security", "observ", "identity", "monitor"]),
    (2, &["app", "compute", "service"]),
];
const RANK_UNKNOWN: usize = 5;

/// Numbers that were written as text are numbers again.
pub(super) fn mend_position(node: &mut Found, report: &mut ImportReport) {
    let path = below(&node.path, schema::POSITION);
    let Some(Value::Object(position)) = node.body.get_mut(schema::POSITION) else { return };
    for key in ["x", "y"] {
        let Some(value) = position.get_mut(key) else { continue };
        let Some(number) = value.as_str().and_then(|text| text.trim().parse::<f64>().ok()) else { continue };
        if number.is_finite() {
            let number = Value::from(number);
            report.changed(&below(&path, key), "number_from_text", value, &number);
            *value = number;
        }
    }
}

fn xy(node: &Found) -> Option<(f64, f64)> {
    let position = node.body.get(schema::POSITION)?;
    Some((position.get("x")?.as_f64()?, position.get("y")?.as_f64()?))
}

/// Puts the nodes without a position below all the others, in rows.
pub(super) fn place(nodes: &mut [Found], report: &mut ImportReport) {
    let below_all = nodes.iter().filter_map(xy).map(|(_, y)| units(y) + STEP_Y).max();
    let top = below_all.unwrap_or(ORIGIN);
    let homeless = nodes.iter_mut().filter(|node| xy(node).is_none());
    for (at, node) in homeless.enumerate() {
        let (column, row) = (at % COLUMNS, at / COLUMNS);
        put(node, along(column, STEP_X), top + along(row, STEP_Y) - ORIGIN, report);
    }
}

/// Puts nodes that have no position into columns by their zone, from the outside to the inside. `zones` has one for
/// each node.
pub(super) fn place_by_zone(nodes: &mut [Found], zones: &[String], report: &mut ImportReport) {
    let columns = columns(zones);
    let mut filled: HashMap<&str, usize> = HashMap::new();
    for (node, zone) in nodes.iter_mut().zip(zones) {
        if xy(node).is_some() {
            continue;
        }
        let place = filled.entry(zone).or_default();
        let column = columns.get(zone.as_str()).copied().unwrap_or_default() + *place / ROWS;
        put(node, along(column, STEP_X), along(*place % ROWS, STEP_Y), report);
        *place += 1;
    }
}

/// The first column of each zone: zones by rank, then in the order of the file, each as wide as it needs.
fn columns(zones: &[String]) -> HashMap<&str, usize> {
    let mut order: Vec<&str> = Vec::new();
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for zone in zones {
        let size = sizes.entry(zone).or_default();
        if *size == 0 {
            order.push(zone);
        }
        *size += 1;
    }
    order.sort_by_key(|zone| rank(zone));
    let mut next = 0;
    let mut columns = HashMap::new();
    for zone in order {
        columns.insert(zone, next);
        next += sizes.get(zone).copied().unwrap_or_default().div_ceil(ROWS);
    }
    columns
}

fn rank(zone: &str) -> usize {
    let zone = zone.to_lowercase();
    let known = ZONE_WORDS.iter().find(|(_, words)| words.iter().any(|word| zone.contains(word)));
    known.map_or(RANK_UNKNOWN, |(rank, _)| *rank)
}

/// Whole canvas units. Nobody draws further away than this.
#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn units(length: f64) -> i64 {
    length.clamp(-1e9, 1e9).ceil() as i64
}

fn along(place: usize, step: i64) -> i64 {
    ORIGIN + i64::try_from(place).unwrap_or_default() * step
}

fn put(node: &mut Found, x: i64, y: i64, report: &mut ImportReport) {
    let position = json!({ "x": x, "y": y });
    let path = below(&node.path, schema::POSITION);
    let was = node.body.insert(schema::POSITION.to_owned(), position.clone()).unwrap_or_default();
    report.changed(&path, "placed", &was, &position);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_stand_from_the_outside_to_the_inside() {
        let ranks = ["External", "Perimeter", "Application", "Data tier", "Management", "Moon"].map(rank);
        assert_eq!(ranks, [0, 1, 2, 3, 4, 5]);
        assert_eq!(rank("Private web subnet"), 2, "private tells more than web");
    }

    #[test]
    fn a_full_zone_takes_another_column() {
        let zones: Vec<String> = (0..=ROWS).map(|_| "dmz".to_owned()).chain(["data".to_owned()]).collect();
        let columns = columns(&zones);
        assert_eq!((columns["dmz"], columns["data"]), (0, 2));
    }
}
