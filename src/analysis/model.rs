//! A design as the rules see it: kinds, zones, protocols and flags in place of words.
//!
//! Everything is tri-state: what is not said is unknown, and unknown is never "no". The model borrows the view, so that a
//! finding can show what stands in it.

use atlas_crdt::view::Element;

use super::tables::protocols::Protocol;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Client,
    Cdn,
    Dns,
    Ddos,
    Waf,
    Firewall,
    Ids,
    Dam,
    /// Bastion hosts and VPN gateways.
    Bastion,
    /// NAT gateways and egress proxies.
    Nat,
    LoadBalancer,
    Gateway,
    Web,
    Compute,
    Kubernetes,
    Database,
    Cache,
    Queue,
    ObjectStore,
    /// Vaults, KMS, secrets managers, certificate authorities.
    Secret,
    Identity,
    /// Monitoring, logs, SIEM, audit.
    Monitor,
    Cicd,
    /// Registries and scanners of images.
    Registry,
    /// Language models and other services of third parties.
    Llm,
    /// VPC, subnet, network zone: contains, does nothing.
    Boundary,
    Unknown,
}

impl Kind {
    #[must_use]
    pub const fn is_store(self) -> bool {
        matches!(self, Self::Database | Self::Cache | Self::Queue | Self::ObjectStore)
    }

    /// Stores, vaults, identity providers.
    #[must_use]
    pub const fn is_sensitive(self) -> bool {
        self.is_store() || matches!(self, Self::Secret | Self::Identity)
    }

    /// Runs somebody's code.
    #[must_use]
    pub const fn is_compute(self) -> bool {
        matches!(self, Self::Web | Self::Compute | Self::Kubernetes)
    }

    /// Compute and stores: what is counted as a workload.
    #[must_use]
    pub const fn is_workload(self) -> bool {
        self.is_compute() || self.is_store()
    }

    /// Passes traffic on, filtered or not.
    #[must_use]
    pub const fn is_forwarder(self) -> bool {
        matches!(
            self,
            Self::Cdn
                | Self::Dns
                | Self::Ddos
                | Self::Waf
                | Self::Firewall
                | Self::Ids
                | Self::Bastion
                | Self::Nat
                | Self::LoadBalancer
                | Self::Gateway
        )
    }
}

/// How far from strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Zone {
    Untrusted = 0,
    Edge = 1,
    App = 2,
    Data = 3,
    Management = 4,
}

impl Zone {
    #[must_use]
    pub const fn level(self) -> u8 {
        self as u8
    }
}

/// What may be said of a node with yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    AtRest,
    InTransit,
    Backup,
    Audit,
    /// It can be reached from the internet.
    Internet,
    Mfa,
    Rbac,
    Firewall,
    Waf,
    RateLimited,
    /// Activity is monitored.
    Activity,
    /// Scanned for vulnerabilities.
    Scan,
    /// Images are signed.
    Signing,
    /// It knows who calls.
    Identity,
    EgressFilter,
    /// It fetches addresses that users give.
    FetchesUrls,
    Dlp,
    /// Its data is restricted.
    Restricted,
    Production,
    SignedUrls,
    /// Deployments are approved by people.
    Approval,
    Ddos,
    /// Yes: several replicas or zones. No: exactly one.
    Replicated,
    /// Yes: secrets come from a vault. No: from the environment, files, code.
    ManagedSecrets,
}

impl Flag {
    pub const COUNT: usize = Self::ManagedSecrets as usize + 1;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags([Option<bool>; Flag::COUNT]);

impl Flags {
    #[must_use]
    pub const fn get(&self, flag: Flag) -> Option<bool> {
        self.0[flag as usize]
    }

    pub const fn set(&mut self, flag: Flag, value: bool) {
        self.0[flag as usize] = Some(value);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    None,
    /// SSL, TLS 1.0 and 1.1.
    Weak,
    Tls,
    Mtls,
    #[default]
    Unknown,
}

impl Encryption {
    /// By anything, however old.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Weak | Self::Tls | Self::Mtls)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Authentication {
    None,
    Anonymous,
    Basic,
    /// A secret that several know: a key, a static password.
    Shared,
    /// JWT, OAuth, OIDC, SAML.
    Token,
    Mtls,
    /// IAM, workload identity, Kerberos, credentials that are made for the moment.
    Iam,
    #[default]
    Unknown,
}

impl Authentication {
    /// Known to be there, and not weak.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Token | Self::Mtls | Self::Iam)
    }
}

#[derive(Debug, Clone)]
pub struct Node<'a> {
    pub element: &'a Element,
    pub kind: Kind,
    /// The kind comes from the words of the label, since the type is in no table.
    pub is_kind_guessed: bool,
    /// `None`: unknown.
    pub zone: Option<Zone>,
    /// The innermost container that holds it: an index into the nodes.
    pub container: Option<usize>,
    pub flags: Flags,
}

impl Node<'_> {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.element.id
    }

    #[must_use]
    pub const fn is(&self, flag: Flag) -> bool {
        matches!(self.flags.get(flag), Some(true))
    }

    /// Said to be not so; silence is not that.
    #[must_use]
    pub const fn is_not(&self, flag: Flag) -> bool {
        matches!(self.flags.get(flag), Some(false))
    }

    /// Traffic of strangers begins here.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        self.zone == Some(Zone::Untrusted)
    }
}

#[derive(Debug, Clone)]
pub struct Edge<'a> {
    pub element: &'a Element,
    /// Indices into the nodes.
    pub source: usize,
    pub target: usize,
    /// `None`: unknown, or in no table.
    pub protocol: Option<&'static Protocol>,
    /// Any protocol, or any port.
    pub is_any: bool,
    pub port: Option<u16>,
    pub encryption: Encryption,
    /// What is claimed and what the protocol says differ: `encryption` is what the protocol says.
    pub is_contradicted: bool,
    pub authentication: Authentication,
    pub authorization: Option<bool>,
    pub rate_limited: Option<bool>,
    /// Traffic may begin at either end.
    pub is_both_ways: bool,
}

impl Edge<'_> {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.element.id
    }

    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.encryption == Encryption::None
    }
}

/// An edge whose end is no node.
#[derive(Debug, Clone)]
pub struct Dangling<'a> {
    pub element: &'a Element,
    pub missing: &'a [String],
}

#[derive(Debug, Clone, Default)]
pub struct Model<'a> {
    /// Sorted by id.
    pub nodes: Vec<Node<'a>>,
    /// Sorted by id.
    pub edges: Vec<Edge<'a>>,
    pub dangling: Vec<Dangling<'a>>,
}

impl Model<'_> {
    /// The node with this id, by its place in the list.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.id().cmp(id)).ok()
    }
}
