//! The HTTP side: one router over the store and the hub. Each resource is one file with its types, handlers and
//! documentation; `http/problem.rs` says how errors leave, `http/layers.rs` what every request passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use tokio::sync::Semaphore;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::clock::{Clock, Ids};
use crate::hub::Hub;
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::store::analyses::Analyses;
use crate::store::upkeep::Upkeep;

use credentials::Credentials;

pub mod accept;
pub mod accounts;
pub mod analyses;
mod budget;
pub mod client;
pub mod cookie;
pub mod credentials;
pub mod designs;
pub mod edit;
pub mod extract;
pub mod health;
pub mod import;
pub mod layers;
pub mod members;
pub mod openapi;
pub mod problem;
pub mod snapshot;
pub mod socket;
pub mod start_page;
pub mod tickets;

/// What every handler can reach. Cheap to clone; nothing but the phase changes after the start.
#[derive(Clone)]
pub struct AppState {
    pub store: Arc<dyn Store>,
    pub upkeep: Arc<dyn Upkeep>,
    pub analyses: Arc<dyn Analyses>,
    pub analysing: health::Analysing,
    /// Analyses on demand, of each person.
    pub turns: analyses::Turns,
    pub hub: Hub,
    pub auth: Arc<Credentials>,
    pub clock: Clock,
    pub ids: Ids,
    pub tasks: Tasks,
    pub settings: Arc<HttpSettings>,
    /// Set by the stop, before anything else; read by `/ready`.
    pub draining: Draining,
    /// One permit per document that is loaded, parsed, folded or rendered outside a room.
    pub heavy: HeavyWork,
    /// What all request bodies together may keep in memory.
    pub bodies: extract::Bodies,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Who may open an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Whoever reaches the server.
    #[default]
    Open,
    /// Nobody but the first user.
    Closed,
}

/// The settings of the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Origins besides our own whose pages may call us, for example `https://app.kohatlas.com`.
    pub allowed_origins: Vec<String>,
    /// The address that people type, when it is not the one we listen on.
    pub public_url: Option<String>,
    pub registration: Registration,
}

impl HttpSettings {
    /// People reach us over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Host and port of the public address.
    #[must_use]
    pub fn public_host(&self) -> Option<&str> {
        let (_, rest) = self.public_url.as_deref()?.split_once("://")?;
        rest.split('/').next().filter(|host| !host.is_empty())
    }
}

/// Whether the stop has begun.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    pub fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs work that takes a core for milliseconds, as much of it at once as there are cores, off the threads that
/// serve sockets.
#[derive(Debug, Clone)]
pub struct HeavyWork(Arc<Semaphore>);

impl Default for HeavyWork {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))))
    }
}

impl HeavyWork {
    /// # Errors
    /// When the work panics: a bug, or stored bytes that should not be.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> problem::Result<T> {
        self.run_on(std::future::ready(Ok(())), move |()| work()).await
    }

    /// Work on something that is loaded first: only once there is a permit, so that requests that wait hold nothing in
    /// memory. The permit ends with the work, even when nobody waits for it any more.
    ///
    /// # Errors
    /// When it cannot be loaded, or when the work panics.
    pub async fn run_on<I: Send + 'static, T: Send + 'static>(
        &self,
        load: impl Future<Output = problem::Result<I>>,
        work: impl FnOnce(I) -> T + Send + 'static,
    ) -> problem::Result<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(problem::Problem::internal)?;
        let loaded = load.await?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work(loaded);
            drop(turn);
            outcome
        });
        done.await.map_err(problem::Problem::internal)
    }
}

/// The routes that the OpenAPI document describes, with that document.
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::Frame::openapi())
        .merge(health::routes())
        .merge(accounts::routes())
        .merge(designs::routes())
        .merge(import::routes())
        .merge(snapshot::routes())
        .merge(members::routes())
        .merge(tickets::routes())
        .merge(analyses::routes())
}

/// Every route with every layer.
pub fn router(state: AppState) -> Router {
    let (api, _) = api().split_for_parts();
    let routes = api.merge(openapi::routes()).merge(socket::routes());
    let routes = client::add_to(routes).method_not_allowed_fallback(layers::method_not_allowed);
    layers::wrap(routes, &state).with_state(state)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn nothing_is_loaded_before_there_is_a_permit() {
        let heavy = HeavyWork(Arc::new(Semaphore::new(1)));
        let turn = Arc::clone(&heavy.0).acquire_owned().await.unwrap();
        let loads = Arc::new(AtomicBool::new(false));
        let load = async {
            loads.store(true, Ordering::SeqCst);
            Ok(20)
        };
        let mut work = Box::pin(heavy.run_on(load, |loaded| loaded + 1));
        assert!(matches!(futures_util::poll!(&mut work), Poll::Pending));
        assert!(!loads.load(Ordering::SeqCst));
        drop(turn);
        assert_eq!(work.await.unwrap(), 21);
        let refused = heavy.run_on(async { Err(problem::Problem::no_such_design()) }, |(): ()| ()).await;
        assert_eq!(refused.unwrap_err().status(), http::StatusCode::NOT_FOUND);
        assert_eq!(heavy.run(|| 1).await.unwrap(), 1, "a failed load gives its permit back");
    }
}
