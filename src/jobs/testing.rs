//! A design with a log that grows, on a real database and a folder of blobs, each of which fails when told to. For this
//! module's tests only.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::design::{self, DesignDoc};
use atlas_crdt::ids::{AppendId, ClientId, DesignId, PodId, Seq, UserId};
use atlas_crdt::roles::PlatformRole;
use atlas_crdt::room::{Append, Author, ClockRange};
use atlas_crdt::view::DesignView;
use bytes::Bytes;
use futures_util::future::join_all;
use tempfile::TempDir;
use yrs::types::map::MapPrelim;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, Map, MapRef, ReadTxn, Transact, TransactionMut, Update};

use super::backlog::Outbound;
use super::compact::{Compact, Portions};
use super::fsck::{Depth, Fsck, Summary};
use super::{AnalysisSettings, FoldSettings, JobSettings};
use crate::blob::archive::Archive;
use crate::blob::dir::DirBlobs;
use crate::blob::{BlobError, BlobHash, BlobKey, BlobStore};
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::folds::*;
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::sqlite::SqliteStore;
use crate::store::upkeep::Upkeep;
use crate::store::{NewDesign, NewUser, Result, Store, StoreError, Stores};

/// Edits that are made at one moment.
const BATCH: usize = 20;
pub(super) const LEASE: Duration = Duration::from_mins(1);

/// What becomes of a call to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It did not happen.
    Fails,
    /// It happened, and the answer was lost.
    IsForgotten,
    /// No answer, ever.
    Hangs,
}

