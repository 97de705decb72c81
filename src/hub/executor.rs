//! Carries out what a room wants done, in order. Nothing here waits: what takes time becomes a future whose result
//! comes back to the room as an input.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use atlas_crdt::ids::{ClientId, ConnId, DesignId, RequestId, Seq, UserId};
use atlas_crdt::limits::CATCH_UP_ROWS_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, EditOutcome, Effect, FrameKind, Input, Join, LogRow, Quarantine};
use atlas_crdt::view::hex;
use atlas_crdt::wire::{ClientFrame, CloseCode};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Roles;
use super::outbox::{Outbox, Pushed};
use crate::bus::{BusMessage, Subscription, Word};
use crate::store::{Result, StoreError};

/// Updates of one room that may be on their way into quarantine at once.
const QUARANTINE_WAITING_MAX: usize = 16;
/// Milliseconds between two tries to store an update in quarantine.
const QUARANTINE_PAUSES_MS: [u64; 4] = [200, 1_000, 5_000, 20_000];

/// Milliseconds. A question to the log that takes longer has failed: one that hangs must not keep a room behind while others are
/// answered. Doubled by each failure in a row, for a store that is merely slow …
const CATCH_UP_MIN_MS: u64 = 2_000;
/// … up to this.
const CATCH_UP_MAX_MS: u64 = 30_000;

/// What came of an effect.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) input: Input,
    /// A load brings the subscription that was made before it.
    pub(super) subscription: Option<Subscription>,
    /// What an append has added to the log.
    pub(super) logged_bytes: usize,
    /// A load's turn, until the room has taken in what it brought.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

impl From<Input> for Done {
    fn from(input: Input) -> Self {
        Self { input, subscription: None, logged_bytes: 0, turn: None }
    }
}

/// One connection, seen from its room's task.
struct Conn {
    user: UserId,
    outbox: Arc<Outbox>,
    questions: Questions,
}

/// Questions whose answers may be large, while the outbox is full: the newest of each kind, as one answer to the
/// newest covers the earlier ones.
#[derive(Debug, Default)]
struct Questions {
    state_vector: Option<Bytes>,
    presence: bool,
}

/// One room's hands.
pub(super) struct Executor {
    design: DesignId,
    hub: Arc<super::Inner>,
    /// Who is in the room: written by joins, leaves and `Close` effects.
    conns: HashMap<ConnId, Conn>,
    /// Who waits for the answer to an edit over HTTP. Dropped unanswered only if the room fails: then nobody knows what
    /// became of it.
    asked: HashMap<RequestId, oneshot::Sender<EditOutcome>>,
    /// Loads, catch-ups and the append in flight.
    pub(super) results: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Questions to the log that failed in a row. Written by the one under way, read by the next.
    catch_ups_failed: Arc<AtomicU32>,
    /// A permit for each update that may still set out for quarantine.
    quarantine_places: Arc<Semaphore>,
    /// The room wants to be forgotten.
    pub(super) evicted: bool,
}

impl Executor {
    pub(super) fn new(design: DesignId, hub: Arc<super::Inner>) -> Self {
        Self {
            design,
            hub,
            conns: HashMap::new(),
            asked: HashMap::new(),
            results: FuturesUnordered::new(),
            catch_ups_failed: Arc::default(),
            quarantine_places: Arc::new(Semaphore::new(QUARANTINE_WAITING_MAX)),
            evicted: false,
        }
    }

    pub(super) fn join(&mut self, join: &Join, outbox: Arc<Outbox>) {
        outbox.note_role(join.role);
        self.conns.insert(join.conn, Conn { user: join.user, outbox, questions: Questions::default() });
    }

    /// The room is told the user's role.
    pub(super) fn note_role(&self, user: UserId, role: DesignRole) {
        let theirs = self.conns.values().filter(|conn| conn.user == user);
        theirs.for_each(|conn| conn.outbox.note_role(role));
    }

    /// The design's members as the store has them: each socket sees for itself what that means for it.
    pub(super) fn offer_roles(&self, roles: &Arc<Roles>) {
        self.conns.values().for_each(|conn| conn.outbox.offer_roles(roles));
    }

    /// False: the room has let it go already, and wants to hear nothing of it any more.
    pub(super) fn leave(&mut self, conn: ConnId) -> bool {
        self.conns.remove(&conn).is_some()
    }

    /// Somebody waits for the answer to this request.
    pub(super) fn asked(&mut self, request: RequestId, answer: oneshot::Sender<EditOutcome>) {
        self.asked.insert(request, answer);
    }

    /// What the room may hear now of a frame. Nothing when the room has let the connection go, or when it is a
    /// question and the connection does not read its answers: then it waits for [`Self::writable`].
    pub(super) fn admit(&mut self, conn: ConnId, frame: ClientFrame) -> Option<ClientFrame> {
        let Conn { outbox, questions, .. } = self.conns.get_mut(&conn)?;
        match frame {
            ClientFrame::SyncStep1 { state_vector } if !outbox.wants_more() => {
                questions.state_vector = Some(state_vector);
                None
            }
            ClientFrame::QueryAwareness if !outbox.wants_more() => {
                questions.presence = true;
                None
            }
            frame => Some(frame),
        }
    }

