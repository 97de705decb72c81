//! Between our types and what SQLite stores. migrations/README.md has the table.

use std::time::Duration;

use sqlx::error::ErrorKind;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Result, StoreError};

/// SQLITE_CORRUPT and SQLITE_NOTADB: <https://www.sqlite.org/rescode.html>.
const DAMAGE_CODES: [i32; 2] = [11, 26];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged(error.to_string()),
            sqlx::Error::Database(cause) if cause.kind() == ErrorKind::ForeignKeyViolation => {
                Self::Damaged("a row would name another that does not exist".to_owned())
            }
            sqlx::Error::Database(cause) if is_damage(cause.as_ref()) => Self::Damaged(error.to_string()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

fn is_damage(cause: &dyn sqlx::error::DatabaseError) -> bool {
    // The low byte is the primary result code, the rest says more about it.
    let code = cause.code().and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| DAMAGE_CODES.contains(&(code & 0xff)))
}

/// For an insert: a row that exists already is a conflict about `what`; other faults stay what they are.
pub(super) fn or_conflict(error: sqlx::Error, what: &'static str) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::Conflict(what),
        _ => error.into(),
    }
}

/// An id as a column of 16 bytes.
pub(super) fn id(value: u128) -> Uuid {
    Uuid::from_u128(value)
}

/// Microseconds since 1970. Anything finer is cut off.
pub(super) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

pub(super) fn instant(micros: i64) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|_| StoreError::Damaged(format!("{micros} is no instant")))
}

/// `delay` after an instant, in microseconds.
pub(super) fn later(micros: i64, delay: Duration) -> i64 {
    micros.saturating_add(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX))
}

/// `age` before an instant, in microseconds.
pub(super) fn before(micros: i64, age: Duration) -> i64 {
    micros.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// At most so many rows.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A SHA-256.
pub(super) fn hash(column: Vec<u8>) -> Result<[u8; 32]> {
    column.try_into().map_err(|_| StoreError::Damaged("a hash is not of 32 bytes".to_owned()))
}

/// A counter as a column. Counters here count single events and stay far below 2^63.
pub(super) fn column(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

pub(super) fn counter(column: i64) -> Result<u64> {
    u64::try_from(column).map_err(|_| StoreError::Damaged(format!("a counter is negative: {column}")))
}

/// A word of one of the closed sets in `atlas_crdt::roles`.
pub(super) fn role<R: std::str::FromStr>(word: &str) -> Result<R> {
    word.parse().map_err(|_| StoreError::Damaged(format!("an unknown role: {word}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_round_trip_to_the_microsecond() {
        for nanos in [0, 1_999, -1, 1_767_225_600_123_456_789] {
            let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let back = instant(micros(at)).unwrap();
            let lost = at - back;
            assert!(0 <= lost.whole_nanoseconds() && lost.whole_nanoseconds() < 1_000, "{at} {back}");
        }
        assert!(matches!(instant(i64::MAX), Err(StoreError::Damaged(_))));
    }
}
