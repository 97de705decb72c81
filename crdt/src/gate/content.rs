//! The content of one item, passed over.

use super::layout::Kind;
use super::update::Bounds;
use super::{Refusal, Unsupported, count, malformed};
use crate::lib0::Reader;
use crate::limits::{ANY_DEPTH_MAX, CLOCK_MAX, STORED_ANY_DEPTH_MAX};

/// The kind of a deleted content, of which only the length is left.
const KIND_DELETED: u8 = 1;
/// The kind of a shared type, in which items can be.
const KIND_TYPE: u8 = 7;

/// What an item with this content is to others.
pub(super) const fn kind(kind: u8) -> Kind {
    match kind {
        KIND_DELETED => Kind::Gone,
        KIND_TYPE => Kind::Type,
        _ => Kind::Value,
    }
}

/// Passes over the content of an item and returns how many clocks it takes, at least one. `kind` is the low five
/// bits of the item's info byte.
pub(super) fn pass(reader: &mut Reader<'_>, kind: u8, bounds: &Bounds) -> Result<u32, Refusal> {
    let len = match kind {
        KIND_DELETED => reader.var_u32()?,
        2 => return Err(Refusal::Unsupported(Unsupported::Json)),
        3 => {
            reader.var_bytes()?;
            1
        }
        4 => utf16_len(reader.var_str()?)?,
        5 => return Err(Refusal::Unsupported(Unsupported::Embed)),
        6 => return Err(Refusal::Unsupported(Unsupported::Format)),
        KIND_TYPE => {
            pass_type(reader)?;
            1
        }
        8 => pass_values(reader, bounds)?,
        9 => return Err(Refusal::Unsupported(Unsupported::Subdocument)),
        _ => return Err(Refusal::UnknownContent),
    };
    if len == 0 { Err(malformed("an item without length")) } else { Ok(len) }
}

/// Yjs counts strings in UTF-16 code units.
fn utf16_len(text: &str) -> Result<u32, Refusal> {
    let units = if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum::<usize>() };
    u32::try_from(units).ok().filter(|units| *units <= CLOCK_MAX).ok_or(Refusal::TooLarge)
}

/// Array, map and text; Yjs writes the number as an integer, yrs reads one byte: below 128 they agree.
fn pass_type(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    match reader.u8()? {
        0..=2 => Ok(()),
        3..=6 => Err(Refusal::Unsupported(Unsupported::Xml)),
        7 => Err(Refusal::Unsupported(Unsupported::WeakLink)),
        9 => Err(Refusal::Unsupported(Unsupported::Subdocument)),
        _ => Err(Refusal::UnknownContent),
    }
}

/// A row of `Any` values: each takes one clock.
fn pass_values(reader: &mut Reader<'_>, bounds: &Bounds) -> Result<u32, Refusal> {
    let values = count(reader, 1, "values in one item", bounds.any_values)?;
    let has_big_integers = bounds.has_deep_values;
    let mut budget = Budget { max: bounds.any_values, left: bounds.any_values, has_big_integers };
    for _ in 0..values {
        if bounds.has_deep_values {
            pass_any::<STORED_ANY_DEPTH_MAX>(reader, &mut budget)?;
        } else {
            pass_any::<ANY_DEPTH_MAX>(reader, &mut budget)?;
        }
    }
    u32::try_from(values).map_err(|_| Refusal::TooLarge)
}

/// How many values, nested ones included, one item may still have.
struct Budget {
    max: usize,
    left: usize,
    /// Stored values may be what clients may not write any more.
    has_big_integers: bool,
}

/// An array or map that is being read.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// Values that are still to come; never 0.
    left: u32,
    has_keys: bool,
}

