//! Words about components that more than one part of the server must agree on, as plain sorted data.
//!
//! The normaliser of the analysis maps each of [`KNOWN_TYPES`] to a kind. A node of another type is judged by the words of
//! its label, so the label of such a node belongs to what the rules can see: whoever teaches the normaliser a new type
//! adds it here as well.

/// Types whose kind is known without reading the label, as [`type_key`] makes them, sorted: the palette of Koh Atlas, what
/// its importers make, the technologies of Threagile, services of the large clouds. Types that say too little (`cloud`,
/// `service`, `appliance`, `application`, `security`, `network`, `worker`) are left out on purpose.
#[rustfmt::skip]
pub const KNOWN_TYPES: [&str; 427] = [
    "acm", "acr", "active-directory", "active-mq", "activemq", "actor", "ai", "aks", "alb", "alloydb",
    "amazon-mq", "amplify", "anthropic", "anti-ddos", "api-gateway", "api-management", "apigateway",
    "apigee", "apim", "app-engine", "app-gateway", "app-runner", "app-server", "app-service",
    "application-gateway", "application-insights", "application-load-balancer", "application-server",
    "appsync", "artifact-registry", "artifact-storage", "audit", "aurora", "auth", "auth-service", "auth0",
    "azure-cache", "azure-firewall", "azure-openai", "backend", "backup", "backup-storage", "backup-vault",
    "bastion", "bastion-host", "batch", "batch-processing", "beanstalk", "bedrock", "big-data-platform",
    "big-query", "bigquery", "bigtable", "blob", "blob-storage", "block-storage", "browser", "bucket",
    "build-pipeline", "ca", "cache", "cassandra", "cdn", "cdn-profile", "certificate",
    "certificate-authority", "certificate-manager", "chatgpt", "ci-cd", "ci-cd-pipeline", "cicd",
    "classic-load-balancer", "claude", "client", "client-system", "client-vpn", "cloud-armor",
    "cloud-audit-logs", "cloud-build", "cloud-cdn", "cloud-dns", "cloud-endpoints", "cloud-firewall",
    "cloud-function", "cloud-functions", "cloud-hsm", "cloud-iam", "cloud-identity", "cloud-ids",
    "cloud-kms", "cloud-load-balancing", "cloud-logging", "cloud-monitoring", "cloud-nat", "cloud-run",
    "cloud-spanner", "cloud-sql", "cloud-storage", "cloud-tasks", "cloud-trace", "cloud-vpn", "cloudflare",
    "cloudfront", "cloudhsm", "cloudtrail", "cloudwatch", "cloudwatch-2", "cms", "code-inspection-platform",
    "codebuild", "codedeploy", "codepipeline", "cognito", "compute", "compute-engine", "container",
    "container-instance", "container-instances", "container-platform", "container-registry",
    "container-service", "content-delivery-network", "cosmos", "cosmos-db", "cosmosdb", "dam",
    "data-factory", "data-lake", "data-loss-prevention", "data-warehouse", "database",
    "database-activity-monitoring", "database-firewall", "databricks", "datadog", "dataflow", "dataproc",
    "datastore", "db", "ddos", "ddos-protection", "defender", "defender-for-cloud", "desktop",
    "desktop-app", "device", "devops", "devops-client", "direct-connect", "directory-service", "dlp", "dns",
    "docker", "documentdb", "dynamodb", "ebs", "ec2", "ecr", "ecs", "ecs-service", "edge-cdn", "edge-dns",
    "edr", "efs", "egress-gateway", "egress-proxy", "ejb", "eks", "elastic-beanstalk",
    "elastic-load-balancing", "elasticache", "elasticsearch", "elb", "elk", "emr", "end-user", "entra-id",
    "erp", "event-bus", "event-grid", "event-hub", "event-hubs", "event-listener", "eventbridge",
    "expressroute", "external-api", "external-user", "fargate", "file-server", "file-storage",
    "firebase-hosting", "firestore", "firewall", "forward-proxy", "front-door", "frontdoor", "frontend",
    "fsx", "function", "functions", "fw", "gateway", "gce", "gclb", "gcr", "gcs", "gemini",
    "github-actions", "gitlab-ci", "gke", "glacier", "global-accelerator", "global-load-balancer", "glue",
    "grafana", "guardduty", "haproxy", "hashicorp-vault", "hsm", "iam", "iap", "identity",
    "identity-platform", "identity-provider", "identity-store-database", "identity-store-ldap", "idp",
    "ids", "ids-ips", "image-registry", "image-scanner", "ingress", "ingress-controller", "interconnect",
    "internet", "internet-alt2", "intrusion-detection", "iot-device", "ips", "jenkins", "jump-box",
    "jump-host", "jumpbox", "k8s", "k8s-cluster", "kafka", "key-management", "key-vault", "keycloak",
    "keyvault", "kinesis", "kms", "kong", "kubernetes", "kubernetes-cluster", "kubernetes-service",
    "lambda", "lambda-function", "language-model", "ldap", "ldap-server", "lightsail", "llm",
    "load-balancer", "load-balancer-global", "load-balancer-internal", "loadbalancer", "log-analytics",
    "logging", "logging-service", "logic-apps", "macie", "mail-server", "mainframe", "mariadb", "memcached",
    "memorydb", "memorystore", "message-broker", "message-bus", "message-queue", "microservice",
    "microsoft-entra-id", "mobile", "mobile-app", "mobile-client", "mongodb", "monitor", "monitoring",
    "monitoring-service", "mq", "msk", "mssql", "mysql", "nat", "nat-gateway", "nats", "neptune",
    "network-acl", "network-firewall", "network-load-balancer", "network-segmentation", "network-zone",
    "next-gen-firewall", "ngfw", "nginx", "nids", "nlb", "nosql", "object-storage", "object-store", "okta",
    "openai", "openai-service", "opensearch", "openshift", "oracle", "outbound-proxy", "persistent-disk",
    "pipeline", "pki", "postgres", "postgresql", "private-ca", "private-dns", "prometheus", "pub-sub",
    "pubsub", "queue", "rabbitmq", "rds", "redis", "redis-cache", "redshift", "registry", "report-engine",
    "reverse-proxy", "route-53", "route53", "s3", "s3-bucket", "scheduler", "sd-wan", "search-engine",
    "search-index", "secret-manager", "secrets", "secrets-manager", "security-center",
    "security-command-center", "security-hub", "sentinel", "server", "serverless", "service-bus",
    "service-mesh", "service-registry", "session-manager", "shield", "shield-advanced", "siem",
    "site-to-site-vpn", "snowflake", "sns", "soc", "sourcecode-repository", "spa", "spanner", "splunk",
    "sql-database", "sql-server", "sqldb", "sqs", "squid-proxy", "sso", "static-site", "static-web-app",
    "static-web-apps", "step-functions", "storage", "storage-account", "storage-bucket",
    "stream-processing", "subnet", "synapse", "task", "third-party-api", "third-party-service",
    "timestream", "tm-actor", "tm-boundary", "tm-boundary-box", "tm-process", "tm-store", "traffic-manager",
    "trust-boundary", "user", "users", "vault", "vector-database", "vertex-ai", "virtual-machine",
    "virtual-machines", "vm", "vmss", "vnet", "vpc", "vpc-vnet", "vpn", "vpn-gateway", "waf", "web",
    "web-app", "web-app-firewall", "web-application", "web-application-firewall", "web-browser",
    "web-client", "web-frontend", "web-server", "web-service-rest", "web-service-soap", "webserver",
    "workflows", "xdr", "zero-trust", "ztna",
];

