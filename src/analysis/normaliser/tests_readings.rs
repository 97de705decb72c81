//! What edges and nodes say about themselves.

use serde_json::{Value, json};

use crate::analysis::model::{Authentication, Encryption, Flag};
use crate::analysis::normaliser;
use crate::analysis::testing::Drawing;

/// The edge of a design with this data, as protocol, encryption and whether it contradicts itself.
fn edge(data: Value) -> (Option<&'static str>, Encryption, bool) {
    labelled("", data)
}

fn labelled(label: &str, data: Value) -> (Option<&'static str>, Encryption, bool) {
    let view = drawing(data).label("e", label).view();
    let model = normaliser::model(&view);
    let edge = &model.edges[0];
    (edge.protocol.map(|protocol| protocol.name), edge.encryption, edge.is_contradicted)
}

fn drawing(data: Value) -> Drawing {
    Drawing::new().node("a", "web-server", "").node("b", "app-server", "").edge("e", "a", "b", data)
}

fn flag(data: Value, flag: Flag) -> Option<bool> {
    let view = Drawing::new().node_with("n", "database", "", data).view();
    let model = normaliser::model(&view);
    let is = model.nodes[0].flags.get(flag);
    assert_eq!(normaliser::flag_evidence(&model.nodes[0], flag).is_some(), is.is_some());
    is
}

#[test]
fn protocols_carry_their_own_answer() {
    use Encryption::{Mtls, None as Plain, Tls, Unknown, Weak};
    for (text, name, encryption) in [
        ("HTTPS", "HTTPS", Tls),
        ("http", "HTTP", Plain),
        ("HTTP/1.1", "HTTP", Plain),
        ("HTTP/2", "HTTP/2", Unknown),
        ("HTTP/3", "HTTPS", Tls),
        ("HTTPS/2 + HTTPS/3 (QUIC)", "HTTPS", Tls),
        ("HTTP/2 over mTLS", "HTTP/2", Mtls),
        ("HTTP over TLS 1.0", "HTTP", Weak),
        ("HTTPS (TLS 1.1)", "HTTPS", Weak),
        ("HTTP/HTTPS", "HTTP", Unknown),
        ("HTTPS (Vault HTTP API)", "Vault", Tls),
        ("HTTPS (AWS S3 API)", "S3 API", Tls),
        ("HTTP (Prometheus scrape)", "Prometheus", Plain),
        ("HTTPS:8443", "HTTPS", Tls),
        ("PostgreSQL wire protocol v3", "PostgreSQL", Unknown),
        ("PostgreSQL over TLS", "PostgreSQL", Tls),
        ("RESP3 (Redis Streams for BullMQ)", "Redis", Unknown),
        ("BullMQ (Redis-backed job queue)", "BullMQ", Unknown),
        ("gRPC", "gRPC", Unknown),
        ("gRPC over TLS", "gRPCs", Tls),
        ("jdbc-encrypted", "SQL", Tls),
        ("reverse-proxy-web-protocol-encrypted", "HTTP", Tls),
        ("LDAP", "LDAP", Plain),
        ("LDAP over SSL", "LDAPS", Tls),
        ("FTP", "FTP", Plain),
        ("SFTP", "SFTP", Tls),
        ("SSH", "SSH", Tls),
        ("SNMPv2c", "SNMP v1/v2", Plain),
        ("SNMP", "SNMP", Unknown),
        ("Kafka (SASL_SSL)", "Kafka", Tls),
        ("AMQPS", "AMQPS", Tls),
        ("TLS 1.2", "TLS", Tls),
        ("mTLS", "TLS", Mtls),
        ("TCP", "TCP", Unknown),
        ("TCP 1235", "TCP", Unknown),
        ("IPsec VPN", "IPsec", Tls),
        ("OIDC", "OIDC", Unknown),
        ("MySQL (no TLS)", "MySQL", Plain),
        ("plaintext MySQL", "MySQL", Plain),
    ] {
        assert_eq!(edge(json!({"protocol": text})), (Some(name), encryption, false), "{text}");
    }
    for odd in ["Various", "Frobnicate", "", "   ", "🌍", "/:()"] {
        assert_eq!(edge(json!({"protocol": odd})), (None, Unknown, false), "{odd}");
    }
}

