//! Messages as bytes, for a bus that leaves the process.
//!
//! Numbers are big-endian. A message begins with its version (1), its kind and the pod that says it (8 bytes); what
//! follows depends on the kind. Decoding is total: whatever arrives, it is a message or an [`Undecodable`], and no
//! more is ever allocated than what arrived. A pod of a later version may say what this one does not know: it is
//! skipped and counted, and the log repairs what was missed.

use atlas_crdt::ids::{ClientId, Generation, PodId, Seq, SessionId, UserId};
use atlas_crdt::limits::{AWARENESS_BYTES_PER_ROOM_MAX, AWARENESS_STATES_PER_ROOM_MAX, UPDATE_BYTES_MAX};
use atlas_crdt::room::Claim;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{AnalysisWord, BusMessage, PodMessage, PodWord, Word};

const VERSION: u8 = 1;

const COMMIT: u8 = 1;
const COMMIT_ELSEWHERE: u8 = 2;
const PRESENCE: u8 = 3;
const ASK_PRESENCE: u8 = 4;
const DIGEST: u8 = 5;
const NOTICE: u8 = 6;
const ANALYSIS_STARTED: u8 = 7;
const ANALYSIS_COMPLETED: u8 = 8;
const ALIVE: u8 = 129;
const BYE: u8 = 130;
const SESSION_REVOKED: u8 = 131;
const WORK_WAITS: u8 = 132;

/// Version, kind and pod.
const HEAD_BYTES: usize = 10;
/// A client id, and that it is nobody's.
const CLAIM_BYTES_MIN: usize = 9;
/// A client id and its user.
const USER_BYTES: usize = 24;
/// Room for the numbers and the claims of a usual message.
const ENVELOPE_BYTES: usize = 64 << 10;

/// Bytes. A commit that is larger travels without its update: the log has it. The largest frame of a client fits.
const COMMIT_BYTES_MAX: usize = UPDATE_BYTES_MAX + ENVELOPE_BYTES;
/// Bytes. Everybody who is in a room fits. What is larger does not travel, and is no message.
pub(super) const MESSAGE_BYTES_MAX: usize =
    AWARENESS_BYTES_PER_ROOM_MAX + AWARENESS_STATES_PER_ROOM_MAX * USER_BYTES + ENVELOPE_BYTES;
const _: () = assert!(COMMIT_BYTES_MAX <= MESSAGE_BYTES_MAX);

/// The bytes are no message of a version that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this version")]
pub(super) struct Undecodable;

/// `None`: it is larger than any honest one, and does not travel.
pub(super) fn encode(message: &BusMessage) -> Option<Bytes> {
    let bytes = HEAD_BYTES + size(&message.word);
    if let Word::Commit { generation, seq, .. } = message.word
        && COMMIT_BYTES_MAX < bytes
    {
        let word = Word::CommitElsewhere { generation, seq };
        return encode(&BusMessage { pod: message.pod, word });
    }
    if MESSAGE_BYTES_MAX < bytes {
        return None;
    }
    let mut out = BytesMut::with_capacity(bytes);
    put_word(&mut out, message);
    debug_assert_eq!(out.len(), bytes, "the size is known before");
    Some(out.freeze())
}

/// What it takes while it waits, its numbers and claims included.
pub(super) fn size(word: &Word) -> usize {
    match word {
        Word::Commit { update, claims, .. } => {
            let claims: usize = claims.iter().map(|claim| claim_bytes(*claim)).sum();
            16 + 4 + update.len() + 4 + claims
        }
        Word::CommitElsewhere { .. } => 16,
        Word::Presence { update, users, .. } => 1 + 4 + update.len() + 4 + users.len() * USER_BYTES,
        Word::AskPresence | Word::Notice => 0,
        Word::Analysis(AnalysisWord::Started { .. } | AnalysisWord::Completed { .. }) => 8,
        Word::Digest { hash, .. } => 16 + hash.len(),
    }
}

const fn claim_bytes(claim: Claim) -> usize {
    CLAIM_BYTES_MIN + if claim.user.is_some() { 16 } else { 0 }
}

fn put_head(out: &mut BytesMut, kind: u8, pod: PodId) {
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u64(pod.get());
}

fn put_place(out: &mut BytesMut, generation: Generation, seq: Seq) {
    out.put_u64(generation.get());
    out.put_u64(seq.get());
}

