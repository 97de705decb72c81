//! Updates that are nearly right, made out of the fuzzer's bytes: mostly what a client could write next to a document,
//! now and then something that nobody should.
//!
//! Format: Yjs update v1, as the gate's documentation says.

use arbitrary::{Result, Unstructured};

use crate::known::Clocks;

const KEYS: [&str; 8] = ["a", "b", "data", "securityFlags", "name", "width", "position", ""];
const ROOTS: [&str; 5] = ["nodes", "edges", "meta", "comments", "other"];
const TEXTS: [&str; 6] = ["x", "abc", "a🔑b", "𝄞", "é\u{0}", "\u{feff}longer than a word"];
/// Numbers at the ends of every range that somebody counts in.
const WILD: [u64; 12] = [
    0,
    1,
    127,
    128,
    (1 << 31) - 2,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    u64::MAX,
];

/// Bytes in lib0's encoding.
#[derive(Debug, Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn n(&mut self, mut value: u64) {
        while 0x80 <= value {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn s(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }

    pub fn blob(&mut self, bytes: &[u8]) {
        self.n(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// One update, and what a document knows once it has it. A tame one contradicts nobody: its items have no right
/// neighbour, each is one value unless it begins a list, and no struct is known in part.
pub fn update(u: &mut Unstructured<'_>, known: &Clocks, is_tame: bool) -> Result<(Vec<u8>, Clocks)> {
    let mut build = Build { out: Writer::default(), known: known.clone(), is_tame };
    let sections = u.int_in_range(0..=3)?;
    build.number(u, sections)?;
    for _ in 0..sections {
        build.section(u)?;
    }
    build.deletes(u)?;
    if u.ratio(1, 40)? {
        let extra = u.bytes(u.len().min(2))?;
        build.out.0.extend_from_slice(extra);
    }
    Ok((build.out.0, build.known))
}

struct Build {
    out: Writer,
    /// With what the update itself has brought so far.
    known: Clocks,
    is_tame: bool,
}

impl Build {
    /// Mostly the number itself.
    fn number(&mut self, u: &mut Unstructured<'_>, value: u64) -> Result<()> {
        let value = if !self.is_tame && u.ratio(1, 100)? { *u.choose(&WILD)? } else { value };
        self.out.n(value);
        Ok(())
    }

    fn client(&self, u: &mut Unstructured<'_>) -> Result<u64> {
        if u.ratio(1, 4)? {
            return Ok(u.int_in_range(0..=9)?);
        }
        let at = u.choose_index(self.known.next.len().max(1))?;
        Ok(self.known.next.keys().nth(at).copied().unwrap_or(7))
    }

    /// Something that is there, mostly.
    fn id(&self, u: &mut Unstructured<'_>) -> Result<(u64, u64)> {
        if u.ratio(1, 50)? {
            return Ok((*u.choose(&WILD)?, *u.choose(&WILD)?));
        }
        let client = self.client(u)?;
        let next = self.known.next.get(&client).copied().unwrap_or(0);
        Ok((client, u64::from(u.int_in_range(0..=next.max(1) - 1)?)))
    }

    fn type_id(&self, u: &mut Unstructured<'_>) -> Result<(u64, u64)> {
        if self.known.types.is_empty() || u.ratio(1, 12)? {
            return self.id(u);
        }
        let (client, clock) = *u.choose(&self.known.types)?;
        Ok((client, u64::from(clock)))
    }

    fn section(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let client = self.client(u)?;
        let next = self.known.next.get(&client).copied().unwrap_or(0);
        let start = match u.int_in_range(0..=19)? {
            0 if !self.is_tame => next.saturating_sub(u.int_in_range(1..=4)?),
            1 => next + 1,
            2 => *u.choose(&WILD)? as u32,
            _ => next,
        };
        let structs = u.int_in_range(1..=6)?;
        self.number(u, structs)?;
        self.number(u, client)?;
        self.number(u, u64::from(start))?;
        let mut at = start;
        for _ in 0..structs {
            at = at.saturating_add(self.one_struct(u, client, at)?);
            let next = self.known.next.entry(client).or_default();
            if start <= *next && at < 1 << 20 {
                *next = (*next).max(at);
            }
        }
        Ok(())
    }

    /// Writes a struct and returns its length.
    fn one_struct(&mut self, u: &mut Unstructured<'_>, client: u64, at: u32) -> Result<u32> {
        let kind: u8 = match u.int_in_range(0..=23)? {
            0 => 0,
            1 => 10,
            2 | 3 => 1,
            4 => 3,
            5..=8 => 4,
            9..=14 => 7,
            15 => u.int_in_range(0..=31)?,
            _ => 8,
        };
        if kind == 0 || kind == 10 {
            self.out.0.push(if u.ratio(1, 30)? { kind | 0x80 } else { kind });
            return self.length(u);
        }
        let origin = u.ratio(3, 10)?;
        let right = u.ratio(2, 10)? && !self.is_tame;
        let keyed = u.ratio(6, 10)?;
        let info = kind | u8::from(keyed) << 5 | u8::from(right) << 6 | u8::from(origin) << 7;
        self.out.0.push(info);
        for is_there in [origin, right] {
            if is_there {
                let (client, clock) = self.id(u)?;
                self.out.n(client);
                self.number(u, clock)?;
            }
        }
        if !origin && !right {
            if u.ratio(1, 2)? {
                self.out.n(1);
                let root = if u.ratio(1, 40)? { ROOTS[4] } else { *u.choose(&ROOTS[..4])? };
                self.out.s(root);
            } else {
                let (client, clock) = self.type_id(u)?;
                self.out.n(0);
                self.out.n(client);
                self.number(u, clock)?;
            }
            if keyed {
                self.out.s(u.choose(&KEYS)?);
            }
        }
        if kind == 7 && self.known.types.len() < 64 {
            self.known.types.push((client, at));
        }
        self.content(u, kind, self.is_tame && (keyed || origin || right))
    }

    fn length(&mut self, u: &mut Unstructured<'_>) -> Result<u32> {
        let len = if u.ratio(1, 30)? { *u.choose(&WILD)? } else { u.int_in_range(1..=4)? };
        self.out.n(len);
        Ok(len as u32)
    }

    fn content(&mut self, u: &mut Unstructured<'_>, kind: u8, is_single: bool) -> Result<u32> {
        match kind {
            1 if !is_single => self.length(u),
            1 => {
                self.out.n(1);
                Ok(1)
            }
            3 => {
                let bytes = u.bytes(u.len().min(3))?;
                self.out.blob(bytes);
                Ok(1)
            }
            4 => {
                let text = if is_single { TEXTS[0] } else { *u.choose(&TEXTS)? };
                self.out.s(text);
                Ok(text.encode_utf16().count() as u32)
            }
            7 => {
                let of = if u.ratio(1, 20)? { u.int_in_range(0..=16)? } else { u.int_in_range(0..=2)? };
                self.out.0.push(of);
                if of == 3 || of == 5 {
                    self.out.s("p");
                }
                Ok(1)
            }
            8 => {
                let values = if is_single { 1 } else { u.int_in_range(1..=3)? };
                self.number(u, values)?;
                for _ in 0..values {
                    self.any(u, 0)?;
                }
                Ok(values as u32)
            }
            5 | 2 => {
                self.out.s("1");
                Ok(1)
            }
            6 => {
                self.out.s("bold");
                self.out.s("true");
                Ok(1)
            }
            _ => {
                let bytes = u.bytes(u.len().min(4))?;
                self.out.0.extend_from_slice(bytes);
                Ok(1)
            }
        }
    }

    fn any(&mut self, u: &mut Unstructured<'_>, depth: usize) -> Result<()> {
        if u.ratio(1, 60)? {
            // Around the bound of what may be nested.
            let levels = u.int_in_range(28..=40)?;
            for _ in 0..levels {
                self.out.0.extend([117, 1]);
            }
        }
        let kind = if 3 < depth { u.int_in_range(119..=127)? } else { u.int_in_range(115..=127)? };
        self.out.0.push(kind);
        match kind {
            125 => {
                let value =
                    if u.ratio(1, 4)? { *u.choose(&WILD)? } else { u64::from(u8::from(u.ratio(1, 2)?)) };
                self.out.n(value);
            }
            124 => self.fixed(u, 4)?,
            122 if self.is_tame => self.out.0.extend(5_i64.to_be_bytes()),
            122 | 123 => self.fixed(u, 8)?,
            119 => self.out.s(u.choose(&TEXTS)?),
            116 => {
                let bytes = u.bytes(u.len().min(3))?;
                self.out.blob(bytes);
            }
            117 | 118 => {
                let count = u.int_in_range(0..=3)?;
                self.number(u, count)?;
                for _ in 0..count {
                    if kind == 118 {
                        self.out.s(u.choose(&KEYS)?);
                    }
                    self.any(u, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fixed(&mut self, u: &mut Unstructured<'_>, len: usize) -> Result<()> {
        let mut bytes = [0; 8];
        u.fill_buffer(&mut bytes[..len])?;
        self.out.0.extend_from_slice(&bytes[..len]);
        Ok(())
    }

    fn deletes(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let count = u.int_in_range(0..=2)?;
        self.number(u, count)?;
        for _ in 0..count {
            let client = self.client(u)?;
            self.number(u, client)?;
            let ranges = u.int_in_range(1..=3)?;
            self.number(u, ranges)?;
            let next = self.known.next.get(&client).copied().unwrap_or(0).max(1);
            let mut from = 0;
            for _ in 0..ranges {
                let start = from + u.int_in_range(0..=next)? / 2;
                let len = u.int_in_range(1..=3)?;
                self.number(u, u64::from(start))?;
                self.number(u, len)?;
                from = start + len as u32;
            }
        }
        Ok(())
    }
}