#[test]
fn the_order_of_evidence_is_protocol_port_text_flags_label() {
    use Encryption::{Mtls, None as Plain, Tls, Unknown, Weak};
    let flagged = |flags: Value| json!({"protocol": "MySQL", "securityFlags": flags});
    for (data, encryption, is_contradicted) in [
        (json!({"protocol": "HTTP", "encryption": "TLS 1.3"}), Plain, true),
        (json!({"protocol": "HTTPS", "encryption": "None"}), Tls, true),
        (json!({"protocol": "HTTPS", "encryption": "mTLS"}), Mtls, false),
        (json!({"protocol": "HTTPS", "encryption": "TLS 1.0"}), Weak, false),
        (json!({"protocol": "HTTPS", "encryption": "SSLv3"}), Weak, false),
        (json!({"port": 443}), Tls, false),
        (json!({"port": "80"}), Plain, false),
        (json!({"port": 443, "protocol": "TCP"}), Tls, false),
        (json!({"port": 443, "protocol": "gRPC"}), Unknown, false),
        (json!({"port": 80, "encryption": "TLS"}), Plain, true),
        (json!({"protocol": "MySQL", "port": 3306}), Unknown, false),
        (json!({"protocol": "MySQL", "encryption": "TLS"}), Tls, false),
        (json!({"protocol": "MySQL", "encryption": "none"}), Plain, false),
        (json!({"protocol": "MySQL", "encryption": false}), Plain, false),
        (json!({"protocol": "MySQL", "encryption": {"inTransit": "TLS 1.2"}}), Tls, false),
        (json!({"protocol": "MySQL", "encryption": {}}), Unknown, false),
        (json!({"protocol": "MySQL", "encryption": "CMEK"}), Unknown, false),
        (json!({"protocol": "MySQL", "encryption": "AES-256-GCM"}), Tls, false),
        (json!({"protocol": "MySQL", "encryption": "TLS 1.2+"}), Tls, false),
        (json!({"protocol": "MySQL", "encryption": "TLS disabled"}), Plain, false),
        (json!({"protocol": "MySQL", "encryption": "TLS optional"}), Unknown, false),
        (json!({"protocol": "MySQL", "tls": "1.3"}), Tls, false),
        (json!({"protocol": "MySQL", "tls": 1.1}), Weak, false),
        (json!({"protocol": "MySQL", "encrypted": true}), Tls, false),
        (flagged(json!({"encrypted": true})), Tls, false),
        (flagged(json!({"encrypted": false})), Plain, false),
        (flagged(json!({"encryptionProtocol": "mTLS"})), Mtls, false),
        (
            json!({"protocol": "MySQL", "encryption": "None", "securityFlags": {"encrypted": true}}),
            Plain,
            true,
        ),
    ] {
        let read = edge(data.clone());
        assert_eq!((read.1, read.2), (encryption, is_contradicted), "{data}");
    }
    for (label, data, name, encryption) in [
        ("HTTPS:443", json!({}), Some("HTTPS"), Tls),
        ("Orders, HTTP:80", json!({}), Some("HTTP"), Plain),
        ("HTTP:80", json!({"protocol": "HTTPS"}), Some("HTTPS"), Tls),
        ("PostgreSQL:5432 (TLS 1.2)", json!({}), Some("PostgreSQL"), Tls),
        ("MySQL, TLS 1.0", json!({}), Some("MySQL"), Weak),
        ("Redis or Kafka", json!({}), None, Unknown),
        ("Queue of jobs in the database", json!({}), None, Unknown),
    ] {
        let read = labelled(label, data);
        assert_eq!((read.0, read.1), (name, encryption), "{label}");
    }
}

