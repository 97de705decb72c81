//! Every setting: its name, its key in the file, its default, and what it is for. The table of docs/OPERATIONS.md
//! is made of this list.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// Section and key in the file that `ATLAS_CONFIG` names.
    pub key: &'static str,
    /// What an unset variable means. Empty: nothing, as `what` says.
    pub default: &'static str,
    /// May also be given as the path of a file, by `<name>_FILE`.
    pub has_file: bool,
    /// Its value is never shown.
    pub is_secret: bool,
    /// One sentence for docs/OPERATIONS.md, with the unit and the limits.
    pub what: &'static str,
}

const fn plain(name: &'static str, key: &'static str, default: &'static str, what: &'static str) -> Setting {
    Setting { name, key, default, has_file: false, is_secret: false, what }
}

/// In the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    plain(
        "ATLAS_LISTEN",
        "server.listen",
        "127.0.0.1:3000",
        "Address and port of the server. `0.0.0.0:3000` listens on all of the machine's addresses, port 0 picks a free one.",
    ),
    plain(
        "ATLAS_PUBLIC_URL",
        "server.public_url",
        "",
        "How people reach the server, such as `https://atlas.example.org`. None: `http://` and `ATLAS_LISTEN`.",
    ),
    plain(
        "ATLAS_ALLOWED_ORIGINS",
        "server.allowed_origins",
        "",
        "Origins of pages on other hosts that may open sockets here and call the HTTP API with cookies, separated by commas (in the file: a list). The server's own pages always may: those of the public URL and of the `Host` that was asked. None: the public URL; without one, the listening address and the same port on `localhost`.",
    ),
    plain(
        "ATLAS_MAX_CONNECTIONS",
        "server.max_connections",
        "10000",
        "Open sockets of all kinds; more are refused with 503. 1 to 1000000; mind the limit of open files.",
    ),
    plain(
        "ATLAS_HEADER_TIMEOUT_MS",
        "server.header_timeout_ms",
        "10000",
        "Milliseconds that a client may take to send the headers of a request, and that a connection may be idle between two requests: a proxy must drop idle connections to the server sooner. 1 to 600000.",
    ),
    plain(
        "ATLAS_IDLE_EVICT_MS",
        "server.idle_evict_ms",
        "30000",
        "Milliseconds after which a design that nobody has open leaves memory. 1 to 86400000.",
    ),
    plain(
        "ATLAS_DRAIN_SECS",
        "server.drain_secs",
        "25",
        "Seconds that all of a stop may take: sockets are told, unsaved edits written, then what still runs is cut off. 0 to 3600.",
    ),
    plain(
        "ATLAS_DATA_DIR",
        "storage.data_dir",
        "./data",
        "Folder of the embedded database, the blobs and the generated keys. One process at a time.",
    ),
    Setting {
        name: "DATABASE_URL",
        key: "storage.database_url",
        default: "",
        has_file: true,
        is_secret: true,
        what: "Postgres 13 or newer, directly or behind PgBouncer: `postgres://user:password@host/database`. None: the embedded database in the data folder.",
    },
    plain(
        "ATLAS_DB_CONNECTIONS",
        "storage.db_connections",
        "22",
        "Connections to Postgres that this server opens at most. 10 to 500.",
    ),
    plain(
        "ATLAS_MIGRATE",
        "storage.migrate",
        "auto",
        "`auto`: a server brings the schema of Postgres up to date when it starts; `off`: it refuses to start when the schema is behind, and `atlas-collab migrate` brings it up to date.",
    ),
    Setting {
        name: "REDIS_URL",
        key: "bus.redis_url",
        default: "",
        has_file: true,
        is_secret: true,
        what: "Redis 7 or newer, through which several servers on one database hear each other at once: `redis://user:password@host:6379`, with TLS `rediss://`; see [Redis](#redis). None: others' edits come from the database, usually within a second, at most two.",
    },
    Setting {
        name: "REDIS_PASSWORD",
        key: "bus.redis_password",
        default: "",
        has_file: true,
        is_secret: true,
        what: "The password, where it does not stand in `REDIS_URL`.",
    },
    Setting {
        name: "REDIS_CA",
        key: "bus.redis_ca",
        default: "",
        has_file: true,
        is_secret: false,
        what: "Certificates in PEM of who signed the certificate of Redis. None: whom the system trusts.",
    },
    plain(
        "ATLAS_REDIS_PREFIX",
        "bus.redis_prefix",
        "atlas",
        "Stands before the name of every channel, with a `:` behind it: one Redis for several installations. Letters, digits, `.`, `-`, `_` and `:`, 100 at most.",
    ),
    plain(
        "ATLAS_COMPACT_ROWS",
        "jobs.compact_rows",
        "1000",
        "Edits in a design's log, above its snapshot, at which the log is folded. 10 to 1000000.",
    ),
    plain(
        "ATLAS_COMPACT_BYTES",
        "jobs.compact_bytes",
        "1048576",
        "Bytes of such edits at which the log is folded. 1024 to 1073741824.",
    ),
    plain(
        "ATLAS_COMPACT_LEAVE_ROWS",
        "jobs.compact_leave_rows",
        "32",
        "Such edits at which the log is folded when the last person leaves the design. 1 to 1000000.",
    ),
    plain(
        "ATLAS_COMPACT_QUIET_SECS",
        "jobs.compact_quiet_secs",
        "3600",
        "Seconds without an edit after which a log is folded, however short it is. 1 to 31536000.",
    ),
    plain(
        "ATLAS_COMPACT_KEEP_SECS",
        "jobs.compact_keep_secs",
        "600",
        "Seconds that an edit stays in the log after it is folded, so that servers which read on find it there. 0 to 86400.",
    ),
    plain(
        "ATLAS_SWEEP_SECS",
        "jobs.sweep_secs",
        "300",
        "Seconds between two looks for logs that need folding and that no server spoke of. 1 to 86400.",
    ),
    plain(
        "ATLAS_WORKERS",
        "jobs.workers",
        "1",
        "Logs that this server folds at once. Each takes a core while it works, and memory for one design. 1 to 64.",
    ),
    plain(
        "ATLAS_BACKLOG_BYTES",
        "jobs.backlog_bytes",
        "1073741824",
        "Bytes of blobs that may wait in the database while their store is away, of all servers together. Beyond it logs are not folded. 1048576 to 1099511627776.",
    ),
    plain(
        "ATLAS_APPEND_IDS_KEPT_SECS",
        "jobs.append_ids_kept_secs",
        "604800",
        "Seconds for which an edit whose log row is gone is still known when it comes again. 3600 to 31536000.",
    ),
    plain(
        "ATLAS_ANALYSIS_WORKERS",
        "jobs.analysis_workers",
        "2",
        "Designs that this server analyses at once. Each takes a core while it works, for milliseconds as a rule. 1 to 64.",
    ),
    plain(
        "ATLAS_ANALYSIS_LEASE_SECS",
        "jobs.analysis_lease_secs",
        "20",
        "Seconds after which a design is analysed elsewhere when the server that had begun is not heard of any more. 2 to 600.",
    ),
    plain(
        "ATLAS_ANALYSIS_SWEEP_SECS",
        "jobs.analysis_sweep_secs",
        "20",
        "Seconds between two looks for designs that were edited and that no server said have settled, and for acceptances that ran out. 1 to 86400.",
    ),
    plain(
        "ATLAS_LIMIT_UNSAVED_BYTES",
        "limits.unsaved_bytes",
        "16777216",
        "Bytes of edits that a design keeps in memory while the database takes none; beyond it people are sent away, with their edits in their browsers. 4194304 to 16777216.",
    ),
    plain(
        "ATLAS_LIMIT_UNSAVED_TOTAL_BYTES",
        "limits.unsaved_total_bytes",
        "268435456",
        "The same for all designs of a server together; beyond it those that people write to are treated as if they had used up their own. 4194304 to 268435456.",
    ),
    plain(
        "S3_BUCKET",
        "blobs.s3_bucket",
        "",
        "Bucket that holds the blobs. None: the folder `blobs` of the data folder. Credentials come from the usual AWS variables, profiles or roles.",
    ),
    plain(
        "S3_ENDPOINT",
        "blobs.s3_endpoint",
        "",
        "URL of another vendor's S3 server, such as `https://s3.example.org:9000`. None: AWS.",
    ),
    plain(
        "AWS_REGION",
        "blobs.aws_region",
        "",
        "Region of the bucket. None: what the AWS profile or the machine says; with an endpoint `us-east-1`.",
    ),
    plain(
        "S3_PREFIX",
        "blobs.s3_prefix",
        "",
        "Stands before every key, with a `/` behind it, such as `atlas/production`: one bucket for several things. None: keys begin with `designs/`.",
    ),
    plain(
        "S3_FORCE_PATH_STYLE",
        "blobs.s3_force_path_style",
        "",
        "`true`: the bucket stands in the path of the URL; `false`: before the host. None: `true` with an endpoint, else `false`.",
    ),
    plain(
        "S3_SSE",
        "blobs.s3_sse",
        "none",
        "What S3 is asked to encrypt blobs with: `none` (the bucket's default), `AES256` or `aws:kms`.",
    ),
    plain(
        "S3_SSE_KMS_KEY_ID",
        "blobs.s3_sse_kms_key_id",
        "",
        "The key for `aws:kms`: id, alias or ARN. None: the account's default key.",
    ),
    Setting {
        name: "ATLAS_ENCRYPTION_KEYS",
        key: "blobs.encryption_keys",
        default: "",
        has_file: true,
        is_secret: true,
        what: "Keys that encrypt blobs before they leave the server: `id:key`, the key being base64 of 32 bytes; separated by commas or line ends. The first encrypts, all decrypt. None: blobs are stored unencrypted.",
    },
    plain(
        "ATLAS_JWT_ISSUER",
        "auth.jwt_issuer",
        "https://api.kohatlas.com",
        "The claim `iss` of access tokens.",
    ),
    plain("ATLAS_JWT_AUDIENCE", "auth.jwt_audience", "kohatlas-app", "The claim `aud` of access tokens."),
    Setting {
        name: "ATLAS_JWT_PRIVATE_KEY",
        key: "auth.jwt_private_key",
        default: "",
        has_file: true,
        is_secret: true,
        what: "RSA key in PEM that signs access tokens, the same for all servers that share users. None: made in the data folder at the first start.",
    },
    Setting {
        name: "ATLAS_JWT_PUBLIC_KEY",
        key: "auth.jwt_public_key",
        default: "",
        has_file: true,
        is_secret: false,
        what: "RSA key in PEM that access tokens are checked with, besides the private key's own: the old one while keys are changed. Alone: this server checks tokens and makes no accounts.",
    },
    plain(
        "ATLAS_REGISTRATION",
        "auth.registration",
        "open",
        "`open`: everybody who reaches the server may make an account; `closed`: nobody may, once there is one.",
    ),
    plain(
        "ATLAS_ACCESS_TOKEN_SECS",
        "auth.access_token_secs",
        "900",
        "Seconds that an access token lives. 1 to 86400.",
    ),
    plain(
        "ATLAS_REFRESH_TOKEN_SECS",
        "auth.refresh_token_secs",
        "604800",
        "Seconds that a refresh token lives; each use gives a new one. At least as long as an access token, at most 31536000.",
    ),
    plain(
        "LOG_FORMAT",
        "log.format",
        "text",
        "`text` for people, `json` for one object per line. Logs go to standard error.",
    ),
    plain(
        "LOG_LEVEL",
        "log.level",
        "info",
        "`error`, `warn`, `info`, `debug`, `trace` or `off`; or directives per module, such as `info,atlas_collab::hub=debug`.",
    ),
];

/// Names the TOML file; not a setting of that file.
pub(super) const CONFIG_FILE: &str = "ATLAS_CONFIG";

/// Settings of a later version. Set here, they would be ignored and somebody would believe that they are not.
pub(super) const NOT_YET: &[(&str, &str)] = &[
    ("ATLAS_ADMIN_LISTEN", "metrics are not supported by this build yet"),
    ("ATLAS_JWKS_URL", "keys from a URL are not supported by this build yet: use ATLAS_JWT_PUBLIC_KEY"),
    ("ATLAS_TRUSTED_PROXIES", "proxy headers are not supported by this build yet"),
];

pub(super) fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
