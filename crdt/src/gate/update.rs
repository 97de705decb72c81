//! Reading an update v1: client sections with their structs, then the delete set.

use std::collections::HashMap;

use super::layout::{Anchor, Kind, Name, Stand, numbered};
use super::order::Order;
use super::{Refusal, Scan, Stored, Unsupported, clock, content, count, end, malformed};
use crate::ids::ClientId;
use crate::lib0::Reader;
use crate::limits;
use crate::room::ClockRange;
use crate::schema::{self, Root};

/// A section has a count, a client, a clock and one struct of two bytes.
const SECTION_BYTES_MIN: usize = 5;
/// An info byte and a length.
const STRUCT_BYTES_MIN: usize = 2;
/// A client and the count of its ranges.
const DELETES_BYTES_MIN: usize = 2;
/// A clock and a length.
const DELETE_RANGE_BYTES_MIN: usize = 2;

const INFO_GC: u8 = 0;
const INFO_SKIP: u8 = 10;
const INFO_KIND: u8 = 0b0001_1111;
const INFO_PARENT_SUB: u8 = 0b0010_0000;
const INFO_RIGHT_ORIGIN: u8 = 0b0100_0000;
const INFO_ORIGIN: u8 = 0b1000_0000;

/// How much an update may hold, and of what.
#[derive(Debug)]
pub(super) struct Bounds {
    clients: usize,
    structs: usize,
    delete_ranges: usize,
    key_bytes: usize,
    type_depth: usize,
    siblings: usize,
    pub(super) any_values: usize,
    /// The deeper of the two stacks that the core has for nested values.
    pub(super) has_deep_values: bool,
    /// Whether roots may hold items without a key.
    has_root_lists: bool,
}

/// Of what clients send.
pub(super) const TODAY: Bounds = Bounds {
    clients: limits::CLIENTS_PER_UPDATE_MAX,
    structs: limits::STRUCTS_PER_UPDATE_MAX,
    delete_ranges: limits::DELETE_RANGES_MAX,
    key_bytes: limits::KEY_BYTES_MAX,
    type_depth: limits::TYPE_DEPTH_MAX,
    siblings: limits::SIBLINGS_PER_KEY_MAX,
    any_values: limits::ANY_VALUES_MAX,
    has_deep_values: false,
    has_root_lists: false,
};

/// Of what is stored, for today's limits to be told: as [`TODAY`], but for what is counted of one update alone. A
/// snapshot is the sum of many.
const WHOLE: Bounds = Bounds { structs: usize::MAX, siblings: usize::MAX, ..TODAY };

/// Of what is stored, for yrs to survive it. All counts are bounded by the bytes behind them.
const STORED: Bounds = Bounds {
    clients: usize::MAX,
    structs: usize::MAX,
    delete_ranges: usize::MAX,
    key_bytes: usize::MAX,
    type_depth: limits::STORED_TYPE_DEPTH_MAX,
    siblings: usize::MAX,
    any_values: usize::MAX,
    has_deep_values: true,
    has_root_lists: true,
};

/// Reads an update v1 of at most `bytes_max` bytes, every byte of it.
///
/// Beside the form of each struct this checks what can be known from the update alone: a struct builds only on what
/// can come before it (none on a later clock of its own client, none in a circle), its parent is no plain value, and
/// shared types are nested at most [`TYPE_DEPTH_MAX`](crate::limits::TYPE_DEPTH_MAX) deep. What is not in the same
/// update counts as lying as high as it can; [`Scan::place`] tells once it is known where it lies.
///
/// Sections of one client that stand twice, delete ranges that overlap or are out of order, and anything of length
/// zero are malformed: neither Yjs nor yrs writes them, and yrs does not expect them.
pub fn scan_update(bytes: &[u8], bytes_max: usize) -> Result<Scan, Refusal> {
    if bytes_max.min(limits::STORED_BYTES_MAX) < bytes.len() {
        return Err(Refusal::TooLarge);
    }
    scan(bytes, &TODAY)
}

/// Reads an update v1 that the log holds: it passed when it was written, under the limits of that day. What breaks
/// only today's is read, and the first such limit stands beside the scan. What yrs could not survive or understand is
/// an error: nested deeper than the `STORED_*` ceilings of [`limits`](crate::limits), malformed, or of kinds that no
/// design ever held.
pub fn scan_stored(bytes: &[u8]) -> Result<Stored, Refusal> {
    if limits::STORED_BYTES_MAX < bytes.len() {
        return Err(Refusal::TooLarge);
    }
    let within =
        if limits::DOCUMENT_BYTES_MAX < bytes.len() { Err(Refusal::TooLarge) } else { scan(bytes, &WHOLE) };
    let (mut scan, breach) = match within {
        Ok(scan) => (scan, None),
        Err(breach) => (scan(bytes, &STORED)?, Some(breach)),
    };
    scan.is_stored = true;
    Ok(Stored { scan, breach })
}

