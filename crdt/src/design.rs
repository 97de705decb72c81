//! The only owner of a yrs document: loading, applying, encoding. Whatever else wants to change a document comes here.
//!
//! yrs keeps two promises less than a server needs: an `apply_update` that fails leaves what it did so far, and one
//! that panics commits the half transaction while it unwinds. After either, a [`DesignDoc`] is poisoned: it answers
//! nothing any more and its owner makes a new one.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ID, IdSet, Map, OffsetKind, Options, Out, ReadTxn, StateVector, Transact, TransactionMut, Update};

use crate::ids::ClientId;
use crate::room::ClockRange;
use crate::schema;

/// One design's document.
pub struct DesignDoc {
    client: ClientId,
    /// `None`: poisoned.
    doc: Option<Doc>,
    /// What is deleted, made when somebody asks, until the next change.
    deleted: Option<IdSet>,
}

/// Why a document could not take an update.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyFault {
    /// yrs cannot read the bytes.
    #[error("the update cannot be decoded: {0}")]
    Undecodable(String),
    /// yrs read the bytes and then refused them.
    #[error("the update cannot be applied: {0}")]
    Inapplicable(String),
    /// Something that the update builds on is not in the document.
    #[error("the update builds on something that is missing")]
    Pending,
    /// yrs panicked.
    #[error("the update broke the document")]
    Panicked,
    /// An earlier fault has made the document useless.
    #[error("the document is poisoned by an earlier fault")]
    Poisoned,
}

/// What one transaction did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Anything at all: new structs or new deletions.
    pub changed: bool,
    /// What is newly deleted, sorted, without overlaps.
    pub deleted: Vec<ClockRange>,
    /// Exactly what the transaction added, as Yjs update v1, if it was asked for.
    pub added: Option<Bytes>,
}

impl DesignDoc {
    /// An empty document. `client` writes nothing, unless [`crate::design::create`] makes the document.
    #[must_use]
    pub fn new(client: ClientId) -> Self {
        let options = Options {
            client_id: ClientID::new(client.get()),
            guid: "atlas".into(),
            collection_id: None,
            // JavaScript counts UTF-16 code units.
            offset_kind: OffsetKind::Utf16,
            skip_gc: false,
            auto_load: false,
            should_load: false,
            cleanup_formatting: false,
        };
        let doc = Doc::with_options(options);
        for root in schema::ROOTS {
            doc.get_or_insert_map(root);
        }
        Self { client, doc: Some(doc), deleted: None }
    }

    /// A document from what the log and its snapshots hold: closed, in any order.
    ///
    /// # Errors
    /// Any fault: what is stored is damaged.
    pub fn load<'a>(
        client: ClientId,
        updates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ApplyFault> {
        let updates: Vec<&[u8]> = updates.into_iter().collect();
        let mut doc = Self::new(client);
        if !updates.is_empty() {
            doc.apply(&updates, false)?;
        }
        Ok(doc)
    }

