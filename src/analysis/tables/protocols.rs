//! Protocols, by their names and usual ports.

use std::collections::HashMap;
use std::sync::LazyLock;

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
    /// The interface of a vault.
    Secret,
    /// Who somebody is: OIDC, SAML, Kerberos.
    Identity,
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

impl Protocol {
    /// It carries others and says nothing about what stands at its end.
    #[must_use]
    pub const fn is_carrier(&self) -> bool {
        matches!(self.family, Http | Tunnel | Other)
    }
}

/// The protocol of this name, in lower case, words separated by one space.
#[must_use]
pub fn named(name: &str) -> Option<&'static Protocol> {
    static NAMES: LazyLock<HashMap<String, &'static Protocol>> = LazyLock::new(|| {
        let mut names = HashMap::new();
        for protocol in PROTOCOLS {
            names.entry(protocol.name.to_lowercase()).or_insert(protocol);
            for word in protocol.words {
                names.entry((*word).to_owned()).or_insert(protocol);
            }
        }
        names
    });
    NAMES.get(name).copied()
}

/// The protocol that usually has this port.
#[must_use]
pub fn at_port(port: u16) -> Option<&'static Protocol> {
    static PORTS: LazyLock<HashMap<u16, &'static Protocol>> = LazyLock::new(|| {
        let mut ports = HashMap::new();
        for protocol in PROTOCOLS {
            for port in protocol.ports {
                ports.entry(*port).or_insert(protocol);
            }
        }
        ports
    });
    PORTS.get(&port).copied()
}

const fn protocol(
    name: &'static str,
    words: &'static [&'static str],
    ports: &'static [u16],
    family: Family,
    encryption: Encryption,
) -> Protocol {
    Protocol { name, words, ports, family, encryption, is_legacy: false }
}

const fn legacy(
    name: &'static str,
    words: &'static [&'static str],
    ports: &'static [u16],
    family: Family,
) -> Protocol {
    Protocol { name, words, ports, family, encryption: Encryption::None, is_legacy: true }
}

use Encryption::{None as Plain, Tls, Unknown};
use Family::{
    Admin, Cache, Database, Directory, Dns, File, Http, Identity, Mail, Monitoring, ObjectStore, Other,
    Queue, Secret, Tunnel,
};

