//! A hub on a store that is slow, fails or panics when told to, and peers that edit through it. For this module's
//! tests only.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AppendId, ClientId, DesignId, Epoch, Generation, Seq, SessionId, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, Dialect, Loaded, LogRow, Quarantine};
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, ReadTxn, Transact, Update};

use super::folds::FoldHints;
use super::outbox::{Close, Outbox, Taken};
use super::{ConnHandle, Hub, HubDeps, JoinError, NewConn};
use crate::bus::{Bus, BusMessage, PodMessage, Subscription};
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::*;

/// What the store does with the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Answers when the mood changes.
    Slow,
    /// `Unavailable`, and nothing happened.
    Failing,
    /// Commits, and then says `Unavailable`.
    Forgetful,
    /// Panics.
    Broken,
}

/// A log in memory.
#[derive(Debug)]
pub(super) struct FakeStore {
    pub(super) loading: watch::Sender<Mood>,
    pub(super) appending: watch::Sender<Mood>,
    pub(super) quarantining: watch::Sender<Mood>,
    pub(super) loads: AtomicUsize,
    logs: Mutex<HashMap<DesignId, Vec<Row>>>,
    quarantine: Mutex<Vec<(DesignId, Quarantine)>>,
    announced: Mutex<Vec<Claim>>,
    /// Appends under way: a design's one owner has at most one.
    appends: Mutex<HashSet<DesignId>>,
    /// What only two owners of one design could have done (INV-4).
    pub(super) two_owners: Mutex<Vec<&'static str>>,
}

#[derive(Debug)]
struct Row {
    append_id: AppendId,
    update: Bytes,
    claims: Vec<Claim>,
}

/// An append under way; over when dropped, however it ends.
struct UnderWay<'a>(&'a FakeStore, DesignId);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.appends.lock().unwrap().remove(&self.1);
    }
}

impl FakeStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            loading: watch::Sender::new(Mood::Well),
            appending: watch::Sender::new(Mood::Well),
            quarantining: watch::Sender::new(Mood::Well),
            loads: AtomicUsize::new(0),
            logs: Mutex::default(),
            quarantine: Mutex::default(),
            announced: Mutex::default(),
            appends: Mutex::default(),
            two_owners: Mutex::default(),
        })
    }

    pub(super) fn create(&self, design: DesignId) {
        self.logs.lock().unwrap().insert(design, Vec::new());
    }

    pub(super) fn erase(&self, design: DesignId) {
        self.logs.lock().unwrap().remove(&design);
    }

    pub(super) fn log_len(&self, design: DesignId) -> usize {
        self.logs.lock().unwrap()[&design].len()
    }

    /// What the log says, element by element.
    pub(super) fn nodes(&self, design: DesignId) -> Vec<String> {
        let doc = Doc::new();
        for row in &self.logs.lock().unwrap()[&design] {
            doc.transact_mut().apply_update(Update::decode_v1(&row.update).unwrap()).unwrap();
        }
        nodes(&doc)
    }

    async fn mood(moods: &watch::Sender<Mood>) -> Result<bool> {
        let mut moods = moods.subscribe();
        let mood = *moods.wait_for(|mood| *mood != Mood::Slow).await.unwrap();
        match mood {
            Mood::Failing => Err(unavailable()),
            Mood::Broken => panic!("a deliberate panic of this test"),
            mood => Ok(mood == Mood::Forgetful),
        }
    }

    fn rows(&self, design: DesignId, after: Seq) -> Option<Vec<LogRow>> {
        let logs = self.logs.lock().unwrap();
        let rows = logs.get(&design)?.iter().enumerate();
        let rows = rows.map(|(at, row)| LogRow {
            seq: Seq::new(at as u64 + 1),
            update: row.update.clone(),
            claims: row.claims.clone(),
        });
        Some(rows.filter(|row| after < row.seq).collect())
    }

    pub(super) fn quarantined(&self, design: DesignId) -> Vec<Quarantine> {
        let kept = self.quarantine.lock().unwrap();
        kept.iter().filter(|(of, _)| *of == design).map(|(_, quarantine)| quarantine.clone()).collect()
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("as told"))
}

const NOT_ASKED: &str = "a hub asks its store for logs only";

