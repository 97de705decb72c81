//! What an import did with a file, for the person who brought it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Entries of one list. Whatever is beyond is counted in a warning: a report must not outgrow its file.
const ENTRIES_MAX: usize = 1_000;
/// Bytes of JSON. A larger value is quoted in part.
const QUOTE_BYTES_MAX: usize = 400;
/// Characters of a key inside a path.
const PATH_KEY_CHARS_MAX: usize = 64;

/// Paths are those of the file, like `nodes[3].data.port`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct ImportReport {
    /// `kohatlas`, `kohatlas-legacy` or `snapshot`.
    pub format: &'static str,
    pub kept: Kept,
    pub changed: Vec<Change>,
    pub guessed: Vec<Guess>,
    pub dropped: Vec<Dropped>,
    pub warnings: Vec<Warning>,
    #[serde(skip)]
    beyond: Beyond,
}

/// Elements of the new design.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImportKept)]
pub struct Kept {
    pub nodes: usize,
    /// Those that lead nowhere are among them.
    pub edges: usize,
}

/// Something has another value now, or stands under another key.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ImportChange)]
pub struct Change {
    pub path: String,
    /// A stable word.
    pub rule: &'static str,
    pub from: Value,
    pub to: Value,
}

/// Something that the file does not say.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ImportGuess)]
pub struct Guess {
    pub path: String,
    #[serde(rename = "as")]
    pub value: Value,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Something that is not in the design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImportDropped)]
pub struct Dropped {
    pub path: String,
    pub reason: &'static str,
}

/// Something that is kept, but odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImportWarning)]
pub struct Warning {
    /// A stable word.
    pub code: &'static str,
    /// The id of a node or an edge of the new design; empty when it is about the whole.
    pub element: String,
    pub message: String,
}

/// How many entries found no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Beyond {
    changed: usize,
    guessed: usize,
    dropped: usize,
    warnings: usize,
}

impl ImportReport {
    pub(super) fn new(format: &'static str) -> Self {
        Self { format, ..Self::default() }
    }

    pub(super) fn changed(&mut self, path: &str, rule: &'static str, from: &Value, to: &Value) {
        if has_room(&self.changed, &mut self.beyond.changed) {
            self.changed.push(Change { path: path.to_owned(), rule, from: quote(from), to: quote(to) });
        }
    }

    pub(super) fn guessed(&mut self, path: &str, value: &Value, confidence: f64) {
        if has_room(&self.guessed, &mut self.beyond.guessed) {
            self.guessed.push(Guess { path: path.to_owned(), value: quote(value), confidence });
        }
    }

    pub(super) fn dropped(&mut self, path: &str, reason: &'static str) {
        if has_room(&self.dropped, &mut self.beyond.dropped) {
            self.dropped.push(Dropped { path: path.to_owned(), reason });
        }
    }

    pub(super) fn warning(&mut self, code: &'static str, element: &str, message: String) {
        if has_room(&self.warnings, &mut self.beyond.warnings) {
            self.warnings.push(Warning { code, element: element.to_owned(), message });
        }
    }

    /// Adds what was counted only.
    pub(super) fn finish(&mut self, kept: Kept) {
        self.kept = kept;
        let Beyond { changed, guessed, dropped, warnings } = self.beyond;
        for (list, beyond) in
            [("changed", changed), ("guessed", guessed), ("dropped", dropped), ("warnings", warnings)]
        {
            if 0 < beyond {
                self.warnings.push(Warning {
                    code: "report_cut",
                    element: String::new(),
                    message: format!("`{list}` has {beyond} entries more than are shown"),
                });
            }
        }
    }
}

fn has_room<T>(list: &[T], beyond: &mut usize) -> bool {
    let has_room = list.len() < ENTRIES_MAX;
    *beyond += usize::from(!has_room);
    has_room
}

/// The value, or the beginning of its text if that is long.
fn quote(value: &Value) -> Value {
    if !matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_)) {
        return value.clone();
    }
    let text = value.to_string();
    if text.len() <= QUOTE_BYTES_MAX {
        return value.clone();
    }
    Value::String(text.chars().take(QUOTE_BYTES_MAX / 4).chain(std::iter::once('…')).collect())
}

/// `path.key`, or `path["key"]` where the key is no plain word. A long key is cut.
pub(super) fn below(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.len() <= PATH_KEY_CHARS_MAX
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    let mut path = path.to_owned();
    if is_plain {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        let cut: String = key.chars().take(PATH_KEY_CHARS_MAX).collect();
        let _ = write!(path, "[{cut:?}]");
    }
    path
}