    /// Applies all updates in one transaction. With `want_added` the result says exactly what they added; encoding
    /// that costs in proportion to all client ids that ever wrote.
    ///
    /// # Errors
    /// After any fault the document is poisoned.
    pub fn apply(&mut self, updates: &[&[u8]], want_added: bool) -> Result<Applied, ApplyFault> {
        let doc = self.doc.as_ref().ok_or(ApplyFault::Poisoned)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| apply_all(doc, updates, want_added)));
        match outcome.unwrap_or(Err(ApplyFault::Panicked)) {
            Ok(applied) => {
                if applied.changed {
                    self.deleted = None;
                }
                Ok(applied)
            }
            Err(fault) => {
                self.poison();
                Err(fault)
            }
        }
    }

    /// A poisoned document may hold a transaction that must never end: it is leaked, not dropped.
    fn poison(&mut self) {
        self.deleted = None;
        if let Some(doc) = self.doc.take() {
            std::mem::forget(doc);
        }
    }

    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.doc.is_none()
    }

    #[must_use]
    pub fn state_vector(&self) -> StateVector {
        self.doc.as_ref().map(|doc| doc.transact().state_vector()).unwrap_or_default()
    }

    /// What somebody with `state` lacks, as Yjs update v1: the missing structs and the whole delete set.
    #[must_use]
    pub fn diff_since(&self, state: &StateVector) -> Bytes {
        match &self.doc {
            Some(doc) => doc.transact().encode_diff_v1(state).into(),
            None => Bytes::from_static(Update::EMPTY_V1),
        }
    }

    /// The whole document as Yjs update v1.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.diff_since(&StateVector::default())
    }

    /// Whether any of these clocks is not deleted yet. Walks the document once after
    /// each change of it.
    pub fn deletes_anything(&mut self, ranges: &[ClockRange]) -> bool {
        let Some(doc) = &self.doc else { return false };
        if ranges.is_empty() {
            return false;
        }
        let known = self.deleted.get_or_insert_with(|| doc.transact().snapshot().delete_set);
        let mut wanted = IdSet::new();
        for range in ranges {
            let id = ID::new(ClientID::new(range.client.get()), range.start);
            wanted.insert(id, range.end.saturating_sub(range.start));
        }
        !wanted.diff(known).is_empty()
    }

    /// `meta.name`, when it is a string.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let doc = self.doc.as_ref()?;
        let txn = doc.transact();
        match txn.get_map(schema::META)?.get(&txn, schema::META_NAME)? {
            Out::Any(yrs::Any::String(name)) => Some(name.to_string()),
            Out::YText(text) => Some(text.get_string(&txn)),
            _ => None,
        }
    }
}

impl std::fmt::Debug for DesignDoc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the content: it is other people's architecture.
        f.debug_struct("DesignDoc")
            .field("client", &self.client)
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

fn apply_all(doc: &Doc, updates: &[&[u8]], want_added: bool) -> Result<Applied, ApplyFault> {
    // Decoded before the transaction is opened: bytes that cannot be read leave no trace.
    let decoded: Vec<Update> = updates
        .iter()
        .map(|bytes| Update::decode_v1(bytes).map_err(|error| ApplyFault::Undecodable(error.to_string())))
        .collect::<Result<_, _>>()?;
    // Forgotten, not dropped, when something panics: dropping commits.
    let mut txn = ManuallyDrop::new(doc.transact_mut());
    for update in decoded {
        txn.apply_update(update).map_err(|error| ApplyFault::Inapplicable(error.to_string()))?;
    }
    if txn.has_missing_updates() {
        return Err(ApplyFault::Pending);
    }
    let changed = txn.has_changes();
    let added = (want_added && changed).then(|| Bytes::from(txn.encode_update_v1()));
    let deleted = ranges_of(txn.delete_set());
    let mut txn: TransactionMut<'_> = ManuallyDrop::into_inner(txn);
    txn.commit();
    drop(txn);
    Ok(Applied { changed, deleted, added })
}

fn ranges_of(set: &IdSet) -> Vec<ClockRange> {
    let mut ranges: Vec<ClockRange> = set
        .iter()
        .flat_map(|(client, range)| {
            let client = ClientId::new(client.get());
            range.iter().map(move |clocks| ClockRange { client, start: clocks.start, end: clocks.end })
        })
        .collect();
    ranges.sort_unstable();
    ranges
}

/// Folds several closed updates into one.
///
/// # Errors
/// `Undecodable` or `Panicked`; no document is concerned.
pub fn merge_updates(updates: &[&[u8]]) -> Result<Bytes, ApplyFault> {
    let merge = || yrs::merge_updates_v1(updates.iter().copied());
    match catch_unwind(AssertUnwindSafe(merge)) {
        Ok(Ok(merged)) => Ok(merged.into()),
        Ok(Err(error)) => Err(ApplyFault::Undecodable(error.to_string())),
        Err(_) => Err(ApplyFault::Panicked),
    }
}
