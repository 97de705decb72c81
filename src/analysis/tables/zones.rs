//! How far from strangers a zone is, by its words.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::analysis::model::Zone;

/// What a text says about a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Zone(Zone),
    /// It is known to say nothing about trust ("Cloud").
    Vague,
    /// No table knows any of its words.
    Odd,
}

/// Words of the longest phrase.
const WORDS_MAX: usize = 3;

/// The zone of a text: the longest known phrase, of equally long ones that which stands first in [`WORDS`].
#[must_use]
pub fn of(text: &str) -> Reading {
    static RANKS: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
        let mut ranks = HashMap::new();
        for (rank, (_, phrases)) in WORDS.iter().enumerate() {
            for phrase in *phrases {
                ranks.entry(*phrase).or_insert(rank);
            }
        }
        ranks
    });
    let text = text.to_lowercase();
    let mut words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let rank_of = |window: &[&str]| {
        let phrase = window.join(" ");
        RANKS.get(phrase.as_str()).or_else(|| RANKS.get(phrase.strip_suffix('s')?)).copied()
    };
    // The data of a data center are no data.
    for at in 1..words.len() {
        if rank_of(&words[at - 1..=at]).is_some_and(|rank| WORDS[rank].0.is_none()) {
            (words[at - 1], words[at]) = ("network", "network");
        }
    }
    let found = (1..=WORDS_MAX.min(words.len()))
        .rev()
        .find_map(|length| words.windows(length).filter_map(rank_of).min());
    match found {
        Some(rank) => WORDS[rank].0.map_or(Reading::Vague, Reading::Zone),
        None => Reading::Odd,
    }
}

const UNTRUSTED: Option<Zone> = Some(Zone::Untrusted);
const EDGE: Option<Zone> = Some(Zone::Edge);
const APP: Option<Zone> = Some(Zone::App);
const DATA: Option<Zone> = Some(Zone::Data);
const MANAGEMENT: Option<Zone> = Some(Zone::Management);

/// Phrases in lower case, the most telling first: a private web tier is private, the perimeter of security is a perimeter,
/// and the storage tier stays storage however private it is. A plural is found by its singular.
pub const WORDS: &[(Option<Zone>, &[&str])] = &[
    // More than one word: longer phrases win before anything else.
    (
        EDGE,
        &[
            "internet facing",
            "internet edge",
            "internet gateway",
            "semi trusted",
            "public facing",
            "front door",
            "web facing",
            "network distribution",
            "content delivery",
        ],
    ),
    (
        UNTRUSTED,
        &[
            "public internet",
            "third party",
            "not trusted",
            "end user",
            "client app",
            "client application",
            "client tier",
            "client side",
            "client device",
            "mobile app",
            "mobile client",
            "un trusted",
            "user device",
        ],
    ),
    (
        MANAGEMENT,
        &[
            "data protection",
            "network management",
            "control plane",
            "ci cd",
            "out of band",
            "service management",
            "user management",
            "key management",
            "shared service",
        ],
    ),
    (
        DATA,
        &[
            "disaster recovery",
            "customer data",
            "client data",
            "user data",
            "data tier",
            "data layer",
            "card data",
        ],
    ),
    (
        APP,
        &[
            "back office",
            "business logic",
            "business tier",
            "application tier",
            "app tier",
            "application layer",
            "app layer",
            "back end",
            "internal user",
            "service mesh",
            "web service",
            "web app",
            "web application",
        ],
    ),
    (None, &["public cloud", "data center", "data centre", "hybrid cloud", "on prem", "on premise"]),
    // One word, the most telling first.
    (UNTRUSTED, &["untrusted"]),
    (EDGE, &["dmz", "perimeter", "edge", "cdn", "ingress", "waf", "semitrusted"]),
    (
        UNTRUSTED,
        &["internet", "external", "extern", "www", "outside", "partner", "saas", "thirdparty", "extranet"],
    ),
    (
        MANAGEMENT,
        &[
            "management",
            "manage",
            "mgmt",
            "admin",
            "administration",
            "security",
            "observability",
            "observ",
            "monitoring",
            "monitor",
            "logging",
            "log",
            "audit",
            "identity",
            "iam",
            "operation",
            "ops",
            "devops",
            "secops",
            "devsecops",
            "compliance",
            "encryption",
            "pki",
            "kms",
            "secret",
            "vault",
            "siem",
            "soc",
            "governance",
            "control",
            "cicd",
            "bastion",
            "oob",
            "deployment",
            "auth",
            "authentication",
            "telemetry",
        ],
    ),
    (
        DATA,
        &[
            "data",
            "database",
            "db",
            "storage",
            "store",
            "datastore",
            "persistence",
            "persistent",
            "backup",
            "archive",
            "restricted",
            "cache",
            "pci",
            "cde",
            "warehouse",
            "datalake",
        ],
    ),
    (APP, &["private", "internal", "intranet", "trusted", "interior", "corporate", "corp", "lan"]),
    (
        EDGE,
        &[
            "public",
            "presentation",
            "frontend",
            "front",
            "distribution",
            "gateway",
            "balancing",
            "balancer",
            "exposed",
            "proxy",
            "vpn",
        ],
    ),
    (
        APP,
        &[
            "app",
            "application",
            "compute",
            "processing",
            "process",
            "api",
            "service",
            "backend",
            "business",
            "logic",
            "serverless",
            "worker",
            "middleware",
            "microservice",
            "core",
            "workload",
            "container",
            "kubernetes",
            "k8s",
            "cluster",
            "runtime",
            "integration",
            "messaging",
            "production",
            "prod",
            "job",
            "batch",
            "ai",
            "ml",
            "analytic",
        ],
    ),
    (UNTRUSTED, &["client", "user", "customer", "browser", "visitor", "guest", "mobile"]),
    (EDGE, &["web"]),
    (
        None,
        &[
            "cloud",
            "aws",
            "azure",
            "gcp",
            "network",
            "networking",
            "vpc",
            "vnet",
            "region",
            "zone",
            "other",
            "global",
            "default",
            "unknown",
            "none",
            "various",
        ],
    ),
];
