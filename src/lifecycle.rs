//! How the process lives and stops: every task belongs to [`Tasks`], so that a stop can tell all of them and wait.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of this process, and the token that tells them to end. Cheap to clone; all clones share both.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the future to its end. It ends by itself, at the latest soon after [`Tasks::token`] is cancelled.
    /// A panic is logged under `name` and ends that task alone. The handle need not be kept: dropping it detaches.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of spawned tasks")]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // What a panicking task shared with others is behind channels and locks that say so themselves.
        let watched = AssertUnwindSafe(future).catch_unwind();
        tokio::spawn(self.tracker.track_future(async move {
            if let Err(panic) = watched.await {
                tracing::error!(task = name, panic = panic_text(&*panic), "a task panicked");
            }
        }))
    }

    /// Cancelled when the process stops. Clone it into each task, or make child tokens.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Cancels the token and waits until every task has ended. False: after `deadline` some had not.
    pub async fn close_and_wait(&self, deadline: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        let all_ended = tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok();
        if !all_ended {
            tracing::warn!(running = self.running(), "some tasks did not end in time");
        }
        all_ended
    }
}

/// Bytes. The stack of every thread that may see a document: it may be nested as deep as the gate lets it, and decoding
/// recurses.
pub const THREAD_STACK_BYTES: usize = 4 << 20;
/// The lowest priority there is: such a thread gets what nobody else wants.
const NICE: i32 = 19;

/// Work in the background that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundFault {
    #[error("no thread can be started")]
    NoThread(#[source] std::io::Error),
    #[error("the work panicked: {0}")]
    Panicked(String),
}

/// Runs what takes a core for a while on a thread of its own and of the lowest priority: where cores are few, those who
/// serve go first. It runs to its end even when the caller stops waiting.
pub async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackgroundFault> {
    let (done, ended) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("background".to_owned()).stack_size(THREAD_STACK_BYTES);
    let run = move || {
        // Where the system knows no priorities, or grants none, the work is done all the same.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICE);
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(work));
        let _ = done.send(outcome.map_err(|panic| BackgroundFault::Panicked(panic_text(&*panic).to_owned())));
    };
    drop(thread.spawn(run).map_err(BackgroundFault::NoThread)?);
    ended.await.unwrap_or_else(|_| Err(BackgroundFault::Panicked("it was dropped".to_owned())))
}

/// What a panic said, for the log.
#[must_use]
pub fn panic_text<'a>(panic: &'a (dyn Any + Send + 'static)) -> &'a str {
    match (panic.downcast_ref::<&'static str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "(no text)",
    }
}

/// Returns when the process is asked to stop: SIGTERM from an orchestrator, or Ctrl-C.
///
/// # Errors
/// When the system refuses the signal handlers.
pub async fn stop_signal() -> std::io::Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        })
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await?;
        Ok("Ctrl-C")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_stop_tells_every_task_and_waits_for_it() {
        let tasks = Tasks::new();
        let token = tasks.token().clone();
        let ended = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&ended);
        tasks.spawn("patient", async move {
            token.cancelled().await;
            set.store(true, Ordering::SeqCst);
        });
        assert!(tasks.close_and_wait(Duration::from_secs(5)).await);
        assert!(ended.load(Ordering::SeqCst));
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_alone() {
        let tasks = Tasks::new();
        tasks.spawn("unlucky", async { panic!("a deliberate panic of this test") }).await.unwrap();
        let survivor = tasks.spawn("survivor", async {});
        survivor.await.unwrap();
        assert!(tasks.close_and_wait(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn work_in_the_background_stands_back_and_its_panic_is_told() {
        assert_eq!(in_background(|| 7).await.unwrap(), 7);
        let fault = in_background(|| panic!("a deliberate panic of this test")).await;
        let fault: Result<(), _> = fault;
        assert_eq!(fault.unwrap_err().to_string(), "the work panicked: a deliberate panic of this test");
        #[cfg(target_os = "linux")]
        {
            let nice = || rustix::process::getpriority_process(None).unwrap();
            let before = nice();
            assert_eq!(in_background(nice).await.unwrap(), 19);
            assert_eq!(nice(), before, "and nobody else does");
        }
    }

    #[tokio::test]
    async fn a_task_that_never_ends_is_not_waited_for_longer_than_the_deadline() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        assert!(!tasks.close_and_wait(Duration::from_millis(20)).await);
        assert_eq!(tasks.running(), 1);
    }

    #[test]
    fn panic_texts_of_both_kinds_are_read() {
        assert_eq!(panic_text(&"static"), "static");
        assert_eq!(panic_text(&String::from("owned")), "owned");
        assert_eq!(panic_text(&7), "(no text)");
    }
}
