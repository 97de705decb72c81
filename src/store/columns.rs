//! What both databases store alike, and how their errors read. What is one dialect's own stands in its `values.rs`.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::sqlite::SqliteError;
use uuid::Uuid;

use super::{Result, StoreError};

/// SQLITE_CORRUPT and SQLITE_NOTADB: <https://www.sqlite.org/rescode.html>. Postgres' codes are read in
/// `postgres/values.rs`, which also has to know whose fault an error is.
const SQLITE_DAMAGE_CODES: [i32; 2] = [11, 26];

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

fn is_damage(cause: &dyn DatabaseError) -> bool {
    // The low byte is the primary result code, the rest says more about it. Other databases have numbers of their own.
    let code = cause.try_downcast_ref::<SqliteError>().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| SQLITE_DAMAGE_CODES.contains(&(code & 0xff)))
}

/// For an insert: a row that exists already is a conflict about `what`; other faults stay what they are.
pub(super) fn or_conflict(error: sqlx::Error, what: &'static str) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::Conflict(what),
        _ => error.into(),
    }
}

/// An id as a column.
pub(super) fn id(value: u128) -> Uuid {
    Uuid::from_u128(value)
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
