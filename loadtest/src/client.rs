//! One architect on one design over a real socket, with a real Yjs document in it.
//!
//! The client does what the protocol asks of a well-behaved one and no more: the y-protocols handshake, an answer to
//! every `SyncStep1`, updates applied, edits sent as they are made. It never reconnects by itself: a test says
//! [`Client::reconnect`] when it wants that, and the document with its unsent edits is still there.
//!
//! All that arrives is kept in [`Seen`]. What a correct server never does lands in [`Seen::faults`], which tests
//! check to be empty: `Saved` that goes backwards or counts what was never sent, an update with a gap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use yrs::TransactionMut;

use crate::replica::{Replica, Roots};
use crate::world::{self, Random};

mod link;
mod open;
mod seen;

pub use open::{Connect, ConnectError, Credential, open_raw};
pub use seen::{Closed, Seen, Tally};

use link::Link;

/// How long [`Client`]'s own waits last before they fail.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// y-protocols alone, as y-websocket does.
    Stock,
    /// Offers the subprotocol `atlas.v1`.
    Atlas,
}

/// A handle; clones share one document and one socket.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Counts changes of `state`; waiters look again at each.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    replica: Replica,
    seen: Seen,
    /// The open socket. `None` while offline; edits then stay in the document.
    link: Option<Link>,
    connect: Connect,
}

impl Client {
    /// Opens a socket with the credential in the query and starts the handshake. Does not wait for its end: see
    /// [`Client::synced`].
    pub async fn connect(url: &str, token: &str, dialect: Dialect) -> Result<Self, ConnectError> {
        Self::open(Connect::new(url, dialect).token(token)).await
    }

    /// [`Client::connect`] with every choice open.
    pub async fn open(connect: Connect) -> Result<Self, ConnectError> {
        let client = Self::offline(connect);
        client.reconnect().await?;
        Ok(client)
    }

