//! Which protocol fits which component.

use super::protocols::{Family, Protocol, at_port};
use crate::analysis::model::Kind;

/// Ports of protocols that no web server speaks.
const BINARY_PORTS: &[u16] = &[22, 1433, 1521, 3306, 3389, 5432, 5672, 6379, 27017];
/// What may stand before or around the component that is meant.
const PASSES: &[Kind] = &[
    Kind::LoadBalancer,
    Kind::Firewall,
    Kind::Nat,
    Kind::Ids,
    Kind::Dam,
    Kind::Boundary,
    Kind::Kubernetes,
    Kind::Unknown,
];

/// The components that serve a protocol of this family. `None`: any may.
const fn homes(family: Family) -> Option<&'static [Kind]> {
    match family {
        Family::Database => Some(&[Kind::Database, Kind::Monitor]),
        Family::Cache => Some(&[Kind::Cache, Kind::Queue]),
        Family::Queue => Some(&[Kind::Queue, Kind::Cache, Kind::Gateway, Kind::Monitor]),
        Family::ObjectStore => Some(&[Kind::ObjectStore, Kind::Cdn]),
        Family::Secret => Some(&[Kind::Secret]),
        _ => None,
    }
}

/// The components that do not serve a protocol of this family, where many others may.
const fn strangers(family: Family) -> &'static [Kind] {
    match family {
        Family::Admin => &[Kind::Client, Kind::Cdn, Kind::Dns, Kind::ObjectStore, Kind::Llm],
        Family::Mail | Family::Dns => &[Kind::Database, Kind::Cache, Kind::Queue, Kind::ObjectStore],
        Family::Directory => &[Kind::Cache, Kind::Queue, Kind::ObjectStore, Kind::Cdn],
        Family::File => &[Kind::Cache, Kind::Queue, Kind::Cdn],
        Family::Monitoring => &[Kind::Cache, Kind::Client, Kind::Cdn, Kind::Secret],
        _ => &[],
    }
}

/// Can this protocol be spoken from the one to the other?
#[must_use]
pub fn fits(protocol: &Protocol, source: Kind, target: Kind) -> bool {
    let is_watched =
        protocol.family == Family::Monitoring && matches!(source, Kind::Monitor | Kind::Dam | Kind::Ids);
    // Metrics are fetched from whatever runs, and kept where they can be asked for again.
    let is_scraped_store = protocol.name == "Prometheus" && target == Kind::ObjectStore;
    if is_watched {
        return true;
    }
    if is_scraped_store || strangers(protocol.family).contains(&target) {
        return false;
    }
    let Some(homes) = homes(protocol.family) else { return true };
    // Drawn from where the data comes: it is the source that serves.
    let answers = homes.contains(&source)
        && (target.is_compute() || target.is_forwarder() || matches!(target, Kind::Client | Kind::Monitor));
    homes.contains(&target) || PASSES.contains(&target) || answers
}

/// Is this port that of another protocol?
#[must_use]
pub fn is_foreign_port(protocol: &Protocol, port: u16) -> bool {
    let Some(usual) = at_port(port) else { return false };
    if protocol.ports.contains(&port) || std::ptr::eq(usual, protocol) {
        return false;
    }
    match (protocol.family, usual.family) {
        (Family::Http, Family::Http) => {
            (protocol.name == "HTTP" && port == 443) || (protocol.name == "HTTPS" && port == 80)
        }
        (Family::Http, _) => BINARY_PORTS.contains(&port),
        (Family::Database, Family::Database) => !protocol.ports.is_empty() && BINARY_PORTS.contains(&port),
        (Family::Cache | Family::Queue, Family::Cache | Family::Queue) => false,
        (a, b) => a != b && !protocol.is_carrier() && !usual.is_carrier(),
    }
}