/// Types whose nodes contain what lies inside their rectangle, as [`type_key`] makes them, sorted.
pub const CONTAINER_TYPES: [&str; 9] = [
    "network-segmentation",
    "network-zone",
    "subnet",
    "tm-boundary",
    "tm-boundary-box",
    "trust-boundary",
    "vnet",
    "vpc",
    "vpc-vnet",
];

/// Names of providers and of sets of shapes in front of the name of a service.
const PROVIDERS: [&str; 13] = [
    "amazon-",
    "aws-",
    "azure-",
    "gcp-",
    "google-cloud-",
    "google-",
    "k8s-",
    "microsoft-",
    "mxgraph-aws3-",
    "mxgraph-aws4-",
    "mxgraph-azure-",
    "mxgraph-gcp2-",
    "oci-",
];

/// A type as the tables write it: lower case, with `-` for everything that is no letter or digit. A name of a provider in
/// front is left out, unless the type is known with it.
#[must_use]
pub fn type_key(kind: &str) -> String {
    let mut key = String::with_capacity(kind.len());
    for c in kind.trim().chars() {
        if c.is_alphanumeric() {
            key.extend(c.to_lowercase());
        } else if !key.ends_with('-') {
            key.push('-');
        }
    }
    key.truncate(key.trim_end_matches('-').len());
    if !is_in(&KNOWN_TYPES, &key)
        && let Some(service) = PROVIDERS.iter().find_map(|provider| key.strip_prefix(provider))
        && is_in(&KNOWN_TYPES, service)
    {
        return service.to_owned();
    }
    key
}

