//! What words mean: by the tables, and in files that people made with other tools.

use std::collections::BTreeSet;

use atlas_crdt::view::cosmetic::{DATA_COSMETIC, EDGE_COSMETIC, NODE_COSMETIC};
use atlas_crdt::view::kinds::{CONTAINER_TYPES, KNOWN_TYPES};

use crate::analysis::model::{Kind, Zone};
use crate::analysis::tables::zones::Reading;
use crate::analysis::tables::{flags, kinds, protocols, words, zones};

fn typed(kind: Kind) -> BTreeSet<&'static str> {
    let rows = kinds::TYPES.iter().filter(|(of, _)| *of == kind);
    rows.flat_map(|(_, words)| words.split_whitespace()).collect()
}

#[test]
fn the_types_whose_labels_are_not_hashed_are_those_whose_labels_are_not_read() {
    let known: Vec<&str> = kinds::TYPES.iter().flat_map(|(_, words)| words.split_whitespace()).collect();
    let unique: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(unique.len(), known.len(), "a type stands in two rows");
    assert_eq!(unique, BTreeSet::from(KNOWN_TYPES));
    assert_eq!(typed(Kind::Boundary), BTreeSet::from(CONTAINER_TYPES));
}

#[test]
fn no_word_stands_in_two_tables() {
    let mut seen = BTreeSet::new();
    for (_, phrases) in words::SPECIFIC.iter().chain(words::LAST).chain(words::GENERIC) {
        for phrase in phrases.split(',').map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" "))
        {
            assert_eq!(phrase, phrase.to_lowercase());
            assert!(phrase.split(' ').all(|word| word.chars().all(char::is_alphanumeric)), "{phrase}");
            assert!(seen.insert(phrase.clone()), "{phrase}");
        }
    }
    let mut seen = BTreeSet::new();
    for phrase in zones::WORDS.iter().flat_map(|(_, phrases)| *phrases) {
        assert!(seen.insert(*phrase), "{phrase}");
    }
    let mut seen = BTreeSet::new();
    for protocol in protocols::PROTOCOLS {
        for name in protocol.words.iter().map(|word| (*word).to_owned()).chain([protocol.name.to_lowercase()])
        {
            assert_eq!(name, name.to_lowercase());
            assert!(seen.insert(name.clone()), "{name}");
        }
    }
}

#[test]
fn no_key_that_is_read_is_cosmetic() {
    let read = flags::KEYS_OF.iter().flat_map(|(.., keys)| keys.split_whitespace());
    let read: BTreeSet<&str> = read.collect();
    for key in DATA_COSMETIC {
        assert!(!read.contains(super::text::folded(key).as_str()), "{key}");
        assert!(!super::ZONE_KEYS.contains(&key), "{key}");
    }
    // What is read of an element itself stands in another form in the hash: its data, its ends.
    for key in ["zone", "securityFlags", "protocol", "port", "encryption"] {
        assert!(!NODE_COSMETIC.contains(&key) && !EDGE_COSMETIC.contains(&key), "{key}");
    }
}

#[test]
fn the_palette_is_known() {
    for (kind, types) in [
        (Kind::Boundary, "vpc-vnet subnet network-segmentation"),
        (Kind::Client, "web-browser mobile-app"),
        (Kind::Dns, "edge-dns"),
        (Kind::Cdn, "edge-cdn cdn"),
        (Kind::Waf, "waf"),
        (Kind::Firewall, "firewall"),
        (Kind::Ids, "ids-ips"),
        (Kind::LoadBalancer, "load-balancer-global load-balancer-internal load-balancer"),
        (Kind::Bastion, "bastion-host sd-wan vpn-gateway"),
        (Kind::Web, "web-server"),
        (Kind::Compute, "app-server microservice container container-service lambda-function"),
        (Kind::Gateway, "api-gateway"),
        (Kind::Kubernetes, "kubernetes-cluster"),
        (Kind::Database, "database postgresql mysql mongodb"),
        (Kind::Cache, "cache redis"),
        (Kind::Queue, "message-queue kafka"),
        (Kind::Dam, "dam dlp"),
        (Kind::ObjectStore, "object-storage cloud-storage storage backup"),
        (Kind::Secret, "secrets-manager certificate vault"),
        (Kind::Identity, "identity"),
        (Kind::Monitor, "monitoring monitoring-service logging-service siem"),
        (Kind::Cicd, "ci-cd-pipeline cicd"),
        (Kind::Boundary, "network-zone"),
    ] {
        for word in types.split(' ') {
            assert_eq!(kinds::of_type(word), Some(kind), "{word}");
        }
    }
    for vague in ["cloud", "service", "appliance", "application", "security", "network", "worker", "custom"] {
        assert_eq!(kinds::of_type(vague), None, "{vague}");
    }
}

