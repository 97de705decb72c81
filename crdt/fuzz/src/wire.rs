//! Messages and presence.
//!
//! The first byte says what the others are: 0 a message from a client, 1 a message from a server, 2 the parts of a
//! message to be written and read, everything else a plan of awareness updates, comings and goings.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use atlas_crdt::ids::{ClientId, ConnId, Epoch, Millis, Seq, UserId};
use atlas_crdt::limits::{
    AWARENESS_BYTES_PER_ROOM_MAX, AWARENESS_CLOCK_MAX, AWARENESS_EXPIRY_MS, AWARENESS_FRAME_BYTES_MAX,
    AWARENESS_STATES_PER_CONN_MAX, AWARENESS_STATES_PER_ROOM_MAX,
};
use atlas_crdt::presence::Presence;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::wire::{
    ClientFrame, Notice, NoticeLimits, RefusalCode, ServerFrame, WireError, awareness, decode, decode_server,
    encode_client, notice, permission_denied, saved, sync_step1, sync_step2, update,
};
use bytes::Bytes;

use crate::build::Writer;

pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode {
        0 => from_client(&Bytes::copy_from_slice(rest)),
        1 => from_server(&Bytes::copy_from_slice(rest)),
        2 => drop(written(&mut Unstructured::new(rest))),
        _ => drop(Stage::default().live(&mut Unstructured::new(rest))),
    }
}

fn check_error(error: WireError) {
    assert!(!error.to_string().is_empty());
    assert!(matches!(error.close_code().as_u16(), 4400 | 4413));
}

fn from_client(message: &Bytes) {
    match decode(message) {
        Err(error) => check_error(error),
        // Of messages of other kinds nothing but the kind is read.
        Ok(ClientFrame::Unknown { kind }) => {
            let bare = encode_client(&ClientFrame::Unknown { kind });
            assert!(message.starts_with(&bare));
            assert_eq!(decode(&bare), Ok(ClientFrame::Unknown { kind }));
        }
        Ok(frame) => {
            assert_eq!(encode_client(&frame), *message, "a message has one form only");
            // A server reads what a client does, where both may say it.
            let theirs = decode_server(message);
            assert!(theirs.is_ok() || matches!(frame, ClientFrame::Renew { .. }), "{theirs:?}");
        }
    }
}

fn from_server(message: &Bytes) {
    let again = match decode_server(message) {
        Err(error) => return check_error(error),
        Ok(ServerFrame::SyncStep1 { state_vector }) => sync_step1(&state_vector),
        Ok(ServerFrame::SyncStep2 { update }) => sync_step2(&update),
        Ok(ServerFrame::Update { update: bytes }) => update(&bytes),
        Ok(ServerFrame::Awareness { update }) => awareness(&update),
        Ok(ServerFrame::PermissionDenied { reason }) => permission_denied(&reason),
        Ok(ServerFrame::Saved(n)) => saved(n),
        // JSON has many forms.
        Ok(ServerFrame::Notice(_) | ServerFrame::QueryAwareness | ServerFrame::Unknown { .. }) => return,
    };
    assert_eq!(again, *message, "a message has one form only");
}

/// What is written is read.
fn written(u: &mut Unstructured<'_>) -> Result<()> {
    let kind = u.int_in_range(0..=13)?;
    let text: String = u.arbitrary()?;
    let number = u.int_in_range(0..=(1_u64 << 53) - 1)?;
    let bytes = Bytes::copy_from_slice(u.bytes(u.len())?);
    let frame = match kind {
        0 => ClientFrame::SyncStep1 { state_vector: bytes },
        1 => ClientFrame::SyncStep2 { update: bytes },
        2 => ClientFrame::Update { update: bytes },
        3 => ClientFrame::Awareness { update: bytes },
        4 => ClientFrame::QueryAwareness,
        5 => ClientFrame::Renew { token: text },
        6 => ClientFrame::Unknown { kind: 123_u64.max(number) },
        7 => return check_told(&saved(number), &ServerFrame::Saved(number)),
        8 => {
            let denied = ServerFrame::PermissionDenied { reason: text.clone() };
            return check_told(&permission_denied(&text), &denied);
        }
        _ => return check_notice(kind, text, number),
    };
    let message = encode_client(&frame);
    match decode(&message) {
        Ok(read) => assert_eq!(read, frame),
        Err(error) => assert!(matches!(error, WireError::TooLarge { .. }), "{error}"),
    }
    Ok(())
}

fn check_told(message: &Bytes, frame: &ServerFrame) -> Result<()> {
    assert_eq!(decode_server(message).as_ref(), Ok(frame));
    Ok(())
}

fn check_notice(kind: u8, message: String, number: u64) -> Result<()> {
    let told = match kind {
        9 => Notice::Hello {
            role: DesignRole::Viewer,
            epoch: Epoch::new(number),
            seq: Seq::new(number),
            limits: NoticeLimits::default(),
            read_only: (number % 2 == 0).then_some(message),
        },
        10 => Notice::Refused { message, code: RefusalCode::Gap, reset: number % 2 == 0 },
        11 => Notice::Restarting { retry_after_ms: number },
        12 => Notice::Renewed { expires_in: number },
        _ => Notice::Deleted,
    };
    let json = serde_json::to_value(&told).expect("a notice is plain data");
    check_told(&notice(&told), &ServerFrame::Notice(json))
}

