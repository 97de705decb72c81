//! Opening a socket: the upgrade request, with every way to show a credential.

use std::io;

use http::HeaderValue;
use http::header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Dialect;

/// Bytes. Small, so that a thousand connections fit into one process.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// Where a credential travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    None,
    /// `?token=`: an access token or a ticket.
    Query(String),
    /// The subprotocol `atlas.token.<jwt>`.
    Protocol(String),
    /// `Authorization: Bearer`.
    Bearer(String),
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct Connect {
    /// `ws://host:port/ws/{design}`, without a query.
    pub url: String,
    pub credential: Credential,
    pub dialect: Dialect,
    pub origin: Option<String>,
    /// Told to the server as `?epoch=`.
    pub epoch: Option<u64>,
    /// The Yjs client id; `None` draws one.
    pub client_id: Option<u64>,
    /// The socket's SO_RCVBUF, for readers that are meant to be slow. The kernel doubles it and has a minimum.
    pub receive_buffer_bytes: Option<u32>,
    /// Whether a new socket starts with a `SyncStep1`.
    pub handshake: bool,
}

impl Connect {
    #[must_use]
    pub fn new(url: &str, dialect: Dialect) -> Self {
        Self {
            url: url.to_owned(),
            credential: Credential::None,
            dialect,
            origin: None,
            epoch: None,
            client_id: None,
            receive_buffer_bytes: None,
            handshake: true,
        }
    }

    /// The usual way: in the query.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.credential = Credential::Query(token.to_owned());
        self
    }

    #[must_use]
    pub fn client_id(mut self, client_id: u64) -> Self {
        self.client_id = Some(client_id);
        self
    }

    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    fn full_url(&self) -> String {
        let mut query = Vec::new();
        if let Credential::Query(token) = &self.credential {
            query.push(format!("token={token}"));
        }
        if let Some(epoch) = self.epoch {
            query.push(format!("epoch={epoch}"));
        }
        if query.is_empty() { self.url.clone() } else { format!("{}?{}", self.url, query.join("&")) }
    }

    fn subprotocols(&self) -> Option<String> {
        let mut offers = Vec::new();
        if self.dialect == Dialect::Atlas {
            offers.push("atlas.v1".to_owned());
        }
        if let Credential::Protocol(token) = &self.credential {
            offers.push(format!("atlas.token.{token}"));
        }
        (!offers.is_empty()).then(|| offers.join(", "))
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server answered the upgrade with this status instead.
    #[error("the upgrade was refused with {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("no connection")]
    Io(#[from] io::Error),
    #[error("the upgrade failed")]
    Upgrade(#[source] Box<WsError>),
    #[error("the address is not usable: {0}")]
    Address(String),
}

impl ConnectError {
    /// The HTTP status that the upgrade was refused with.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl From<WsError> for ConnectError {
    fn from(error: WsError) -> Self {
        match error {
            WsError::Http(response) => Self::Refused {
                status: response.status().as_u16(),
                body: response
                    .body()
                    .as_deref()
                    .map(|body| String::from_utf8_lossy(body).into_owned())
                    .unwrap_or_default(),
            },
            WsError::Io(error) => Self::Io(error),
            other => Self::Upgrade(Box::new(other)),
        }
    }
}

/// A socket after its upgrade.
pub(super) struct Socket {
    pub(super) stream: WebSocketStream<TcpStream>,
    pub(super) subprotocol: Option<String>,
}

pub(super) async fn open(connect: &Connect) -> Result<Socket, ConnectError> {
    let mut request = connect.full_url().into_client_request()?;
    let header = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| ConnectError::Address("a header holds odd bytes".into()))
    };
    if let Some(offers) = connect.subprotocols() {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, header(&offers)?);
    }
    if let Credential::Bearer(token) = &connect.credential {
        request.headers_mut().insert(AUTHORIZATION, header(&format!("Bearer {token}"))?);
    }
    if let Some(origin) = &connect.origin {
        request.headers_mut().insert(ORIGIN, header(origin)?);
    }
    let host = request.uri().host().ok_or_else(|| ConnectError::Address("it names no host".into()))?;
    let port = request.uri().port_u16().unwrap_or(80);
    let stream = dial(host, port, connect.receive_buffer_bytes).await?;
    // The largest document arrives as one message.
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(None)
        .max_frame_size(None);
    let (stream, response) = client_async_with_config(request, stream, Some(config)).await?;
    let subprotocol = response
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .map(ToOwned::to_owned);
    Ok(Socket { stream, subprotocol })
}

/// A bare socket, for load that needs no document.
pub async fn open_raw(connect: &Connect) -> Result<WebSocketStream<TcpStream>, ConnectError> {
    open(connect).await.map(|socket| socket.stream)
}

/// A TCP connection without Nagle's delay.
async fn dial(host: &str, port: u16, receive_buffer: Option<u32>) -> Result<TcpStream, ConnectError> {
    let address = tokio::net::lookup_host((host, port))
        .await?
        .next()
        .ok_or_else(|| ConnectError::Address(format!("{host} is unknown")))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_travels_where_it_was_told_to() {
        let base = Connect::new("ws://h/ws/d", Dialect::Atlas);
        let query = base.clone().token("t");
        assert_eq!(query.full_url(), "ws://h/ws/d?token=t");
        assert_eq!(query.subprotocols().as_deref(), Some("atlas.v1"));
        let protocol =
            Connect { credential: Credential::Protocol("j".into()), epoch: Some(2), ..base.clone() };
        assert_eq!(protocol.full_url(), "ws://h/ws/d?epoch=2");
        assert_eq!(protocol.subprotocols().as_deref(), Some("atlas.v1, atlas.token.j"));
        let stock = Connect { dialect: Dialect::Stock, ..base };
        assert_eq!(stock.subprotocols(), None);
    }
}
