//! The bytes before a blob's content, as docs/OPERATIONS.md lists them. Numbers are big-endian.
//!
//! ```text
//! 0   4  "ATLB"
//! 4   1  version: 1
//! 5   1  flags: bit 0 the body is encrypted; all others 0
//! 6   8  bytes of the plain content
//! and if it is encrypted
//! 14  1  bytes of the key id: 1 to 32
//! 15  k  key id: ASCII letters, digits, `-`, `_`, `.`
//!     12 nonce
//! then the body: one zstd frame; encrypted, AES-256-GCM's ciphertext of it and 16 bytes of tag
//! ```

const MAGIC: [u8; 4] = *b"ATLB";
const VERSION: u8 = 1;
const ENCRYPTED: u8 = 1;
const NONCE_BYTES: usize = 12;
/// Bytes.
pub(super) const KEY_ID_BYTES_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) content_bytes: u64,
    /// `None`: not encrypted.
    pub(super) lock: Option<Lock>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) key_id: String,
    pub(super) nonce: [u8; NONCE_BYTES],
}

/// A header that was read, and where the body begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) header: Header,
    pub(super) header_bytes: usize,
}

pub(super) fn is_key_id(id: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=KEY_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_letter)
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::from(MAGIC);
        bytes.extend([VERSION, if self.lock.is_some() { ENCRYPTED } else { 0 }]);
        bytes.extend(self.content_bytes.to_be_bytes());
        if let Some(lock) = &self.lock {
            // No key has a longer id: it was refused when it was set.
            bytes.push(u8::try_from(lock.key_id.len()).unwrap_or(u8::MAX));
            bytes.extend(lock.key_id.as_bytes());
            bytes.extend(lock.nonce);
        }
        bytes
    }
}

impl Envelope {
    /// # Errors
    /// Why these bytes are no blob.
    pub(super) fn read(stored: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "it ends within its header";
        let mut rest = stored;
        if *take::<4>(&mut rest).ok_or(SHORT)? != MAGIC {
            return Err("it does not begin as a blob does");
        }
        let [version, flags] = *take::<2>(&mut rest).ok_or(SHORT)?;
        if version != VERSION || flags & !ENCRYPTED != 0 {
            return Err("it is of a later version, or its header was changed");
        }
        let content_bytes = u64::from_be_bytes(*take(&mut rest).ok_or(SHORT)?);
        let lock = if flags & ENCRYPTED == 0 {
            None
        } else {
            let [len] = *take::<1>(&mut rest).ok_or(SHORT)?;
            let (key_id, after) = rest.split_at_checked(len.into()).ok_or(SHORT)?;
            rest = after;
            if !is_key_id(key_id) {
                return Err("its key id is none");
            }
            let nonce = *take(&mut rest).ok_or(SHORT)?;
            Some(Lock { key_id: String::from_utf8_lossy(key_id).into_owned(), nonce })
        };
        Ok(Self { header: Header { content_bytes, lock }, header_bytes: stored.len() - rest.len() })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(key_id: &str) -> Header {
        Header { content_bytes: 0x0102, lock: Some(Lock { key_id: key_id.into(), nonce: [9; 12] }) }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let plain = Header { content_bytes: 0x0102, lock: None };
        assert_eq!(plain.encode(), b"ATLB\x01\x00\0\0\0\0\0\0\x01\x02");
        let bytes = locked("key-1").encode();
        assert_eq!(
            bytes,
            b"ATLB\x01\x01\0\0\0\0\0\0\x01\x02\x05key-1\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09"
        );
        let page = include_str!("../../docs/OPERATIONS.md");
        for row in [
            "| 0 | 4 | `ATLB`",
            "| 4 | 1 | version, 1",
            "| 5 | 1 | flags",
            "| 6 | 8 | bytes of the plain content",
        ] {
            assert!(page.contains(row), "docs/OPERATIONS.md: {row}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_every_cut_is_noticed() {
        for header in [Header { content_bytes: u64::MAX, lock: None }, locked("a"), locked(&"b".repeat(32))] {
            let mut bytes = header.encode();
            let header_bytes = bytes.len();
            for cut in 0..header_bytes {
                assert_eq!(Envelope::read(&bytes[..cut]), Err("it ends within its header"), "{cut}");
            }
            bytes.extend(b"body");
            assert_eq!(Envelope::read(&bytes), Ok(Envelope { header, header_bytes }));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (at, byte) in [(0, b'a'), (4, 2), (5, 2), (5, 0x81), (14, 0), (14, 33), (15, b'/'), (15, 0xff)] {
            let mut bytes = locked("key").encode();
            bytes.extend([b'x'; 64]);
            bytes[at] = byte;
            assert!(Envelope::read(&bytes).is_err(), "{byte:#x} at {at}");
        }
    }
}
