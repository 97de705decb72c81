//! The HTTP side: one router over the store and the hub. Each resource is one file with its types, handlers and
//! documentation; `http/problem.rs` says how errors leave.

use std::sync::Arc;

use axum::Router;

use crate::auth::Auth;
use crate::clock::{Clock, Ids};
use crate::hub::Hub;
use crate::lifecycle::Tasks;
use crate::store::Store;

pub mod accept;
pub mod problem;
pub mod socket;

/// What every handler can reach. Cheap to clone; nothing in it changes after the start.
#[derive(Clone)]
pub struct AppState {
    pub store: Arc<dyn Store>,
    pub hub: Hub,
    pub auth: Arc<Auth>,
    pub clock: Clock,
    pub ids: Ids,
    pub tasks: Tasks,
    pub settings: Arc<HttpSettings>,
}

/// The settings of the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Origins besides our own whose pages may call us, for example `https://app.kohatlas.com`.
    pub allowed_origins: Vec<String>,
    /// The address that people type, when it is not the one we listen on.
    pub public_url: Option<String>,
}
