//! What may be said of a node, and all the ways to say it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::analysis::model::Flag;

/// How the value of a key is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Yes or no, in any words of [`YES`] and [`NO`].
    YesNo,
    /// The same turned round.
    Not,
    /// Whatever is there says yes, unless it says no.
    Present,
    /// More than one: a number, or the first number of a text.
    Several,
    /// One is yes already: replicas besides the first.
    Further,
    /// `public-subnet`, `private-subnet` …; also yes and no.
    Network,
    /// Where secrets come from.
    Secrets,
    /// How secret data is.
    Classification,
    Environment,
    /// How it is encrypted where it lies, as a text.
    AtRest,
    /// A version of TLS, or a word about encryption on the way.
    InTransit,
}

/// The flags that a key speaks of. The key is in lower case, without anything but letters and digits.
#[must_use]
pub fn of_key(key: &str) -> &'static [(usize, Flag, Reading)] {
    type Ranked = HashMap<&'static str, Vec<(usize, Flag, Reading)>>;
    static KEYS: LazyLock<Ranked> = LazyLock::new(|| {
        let mut keys = Ranked::new();
        for (rank, (flag, reading, words)) in KEYS_OF.iter().enumerate() {
            for word in words.split_whitespace() {
                keys.entry(word).or_default().push((rank, *flag, *reading));
            }
        }
        keys
    });
    KEYS.get(key).map_or(&[], Vec::as_slice)
}

/// Keys as [`of_key`] takes them. Of two keys that speak of one flag at one place, the one in the earlier row counts.
pub const KEYS_OF: &[(Flag, Reading, &str)] = &[
    (Flag::AtRest, Reading::YesNo, "encryptedatrest encryptionatrest atrestencryption atrest diskencryption storageencrypted"),
    (Flag::AtRest, Reading::AtRest, "encryptedatrest encryptionatrest atrestencryption atrest encryption storageencryption"),
    (Flag::AtRest, Reading::Present, "cmek kmskey kmskeyid sse"),
    (Flag::InTransit, Reading::YesNo, "encryptedintransit encryptionintransit intransitencryption intransit"),
    (Flag::InTransit, Reading::InTransit, "encryptedintransit encryptionintransit intransitencryption intransit mintlsversion tlsversion"),
    (Flag::Backup, Reading::YesNo, "hasbackup backupenabled hasbackups backupsenabled"),
    (Flag::Backup, Reading::Present, "backups backup backupfrequency backupretention backuppolicy pitr pointintimerecovery"),
    (Flag::Audit, Reading::YesNo, "auditloggingenabled auditenabled auditlogenabled"),
    (Flag::Audit, Reading::Present, "auditlogging auditlogs auditlog audit"),
    (Flag::Audit, Reading::YesNo, "loggingenabled"),
    (Flag::Audit, Reading::Present, "auditloggingdestination logging"),
    (
        Flag::Internet,
        Reading::Network,
        "directinternetaccess publicaccess publiclyaccessible internetfacing internetaccess publicnetworkaccess
        internetexposed exposedtointernet isinternetfacing ispublic publicreadaccess publicread",
    ),
    (Flag::Internet, Reading::Present, "publicip publicipaddress"),
    (Flag::Internet, Reading::Not, "blockpublicaccess publicaccessblocked privateonly privateendpointonly"),
    (Flag::Internet, Reading::Network, "networksegmentation subnettype visibility exposure"),
    (Flag::Mfa, Reading::YesNo, "mfarequired mfaenabled mfaenforced"),
    (Flag::Mfa, Reading::Present, "mfa multifactorauthentication"),
    (Flag::Rbac, Reading::YesNo, "rbacenabled rbac"),
    (Flag::Firewall, Reading::YesNo, "hasfirewall firewallenabled"),
    (Flag::Firewall, Reading::Present, "firewall firewallrules securitygroup securitygroups"),
    (Flag::Waf, Reading::YesNo, "haswaf wafenabled"),
    (Flag::Waf, Reading::Present, "waf wafrules"),
    (Flag::RateLimited, Reading::YesNo, "ratelimited ratelimitingenabled ratelimitenabled"),
    (Flag::RateLimited, Reading::Present, "ratelimiting ratelimit ratelimits ratelimitvalue throttling"),
    (Flag::Activity, Reading::YesNo, "activitymonitoring activitymonitoringenabled"),
    (Flag::Activity, Reading::Present, "databaseactivitymonitoring activitymonitoringtool dam pgaudit"),
    (Flag::Scan, Reading::YesNo, "vulnerabilityscanning imagescanning scanonpush"),
    (Flag::Scan, Reading::Present, "containerscanning scanning imagescan securityscanning vulnerabilityscan vulnerabilityscanningtool"),
    (Flag::Signing, Reading::YesNo, "imagesigning signedimages imagesigned"),
    (Flag::Signing, Reading::Present, "binaryauthorization binaryauth signing cosign contenttrust attestation"),
    (
        Flag::Identity,
        Reading::Present,
        "authentication authenabled authenticationenabled authenticationrequired authrequired oidc sso auth authmethod authenticationtype
        identityprovider idp oauth saml",
    ),
    (Flag::EgressFilter, Reading::Present, "egressfiltering egressfilter egressfiltered egresspolicy egressrestricted egresscontrol imdsv2"),
    (
        Flag::FetchesUrls,
        Reading::Present,
        "fetchesurls fetchesuserurls fetchesurl fetchurls urlfetch userurls urlpreview fetchesexternalurls",
    ),
    (Flag::Dlp, Reading::Present, "dlpenabled dlp redaction redacts dataredaction datalossprevention piiredaction"),
    (Flag::Restricted, Reading::Classification, "dataclassification classification datasensitivity sensitivity"),
    (
        Flag::Restricted,
        Reading::YesNo,
        "pii phi pci containspii containsphi containspci storespii handlespii haspii sensitivedata",
    ),
    (Flag::Production, Reading::Environment, "environment env stage"),
    (Flag::Production, Reading::YesNo, "isproduction production"),
    (Flag::SignedUrls, Reading::Present, "signedurls presignedurls signedurl presignedurl originaccesscontrol originaccessidentity oac oai"),
    (Flag::Approval, Reading::Present, "approvalrequired manualapproval requiresapproval approval approvals requiredreviewers"),
    (Flag::Ddos, Reading::Present, "ddosprotection ddos ddosprotectionenabled hasddosprotection antiddos"),
    (Flag::Replicated, Reading::Several, "replicas instances replicacount instancecount nodecount desiredcount availabilityzones"),
    (Flag::Replicated, Reading::Further, "readreplicas"),
    (Flag::Replicated, Reading::YesNo, "multiaz highavailability ha multiregion clustered replicated zoneredundant"),
    (Flag::Replicated, Reading::YesNo, "autoscaling autoscale autoscalingenabled"),
    (Flag::ManagedSecrets, Reading::Secrets, "secretsmanagement secrets secretmanagement secretsource secretsmanager secretstorage secretssource"),
];

