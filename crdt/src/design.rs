//! `DesignDoc`: the only owner of a yrs document.
//!
//! What yrs leaves open is closed here (all of it seen on yrs 0.28.1):
//!
//! - A failing `apply_update` leaves its prefix applied, and a transaction that is dropped while unwinding commits its
//!   half. After any fault the `DesignDoc` is therefore *poisoned*: whoever holds it throws it away and loads another.
//!   After a panic its transaction is never dropped but forgotten, together with its document.
//! - What cannot be integrated yet is parked inside the document, where it looks like "adds nothing" and grows without
//!   bound; and a block that skips clocks of its own client is integrated behind a hole. Both are faults here: after
//!   every [`DesignDoc::apply`] the document holds exactly what its state vector says.
//! - The default client id and guid are random, and lengths are counted in bytes: both are set by hand, and lengths are
//!   counted in UTF-16 units as JavaScript does.
//! - A transaction's state vectors are recomputed from all clients that ever wrote: they are kept up to date here
//!   instead, from what each transaction inserted.
//!
//! Bytes from a client must have passed the [`gate`](crate::gate) before they come here: yrs allocates and recurses as
//! the bytes tell it to, and nothing can catch an overflowing stack.

mod create;
mod change;
mod plan;
mod draft;
#[cfg(any(test, feature = "poison"))]
pub mod poison;

use std::collections::{BTreeMap, HashMap};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, IdSet, Map, OffsetKind, Options, Out, ReadTxn, StateVector, Transact, Update};

use crate::gate::{self, Refusal};
use crate::ids::ClientId;
use crate::limits::NAME_CHARS_MAX;
use crate::room::ClockRange;
use crate::schema::{self, Root};
use crate::view::{self, DesignView};

pub use change::{Change, ElementPatch, Elements, Patch, Replacement};
pub use create::{CreateError, NewDesign, create};
pub use draft::DraftError;

/// Whether this was built for tests, with updates at which the document fails on purpose.
pub const CAN_BE_POISONED: bool = cfg!(any(test, feature = "poison"));

/// One design as a live Yjs document.
pub struct DesignDoc {
    /// `None` once the document is poisoned.
    doc: Option<Doc>,
    /// The document's state vector, shared with whoever asked for it.
    state: Arc<StateVector>,
    /// Everything that is deleted: built when first asked for, then kept up to date by each transaction.
    deleted: OnceLock<IdSet>,
}

/// What one transaction did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The state vector before the transaction.
    pub before: Arc<StateVector>,
    /// The state vector after it; the same allocation as `before` when nothing was written.
    pub after: Arc<StateVector>,
    /// The clocks that were new, sorted, one range for each client.
    pub wrote: Vec<ClockRange>,
    /// The clocks that were alive, or new, and are deleted now, sorted.
    pub deleted: Vec<ClockRange>,
    /// Anything new at all: a struct or a deletion.
    pub changed: bool,
    /// Yjs update v1 with exactly what the transaction added; only when it was asked for.
    pub added: Option<Bytes>,
}

