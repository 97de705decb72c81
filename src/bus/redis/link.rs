//! One connection to Redis, in a cluster one to each node: from its beginning to its end.
//!
//! `fred` can mend its connections itself and is not asked to: it would keep commands for later that mean nothing by
//! then, answers that never come would stay in its memory, and a Redis that stands still would not be noticed while
//! something is written to it now and then. A link that fails is thrown away with all that it holds, and [`Dialer`]
//! makes another.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike as _;
use fred::rustls::crypto::aws_lc_rs;
use fred::rustls::pki_types::CertificateDer;
use fred::rustls::pki_types::pem::PemObject as _;
use fred::rustls::{ClientConfig, RootCertStore};
use fred::socket2::TcpKeepalive;
use fred::types::config::{
    Blocking, ClusterDiscoveryPolicy, Config, ConnectionConfig, Options, PerformanceConfig, Server,
    ServerConfig, TcpConfig, TlsConfig, TlsConnector, UnresponsiveConfig,
};
use fred::types::{ConnectHandle, RespVersion, Value};
use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};
use secrecy::ExposeSecret as _;
use tokio::time::{sleep, timeout};

use super::{RedisLayout, RedisLogin, RedisSettings};

/// A command that is not answered for so long has failed.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_millis(500);
/// How often Redis is asked whether it is still there.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// A connection with its handshake, of which a cluster takes several at once and a sentinel two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// All of a link's beginning.
const OPEN_TIMEOUT: Duration = Duration::from_secs(4);
/// How often a link is looked at that begins.
const OPEN_LOOK: Duration = Duration::from_millis(20);
/// Messages that wait between fred and us. What does not fit is lost, and everybody is told.
const MESSAGES_MAX: usize = 8_192;
/// Commands that wait inside of fred: more than we ever have in flight, since a connection that breaks needs room in
/// the same queue.
const COMMANDS_MAX: usize = 4_096;

/// Everything that a link is made of. Nothing of it is left to defaults that may change.
pub(super) struct Plan {
    config: Config,
    performance: PerformanceConfig,
    connection: ConnectionConfig,
}

/// Fred's own would show the password.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("hosts", &self.config.server.hosts()).finish_non_exhaustive()
    }
}

impl Plan {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, Error> {
        let servers = || settings.hosts.iter().map(|(host, port)| Server::new(host.clone(), *port)).collect();
        let user = |login: &Option<RedisLogin>| login.as_ref().and_then(|login| login.user.clone());
        let password = |login: &Option<RedisLogin>| {
            login.as_ref().map(|login| login.password.expose_secret().to_owned())
        };
        let server = match &settings.layout {
            RedisLayout::Single => {
                let (host, port) = settings.hosts.first().ok_or_else(no_host)?;
                ServerConfig::Centralized { server: Server::new(host.clone(), *port) }
            }
            RedisLayout::Cluster => {
                ServerConfig::Clustered { hosts: servers(), policy: ClusterDiscoveryPolicy::ConfigEndpoint }
            }
            RedisLayout::Sentinel { service, login } => ServerConfig::Sentinel {
                hosts: servers(),
                service_name: service.clone(),
                username: user(login),
                password: password(login),
            },
        };
        let config = Config {
            // The first failure ends it: see above.
            fail_fast: true,
            blocking: Blocking::Block,
            username: user(&settings.login).map(|user| quoted(&user)),
            password: password(&settings.login).map(|password| quoted(&password)),
            server,
            // A connection that subscribes may also be asked whether it is there.
            version: RespVersion::RESP3,
            // Channels belong to no database.
            database: None,
            tls: if settings.has_tls { Some(tls(settings.authority.as_deref())?) } else { None },
        };
        let performance = PerformanceConfig {
            default_command_timeout: COMMAND_TIMEOUT,
            max_feed_count: 200,
            broadcast_channel_capacity: MESSAGES_MAX,
        };
        // A link that is silent is noticed long before: see `BEAT`.
        let keepalive =
            TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(2));
        let connection = ConnectionConfig {
            connection_timeout: CONNECT_TIMEOUT,
            internal_command_timeout: CONNECT_TIMEOUT,
            cluster_cache_update_delay: Duration::ZERO,
            // A hash slot that has moved takes one, and its new node another. Nothing is sent again after a failure.
            max_command_attempts: 3,
            max_redirections: 3,
            unresponsive: UnresponsiveConfig { max_timeout: Some(Duration::from_secs(2)), interval: BEAT },
            reconnect_on_auth_error: false,
            auto_client_setname: false,
            max_command_buffer_len: COMMANDS_MAX,
            // A cluster that lost a part is still one for the others.
            disable_cluster_health_check: true,
            tcp: TcpConfig { nodelay: Some(true), linger: None, ttl: None, keepalive: Some(keepalive) },
        };
        Ok(Self { config, performance, connection })
    }
}

