//! A segment: consecutive rows of one design's log as one immutable blob, `designs/<id>/segments/<hash>`. What is read here
//! long after its rows were deleted says who did what and when, and makes the document of any moment again.
//!
//! Integers are big-endian. A layout has one encoding for each list of rows, so that archiving the same rows again gives the
//! same bytes and the same name.
//!
//! | bytes | what |
//! |---|---|
//! | 7 | `ATLSEG` and a zero byte |
//! | 1 | version of the layout: 1 |
//! | 16 | the design's id |
//! | 8 | the log's generation |
//! | 8 | `seq` of the first row, at least 1; each further row has the next one |
//! | 4 | number of rows, at least 1 |
//! | … | the rows, one behind the other, and nothing behind the last |
//!
//! A row:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | append id |
//! | 8 | instant, signed: microseconds since 1970-01-01 00:00 UTC |
//! | 4 | number of authors |
//! | … | of each author: user id (16), what the user wrote and what the user deleted |
//! | 4 | bytes of the update |
//! | … | the update (Yjs update v1) |
//!
//! What was written, or deleted, is a number of ranges (4), then of each client id (8), first clock (4), clock after the last (4).

use atlas_crdt::ids::{AppendId, ClientId, DesignId, Generation, Seq, UserId};
use atlas_crdt::limits::STORED_BYTES_MAX;
use atlas_crdt::room::{Author, ClockRange};
use bytes::Bytes;
use time::OffsetDateTime;

use crate::store::folds::ArchivedRow;

const MAGIC: [u8; 7] = *b"ATLSEG\0";
const VERSION: u8 = 1;
/// Rows in one segment.
pub const ROWS_MAX: usize = 1 << 20;
/// Bytes. The smallest row, the smallest author and a range: no count is larger than the bytes behind it allow.
const ROW_BYTES_MIN: usize = 16 + 8 + 4 + 4;
const AUTHOR_BYTES_MIN: usize = 16 + 4 + 4;
const RANGE_BYTES: usize = 8 + 4 + 4;

/// What a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRows {
    pub design: DesignId,
    pub generation: Generation,
    /// At least one, consecutive.
    pub rows: Vec<ArchivedRow>,
}

/// The bytes are no segment, or the rows cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentFault {
    #[error("not a segment")]
    NotASegment,
    #[error("a segment of version {0}, which this server does not know")]
    UnknownVersion(u8),
    #[error("a segment that ends too early")]
    TooShort,
    #[error("a segment with bytes after its end")]
    TooLong,
    #[error("a segment without rows, or with too many")]
    RowCount,
    #[error("a segment with numbers that are out of range")]
    OutOfRange,
    #[error("rows that do not follow each other")]
    NotConsecutive,
}

type Result<T> = std::result::Result<T, SegmentFault>;

/// Instants lose what is finer than a microsecond, as in the stores.
///
/// # Errors
/// When the rows are none, too many or not consecutive, or one of them is too large.
pub fn encode(design: DesignId, generation: Generation, rows: &[ArchivedRow]) -> Result<Bytes> {
    let first = rows.first().ok_or(SegmentFault::RowCount)?.seq;
    check_first(first.get())?;
    if ROWS_MAX < rows.len() {
        return Err(SegmentFault::RowCount);
    }
    let mut out = Vec::with_capacity(44 + rows.iter().map(|row| 128 + row.update.len()).sum::<usize>());
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend(design.to_bytes());
    out.extend(generation.get().to_be_bytes());
    out.extend(first.get().to_be_bytes());
    write_count(&mut out, rows.len())?;
    let mut expected = first;
    for row in rows {
        if row.seq != expected {
            return Err(SegmentFault::NotConsecutive);
        }
        expected = expected.next();
        write_row(&mut out, row)?;
    }
    Ok(out.into())
}

/// The last `seq`, too, must be a number with a successor.
fn check_first(first: u64) -> Result<()> {
    let is_place = first != 0 && first.checked_add(ROWS_MAX as u64).is_some();
    if is_place { Ok(()) } else { Err(SegmentFault::OutOfRange) }
}