/// An update could not be applied as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ApplyFault {
    /// What the log holds would hurt, or is no update. The document is as it was.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(#[from] Refusal),
    /// The bytes are not an update. The document is as it was.
    #[error("the bytes are not a Yjs update")]
    Undecodable(#[source] yrs::encoding::read::Error),
    /// A struct cannot stand where it says that it stands.
    #[error("an update puts something where nothing can stand")]
    Misplaced(#[source] yrs::error::UpdateError),
    /// Something that the update builds upon is not here.
    #[error("an update builds upon something that is missing")]
    Incomplete,
    /// yrs panicked.
    #[error("applying an update panicked: {0}")]
    Panicked(String),
    /// An earlier fault poisoned the document.
    #[error("the document is poisoned by an earlier fault")]
    Poisoned,
}

impl DesignDoc {
    /// An empty document that would write as `client`.
    #[must_use]
    pub fn new(client: ClientId) -> Self {
        let doc = Doc::with_options(options(client));
        for root in schema::ROOTS {
            doc.get_or_insert_map(root);
        }
        Self { doc: Some(doc), state: Arc::default(), deleted: OnceLock::new() }
    }

    /// The document that these updates make, oldest first, in one transaction. They come from the log, so they passed the
    /// gate when they were written, under the limits of that day; what could hurt is refused all the same.
    ///
    /// A fault means that the log is damaged or has a hole.
    pub fn load<'a>(
        client: ClientId,
        updates: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    ) -> Result<Self, ApplyFault> {
        let updates = updates.into_iter();
        for update in updates.clone() {
            gate::scan_stored(update)?;
        }
        Self::load_scanned(client, updates)
    }

    /// [`load`](Self::load) for bytes that [`gate::scan_stored`] has read already.
    pub(crate) fn load_scanned<'a>(
        client: ClientId,
        updates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ApplyFault> {
        let mut loaded = Self::new(client);
        loaded.integrate(updates.into_iter().map(decode), false)?;
        Ok(loaded)
    }

    /// A fault has left the document in an unknown state: throw it away. Everything else that is called on it panics.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.doc.is_none()
    }

    /// A copy of the state vector; [`state`](Self::state) shares it instead.
    #[must_use]
    pub fn state_vector(&self) -> StateVector {
        StateVector::clone(&self.state)
    }

    /// The state vector, as Yjs encodes it in its first version.
    #[must_use]
    pub fn encode_state(&self) -> Bytes {
        self.state.encode_v1().into()
    }

    /// The state vector. Costs nothing, and stays as it is when the document goes on.
    #[must_use]
    pub fn state(&self) -> &Arc<StateVector> {
        &self.state
    }

    /// Applies all updates in one transaction. `want_added` asks for the bytes of what was new, which costs in
    /// proportion to all clients that ever wrote.
    ///
    /// All updates must be decodable, or nothing is applied and the document stays well. Any other fault poisons it.
    pub fn apply(&mut self, updates: &[&[u8]], want_added: bool) -> Result<Applied, ApplyFault> {
        if self.is_poisoned() {
            return Err(ApplyFault::Poisoned);
        }
        let mut decoded = Vec::with_capacity(updates.len());
        for update in updates {
            decoded.push(decode(update)?);
        }
        #[cfg(any(test, feature = "poison"))]
        let decoded = poison::poisoned(updates, decoded.into_iter().map(Ok));
        #[cfg(not(any(test, feature = "poison")))]
        let decoded = decoded.into_iter().map(Ok);
        self.integrate(decoded, want_added)
    }

    /// What a replica at `since` misses, as Yjs update v1: its structs, and the whole delete set.
    #[must_use]
    pub fn diff_since(&self, since: &StateVector) -> Bytes {
        Bytes::from(self.live().transact().encode_diff_v1(since))
    }

    /// The whole document as Yjs update v1.
    ///
    /// Equal documents need not give equal bytes: yrs keeps JSON objects in hash maps and writes their keys in any order.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.diff_since(&StateVector::default())
    }

    /// Would deleting these clocks change anything? True if any of them exists and is not deleted yet.
    ///
    /// The first call walks the document; later ones cost in proportion to the ranges and to what is deleted of their
    /// clients.
    #[must_use]
    pub fn deletes_anything(&self, ranges: &[ClockRange]) -> bool {
        let mut alive: HashMap<ClientId, Vec<(u32, u32)>> = HashMap::new();
        for range in ranges {
            let end = range.end.min(self.state.get(&client_id(range.client)));
            if range.start < end {
                alive.entry(range.client).or_default().push((range.start, end));
            }
        }
        if alive.is_empty() {
            return false;
        }
        let deleted = self.deleted.get_or_init(|| self.live().transact().snapshot().delete_set);
        alive.into_iter().any(|(client, mut wanted)| {
            wanted.sort_unstable();
            let Some(gone) = deleted.get(&client_id(client)) else { return true };
            !covers(gone.ranges().map(|range| (range.start, range.end)), &wanted)
        })
    }

    /// How many of these ranges are not deleted as a whole yet: what they would add to the delete set at most.
    #[must_use]
    pub fn new_delete_ranges(&self, ranges: &[ClockRange]) -> usize {
        let mut by_client: BTreeMap<ClientId, Vec<&ClockRange>> = BTreeMap::new();
        for range in ranges {
            by_client.entry(range.client).or_default().push(range);
        }
        let deleted = self.deleted.get_or_init(|| self.live().transact().snapshot().delete_set);
        let mut new = 0;
        for (client, wanted) in by_client {
            let Some(gone) = deleted.get(&client_id(client)) else {
                new += wanted.len();
                continue;
            };
            let gone: Vec<(u32, u32)> = gone.ranges().map(|range| (range.start, range.end)).collect();
            let is_gone = |want: &ClockRange| {
                let at = gone.partition_point(|(_, end)| *end <= want.start);
                gone.get(at).is_some_and(|(start, end)| *start <= want.start && want.end <= *end)
            };
            new += wanted.iter().filter(|want| !is_gone(want)).count();
        }
        new
    }

    /// Everything that is deleted: by client and clock, adjacent ranges joined.
    #[must_use]
    pub fn deleted(&self) -> Vec<ClockRange> {
        let mut all = clock_ranges(self.deleted.get_or_init(|| self.live().transact().snapshot().delete_set));
        all.sort_unstable();
        all.dedup_by(|next, before| {
            let joins = before.client == next.client && next.start <= before.end;
            if joins {
                before.end = before.end.max(next.end);
            }
            joins
        });
        all
    }

    /// Ranges in the delete set, which stands whole in every diff. Walks the document, unless what is deleted is known.
    #[must_use]
    pub fn delete_ranges(&self) -> usize {
        let deleted = self.deleted.get_or_init(|| self.live().transact().snapshot().delete_set);
        deleted.iter().map(|(_, ranges)| ranges.iter().count()).sum()
    }

    /// How many keys a root has.
    #[must_use]
    pub fn keys(&self, root: Root) -> usize {
        let txn = self.live().transact();
        txn.get_map(root.name()).map_or(0, |map| usize::try_from(map.len(&txn)).unwrap_or(usize::MAX))
    }

    #[must_use]
    pub fn has_key(&self, root: Root, key: &str) -> bool {
        let txn = self.live().transact();
        txn.get_map(root.name()).is_some_and(|map| map.contains_key(&txn, key))
    }

    /// `meta.name`, when it is a text that a design may be called: others are nobody's name, and would be carried into
    /// every list of designs.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.raw_name().filter(|name| (1..=NAME_CHARS_MAX).contains(&name.chars().count()))
    }

    fn raw_name(&self) -> Option<String> {
        let txn = self.live().transact();
        match txn.get_map(schema::META)?.get(&txn, schema::META_NAME)? {
            Out::Any(yrs::Any::String(name)) if name.len() <= 4 * NAME_CHARS_MAX => Some(name.to_string()),
            Out::YText(text) => Some(yrs::GetString::get_string(&text, &txn)),
            _ => None,
        }
    }

    /// The document as plain nodes, edges and meta.
    #[must_use]
    pub fn view(&self) -> DesignView {
        view::read(&self.live().transact())
    }

    /// A poisoned document holds its own lock for ever; reading it is a mistake of the caller, and an empty answer in its
    /// place could be taken for an empty design.
    fn live(&self) -> &Doc {
        match &self.doc {
            Some(doc) => doc,
            None => panic!("a poisoned document is read"),
        }
    }

    fn integrate(
        &mut self,
        updates: impl Iterator<Item = Result<Update, ApplyFault>>,
        want_added: bool,
    ) -> Result<Applied, ApplyFault> {
        let doc = self.doc.take().ok_or(ApplyFault::Poisoned)?;
        // From here the document comes back only when all went well: on a fault it goes down with its transaction.
        let step = transact(&doc, &self.state, updates, want_added)?;
        self.doc = Some(doc);

        let before = Arc::clone(&self.state);
        if !step.wrote.is_empty() {
            let after = Arc::make_mut(&mut self.state);
            for range in &step.wrote {
                after.set_max(client_id(range.client), range.end);
            }
        }
        let deleted = clock_ranges(&step.deleted);
        let changed = !step.wrote.is_empty() || !deleted.is_empty();
        if let Some(known) = self.deleted.get_mut() {
            // What came deleted or collected already is in the transaction's set as well; the tests say so.
            known.merge_with(step.deleted);
        }
        let after = Arc::clone(&self.state);
        Ok(Applied { before, after, wrote: step.wrote, deleted, changed, added: step.added })
    }
}