#[async_trait]
impl Store for FakeStore {
    async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        if !self.appends.lock().unwrap().insert(design) {
            self.two_owners.lock().unwrap().push("two appends at once");
        }
        let _under_way = UnderWay(self, design);
        let forgetful = Self::mood(&self.appending).await?;
        let mut logs = self.logs.lock().unwrap();
        let log = logs.get_mut(&design).ok_or(StoreError::NoSuchDesign)?;
        let Append { append_id, after, exactly, update, claims, .. } = append;
        let at = if let Some(at) = log.iter().position(|row| row.append_id == append_id) {
            at
        } else {
            let mut taken = log.iter().flat_map(|row| &row.claims);
            let is_foreign = |taken: &&Claim| {
                claims.iter().any(|claim| claim.client == taken.client && claim.user != taken.user)
            };
            if let Some(Claim { client, .. }) = taken.find(is_foreign) {
                return Err(StoreError::Foreign { client: *client });
            }
            let head = Seq::new(log.len() as u64);
            if head < after {
                return Err(StoreError::Behind { head });
            } else if exactly && after < head {
                return Err(StoreError::Overtaken { head });
            }
            log.push(Row { append_id, update, claims });
            log.len() - 1
        };
        if forgetful { Err(unavailable()) } else { Ok(Seq::new(at as u64 + 1)) }
    }

    async fn load(&self, design: DesignId) -> Result<Option<Loaded>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.appends.lock().unwrap().contains(&design) {
            self.two_owners.lock().unwrap().push("a load beside an append");
        }
        Self::mood(&self.loading).await?;
        let quarantined = self.quarantined(design).into_iter().map(|kept| kept.mark).collect();
        Ok(self.rows(design, Seq::ZERO).map(|mut tail| Loaded {
            generation: Generation::new(1),
            epoch: Epoch::new(1),
            snapshot: None,
            claims: tail.iter_mut().flat_map(|row| std::mem::take(&mut row.claims)).collect(),
            tail,
            quarantined,
            announced: self.announced.lock().unwrap().clone(),
        }))
    }

    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>> {
        let mut rows = self.rows(design, after).ok_or(StoreError::NoSuchDesign)?;
        rows.truncate(limit);
        Ok(rows)
    }

    async fn quarantine(&self, design: DesignId, quarantine: Quarantine) -> Result<()> {
        let forgetful = Self::mood(&self.quarantining).await?;
        if !self.quarantined(design).iter().any(|kept| kept.mark == quarantine.mark) {
            self.quarantine.lock().unwrap().push((design, quarantine));
        }
        if forgetful { Err(unavailable()) } else { Ok(()) }
    }

    async fn announce(&self, _design: DesignId, client: ClientId, user: UserId) -> Result<()> {
        self.announced.lock().unwrap().push(Claim { client, user: Some(user) });
        Ok(())
    }

    async fn check(&self) -> Result<()> {
        unreachable!("{NOT_ASKED}")
    }
    async fn head(&self, _: DesignId) -> Result<Option<Head>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn create_design(&self, _: NewDesign) -> Result<DesignRow> {
        unreachable!("{NOT_ASKED}")
    }
    async fn design(&self, _: DesignId) -> Result<Option<DesignRow>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn list_designs(&self, _: ListDesigns) -> Result<Page<ListedDesign>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn delete_design(&self, _: DesignId) -> Result<bool> {
        unreachable!("{NOT_ASKED}")
    }
    async fn members(&self, _: DesignId) -> Result<Vec<Member>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn member_role(&self, _: DesignId, _: UserId) -> Result<Option<DesignRole>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn put_member(&self, _: DesignId, _: UserId, _: DesignRole) -> Result<()> {
        unreachable!("{NOT_ASKED}")
    }
    async fn remove_member(&self, _: DesignId, _: UserId) -> Result<bool> {
        unreachable!("{NOT_ASKED}")
    }
    async fn create_user(&self, _: NewUser) -> Result<User> {
        unreachable!("{NOT_ASKED}")
    }
    async fn user(&self, _: UserId) -> Result<Option<User>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn user_by_email(&self, _: &str) -> Result<Option<User>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn set_password_hash(&self, _: UserId, _: &str) -> Result<()> {
        unreachable!("{NOT_ASKED}")
    }
    async fn create_session(&self, _: NewSession) -> Result<()> {
        unreachable!("{NOT_ASKED}")
    }
    async fn rotate_refresh(&self, _: RotateRefresh) -> Result<Rotation> {
        unreachable!("{NOT_ASKED}")
    }
    async fn revoke_session(&self, _: SessionId) -> Result<bool> {
        unreachable!("{NOT_ASKED}")
    }
    async fn session_by_token(&self, _: &[u8; 32]) -> Result<Option<SessionId>> {
        unreachable!("{NOT_ASKED}")
    }
    async fn session_is_live(&self, _: SessionId, _: OffsetDateTime) -> Result<bool> {
        unreachable!("{NOT_ASKED}")
    }
    async fn create_ticket(&self, _: NewTicket) -> Result<()> {
        unreachable!("{NOT_ASKED}")
    }
    async fn consume_ticket(&self, _: &[u8; 32], _: DesignId, _: OffsetDateTime) -> Result<Option<Ticket>> {
        unreachable!("{NOT_ASKED}")
    }
}

