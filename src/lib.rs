//! The server of Atlas Collab.

pub mod analysis;
pub mod app;
pub mod auth;
pub mod blob;
pub mod bus;
pub mod clock;
pub mod config;
pub mod formats;
pub mod http;
pub mod hub;
pub mod jobs;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
