//! How long the whole machine stood still, for measurements of what happens on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atlas_loadtest::world;
use tokio::task::JoinHandle;

use crate::faults::crew::now;

const BEAT: Duration = Duration::from_millis(20);
/// A sleep takes that much longer anywhere.
const USUAL: Duration = Duration::from_millis(5);

/// Sleeps a little, over and over, and adds up how much too long that took.
pub(super) struct Stalls {
    micros: Arc<AtomicU64>,
    beating: JoinHandle<()>,
}

impl Stalls {
    pub(super) fn watch() -> Self {
        let micros = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&micros);
        let beating = world::spawn(async move {
            loop {
                let began = now();
                tokio::time::sleep(BEAT).await;
                let late = began.elapsed().saturating_sub(BEAT);
                if USUAL < late {
                    sum.fetch_add(u64::try_from(late.as_micros()).unwrap(), Ordering::SeqCst);
                }
            }
        });
        Self { micros, beating }
    }

    /// Altogether, since it is watched.
    pub(super) fn so_far(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::SeqCst))
    }

    /// What of `took` passed while the machine did something, where `before` was the sum at its beginning. Says what did not.
    pub(super) fn without(&self, took: Duration, before: Duration) -> Duration {
        let stalled = self.so_far().saturating_sub(before);
        if !stalled.is_zero() {
            println!("the machine stood still for {stalled:?} of {took:?}");
        }
        took.saturating_sub(stalled)
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.beating.abort();
    }
}