impl std::fmt::Debug for DesignDoc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesignDoc")
            .field("poisoned", &self.is_poisoned())
            .field("clients", &self.state.len())
            .finish_non_exhaustive()
    }
}

/// How many updates yrs merges at once. The order by which it sorts them is not a total one where structs of several
/// updates overlap, and `sort_by` panics on that from 21 elements on (yrs 0.28.1, `Update::merge_updates`).
const MERGED_AT_ONCE: usize = 16;

/// One update v1 that holds what all of them hold; they may overlap. The bytes must have passed the gate.
pub fn merge_updates(updates: &[&[u8]]) -> Result<Bytes, ApplyFault> {
    if updates.len() <= MERGED_AT_ONCE {
        return catch_unwind(AssertUnwindSafe(|| yrs::merge_updates_v1(updates)))
            .map_err(|panic| ApplyFault::Panicked(panic_text(&*panic)))?
            .map(Bytes::from)
            .map_err(ApplyFault::Undecodable);
    }
    let parts = updates.chunks(MERGED_AT_ONCE).map(merge_updates).collect::<Result<Vec<_>, _>>()?;
    merge_updates(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>())
}

/// yrs's options for a document that writes as `client`.
fn options(client: ClientId) -> Options {
    let guid = yrs::uuid_v4_from(u128::from(client.get()));
    let mut options = Options::with_guid_and_client_id(guid, client_id(client));
    options.offset_kind = OffsetKind::Utf16;
    options
}

