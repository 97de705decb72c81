//! Reads a client's WebSocket frames (RFC 6455 section 5) into whole messages.
//!
//! Headers are tungstenite's; its message layer is not used (ADR 3): it allocates a read buffer for every idle
//! connection, keeps the largest one it ever needed, and knows no budget for the process. Here an idle connection
//! holds nothing: bytes are read into the stack and copied, unmasked, to where they stay. A message grows with what
//! has arrived, never with what its header promises, and is refused by that header when it promises too much.

use std::io::Cursor;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::budget::{Budget, Share};

/// Bytes. One read from the network.
const READ_BYTES: usize = 16 << 10;
/// Bytes. RFC 6455 section 5.5.
const CONTROL_BYTES_MAX: u64 = 125;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A whole binary message in memory of its own.
    Message(Bytes),
    /// The beginning of a text message. The protocol has none: nothing is read any more but a close.
    Text,
    Ping(Bytes),
    Pong,
    /// With the code, if there was one.
    Close(Option<u16>),
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("not a WebSocket frame: {0}")]
    Frame(&'static str),
    #[error("a message of {bytes} bytes or more, at most {max} are allowed")]
    TooLarge { bytes: u64, max: usize },
    #[error("the server is receiving too much at once")]
    OutOfBudget,
}

#[derive(Debug)]
pub(super) struct Reader {
    /// Read and not looked at yet.
    unread: BytesMut,
    /// A frame of which the header was read and some payload has not come yet.
    frame: Option<Frame>,
    /// The message so far, while one is open.
    message: Option<Vec<u8>>,
    share: Share,
    /// This side has said its last word: payloads are dropped, only the peer's close matters.
    discarding: bool,
    /// What comes is no WebSocket: nothing can be read from it any more.
    deaf: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    /// Turned so that its first byte belongs to the next byte of payload.
    mask: [u8; 4],
    /// Bytes of payload that have not been looked at.
    left: u64,
}

impl Frame {
    const fn is_control(&self) -> bool {
        matches!(self.opcode, OpCode::Control(_))
    }
}

impl Reader {
    /// `unread` is what came behind the HTTP request already.
    pub(super) fn new(budget: Arc<Budget>, unread: &[u8]) -> Self {
        Self {
            unread: BytesMut::from(unread),
            frame: None,
            message: None,
            share: Share::new(budget),
            discarding: false,
            deaf: false,
        }
    }

    /// From now on only the peer's close is of interest.
    pub(super) fn discard(&mut self) {
        self.discarding = true;
        self.message = None;
        self.share.release();
    }

