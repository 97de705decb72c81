//! For tests only (feature `poison`, which no release is built with): updates that pass every check and at which yrs
//! then fails.
//!
//! yrs is expected to have faults that nobody has found yet, and the room has a second fence for them. To show that
//! the fence holds, an update that carries one of these texts fails the transaction *after* it was applied, with
//! everything before it: as a panic, which leaves half a transaction open, or as an error.

use yrs::Update;

use super::ApplyFault;

/// A small update with this text anywhere in it makes the transaction panic.
pub const PANICS: &str = "poison: yrs panics at this";
/// A small update with this text anywhere in it makes the transaction fail.
pub const FAILS: &str = "poison: yrs fails at this";

/// Only updates below this are looked at, so that large ones stay fast.
const BYTES_MAX: usize = 4 << 10;

/// The decoded `updates`, and behind each poisoned one its effect.
pub(super) fn poisoned<'a>(
    updates: &'a [&'a [u8]],
    decoded: impl Iterator<Item = Result<Update, ApplyFault>> + 'a,
) -> impl Iterator<Item = Result<Update, ApplyFault>> + 'a {
    decoded.zip(updates).flat_map(|(decoded, bytes)| {
        let effect = std::iter::once_with(move || {
            assert!(!holds(bytes, PANICS), "{PANICS}");
            holds(bytes, FAILS).then_some(Err(ApplyFault::Incomplete))
        });
        std::iter::once(decoded).chain(effect.flatten())
    })
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.len() < BYTES_MAX && bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