/// Keys whose "no" says nothing: a group that does not grow may still have several members.
pub const ONLY_YES: &[&str] = &["autoscaling", "autoscale", "autoscalingenabled"];

/// First words of a text that says yes.
pub const YES: &[&str] = &[
    "true",
    "yes",
    "y",
    "on",
    "enabled",
    "required",
    "active",
    "always",
    "enforced",
    "mandatory",
    "configured",
    "full",
    "automatic",
    "automated",
];
/// First words of a text that says no.
pub const NO: &[&str] = &[
    "false", "no", "n", "off", "none", "not", "disabled", "never", "without", "absent", "missing", "inactive",
];
/// First words of a text that says nothing.
pub const SILENT: &[&str] =
    &["unknown", "tbd", "todo", "n/a", "na", "?", "-", "undefined", "null", "optional", "planned", "partial"];

/// Words about the network that a node stands in.
pub const NETWORK_PUBLIC: &[&str] = &["public", "internet", "exposed", "external"];
pub const NETWORK_PRIVATE: &[&str] = &[
    "private",
    "data",
    "isolated",
    "internal",
    "restricted",
    "app",
    "db",
    "database",
    "backend",
    "blocked",
    "denied",
    "deny",
];

/// Words about where secrets come from, that say: from where anybody finds them.
pub const SECRETS_EXPOSED: &[&str] = &[
    "env",
    "environment",
    "hardcoded",
    "hard",
    "config",
    "plaintext",
    "plain",
    "dotenv",
    "file",
    "files",
    "code",
    "repo",
    "repository",
    "git",
    "none",
    "no",
    "false",
    "disabled",
    "configmap",
    "source",
    "manual",
    "inline",
];
/// Words that say: from a vault, even if others stand beside them.
pub const SECRETS_MANAGED: &[&str] = &[
    "vault",
    "kms",
    "manager",
    "keyvault",
    "hsm",
    "conjur",
    "cyberark",
    "doppler",
    "sops",
    "sealed",
    "true",
    "yes",
    "managed",
    "enabled",
    "iam",
    "workload",
    "parameter",
    "ssm",
    "infisical",
    "secretsmanager",
    "secretmanager",
    "1password",
];

/// Words for data that may not get out.
pub const RESTRICTED: &[&str] = &[
    "restricted",
    "confidential",
    "pii",
    "phi",
    "pci",
    "secret",
    "sensitive",
    "personal",
    "regulated",
    "critical",
    "hipaa",
    "gdpr",
    "cardholder",
    "health",
    "highly",
    "high",
];
/// Words for data that may.
pub const UNRESTRICTED: &[&str] =
    &["public", "internal", "open", "none", "low", "unrestricted", "unclassified", "anonymous"];

pub const PRODUCTION: &[&str] = &["prod", "production", "live", "prd"];
/// These beside a word of [`PRODUCTION`] turn it round.
pub const NOT_PRODUCTION: &[&str] = &[
    "dev",
    "development",
    "test",
    "testing",
    "staging",
    "stage",
    "qa",
    "uat",
    "sandbox",
    "demo",
    "local",
    "lab",
    "non",
    "pre",
    "nonprod",
    "preprod",
    "nonproduction",
    "preproduction",
    "integration",
    "ci",
    "preview",
];

/// Words about how data is encrypted where it lies.
pub const AT_REST: &[&str] = &[
    "aes",
    "aes256",
    "aes128",
    "cmek",
    "kms",
    "sse",
    "tde",
    "luks",
    "bitlocker",
    "byok",
    "hsm",
    "rest",
    "managed",
    "encrypted",
    "chacha20",
    "cmk",
    "customer",
    "google",
    "pgcrypto",
];
