//! Checks what is stored of designs: that nothing is missing, that everything can be read, and that what was made of something
//! else still equals it.
//!
//! It changes nothing, and may run beside servers. What they change while it looks is looked at again.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use atlas_crdt::gate;
use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::view::hex;
use bytes::Bytes;

use super::compact::{segments_of, snapshots_of};
use super::fold::Folding;
use super::segment;
use crate::blob::archive::Archive;
use crate::blob::{BlobError, BlobHash, BlobKey};
use crate::clock::Ids;
use crate::store::StoreError;
use crate::store::folds::{Remains, Segment};
use crate::store::upkeep::Upkeep;

mod numbers;

use numbers::{has_holes, odd_columns, structure};

/// Designs listed at once.
const PAGE: usize = 500;
/// Rows, and bytes of them, in memory at once.
const PIECE_ROWS: usize = 2_000;
const PIECE_BYTES: usize = 4 << 20;
/// Names of blobs listed at once.
const NAMES: usize = 1_000;
/// Designs one after the other that could not be checked, after which none will be.
const UNCHECKED_MAX: u32 = 3;
/// How often a design that changes while it is looked at is looked at.
const LOOKS_MAX: usize = 4;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The database alone.
    Database,
    /// Also that every blob it names is there.
    Names,
    /// Also what they hold, and that the log's segments make the snapshot.
    Contents,
}

/// Something that is not as it should be. One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub design: DesignId,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "design {}: {}", self.design, self.what)
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub designs: u64,
    pub rows: u64,
    pub snapshots: u64,
    pub segments: u64,
    pub problems: u64,
    /// Designs that could not be checked: of these nothing is known.
    pub unchecked: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { designs, rows, snapshots, segments, problems, unchecked } = self;
        let found = if *problems == 0 { "no problem".to_owned() } else { format!("{problems} problems") };
        write!(f, "{designs} designs, {rows} log rows, {snapshots} snapshots, {segments} segments: {found}")?;
        if *unchecked == 0 { Ok(()) } else { write!(f, "; {unchecked} designs could not be checked") }
    }
}

/// The check.
pub struct Fsck {
    pub upkeep: Arc<dyn Upkeep>,
    pub archive: Archive,
    pub ids: Ids,
    pub depth: Depth,
}

impl fmt::Debug for Fsck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fsck").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// What came of one look at a design.
#[derive(Default)]
struct Look {
    problems: Vec<String>,
    /// What kept the rest from being looked at.
    fault: Option<anyhow::Error>,
    /// By which a change is noticed.
    state: Option<State>,
    summary: Summary,
}

/// What servers and jobs change of a design.
#[derive(PartialEq, Eq)]
struct State {
    head: Seq,
    first_row: Option<Seq>,
    snapshots: Vec<Seq>,
    segments: usize,
    backlog: usize,
}

impl State {
    fn of(remains: &Remains) -> Self {
        Self {
            head: remains.head,
            first_row: remains.rows.first().map(|(seq, _)| *seq),
            snapshots: remains.snapshots.iter().map(|(seq, ..)| *seq).collect(),
            segments: remains.segments.len(),
            backlog: remains.backlog.len(),
        }
    }
}

impl Fsck {
    /// Checks every design, and hands each problem to `tell` as soon as it is found. One that cannot be checked is told, too,
    /// and the others follow.
    ///
    /// # Errors
    /// When the database, or a blob store that is to be looked at, cannot be asked at all: then nothing is known.
    pub async fn all(&self, tell: &mut (dyn FnMut(Problem) + Send)) -> anyhow::Result<Summary> {
        let mut summary = Summary::default();
        let (mut after, mut in_a_row) = (None, 0);
        loop {
            let page = self.upkeep.design_ids(after, PAGE).await.context("designs cannot be listed")?;
            for design in &page {
                let checked = match self.one(*design, tell).await {
                    // One that was deleted meanwhile has no problems.
                    Ok(checked) => checked.unwrap_or_default(),
                    Err(error) if in_a_row == UNCHECKED_MAX => return Err(error),
                    Err(error) => {
                        in_a_row += 1;
                        tell(Problem {
                            design: *design,
                            what: format!("not checked: {:#}", error.root_cause()),
                        });
                        summary.unchecked += 1;
                        continue;
                    }
                };
                in_a_row = 0;
                summary.designs += checked.designs;
                summary.rows += checked.rows;
                summary.snapshots += checked.snapshots;
                summary.segments += checked.segments;
                summary.problems += checked.problems;
                summary.unchecked += checked.unchecked;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(*last),
                _ => return Ok(summary),
            }
        }
    }