fn write_row(out: &mut Vec<u8>, row: &ArchivedRow) -> Result<()> {
    out.extend(row.append_id.to_bytes());
    let micros = row.at.unix_timestamp_nanos().div_euclid(1_000);
    out.extend(i64::try_from(micros).map_err(|_| SegmentFault::OutOfRange)?.to_be_bytes());
    write_count(out, row.authors.len())?;
    for author in &row.authors {
        out.extend(author.user.to_bytes());
        for ranges in [&author.wrote, &author.deleted] {
            write_count(out, ranges.len())?;
            for range in ranges {
                out.extend(range.client.get().to_be_bytes());
                out.extend(range.start.to_be_bytes());
                out.extend(range.end.to_be_bytes());
            }
        }
    }
    if STORED_BYTES_MAX < row.update.len() {
        return Err(SegmentFault::OutOfRange);
    }
    write_count(out, row.update.len())?;
    out.extend_from_slice(&row.update);
    Ok(())
}

fn write_count(out: &mut Vec<u8>, count: usize) -> Result<()> {
    out.extend(u32::try_from(count).map_err(|_| SegmentFault::OutOfRange)?.to_be_bytes());
    Ok(())
}

/// Total: any bytes are a segment or a fault, at a cost in proportion to their number.
///
/// # Errors
/// When they are no segment that this version knows.
pub fn decode(bytes: &Bytes) -> Result<SegmentRows> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.array::<7>().map_err(|_| SegmentFault::NotASegment)? != MAGIC {
        return Err(SegmentFault::NotASegment);
    }
    let [version] = reader.array()?;
    if version != VERSION {
        return Err(SegmentFault::UnknownVersion(version));
    }
    let design = DesignId::from_bytes(reader.array()?);
    let generation = Generation::new(u64::from_be_bytes(reader.array()?));
    let first = u64::from_be_bytes(reader.array()?);
    let count = reader.count(ROW_BYTES_MIN)?;
    if count == 0 || ROWS_MAX < count {
        return Err(SegmentFault::RowCount);
    }
    check_first(first)?;
    let mut rows = Vec::with_capacity(count);
    for seq in (first..).take(count) {
        rows.push(reader.row(Seq::new(seq))?);
    }
    if reader.at != bytes.len() {
        return Err(SegmentFault::TooLong);
    }
    Ok(SegmentRows { design, generation, rows })
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn row(&mut self, seq: Seq) -> Result<ArchivedRow> {
        let append_id = AppendId::from_bytes(self.array()?);
        let micros = i64::from_be_bytes(self.array()?);
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
            .map_err(|_| SegmentFault::OutOfRange)?;
        let count = self.count(AUTHOR_BYTES_MIN)?;
        let mut authors = Vec::with_capacity(count);
        for _ in 0..count {
            let user = UserId::from_bytes(self.array()?);
            authors.push(Author { user, wrote: self.ranges()?, deleted: self.ranges()? });
        }
        let length = self.count(1)?;
        if STORED_BYTES_MAX < length {
            return Err(SegmentFault::OutOfRange);
        }
        let update = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(ArchivedRow { seq, append_id, update, authors, at })
    }

    fn ranges(&mut self) -> Result<Vec<ClockRange>> {
        let count = self.count(RANGE_BYTES)?;
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            let client = ClientId::new(u64::from_be_bytes(self.array()?));
            let start = u32::from_be_bytes(self.array()?);
            ranges.push(ClockRange { client, start, end: u32::from_be_bytes(self.array()?) });
        }
        Ok(ranges)
    }

    /// How many things of at least so many bytes follow: they must be there.
    fn count(&mut self, bytes_min: usize) -> Result<usize> {
        let count = usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| SegmentFault::TooShort)?;
        if (self.bytes.len() - self.at) / bytes_min < count {
            return Err(SegmentFault::TooShort);
        }
        Ok(count)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        rest.copied().ok_or(SegmentFault::TooShort)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<ClockRange>> {
        let range = (any::<u64>(), any::<u32>(), any::<u32>());
        vec(
            range.prop_map(|(client, start, end)| ClockRange { client: ClientId::new(client), start, end }),
            0..4,
        )
    }

    fn row() -> impl Strategy<Value = ArchivedRow> {
        let author = (any::<u128>(), ranges(), ranges()).prop_map(|(user, wrote, deleted)| Author {
            user: UserId::from_u128(user),
            wrote,
            deleted,
        });
        // All instants that PostgreSQL and SQLite could hand us within four digits of a year.
        let micros = -62_000_000_000_000_000_i64..250_000_000_000_000_000;
        (any::<u128>(), micros, vec(author, 0..3), vec(any::<u8>(), 0..200)).prop_map(
            |(append_id, micros, authors, update)| ArchivedRow {
                seq: Seq::ZERO,
                append_id: AppendId::from_u128(append_id),
                update: update.into(),
                authors,
                at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap(),
            },
        )
    }

    fn segment() -> impl Strategy<Value = SegmentRows> {
        (any::<u128>(), any::<u64>(), 1..u64::MAX / 2, vec(row(), 1..20)).prop_map(
            |(design, generation, first, mut rows)| {
                for (seq, row) in (first..).zip(&mut rows) {
                    row.seq = Seq::new(seq);
                }
                let (design, generation) = (DesignId::from_u128(design), Generation::new(generation));
                SegmentRows { design, generation, rows }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(segment in segment()) {
            let bytes = encode(segment.design, segment.generation, &segment.rows).unwrap();
            prop_assert_eq!(decode(&bytes).unwrap(), segment);
        }

        #[test]
        fn no_bytes_are_more_than_a_fault(segment in segment(), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let whole = encode(segment.design, segment.generation, &segment.rows).unwrap();
            let mut bytes = whole.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // Whatever is read means what its bytes say: written again it is the same.
            if let Ok(read) = decode(&bytes.clone().into()) {
                prop_assert_eq!(encode(read.design, read.generation, &read.rows).unwrap(), bytes);
            }
            let cut = cut.index(whole.len());
            prop_assert!(decode(&whole.slice(..cut)).is_err(), "the first {cut} of {} bytes", whole.len());
            let longer: Bytes = [&whole[..], &[byte]].concat().into();
            prop_assert!(decode(&longer).is_err());
        }

        #[test]
        fn noise_is_refused(noise in vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&noise.into()).is_err());
        }
    }

    fn one() -> SegmentRows {
        let author = Author {
            user: UserId::from_u128(0x0b),
            wrote: vec![ClockRange { client: ClientId::new(7), start: 1, end: 3 }],
            deleted: Vec::new(),
        };
        let row = ArchivedRow {
            seq: Seq::new(5),
            append_id: AppendId::from_u128(0x0a),
            update: Bytes::from_static(&[0, 0]),
            authors: vec![author],
            at: OffsetDateTime::from_unix_timestamp_nanos(1_000_000_999).unwrap(),
        };
        SegmentRows { design: DesignId::from_u128(0xd), generation: Generation::new(1), rows: vec![row] }
    }

    /// The bytes by hand, as the head of this file describes them.
    #[test]
    fn the_layout_is_the_one_that_is_described() {
        let id = |last: u8| [[0; 15].as_slice(), &[last]].concat();
        let number = |last: u8| [[0; 7].as_slice(), &[last]].concat();
        let count = |last: u8| [0, 0, 0, last].to_vec();
        let expected = [
            b"ATLSEG\0\x01".to_vec(),
            id(0xd),
            number(1),
            number(5),
            count(1),
            id(0x0a),
            1_000_000_u64.to_be_bytes().to_vec(),
            count(1),
            id(0x0b),
            count(1),
            number(7),
            count(1),
            count(3),
            count(0),
            count(2),
            vec![0, 0],
        ];
        let SegmentRows { design, generation, rows } = one();
        assert_eq!(encode(design, generation, &rows).unwrap(), expected.concat());
    }

    #[test]
    fn faults_are_told_apart() {
        let SegmentRows { design, generation, rows } = one();
        let whole = encode(design, generation, &rows).unwrap();
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.to_vec();
            bytes[at] = byte;
            decode(&bytes.into())
        };
        assert_eq!(changed(0, b'B'), Err(SegmentFault::NotASegment));
        assert_eq!(changed(7, 2), Err(SegmentFault::UnknownVersion(2)));
        assert_eq!(changed(39, 0), Err(SegmentFault::OutOfRange), "there is no row 0");
        let mut last = whole.to_vec();
        last[32..40].fill(0xff);
        assert_eq!(decode(&last.into()), Err(SegmentFault::OutOfRange), "a row without a successor");
        assert_eq!(changed(40, 0xff), Err(SegmentFault::TooShort), "four thousand million rows");
        assert_eq!(changed(43, 0), Err(SegmentFault::RowCount));
        assert_eq!(changed(60, 0x7f), Err(SegmentFault::OutOfRange), "an instant that no calendar has");
        let apart = [rows[0].clone(), ArchivedRow { seq: Seq::new(7), ..rows[0].clone() }];
        assert_eq!(encode(design, generation, &apart), Err(SegmentFault::NotConsecutive));
        assert_eq!(encode(design, generation, &[]), Err(SegmentFault::RowCount));
    }
}
