//! Files become designs: what people have already, taken in without losing any of it.
//!
//! - `kohatlas`: what Koh Atlas exports, React Flow JSON with `nodes` and `edges` (v11 and v12), and
//! - `kohatlas-legacy`: its older form with `components` and `connections`;
//! - `snapshot`: the JSON that this server itself gives out, so that an export can be taken back.
//!
//! A file is recognised by its keys, never by a `version` that it claims. Everything that was changed, guessed or left
//! out on the way stands in the [`ImportReport`]; unknown keys are kept where they were, and unknown top-level keys go
//! to `meta` under their own names. A limit that a file breaks is an error that names the place and the rule: nothing
//! is cut short in silence.
//!
//! The text must be JSON (RFC 8259) in UTF-8, with or without a byte order mark, at most [`FILE_BYTES_MAX`] long and
//! nested at most 128 deep ([`ANY_DEPTH_MAX`](atlas_crdt::limits::ANY_DEPTH_MAX) for what is kept). Of a key that
//! stands twice in one object the last value counts, as in JavaScript. Numbers are JavaScript's: an integer beyond 2^53
//! loses its last digits, which is reported.

mod bounds;
mod elements;
mod grid;
mod kohatlas;
mod legacy;
mod meta;
mod report;
mod snapshot;

use atlas_crdt::design::NewDesign;
use serde_json::{Map, Value};

pub use report::{Change, Dropped, Guess, ImportReport, Kept, Warning};

/// Bytes. A file to import.
pub const FILE_BYTES_MAX: usize = 5 << 20;

/// A file, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Ready for [`create`](atlas_crdt::design::create), which accepts it.
    pub design: NewDesign,
    pub report: ImportReport,
}

/// Why a file cannot become a design.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("the file has {got} bytes, and {max} are allowed")]
    TooLarge { max: usize, got: usize },
    /// With the place in the text, or the depth that no file may have.
    #[error("the file is not JSON: {0}")]
    NotJson(String),
    #[error("the format {0:?} is not known: auto, kohatlas or snapshot")]
    UnknownFormat(String),
    #[error("the file has neither `nodes` and `edges` nor `components` and `connections`")]
    Unrecognised,
    #[error("{path}: {expected} is expected")]
    Unexpected { path: String, expected: &'static str },
    /// A limit of the document. `rule` is its name in `limits.rs`, in small letters.
    #[error("{path}: {rule} is {max}, not {got}")]
    Limit { path: String, rule: &'static str, max: usize, got: usize },
}

/// The forms that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    KohAtlas,
    KohAtlasLegacy,
    Snapshot,
}

/// Reads a file. `format` is `auto`, or the name of the format that the file must have.
pub fn import(bytes: &[u8], format: &str) -> Result<Imported, ImportError> {
    if FILE_BYTES_MAX < bytes.len() {
        return Err(ImportError::TooLarge { max: FILE_BYTES_MAX, got: bytes.len() });
    }
    if !["auto", "kohatlas", "kohatlas-legacy", "snapshot"].contains(&format) {
        return Err(ImportError::UnknownFormat(format.chars().take(64).collect()));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: Value =
        serde_json::from_slice(text).map_err(|error| ImportError::NotJson(error.to_string()))?;
    let Value::Object(file) = file else {
        return Err(ImportError::Unexpected { path: "$".to_owned(), expected: "an object" });
    };
    let form = match format {
        "auto" => recognise(&file),
        "snapshot" => Some(Form::Snapshot).filter(|_| has(&file, ["nodes", "edges", "meta"])),
        _ => recognise_kohatlas(&file),
    };
    match form.ok_or(ImportError::Unrecognised)? {
        Form::KohAtlas => kohatlas::read(file),
        Form::KohAtlasLegacy => legacy::read(file),
        Form::Snapshot => snapshot::read(file),
    }
}

fn recognise(file: &Map<String, Value>) -> Option<Form> {
    if has(file, ["nodes", "edges", "meta", "schema_version", "content_hash", "integrity"]) {
        return Some(Form::Snapshot);
    }
    recognise_kohatlas(file)
}

fn recognise_kohatlas(file: &Map<String, Value>) -> Option<Form> {
    if has(file, ["nodes", "edges"]) {
        Some(Form::KohAtlas)
    } else if has(file, ["components", "connections"]) {
        Some(Form::KohAtlasLegacy)
    } else {
        None
    }
}

fn has<const N: usize>(file: &Map<String, Value>, keys: [&str; N]) -> bool {
    keys.iter().all(|key| file.contains_key(*key))
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
