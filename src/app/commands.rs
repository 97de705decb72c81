//! What the command line does besides serving: designs in and out, the schema, and checks.

use std::path::Path;

use anyhow::Context as _;
use atlas_crdt::design::create;
use atlas_crdt::ids::{AppendId, DesignId};
use atlas_crdt::room::Claim;
use atlas_crdt::view::SnapshotHead;

use super::open::{self, Use};
use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::formats;
pub use crate::jobs::fsck::Depth;
use crate::jobs::fsck::{Fsck, Problem, Summary};
use crate::lifecycle::Tasks;
use crate::store::{NewDesign, Stores};

/// How a design leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The snapshot as the API serves it, indented.
    Json,
    /// The whole document as one Yjs update.
    Yjs,
}

/// The OpenAPI document, as `/openapi.json` serves it.
#[must_use]
pub fn openapi() -> &'static str {
    crate::http::openapi::text()
}

/// Brings the schema up to date, and says so. Any number of processes may do this at once.
///
/// # Errors
/// When the database cannot be used.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    open::migrate(config).await
}

/// A database, opened for one command.
#[derive(Debug)]
pub struct Desk {
    stores: Stores,
    clock: Clock,
    ids: Ids,
    tasks: Tasks,
}

impl Desk {
    /// # Errors
    /// When the database cannot be used; the embedded one, also when a server has it open.
    pub async fn open(config: &Config, purpose: Use) -> anyhow::Result<Self> {
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let ids = Ids::system(clock.clone());
        let stores = open::store(config, purpose, &clock, &tasks).await?;
        Ok(Self { stores, clock, ids, tasks })
    }

    /// Releases it.
    pub async fn close(self) {
        self.stores.store.close().await;
        drop(self.tasks);
    }

    /// # Errors
    /// When there is no such design, or what is stored of it is damaged.
    pub async fn export(&self, design: DesignId, format: ExportFormat) -> anyhow::Result<Vec<u8>> {
        let loaded = self.stores.store.load(design).await?.context("there is no such design")?;
        let head = SnapshotHead { id: design, epoch: loaded.epoch, seq: loaded.head() };
        let doc = loaded.document(self.ids.client())?;
        Ok(match format {
            ExportFormat::Yjs => doc.encode().to_vec(),
            ExportFormat::Json => {
                let mut json = serde_json::to_vec_pretty(&doc.view().to_snapshot_json(&head))?;
                json.push(b'\n');
                json
            }
        })
    }

    /// Makes a new design of a file, owned by the account with this address. Returns its id and the report.
    ///
    /// # Errors
    /// When the file is of no known format, or nobody has the address.
    pub async fn import(
        &self,
        file: &Path,
        format: &str,
        owner: &str,
    ) -> anyhow::Result<(DesignId, serde_json::Value)> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let owner = self.stores.store.user_by_email(&owner.to_lowercase()).await?;
        let owner = owner.context("nobody has this e-mail address: register first")?.id;
        let imported = formats::import(&bytes, format)?;
        let report = serde_json::to_value(&imported.report)?;
        // The id that writes the first update writes nothing else, ever.
        let client = self.ids.client();
        let new = NewDesign {
            id: self.ids.design(),
            owner,
            name: imported.design.name.clone(),
            description: imported.design.description.clone(),
            first: create(client, &imported.design)?,
            claims: vec![Claim { client, user: None }],
            append_id: AppendId::from_u128(self.ids.append_salt()),
            now: self.clock.utc(),
        };
        Ok((self.stores.store.create_design(new).await?.id, report))
    }

    /// Checks one design, or all of them. Each problem is told as one line, as soon as it is found.
    ///
    /// # Errors
    /// When the database or the blobs cannot be asked, or there is no such design: then nothing is known.
    pub async fn fsck(
        &self,
        config: &Config,
        design: Option<DesignId>,
        depth: Depth,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<Summary> {
        let open::Blobs { archive, .. } = open::blobs(config, Use::Look, &self.ids).await?;
        let fsck = Fsck { upkeep: self.stores.upkeep.clone(), archive, ids: self.ids.clone(), depth };
        let mut tell = |problem: Problem| tell(&problem.to_string());
        match design {
            Some(design) => fsck.one(design, &mut tell).await?.context("there is no such design"),
            None => fsck.all(&mut tell).await,
        }
    }
}