    /// Everything queued for a connection has left: what the room is to hear now.
    pub(super) fn writable(&mut self, conn: ConnId) -> Vec<Input> {
        let Some(Conn { outbox, questions, .. }) = self.conns.get_mut(&conn) else { return Vec::new() };
        let Questions { state_vector, presence } = std::mem::take(questions);
        let lagged = outbox.resume().then_some(Input::Writable { conn });
        let document = state_vector.map(|state_vector| ClientFrame::SyncStep1 { state_vector });
        let presence = presence.then_some(ClientFrame::QueryAwareness);
        let questions = document.into_iter().chain(presence).map(|frame| Input::Frame { conn, frame });
        lagged.into_iter().chain(questions).collect()
    }

    /// Carries out all effects. `lagged` gets what the room must hear before anything else.
    pub(super) fn execute(&mut self, effects: &mut Vec<Effect>, lagged: &mut VecDeque<Input>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Load => self.load(),
                Effect::CatchUp { after } => self.catch_up(after),
                Effect::Append(append) => self.append(append),
                Effect::Publish { generation, seq, update, claims } => {
                    self.publish(Word::Commit { generation, seq, update, claims });
                }
                Effect::PublishPresence { update, users, whole } => {
                    self.publish(Word::Presence { update, users, whole });
                }
                Effect::AskPresence => self.publish(Word::AskPresence),
                Effect::PublishDigest { generation, seq, hash } => {
                    self.publish(Word::Digest { generation, seq, hash });
                }
                Effect::Settled { seq } => {
                    // A hint that finds no place is counted; the jobs find the design a little later by themselves.
                    let is_given = self.hub.deps.analyses.settled(self.design);
                    tracing::trace!(design = %self.design, %seq, is_given, "a design has settled");
                }
                Effect::Answer { request, outcome } => {
                    if let Some(answer) = self.asked.remove(&request) {
                        // Who has hung up reads the design to see what became of it.
                        let _ = answer.send(outcome);
                    }
                }
                Effect::Send { to, frame, kind } => self.send(&to, &frame, &kind, lagged),
                Effect::Close { conn, code, reason } => {
                    if let Some(conn) = self.conns.remove(&conn) {
                        conn.outbox.close(code, reason);
                    }
                }
                Effect::Announce { client, user } => self.announce(client, user),
                Effect::Quarantine(quarantine) => self.quarantine(quarantine),
                Effect::Report { what } => tracing::warn!(design = %self.design, what, "a room reports"),
                Effect::Evict => self.evicted = true,
            }
        }
    }

    pub(super) fn publish(&self, word: Word) {
        self.hub.deps.bus.publish(self.design, BusMessage { pod: self.hub.deps.pod, word });
    }

    /// Lets everybody go who is still here.
    pub(super) fn close_all(&mut self, code: CloseCode, reason: &str) {
        for (_, conn) in self.conns.drain() {
            conn.outbox.close(code, reason);
        }
    }

    fn send(&self, to: &[ConnId], frame: &Bytes, kind: &FrameKind, lagged: &mut VecDeque<Input>) {
        for conn in to {
            let Some(Conn { outbox, .. }) = self.conns.get(conn) else { continue };
            let pushed = outbox.push(frame, kind);
            if let (Pushed::Refused { first: true }, FrameKind::Document { since }) = (pushed, kind) {
                lagged.push_back(Input::Lagged { conn: *conn, since: Arc::clone(since) });
            }
        }
    }

    /// Subscribes first: what is published while the store reads is not lost.
    fn load(&self) {
        let (design, hub) = (self.design, Arc::clone(&self.hub));
        self.results.push(Box::pin(async move {
            let subscription = Some(hub.deps.bus.subscribe(design).await);
            // Closed by nobody. After the subscription, which may take its time while the bus is away.
            let turn = Arc::clone(&hub.load_turns).acquire_owned().await.ok();
            let input = match hub.deps.store.load(design).await {
                Ok(Some(loaded)) => Input::Loaded(loaded),
                Ok(None) | Err(StoreError::NoSuchDesign) => Input::NoSuchDesign,
                Err(error) => {
                    log_store_error(design, &error, "a room could not be loaded");
                    Input::LoadFailed { reason: told(&error) }
                }
            };
            Done { input, subscription, logged_bytes: 0, turn }
        }));
    }

    fn catch_up(&self, after: Seq) {
        let (design, hub) = (self.design, Arc::clone(&self.hub));
        let failed = Arc::clone(&self.catch_ups_failed);
        self.results.push(Box::pin(async move {
            let read = read_log(&hub, design, after, catch_up_limit_ms(failed.load(Ordering::Relaxed))).await;
            let has_answered = matches!(read, Ok(_) | Err(StoreError::NoSuchDesign | StoreError::Folded));
            failed.store(
                if has_answered { 0 } else { failed.load(Ordering::Relaxed).saturating_add(1) },
                Ordering::Relaxed,
            );
            let input = match read {
                Ok(rows) => Input::CaughtUp { rows },
                Err(StoreError::NoSuchDesign) => Input::Deleted,
                Err(StoreError::Folded) => Input::LogFolded,
                Err(error) => {
                    log_store_error(design, &error, "a room could not read the log");
                    Input::CatchUpFailed { reason: told(&error) }
                }
            };
            input.into()
        }));
    }

    fn append(&self, append: Append) {
        let (design, hub) = (self.design, Arc::clone(&self.hub));
        self.results.push(Box::pin(async move {
            let (append_id, bytes) = (append.append_id, append.update.len());
            let input = match hub.deps.store.append(design, append).await {
                Ok(seq) => {
                    let input = Input::Appended { append_id, seq };
                    return Done { logged_bytes: bytes, ..input.into() };
                }
                Err(StoreError::NoSuchDesign) => Input::Deleted,
                // Another pod was faster with a clock, or with a client id.
                Err(StoreError::Overtaken { .. } | StoreError::Foreign { .. }) => {
                    Input::AppendOvertaken { append_id }
                }
                // The log is not the one that the room knew.
                Err(error @ (StoreError::Behind { .. } | StoreError::Conflict(_))) => {
                    log_store_error(design, &error, "an append was refused: the design is loaded anew");
                    Input::AppendRefused { append_id }
                }
                Err(error) => {
                    log_store_error(design, &error, "an append failed and will be tried again");
                    Input::AppendFailed { append_id, reason: told(&error) }
                }
            };
            input.into()
        }));
    }

    /// One try: the room asks again when the client announces itself on its next socket.
    fn announce(&self, client: ClientId, user: UserId) {
        let (design, hub) = (self.design, Arc::clone(&self.hub));
        drop(self.hub.deps.tasks.spawn("announcement of a client id", async move {
            if let Err(error) = hub.deps.store.announce(design, client, user).await {
                log_store_error(design, &error, "whose a client id is could not be remembered");
            }
        }));
    }

    /// A task of its own, not one of `results`: the room may end long before the store is well, and hears nothing of
    /// it either way.
    fn quarantine(&self, quarantine: Quarantine) {
        let design = self.design;
        let hash = hex(&quarantine.mark.hash);
        let (user, bytes, reason) = (quarantine.mark.user, quarantine.update.len(), &quarantine.reason);
        tracing::error!(%design, %user, hash, bytes, reason, "the document could not take an update: it goes to quarantine");
        let Ok(place) = Arc::clone(&self.quarantine_places).try_acquire_owned() else {
            tracing::error!(%design, hash, "too many updates wait for quarantine: this one is not kept");
            return;
        };
        let deps = &self.hub.deps;
        let stored = store_in_quarantine(Arc::clone(&self.hub), design, quarantine, hash);
        drop(deps.tasks.spawn("quarantine", async move {
            stored.await;
            drop(place);
        }));
    }
}