#[test]
fn any_protocol_and_any_port_are_values_of_their_own() {
    for data in [
        json!({"protocol": "ANY"}),
        json!({"protocol": "*"}),
        json!({"protocol": "TCP", "port": "ANY"}),
        json!({"protocol": "TCP", "port": "0-65535"}),
        json!({"port": "*"}),
        json!({"protocol": "all"}),
    ] {
        let view = drawing(data.clone()).view();
        assert!(normaliser::model(&view).edges[0].is_any, "{data}");
    }
    for data in [
        json!({"protocol": "TCP", "port": "8000-9000"}),
        json!({}),
        json!({"protocol": "HTTPS", "port": 443}),
    ] {
        let view = drawing(data.clone()).view();
        assert!(!normaliser::model(&view).edges[0].is_any, "{data}");
    }
}

#[test]
fn ports_are_numbers_or_texts() {
    for (port, is) in [
        (json!(443), Some(443)),
        (json!(443.0), Some(443)),
        (json!("443"), Some(443)),
        (json!("443/tcp"), Some(443)),
        (json!(" :443 "), Some(443)),
        (json!(0), None),
        (json!(65_536), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!("http"), None),
        (json!([443]), None),
        (json!(null), None),
    ] {
        let view = drawing(json!({"port": port})).view();
        assert_eq!(normaliser::model(&view).edges[0].port, is, "{port}");
    }
}

#[test]
fn authentication_by_words() {
    use Authentication::{Anonymous, Basic, Iam, Mtls, None as Nobody, Shared, Token, Unknown};
    for (data, is) in [
        (
            json!({"authentication": "None (public internet traffic)", "securityFlags": {"authenticationType": "jwt"}}),
            Nobody,
        ),
        (json!({"securityFlags": {"authenticated": false}}), Nobody),
        (json!({"securityFlags": {"authenticated": true}}), Unknown),
        (json!({"securityFlags": {"authenticationType": "jwt", "authenticated": true}}), Token),
        (json!({"authentication": "Anonymous"}), Anonymous),
        (json!({"authentication": "Basic Auth (prometheus user)"}), Basic),
        (json!({"authentication": "API keys for PagerDuty"}), Shared),
        (json!({"auth": "Redis AUTH"}), Shared),
        (json!({"authentication": "SCRAM-SHA-256 with dynamic credentials (1-hour TTL)"}), Iam),
        (json!({"authentication": "AWS STS temporary credentials from Vault"}), Iam),
        (json!({"auth": "Workload Identity"}), Iam),
        (json!({"authenticated": "OAuth 2.0"}), Token),
        (json!({"authentication": "Client certificates from Vault PKI"}), Mtls),
        (json!({"encryption": "mTLS"}), Mtls),
        (json!({"encryption": "mTLS", "authentication": "none"}), Nobody),
        (json!({"authentication": "magic"}), Unknown),
        (json!({}), Unknown),
    ] {
        let view = drawing(data.clone()).view();
        assert_eq!(normaliser::model(&view).edges[0].authentication, is, "{data}");
    }
}

