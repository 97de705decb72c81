//! The bytes of an awareness update.

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::gate::Refusal;
use crate::ids::ClientId;
use crate::lib0::{Reader, write_var_bytes, write_var_uint};
use crate::limits::{
    ANY_DEPTH_MAX, AWARENESS_CLOCK_MAX, AWARENESS_ENTRIES_MAX, AWARENESS_FRAME_BYTES_MAX,
    AWARENESS_STATE_BYTES_MAX,
};

/// A client id, a clock, the length of a state and its shortest text, `{}`.
const ENTRY_BYTES_MIN: usize = 5;

/// A client id of up to 53 bits, a clock of 32 and the length of a state.
const ENTRY_OVERHEAD_BYTES_MAX: usize = 8 + 5 + 3;
/// The number of entries.
const COUNT_BYTES_MAX: usize = 5;
const _: () = assert!(
    COUNT_BYTES_MAX + ENTRY_OVERHEAD_BYTES_MAX + AWARENESS_STATE_BYTES_MAX <= AWARENESS_FRAME_BYTES_MAX
);

/// One client's part of an awareness update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) client: ClientId,
    pub(super) clock: u32,
    /// None: the client went.
    pub(super) state: Option<&'a str>,
}

/// Reads the form of a whole awareness update; states are looked at only where they count.
pub(super) fn entries(update: &[u8], bytes_max: usize) -> Result<Vec<Entry<'_>>, Refusal> {
    if bytes_max < update.len() {
        return Err(Refusal::TooLarge);
    }
    let mut reader = Reader::new(update);
    let count = usize::try_from(reader.var_uint()?).unwrap_or(usize::MAX);
    if reader.remaining() / ENTRY_BYTES_MIN < count {
        return Err(Refusal::Malformed { what: "a count is larger than the bytes behind it" });
    }
    if AWARENESS_ENTRIES_MAX < count {
        return Err(Refusal::TooMany { what: "awareness entries", max: AWARENESS_ENTRIES_MAX });
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let client = ClientId::new(reader.var_uint()?);
        let clock = reader.var_uint()?;
        let state = reader.var_str()?;
        if AWARENESS_STATE_BYTES_MAX < state.len() {
            return Err(Refusal::TooLarge);
        }
        let state = if state.trim_ascii() == "null" { None } else { Some(state) };
        // A client may have been led this far by somebody else: it is not cut off for that.
        if let Ok(clock) = u32::try_from(clock)
            && clock <= AWARENESS_CLOCK_MAX
        {
            entries.push(Entry { client, clock, state });
        }
    }
    if !reader.is_empty() {
        return Err(Refusal::Malformed { what: "bytes after the end" });
    }
    Ok(entries)
}

/// A state is a JSON object, not nested deeper than other values are.
pub(super) fn check_state(state: &str) -> Result<(), Refusal> {
    // serde_json passes over what it ignores with a stack on the heap, bounded here by the size of a state.
    let is_json = serde_json::from_str::<IgnoredAny>(state).is_ok();
    if !is_json || !state.trim_ascii_start().starts_with('{') {
        return Err(Refusal::Malformed { what: "an awareness state that is not a JSON object" });
    }
    if ANY_DEPTH_MAX < json_depth(state) { Err(Refusal::TooDeep) } else { Ok(()) }
}

/// How many arrays and objects of a valid JSON text stand in each other.
pub(super) fn json_depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The same as several updates, none above [`AWARENESS_FRAME_BYTES_MAX`]; none for no entries.
pub(super) fn encode_parts<'a>(entries: impl Iterator<Item = (ClientId, u32, &'a [u8])>) -> Vec<Bytes> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in entries {
        let len = ENTRY_OVERHEAD_BYTES_MAX + entry.2.len();
        if AWARENESS_FRAME_BYTES_MAX < COUNT_BYTES_MAX + bytes + len && !part.is_empty() {
            parts.push(encode(part.drain(..)));
            bytes = 0;
        }
        bytes += len;
        part.push(entry);
    }
    if !part.is_empty() {
        parts.push(encode(part.into_iter()));
    }
    parts
}

pub(super) fn encode<'a>(entries: impl Iterator<Item = (ClientId, u32, &'a [u8])>) -> Bytes {
    let mut count = 0;
    let mut body = Vec::new();
    for (client, clock, state) in entries {
        count += 1;
        write_var_uint(&mut body, client.get());
        write_var_uint(&mut body, u64::from(clock));
        write_var_bytes(&mut body, state);
    }
    let mut out = Vec::with_capacity(5 + body.len());
    write_var_uint(&mut out, count);
    out.extend_from_slice(&body);
    out.into()
}
