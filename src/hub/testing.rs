//! A hub on a store that is slow, fails or panics when told to (`testing/store.rs`), and peers that edit through it. For
//! this module's tests only.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use tokio::sync::mpsc;
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, ReadTxn, Transact, Update};

use super::folds::FoldHints;
use super::outbox::{Close, Outbox, Taken};
use super::{ConnHandle, Hub, HubDeps, JoinError, NewConn};
use crate::bus::Bus;
use crate::bus::local::LocalBus;
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::store::analyses::{AnalysisHint, AnalysisHints};

mod store;

pub(super) use store::{FakeStore, Mood};

/// One pod with one design.
pub(super) struct Pod {
    pub(super) hub: Hub,
    pub(super) id: PodId,
    pub(super) store: Arc<FakeStore>,
    pub(super) bus: Arc<LocalBus>,
    pub(super) clock: Clock,
    pub(super) design: DesignId,
    pub(super) ids: Ids,
    /// Designs whose logs were said to have grown.
    pub(super) hints: mpsc::Receiver<DesignId>,
    /// Designs that were said to have settled.
    pub(super) settled: mpsc::Receiver<AnalysisHint>,
    pub(super) analyses: AnalysisHints,
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
        let design = ids.design();
        let store = FakeStore::new();
        store.create(design);
        Self::open(store, Arc::default(), clock, ids, design, unsaved_bytes_total_max)
    }

    /// Another pod on the same store, bus and clock.
    pub(super) fn beside(&self) -> Self {
        let ids = Ids::seeded(self.clock.clone(), self.ids.seed());
        let (store, bus) = (Arc::clone(&self.store), Arc::clone(&self.bus));
        let total = atlas_crdt::limits::UNSAVED_BYTES_PER_PROCESS_MAX;
        Self::open(store, bus, self.clock.clone(), ids, self.design, total)
    }

    fn open(
        store: Arc<FakeStore>,
        bus: Arc<LocalBus>,
        clock: Clock,
        ids: Ids,
        design: DesignId,
        unsaved_bytes_total_max: usize,
    ) -> Self {
        let (to, hints) = mpsc::channel(8);
        let (analyses, settled) = AnalysisHints::channel(8);
        let id = ids.pod();
        let hub = Hub::new(HubDeps {
            store: Arc::clone(&store) as Arc<dyn Store>,
            bus: Arc::clone(&bus) as Arc<dyn Bus>,
            clock: clock.clone(),
            ids: ids.clone(),
            tasks: Tasks::new(),
            pod: id,
            idle_evict: Duration::from_millis(atlas_crdt::limits::IDLE_EVICT_MS),
            unsaved_bytes_max: atlas_crdt::limits::UNSAVED_BYTES_MAX,
            unsaved_bytes_total_max,
            folds: FoldHints { to, rows: 20, bytes: 1 << 20, rows_at_leave: 5 },
            analyses: analyses.clone(),
        });
        // Not among the tasks that tests count.
        drop(Tasks::new().spawn("watch", hub.clone().watch()));
        Self { hub, id, store, bus, clock, design, ids, hints, settled, analyses }
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

    pub(super) async fn join(&self) -> Result<Peer, JoinError> {
        self.join_as(self.newcomer()).await
    }

    pub(super) async fn join_as(&self, new: NewConn) -> Result<Peer, JoinError> {
        self.join_to(self.design, new).await
    }

    pub(super) async fn join_to(&self, design: DesignId, new: NewConn) -> Result<Peer, JoinError> {
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

    /// All that waits for it, unread.
    pub(super) fn take_frames(&self) -> Vec<bytes::Bytes> {
        let mut frames = Vec::new();
        let _ = self.outbox.poll_take(&Context::from_waker(Waker::noop()), usize::MAX, &mut frames);
        frames
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
