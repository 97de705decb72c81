//! The part of lib0's binary encoding that this crate reads and writes itself, bounded.
//!
//! Format (lib0 `encoding.js` and `decoding.js`): an unsigned integer is written in groups of seven bits, lowest
//! first, the high bit of a byte saying that another follows; numbers end at 2^53 - 1, JavaScript's largest safe
//! integer. A signed integer is the same, but its first byte holds six bits and a sign (0x40). Byte arrays and
//! strings (UTF-8) are prefixed with their length in bytes.
//!
//! The reader is stricter than lib0 and yrs where they differ from each other: integers above 2^53 - 1 (yrs wraps
//! them, lib0 throws) and integers written longer than needed (no encoder writes them) are faults. So what it
//! accepts has one meaning, whoever reads it next. Nothing here allocates.

/// The largest integer that lib0 writes.
pub(crate) const VAR_UINT_MAX: u64 = (1 << 53) - 1;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the bytes end too early")]
    End,
    #[error("an integer is out of range")]
    IntegerRange,
    #[error("an integer is written longer than needed")]
    IntegerForm,
    #[error("a string is not UTF-8")]
    Utf8,
}

/// Reads from the front of a slice. Every method either consumes what it returns or fails; after a failure the
/// position is unspecified, but never outside the slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(*first)
    }

    /// An unsigned integer up to 2^53 - 1.
    #[inline]
    pub(crate) fn var_uint(&mut self) -> Result<u64, Fault> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.var_tail(u64::from(first & 0x7f), 7)
    }

    /// An unsigned integer up to 2^32 - 1.
    pub(crate) fn var_u32(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.var_uint()?).map_err(|_| Fault::IntegerRange)
    }

    /// Passes over a signed integer, whose amount goes up to 2^53 - 1.
    pub(crate) fn skip_var_int(&mut self) -> Result<(), Fault> {
        let first = self.u8()?;
        if first & 0x80 == 0 {
            return Ok(());
        }
        self.var_tail(u64::from(first & 0x3f), 6).map(|_| ())
    }

    /// The groups of an integer after its first byte.
    fn var_tail(&mut self, low: u64, bits: u32) -> Result<u64, Fault> {
        let mut value = low;
        let mut shift = bits;
        for (at, byte) in self.rest.iter().enumerate() {
            // 53 bits end within the eighth byte: a ninth is out of range whatever it holds.
            if 53 <= shift {
                return Err(Fault::IntegerRange);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return match *byte {
                    _ if VAR_UINT_MAX < value => Err(Fault::IntegerRange),
                    0 => Err(Fault::IntegerForm),
                    _ => Ok(value),
                };
            }
            shift += 7;
        }
        Err(Fault::End)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A byte array behind its length.
    pub(crate) fn var_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let len = usize::try_from(self.var_uint()?).map_err(|_| Fault::End)?;
        self.take(len)
    }

    /// Passes over a string behind its length in bytes, and says what that is.
    pub(crate) fn skip_var_str(&mut self) -> Result<usize, Fault> {
        let bytes = self.var_bytes()?;
        // Most strings are short and ASCII, which is quicker to see.
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            Ok(bytes.len())
        } else {
            Err(Fault::Utf8)
        }
    }

    /// A string behind its length in bytes.
    pub(crate) fn var_str(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.var_bytes()?).map_err(|_| Fault::Utf8)
    }
}

/// Appends an unsigned integer. Numbers above 2^53 - 1 are written too, but no reader of lib0 takes them.
pub(crate) fn write_var_uint(out: &mut Vec<u8>, mut value: u64) {
    while 0x80 <= value {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80 by the loop")]
    out.push(value as u8);
}

/// Appends a byte array behind its length.
pub(crate) fn write_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string behind its length in bytes.
pub(crate) fn write_var_str(out: &mut Vec<u8>, text: &str) {
    write_var_bytes(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write_var_uint(&mut out, value);
        out
    }

    #[test]
    fn integers_round_trip_up_to_the_largest() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), VAR_UINT_MAX - 1, VAR_UINT_MAX] {
            let bytes = written(value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.var_uint(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn integers_out_of_range_overlong_or_cut_short_are_faults() {
        assert_eq!(Reader::new(&written(VAR_UINT_MAX + 1)).var_uint(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&written(u64::MAX)).var_uint(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&[0xff; 64]).var_uint(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&[0x80; 64]).var_uint(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&[0x80, 0]).var_uint(), Err(Fault::IntegerForm));
        assert_eq!(Reader::new(&[0x85, 0x80, 0]).var_uint(), Err(Fault::IntegerForm));
        assert_eq!(Reader::new(&[0xff]).var_uint(), Err(Fault::End));
        assert_eq!(Reader::new(&[]).var_uint(), Err(Fault::End));
        assert_eq!(Reader::new(&written(1 << 32)).var_u32(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&written((1 << 32) - 1)).var_u32(), Ok(u32::MAX));
    }

    #[test]
    fn signed_integers_are_passed_over_within_the_same_range() {
        // 1, -1, -0, 64 and -2^53 + 1 as lib0 writes them.
        let lowest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
        for bytes in [&[0x01][..], &[0x41], &[0x40], &[0x80, 0x01], &lowest] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.skip_var_int(), Ok(()), "{bytes:?}");
            assert!(reader.is_empty());
        }
        assert_eq!(Reader::new(&[0xff; 16]).skip_var_int(), Err(Fault::IntegerRange));
        assert_eq!(Reader::new(&[0x80, 0x00]).skip_var_int(), Err(Fault::IntegerForm));
    }

    #[test]
    fn a_length_beyond_the_bytes_reserves_nothing_and_fails() {
        let mut bytes = written(VAR_UINT_MAX);
        bytes.push(1);
        assert_eq!(Reader::new(&bytes).var_bytes(), Err(Fault::End));
        assert_eq!(Reader::new(&[2, 0xc3, 0x28]).var_str(), Err(Fault::Utf8));
        // A lone surrogate is not UTF-8 either.
        assert_eq!(Reader::new(&[3, 0xed, 0xa0, 0x80]).var_str(), Err(Fault::Utf8));
        assert_eq!(Reader::new(&[2, 0xc3, 0xa9]).var_str(), Ok("é"));
        for (string, len) in
            [(&[2, 0xc3, 0x28][..], None), (&[2, 0xc3, 0xa9], Some(2)), (&[1, b'a'], Some(1))]
        {
            assert_eq!(Reader::new(string).skip_var_str(), len.ok_or(Fault::Utf8));
        }
    }
}