/// Is the kind of this type known without reading the label?
#[must_use]
pub fn is_known_type(kind: &str) -> bool {
    is_in(&KNOWN_TYPES, kind) || is_in(&KNOWN_TYPES, &type_key(kind))
}

/// Do nodes of this type contain what lies inside their rectangle?
#[must_use]
pub fn is_container_type(kind: &str) -> bool {
    is_in(&CONTAINER_TYPES, kind) || is_in(&CONTAINER_TYPES, &type_key(kind))
}

fn is_in(sorted: &[&str], word: &str) -> bool {
    sorted.binary_search(&word).is_ok()
}

/// Words (lower case) that count as evidence when they stand in the label of an edge: protocols, ways to encrypt and to
/// authenticate, and technologies that say what stands at the other end. Numbers from 1 to 65535 count as ports.
pub const EVIDENCE_WORDS: [&str; 97] = [
    "admin",
    "alerts",
    "amqp",
    "amqps",
    "anonymous",
    "any",
    "api",
    "auth",
    "backup",
    "backups",
    "basic",
    "bullmq",
    "cache",
    "cassandra",
    "cdn",
    "cleartext",
    "database",
    "db",
    "dns",
    "dnssec",
    "elasticsearch",
    "encrypted",
    "encryption",
    "ftp",
    "ftps",
    "graphql",
    "grpc",
    "grpcs",
    "http",
    "https",
    "iam",
    "iap",
    "internal",
    "internet",
    "ipsec",
    "jdbc",
    "jobs",
    "jwt",
    "kafka",
    "kerberos",
    "key",
    "kubectl",
    "ldap",
    "ldaps",
    "logs",
    "metrics",
    "mfa",
    "mongodb",
    "mqtt",
    "mqtts",
    "mtls",
    "mysql",
    "nats",
    "nfs",
    "none",
    "oauth",
    "oauth2",
    "oidc",
    "plaintext",
    "postgres",
    "postgresql",
    "private",
    "prometheus",
    "public",
    "queue",
    "quic",
    "rdp",
    "redis",
    "rsh",
    "s3",
    "saml",
    "secret",
    "secrets",
    "sftp",
    "smb",
    "smtp",
    "smtps",
    "snmp",
    "snmpv1",
    "snmpv2",
    "sql",
    "ssh",
    "ssl",
    "sslv2",
    "sslv3",
    "storage",
    "tcp",
    "telnet",
    "tls",
    "udp",
    "unencrypted",
    "vault",
    "vnc",
    "vpn",
    "websocket",
    "ws",
    "wss",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_written_as_types_are_looked_up() {
        for table in [KNOWN_TYPES.as_slice(), &CONTAINER_TYPES] {
            assert!(table.is_sorted_by(|a, b| a < b));
        }
        // The first that fits is taken off: a longer name stands before the shorter one that it begins with.
        for (at, provider) in PROVIDERS.iter().enumerate() {
            assert!(!PROVIDERS[..at].iter().any(|earlier| provider.starts_with(earlier)), "{provider}");
        }
        for kind in KNOWN_TYPES {
            assert_eq!(type_key(kind), kind);
        }
        assert!(CONTAINER_TYPES.iter().all(|kind| KNOWN_TYPES.contains(kind)));
    }

    #[test]
    fn case_separators_and_names_of_providers_do_not_matter() {
        for kind in [
            "load-balancer",
            "Load Balancer",
            "LOAD_BALANCER",
            " load-balancer ",
            "mxgraph.aws4.load_balancer",
        ] {
            assert!(is_known_type(kind), "{kind}");
            assert_eq!(type_key(kind), "load-balancer");
        }
        // Known with the provider's name.
        assert_eq!(type_key("Azure Firewall"), "azure-firewall");
        assert_eq!(type_key("aws-rds"), "rds");
        assert_eq!(type_key("aws-gizmo"), "aws-gizmo");
        for kind in ["", "-", "gizmo", "aws-", "cloud", "loadbalancers"] {
            assert!(!is_known_type(kind), "{kind}");
        }
        assert!(
            is_container_type("Network Zone") && is_container_type("aws-vpc") && !is_container_type("vpn")
        );
    }
}
