//! Protocols, by their names and usual ports.

use crate::analysis::model::Encryption;

/// What a protocol is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Http,
    Database,
    Cache,
    Queue,
    ObjectStore,
    /// Remote administration.
    Admin,
    Mail,
    Dns,
    Directory,
    File,
    /// Metrics, logs, traces.
    Monitoring,
    Tunnel,
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    /// As people write it.
    pub name: &'static str,
    /// Further names, in lower case.
    pub words: &'static [&'static str],
    /// Usual ports.
    pub ports: &'static [u16],
    pub family: Family,
    /// What the protocol itself says; `Unknown`: it may be run either way.
    pub encryption: Encryption,
    /// Replaced by something better decades ago.
    pub is_legacy: bool,
}
