//! Reading an update v1: client sections with their structs, then the delete set.

use std::collections::{HashMap, HashSet};

use super::order::{Dependency, Holds, Order};
use super::{Refusal, Scan, Unsupported, clock, content, count, end, malformed};
use crate::ids::ClientId;
use crate::lib0::Reader;
use crate::limits::{CLIENTS_PER_UPDATE_MAX, DELETE_RANGES_MAX, KEY_BYTES_MAX, STRUCTS_PER_UPDATE_MAX};
use crate::room::ClockRange;
use crate::schema;

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

/// Reads an update v1 of at most `bytes_max` bytes, every byte of it.
///
/// Beside the form of each struct this checks what can be known from the update alone: a struct builds only on what
/// can come before it (none on a later clock of its own client, none in a circle), its parent is no plain value, and
/// shared types are nested at most [`TYPE_DEPTH_MAX`](crate::limits::TYPE_DEPTH_MAX) deep. What is not in the same
/// update counts as lying as high as it can; [`Scan::fits`] tells once it is known where it lies. A parent in the
/// document may still turn out to be a value, for which yrs fails with the update half applied.
///
/// Sections of one client that stand twice, delete ranges that overlap or are out of order, and anything of length
/// zero are malformed: neither Yjs nor yrs writes them, and yrs does not expect them.
pub fn scan_update(bytes: &[u8], bytes_max: usize) -> Result<Scan, Refusal> {
    if bytes_max < bytes.len() {
        return Err(Refusal::TooLarge);
    }
    let mut pass = Pass { reader: Reader::new(bytes), scan: Scan::default(), needs: HashMap::new() };
    let order = pass.sections()?;
    pass.deletes()?;
    if !pass.reader.is_empty() {
        return Err(malformed("bytes after the end"));
    }
    let levels = order.check()?;
    let Pass { mut scan, needs, .. } = pass;
    scan.levels = levels;
    scan.ranges.sort_unstable();
    scan.deletes.sort_unstable();
    scan.needs = needs.into_iter().collect();
    scan.needs.sort_unstable();
    Ok(scan)
}

/// One pass over an update.
struct Pass<'a> {
    reader: Reader<'a>,
    scan: Scan,
    /// The `needs` of the scan while they grow.
    needs: HashMap<ClientId, u32>,
}

impl<'a> Pass<'a> {
    fn sections(&mut self) -> Result<Order, Refusal> {
        let mut order = Order::default();
        let mut seen = HashSet::new();
        let sections = count(&mut self.reader, SECTION_BYTES_MIN, "clients", CLIENTS_PER_UPDATE_MAX)?;
        for _ in 0..sections {
            let structs = count(&mut self.reader, STRUCT_BYTES_MIN, "structs", STRUCTS_PER_UPDATE_MAX)?;
            let client = ClientId::new(self.reader.var_uint()?);
            let start = clock(&mut self.reader)?;
            if structs == 0 {
                return Err(malformed("a client without structs"));
            }
            if !seen.insert(client) {
                return Err(malformed("a client stands twice in an update"));
            }
            self.scan.structs += structs;
            if STRUCTS_PER_UPDATE_MAX < self.scan.structs {
                return Err(Refusal::TooMany { what: "structs", max: STRUCTS_PER_UPDATE_MAX });
            }
            let mut next = start;
            order.begin(client, start);
            for _ in 0..structs {
                next = self.one_struct(client, next, &mut order)?;
            }
            order.finish(next);
            self.scan.ranges.push(ClockRange { client, start, end: next });
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
                order.add(at, Holds::Nothing);
                Ok(after)
            }
            kind => {
                order.add(
                    at,
                    match kind {
                        content::KIND_TYPE => Holds::Items,
                        content::KIND_DELETED => Holds::Nothing,
                        _ => Holds::Itself,
                    },
                );
                self.place(client, at, info, order)?;
                end(at, content::pass(&mut self.reader, kind)?)
            }
        }
    }

    /// Reads where an item stands: its neighbours when it was written, or else its parent.
    fn place(&mut self, client: ClientId, at: u32, info: u8, order: &mut Order) -> Result<(), Refusal> {
        if info & INFO_ORIGIN != 0 {
            let id = self.id(client, at)?;
            order.depend(Dependency::neighbour(id));
        }
        if info & INFO_RIGHT_ORIGIN != 0 {
            let id = self.id(client, at)?;
            order.depend(Dependency::neighbour(id));
        }
        if info & (INFO_ORIGIN | INFO_RIGHT_ORIGIN) != 0 {
            return Ok(());
        }
        match self.reader.var_uint()? {
            1 => {
                let name = self.key()?;
                if !schema::ROOTS.contains(&name) {
                    let name = name.chars().take(64).collect();
                    return Err(Refusal::Unsupported(Unsupported::Root(name)));
                }
                order.below_root();
            }
            0 => {
                let id = self.id(client, at)?;
                order.depend(Dependency::parent(id));
            }
            _ => return Err(malformed("a parent that is neither a root nor an id")),
        }
        if info & INFO_PARENT_SUB != 0 {
            self.key()?;
        }
        Ok(())
    }

    /// Reads the id of something that must be there before the item at `at` of `client`.
    fn id(&mut self, client: ClientId, at: u32) -> Result<(ClientId, u32), Refusal> {
        let of = ClientId::new(self.reader.var_uint()?);
        let clock = clock(&mut self.reader)?;
        if of == client && at <= clock {
            return Err(malformed("an item builds on a later one of its own client"));
        }
        let need = self.needs.entry(of).or_default();
        *need = (*need).max(end(clock, 1)?);
        Ok((of, clock))
    }

    fn key(&mut self) -> Result<&'a str, Refusal> {
        let key = self.reader.var_str()?;
        if KEY_BYTES_MAX < key.len() { Err(Refusal::TooLarge) } else { Ok(key) }
    }

    fn deletes(&mut self) -> Result<(), Refusal> {
        let mut seen = HashSet::new();
        let clients = count(&mut self.reader, DELETES_BYTES_MIN, "clients", CLIENTS_PER_UPDATE_MAX)?;
        for _ in 0..clients {
            let client = ClientId::new(self.reader.var_uint()?);
            if !seen.insert(client) {
                return Err(malformed("a client stands twice in a delete set"));
            }
            let ranges = count(&mut self.reader, DELETE_RANGE_BYTES_MIN, "delete ranges", DELETE_RANGES_MAX)?;
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
            if DELETE_RANGES_MAX < self.scan.deletes.len() {
                return Err(Refusal::TooMany { what: "delete ranges", max: DELETE_RANGES_MAX });
            }
        }
        Ok(())
    }
}
