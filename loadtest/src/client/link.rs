//! The two tasks of one open socket: one reads, one writes, so that a full socket in one direction never stops the
//! other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::open::Socket;
use super::{Closed, Inner};
use crate::world;

/// y-protocols renews a presence state at half of its timeout of 30 s.
const PRESENCE_RENEWAL: Duration = Duration::from_secs(15);

/// The client's end of an open socket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Which socket of its client this is, from 1.
    pub(super) number: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Written by the client under its own lock, so that the order is that of the ordinals; emptied by the writer.
    queue: Mutex<VecDeque<Message>>,
    wake: Notify,
    reading: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Link {
    pub(super) fn new(number: u64) -> Self {
        let (reading, _) = watch::channel(true);
        let shared = Shared {
            queue: Mutex::new(VecDeque::new()),
            wake: Notify::new(),
            reading,
            stop: CancellationToken::new(),
        };
        Self { number, shared: Arc::new(shared) }
    }

    pub(super) fn start(&self, socket: Socket, inner: Arc<Inner>) {
        let (sink, stream) = socket.stream.split();
        world::spawn(write(self.clone(), sink, Arc::clone(&inner)));
        world::spawn(read(self.clone(), stream, inner));
    }

    pub(super) fn send(&self, message: Bytes) {
        self.push(Message::Binary(message));
    }

    pub(super) fn send_text(&self, text: &str) {
        self.push(Message::text(text));
    }

    pub(super) fn close(&self) {
        self.push(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })));
    }

    pub(super) fn stop(&self) {
        self.shared.stop.cancel();
    }

    pub(super) fn set_reading(&self, reading: bool) {
        self.shared.reading.send_replace(reading);
    }

    fn push(&self, message: Message) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
        self.shared.wake.notify_one();
    }

    fn pop(&self) -> Option<Message> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

async fn write(link: Link, mut sink: SplitSink<WebSocketStream<TcpStream>, Message>, inner: Arc<Inner>) {
    let mut renewal = tokio::time::interval(PRESENCE_RENEWAL);
    renewal.reset();
    loop {
        while let Some(message) = link.pop() {
            tokio::select! {
                sent = sink.send(message) => if sent.is_err() { return },
                () = link.shared.stop.cancelled() => return,
            }
        }
        tokio::select! {
            () = link.shared.wake.notified() => {}
            _ = renewal.tick() => inner.renew_presence(link.number),
            () = link.shared.stop.cancelled() => return,
        }
    }
}

async fn read(link: Link, mut stream: SplitStream<WebSocketStream<TcpStream>>, inner: Arc<Inner>) {
    let mut reading = link.shared.reading.subscribe();
    let mut closed = Closed::default();
    loop {
        tokio::select! {
            () = link.shared.stop.cancelled() => return,
            allowed = reading.wait_for(|reading| *reading) => if allowed.is_err() { return },
        }
        let message = tokio::select! {
            () = link.shared.stop.cancelled() => return,
            // A read that is under way is given up when reading stops; no byte is lost by that.
            _ = reading.wait_for(|reading| !*reading) => continue,
            message = stream.next() => message,
        };
        match message {
            Some(Ok(Message::Binary(bytes))) => inner.receive(link.number, &bytes),
            Some(Ok(Message::Close(frame))) => {
                if let Some(frame) = frame {
                    closed.code = Some(frame.code.into());
                    closed.reason = frame.reason.to_string();
                }
            }
            Some(Ok(Message::Text(_))) => closed.error = Some("the server sent text".into()),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                if closed.code.is_none() {
                    closed.error = Some(error.to_string());
                }
                break;
            }
            None => break,
        }
    }
    inner.ended(link.number, closed);
    link.stop();
}