type Faults = Box<dyn FnMut(&'static str) -> Option<Fault> + Send>;

/// A database whose calls fail as told.
pub(super) struct Faulty {
    inner: Arc<SqliteStore>,
    faults: Mutex<Faults>,
    pub(super) calls: AtomicUsize,
    pub(super) faults_seen: AtomicUsize,
}

impl Faulty {
    pub(super) fn fail(&self, faults: impl FnMut(&'static str) -> Option<Fault> + Send + 'static) {
        self.calls.store(0, Ordering::SeqCst);
        self.faults_seen.store(0, Ordering::SeqCst);
        *self.faults.lock().unwrap() = Box::new(faults);
    }

    pub(super) fn heal(&self) {
        *self.faults.lock().unwrap() = Box::new(|_| None);
    }

    async fn pass<T>(&self, name: &'static str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = (self.faults.lock().unwrap())(name);
        if fault.is_some() {
            self.faults_seen.fetch_add(1, Ordering::SeqCst);
        }
        let unavailable = || StoreError::Unavailable(anyhow::anyhow!("as told"));
        match fault {
            None => call.await,
            Some(Fault::Fails) => Err(unavailable()),
            Some(Fault::IsForgotten) => {
                call.await?;
                Err(unavailable())
            }
            Some(Fault::Hangs) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Upkeep for Faulty {
    async fn fold_state(&self, design: DesignId) -> Result<Option<FoldState>> {
        self.pass("fold_state", self.inner.fold_state(design)).await
    }
    async fn archive_rows(
        &self,
        design: DesignId,
        after: Seq,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<ArchivedRow>> {
        self.pass("archive_rows", self.inner.archive_rows(design, after, rows, bytes)).await
    }
    async fn commit_fold(&self, lease: JobLease, fold: Fold) -> Result<()> {
        self.pass("commit_fold", self.inner.commit_fold(lease, fold)).await
    }
    async fn prune_folded(&self, lease: JobLease, rows: usize, keep: Duration) -> Result<Pruned> {
        self.pass("prune_folded", self.inner.prune_folded(lease, rows, keep)).await
    }
    async fn unfolded(&self, policy: FoldPolicy, limit: usize) -> Result<Vec<DesignId>> {
        self.pass("unfolded", self.inner.unfolded(policy, limit)).await
    }
    async fn forget_appends(&self, keep: Duration) -> Result<u64> {
        self.pass("forget_appends", self.inner.forget_appends(keep)).await
    }
    async fn enqueue(&self, kind: JobKind, design: DesignId, delay: Duration) -> Result<()> {
        self.pass("enqueue", self.inner.enqueue(kind, design, delay)).await
    }
    async fn claim_job(&self, kind: JobKind, holder: PodId, lease: Duration) -> Result<Option<Job>> {
        self.pass("claim_job", self.inner.claim_job(kind, holder, lease)).await
    }
    async fn renew_job(&self, lease: JobLease, lease_for: Duration) -> Result<()> {
        self.pass("renew_job", self.inner.renew_job(lease, lease_for)).await
    }
    async fn end_job(&self, lease: JobLease, end: JobEnd) -> Result<()> {
        self.pass("end_job", self.inner.end_job(lease, end)).await
    }
    async fn add_to_backlog(&self, blob: BacklogBlob) -> Result<()> {
        self.pass("add_to_backlog", self.inner.add_to_backlog(blob)).await
    }
    async fn backlog(&self, after: u64, limit: usize, bytes: usize) -> Result<Vec<(u64, BacklogBlob)>> {
        self.pass("backlog", self.inner.backlog(after, limit, bytes)).await
    }
    async fn remove_from_backlog(&self, prefix: &str, hash: [u8; 32]) -> Result<()> {
        self.pass("remove_from_backlog", self.inner.remove_from_backlog(prefix, hash)).await
    }
    async fn backlog_size(&self) -> Result<BacklogSize> {
        self.pass("backlog_size", self.inner.backlog_size()).await
    }
    async fn design_ids(&self, after: Option<DesignId>, limit: usize) -> Result<Vec<DesignId>> {
        self.pass("design_ids", self.inner.design_ids(after, limit)).await
    }
    async fn remains(&self, design: DesignId) -> Result<Option<Remains>> {
        self.pass("remains", self.inner.remains(design)).await
    }
}

/// A folder of blobs that may be away.
pub(super) struct MoodyBlobs {
    inner: DirBlobs,
    pub(super) is_away: AtomicBool,
    /// Takes a blob and never says so.
    pub(super) is_silent: AtomicBool,
    pub(super) refusals: AtomicUsize,
    /// These blobs alone it does not take.
    pub(super) refused: Mutex<Vec<BlobHash>>,
}

impl MoodyBlobs {
    fn answer(&self) -> std::result::Result<(), BlobError> {
        if self.is_away.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(BlobError::Unavailable(anyhow::anyhow!("as told")));
        }
        Ok(())
    }
}

#[async_trait]
impl BlobStore for MoodyBlobs {
    async fn check(&self) -> std::result::Result<(), BlobError> {
        self.answer()?;
        self.inner.check().await
    }
    async fn put(&self, prefix: &str, hash: BlobHash, bytes: Bytes) -> std::result::Result<bool, BlobError> {
        self.answer()?;
        if self.refused.lock().unwrap().contains(&hash) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(BlobError::Refused(anyhow::anyhow!("as told")));
        }
        let put = self.inner.put(prefix, hash, bytes).await;
        if self.is_silent.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        put
    }
    async fn get(&self, prefix: &str, hash: BlobHash) -> std::result::Result<Option<Bytes>, BlobError> {
        self.answer()?;
        self.inner.get(prefix, hash).await
    }
    async fn delete(&self, prefix: &str, hash: BlobHash) -> std::result::Result<(), BlobError> {
        self.answer()?;
        self.inner.delete(prefix, hash).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> std::result::Result<Vec<BlobKey>, BlobError> {
        self.answer()?;
        self.inner.list(prefix, after, limit).await
    }
    async fn delete_all(&self, prefix: &str) -> std::result::Result<u64, BlobError> {
        self.answer()?;
        self.inner.delete_all(prefix).await
    }
}

pub(super) const SETTINGS: JobSettings = JobSettings {
    folds: FoldSettings {
        rows: 100,
        bytes: 1 << 20,
        rows_at_leave: 10,
        quiet_for: Duration::from_hours(1),
        keep: Duration::from_mins(10),
        sweep_every: Duration::from_mins(5),
    },
    analyses: AnalysisSettings {
        workers: 1,
        lease: LEASE,
        sweep_every: Duration::from_secs(20),
        quiet_for: Duration::from_secs(5),
    },
    workers: 1,
    backlog_bytes_max: 1 << 30,
    appends_kept: Duration::from_hours(24),
};

/// Time stands still until told.
pub(super) struct World {
    pub(super) data: TempDir,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) store: Arc<SqliteStore>,
    pub(super) upkeep: Arc<Faulty>,
    pub(super) blobs: Arc<MoodyBlobs>,
    pub(super) archive: Archive,
    pub(super) design: DesignId,
    pub(super) user: UserId,
    /// What the people have on their screens: three clients, always in step.
    docs: Vec<Doc>,
    /// Every append, in order.
    pub(super) written: Vec<Append>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::on(Clock::manual()).await
    }

    pub(super) async fn on(clock: Clock) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (tasks, ids) = (Tasks::new(), Ids::seeded(clock.clone(), 5));
        let store = Arc::new(SqliteStore::open(data.path(), clock.clone(), &tasks).await.unwrap());
        let upkeep = Arc::new(Faulty {
            inner: Arc::clone(&store),
            faults: Mutex::new(Box::new(|_| None)),
            calls: AtomicUsize::new(0),
            faults_seen: AtomicUsize::new(0),
        });
        let blobs = Arc::new(MoodyBlobs {
            inner: DirBlobs::open(&data.path().join("blobs")).unwrap(),
            is_away: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            refusals: AtomicUsize::new(0),
            refused: Mutex::default(),
        });
        let archive = Archive::new(Arc::clone(&blobs) as Arc<dyn BlobStore>, Vec::new(), ids.clone());
        let user = ids.user();
        let new = NewUser {
            id: user,
            email: "ada@example.org".to_owned(),
            name: None,
            password_hash: "none".to_owned(),
            first_role: PlatformRole::Admin,
            role: PlatformRole::Architect,
            now: clock.utc(),
        };
        store.create_user(new).await.unwrap();
        let docs = (1..=3).map(Doc::with_client_id).collect();
        let design = DesignId::from_u128(0);
        let mut world =
            Self { data, clock, ids, store, upkeep, blobs, archive, design, user, docs, written: Vec::new() };
        world.design = world.create().await;
        world
    }

    /// Another design, with its first row.
    pub(super) async fn create(&mut self) -> DesignId {
        self.create_named("Shop").await
    }

    pub(super) async fn create_named(&mut self, name: &str) -> DesignId {
        let document = design::NewDesign { name: name.to_owned(), ..design::NewDesign::default() };
        let client = self.ids.client();
        let first = design::create(client, &document).unwrap();
        let append_id = AppendId::from_u128(self.ids.append_salt());
        let new = NewDesign {
            id: self.ids.design(),
            owner: self.user,
            name: document.name,
            description: None,
            first: first.clone(),
            claims: Vec::new(),
            append_id,
            now: self.clock.utc(),
        };
        for doc in &self.docs {
            doc.transact_mut().apply_update(Update::decode_v1(&first).unwrap()).unwrap();
        }
        let id = self.store.create_design(new).await.unwrap().id;
        self.written = vec![Append {
            append_id,
            after: Seq::ZERO,
            exactly: false,
            update: first,
            authors: Vec::new(),
            claims: Vec::new(),
            name: None,
        }];
        id
    }

    /// So many edits: nodes come, move and go again.
    pub(super) async fn edit(&mut self, rows: usize) {
        for at in (0..rows).step_by(BATCH) {
            let steps: Vec<_> = (at..rows.min(at + BATCH)).map(|_| self.draw()).collect();
            // The writer takes them in the order in which they come, and makes one commit of many.
            for appended in join_all(steps.into_iter().map(|step| self.store.append(self.design, step))).await
            {
                appended.unwrap();
            }
            self.clock.advance(Duration::from_millis(3));
        }
    }

    fn draw(&mut self) -> Append {
        let n = self.written.len();
        let doc = &self.docs[n % self.docs.len()];
        let nodes = doc.get_or_insert_map("nodes");
        let mut txn = doc.transact_mut();
        let start = txn.state_vector().get(&doc.client_id());
        let name = format!("n{}", n % 50);
        let mut deleted = Vec::new();
        if n % 7 == 6 && nodes.contains_key(&txn, &name) {
            nodes.remove(&mut txn, &name);
            deleted.push(ClockRange { client: ClientId::new(1), start: 0, end: 1 });
        } else {
            let position: Any = Any::from_json(&format!("{{\"x\":{n},\"y\":0.5}}")).unwrap();
            let fields = [("type".to_owned(), Any::from("custom")), ("position".to_owned(), position)];
            let node = nodes.insert(&mut txn, name, MapPrelim::from_iter(fields));
            node.insert(
                &mut txn,
                "data",
                MapPrelim::from_iter([("label".to_owned(), Any::from(format!("Label {n}")))]),
            );
        }
        let update: Bytes = txn.encode_update_v1().into();
        let end = txn.state_vector().get(&doc.client_id());
        drop(txn);
        for other in &self.docs {
            other.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
        }
        let wrote = vec![ClockRange { client: ClientId::new(doc.client_id().get()), start, end }];
        let author = Author { user: self.user, wrote, deleted };
        let append_id = AppendId::from_u128(self.ids.append_salt());
        let (authors, claims) = (vec![author], Vec::new());
        let after = Seq::new(n as u64);
        let append = Append { append_id, after, exactly: false, update, authors, claims, name: None };
        self.written.push(append.clone());
        append
    }

    /// One edit by the first of the people, of `self.design`.
    pub(super) async fn change(&mut self, change: impl FnOnce(&MapRef, &mut TransactionMut<'_>)) -> Seq {
        let doc = &self.docs[0];
        let nodes = doc.get_or_insert_map("nodes");
        let mut txn = doc.transact_mut();
        change(&nodes, &mut txn);
        let update: Bytes = txn.encode_update_v1().into();
        drop(txn);
        for other in &self.docs[1..] {
            other.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
        }
        let append_id = AppendId::from_u128(self.ids.append_salt());
        let after = Seq::new(self.head());
        let (authors, claims) = (Vec::new(), Vec::new());
        let append = Append { append_id, after, exactly: false, update, authors, claims, name: None };
        self.written.push(append.clone());
        self.store.append(self.design, append).await.unwrap()
    }

    /// What everything that was written shows.
    pub(super) fn expected(&self) -> DesignView {
        DesignDoc::load(ClientId::new(9), self.written.iter().map(|append| &append.update[..]))
            .unwrap()
            .view()
    }

    /// What the store gives to whoever opens the design.
    pub(super) async fn stored(&self) -> DesignView {
        self.store.load(self.design).await.unwrap().unwrap().document(ClientId::new(9)).unwrap().view()
    }

    pub(super) async fn state(&self) -> FoldState {
        self.store.fold_state(self.design).await.unwrap().unwrap()
    }

    /// The place up to which the log is folded.
    pub(super) async fn folded(&self) -> u64 {
        self.state().await.snapshot.map_or(0, |(seq, _)| seq.get())
    }

    pub(super) fn head(&self) -> u64 {
        self.written.len() as u64
    }

    /// The store, with upkeep that fails as told.
    pub(super) fn stores(&self) -> Stores {
        Stores { upkeep: Arc::clone(&self.upkeep) as Arc<dyn Upkeep>, ..Stores::of(Arc::clone(&self.store)) }
    }

    pub(super) fn outbound(&self, bytes_max: u64) -> Arc<Outbound> {
        let upkeep = Arc::clone(&self.upkeep) as Arc<dyn Upkeep>;
        let (archive, clock, ids) = (self.archive.clone(), self.clock.clone(), self.ids.clone());
        Arc::new(Outbound::new(archive, upkeep, clock, ids, bytes_max))
    }

    /// Small portions, so that short logs take many.
    pub(super) fn compact(&self) -> Compact {
        Compact {
            upkeep: Arc::clone(&self.upkeep) as Arc<dyn Upkeep>,
            outbound: self.outbound(SETTINGS.backlog_bytes_max),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            settings: SETTINGS.folds,
            portions: Portions { rows: 20, bytes: 1 << 20, pieces: 3 },
        }
    }

    pub(super) async fn claim(&self) -> Job {
        self.store.enqueue(JobKind::Compact, self.design, Duration::ZERO).await.unwrap();
        self.store.claim_job(JobKind::Compact, PodId::new(1), LEASE).await.unwrap().unwrap()
    }

    /// One job from its claim to its end. Faults are over when it ends.
    pub(super) async fn fold_with(&self, compact: &Compact) -> JobEnd {
        let job = self.claim().await;
        let lease = job.lease;
        let end = compact.run(job).await;
        self.upkeep.heal();
        self.end(lease, end.clone()).await;
        end
    }

    pub(super) async fn end(&self, lease: JobLease, end: JobEnd) {
        self.store.end_job(lease, end).await.unwrap();
    }

    pub(super) async fn fold(&self) -> JobEnd {
        self.fold_with(&self.compact()).await
    }

    /// What a check of everything says, however deep it looks.
    pub(super) async fn check(&self) -> Vec<String> {
        let mut all = Vec::new();
        for depth in [Depth::Database, Depth::Names, Depth::Contents] {
            let mut told = self.check_at(depth).await;
            told.retain(|problem| !all.contains(problem));
            all.append(&mut told);
        }
        all
    }

    pub(super) async fn check_at(&self, depth: Depth) -> Vec<String> {
        let (told, summary) = self.checked(depth).await;
        assert_eq!((summary.problems, summary.unchecked), (told.len() as u64, 0));
        told
    }

    pub(super) async fn checked(&self, depth: Depth) -> (Vec<String>, Summary) {
        let upkeep = Arc::clone(&self.store) as Arc<dyn Upkeep>;
        let fsck = Fsck { upkeep, archive: self.archive.clone(), ids: self.ids.clone(), depth };
        let mut told = Vec::new();
        let summary = fsck.all(&mut |problem| told.push(problem.to_string())).await.unwrap();
        assert!(0 < summary.designs);
        (told, summary)
    }

    /// Changes the database behind everybody's back.
    pub(super) async fn tamper(&self, sql: &'static str) {
        use sqlx::ConnectOptions as _;
        let path = self.data.path().join("atlas.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

/// Anything that must become true soon; time passes in steps of a second while it is waited for.
pub(super) async fn eventually(clock: &Clock, what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    for _ in 0..20_000 {
        if is_true().await {
            return;
        }
        clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    panic!("{what}: it did not become true");
}