fn scan(bytes: &[u8], bounds: &'static Bounds) -> Result<Scan, Refusal> {
    let reader = Reader::new(bytes);
    let mut pass = Pass {
        bytes,
        reader,
        bounds,
        scan: Scan::default(),
        needs: Needs::default(),
        siblings: HashMap::new(),
    };
    let order = pass.sections()?;
    pass.deletes()?;
    if !pass.reader.is_empty() {
        return Err(malformed("bytes after the end"));
    }
    let Pass { mut scan, needs, .. } = pass;
    (scan.ranges, scan.layout) = order.check()?;
    scan.needs = needs.all();
    Ok(scan)
}

/// One pass over an update.
struct Pass<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    bounds: &'static Bounds,
    scan: Scan,
    needs: Needs,
    /// Items without neighbours under each key of each parent; counted only in updates that could have too many.
    siblings: HashMap<(Holder, &'a [u8]), usize>,
}

/// What holds a key: a root, or a type.
type Holder = Result<Root, (ClientId, u32)>;

impl Pass<'_> {
    fn sections(&mut self) -> Result<Order, Refusal> {
        let sections = count(&mut self.reader, SECTION_BYTES_MIN, "clients", self.bounds.clients)?;
        let mut order = Order::new(sections, self.bounds.type_depth);
        for _ in 0..sections {
            let structs = count(&mut self.reader, STRUCT_BYTES_MIN, "structs", self.bounds.structs)?;
            let client = ClientId::new(self.reader.var_uint()?);
            let start = clock(&mut self.reader)?;
            if structs == 0 {
                return Err(malformed("a client without structs"));
            }
            self.scan.structs += structs;
            if self.bounds.structs < self.scan.structs {
                return Err(Refusal::TooMany { what: "structs", max: self.bounds.structs });
            }
            let mut next = start;
            order.begin(client, start, structs);
            for _ in 0..structs {
                next = self.one_struct(client, next, &mut order)?;
            }
        }
        Ok(order)
    }

    /// Reads the struct at `at` and returns the clock behind it.
    fn one_struct(&mut self, client: ClientId, at: u32, order: &mut Order) -> Result<u32, Refusal> {
        let info = self.reader.u8()?;
        match info & INFO_KIND {
            kind @ (INFO_GC | INFO_SKIP) => {
                // With a flag, Yjs would still take it for a GC or a Skip and yrs would not.
                if info != kind {
                    return Err(malformed("flags on a struct that has none"));
                }
                let len = self.reader.var_u32()?;
                if len == 0 {
                    return Err(malformed("a struct without length"));
                }
                let after = end(at, len)?;
                if kind == INFO_SKIP {
                    self.scan.has_skip = true;
                    self.scan.skipped.get_or_insert(ClockRange { client, start: at, end: after });
                }
                order.add(after, Stand::Nowhere, Kind::Gone)?;
                Ok(after)
            }
            kind => {
                let stand = self.position(client, at, info, order)?;
                let after = end(at, content::pass(&mut self.reader, kind, self.bounds)?)?;
                order.add(after, stand, content::kind(kind))?;
                Ok(after)
            }
        }
    }

    /// Reads where an item stands: its neighbours when it was written, or else its parent.
    fn position(&mut self, client: ClientId, at: u32, info: u8, order: &mut Order) -> Result<Stand, Refusal> {
        match info & (INFO_ORIGIN | INFO_RIGHT_ORIGIN) {
            0 => {}
            INFO_ORIGIN => return Ok(Stand::Behind(Anchor::new(self.id(client, at)?))),
            INFO_RIGHT_ORIGIN => return Ok(Stand::Before(Anchor::new(self.id(client, at)?))),
            _ => {
                let (origin, right) = (self.id(client, at)?, self.id(client, at)?);
                // There is no place between an item and itself, and each reader would make one of its own.
                if origin == right && !self.bounds.has_deep_values {
                    return Err(malformed("an item whose two neighbours are one"));
                }
                return Ok(order.between(origin, right));
            }
        }
        let has_key = info & INFO_PARENT_SUB != 0;
        match self.reader.var_uint()? {
            1 => {
                let name = self.reader.var_str()?;
                let Some(root) = Root::named(name) else {
                    let name = name.chars().take(64).collect();
                    return Err(Refusal::Unsupported(Unsupported::Root(name)));
                };
                if !has_key && !self.bounds.has_root_lists {
                    return Err(Refusal::Unsupported(Unsupported::RootList(root)));
                }
                let len = if has_key { self.key()? } else { 0 };
                let at = self.bytes.len() - self.reader.remaining() - len;
                let name = Name { root, at: numbered(at), len: numbered(len) };
                if has_key {
                    self.sibling(Ok(root), len)?;
                }
                Ok(if has_key { Stand::InRoot(name) } else { Stand::InRootList(name) })
            }
            0 => {
                let parent = Anchor::new(self.id(client, at)?);
                if has_key {
                    let len = self.key()?;
                    self.sibling(Err((parent.client, parent.clock)), len)?;
                    let end = self.bytes.len() - self.reader.remaining();
                    return Ok(Stand::InMap(parent, schema::is_cosmetic(&self.bytes[end - len..end])));
                }
                Ok(Stand::InList(parent))
            }
            _ => Err(malformed("a parent that is neither a root nor an id")),
        }
    }

    /// Reads the id of something that must be there before the item at `at` of `client`.
    fn id(&mut self, client: ClientId, at: u32) -> Result<(ClientId, u32), Refusal> {
        let of = ClientId::new(self.reader.var_uint()?);
        let clock = clock(&mut self.reader)?;
        if of == client && at <= clock {
            return Err(malformed("an item builds on a later one of its own client"));
        }
        self.needs.add(of, end(clock, 1)?);
        Ok((of, clock))
    }

    /// Passes over a key and returns its length in bytes.
    fn key(&mut self) -> Result<usize, Refusal> {
        let len = self.reader.skip_var_str()?;
        if self.bounds.key_bytes < len { Err(Refusal::TooLarge) } else { Ok(len) }
    }

    /// One more item without neighbours under the key that was just read. Where many stand under one key, yrs compares
    /// each with all before it. A client writes its second value behind its first, so that there are only as many as
    /// wrote one key at the same moment.
    fn sibling(&mut self, holder: Holder, key_len: usize) -> Result<(), Refusal> {
        let max = self.bounds.siblings;
        if self.scan.structs <= max {
            return Ok(());
        }
        let end = self.bytes.len() - self.reader.remaining();
        let count = self.siblings.entry((holder, &self.bytes[end - key_len..end])).or_default();
        *count += 1;
        if max < *count {
            Err(Refusal::TooMany { what: "values side by side under one key", max })
        } else {
            Ok(())
        }
    }

    fn deletes(&mut self) -> Result<(), Refusal> {
        let clients = count(&mut self.reader, DELETES_BYTES_MIN, "clients", self.bounds.clients)?;
        // Of one client nothing can stand twice, and most updates delete of one at most.
        let mut seen: Vec<ClientId> = Vec::new();
        for _ in 0..clients {
            let client = ClientId::new(self.reader.var_uint()?);
            if 1 < clients {
                seen.push(client);
            }
            self.deletes_of(client)?;
        }
        seen.sort_unstable();
        if seen.windows(2).any(|two| two[0] == two[1]) {
            return Err(malformed("a client stands twice in a delete set"));
        }
        self.scan.deletes.sort_unstable();
        Ok(())
    }

    fn deletes_of(&mut self, client: ClientId) -> Result<(), Refusal> {
        let max = self.bounds.delete_ranges;
        let ranges = count(&mut self.reader, DELETE_RANGE_BYTES_MIN, "delete ranges", max)?;
        let mut from = 0;
        for _ in 0..ranges {
            let start = clock(&mut self.reader)?;
            let len = self.reader.var_u32()?;
            if len == 0 {
                return Err(malformed("a delete range without length"));
            }
            if start < from {
                return Err(malformed("delete ranges that overlap or are out of order"));
            }
            from = end(start, len)?;
            self.scan.deletes.push(ClockRange { client, start, end: from });
        }
        if max < self.scan.deletes.len() {
            return Err(Refusal::TooMany { what: "delete ranges", max });
        }
        Ok(())
    }
}

/// One past the highest clock that is named, for each client. Most updates name very few clients: those are found by
/// looking at the first few. What stands twice beyond them is folded whenever the list has doubled.
#[derive(Debug, Default)]
struct Needs {
    list: Vec<(ClientId, u32)>,
    fold_at: usize,
}

impl Needs {
    const FEW: usize = 8;

    fn add(&mut self, client: ClientId, need: u32) {
        if let Some((_, most)) = self.list.iter_mut().take(Self::FEW).find(|(of, _)| *of == client) {
            *most = (*most).max(need);
            return;
        }
        self.list.push((client, need));
        if self.fold_at.max(64) <= self.list.len() {
            self.fold();
            self.fold_at = 2 * self.list.len();
        }
    }

    fn fold(&mut self) {
        // The highest of each client comes first.
        self.list.sort_unstable_by_key(|(client, need)| (*client, std::cmp::Reverse(*need)));
        self.list.dedup_by_key(|(client, _)| *client);
    }

    fn all(mut self) -> Vec<(ClientId, u32)> {
        self.fold();
        self.list
    }
}
