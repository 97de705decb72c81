//! Erases the blobs of designs that were deleted.
//!
//! A fold, or the drainer, may have been about to store one when the design went. Both notice, or give up, well before the
//! second pass; so every pod looks twice, and the job is done when a look that is not its first finds nothing.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atlas_crdt::ids::DesignId;

use super::runner::{LEASE_MS, chain};
use super::{backoff, spread};
use crate::blob::archive::Archive;
use crate::clock::Ids;
use crate::store::jobs::{Job, JobEnd};

/// Longer than a fold takes to notice that its lease is gone, and a blob on its way to arrive or be given up.
const SECOND_LOOK: Duration = Duration::from_millis(2 * LEASE_MS);
/// Milliseconds. First and longest wait after the blob store was unavailable.
const RETRY_MS: (u64, u64) = (5_000, 600_000);
/// Designs that are remembered; those that other pods finish are forgotten with all others when it is full.
const LOOKED_MAX: usize = 10_000;

/// The work of an `Erase` job.
pub(super) struct Erase {
    archive: Archive,
    ids: Ids,
    /// Designs at which this pod has looked once.
    looked: Mutex<HashSet<DesignId>>,
}

impl Erase {
    pub(super) fn new(archive: Archive, ids: Ids) -> Self {
        Self { archive, ids, looked: Mutex::default() }
    }

    pub(super) async fn run(&self, job: Job) -> JobEnd {
        let design = job.lease.design;
        match self.archive.blobs().delete_all(&format!("designs/{design}")).await {
            Ok(0) if self.has_looked(design) => JobEnd::Done,
            Ok(blobs) => {
                tracing::info!(%design, blobs, "the blobs of a deleted design were erased");
                self.remember(design);
                JobEnd::Later(SECOND_LOOK)
            }
            Err(error) => {
                let reason = chain(error);
                tracing::warn!(%design, reason, "the blobs of a deleted design could not be erased yet");
                let wait = spread(&self.ids, backoff(job.failures, RETRY_MS.0, RETRY_MS.1));
                JobEnd::Failed { retry_in: Duration::from_millis(wait), reason }
            }
        }
    }

    /// Forgets it, too.
    fn has_looked(&self, design: DesignId) -> bool {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).remove(&design)
    }

    fn remember(&self, design: DesignId) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if LOOKED_MAX <= looked.len() {
            looked.clear();
        }
        looked.insert(design);
    }
}