/// Presence with a few people on it.
#[derive(Default)]
struct Stage {
    presence: Presence,
    now: u64,
    /// What somebody who listens from the first moment believes: client -> clock, while it is here.
    heard: BTreeMap<u64, u32>,
}

impl Stage {
    fn live(mut self, u: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..64 {
            if u.is_empty() {
                break;
            }
            let (conn, user) = (u.int_in_range(1..=5)?, u.int_in_range(1..=3)?);
            let (conn, user) = (ConnId::new(conn), UserId::from_u128(user));
            match u.int_in_range(0..=9)? {
                0 => {
                    self.presence.leave(conn);
                    assert!(!self.presence.has_removals() || self.presence.has_changes());
                }
                1 => {
                    // A room tells what changed long before anybody expires.
                    self.listen();
                    self.now += u.int_in_range(0..=2 * AWARENESS_EXPIRY_MS)?;
                    self.presence.expire(Millis::new(self.now));
                    assert!(self.presence.next_expiry().is_none_or(|at| self.now < at.get()));
                }
                2 => self.listen(),
                3 => {
                    let bytes = u.bytes(u.len().min(24))?;
                    let _ = self.presence.receive(Millis::new(self.now), conn, user, bytes, |_| false);
                }
                _ => {
                    let update = awareness_update(u)?;
                    let _ = self.presence.receive(Millis::new(self.now), conn, user, &update, |_| false);
                }
            }
            self.check();
        }
        self.listen();
        let here: BTreeMap<u64, u32> = self
            .presence
            .snapshot()
            .iter()
            .flat_map(|bytes| entries(bytes))
            .map(|(id, clock, _)| (id, clock))
            .collect();
        assert_eq!(self.heard, here, "who listened knows who is here");
        Ok(())
    }

    /// Takes what a tick tells, as y-protocols would.
    fn listen(&mut self) {
        let changes = self.presence.take_changes();
        assert!(!self.presence.has_changes());
        assert!(changes.iter().all(|update| update.len() <= AWARENESS_FRAME_BYTES_MAX));
        for (client, clock, is_here) in changes.iter().flat_map(|update| entries(update)) {
            if is_here {
                let before = self.heard.insert(client, clock);
                assert!(before.is_none_or(|before| before <= clock), "a clock that went back");
            } else {
                self.heard.remove(&client);
            }
        }
    }

    fn check(&self) {
        assert!(self.presence.len() <= AWARENESS_STATES_PER_ROOM_MAX);
        let snapshot = self.presence.snapshot();
        assert!(snapshot.iter().all(|update| update.len() <= AWARENESS_FRAME_BYTES_MAX));
        let entries: Vec<_> = snapshot.iter().flat_map(|update| entries(update)).collect();
        assert_eq!(entries.len(), self.presence.len());
        let bytes: usize = snapshot.iter().map(|update| update.len()).sum();
        assert!(bytes <= AWARENESS_BYTES_PER_ROOM_MAX + 32 * entries.len());
        let mut owned: BTreeMap<ConnId, usize> = BTreeMap::new();
        for (client, clock, is_here) in entries {
            assert!(is_here && clock <= AWARENESS_CLOCK_MAX);
            let owner = self.presence.owner(ClientId::new(client)).expect("who is here has an owner");
            *owned.entry(owner).or_default() += 1;
        }
        assert!(owned.values().all(|count| *count <= AWARENESS_STATES_PER_CONN_MAX));
    }
}

fn awareness_update(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const STATES: [&str; 8] =
        ["null", "{}", "{\"a\":1}", "[[[]]]", "1e999", "\"\\ud800\"", "{\"a\":1,\"a\":2}", "{"];
    const CLOCKS: [u64; 6] = [0, 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, 1 << 32];
    let mut out = Writer::default();
    let count = u.int_in_range(0..=4)?;
    out.n(if u.ratio(1, 30)? { u.arbitrary()? } else { count });
    for _ in 0..count {
        let client = if u.ratio(1, 30)? { u.arbitrary()? } else { u.int_in_range(0..=12)? };
        let clock = if u.ratio(1, 10)? { *u.choose(&CLOCKS)? } else { u.int_in_range(0..=20)? };
        out.n(client);
        out.n(clock);
        if u.ratio(1, 20)? {
            out.s(&"[".repeat(u.int_in_range(1..=40)?));
        } else {
            // Well-formed ones first: whatever is left of the bytes decides.
            let at = u.int_in_range(0..=15)?;
            out.s(STATES[if at < 8 { at } else { at % 3 }]);
        }
    }
    Ok(out.0)
}

/// The entries of an update that presence wrote: client, clock, whether it is here.
fn entries(update: &[u8]) -> Vec<(u64, u32, bool)> {
    let mut rest = update;
    let number = |rest: &mut &[u8]| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let (byte, after) = rest.split_first().expect("an entry is complete");
            *rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    let count = number(&mut rest);
    let mut entries = Vec::new();
    for _ in 0..count {
        let client = number(&mut rest);
        let clock = u32::try_from(number(&mut rest)).expect("clocks have 32 bits");
        let len = number(&mut rest) as usize;
        let (state, after) = rest.split_at(len);
        rest = after;
        entries.push((client, clock, state != b"null"));
    }
    assert!(rest.is_empty(), "bytes after the end");
    entries
}