fn put_word(out: &mut BytesMut, message: &BusMessage) {
    let pod = message.pod;
    match &message.word {
        Word::Commit { generation, seq, update, claims } => {
            put_head(out, COMMIT, pod);
            put_place(out, *generation, *seq);
            put_bytes(out, update);
            put_len(out, claims.len());
            for Claim { client, user } in claims {
                out.put_u64(client.get());
                out.put_u8(u8::from(user.is_some()));
                if let Some(user) = user {
                    out.put_slice(&user.to_bytes());
                }
            }
        }
        Word::CommitElsewhere { generation, seq } => {
            put_head(out, COMMIT_ELSEWHERE, pod);
            put_place(out, *generation, *seq);
        }
        Word::Presence { update, users, whole } => {
            put_head(out, PRESENCE, pod);
            out.put_u8(u8::from(*whole));
            put_bytes(out, update);
            put_len(out, users.len());
            for (client, user) in users {
                out.put_u64(client.get());
                out.put_slice(&user.to_bytes());
            }
        }
        Word::AskPresence => put_head(out, ASK_PRESENCE, pod),
        Word::Digest { generation, seq, hash } => {
            put_head(out, DIGEST, pod);
            put_place(out, *generation, *seq);
            out.put_slice(hash);
        }
        Word::Notice => put_head(out, NOTICE, pod),
        Word::Analysis(AnalysisWord::Started { seq }) => {
            put_head(out, ANALYSIS_STARTED, pod);
            out.put_u64(seq.get());
        }
        Word::Analysis(AnalysisWord::Completed { no }) => {
            put_head(out, ANALYSIS_COMPLETED, pod);
            out.put_u64(*no);
        }
    }
}

/// The message's size is below 2^32: see [`MESSAGE_BYTES_MAX`].
fn put_len(out: &mut BytesMut, len: usize) {
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.put_slice(bytes);
}

pub(super) fn encode_pod(message: &PodMessage) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + 16);
    match message.word {
        PodWord::Alive => put_head(&mut out, ALIVE, message.pod),
        PodWord::Bye => put_head(&mut out, BYE, message.pod),
        PodWord::WorkWaits => put_head(&mut out, WORK_WAITS, message.pod),
        PodWord::SessionRevoked(session) => {
            put_head(&mut out, SESSION_REVOKED, message.pod);
            out.put_slice(&session.to_bytes());
        }
    }
    out.freeze()
}

/// What is kept of it is copied: a slice would keep all that arrived with it.
pub(super) fn decode(bytes: &[u8]) -> Result<BusMessage, Undecodable> {
    if MESSAGE_BYTES_MAX < bytes.len() {
        return Err(Undecodable);
    }
    let mut wire = Wire(bytes);
    let (kind, pod) = wire.head()?;
    let word = match kind {
        COMMIT => {
            let (generation, seq) = wire.place()?;
            Word::Commit { generation, seq, update: wire.bytes()?, claims: wire.claims()? }
        }
        COMMIT_ELSEWHERE => {
            let (generation, seq) = wire.place()?;
            Word::CommitElsewhere { generation, seq }
        }
        PRESENCE => {
            let whole = wire.flag()?;
            Word::Presence { update: wire.bytes()?, users: wire.users()?, whole }
        }
        ASK_PRESENCE => Word::AskPresence,
        DIGEST => {
            let (generation, seq) = wire.place()?;
            Word::Digest { generation, seq, hash: wire.array()? }
        }
        NOTICE => Word::Notice,
        ANALYSIS_STARTED => Word::Analysis(AnalysisWord::Started { seq: Seq::new(wire.number()?) }),
        ANALYSIS_COMPLETED => Word::Analysis(AnalysisWord::Completed { no: wire.number()? }),
        _ => return Err(Undecodable),
    };
    wire.end()?;
    Ok(BusMessage { pod, word })
}

pub(super) fn decode_pod(bytes: &[u8]) -> Result<PodMessage, Undecodable> {
    let mut wire = Wire(bytes);
    let (kind, pod) = wire.head()?;
    let word = match kind {
        ALIVE => PodWord::Alive,
        BYE => PodWord::Bye,
        WORK_WAITS => PodWord::WorkWaits,
        SESSION_REVOKED => PodWord::SessionRevoked(SessionId::from_bytes(wire.array()?)),
        _ => return Err(Undecodable),
    };
    wire.end()?;
    Ok(PodMessage { pod, word })
}

