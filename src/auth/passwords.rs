//! Passwords: argon2id, kept as PHC strings. Hashing costs 19 MiB and some tens of milliseconds on purpose, so it
//! happens on blocking threads, a few at a time, with a bounded queue before it.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Characters. The shortest password that registration takes (NIST SP 800-63B asks for at least eight).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Characters. The longest: a bound on work, far above what people type.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Hashes at work or waiting. Past it the answer is "busy": a queue of seconds helps nobody.
const QUEUE_MAX: usize = 128;

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting already.
    #[error("too many passwords are being checked")]
    Busy,
    /// A stored hash that cannot be read, or a hasher that failed.
    #[error("the password could not be hashed: {0}")]
    Broken(String),
}

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// One permit per hash at work or waiting.
    queue: Arc<Semaphore>,
    /// One permit per hash at work: as many as cores, since more would only take turns.
    work: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { queue: Arc::new(Semaphore::new(QUEUE_MAX)), work: Arc::new(Semaphore::new(cores.min(8))) }
    }

    /// The PHC string to store. `salt` is fresh and random.
    pub async fn hash(&self, password: SecretString, salt: [u8; 16]) -> Result<String, PasswordError> {
        self.run(move || {
            Argon2::default()
                .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| PasswordError::Broken(error.to_string()))
        })
        .await
    }

    /// Whether the password belongs to the stored PHC string. `None`, nobody of that name, takes as long as a wrong
    /// password does, so that the clock does not tell who has an account.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.run(move || {
            let password = password.expose_secret().as_bytes();
            let argon2 = Argon2::default();
            let Some(stored) = stored else {
                let wasted = argon2.hash_password_with_salt(password, &[0; 16]);
                return wasted.map(|_| false).map_err(|error| PasswordError::Broken(error.to_string()));
            };
            let stored =
                PasswordHash::new(&stored).map_err(|error| PasswordError::Broken(error.to_string()))?;
            Ok(argon2.verify_password(password, &stored).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.work).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            // Held until the work is done, even when nobody waits for its outcome any more.
            drop((queued, turn));
            outcome
        });
        done.await.map_err(|error| PasswordError::Broken(error.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash(secret("correct horse"), [7; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horsf"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horse"), None).await.unwrap());
        let other = passwords.hash(secret("correct horse"), [8; 16]).await.unwrap();
        assert_ne!(hash, other, "the salt matters");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let outcome = Passwords::new().verify(secret("x"), Some("not a hash".to_owned())).await;
        assert!(matches!(outcome, Err(PasswordError::Broken(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let passwords = Passwords { queue: Arc::new(Semaphore::new(0)), work: Arc::new(Semaphore::new(1)) };
        let outcome = passwords.verify(secret("x"), None).await;
        assert!(matches!(outcome, Err(PasswordError::Busy)), "{outcome:?}");
    }
}
