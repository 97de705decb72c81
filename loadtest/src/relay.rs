//! The yardstick: a bare relay over tokio-tungstenite. What arrives on one socket leaves on all others under the same
//! path; nothing is read, merged, stored or acknowledged. It writes as well as the library lets it: what is queued
//! for a socket leaves in one flush.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::world;

/// Messages that wait for one reader; more are dropped, and counted.
const QUEUE_MESSAGES: usize = 4_096;
/// Bytes. As small as a server of many idle connections would have it.
const READ_BUFFER_BYTES: usize = 4 << 10;

#[derive(Debug, Default)]
struct Rooms {
    /// By path, then by connection.
    queues: RwLock<HashMap<String, HashMap<u64, mpsc::Sender<Message>>>>,
    next: AtomicU64,
    dropped: AtomicU64,
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    rooms: Arc<Rooms>,
}

impl Relay {
    /// Listens, and serves until the runtime ends.
    pub async fn start(listen: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let rooms = Arc::new(Rooms::default());
        world::spawn(accept(listener, Arc::clone(&rooms)));
        Ok(Self { address, rooms })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages that found a queue full. A figure with any of these is worth nothing.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.rooms.dropped.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, rooms: Arc<Rooms>) {
    while let Ok((stream, _)) = listener.accept().await {
        world::spawn(connection(stream, Arc::clone(&rooms)));
    }
}

async fn connection(stream: TcpStream, rooms: Arc<Rooms>) {
    let _ = stream.set_nodelay(true);
    let mut room = String::new();
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let upgrade = |request: &Request, mut response: Response| {
        request.uri().path().clone_into(&mut room);
        // What is offered is chosen, so that clients of both servers can be the same.
        let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|offers| offers.to_str().ok());
        let chosen = offered.and_then(|offers| offers.split(',').next()).map(str::trim);
        if let Some(Ok(chosen)) = chosen.map(HeaderValue::from_str) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        }
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async_with_config(stream, upgrade, Some(config)).await else { return };
    let (sink, messages) = socket.split();
    let (sender, queue) = mpsc::channel(QUEUE_MESSAGES);
    let id = rooms.next.fetch_add(1, Ordering::Relaxed);
    rooms
        .queues
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(room.clone())
        .or_default()
        .insert(id, sender);
    let writer = world::spawn(write(sink, queue));
    read(messages, &rooms, &room, id).await;
    if let Some(members) = rooms.queues.write().unwrap_or_else(PoisonError::into_inner).get_mut(&room) {
        members.remove(&id);
    }
    let _ = writer.await;
}

async fn read(mut messages: SplitStream<WebSocketStream<TcpStream>>, rooms: &Rooms, room: &str, own: u64) {
    while let Some(Ok(message)) = messages.next().await {
        if !message.is_binary() {
            continue;
        }
        let all = rooms.queues.read().unwrap_or_else(PoisonError::into_inner);
        for (id, queue) in all.get(room).into_iter().flatten() {
            if *id != own && queue.try_send(message.clone()).is_err() {
                rooms.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn write(
    mut sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    mut queue: mpsc::Receiver<Message>,
) -> Option<()> {
    while let Some(message) = queue.recv().await {
        sink.feed(message).await.ok()?;
        while let Ok(message) = queue.try_recv() {
            sink.feed(message).await.ok()?;
        }
        sink.flush().await.ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas;
    use crate::client::{Client, Connect, Dialect};
    use std::time::Duration;

    /// Two clients that cannot shake hands, since a relay answers nothing, still see each other's edits.
    #[tokio::test]
    async fn what_one_sends_the_others_get_and_nobody_else() {
        let relay = Relay::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let open = async |room: &str| {
            let url = format!("ws://{}/ws/{room}", relay.address());
            Client::open(Connect { handshake: false, ..Connect::new(&url, Dialect::Atlas) }).await.unwrap()
        };
        let (ann, ben, elsewhere) = (open("a").await, open("a").await, open("b").await);
        assert_eq!(ann.seen().subprotocol.as_deref(), Some("atlas.v1"));
        // Both must be in the room before the first edit: a relay keeps nothing for later.
        tokio::time::sleep(Duration::from_millis(100)).await;
        ann.edit(|roots, txn| canvas::put_node(roots, txn, "n", "Node", 1.0, 2.0));
        ben.wait_until(Duration::from_secs(5), "the node", |ben| ben.json() == ann.json()).await.unwrap();
        ann.announce(Some(serde_json::json!({"user": "Ann"})));
        ben.wait_until(Duration::from_secs(5), "Ann", |ben| ben.others().len() == 1).await.unwrap();
        assert_eq!(elsewhere.seen().received.messages, 0);
        assert_eq!(relay.dropped(), 0);
    }
}