#[test]
fn services_of_the_clouds_are_known() {
    let kind = |name: &str| kinds::of_type(&atlas_crdt::view::kinds::type_key(name));
    for (is, names) in [
        (
            Kind::Compute,
            "aws-ec2 aws-lambda amazon-ecs azure-vm azure-functions gcp-compute-engine gcp-cloud-run cloud-functions",
        ),
        (Kind::ObjectStore, "aws-s3 azure-blob-storage gcp-cloud-storage azure-storage-account"),
        (
            Kind::Database,
            "aws-rds amazon-dynamodb amazon-aurora azure-sql-database azure-cosmos-db gcp-cloud-sql gcp-bigquery google-spanner",
        ),
        (Kind::Queue, "aws-sqs aws-sns azure-service-bus azure-event-hubs gcp-pub-sub"),
        (Kind::Kubernetes, "aws-eks azure-aks gcp-gke"),
        (Kind::Cdn, "aws-cloudfront azure-front-door gcp-cloud-cdn"),
        (Kind::Gateway, "aws-api-gateway azure-api-management apigee"),
        (Kind::LoadBalancer, "aws-alb aws-elb gcp-cloud-load-balancing"),
        (Kind::Secret, "aws-kms aws-secrets-manager azure-key-vault gcp-secret-manager gcp-cloud-kms"),
        (Kind::Identity, "aws-iam aws-cognito azure-active-directory"),
        (Kind::Monitor, "aws-cloudwatch aws-cloudtrail azure-monitor gcp-cloud-monitoring"),
        (Kind::Cache, "aws-elasticache gcp-memorystore azure-cache"),
        (Kind::Waf, "aws-waf cloud-armor"),
        (Kind::Dns, "aws-route-53 cloud-dns"),
        (Kind::Ddos, "aws-shield"),
        (Kind::Boundary, "aws-vpc azure-vnet gcp-vpc"),
        (Kind::Llm, "aws-bedrock azure-openai gcp-vertex-ai"),
    ] {
        for name in names.split(' ') {
            assert_eq!(kind(name), Some(is), "{name}");
        }
    }
}

#[test]
fn labels_tell_by_the_longest_phrase() {
    for (label, kind) in [
        ("Web Application Firewall", Kind::Waf),
        ("HashiCorp Vault", Kind::Secret),
        ("Orders Postgres", Kind::Database),
        ("Kafka monitoring", Kind::Monitor),
        ("Monitored Kafka topics", Kind::Queue),
        ("VPC + Cloud NAT + Private Google Access", Kind::Nat),
        ("Security Command Center Premium", Kind::Monitor),
        ("Cloud DLP API", Kind::Dam),
        ("Cloud KMS (CMEK Keys)", Kind::Secret),
        ("Cloud Run (Background Workers)", Kind::Compute),
        ("S3 Storage", Kind::ObjectStore),
        ("Authentication Service", Kind::Identity),
        ("Public Web Frontend", Kind::Web),
        ("Backend API", Kind::Compute),
        ("Mobile Users", Kind::Client),
        ("User Service", Kind::Compute),
        ("Payment server", Kind::Compute),
        ("Redis server", Kind::Cache),
        ("Lambda (reads the event queue)", Kind::Compute),
        ("CI/CD", Kind::Cicd),
        ("Claude API", Kind::Llm),
        ("Public Internet", Kind::Boundary),
        ("NAT Gateway", Kind::Nat),
        ("Payment Gateway", Kind::Llm),
    ] {
        assert_eq!(words::of_label(label), Some(kind), "{label}");
    }
    for silent in ["", "Flux", "Vaultage", "the thing", "( + )", "🌍"] {
        assert_eq!(words::of_label(silent), None, "{silent}");
    }
}

#[test]
fn zones_that_nobody_has_written_yet() {
    for (zone, texts) in [
        (Zone::Untrusted, "Untrusted|external|Public Internet|client|Third-Party SaaS|Partner Network|users"),
        (
            Zone::Edge,
            "edge|Perimeter|DMZ|public|Web Tier|Internet-facing|Presentation|public subnet|internal DMZ",
        ),
        (
            Zone::App,
            "app|internal|private|compute|Private Web|private-subnet|internal public api|Business Logic|Internal Load Balancer|Trusted",
        ),
        (Zone::Data, "data|storage|Private Data Subnet|Database Tier|Persistence|data-subnet|Client Data"),
        (Zone::Management, "manage|security|observability|identity|mgmt|Security Operations|DevOps|IAM"),
    ] {
        for text in texts.split('|') {
            assert_eq!(zones::of(text), Reading::Zone(zone), "{text}");
        }
    }
    for vague in ["Cloud", "AWS", "VPC", "Data Center", "Networking"] {
        assert_eq!(zones::of(vague), Reading::Vague, "{vague}");
    }
    for odd in ["Wonderland", "7", "!!", "Zürich"] {
        assert_eq!(zones::of(odd), Reading::Odd, "{odd}");
    }
}
