use std::io;

use secrecy::ExposeSecret;

use super::*;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

/// `files`: what lies at these paths.
pub(super) fn parse(environment: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::from_environment(&environment, &|path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    })
}

/// The mistakes as a person reads them.
pub(super) fn mistakes(environment: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
    parse(environment, files).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let config = parse(&[], &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(config.server.public_url, "http://127.0.0.1:3000");
    assert_eq!(config.server.allowed_origins, ["http://127.0.0.1:3000", "http://localhost:3000"]);
    assert_eq!(config.server.connections_max, 10_000);
    assert_eq!(config.server.idle_evict, Duration::from_millis(atlas_crdt::limits::IDLE_EVICT_MS));
    assert_eq!(config.server.drain, Duration::from_secs(25));
    assert_eq!(config.storage.data_dir, Path::new("./data"));
    assert_eq!(config.auth.jwt_issuer, "https://api.kohatlas.com");
    assert_eq!(config.auth.jwt_audience, "kohatlas-app");
    assert!(config.auth.jwt_private_key.is_none() && config.auth.jwt_public_key.is_none());
    assert_eq!(config.auth.registration, Registration::Open);
    assert_eq!(config.auth.access_token_ttl, Duration::from_mins(15));
    assert_eq!(config.auth.refresh_token_ttl, Duration::from_hours(7 * 24));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Text, "info"));
}

#[test]
fn other_peoples_variables_and_empty_ones_do_not_matter() {
    let config = parse(&[("PATH", "/bin"), ("ATLAS_LISTEN", ""), ("DATABASE_URL", "")], &[]).unwrap();
    assert_eq!(config.server.listen.port(), 3000);
}