#[test]
fn flags_of_nodes_in_all_spellings() {
    let flags = |value: Value| json!({"securityFlags": value});
    for (data, of, is) in [
        (flags(json!({"encryptedAtRest": true})), Flag::AtRest, Some(true)),
        (json!({"encryptedAtRest": "no"}), Flag::AtRest, Some(false)),
        (json!({"encryption": {"atRest": "AES-256 via AWS RDS"}}), Flag::AtRest, Some(true)),
        (json!({"encryption": "CMEK"}), Flag::AtRest, Some(true)),
        (json!({"encryption": "none"}), Flag::AtRest, Some(false)),
        (json!({"encryption": "TLS 1.3"}), Flag::AtRest, None),
        (
            json!({"encryptedAtRest": true, "securityFlags": {"encryptedAtRest": false}}),
            Flag::AtRest,
            Some(false),
        ),
        (flags(json!({"hasBackup": false})), Flag::Backup, Some(false)),
        (flags(json!({"backupFrequency": "daily"})), Flag::Backup, Some(true)),
        (flags(json!({"backupFrequency": "none"})), Flag::Backup, Some(false)),
        (flags(json!({"backup_enabled": "Enabled"})), Flag::Backup, Some(true)),
        (flags(json!({"networkSegmentation": "public-subnet"})), Flag::Internet, Some(true)),
        (flags(json!({"networkSegmentation": "data-subnet"})), Flag::Internet, Some(false)),
        (flags(json!({"networkSegmentation": "edge-network"})), Flag::Internet, None),
        (flags(json!({"blockPublicAccess": true})), Flag::Internet, Some(false)),
        (json!({"publicIp": "34.1.2.3"}), Flag::Internet, Some(true)),
        (json!({"publicAccess": "blocked"}), Flag::Internet, Some(false)),
        (json!({"replicas": 1}), Flag::Replicated, Some(false)),
        (json!({"replicas": "3-10 (HPA)"}), Flag::Replicated, Some(true)),
        (json!({"replicas": 1, "multiAZ": true}), Flag::Replicated, Some(true)),
        (json!({"multiAZ": false}), Flag::Replicated, Some(false)),
        (json!({"autoScaling": false}), Flag::Replicated, None),
        (json!({"replicas": "many"}), Flag::Replicated, None),
        (flags(json!({"secretsManagement": "Vault"})), Flag::ManagedSecrets, Some(true)),
        (flags(json!({"secretsManagement": "environment variables"})), Flag::ManagedSecrets, Some(false)),
        (flags(json!({"secretsManagement": ".env"})), Flag::ManagedSecrets, Some(false)),
        (flags(json!({"secretsManagement": "hard-coded"})), Flag::ManagedSecrets, Some(false)),
        (flags(json!({"secretsManagement": "CloudFlare"})), Flag::ManagedSecrets, None),
        (json!({"dataClassification": "PII"}), Flag::Restricted, Some(true)),
        (json!({"dataClassification": "public"}), Flag::Restricted, Some(false)),
        (json!({"environment": "production"}), Flag::Production, Some(true)),
        (json!({"environment": "pre-prod"}), Flag::Production, Some(false)),
        (json!({"environment": "Staging"}), Flag::Production, Some(false)),
        (json!({"environment": "blue"}), Flag::Production, None),
        (json!({"rateLimiting": {"perIP": "100"}}), Flag::RateLimited, Some(true)),
        (json!({"rateLimiting": {"enabled": false}}), Flag::RateLimited, Some(false)),
        (json!({"rateLimiting": "unknown"}), Flag::RateLimited, None),
        (json!({"rateLimiting": {}}), Flag::RateLimited, None),
        (json!({"imdsv2": "required"}), Flag::EgressFilter, Some(true)),
        (json!({"mfa": "Required for all users"}), Flag::Mfa, Some(true)),
        (json!({"security": {"mfa": "none"}}), Flag::Mfa, Some(false)),
        (json!({"authentication": "none"}), Flag::Identity, Some(false)),
        (json!({"oidc": true}), Flag::Identity, Some(true)),
        (json!({}), Flag::Mfa, None),
    ] {
        assert_eq!(flag(data.clone(), of), is, "{data}");
    }
}

#[test]
fn zones_come_from_words_then_containers_then_kinds() {
    let zone = |node: &str, said: &str, container: &str| {
        let view = Drawing::new()
            .container("vpc", "vpc-vnet", container, [0, 0, 900, 900])
            .container("net", "subnet", "", [10, 10, 500, 500])
            .node("n", node, said)
            .at("n", 100, 100)
            .view();
        normaliser::model(&view).nodes[0].zone.map(crate::analysis::model::Zone::level)
    };
    // "n" is sorted first.
    assert_eq!(zone("database", "dmz", "app"), Some(1));
    assert_eq!(zone("database", "", "app"), Some(2), "through a subnet that says nothing");
    assert_eq!(zone("database", "Wonderland", "app"), Some(2));
    assert_eq!(zone("database", "", "Cloud"), None);
    assert_eq!(zone("web-browser", "", "app"), Some(2));
    assert_eq!(zone("web-browser", "", ""), Some(0));
}
