use secrecy::ExposeSecret;

use super::tests::{mistakes, parse};
use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";

fn redis(environment: &[(&str, &str)]) -> Redis {
    let files = [("/run/password", "hush\n"), ("/run/url", "redis://:hush@host/\n"), ("/run/ca", PEM)];
    parse(environment, &files).unwrap().bus.redis.unwrap()
}

/// User and password.
fn login(redis: &Redis) -> Option<(Option<&str>, &str)> {
    redis.login.as_ref().map(|login| (login.user.as_deref(), login.password.expose_secret()))
}

#[test]
fn without_an_address_there_is_no_redis() {
    assert!(parse(&[("REDIS_URL", "")], &[]).unwrap().bus.redis.is_none());
}

#[test]
fn one_server_with_and_without_tls() {
    let plain = redis(&[("REDIS_URL", "redis://cache.example.org")]);
    assert!(matches!(plain.layout, RedisLayout::Single) && !plain.has_tls && plain.login.is_none());
    assert_eq!(plain.hosts, [("cache.example.org".to_owned(), 6379)]);
    assert_eq!(plain.prefix, "atlas");

    let url = ("REDIS_URL", "rediss://atlas:a%2Fb%40c@[::1]:7000/3");
    let secured = redis(&[url, ("REDIS_CA", PEM), ("ATLAS_REDIS_PREFIX", "atlas:staging")]);
    assert!(secured.has_tls && secured.authority.as_deref() == Some(PEM));
    assert_eq!(secured.hosts, [("::1".to_owned(), 7000)], "and the database means nothing");
    assert_eq!(login(&secured), Some((Some("atlas"), "a/b@c")));
    assert_eq!(secured.prefix, "atlas:staging");
}

#[test]
fn clusters_and_sentinels_have_several_hosts() {
    let hosts =
        |redis: &Redis| redis.hosts.iter().map(|(host, port)| format!("{host} {port}")).collect::<Vec<_>>();
    let cluster = redis(&[("REDIS_URL", "redis-cluster://a:1?node=b:2&node=[::1]:3")]);
    assert!(matches!(cluster.layout, RedisLayout::Cluster));
    assert_eq!(hosts(&cluster), ["a 1", "b 2", "::1 3"]);

    let url =
        "rediss-sentinel://u:p@a?sentinelServiceName=atlas&node=b:2&sentinelUsername=s&sentinelPassword=q";
    let sentinel = redis(&[("REDIS_URL", url)]);
    assert_eq!(hosts(&sentinel), ["a 26379", "b 2"]);
    assert_eq!(login(&sentinel), Some((Some("u"), "p")));
    let RedisLayout::Sentinel { service, login: Some(login) } = sentinel.layout else { panic!() };
    assert_eq!(
        (service.as_str(), login.user.as_deref(), login.password.expose_secret()),
        ("atlas", Some("s"), "q")
    );
}

#[test]
fn passwords_come_from_the_address_a_variable_or_a_file() {
    let user = ("REDIS_URL", "redis://atlas@host");
    assert_eq!(login(&redis(&[user, ("REDIS_PASSWORD", "hush")])), Some((Some("atlas"), "hush")));
    let file = ("REDIS_PASSWORD_FILE", "/run/password");
    assert_eq!(login(&redis(&[user, file])), Some((Some("atlas"), "hush")), "the line end is not part of it");
    assert_eq!(login(&redis(&[("REDIS_URL", "redis://host"), file])), Some((None, "hush")));
    assert_eq!(login(&redis(&[("REDIS_URL_FILE", "/run/url")])), Some((None, "hush")));
    let ca = redis(&[("REDIS_URL", "rediss://host"), ("REDIS_CA_FILE", "/run/ca")]);
    assert_eq!(ca.authority.as_deref(), Some(PEM));
}

#[test]
fn every_mistake_about_redis_is_told_without_its_secrets() {
    let form = "is not an address such as redis://user:password@host:6379";
    let schemes = "does not begin with redis://, rediss://, redis-cluster://, rediss-cluster://, redis-sentinel:// or rediss-sentinel://";
    for (url, told) in [
        ("hush-hush", form),
        ("redis://", form),
        ("redis://u:hush@host/path", form),
        ("redis://u:hush@host:99999", form),
        ("http://u:hush@host", schemes),
        ("redis-ring://u:hush@host", schemes),
        ("redis://u:hush@host?node=a:1", "has a node and is no cluster and no sentinel"),
        ("redis-cluster://u:hush@host?node=a", "has a node that is not host:port"),
        ("redis-sentinel://u:hush@host", "names no service: add ?sentinelServiceName=…"),
        (
            "redis-sentinel://u:hush@host?hush=1",
            "has a parameter that is not node, sentinelServiceName, sentinelUsername or sentinelPassword",
        ),
        ("redis://u:hush@host?sentinelPassword=hush", "has a parameter about sentinels and names none"),
        (
            "redis-sentinel://u:hush@host?sentinelServiceName=s&sentinelUsername=hush",
            "has a sentinelUsername without a sentinelPassword",
        ),
        ("redis://u@host", "names a user and there is no password: add it, or set REDIS_PASSWORD"),
        ("redis://u:%ff@host", "has a user or a password that is no text"),
    ] {
        assert_eq!(mistakes(&[("REDIS_URL", url)], &[]), [format!("REDIS_URL: {told}")], "{url}");
    }
    let told = mistakes(
        &[
            ("REDIS_URL", "redis://u:hush@host"),
            ("REDIS_PASSWORD", "hush"),
            ("REDIS_CA", PEM),
            ("ATLAS_REDIS_PREFIX", "a*"),
        ],
        &[],
    );
    assert_eq!(
        told,
        [
            "ATLAS_REDIS_PREFIX: `a*` is not a prefix such as atlas or atlas:production",
            "REDIS_CA: means nothing without TLS: REDIS_URL does not begin with rediss",
            "REDIS_PASSWORD: and REDIS_URL both have a password: keep one",
        ]
    );
    let alone = [("REDIS_PASSWORD", "hush"), ("REDIS_CA", PEM), ("ATLAS_REDIS_PREFIX", "mine")];
    for (name, value) in alone {
        assert_eq!(mistakes(&[(name, value)], &[]), [format!("{name}: means nothing without REDIS_URL")]);
    }
}

#[test]
fn no_password_of_redis_is_shown() {
    let url = "redis-sentinel://u:hush@host?sentinelServiceName=s&sentinelPassword=hush";
    assert!(!format!("{:?}", parse(&[("REDIS_URL", url)], &[]).unwrap()).contains("hush"));
}