    /// A client that has a document and no socket yet.
    #[must_use]
    pub fn offline(connect: Connect) -> Self {
        let client_id = connect.client_id.unwrap_or_else(|| Random::fresh().client_id());
        let state = State { replica: Replica::new(client_id), seen: Seen::default(), link: None, connect };
        let (changed, _) = watch::channel(0);
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed }) }
    }

    /// The next socket is opened there.
    pub fn aim(&self, url: &str) {
        url.clone_into(&mut self.lock().connect.url);
    }

    /// Opens the next socket of the same document; the previous one, if any, is dropped without a word.
    pub async fn reconnect(&self) -> Result<(), ConnectError> {
        self.vanish();
        let connect = self.lock().connect.clone();
        let socket = open::open(&connect).await?;
        let mut state = self.lock();
        let number = state.seen.begin(socket.subprotocol.clone());
        let link = Link::new(number);
        link.start(socket, Arc::clone(&self.inner));
        state.link = Some(link);
        if connect.handshake {
            state.start_handshake();
        }
        drop(state);
        self.inner.bump();
        Ok(())
    }

    // --- leaving

    /// Drops the socket without a close frame, as a process does that dies.
    pub fn vanish(&self) {
        let mut state = self.lock();
        if let Some(link) = state.link.take() {
            link.stop();
            state.seen.end(Closed::vanished());
            state.replica.forget_others();
        }
        drop(state);
        self.inner.bump();
    }

    /// Says goodbye and waits until the server has answered.
    pub async fn close(&self) -> anyhow::Result<()> {
        if let Some(link) = &self.lock().link {
            link.close();
        }
        self.wait_until(PATIENCE, "the close to be answered", |client| !client.is_open()).await
    }

    // --- writing

    /// Runs one transaction. Sends it at once when a socket is open and returns its ordinal among the document
    /// messages of this socket (what `Saved` counts); `None` while offline, or when nothing changed.
    pub fn edit(&self, edit: impl FnOnce(&Roots, &mut TransactionMut<'_>)) -> Option<u64> {
        let mut state = self.lock();
        let update = state.replica.edit(edit)?;
        let ordinal = state.send_own(&ClientFrame::Update { update });
        drop(state);
        self.inner.bump();
        ordinal
    }

    /// An edit, and the wait for its `Saved`. For `atlas.v1` on an open socket.
    pub async fn edit_saved(
        &self,
        edit: impl FnOnce(&Roots, &mut TransactionMut<'_>),
    ) -> anyhow::Result<u64> {
        match self.edit(edit) {
            Some(ordinal) => self.saved(ordinal).await.map(|()| ordinal),
            None => bail!("the edit was not sent: offline, or it changed nothing"),
        }
    }

    /// Tells the others something about this architect; `None` removes it.
    pub fn announce(&self, presence: Option<Value>) {
        let mut state = self.lock();
        let update = state.replica.announce(presence);
        state.send(&ClientFrame::Awareness { update });
    }

    /// Sends one frame as it is. Document frames count like those of [`Client::edit`]; the ordinal is returned.
    pub fn send(&self, frame: &ClientFrame) -> Option<u64> {
        let mut state = self.lock();
        match frame {
            ClientFrame::SyncStep2 { .. } | ClientFrame::Update { .. } => state.send_document(frame),
            _ => {
                state.send(frame);
                None
            }
        }
    }

    /// Sends one binary message, whatever it is. It is not counted as a document message.
    pub fn send_bytes(&self, message: Bytes) {
        self.lock().send_message(message);
    }

    /// Sends one text message, which no server of this protocol should accept.
    pub fn send_text(&self, text: &str) {
        if let Some(link) = &self.lock().link {
            link.send_text(text);
        }
    }

    /// Asks the server again for what this document lacks.
    pub fn ask_again(&self) {
        let mut state = self.lock();
        let state_vector = state.replica.state_vector_bytes();
        state.send(&ClientFrame::SyncStep1 { state_vector });
    }

    /// Stops or resumes reading from the socket, as a reader does that cannot keep up. Set a small
    /// [`Connect::receive_buffer_bytes`] for it to be felt soon.
    pub fn set_reading(&self, reading: bool) {
        if let Some(link) = &self.lock().link {
            link.set_reading(reading);
        }
    }

    // --- looking

    #[must_use]
    pub fn client_id(&self) -> u64 {
        self.lock().replica.client_id()
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().link.is_some()
    }

    /// Everything that was seen so far; see [`Seen`] for what begins anew with each socket.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// Looks at what was seen without copying it.
    pub fn look<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        look(&self.lock().seen)
    }

    /// See [`Replica::json`].
    #[must_use]
    pub fn json(&self) -> Value {
        self.lock().replica.json()
    }

    /// The document and the presence.
    pub fn with_replica<R>(&self, use_it: impl FnOnce(&mut Replica) -> R) -> R {
        use_it(&mut self.lock().replica)
    }

    /// The client ids and states of the others who are here.
    #[must_use]
    pub fn others(&self) -> std::collections::BTreeMap<u64, Value> {
        self.lock().replica.others()
    }

    // --- waiting

    /// Waits until the predicate holds. Looks at every change, at once and at least every 50 ms.
    pub async fn wait_until(
        &self,
        patience: Duration,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let mut changes = self.inner.changed.subscribe();
        let started = world::now();
        loop {
            if holds(self) {
                return Ok(());
            }
            if started.elapsed() >= patience {
                bail!("waited {patience:?} in vain for {what}; seen: {}", self.look(Seen::summary));
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        }
    }

    /// Waits until this client has what the server had, and the server has been sent what this client had.
    pub async fn synced(&self) -> anyhow::Result<()> {
        self.wait_until(PATIENCE, "the handshake", |client| client.look(Seen::is_synced)).await
    }

    /// Waits for `Saved(n)` or more on this socket.
    pub async fn saved(&self, n: u64) -> anyhow::Result<()> {
        self.wait_until(PATIENCE, &format!("Saved({n})"), |client| n <= client.look(|seen| seen.saved)).await
    }

    /// Waits until everything this client ever wrote is durable: handshake done, all that was sent acknowledged.
    pub async fn all_saved(&self) -> anyhow::Result<()> {
        self.wait_until(PATIENCE, "everything to be saved", |client| {
            client.look(|seen| seen.is_synced() && seen.saved == seen.sent_documents)
        })
        .await
    }

    /// Waits for a notice of this type and returns the newest one.
    pub async fn notice(&self, kind: &str) -> anyhow::Result<Value> {
        self.wait_until(PATIENCE, &format!("a notice {kind}"), |client| {
            client.look(|seen| seen.notice(kind).is_some())
        })
        .await?;
        Ok(self.look(|seen| seen.notice(kind).cloned()).unwrap_or_default())
    }

    /// Waits until the server (or the network) ended the socket, and says how.
    pub async fn closed(&self) -> anyhow::Result<Closed> {
        self.wait_until(PATIENCE, "the socket to be closed", |client| !client.is_open()).await?;
        Ok(self.look(|seen| seen.closed.clone()).unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.lock()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bump(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A message arrived on socket `number`. Late ones of an earlier socket are dropped.
    fn receive(&self, number: u64, message: &Bytes) {
        let mut state = self.lock();
        if state.is_current(number) {
            state.receive(message);
        }
        drop(state);
        self.bump();
    }

    /// Socket `number` has ended.
    fn ended(&self, number: u64, closed: Closed) {
        let mut state = self.lock();
        if state.is_current(number) {
            state.link = None;
            state.seen.end(closed);
            state.replica.forget_others();
        }
        drop(state);
        self.bump();
    }

    /// Fifteen seconds have passed: y-protocols renews presence.
    fn renew_presence(&self, number: u64) {
        let mut state = self.lock();
        if state.is_current(number) && state.replica.is_announced() {
            let update = state.replica.announce_again();
            state.send(&ClientFrame::Awareness { update });
        }
    }
}

impl State {
    fn is_current(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.number == number)
    }

    fn start_handshake(&mut self) {
        let state_vector = self.replica.state_vector_bytes();
        self.send(&ClientFrame::SyncStep1 { state_vector });
        if self.replica.is_announced() {
            // A new clock: after a removal nobody believes the old one.
            let update = self.replica.announce_again();
            self.send(&ClientFrame::Awareness { update });
        }
    }

    fn receive(&mut self, message: &Bytes) {
        let frame = match wire::decode_server(message) {
            Ok(frame) => frame,
            Err(error) => return self.seen.fault(format!("an unreadable message: {error}")),
        };
        self.seen.count_received(&frame, message.len());
        match frame {
            ServerFrame::SyncStep1 { state_vector } => match self.replica.diff_since(&state_vector) {
                Ok(update) => {
                    self.send_own(&ClientFrame::SyncStep2 { update });
                    self.seen.answered = true;
                }
                Err(error) => self.seen.fault(format!("{error:#}")),
            },
            ServerFrame::SyncStep2 { update } => {
                self.apply(&update);
                self.seen.caught_up = true;
                self.check_gaps();
            }
            ServerFrame::Update { update } => {
                self.apply(&update);
                self.check_gaps();
            }
            ServerFrame::Awareness { update } => match self.replica.hear(&update) {
                Ok(false) => {}
                Ok(true) => {
                    let update = self.replica.announce_again();
                    self.send(&ClientFrame::Awareness { update });
                }
                Err(error) => self.seen.fault(format!("{error:#}")),
            },
            ServerFrame::QueryAwareness => {
                let update = self.replica.own_presence();
                self.send(&ClientFrame::Awareness { update });
            }
            ServerFrame::PermissionDenied { reason } => self.seen.denied.push(reason),
            ServerFrame::Saved(n) => self.seen.take_saved(n, world::now()),
            ServerFrame::Notice(notice) => self.seen.notices.push(notice),
            ServerFrame::Unknown { .. } => {}
        }
    }

    fn apply(&mut self, update: &[u8]) {
        if let Err(error) = self.replica.apply(update) {
            self.seen.fault(format!("{error:#}"));
        }
    }

    /// Once a client has caught up, nothing may arrive that builds on something it was not sent.
    fn check_gaps(&mut self) {
        if self.seen.caught_up && self.replica.has_gaps() {
            self.seen.fault("an update arrived before what it builds on".into());
        }
    }

    /// With it the server has all that this author wrote.
    fn send_own(&mut self, frame: &ClientFrame) -> Option<u64> {
        let ordinal = self.send_document(frame)?;
        self.seen.sent_up_to(self.replica.own_clock());
        Some(ordinal)
    }

    fn send_document(&mut self, frame: &ClientFrame) -> Option<u64> {
        self.link.as_ref()?;
        self.send(frame);
        self.seen.sent_documents += 1;
        Some(self.seen.sent_documents)
    }

    fn send(&mut self, frame: &ClientFrame) {
        self.send_message(wire::encode_client(frame));
    }

    fn send_message(&mut self, message: Bytes) {
        if let Some(link) = &self.link {
            self.seen.sent.count(message.len());
            link.send(message);
        }
    }
}