    /// Reads once from the network. Ready with the number of bytes; 0 is the end.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
    ) -> Poll<std::io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(io).poll_read(cx, &mut read))?;
        self.unread.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// The next thing among what was read; `None`: read more. `message_bytes_max` bounds a message by its headers.
    pub(super) fn next(&mut self, message_bytes_max: usize) -> Result<Option<Incoming>, Violation> {
        let next = if self.deaf { Ok(None) } else { self.parse(message_bytes_max) };
        self.deaf |= matches!(next, Err(Violation::Frame(_)));
        if self.deaf || self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        next
    }

    fn parse(&mut self, message_bytes_max: usize) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.header(message_bytes_max)? {
                    Some(frame) => frame,
                    None => break,
                },
            };
            self.frame = Some(frame);
            if frame.is_control() {
                let Some(payload) = self.control_payload(frame) else { break };
                self.frame = None;
                match control(frame.opcode, &payload)? {
                    Incoming::Close(code) => return Ok(Some(Incoming::Close(code))),
                    _ if self.discarding => {}
                    incoming => return Ok(Some(incoming)),
                }
            } else if frame.opcode == OpCode::Data(Data::Text) && !self.discarding {
                self.discard();
                return Ok(Some(Incoming::Text));
            } else {
                let frame = self.take_payload(frame)?;
                self.frame = (0 < frame.left).then_some(frame);
                if 0 < frame.left {
                    break;
                }
                if frame.is_final
                    && let Some(message) = self.message.take()
                {
                    self.share.release();
                    return Ok(Some(Incoming::Message(message.into())));
                }
            }
        }
        Ok(None)
    }

    /// RFC 6455 section 5.2. `None`: it has not come whole.
    fn header(&mut self, message_bytes_max: usize) -> Result<Option<Frame>, Violation> {
        let mut cursor = Cursor::new(&self.unread[..]);
        let (header, left) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(_) => return Err(Violation::Frame("an unknown opcode")),
        };
        // Not `header.len(left)`: that is what the shortest form would take, and a peer may write a longer one.
        let header_bytes = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, mask } = header;
        if rsv1 || rsv2 || rsv3 {
            return Err(Violation::Frame("a reserved bit is set"));
        }
        let mask = mask.ok_or(Violation::Frame("a client's frame is not masked"))?;
        let frame = Frame { opcode, is_final, mask, left };
        if frame.is_control() {
            if !is_final || CONTROL_BYTES_MAX < left {
                return Err(Violation::Frame("a control frame is fragmented or too long"));
            }
        } else if !self.discarding {
            self.open_or_continue(frame, message_bytes_max)?;
        }
        self.unread.advance(header_bytes);
        Ok(Some(frame))
    }

    fn open_or_continue(&mut self, frame: Frame, message_bytes_max: usize) -> Result<(), Violation> {
        let so_far = match (&self.message, frame.opcode) {
            (Some(message), OpCode::Data(Data::Continue)) => message.len(),
            (None, OpCode::Data(Data::Text | Data::Binary)) => 0,
            (None, _) => return Err(Violation::Frame("a continuation of nothing")),
            (Some(_), _) => return Err(Violation::Frame("a message begins inside another")),
        };
        let bytes = frame.left.saturating_add(so_far as u64);
        if bytes > message_bytes_max as u64 {
            return Err(Violation::TooLarge { bytes, max: message_bytes_max });
        }
        if frame.opcode == OpCode::Data(Data::Binary) {
            self.message = Some(Vec::new());
        }
        Ok(())
    }

    fn control_payload(&mut self, frame: Frame) -> Option<Bytes> {
        let len = usize::try_from(frame.left).ok().filter(|len| *len <= self.unread.len())?;
        let mut payload = Vec::with_capacity(len);
        unmask_onto(&mut payload, &self.unread[..len], frame.mask);
        self.unread.advance(len);
        Some(payload.into())
    }

    /// Moves what has come of the frame's payload to the message.
    fn take_payload(&mut self, mut frame: Frame) -> Result<Frame, Violation> {
        let len = usize::try_from(frame.left).map_or(self.unread.len(), |left| left.min(self.unread.len()));
        if let Some(message) = &mut self.message {
            let needed = message.len() + len;
            if message.capacity() < needed {
                // Doubling, but never past what the frame promises; and a message in one piece fits exactly.
                let promised = usize::try_from(frame.left).map_or(usize::MAX, |left| message.len() + left);
                let capacity = needed.max(2 * message.capacity()).min(promised);
                if !self.share.grow_to(capacity) {
                    return Err(Violation::OutOfBudget);
                }
                message.reserve_exact(capacity - message.len());
            }
            unmask_onto(message, &self.unread[..len], frame.mask);
        }
        self.unread.advance(len);
        frame.left -= len as u64;
        frame.mask.rotate_left(len % 4);
        Ok(frame)
    }
}

fn control(opcode: OpCode, payload: &Bytes) -> Result<Incoming, Violation> {
    match (opcode, &payload[..]) {
        (OpCode::Control(Control::Ping), _) => Ok(Incoming::Ping(payload.clone())),
        (OpCode::Control(Control::Pong), _) => Ok(Incoming::Pong),
        (_, []) => Ok(Incoming::Close(None)),
        (_, [_]) => Err(Violation::Frame("half a close code")),
        (_, [a, b, ..]) => Ok(Incoming::Close(Some(u16::from_be_bytes([*a, *b])))),
    }
}