/// Fred says HELLO in Redis' inline form, a line of words, and puts user and password into it as they are.
fn quoted(word: &str) -> String {
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for byte in word.bytes() {
        let _ = write!(quoted, "\\x{byte:02x}");
    }
    quoted + "\""
}

fn no_host() -> Error {
    Error::new(ErrorKind::Config, "no host is named")
}

/// Trusts who signed with `authority` and nobody else; without one whom the system trusts.
fn tls(authority: Option<&str>) -> Result<TlsConfig, Error> {
    let bad = |what: &str| Error::new(ErrorKind::Tls, what.to_owned());
    let mut roots = RootCertStore::empty();
    if let Some(pem) = authority {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate =
                certificate.map_err(|_| bad("a certificate of the authority cannot be read"))?;
            roots.add(certificate)?;
        }
    } else {
        // One that cannot be used is somebody else's matter.
        roots.add_parsable_certificates(fred::rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(bad("there is no certificate of an authority to trust"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(config.with_root_certificates(roots).with_no_client_auth()).into())
}

/// Connected. Dropping it closes its connections, whatever they are at.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    is_cluster: bool,
    /// Fred's own task.
    task: ConnectHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Takes [`OPEN_TIMEOUT`] at most.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Error> {
        let (performance, connection) = (plan.performance.clone(), plan.connection.clone());
        let client = Client::new(plan.config.clone(), Some(performance), Some(connection), None);
        let task = client.connect();
        let mut link = Self { client, is_cluster: plan.config.server.is_clustered(), task };
        let connected = async {
            while !link.client.is_connected() {
                tokio::select! {
                    error = ended(&mut link.task) => return Err(error),
                    () = sleep(OPEN_LOOK) => {}
                }
            }
            Ok(())
        };
        match timeout(OPEN_TIMEOUT, connected).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "no connection in time")),
        }
    }

    /// Returns when the connection, or one of them, is gone, with the cause.
    pub(super) async fn ended(&mut self) -> Error {
        ended(&mut self.task).await
    }

    /// Whether every node answers.
    pub(super) fn check(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let client = self.client.clone();
        let nodes: Vec<Option<Server>> = if self.is_cluster {
            client.active_connections().into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        async move {
            let asked = nodes.into_iter().map(|cluster_node| {
                let client = client.clone();
                async move {
                    let options =
                        Options { cluster_node, timeout: Some(COMMAND_TIMEOUT), ..Options::default() };
                    client.with_options(&options).ping::<Value>(None).await
                }
            });
            try_join_all(asked).await.map(drop)
        }
    }
}

/// Fred takes a command when its future is first polled: now, so that commands leave in the order in which they are begun.
pub(super) async fn begun<T: Send + 'static>(mut future: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
    match std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(done) => std::future::ready(done).boxed(),
        Poll::Pending => future,
    }
}

async fn ended(task: &mut ConnectHandle) -> Error {
    match task.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) => Error::new(ErrorKind::Canceled, "the connection was closed"),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plan_shows_a_password() {
        let login = Some(RedisLogin { user: Some("atlas".into()), password: "hush".into() });
        let settings = RedisSettings {
            layout: RedisLayout::Sentinel { service: "atlas".into(), login: login.clone() },
            hosts: vec![("127.0.0.1".into(), 1)],
            has_tls: false,
            login,
            authority: None,
            prefix: "atlas".into(),
        };
        let plan = Plan::new(&settings).unwrap();
        let shown = format!("{plan:?}{settings:?}");
        assert!(shown.contains("127.0.0.1") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn no_password_is_more_than_one_word() {
        assert_eq!(quoted("hush7"), "hush7");
        assert_eq!(quoted("a b"), "\"\\x61\\x20\\x62\"");
        assert_eq!(quoted("\"\r\n"), "\"\\x22\\x0d\\x0a\"");
        assert_eq!(quoted("ä"), "\"\\xc3\\xa4\"");
        assert_eq!(quoted(""), "\"\"");
    }
}
