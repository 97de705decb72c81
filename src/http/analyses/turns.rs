//! How often somebody may have a design analysed on demand. Counted by each server for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atlas_crdt::ids::{Millis, UserId};

/// Within a window.
pub(super) const TURNS_MAX: usize = 5;
/// Milliseconds.
const WINDOW_MS: u64 = 60_000;
/// People remembered. Those whose window has passed are forgotten when there are more.
const PEOPLE_MAX: usize = 10_000;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<UserId, Vec<Millis>>>>);

impl Turns {
    /// Takes a turn, or says how many seconds are left until there is one.
    pub(super) fn take(&self, user: UserId, now: Millis) -> Result<(), u64> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = |at: &Millis| now.since(*at) < WINDOW_MS;
        if PEOPLE_MAX <= people.len() {
            people.retain(|_, turns| turns.iter().any(is_young));
        }
        if PEOPLE_MAX <= people.len() && !people.contains_key(&user) {
            return Err(WINDOW_MS / 1_000);
        }
        let turns = people.entry(user).or_default();
        turns.retain(is_young);
        match turns.first() {
            Some(first) if TURNS_MAX <= turns.len() => {
                Err((WINDOW_MS - now.since(*first)).div_ceil(1_000).max(1))
            }
            _ => {
                turns.push(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId::from_u128(1);

    #[test]
    fn five_in_any_minute_and_others_are_not_held_up() {
        let turns = Turns::default();
        for second in 0..5 {
            assert_eq!(turns.take(ADA, Millis::new(second * 10_000)), Ok(()));
        }
        assert_eq!(turns.take(ADA, Millis::new(40_001)), Err(20));
        assert_eq!(turns.take(UserId::from_u128(2), Millis::new(40_001)), Ok(()));
        assert_eq!(turns.take(ADA, Millis::new(59_999)), Err(1));
        assert_eq!(turns.take(ADA, Millis::new(60_000)), Ok(()));
        assert_eq!(turns.take(ADA, Millis::new(60_000)), Err(10));
    }

    #[test]
    fn memory_is_bounded() {
        let turns = Turns::default();
        let user = |n: usize| UserId::from_u128(n as u128);
        for n in 0..PEOPLE_MAX {
            turns.take(user(n), Millis::new(0)).unwrap();
        }
        assert_eq!(turns.take(user(PEOPLE_MAX), Millis::new(0)), Err(60));
        assert_eq!(turns.take(user(PEOPLE_MAX), Millis::new(60_000)), Ok(()));
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
