//! What connects several servers.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::reader::Reader;

#[derive(Debug, Clone)]
pub struct Bus {
    /// `None`: this server hears nobody else.
    pub redis: Option<Redis>,
}

#[derive(Debug, Clone)]
pub struct Redis {
    pub layout: RedisLayout,
    /// Hosts and ports: of the server, of nodes of the cluster, or of sentinels. At least one.
    pub hosts: Vec<(String, u16)>,
    pub has_tls: bool,
    pub login: Option<RedisLogin>,
    /// Certificates in PEM of who signed the servers' own. `None`: the system's.
    pub authority: Option<String>,
    /// Before the name of every channel, without the `:` behind it.
    pub prefix: String,
}

#[derive(Debug, Clone)]
pub enum RedisLayout {
    Single,
    Cluster,
    /// Sentinels know where the server of this name is.
    Sentinel {
        service: String,
        login: Option<RedisLogin>,
    },
}

#[derive(Debug, Clone)]
pub struct RedisLogin {
    /// `None`: the user `default`.
    pub user: Option<String>,
    pub password: SecretString,
}

const URL: &str = "REDIS_URL";
const PASSWORD: &str = "REDIS_PASSWORD";
const AUTHORITY: &str = "REDIS_CA";
const PREFIX: &str = "ATLAS_REDIS_PREFIX";

const SCHEMES: &str =
    "redis://, rediss://, redis-cluster://, rediss-cluster://, redis-sentinel:// or rediss-sentinel://";
const PARAMETERS: &str = "node, sentinelServiceName, sentinelUsername or sentinelPassword";
const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

impl Bus {
    /// Looks at every setting, also without an address: all mistakes are told at once.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        // Reading a setting takes it out of the file's.
        let [has_url, has_prefix] = [URL, PREFIX].map(|name| reader.is_set(name));
        let has_url = has_url || reader.is_set(&format!("{URL}_FILE"));
        let url = reader.redis_url(URL);
        let password = reader.password(PASSWORD);
        let authority = reader.pem(AUTHORITY);
        let prefix = reader.checked(PREFIX, "is not a prefix such as atlas or atlas:production", is_prefix);
        let Some(url) = url else {
            let others =
                [(PASSWORD, password.is_some()), (AUTHORITY, authority.is_some()), (PREFIX, has_prefix)];
            for (name, _) in others.into_iter().filter(|(_, is_set)| *is_set && !has_url) {
                reader.mistake(name, "means nothing without REDIS_URL");
            }
            return Self { redis: None };
        };
        if url.login.is_some() && password.is_some() {
            reader.mistake(PASSWORD, "and REDIS_URL both have a password: keep one");
        }
        if url.login.is_none() && password.is_none() && url.user.is_some() {
            reader.mistake(URL, "names a user and there is no password: add it, or set REDIS_PASSWORD");
        }
        if authority.is_some() && !url.has_tls {
            reader.mistake(AUTHORITY, "means nothing without TLS: REDIS_URL does not begin with rediss");
        }
        let user = url.user;
        let login = url.login.or(password).map(|password| RedisLogin { user, password });
        let prefix = prefix.unwrap_or_default();
        let (layout, hosts, has_tls) = (url.layout, url.hosts, url.has_tls);
        Self { redis: Some(Redis { layout, hosts, has_tls, login, authority, prefix }) }
    }
}

/// What an address says.
#[derive(Debug)]
pub(super) struct RedisUrl {
    layout: RedisLayout,
    hosts: Vec<(String, u16)>,
    has_tls: bool,
    user: Option<String>,
    /// Its password.
    login: Option<SecretString>,
}

/// The reason never repeats anything of the address: it may hold a password.
pub(super) fn read_url(text: &str) -> Result<RedisUrl, String> {
    const FORM: &str = "is not an address such as redis://user:password@host:6379";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let (scheme, layout) = url.scheme().split_once('-').unwrap_or((url.scheme(), ""));
    let has_tls = match scheme {
        "redis" => false,
        "rediss" => true,
        _ => return Err(format!("does not begin with {SCHEMES}")),
    };
    let port = if layout == "sentinel" { SENTINEL_PORT } else { PORT };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
    let mut hosts = vec![(bare(host), url.port().unwrap_or(port))];
    // Channels belong to no database, so its number means nothing.
    if !url.path().trim_start_matches('/').chars().all(|char| char.is_ascii_digit())
        || url.fragment().is_some()
    {
        return Err(FORM.into());
    }
    let is_sentinel = layout == "sentinel";
    let (mut service, mut user, mut password) = (None, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "node" if layout.is_empty() => return Err("has a node and is no cluster and no sentinel".into()),
            "sentinelServiceName" | "sentinelUsername" | "sentinelPassword" if !is_sentinel => {
                return Err("has a parameter about sentinels and names none".into());
            }
            "node" => hosts.push(as_host(&value).ok_or("has a node that is not host:port")?),
            "sentinelServiceName" => service = Some(value.into_owned()).filter(|name| !name.is_empty()),
            "sentinelUsername" => user = Some(value.into_owned()),
            "sentinelPassword" => password = Some(SecretString::from(value.into_owned())),
            _ => return Err(format!("has a parameter that is not {PARAMETERS}")),
        }
    }
    if user.is_some() && password.is_none() {
        return Err("has a sentinelUsername without a sentinelPassword".into());
    }
    let layout = match layout {
        "sentinel" => RedisLayout::Sentinel {
            service: service.ok_or("names no service: add ?sentinelServiceName=…")?,
            login: password.map(|password| RedisLogin { user, password }),
        },
        "cluster" => RedisLayout::Cluster,
        "" => RedisLayout::Single,
        _ => return Err(format!("does not begin with {SCHEMES}")),
    };
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?;
    let login = url.password().map(decoded).transpose()?.map(SecretString::from);
    Ok(RedisUrl { layout, hosts, has_tls, user, login })
}

fn decoded(part: &str) -> Result<String, String> {
    let text = percent_decode_str(part).decode_utf8();
    text.map(Into::into).map_err(|_| "has a user or a password that is no text".into())
}

fn as_host(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((bare(host), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

/// An address of IPv6 without its brackets.
fn bare(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

/// What no pattern and no hash slot reads as anything else.
fn is_prefix(text: &str) -> bool {
    const BYTES_MAX: usize = 100;
    let is_letter = |char: char| char.is_ascii_alphanumeric() || ".-_:".contains(char);
    (1..=BYTES_MAX).contains(&text.len()) && text.chars().all(is_letter) && !text.ends_with(':')
}
