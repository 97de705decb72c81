//! Writes WebSocket frames to a client (RFC 6455 section 5; a server masks nothing).
//!
//! Small messages are copied together, so that many leave in one write. Large ones are cut into continuation frames
//! from the buffer that all their readers share: a design of 4 MB for 150 joiners is one buffer, not 150. An idle
//! writer holds nothing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atlas_crdt::limits::FRAGMENT_BYTES;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes. Payloads up to this are copied behind their headers.
const COPIED_BYTES_MAX: usize = 2 << 10;
/// Pieces handed to the network in one call.
const PIECES_PER_WRITE: usize = 16;
/// Bytes. RFC 6455 section 5.5: 125 bytes for a control frame, two of them the code.
const REASON_BYTES_MAX: usize = 123;

#[derive(Debug, Default)]
pub(super) struct Writer {
    pieces: VecDeque<Piece>,
    /// Whole frames that come after `pieces`, still being added to.
    small: BytesMut,
    /// The newest pong: it goes out between two frames, at the next chance.
    pong: Option<Bytes>,
    /// The first piece was written in part.
    is_inside_piece: bool,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// A frame ends with it: a control frame may follow.
    ends_frame: bool,
}

impl Writer {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.small.is_empty() && self.pong.is_none()
    }

    /// Queues one binary message.
    pub(super) fn message(&mut self, payload: &Bytes) {
        if payload.len() <= COPIED_BYTES_MAX {
            put_frame(&mut self.small, OpCode::Data(Data::Binary), payload);
            return;
        }
        let mut opcode = Data::Binary;
        let mut rest = payload.clone();
        while !rest.is_empty() {
            let fragment = rest.split_to(rest.len().min(FRAGMENT_BYTES));
            put_header(&mut self.small, OpCode::Data(opcode), rest.is_empty(), fragment.len());
            self.finish_small(false);
            self.pieces.push_back(Piece { bytes: fragment, ends_frame: true });
            opcode = Data::Continue;
        }
    }

    pub(super) fn ping(&mut self) {
        put_frame(&mut self.small, OpCode::Control(Control::Ping), &[]);
    }

    /// Answers a ping; only the newest is answered when several came before one could be (RFC 6455 section 5.5.3).
    pub(super) fn pong(&mut self, payload: &Bytes) {
        let mut frame = BytesMut::with_capacity(payload.len() + 2);
        put_frame(&mut frame, OpCode::Control(Control::Pong), payload);
        self.pong = Some(frame.freeze());
    }

    /// Queues the last frame. `None`: without a code. Reasons are cut to what fits.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        let mut payload = Vec::with_capacity(2 + reason.len().min(REASON_BYTES_MAX));
        if let Some(code) = code {
            payload.extend(code.to_be_bytes());
            payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(REASON_BYTES_MAX)]);
        }
        put_frame(&mut self.small, OpCode::Control(Control::Close), &payload);
    }

    /// Writes once and flushes what the writer below may hold. Ready with the number of bytes; 0 when there was
    /// nothing to write.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
    ) -> Poll<io::Result<usize>> {
        if self.pieces.is_empty() && self.pong.is_none() {
            return self.poll_write_small(cx, io);
        }
        self.finish_small(true);
        self.slip_pong_in();
        let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.bytes);
            used += 1;
        }
        let written = ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
            // Plain TCP has nothing to flush; a layer between may. What it still holds leaves with the next write.
            let _ = Pin::new(io).poll_flush(cx)?;
        }
        Poll::Ready(Ok(written))
    }

    /// The common case, without a queue: everything is in one buffer.
    fn poll_write_small<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
    ) -> Poll<io::Result<usize>> {
        if self.small.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = ready!(Pin::new(&mut *io).poll_write(cx, &self.small))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.small.advance(written);
        self.is_inside_piece = !self.small.is_empty();
        if self.small.is_empty() {
            self.small = BytesMut::new();
            let _ = Pin::new(io).poll_flush(cx)?;
        }
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.bytes.len() {
                piece.bytes.advance(written);
                self.is_inside_piece = self.is_inside_piece || 0 < written;
                return;
            }
            written -= piece.bytes.len();
            let ends_frame = piece.ends_frame;
            self.pieces.pop_front();
            // Behind a header its payload must follow.
            self.is_inside_piece = !ends_frame;
        }
    }

    fn finish_small(&mut self, ends_frame: bool) {
        if !self.small.is_empty() {
            let bytes = std::mem::take(&mut self.small).freeze();
            self.pieces.push_back(Piece { bytes, ends_frame });
        }
    }

    /// Puts a waiting pong before everything that has not begun to leave.
    fn slip_pong_in(&mut self) {
        let Some(bytes) = self.pong.take() else { return };
        let pong = Piece { bytes, ends_frame: true };
        if !self.is_inside_piece {
            self.pieces.push_front(pong);
            return;
        }
        let frame_end = self.pieces.iter().position(|piece| piece.ends_frame);
        self.pieces.insert(frame_end.map_or(self.pieces.len(), |at| at + 1), pong);
    }
}

