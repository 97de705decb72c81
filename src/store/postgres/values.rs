//! Between our types and what Postgres stores. migrations/README.md has the table.

use std::borrow::Cow;
use std::time::Duration;

use atlas_crdt::ids::DesignId;
use sqlx::error::DatabaseError;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::StoreError;
pub(super) use crate::store::columns::{column, counter, hash, id, limit, or_conflict, role};

/// A text column cannot hold U+0000, and nobody's edit may fail for it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// JSON text for a column of JSONB, which holds no U+0000 either: written out or as the escape `\u0000`, it becomes U+FFFD.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    const NUL: &str = "u0000";
    if !text.contains('\0') && !text.contains(NUL) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\0', '\\']) {
        let (before, found) = rest.split_at(at);
        written.push_str(before);
        // A backslash takes the character behind it along, so that one that is escaped itself begins nothing.
        let length = if found.starts_with('\0') {
            written.push('\u{fffd}');
            1
        } else if found[1..].starts_with(NUL) {
            written.push('\u{fffd}');
            1 + NUL.len()
        } else {
            let length = 1 + found[1..].chars().next().map_or(0, char::len_utf8);
            written.push_str(&found[..length]);
            length
        };
        rest = &found[length..];
    }
    written.push_str(rest);
    Cow::Owned(written)
}

/// Designs as a column of ids.
pub(super) fn ids(designs: &[DesignId]) -> Vec<Uuid> {
    designs.iter().map(|design| id(design.as_u128())).collect()
}

/// A name as the filter searches it.
pub(super) fn search_key(name: &str) -> String {
    text(name).to_lowercase()
}

/// What a column keeps of an instant: whole microseconds. Anything finer is cut off, so that an instant compares with
/// a stored one as it would after being stored.
pub(super) fn micros(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at)
}

/// As microseconds, for `now() + $n * interval '1 microsecond'`. Cut off at a thousand years, which every column holds.
pub(super) fn duration(duration: Duration) -> i64 {
    const MAX: i64 = 1_000 * 365 * 86_400 * 1_000_000;
    i64::try_from(duration.as_micros()).unwrap_or(MAX).min(MAX)
}

/// Why a transaction did not happen, or is not known to have.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database cannot be reached, is full, stops, or did not answer: no statement is to blame.
    Store(StoreError),
    /// A statement waited too long for a lock, ran too long, or met another in a deadlock: perhaps through one design
    /// alone.
    Slow(StoreError),
    /// A statement failed: perhaps through one design alone.
    Statement(StoreError),
    /// Not a fault of the database: what was asked for cannot be.
    Refused(StoreError),
}

impl Fault {
    /// What a failed statement says.
    pub(super) fn of(error: StoreError) -> Self {
        let StoreError::Unavailable(cause) = &error else {
            return match error {
                StoreError::Damaged(_) => Self::Statement(error),
                _ => Self::Refused(error),
            };
        };
        match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(told)) => match Blame::of(told.as_ref()) {
                Blame::Store => Self::Store(error),
                Blame::Wait => Self::Slow(error),
                Blame::Damage => Self::Statement(StoreError::Damaged(told.message().to_owned())),
                Blame::Statement => Self::Statement(error),
            },
            Some(sqlx::Error::Encode(_) | sqlx::Error::TypeNotFound { .. }) | None => Self::Statement(error),
            Some(_) => Self::Store(error),
        }
    }

    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Store(error) | Self::Slow(error) | Self::Statement(error) | Self::Refused(error) => error,
        }
    }
}

enum Blame {
    Store,
    Wait,
    Damage,
    Statement,
}

impl Blame {
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        match &code[..] {
            // Serialisation, deadlock, lock not available, statement timeout.
            "40001" | "40P01" | "55P03" | "57014" => Self::Wait,
            // A primary that has become a replica.
            "25006" => Self::Store,
            "XX001" | "XX002" => Self::Damage,
            // Connection, resources, operator, system.
            code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Self::Store,
            _ => Self::Statement,
        }
    }
}

/// One fault told to several callers.
pub(super) fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Damaged(what) => StoreError::Damaged(what.clone()),
        other => StoreError::Unavailable(anyhow::anyhow!(told(other))),
    }
}

/// The fault with its cause, for the log.
pub(super) fn told(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_postgres_cannot_store_is_replaced() {
        assert_eq!(text("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(text("größe"), Cow::Borrowed("größe")));
        assert_eq!(search_key("ÄR\0GER"), "är\u{fffd}ger");
    }

    #[test]
    fn json_that_postgres_cannot_store_is_replaced() {
        let same =
            [r#"{"a":"b"}"#, r#"["\\u0000"]"#, r#"["\\\\u0000", "u0000"]"#, r#"["\u0001\n\"é☃"]"#, "[\"\\"];
        for text in same {
            assert_eq!(json(text), text);
        }
        assert_eq!(json(r#"["\u0000a\u0000"]"#), "[\"\u{fffd}a\u{fffd}\"]");
        assert_eq!(json(r#"{"\\\u0000":"\"\u0000\é"}"#), "{\"\\\\\u{fffd}\":\"\\\"\u{fffd}\\é\"}");
        assert_eq!(json("[\"\0\"]"), "[\"\u{fffd}\"]");
        assert_eq!(json("\\\0"), "\\\0", "no JSON");
    }

    #[test]
    fn durations_fit_a_column() {
        assert_eq!(duration(Duration::from_millis(3)), 3_000);
        assert!(duration(Duration::MAX) < 1 << 55);
    }

    #[test]
    fn instants_are_cut_to_the_microsecond() {
        for nanos in [0, 1_999, -1, 1_767_225_600_123_456_789] {
            let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let lost = at - micros(at);
            assert!(0 <= lost.whole_nanoseconds() && lost.whole_nanoseconds() < 1_000, "{at} {}", micros(at));
            assert_eq!(micros(at).nanosecond() % 1_000, 0);
        }
    }
}