/// RFC 6455 section 5.3.
fn unmask_onto(out: &mut Vec<u8>, masked: &[u8], mask: [u8; 4]) {
    let start = out.len();
    out.extend_from_slice(masked);
    let (fours, rest) = out[start..].as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use atlas_crdt::limits::INBOUND_FREE_BYTES;
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x11, 0x82, 0x33, 0xF4];
        let mut out = vec![first];
        match payload.len() {
            len if len < 126 => out.push(0x80 | u8::try_from(len).unwrap()),
            len if len < 1 << 16 => {
                out.push(0x80 | 0x7E);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                out.push(0x80 | 0x7F);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend(mask);
        out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        out
    }

    fn reader() -> Reader {
        Reader::new(Arc::new(Budget::default()), &[])
    }

    /// Feeds the bytes in pieces and returns everything that they say.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Incoming>, Violation> {
        let mut reader = reader();
        let mut all = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.unread.extend_from_slice(piece);
            while let Some(incoming) = reader.next(MAX)? {
                all.push(incoming);
            }
        }
        Ok(all)
    }

    #[test]
    fn fragments_become_one_message_and_control_frames_pass_between_them() {
        let mut bytes = frame(0x02, b"one ");
        bytes.extend(frame(0x89, b"ping"));
        bytes.extend(frame(0x00, b"two "));
        bytes.extend(frame(0x80, b"three"));
        bytes.extend(frame(0x88, &[0x03, 0xE8]));
        for piece in [1, 2, 3, 7, 1_000] {
            assert_eq!(
                read(&bytes, piece).unwrap(),
                [
                    Incoming::Ping(Bytes::from_static(b"ping")),
                    Incoming::Message(Bytes::from_static(b"one two three")),
                    Incoming::Close(Some(1000)),
                ]
            );
        }
    }

    #[test]
    fn messages_of_every_length_form_arrive_whole() {
        for len in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            let payload: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let read = read(&frame(0x82, &payload), 4_096).unwrap();
            assert_eq!(read, [Incoming::Message(payload.into())], "{len}");
        }
    }

    #[test]
    fn a_length_in_a_longer_form_than_needed_moves_nothing() {
        let mut long = vec![0x82, 0x80 | 0x7F];
        long.extend(3u64.to_be_bytes());
        long.extend([0, 0, 0, 0, 1, 2, 3]);
        long.extend(frame(0x82, b"next"));
        let expected = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(b"next")];
        assert_eq!(read(&long, 1_000).unwrap(), expected.map(Incoming::Message));
    }

    // R-SYNC-3
    #[test]
    fn what_is_no_frame_is_refused() {
        let unmasked = [0x82, 0x01, 0x00];
        for (bytes, what) in [
            (&unmasked[..], "unmasked"),
            (&frame(0xC2, b"x"), "reserved bit"),
            (&frame(0x83, b"x"), "unknown opcode"),
            (&frame(0x09, b"x"), "fragmented ping"),
            (&frame(0x89, &[0; 126]), "long ping"),
            (&frame(0x80, b"x"), "continuation of nothing"),
            (&[frame(0x02, b"x"), frame(0x82, b"y")].concat(), "message inside a message"),
            (&frame(0x88, &[3]), "half a close code"),
        ] {
            assert!(matches!(read(bytes, 1_000), Err(Violation::Frame(_))), "{what}");
        }
    }

    // R-LIMIT-2
    #[test]
    fn a_promise_of_too_much_is_refused_by_its_header_alone() {
        let mut bytes = vec![0x82, 0x80 | 0x7F];
        bytes.extend(u64::MAX.to_be_bytes());
        bytes.extend([0; 4]);
        assert!(matches!(read(&bytes, 1_000), Err(Violation::TooLarge { .. })));
        let mut pieces = frame(0x02, &vec![0; MAX]);
        pieces.extend(frame(0x80, b"x"));
        assert!(matches!(read(&pieces, 4_096), Err(Violation::TooLarge { .. })));
    }

    // R-LIMIT-2
    #[test]
    fn a_promise_costs_nothing_until_its_bytes_arrive() {
        let mut reader = reader();
        let whole = frame(0x82, &vec![0; MAX]);
        reader.unread.extend_from_slice(&whole[..100]);
        assert_eq!(reader.next(MAX).unwrap(), None);
        assert!(reader.message.as_ref().unwrap().capacity() < 1_000);
        reader.unread.extend_from_slice(&whole[100..]);
        let Some(Incoming::Message(message)) = reader.next(MAX).unwrap() else { panic!() };
        assert_eq!(message.len(), MAX);
        assert_eq!(reader.next(MAX).unwrap(), None);
        assert_eq!(reader.unread.capacity(), 0, "an idle reader holds nothing");
    }

    // R-LIMIT-3
    #[test]
    fn the_process_keeps_so_many_unfinished_bytes_and_no_more() {
        let budget = Arc::new(Budget::of(MAX));
        let begin = |bytes: usize| {
            let mut reader = Reader::new(Arc::clone(&budget), &[]);
            let whole = frame(0x82, &vec![0; bytes]);
            reader.unread.extend_from_slice(&whole[..whole.len() - 1]);
            reader.next(usize::MAX).map(|_| reader)
        };
        let greedy = begin(MAX).unwrap();
        assert_eq!(begin(4 * INBOUND_FREE_BYTES).unwrap_err(), Violation::OutOfBudget);
        assert!(begin(INBOUND_FREE_BYTES).is_ok());
        drop(greedy);
        assert!(begin(4 * INBOUND_FREE_BYTES).is_ok());
    }

    // R-CLOSE-3
    #[test]
    fn after_the_last_word_only_a_close_is_heard() {
        let mut reader = reader();
        reader.unread.extend_from_slice(&frame(0x02, b"half"));
        assert_eq!(reader.next(MAX).unwrap(), None);
        reader.discard();
        reader.unread.extend_from_slice(&frame(0x80, b"rest"));
        reader.unread.extend_from_slice(&frame(0x81, b"text"));
        reader.unread.extend_from_slice(&frame(0x82, &vec![0; 2 * MAX]));
        reader.unread.extend_from_slice(&frame(0x89, b"ping"));
        reader.unread.extend_from_slice(&frame(0x88, &[]));
        assert_eq!(reader.next(MAX).unwrap(), Some(Incoming::Close(None)));
    }

    #[test]
    fn what_is_no_websocket_is_not_read_on() {
        let mut reader = reader();
        reader.unread.extend_from_slice(&[0xFF; 20]);
        assert!(reader.next(MAX).is_err());
        reader.discard();
        reader.unread.extend_from_slice(&[0xFF; 20]);
        assert_eq!(reader.next(MAX).unwrap(), None);
        assert_eq!(reader.unread.capacity(), 0);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..50usize) {
            let _ = read(&bytes, piece);
        }
    }
}