/// How long the next question to the log may take, after so many failures in a row.
fn catch_up_limit_ms(failed: u32) -> u64 {
    CATCH_UP_MAX_MS.min(CATCH_UP_MIN_MS << failed.min(10))
}

async fn read_log(hub: &super::Inner, design: DesignId, after: Seq, limit_ms: u64) -> Result<Vec<LogRow>> {
    let clock = &hub.deps.clock;
    tokio::select! {
        biased;
        read = hub.deps.store.log_after(design, after, CATCH_UP_ROWS_MAX) => read,
        () = clock.sleep_until(clock.now().plus(limit_ms)) => {
            Err(StoreError::Unavailable(anyhow::anyhow!("the log was not read within {limit_ms} ms")))
        }
    }
}

/// Tries a few times; a stop of the process cuts the pauses short.
async fn store_in_quarantine(hub: Arc<super::Inner>, design: DesignId, quarantine: Quarantine, hash: String) {
    let (deps, stop) = (&hub.deps, hub.deps.tasks.token());
    let mut pauses = QUARANTINE_PAUSES_MS.into_iter();
    loop {
        match deps.store.quarantine(design, quarantine.clone()).await {
            Ok(()) | Err(StoreError::NoSuchDesign) => return,
            Err(error) => log_store_error(design, &error, "an update could not be put into quarantine"),
        }
        let Some(pause) = pauses.next().filter(|_| !stop.is_cancelled()) else {
            tracing::error!(%design, hash, "gave up: this update is not in quarantine");
            return;
        };
        tokio::select! {
            () = deps.clock.sleep_until(deps.clock.now().plus(pause)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// What clients may read of a store's failure: its kind, never its cause.
fn told(error: &StoreError) -> String {
    match error {
        StoreError::Damaged(_) => "stored data is damaged".into(),
        other => other.to_string(),
    }
}

fn log_store_error(design: DesignId, error: &StoreError, what: &'static str) {
    let cause = std::error::Error::source(error).map(|cause| format!("{cause:#}"));
    if matches!(error, StoreError::Unavailable(_)) {
        tracing::warn!(%design, %error, cause, "{what}");
    } else {
        tracing::error!(%design, %error, cause, "{what}");
    }
}