#[test]
fn the_public_url_is_the_allowed_origin_unless_others_are_named() {
    let config = parse(&[("ATLAS_PUBLIC_URL", "https://Atlas.Example.org/")], &[]).unwrap();
    assert_eq!(config.server.public_url, "https://atlas.example.org");
    assert_eq!(config.server.allowed_origins, ["https://atlas.example.org"]);
    let origins = ("ATLAS_ALLOWED_ORIGINS", "https://a.example, http://b.example:8080,");
    let config = parse(&[("ATLAS_PUBLIC_URL", "https://atlas.example.org"), origins], &[]).unwrap();
    assert_eq!(config.server.allowed_origins, ["https://a.example", "http://b.example:8080"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = mistakes(
        &[
            ("ATLAS_LISTEN", "3000"),
            ("ATLAS_LISTENN", "127.0.0.1:1"),
            ("ATLAS_SHOE_SIZE", "43"),
            ("ATLAS_MAX_CONNECTIONS", "0"),
            ("ATLAS_DRAIN_SECS", "-1"),
            ("ATLAS_PUBLIC_URL", "atlas.example.org"),
            ("ATLAS_ALLOWED_ORIGINS", "*,https://fine.example,https://a.example/path"),
            ("ATLAS_REGISTRATION", "invite"),
            ("ATLAS_ACCESS_TOKEN_SECS", "1000"),
            ("ATLAS_REFRESH_TOKEN_SECS", "999"),
            ("ATLAS_DATA_DIR", " "),
            ("LOG_FORMAT", "xml"),
            ("LOG_LEVEL", "loud"),
            ("DATABASE_URL", "mysql://root:hush-hush@somewhere/db"),
            ("ATLAS_DB_CONNECTIONS", "7"),
            ("ATLAS_LIMIT_UNSAVED_BYTES", "16777217"),
            ("REDIS_URL", "root:hush-hush@somewhere"),
            ("ATLAS_JWKS_URL", "https://keys.example.org"),
        ],
        &[],
    );
    let expected = [
        "ATLAS_ALLOWED_ORIGINS: `*` is not an origin such as https://atlas.example.org (no path, no `*`)",
        "ATLAS_ALLOWED_ORIGINS: `https://a.example/path` is not an origin such as https://atlas.example.org (no path, no `*`)",
        "ATLAS_DATA_DIR: must not be empty",
        "ATLAS_DB_CONNECTIONS: `7` is not a whole number from 10 to 500",
        "ATLAS_DRAIN_SECS: `-1` is not a whole number from 0 to 3600",
        "ATLAS_JWKS_URL: keys from a URL are not supported by this build yet: use ATLAS_JWT_PUBLIC_KEY",
        "ATLAS_LIMIT_UNSAVED_BYTES: `16777217` is not a whole number from 4194304 to 16777216",
        "ATLAS_LISTEN: `3000` is not an address such as 127.0.0.1:3000 or [::1]:3000",
        "ATLAS_LISTENN: is not a setting; did you mean ATLAS_LISTEN?",
        "ATLAS_MAX_CONNECTIONS: `0` is not a whole number from 1 to 1000000",
        "ATLAS_PUBLIC_URL: `atlas.example.org` is not a URL such as https://atlas.example.org, without a path",
        "ATLAS_REFRESH_TOKEN_SECS: must not be less than ATLAS_ACCESS_TOKEN_SECS",
        "ATLAS_REGISTRATION: `invite` is none of: open, closed",
        "ATLAS_SHOE_SIZE: is not a setting; docs/OPERATIONS.md lists all of them",
        "DATABASE_URL: is not an address such as postgres://user:password@host/database",
        "LOG_FORMAT: `xml` is none of: text, json",
        "LOG_LEVEL: `loud` is neither a level (off, error, warn, info, debug, trace) nor target=level",
        "REDIS_URL: does not begin with redis://, rediss://, redis-cluster://, rediss-cluster://, redis-sentinel:// or rediss-sentinel://",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_file_sets_what_the_environment_leaves_open() {
    let file = "
        [server]
        listen = '0.0.0.0:8080'
        max_connections = 5
        allowed_origins = ['https://a.example', 'https://b.example']
        [auth]
        registration = 'closed'
        [log]
        level = 'warn,atlas_collab::hub=debug'
    ";
    let environment = [("ATLAS_CONFIG", "/etc/atlas.toml"), ("ATLAS_MAX_CONNECTIONS", "7")];
    let config = parse(&environment, &[("/etc/atlas.toml", file)]).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.connections_max, 7, "the environment wins");
    assert_eq!(config.server.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.auth.registration, Registration::Closed);
    assert_eq!(config.log.level, "warn,atlas_collab::hub=debug");
}

#[test]
fn mistakes_in_the_file_are_told_too() {
    let environment = [("ATLAS_CONFIG", "a.toml")];
    let file = "listen = 1\n[server]\nlisten = 'x'\nlistn = 'y'\ndrain_secs = 1.5\n[shoes]\nsize = 43\n";
    assert_eq!(
        mistakes(&environment, &[("a.toml", file)]),
        [
            "ATLAS_LISTEN: `x` is not an address such as 127.0.0.1:3000 or [::1]:3000",
            "listen: stands outside of a [section]",
            "server.drain_secs: must be a text, a number, true, false or a list of texts",
            "server.listn: is not a setting; did you mean server.listen?",
            "shoes.size: is not a setting; docs/OPERATIONS.md lists all of them",
        ]
    );
    assert_eq!(mistakes(&environment, &[]), ["ATLAS_CONFIG: cannot read a.toml: entity not found"]);
    let broken = mistakes(&environment, &[("a.toml", "[auth]\njwt_private_key = hush-hush\n")]);
    assert!(broken[0].starts_with("ATLAS_CONFIG: a.toml is not TOML: "), "{broken:?}");
    assert!(broken[0].ends_with("(line 2)") && !broken[0].contains("hush"), "{broken:?}");
}

#[test]
fn keys_come_from_the_variable_or_from_a_file() {
    let one_line = PEM.replace('\n', "\\n");
    for (environment, files) in [
        (("ATLAS_JWT_PRIVATE_KEY", PEM), &[][..]),
        (("ATLAS_JWT_PRIVATE_KEY", one_line.as_str()), &[]),
        (("ATLAS_JWT_PRIVATE_KEY_FILE", "/run/secrets/key"), &[("/run/secrets/key", PEM)]),
    ] {
        let config = parse(&[environment], files).unwrap();
        assert_eq!(config.auth.jwt_private_key.unwrap().expose_secret(), PEM);
    }
    let public = ("ATLAS_JWT_PUBLIC_KEY_FILE", "public.pem");
    let config = parse(&[public], &[("public.pem", "-----BEGIN PUBLIC KEY-----")]).unwrap();
    assert_eq!(config.auth.jwt_public_key.as_deref(), Some("-----BEGIN PUBLIC KEY-----"));

    let both = [("ATLAS_JWT_PRIVATE_KEY", PEM), ("ATLAS_JWT_PRIVATE_KEY_FILE", "k")];
    assert_eq!(
        mistakes(&both, &[("k", PEM)]),
        ["ATLAS_JWT_PRIVATE_KEY_FILE: and ATLAS_JWT_PRIVATE_KEY are both set: keep one"]
    );
    assert_eq!(
        mistakes(&[("ATLAS_LISTEN_FILE", "k")], &[]),
        ["ATLAS_LISTEN_FILE: is not a setting; docs/OPERATIONS.md lists all of them"],
        "only keys come from files"
    );
}

#[test]
fn secrets_are_never_shown() {
    let config = parse(&[("ATLAS_JWT_PRIVATE_KEY", PEM)], &[]).unwrap();
    assert!(!format!("{config:?}").contains("c2VjcmV0"));
    let told = mistakes(&[("ATLAS_JWT_PRIVATE_KEY", "hush-hush")], &[]);
    assert_eq!(told, ["ATLAS_JWT_PRIVATE_KEY: is not a key in PEM: it must begin with `-----BEGIN `"]);
}

/// What the table of docs/OPERATIONS.md must be. After a change of `SETTINGS`, copy it from this test's output.
#[test]
fn the_documentation_lists_every_setting() {
    use std::fmt::Write;

    let mut table = String::from("| variable | in the file | default | what |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let file = if setting.has_file { format!(", `{}_FILE`", setting.name) } else { String::new() };
        let default =
            if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
        writeln!(table, "| `{}`{file} | `{}` | {default} | {} |", setting.name, setting.key, setting.what)
            .unwrap();
    }
    let page = include_str!("../../docs/OPERATIONS.md");
    assert!(page.contains(&table), "docs/OPERATIONS.md needs this table:\n\n{table}");
}

#[test]
fn every_default_is_a_value_that_the_setting_takes() {
    let environment: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, setting.default)).collect();
    let explicit = parse(&environment, &[]).unwrap();
    assert_eq!(format!("{explicit:?}"), format!("{:?}", parse(&[], &[]).unwrap()));
    let keys: std::collections::BTreeSet<_> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
}