/// What is left to read.
struct Wire<'a>(&'a [u8]);

impl Wire<'_> {
    fn head(&mut self) -> Result<(u8, PodId), Undecodable> {
        if self.0.try_get_u8().map_err(|_| Undecodable)? != VERSION {
            return Err(Undecodable);
        }
        let kind = self.0.try_get_u8().map_err(|_| Undecodable)?;
        Ok((kind, PodId::new(self.number()?)))
    }

    fn number(&mut self) -> Result<u64, Undecodable> {
        self.0.try_get_u64().map_err(|_| Undecodable)
    }

    fn place(&mut self) -> Result<(Generation, Seq), Undecodable> {
        Ok((Generation::new(self.number()?), Seq::new(self.number()?)))
    }

    fn flag(&mut self) -> Result<bool, Undecodable> {
        match self.0.try_get_u8() {
            Ok(0) => Ok(false),
            Ok(1) => Ok(true),
            _ => Err(Undecodable),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(Undecodable)?;
        self.0 = rest;
        Ok(*array)
    }

    /// A number of things of which each takes `least` bytes. What cannot be there is not believed.
    fn len(&mut self, least: usize) -> Result<usize, Undecodable> {
        let len = self.0.try_get_u32().map_err(|_| Undecodable)?;
        let len = usize::try_from(len).map_err(|_| Undecodable)?;
        if self.0.len() / least < len {
            return Err(Undecodable);
        }
        Ok(len)
    }

    fn bytes(&mut self) -> Result<Bytes, Undecodable> {
        let len = self.len(1)?;
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn claims(&mut self) -> Result<Vec<Claim>, Undecodable> {
        let len = self.len(CLAIM_BYTES_MIN)?;
        let mut claims = Vec::with_capacity(len);
        for _ in 0..len {
            let client = ClientId::new(self.number()?);
            let user = if self.flag()? { Some(UserId::from_bytes(self.array()?)) } else { None };
            claims.push(Claim { client, user });
        }
        Ok(claims)
    }

    fn users(&mut self) -> Result<Vec<(ClientId, UserId)>, Undecodable> {
        let len = self.len(USER_BYTES)?;
        let mut users = Vec::with_capacity(len);
        for _ in 0..len {
            users.push((ClientId::new(self.number()?), UserId::from_bytes(self.array()?)));
        }
        Ok(users)
    }

    fn end(&self) -> Result<(), Undecodable> {
        if self.0.is_empty() { Ok(()) } else { Err(Undecodable) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn update() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn claim() -> impl Strategy<Value = Claim> {
        (any::<u64>(), any::<Option<u128>>()).prop_map(|(client, user)| Claim {
            client: ClientId::new(client),
            user: user.map(UserId::from_u128),
        })
    }

    fn user() -> impl Strategy<Value = (ClientId, UserId)> {
        (any::<u64>(), any::<u128>())
            .prop_map(|(client, user)| (ClientId::new(client), UserId::from_u128(user)))
    }

    fn word() -> impl Strategy<Value = Word> {
        let place = || (any::<u64>(), any::<u64>()).prop_map(|(a, b)| (Generation::new(a), Seq::new(b)));
        prop_oneof![
            (place(), update(), proptest::collection::vec(claim(), 0..5)).prop_map(
                |((generation, seq), update, claims)| Word::Commit { generation, seq, update, claims }
            ),
            place().prop_map(|(generation, seq)| Word::CommitElsewhere { generation, seq }),
            (update(), proptest::collection::vec(user(), 0..5), any::<bool>())
                .prop_map(|(update, users, whole)| Word::Presence { update, users, whole }),
            Just(Word::AskPresence),
            (place(), any::<[u8; 32]>()).prop_map(|((generation, seq), hash)| Word::Digest {
                generation,
                seq,
                hash
            }),
            Just(Word::Notice),
            any::<u64>().prop_map(|seq| Word::Analysis(AnalysisWord::Started { seq: Seq::new(seq) })),
            any::<u64>().prop_map(|no| Word::Analysis(AnalysisWord::Completed { no })),
        ]
    }

    fn pod_word() -> impl Strategy<Value = PodWord> {
        prop_oneof![
            Just(PodWord::Alive),
            Just(PodWord::Bye),
            Just(PodWord::WorkWaits),
            any::<u128>().prop_map(|id| PodWord::SessionRevoked(SessionId::from_u128(id))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_heard_and_nothing_less_and_nothing_more(pod: u64, word in word(), extra: u8) {
            let message = BusMessage { pod: PodId::new(pod), word };
            let bytes = encode(&message).unwrap();
            prop_assert_eq!(decode(&bytes), Ok(message));
            for len in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..len]), Err(Undecodable));
            }
            let longer = [&bytes[..], &[extra]].concat();
            prop_assert_eq!(decode(&longer), Err(Undecodable));
            prop_assert_eq!(decode_pod(&bytes), Err(Undecodable), "designs and pods speak apart");
        }

        #[test]
        fn pods_are_heard_alike(pod: u64, word in pod_word(), extra: u8) {
            let message = PodMessage { pod: PodId::new(pod), word };
            let bytes = encode_pod(&message);
            prop_assert_eq!(decode_pod(&bytes), Ok(message));
            for len in 0..bytes.len() {
                prop_assert_eq!(decode_pod(&bytes[..len]), Err(Undecodable));
            }
            prop_assert_eq!(decode_pod(&[&bytes[..], &[extra]].concat()), Err(Undecodable));
            prop_assert_eq!(decode(&bytes), Err(Undecodable));
        }

        #[test]
        fn whatever_arrives_is_a_message_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (decode(&bytes), decode_pod(&bytes));
        }

        /// The same, behind a head that lets it through.
        #[test]
        fn whatever_a_kind_brings_is_a_message_or_not(
            kind in 0_u8..10,
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [&[VERSION, kind][..], &[0; 8], &body].concat();
            if let Ok(message) = decode(&bytes) {
                prop_assert_eq!(&encode(&message).unwrap()[..], &bytes[..], "there is one way to say it");
            }
        }

        #[test]
        fn a_changed_byte_never_panics(word in word(), at: prop::sample::Index, to: u8) {
            let mut bytes = encode(&BusMessage { pod: PodId::new(7), word }).unwrap().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_number_that_the_wire_only_claims_is_not_believed() {
        let (generation, seq) = (Generation::new(1), Seq::new(1));
        let word = Word::Commit { generation, seq, update: Bytes::new(), claims: Vec::new() };
        let good = encode(&BusMessage { pod: PodId::new(7), word }).unwrap();
        for at in [HEAD_BYTES + 16, HEAD_BYTES + 20] {
            let mut bytes = good.to_vec();
            bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
            assert_eq!(decode(&bytes), Err(Undecodable));
        }
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let mut bytes = encode(&BusMessage { pod: PodId::new(7), word: Word::Notice }).unwrap().to_vec();
        bytes[0] = VERSION + 1;
        assert_eq!(decode(&bytes), Err(Undecodable));
    }

    #[test]
    fn a_commit_that_is_too_large_travels_without_its_bytes_and_nothing_larger_travels_at_all() {
        let (pod, generation, seq) = (PodId::new(7), Generation::new(1), Seq::new(2));
        let commit = |bytes: usize, claims: usize| {
            let claims = vec![Claim { client: ClientId::new(1), user: None }; claims];
            BusMessage {
                pod,
                word: Word::Commit { generation, seq, update: Bytes::from(vec![0; bytes]), claims },
            }
        };
        let elsewhere = BusMessage { pod, word: Word::CommitElsewhere { generation, seq } };
        let fits = COMMIT_BYTES_MAX - HEAD_BYTES - 24;
        assert_eq!(decode(&encode(&commit(fits, 0)).unwrap()), Ok(commit(fits, 0)));
        for large in [commit(fits + 1, 0), commit(32 << 20, 0), commit(0, 200_000)] {
            assert_eq!(decode(&encode(&large).unwrap()), Ok(elsewhere.clone()));
        }

        let presence = |bytes: usize| {
            let update = Bytes::from(vec![0; bytes]);
            let users = vec![(ClientId::new(1), UserId::from_u128(1)); AWARENESS_STATES_PER_ROOM_MAX];
            BusMessage { pod, word: Word::Presence { update, users, whole: true } }
        };
        let everybody = presence(AWARENESS_BYTES_PER_ROOM_MAX);
        assert_eq!(decode(&encode(&everybody).unwrap()), Ok(everybody));
        assert_eq!(encode(&presence(MESSAGE_BYTES_MAX)), None);
        assert_eq!(decode(&vec![VERSION; MESSAGE_BYTES_MAX + 1]), Err(Undecodable));
    }
}