/// A bus that nobody else is on.
struct QuietBus;

#[async_trait]
impl Bus for QuietBus {
    fn publish(&self, _: DesignId, _: BusMessage) {}

    async fn subscribe(&self, _: DesignId) -> Subscription {
        let (_, messages) = mpsc::channel(1);
        Subscription { messages }
    }

    fn publish_to_pods(&self, _: PodMessage) {}

    async fn subscribe_to_pods(&self) -> Subscription<PodMessage> {
        let (_, messages) = mpsc::channel(1);
        Subscription { messages }
    }
}

/// One pod with one design.
pub(super) struct Pod {
    pub(super) hub: Hub,
    pub(super) store: Arc<FakeStore>,
    pub(super) clock: Clock,
    pub(super) design: DesignId,
    pub(super) ids: Ids,
    /// Designs whose logs were said to have grown.
    pub(super) hints: mpsc::Receiver<DesignId>,
}

impl Pod {
    pub(super) fn new() -> Self {
        Self::on(Clock::system())
    }

    /// A pod whose time stands still until told.
    pub(super) fn standing_still() -> Self {
        Self::on(Clock::manual())
    }

    /// All rooms together may keep so many bytes unsaved.
    pub(super) fn with_unsaved_total(bytes: usize) -> Self {
        Self::limited(Clock::system(), bytes)
    }

    fn on(clock: Clock) -> Self {
        Self::limited(clock, atlas_crdt::limits::UNSAVED_BYTES_PER_PROCESS_MAX)
    }

    fn limited(clock: Clock, unsaved_bytes_total_max: usize) -> Self {
        let ids = Ids::seeded(clock.clone(), 7);
        let store = FakeStore::new();
        let (to, hints) = mpsc::channel(8);
        let hub = Hub::new(HubDeps {
            store: Arc::clone(&store) as Arc<dyn Store>,
            bus: Arc::new(QuietBus),
            clock: clock.clone(),
            ids: ids.clone(),
            tasks: Tasks::new(),
            pod: ids.pod(),
            idle_evict: Duration::from_millis(atlas_crdt::limits::IDLE_EVICT_MS),
            unsaved_bytes_max: atlas_crdt::limits::UNSAVED_BYTES_MAX,
            unsaved_bytes_total_max,
            folds: FoldHints { to, rows: 20, bytes: 1 << 20, rows_at_leave: 5 },
        });
        let design = ids.design();
        store.create(design);
        Self { hub, store, clock, design, ids, hints }
    }

    pub(super) fn newcomer(&self) -> NewConn {
        NewConn {
            user: self.ids.user(),
            session: self.ids.session(),
            role: DesignRole::Editor,
            dialect: Dialect::Atlas,
            epoch: None,
        }
    }

    pub(super) async fn join(&self) -> std::result::Result<Peer, JoinError> {
        self.join_as(self.newcomer()).await
    }

    pub(super) async fn join_as(&self, new: NewConn) -> std::result::Result<Peer, JoinError> {
        self.join_to(self.design, new).await
    }