fn client_id(client: ClientId) -> yrs::ClientID {
    yrs::ClientID::new(client.get())
}

fn decode(update: &[u8]) -> Result<Update, ApplyFault> {
    catch_unwind(AssertUnwindSafe(|| Update::decode_v1(update)))
        .map_err(|panic| ApplyFault::Panicked(panic_text(&*panic)))?
        .map_err(ApplyFault::Undecodable)
}

/// What a committed transaction leaves behind.
struct Step {
    wrote: Vec<ClockRange>,
    deleted: IdSet,
    added: Option<Bytes>,
}

/// One transaction. After a fault the caller throws the document away; after a panic the transaction is forgotten
/// first, which leaks the document: the price of never committing what a panic left behind.
fn transact(
    doc: &Doc,
    state: &StateVector,
    updates: impl Iterator<Item = Result<Update, ApplyFault>>,
    want_added: bool,
) -> Result<Step, ApplyFault> {
    let txn = doc.try_transact_mut().map_err(|_| ApplyFault::Poisoned)?;
    let mut txn = ManuallyDrop::new(txn);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for update in updates {
            txn.apply_update(update?).map_err(ApplyFault::Misplaced)?;
        }
        if txn.has_missing_updates() {
            return Err(ApplyFault::Incomplete);
        }
        let wrote = clock_ranges(txn.insert_set());
        // One gapless range for each client, from where the client stood: anything else is a hole.
        let gapless = wrote.iter().all(|range| state.get(&client_id(range.client)) == range.start)
            && wrote.windows(2).all(|pair| pair[0].client != pair[1].client);
        if !gapless {
            return Err(ApplyFault::Incomplete);
        }
        let added = want_added.then(|| Bytes::from(txn.encode_update_v1()));
        let deleted = txn.delete_set().clone();
        txn.commit();
        Ok(Step { wrote, deleted, added })
    }));
    let outcome = outcome.map_err(|panic| ApplyFault::Panicked(panic_text(&*panic)))?;
    // Nothing panicked: the transaction may end, half or whole, since after a fault the document is thrown away. Only
    // a panic leaks it, or else everybody could fill the memory with documents.
    let txn = AssertUnwindSafe(ManuallyDrop::into_inner(txn));
    catch_unwind(move || drop(txn)).map_err(|panic| ApplyFault::Panicked(panic_text(&*panic)))?;
    outcome
}

/// The set as ranges, sorted by client and clock.
fn clock_ranges(set: &IdSet) -> Vec<ClockRange> {
    set.iter()
        .flat_map(|(client, ranges)| {
            let client = ClientId::new(client.get());
            ranges
                .iter()
                .map(move |range| ClockRange { client, start: range.start, end: range.end })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Do the sorted, disjoint `gone` ranges cover all of the sorted `wanted` ones?
fn covers(gone: impl Iterator<Item = (u32, u32)>, wanted: &[(u32, u32)]) -> bool {
    let mut gone = gone.peekable();
    for &(start, end) in wanted {
        let mut at = start;
        while at < end {
            match gone.peek() {
                Some(&(_, gone_end)) if gone_end <= at => {
                    gone.next();
                }
                Some(&(gone_start, gone_end)) if gone_start <= at => at = gone_end,
                _ => return false,
            }
        }
    }
    true
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests;