fn put_header(out: &mut BytesMut, opcode: OpCode, is_final: bool, len: usize) {
    let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
    // Writing to memory does not fail.
    let _ = header.format(len as u64, &mut out.writer());
}

/// A frame that is whole.
fn put_frame(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    put_header(out, opcode, true, payload.len());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
    use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

    use super::*;

    /// A network that takes `step` bytes at a time.
    struct Sink {
        bytes: Vec<u8>,
        step: usize,
        writes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let taken = buf.len().min(self.step);
            self.bytes.extend_from_slice(&buf[..taken]);
            self.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut taken = 0;
            for buf in bufs {
                let part = &buf[..buf.len().min(self.step - taken)];
                self.bytes.extend_from_slice(part);
                taken += part.len();
            }
            self.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write_once(writer: &mut Writer, sink: &mut Sink) -> usize {
        match writer.poll_write(&mut Context::from_waker(Waker::noop()), sink) {
            Poll::Ready(Ok(written)) => written,
            other => panic!("{other:?}"),
        }
    }

    /// What a client makes of the bytes: tungstenite reads them.
    fn read_back(bytes: Vec<u8>) -> Vec<Message> {
        let config = WebSocketConfig::default().max_frame_size(Some(FRAGMENT_BYTES));
        let mut client = WebSocket::from_raw_socket(io::Cursor::new(bytes), Role::Client, Some(config));
        std::iter::from_fn(|| client.read().ok()).collect()
    }

    fn payload(len: usize) -> Bytes {
        (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>().into()
    }

    // R-SLOW-5
    #[test]
    fn a_client_reads_what_was_written_however_the_network_cuts_it() {
        let lens =
            [0, 1, 125, 126, COPIED_BYTES_MAX, COPIED_BYTES_MAX + 1, 65_536, 3 * FRAGMENT_BYTES + 1, 5];
        for step in [1_000, 7_777, usize::MAX] {
            let mut writer = Writer::default();
            let mut sink = Sink { bytes: Vec::new(), step, writes: 0 };
            for len in lens {
                writer.message(&payload(len));
            }
            writer.close(Some(4404), "gone");
            while !writer.is_empty() {
                write_once(&mut writer, &mut sink);
            }
            let read = read_back(sink.bytes);
            let (close, messages) = read.split_last().unwrap();
            let sent: Vec<_> = lens.iter().map(|len| Message::Binary(payload(*len))).collect();
            assert_eq!(messages, sent);
            assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 4404));
        }
    }

    #[test]
    fn many_small_messages_leave_in_one_write() {
        let mut writer = Writer::default();
        let mut sink = Sink { bytes: Vec::new(), step: usize::MAX, writes: 0 };
        (0..100).for_each(|_| writer.message(&payload(50)));
        write_once(&mut writer, &mut sink);
        assert!(writer.is_empty());
        assert_eq!(sink.writes, 1);
        assert_eq!(
            (writer.pieces.capacity(), writer.small.capacity()),
            (0, 0),
            "an idle writer holds nothing"
        );
    }

    // R-SLOW-5
    #[test]
    fn a_pong_goes_between_two_frames_of_a_large_message() {
        for cut in [5, 12, 1_000, FRAGMENT_BYTES] {
            let mut writer = Writer::default();
            let mut sink = Sink { bytes: Vec::new(), step: cut, writes: 0 };
            writer.message(&payload(4 * FRAGMENT_BYTES));
            write_once(&mut writer, &mut sink);
            writer.pong(&Bytes::from_static(b"now"));
            while !writer.is_empty() {
                write_once(&mut writer, &mut sink);
            }
            let read = read_back(sink.bytes);
            assert_eq!(
                read,
                [Message::Pong(Bytes::from_static(b"now")), Message::Binary(payload(4 * FRAGMENT_BYTES))],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_pong_does_not_cut_a_small_message_in_two() {
        for cut in [1, 50, 60] {
            let mut writer = Writer::default();
            let mut sink = Sink { bytes: Vec::new(), step: cut, writes: 0 };
            writer.message(&payload(100));
            write_once(&mut writer, &mut sink);
            writer.pong(&Bytes::from_static(b"now"));
            writer.message(&payload(5_000));
            while !writer.is_empty() {
                write_once(&mut writer, &mut sink);
            }
            let lens: Vec<usize> = read_back(sink.bytes).iter().map(Message::len).collect();
            assert_eq!(lens, [100, 5_000, 3], "cut at {cut}");
        }
    }

    // R-CLOSE-2
    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut writer = Writer::default();
        let mut sink = Sink { bytes: Vec::new(), step: usize::MAX, writes: 0 };
        writer.close(Some(4400), &"é".repeat(100));
        write_once(&mut writer, &mut sink);
        let read = read_back(sink.bytes);
        assert!(
            matches!(&read[..], [Message::Close(Some(frame))] if frame.reason.as_str() == "é".repeat(61))
        );
    }
}
