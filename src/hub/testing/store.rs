//! A store in memory that is slow, fails or panics when told to.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AnalysisId, AppendId, ClientId, DesignId, Epoch, Generation, Seq, SessionId, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, ClockRange, Loaded, LogRow, Quarantine};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;
use yrs::updates::decoder::Decode;
use yrs::{Doc, Transact, Update};

use super::nodes;
use crate::store::analyses::AnalysisSummary;
use crate::store::*;

/// What the store does with the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Mood {
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
pub(in crate::hub) struct FakeStore {
    pub(in crate::hub) loading: watch::Sender<Mood>,
    pub(in crate::hub) appending: watch::Sender<Mood>,
    pub(in crate::hub) quarantining: watch::Sender<Mood>,
    /// Of `look`, `member_roles` and `revoked_within` together.
    pub(in crate::hub) looking: watch::Sender<Mood>,
    pub(in crate::hub) loads: AtomicUsize,
    /// Loads under way, and the most that ever were.
    pub(in crate::hub) loads_at_once: Mutex<(usize, usize)>,
    pub(in crate::hub) looks: AtomicUsize,
    /// Calls of `member_roles`.
    pub(in crate::hub) role_looks: AtomicUsize,
    /// Calls of `log_after`, and how many of the next ones never answer.
    pub(in crate::hub) log_reads: AtomicUsize,
    pub(in crate::hub) log_hangs: AtomicUsize,
    pub(in crate::hub) summing_up: watch::Sender<Mood>,
    /// Calls of `analysis_summary`.
    pub(in crate::hub) summaries: AtomicUsize,
    analyses: Mutex<HashMap<DesignId, AnalysisSummary>>,
    logs: Mutex<HashMap<DesignId, Vec<Row>>>,
    members: Mutex<HashMap<DesignId, Members>>,
    revoked: Mutex<Vec<SessionId>>,
    quarantine: Mutex<Vec<(DesignId, Quarantine)>>,
    announced: Mutex<Vec<Claim>>,
    /// Appends under way: a design's one owner has at most one.
    appends: Mutex<HashSet<DesignId>>,
    /// What only two owners of one design could have done (INV-4).
    pub(in crate::hub) two_owners: Mutex<Vec<&'static str>>,
}

#[derive(Debug, Default)]
struct Members {
    roles: HashMap<UserId, DesignRole>,
    notice_seq: u64,
}

#[derive(Debug)]
struct Row {
    append_id: AppendId,
    update: Bytes,
    claims: Vec<Claim>,
    wrote: Vec<ClockRange>,
}

/// A load under way; over when dropped, however it ends.
struct Loading<'a>(&'a FakeStore);

impl<'a> Loading<'a> {
    fn begin(store: &'a FakeStore) -> Self {
        let mut at_once = store.loads_at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
        Self(store)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.loads_at_once.lock().unwrap().0 -= 1;
    }
}

/// An append under way; over when dropped, however it ends.
struct UnderWay<'a>(&'a FakeStore, DesignId);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.appends.lock().unwrap().remove(&self.1);
    }
}

