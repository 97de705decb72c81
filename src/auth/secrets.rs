//! Refresh tokens and tickets: 256 random bits as text. A store keeps their hash only, so that reading the store opens
//! nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Characters of a secret's text.
const TEXT_CHARS: usize = 43;

/// As its owner gets it: base64url. Never contains a dot, which every access token does.
#[must_use]
pub fn to_text(secret: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(secret)
}

/// As a store keeps it. The secret is random: it needs no salt and no slow hash.
#[must_use]
pub fn hash(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// The hash of what somebody presents; `None`: nothing that we could have issued.
#[must_use]
pub fn hash_of_text(text: &str) -> Option<[u8; 32]> {
    if text.len() != TEXT_CHARS {
        return None;
    }
    let secret: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(hash(&secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_could_have_issued_is_looked_up() {
        let issued = to_text(&[9; 32]);
        assert_eq!(issued.len(), TEXT_CHARS);
        assert_eq!(hash_of_text(&issued), Some(hash(&[9; 32])));
        let others =
            ["", "a", &issued[1..], &format!("{issued}A"), &issued.replace('C', "+"), &"é".repeat(22)];
        for text in others {
            assert_eq!(hash_of_text(text), None, "{text}");
        }
    }
}
