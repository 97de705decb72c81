//! When a link is of no use any more.

use fred::error::Error;

/// So many failures, one after the other, and the link is thrown away.
const FAILURES_MAX: u32 = 3;

/// What became of the commands of one link.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// In a row.
    failures: u32,
    is_told: bool,
}

impl Refusals {
    /// An error: that was one too many.
    pub(super) fn note(&mut self, answer: Result<(), Error>) -> Option<Error> {
        let Err(error) = answer else {
            self.failures = 0;
            return None;
        };
        // Redis is there and says no, and so it will over any other link.
        if error.details().starts_with("NOPERM") {
            if !std::mem::replace(&mut self.is_told, true) {
                tracing::error!(cause = error.details(), "Redis refuses: its account lacks a right");
            }
            return None;
        }
        self.failures += 1;
        (FAILURES_MAX <= self.failures).then_some(error)
    }
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind;

    use super::*;

    #[test]
    fn failures_in_a_row_end_it_and_refusals_never() {
        let failed = || Err(Error::new(ErrorKind::Timeout, "no answer"));
        let refused = || Err(Error::new(ErrorKind::Unknown, "NOPERM this user has no permissions"));
        let mut refusals = Refusals::default();
        assert!(refusals.note(failed()).is_none() && refusals.note(failed()).is_none());
        assert!(refusals.note(Ok(())).is_none(), "it begins anew");
        assert!(refusals.note(failed()).is_none() && refusals.note(failed()).is_none());
        assert!((0..10).all(|_| refusals.note(refused()).is_none()));
        assert_eq!(refusals.note(failed()).unwrap().details(), "no answer");
    }
}