    /// Checks one design. `None`: there is none.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn one(
        &self,
        design: DesignId,
        tell: &mut (dyn FnMut(Problem) + Send),
    ) -> anyhow::Result<Option<Summary>> {
        let mut looks = 1;
        loop {
            let looked =
                self.look(design).await.with_context(|| format!("design {design} cannot be checked"))?;
            let Some(look) = looked else { return Ok(None) };
            let is_sure =
                look.problems.is_empty() || LOOKS_MAX <= looks || !self.changed(design, &look).await?;
            if is_sure {
                let (problems, unchecked) = (look.problems.len() as u64, u64::from(look.fault.is_some()));
                let fault = look.fault.map(|fault| format!("the rest is not checked: {fault:#}"));
                look.problems.into_iter().chain(fault).for_each(|what| tell(Problem { design, what }));
                return Ok(Some(Summary { designs: 1, problems, unchecked, ..look.summary }));
            }
            looks += 1;
        }
    }

    async fn changed(&self, design: DesignId, look: &Look) -> anyhow::Result<bool> {
        match self.upkeep.remains(design).await {
            Ok(now) => Ok(now.as_ref().map(State::of) != look.state),
            Err(StoreError::Damaged(_)) => Ok(look.state.is_some()),
            Err(error) => Err(error.into()),
        }
    }

    async fn look(&self, design: DesignId) -> anyhow::Result<Option<Look>> {
        let mut look = Look::default();
        let remains = match self.upkeep.remains(design).await {
            Ok(Some(remains)) => remains,
            Ok(None) => return Ok(None),
            Err(StoreError::Damaged(what)) => {
                look.problems.push(what);
                return Ok(Some(look));
            }
            Err(error) => return Err(error.into()),
        };
        look.state = Some(State::of(&remains));
        look.summary.rows = remains.rows.len() as u64;
        look.summary.snapshots = remains.snapshots.len() as u64;
        look.summary.segments = remains.segments.len() as u64;
        look.problems = structure(&remains);
        // What was found before a fault is told all the same.
        look.fault = self.inside(design, &remains, &mut look.problems).await.err();
        Ok(Some(look))
    }

    /// What lies in the database first: blobs may be out of reach.
    async fn inside(
        &self,
        design: DesignId,
        remains: &Remains,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let folded = self.snapshot(remains, problems).await?;
        if self.depth == Depth::Database {
            return self.rows(design, remains, folded, problems).await;
        }
        let named = self.names(design, remains, problems).await;
        let compared = match (&named, self.depth) {
            (Ok(()), Depth::Contents) => self.contents(design, remains, folded.as_ref(), problems).await,
            _ => Ok(()),
        };
        self.rows(design, remains, folded, problems).await?;
        named.and(compared)
    }

    /// The document of the newest snapshot. `None`: there is one that cannot be read.
    async fn snapshot(
        &self,
        remains: &Remains,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<Option<Folding>> {
        let client = self.ids.client();
        let Some((seq, payload, hash)) = remains.snapshots.last().cloned() else {
            return Ok(Folding::start(client, None).ok());
        };
        if hash.is_some_and(|hash| BlobHash::of(&payload).0 != hash) {
            problems.push(format!("the snapshot of row {seq} is not what its hash says"));
        }
        let columns = remains.columns.clone();
        let read = aside(move || {
            let folding = Folding::start(client, Some(&(seq, payload)))?;
            let odd = columns.and_then(|columns| odd_columns(&folding, &columns));
            Ok::<_, super::fold::FoldFault>((folding, odd))
        });
        match read.await? {
            Ok((folding, odd)) => {
                problems.extend(odd);
                Ok(Some(folding))
            }
            Err(fault) => {
                problems.push(fault.to_string());
                Ok(None)
            }
        }
    }

    /// Every row can be read, and those above the snapshot make a document with it.
    async fn rows(
        &self,
        design: DesignId,
        remains: &Remains,
        mut folding: Option<Folding>,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let Some((first, _)) = remains.rows.first() else { return Ok(()) };
        let mut after = Seq::new(first.get().saturating_sub(1));
        // Rows that do not join have been told by their numbers.
        folding = folding.filter(|document| after <= document.seq());
        while after < remains.head {
            let rows = match self.upkeep.archive_rows(design, after, PIECE_ROWS, PIECE_BYTES).await {
                Ok(rows) => rows,
                Err(StoreError::Damaged(what)) => {
                    // Of a hole the numbers have told already. What is behind it cannot be read in order.
                    if !has_holes(remains) {
                        problems.push(what);
                    }
                    return Ok(());
                }
                Err(StoreError::Folded | StoreError::NoSuchDesign) => {
                    problems.push("it changed while it was looked at".to_owned());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
            let (back, faults) = aside(move || {
                let mut faults = Vec::new();
                for row in &rows {
                    if let Err(fault) = gate::scan_stored(&row.update) {
                        faults.push(format!("row {} cannot be read: {fault}", row.seq));
                    }
                }
                if let Some(document) = &mut folding {
                    let above = rows.partition_point(|row| row.seq <= document.seq());
                    match document.take(&rows[above..]) {
                        Ok(()) => {}
                        Err(_) if !faults.is_empty() => folding = None,
                        Err(fault) => {
                            faults.push(fault.to_string());
                            folding = None;
                        }
                    }
                }
                (folding, faults)
            })
            .await?;
            folding = back;
            problems.extend(faults);
            after = last;
        }
        Ok(())
    }

    /// Every blob that the database names is there, or waits.
    async fn names(
        &self,
        design: DesignId,
        remains: &Remains,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let (segments, snapshots) = (segments_of(design), snapshots_of(design));
        let waits = |prefix: &str, hash: &[u8; 32]| {
            remains.backlog.iter().any(|(waits, name)| waits == prefix && name == hash)
        };
        let there = self.listed(&segments).await?;
        for Segment { first, last, hash, .. } in &remains.segments {
            if !there.contains(hash) && !waits(&segments, hash) {
                let hash = hex(hash);
                problems.push(format!("the segment of rows {first} to {last} is nowhere: {segments}/{hash}"));
            }
        }
        let there = self.listed(&snapshots).await?;
        for (seq, _, hash) in &remains.snapshots {
            if let Some(hash) = hash.filter(|hash| !there.contains(hash) && !waits(&snapshots, hash)) {
                let hash = hex(&hash);
                problems.push(format!("the snapshot of row {seq} is not archived: {snapshots}/{hash}"));
            }
        }
        Ok(())
    }

    async fn listed(&self, prefix: &str) -> anyhow::Result<BTreeSet<[u8; 32]>> {
        let mut there = BTreeSet::new();
        let mut after: Option<BlobKey> = None;
        loop {
            let listed = self.archive.blobs().list(prefix, after.as_ref(), NAMES).await;
            let page = listed.context("blobs cannot be listed")?;
            there.extend(page.iter().filter(|key| key.prefix == prefix).map(|key| key.hash.0));
            if page.len() < NAMES {
                return Ok(there);
            }
            after = page.into_iter().next_back();
        }
    }

    /// What the segments say, and whether they make the snapshot.
    async fn contents(
        &self,
        design: DesignId,
        remains: &Remains,
        snapshot: Option<&Folding>,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let mut folding = Folding::start(self.ids.client(), None).ok();
        for segment in &remains.segments {
            let Segment { first, last, hash, .. } = *segment;
            // Segments that do not join have been told by their numbers.
            folding = folding.filter(|document| document.seq().next() == first);
            let Some(content) = self.content(&segments_of(design), hash, problems).await? else {
                // It waits, or is missing: from here on nothing can be compared.
                folding = None;
                continue;
            };
            let generation = remains.generation;
            let (back, fault) = aside(move || {
                let read = match segment::decode(&content) {
                    Ok(read) => read,
                    Err(fault) => return (None, Some(fault.to_string())),
                };
                let ends = (read.rows.first().map(|row| row.seq), read.rows.last().map(|row| row.seq));
                if read.design != design || generation < read.generation || ends != (Some(first), Some(last))
                {
                    return (None, Some("it says that it is another".to_owned()));
                }
                let Some(mut document) = folding else { return (None, None) };
                match document.take(&read.rows) {
                    Ok(()) => (Some(document), None),
                    Err(fault) => (None, Some(fault.to_string())),
                }
            })
            .await?;
            folding = back;
            problems.extend(fault.map(|fault| format!("the segment of rows {first} to {last}: {fault}")));
        }
        for (_, _, hash) in &remains.snapshots {
            if let Some(hash) = hash {
                self.content(&snapshots_of(design), *hash, problems).await?;
            }
        }
        if let (Some(folding), Some(snapshot)) = (folding, snapshot)
            && folding.seq() == snapshot.seq()
            && let Err(what) = snapshot.same_as(&folding)
        {
            let seq = snapshot.seq();
            problems
                .push(format!("the snapshot of row {seq} is not what the segments make: its {what} differs"));
        }
        Ok(())
    }

    /// `None`: it is not there, which is told elsewhere, or cannot be read, which is told here.
    async fn content(
        &self,
        prefix: &str,
        hash: [u8; 32],
        problems: &mut Vec<String>,
    ) -> anyhow::Result<Option<Bytes>> {
        match self.archive.get(prefix, BlobHash(hash)).await {
            Ok(content) => Ok(content),
            Err(error @ (BlobError::Unavailable(_) | BlobError::Refused(_))) => {
                Err(error).context("blobs cannot be read")
            }
            Err(error) => {
                problems.push(format!("{prefix}: {error}"));
                Ok(None)
            }
        }
    }
}

/// Runs what takes a core for a while off the threads that serve.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work panicked")
}
