//! What the command line does to a data folder that no server has open: designs in and out.

use std::path::Path;

use anyhow::{Context as _, bail};
use atlas_crdt::design::create;
use atlas_crdt::ids::{AppendId, DesignId};
use atlas_crdt::room::Claim;
use atlas_crdt::view::SnapshotHead;

use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::formats;
use crate::lifecycle::Tasks;
use crate::store::sqlite::SqliteStore;
use crate::store::{NewDesign, Store};

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

/// A data folder, opened for one command.
#[derive(Debug)]
pub struct Folder {
    store: SqliteStore,
    clock: Clock,
    ids: Ids,
    tasks: Tasks,
}

impl Folder {
    /// # Errors
    /// When there is no data in the folder yet, or when a server has it open.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let data = &config.storage.data_dir;
        if !data.is_dir() {
            bail!("there is no data folder {} (ATLAS_DATA_DIR)", data.display());
        }
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let ids = Ids::system(clock.clone());
        let store = SqliteStore::open(data, clock.clone(), &tasks).await?;
        Ok(Self { store, clock, ids, tasks })
    }

    /// Releases the folder.
    pub async fn close(self) {
        self.store.close().await;
        drop(self.tasks);
    }

    /// # Errors
    /// When there is no such design, or what is stored of it is damaged.
    pub async fn export(&self, design: DesignId, format: ExportFormat) -> anyhow::Result<Vec<u8>> {
        let loaded = self.store.load(design).await?.context("there is no such design")?;
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
        let owner = self.store.user_by_email(&owner.to_lowercase()).await?;
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
        Ok((self.store.create_design(new).await?.id, report))
    }
}