impl FakeStore {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            loading: watch::Sender::new(Mood::Well),
            appending: watch::Sender::new(Mood::Well),
            quarantining: watch::Sender::new(Mood::Well),
            looking: watch::Sender::new(Mood::Well),
            loads: AtomicUsize::new(0),
            loads_at_once: Mutex::default(),
            looks: AtomicUsize::new(0),
            role_looks: AtomicUsize::new(0),
            log_reads: AtomicUsize::new(0),
            log_hangs: AtomicUsize::new(0),
            summing_up: watch::Sender::new(Mood::Well),
            summaries: AtomicUsize::new(0),
            analyses: Mutex::default(),
            logs: Mutex::default(),
            members: Mutex::default(),
            revoked: Mutex::default(),
            quarantine: Mutex::default(),
            announced: Mutex::default(),
            appends: Mutex::default(),
            two_owners: Mutex::default(),
        })
    }

    pub(in crate::hub) fn create(&self, design: DesignId) {
        self.logs.lock().unwrap().insert(design, Vec::new());
    }

    pub(in crate::hub) fn erase(&self, design: DesignId) {
        self.logs.lock().unwrap().remove(&design);
    }

    /// The first row of a log, not from any room.
    pub(in crate::hub) fn write(&self, design: DesignId, update: Bytes) {
        let row = Row { append_id: AppendId::from_u128(0), update, claims: Vec::new(), wrote: Vec::new() };
        self.logs.lock().unwrap().entry(design).or_default().push(row);
    }

    /// As another pod, or this one's HTTP side, writes it. `None`: no member any more.
    pub(in crate::hub) fn set_role(&self, design: DesignId, user: UserId, role: Option<DesignRole>) {
        let mut members = self.members.lock().unwrap();
        let members = members.entry(design).or_default();
        match role {
            Some(role) => _ = members.roles.insert(user, role),
            None => _ = members.roles.remove(&user),
        }
        members.notice_seq += 1;
    }

    /// As the jobs write it.
    pub(in crate::hub) fn analyse(&self, design: DesignId, no: u64) {
        let summary = AnalysisSummary {
            id: AnalysisId::from_u128(no.into()),
            no,
            seq: Seq::new(no),
            score: 7.5,
            grade: "C".to_owned(),
            severity: None,
            coverage: 0.5,
            findings: no,
        };
        self.analyses.lock().unwrap().insert(design, summary);
    }

    fn analysis_no(&self, design: DesignId) -> u64 {
        self.analyses.lock().unwrap().get(&design).map_or(0, |summary| summary.no)
    }

    pub(in crate::hub) fn revoke(&self, session: SessionId) {
        self.revoked.lock().unwrap().push(session);
    }

    pub(in crate::hub) fn log_len(&self, design: DesignId) -> usize {
        self.logs.lock().unwrap()[&design].len()
    }

    /// What the log says, element by element.
    pub(in crate::hub) fn nodes(&self, design: DesignId) -> Vec<String> {
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

    pub(in crate::hub) fn quarantined(&self, design: DesignId) -> Vec<Quarantine> {
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
        let wrote: Vec<ClockRange> = append.wrote().copied().collect();
        let after = usize::try_from(append.after.get()).unwrap();
        let is_overtaken = append.exactly && after < log.len()
            || append.writes_any_of(log.iter().skip(after).flat_map(|row| &row.wrote));
        let Append { append_id, update, claims, .. } = append;
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
            if log.len() < after {
                return Err(StoreError::Behind { head: Seq::new(log.len() as u64) });
            }
            if is_overtaken {
                return Err(StoreError::Overtaken { head: Seq::new(log.len() as u64) });
            }
            log.push(Row { append_id, update, claims, wrote });
            log.len() - 1
        };
        if forgetful { Err(unavailable()) } else { Ok(Seq::new(at as u64 + 1)) }
    }

    async fn load(&self, design: DesignId) -> Result<Option<Loaded>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.appends.lock().unwrap().contains(&design) {
            self.two_owners.lock().unwrap().push("a load beside an append");
        }
        let _loading = Loading::begin(self);
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
            analysis_no: self.analysis_no(design),
        }))
    }

    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>> {
        self.log_reads.fetch_add(1, Ordering::SeqCst);
        let hangs = |left: usize| left.checked_sub(1);
        if self.log_hangs.fetch_update(Ordering::SeqCst, Ordering::SeqCst, hangs).is_ok() {
            std::future::pending::<()>().await;
        }
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

    async fn look(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, Look)>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Self::mood(&self.looking).await?;
        let (logs, members) = (self.logs.lock().unwrap(), self.members.lock().unwrap());
        let look = |design: &DesignId| {
            let (generation, epoch) = (Generation::new(1), Epoch::new(1));
            let head = Seq::new(logs.get(design)?.len() as u64);
            let notice_seq = members.get(design).map_or(0, |members| members.notice_seq);
            Some((
                *design,
                Look { generation, epoch, head, notice_seq, analysis_no: self.analysis_no(*design) },
            ))
        };
        Ok(designs.iter().filter_map(look).collect())
    }

    async fn analysis_summary(&self, design: DesignId) -> Result<Option<AnalysisSummary>> {
        self.summaries.fetch_add(1, Ordering::SeqCst);
        Self::mood(&self.summing_up).await?;
        Ok(self.analyses.lock().unwrap().get(&design).cloned())
    }

    async fn member_roles(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, UserId, DesignRole)>> {
        self.role_looks.fetch_add(1, Ordering::SeqCst);
        Self::mood(&self.looking).await?;
        let members = self.members.lock().unwrap();
        let of = |design: &DesignId| {
            let roles = members.get(design).map(|members| members.roles.clone()).unwrap_or_default();
            let design = *design;
            roles.into_iter().map(move |(user, role)| (design, user, role))
        };
        Ok(designs.iter().flat_map(of).collect())
    }

    async fn revoked_within(&self, _: Duration) -> Result<Vec<SessionId>> {
        Self::mood(&self.looking).await?;
        Ok(self.revoked.lock().unwrap().clone())
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