/// Passes over one `Any` (lib0 `encoding.js`, `writeAny`), taking each value, nested ones included, from the budget.
/// A stack of fixed size holds the arrays and maps that are open, so that depth costs nothing but this frame.
fn pass_any<const DEPTH_MAX: usize>(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<(), Refusal> {
    let mut open = [Open::default(); DEPTH_MAX];
    let mut depth = 0;
    loop {
        if 0 < depth && open[depth - 1].has_keys {
            reader.skip_var_str()?;
        }
        budget.left = budget
            .left
            .checked_sub(1)
            .ok_or(Refusal::TooMany { what: "values in one item", max: budget.max })?;
        let kind = reader.u8()?;
        match kind {
            // undefined, null, false, true
            127 | 126 | 121 | 120 => {}
            125 => reader.skip_var_int()?,
            124 => pass_bytes(reader, 4)?,
            // a float of 64 bits
            123 => pass_bytes(reader, 8)?,
            122 if budget.has_big_integers => pass_bytes(reader, 8)?,
            122 => return Err(Refusal::Unsupported(Unsupported::BigInteger)),
            119 => {
                reader.skip_var_str()?;
            }
            // A map's entry has at least the length of its key and the kind of its value.
            118 | 117 => {
                if depth == DEPTH_MAX {
                    return Err(Refusal::TooDeep);
                }
                let has_keys = kind == 118;
                let bytes_min = if has_keys { 2 } else { 1 };
                let left = count(reader, bytes_min, "values in one item", budget.max)?;
                let left = u32::try_from(left).map_err(|_| Refusal::TooLarge)?;
                if 0 < left {
                    open[depth] = Open { left, has_keys };
                    depth += 1;
                    continue;
                }
            }
            116 => {
                reader.var_bytes()?;
            }
            _ => return Err(malformed("a value of an unknown kind")),
        }
        // The value is complete, and with it every array and map of which it was the last.
        while 0 < depth {
            open[depth - 1].left -= 1;
            if 0 < open[depth - 1].left {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

fn pass_bytes(reader: &mut Reader<'_>, len: usize) -> Result<(), Refusal> {
    reader.take(len)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use yrs::Any;
    use yrs::updates::encoder::{Encoder, EncoderV1};

    use super::*;
    use crate::gate::update::TODAY;

    fn any_bytes(value: &Any) -> Vec<u8> {
        let mut encoder = EncoderV1::new();
        encoder.write_any(value);
        encoder.to_vec()
    }

    fn passed(bytes: &[u8]) -> Result<usize, Refusal> {
        let mut reader = Reader::new(bytes);
        pass_any::<ANY_DEPTH_MAX>(
            &mut reader,
            &mut Budget { max: 10_000, left: 10_000, has_big_integers: false },
        )?;
        Ok(reader.remaining())
    }

    #[test]
    fn every_kind_of_value_is_passed_to_its_last_byte() {
        let value = Any::from_json(
            r#"{"a": [null, true, false, 1, -1, 1e300, 0.5, 9007199254740991, "é", [], {}], "b": {"c": [[1]]}}"#,
        )
        .unwrap();
        assert_eq!(passed(&any_bytes(&value)), Ok(0));
        for value in
            [Any::Undefined, Any::Buffer(Arc::from(vec![0; 300])), Any::from(-0.0), Any::from(f64::NAN)]
        {
            assert_eq!(passed(&any_bytes(&value)), Ok(0), "{value:?}");
        }
    }

    #[test]
    fn big_integers_are_refused_by_name_whatever_their_value() {
        for value in [0_u8, 0x7f] {
            let bytes = [122, value, 255, 255, 255, 255, 255, 255, 255];
            assert_eq!(passed(&bytes), Err(Refusal::Unsupported(Unsupported::BigInteger)));
        }
    }

    #[test]
    fn depth_is_bounded_at_the_same_level_for_full_and_empty_arrays() {
        let nested = |depth: usize, last: &[u8]| {
            let mut bytes = [117, 1].repeat(depth);
            bytes.extend_from_slice(last);
            bytes
        };
        assert_eq!(passed(&nested(ANY_DEPTH_MAX, &[126])), Ok(0));
        assert_eq!(passed(&nested(ANY_DEPTH_MAX + 1, &[126])), Err(Refusal::TooDeep));
        assert_eq!(passed(&nested(ANY_DEPTH_MAX - 1, &[117, 0])), Ok(0));
        assert_eq!(passed(&nested(ANY_DEPTH_MAX, &[117, 0])), Err(Refusal::TooDeep));
    }

    #[test]
    fn counts_must_be_covered_by_bytes_and_by_the_budget() {
        assert!(matches!(passed(&[117, 0xff, 0xff, 0xff, 0xff, 0x07]), Err(Refusal::Malformed { .. })));
        assert!(matches!(passed(&[118, 2, 1, b'a', 126]), Err(Refusal::Malformed { .. })));
        let mut wide = vec![117, 0x90, 0x4e];
        wide.extend_from_slice(&[126; 10_000]);
        assert!(matches!(passed(&wide), Err(Refusal::TooMany { .. })), "the array itself is a value as well");
    }

    #[test]
    fn strings_are_counted_in_utf16_code_units() {
        assert_eq!(utf16_len("aé𝄞"), Ok(4));
        assert_eq!(pass(&mut Reader::new(&[4, 0xf0, 0x9d, 0x84, 0x9e]), 4, &TODAY), Ok(2));
    }
}
