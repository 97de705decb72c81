//! Between our types and what SQLite stores. migrations/README.md has the table.

use std::time::Duration;

use time::OffsetDateTime;

pub(super) use crate::store::columns::{column, counter, hash, id, limit, or_conflict, role};
use crate::store::{Result, StoreError};

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