/// Of two protocols with one port the first counts for it.
pub static PROTOCOLS: &[Protocol] = &[
    // Web.
    protocol(
        "HTTPS",
        &["https/1.1", "https/2", "https/3", "http/3", "http3", "h3", "quic", "webhook", "https webhook"],
        &[443, 8443],
        Http,
        Tls,
    ),
    protocol(
        "HTTP",
        &["http/1", "http/1.0", "http/1.1", "h2c", "reverse-proxy-web-protocol"],
        &[80, 8080, 8000, 8008, 8888],
        Http,
        Plain,
    ),
    protocol("HTTP/2", &["http2", "h2", "rest", "rest api", "graphql", "soap", "web"], &[], Http, Unknown),
    protocol("WSS", &["secure websocket"], &[], Http, Tls),
    protocol("WS", &[], &[], Http, Plain),
    protocol("WebSocket", &["web socket", "socket.io"], &[], Http, Unknown),
    protocol("gRPCs", &["grpc over tls"], &[], Http, Tls),
    protocol("gRPC", &["grpc-web", "thrift"], &[50051], Http, Unknown),
    // Databases.
    protocol(
        "PostgreSQL",
        &["postgres", "postgresql wire protocol", "pgsql", "pg", "libpq", "pgbouncer"],
        &[5432, 6432],
        Database,
        Unknown,
    ),
    protocol("MySQL", &["mariadb"], &[3306], Database, Unknown),
    protocol("SQL Server", &["mssql", "ms sql", "tds", "sqlserver", "azure sql"], &[1433], Database, Unknown),
    protocol("Oracle", &["tns", "oracle net", "sqlnet", "sql*net"], &[1521], Database, Unknown),
    protocol("Oracle TCPS", &["tcps"], &[2484], Database, Tls),
    protocol("MongoDB", &["mongo", "mongodb wire protocol"], &[27017, 27018, 27019], Database, Unknown),
    protocol("Elasticsearch", &["elastic", "opensearch"], &[9200, 9300], Database, Unknown),
    protocol("Cassandra", &["cql"], &[9042], Database, Unknown),
    protocol("Neo4j", &["bolt"], &[7687], Database, Unknown),
    protocol(
        "DynamoDB",
        &["bigquery", "cosmosdb", "cosmos db", "firestore", "spanner"],
        &[],
        Database,
        Unknown,
    ),
    protocol(
        "SQL",
        &[
            "aurora",
            "jdbc",
            "odbc",
            "sql-access-protocol",
            "nosql-access-protocol",
            "nosql",
            "database",
            "db",
            "tcp/sql",
            "cloud sql",
        ],
        &[],
        Database,
        Unknown,
    ),
    protocol("InfluxDB", &[], &[8086], Database, Unknown),
    // Caches and queues.
    protocol(
        "Redis",
        &["resp", "resp2", "resp3", "redis serialization protocol", "redis streams", "redis cluster"],
        &[6379],
        Cache,
        Unknown,
    ),
    protocol("Redis TLS", &["rediss"], &[6380], Cache, Tls),
    protocol("Memcached", &["memcache"], &[11211], Cache, Unknown),
    protocol("Kafka", &["kafka protocol"], &[9092, 9094], Queue, Unknown),
    protocol("Kafka TLS", &["kafkas", "kafka ssl", "sasl_ssl", "sasl ssl"], &[9093], Queue, Tls),
    protocol("Kafka plaintext", &["sasl_plaintext", "sasl plaintext"], &[], Queue, Plain),
    protocol("AMQPS", &[], &[5671], Queue, Tls),
    protocol("AMQP", &["rabbitmq"], &[5672], Queue, Unknown),
    protocol("MQTTS", &[], &[8883], Queue, Tls),
    protocol("MQTT", &[], &[1883], Queue, Unknown),
    protocol("NATS", &[], &[4222], Queue, Unknown),
    protocol("BullMQ", &["job queue"], &[], Queue, Unknown),
    protocol(
        "Queue",
        &[
            "jms",
            "stomp",
            "sqs",
            "sns",
            "pub/sub",
            "pubsub",
            "event hub",
            "event hubs",
            "kinesis",
            "service bus",
            "message queue",
            "messaging",
            "events",
            "eventbridge",
        ],
        &[61616, 61613],
        Queue,
        Unknown,
    ),
    // Objects and files.
    protocol(
        "S3 API",
        &[
            "s3",
            "aws s3",
            "aws s3 api",
            "gcs",
            "gcs api",
            "blob api",
            "azure blob",
            "object storage",
            "storage api",
            "cloud storage",
            "minio",
        ],
        &[],
        ObjectStore,
        Unknown,
    ),
    legacy("FTP", &["ftp (plain)"], &[21, 20], File),
    legacy("TFTP", &[], &[69], File),
    protocol("FTPS", &["ftp over tls", "ftp over ssl"], &[990, 21], File, Tls),
    protocol("SMB", &["cifs", "smbv3", "smb3"], &[445], File, Unknown),
    protocol("NFS", &["efs", "iscsi"], &[2049], File, Unknown),
    protocol("rsync", &[], &[873], File, Unknown),
    // Administration.
    protocol("SSH", &["ssh-tunnel", "ssh tunnel", "iap", "session manager", "ssm"], &[22], Admin, Tls),
    protocol("SFTP", &["scp", "rsync over ssh"], &[22], File, Tls),
    protocol("RDP", &["remote desktop"], &[3389], Admin, Tls),
    protocol("Kubernetes API", &["kubectl", "kube-api", "k8s api", "kubernetes"], &[6443], Admin, Tls),
    protocol("WinRM", &["powershell remoting", "wmi"], &[5985], Admin, Unknown),
    protocol("WinRM HTTPS", &[], &[5986], Admin, Tls),
    protocol("Docker API", &[], &[2376], Admin, Unknown),
    protocol("Docker API plain", &[], &[2375], Admin, Plain),
    protocol("IPMI", &[], &[623], Admin, Unknown),
    protocol("etcd", &["zookeeper", "consul"], &[2379, 2181, 8500], Other, Unknown),
    legacy("Telnet", &[], &[23], Admin),
    protocol("Syslog", &["rsyslog", "syslog udp"], &[514], Monitoring, Unknown),
    legacy("rsh", &["rlogin", "rexec", "rcp"], &[514, 513, 512], Admin),
    legacy("VNC", &["rfb", "x11"], &[5900, 5901], Admin),
    // Mail.
    protocol("SMTPS", &["smtp-encrypted"], &[465], Mail, Tls),
    protocol("SMTP", &["mail", "email"], &[587, 25], Mail, Unknown),
    protocol("IMAPS", &["pop3s"], &[993, 995], Mail, Tls),
    protocol("IMAP", &["pop3", "pop3-encrypted"], &[143, 110], Mail, Unknown),
    // Names and directories.
    protocol("DNS over TLS", &["dot", "doh", "dns over https"], &[853], Dns, Tls),
    protocol("DNS", &["dnssec"], &[53], Dns, Unknown),
    protocol("LDAPS", &["ldap over ssl", "ldap over tls", "ldap/tls"], &[636], Directory, Tls),
    legacy("LDAP", &[], &[389], Directory),
    protocol("Kerberos", &[], &[88], Identity, Unknown),
    protocol(
        "OIDC",
        &["openid connect", "oauth", "oauth2", "oauth 2.0", "saml", "sso"],
        &[],
        Identity,
        Unknown,
    ),
    protocol("RADIUS", &["tacacs", "tacacs+"], &[1812, 1813], Identity, Unknown),
    // Watching.
    protocol(
        "Prometheus",
        &[
            "prometheus scrape",
            "postgres_exporter",
            "redis_exporter",
            "node_exporter",
            "metrics",
            "scrape",
            "prometheus remote write",
        ],
        &[9090, 9091, 9093, 9100, 9187, 9121],
        Monitoring,
        Unknown,
    ),
    protocol("Syslog TLS", &["syslog over tls"], &[6514], Monitoring, Tls),
    protocol(
        "Telemetry",
        &[
            "otlp",
            "opentelemetry",
            "statsd",
            "cloud monitoring",
            "cloud logging",
            "cloudwatch",
            "logs",
            "logging",
            "fluentd",
            "beats",
            "nrpe",
            "netflow",
            "jaeger",
            "zipkin",
        ],
        &[4317, 4318, 8125, 24224, 5044],
        Monitoring,
        Unknown,
    ),
    legacy("SNMP v1/v2", &["snmpv1", "snmpv2", "snmpv2c", "snmp v1", "snmp v2", "snmp v2c"], &[], Monitoring),
    protocol("SNMPv3", &["snmp v3"], &[], Monitoring, Tls),
    protocol("SNMP", &[], &[161, 162], Monitoring, Unknown),
    // Vaults.
    protocol(
        "Vault",
        &["vault api", "vault http api", "secrets api", "kms", "kms api", "kmip", "pkcs11"],
        &[8200, 5696],
        Secret,
        Unknown,
    ),
    // Tunnels and what carries others.
    protocol("IPsec", &["vpn", "ipsec vpn", "ike", "ikev2", "l2tp/ipsec"], &[500, 4500], Tunnel, Tls),
    protocol(
        "WireGuard",
        &["openvpn", "ssl vpn", "tls vpn", "zerotier", "tailscale"],
        &[51820, 1194],
        Tunnel,
        Tls,
    ),
    protocol(
        "GRE",
        &["vxlan", "l2tp", "pptp", "mpls", "direct connect", "expressroute", "bgp"],
        &[179],
        Tunnel,
        Unknown,
    ),
    protocol("TLS", &["ssl", "tls/tcp", "tcp/tls", "mtls", "dtls"], &[], Other, Tls),
    protocol("TCP", &["tcp/ip", "ip", "binary", "text", "sctp"], &[], Other, Unknown),
    protocol("UDP", &[], &[], Other, Unknown),
    protocol("ICMP", &["ping", "arp"], &[], Other, Unknown),
    protocol("NTP", &["ptp"], &[123], Other, Unknown),
    protocol("SIP", &["rtp", "xmpp", "srtp", "webrtc"], &[5060, 5222], Other, Unknown),
    protocol(
        "Modbus",
        &["opc ua", "opc-ua", "dnp3", "bacnet", "coap", "zigbee", "bluetooth", "ble", "lorawan"],
        &[502, 4840],
        Other,
        Unknown,
    ),
    protocol(
        "Local call",
        &[
            "in-process-library-call",
            "inter-process-communication",
            "local-file-access",
            "container-spawning",
            "iiop",
            "jrmp",
            "rmi",
            "ipc",
            "unix socket",
        ],
        &[1099],
        Other,
        Unknown,
    ),
    protocol(
        "RPC",
        &["msrpc", "dcom", "json-rpc", "xml-rpc", "api", "api call", "custom"],
        &[135],
        Other,
        Unknown,
    ),
];

/// Texts that say "any protocol" or "any port".
pub const ANY: &[&str] = &[
    "any",
    "*",
    "all",
    "any/any",
    "any:any",
    "any-any",
    "any any",
    "-1",
    "all traffic",
    "any protocol",
    "all protocols",
];
/// Texts that say "any port", besides [`ANY`].
pub const ANY_PORT: &[&str] = &["0-65535", "1-65535", "all ports", "any port"];
/// Texts for a protocol that are known to say nothing.
pub const VAGUE: &[&str] = &[
    "various",
    "unknown",
    "unknown-protocol",
    "other",
    "mixed",
    "n/a",
    "none",
    "tbd",
    "-",
    "?",
    "custom protocol",
    "multiple",
];