    pub(super) async fn join_to(
        &self,
        design: DesignId,
        new: NewConn,
    ) -> std::result::Result<Peer, JoinError> {
        let handle = self.hub.join(design, new).await?;
        let doc = Doc::with_client_id(self.ids.client().get());
        Ok(Peer { outbox: Arc::clone(handle.outbox()), handle: Some(handle), doc, saved: 0, sent: 0 })
    }

    /// Lets time pass in small steps, so that everybody sees each of them.
    pub(super) async fn pass(&self, by: Duration) {
        for _ in 0..20 {
            self.clock.advance(by / 20);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

/// A connection as its client sees it.
pub(super) struct Peer {
    pub(super) handle: Option<ConnHandle>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) doc: Doc,
    pub(super) saved: u64,
    pub(super) sent: u64,
}

/// What a peer hears.
#[derive(Debug)]
pub(super) enum Heard {
    Frame(ServerFrame),
    Close(Close),
}

impl Peer {
    pub(super) fn handle(&self) -> &ConnHandle {
        self.handle.as_ref().unwrap()
    }

    /// Writes a node and returns the frame that says so.
    pub(super) fn edit(&mut self, node: &str, label: &str) -> ClientFrame {
        let nodes = self.doc.get_or_insert_map("nodes");
        let mut txn = self.doc.transact_mut();
        nodes.insert(&mut txn, node, label);
        self.sent += 1;
        ClientFrame::Update { update: txn.encode_update_v1().into() }
    }

    pub(super) async fn send_edit(&mut self, node: &str) {
        let frame = self.edit(node, node);
        self.handle().send_frame(frame).await.unwrap();
    }

    /// Asks for everything, as every Yjs client does first.
    pub(super) async fn ask(&self) {
        use yrs::updates::encoder::Encode;
        let state_vector = self.doc.transact().state_vector().encode_v1().into();
        self.handle().send_frame(ClientFrame::SyncStep1 { state_vector }).await.unwrap();
    }

    /// The next thing heard, applied.
    pub(super) async fn hear(&mut self) -> Heard {
        let heard = poll_fn(|cx| {
            let mut frames = Vec::new();
            match self.outbox.poll_take(cx, 0, &mut frames) {
                Poll::Ready(Taken::Frames) => Poll::Ready(Ok(frames.pop().unwrap())),
                Poll::Ready(Taken::Close(close)) => Poll::Ready(Err(close)),
                Poll::Pending => Poll::Pending,
            }
        });
        let heard = tokio::time::timeout(Duration::from_secs(10), heard).await.expect("nothing is heard");
        let frame = match heard {
            Ok(frame) => wire::decode_server(&frame).unwrap(),
            Err(close) => return Heard::Close(close),
        };
        match &frame {
            ServerFrame::Update { update } | ServerFrame::SyncStep2 { update } => {
                self.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            }
            ServerFrame::Saved(n) => self.saved = *n,
            _ => {}
        }
        Heard::Frame(frame)
    }

    pub(super) async fn hear_until(&mut self, mut is_it: impl FnMut(&Self, &Heard) -> bool) -> Heard {
        loop {
            let heard = self.hear().await;
            if is_it(self, &heard) {
                return heard;
            }
            assert!(matches!(heard, Heard::Frame(_)), "closed while waiting: {heard:?}");
        }
    }

    pub(super) async fn hear_saved(&mut self) {
        let sent = self.sent;
        if self.saved < sent {
            self.hear_until(|peer, _| sent <= peer.saved).await;
        }
    }

    pub(super) async fn hear_close(&mut self) -> Close {
        match self.hear_until(|_, heard| matches!(heard, Heard::Close(_))).await {
            Heard::Close(close) => close,
            Heard::Frame(frame) => panic!("{frame:?}"),
        }
    }

    pub(super) fn nodes(&self) -> Vec<String> {
        nodes(&self.doc)
    }
}

fn nodes(doc: &Doc) -> Vec<String> {
    let nodes = doc.get_or_insert_map("nodes");
    let txn = doc.transact();
    assert!(txn.store().pending_update().is_none(), "something is missing");
    let mut keys: Vec<String> = nodes.keys(&txn).map(ToOwned::to_owned).collect();
    keys.sort();
    keys
}

/// Anything that must become true soon.
pub(super) async fn eventually(mut is_true: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not become true");
}
