//! The messages on a socket: a total codec for y-protocols and for what `atlas.v1` adds.
//!
//! One WebSocket message is one protocol message. Formats: y-protocols `sync.js` (type 0 with step 1, step 2 and
//! update), `awareness.js` (type 1), `auth.js` (type 2), y-websocket's query of awareness (type 3); our own are
//! `Saved` (120), `Notice` (121) and `Renew` (122). All integers and lengths are lib0's; see `lib0.rs`.
//!
//! Reading never panics, never allocates by a number found in the bytes, and payloads are slices of the message.
//! A slice keeps the whole message alive: who keeps a small payload for long copies it.

use bytes::Bytes;

use crate::ids::{AnalysisId, Epoch, Seq};
use crate::lib0::{Fault, Reader, write_var_bytes, write_var_str, write_var_uint};
use crate::limits::{
    AWARENESS_BYTES_MAX, AWARENESS_STATE_BYTES_MAX, DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX, RENEW_BYTES_MAX,
    STATE_VECTOR_BYTES_MAX, UPDATE_BYTES_MAX,
};
use crate::roles::DesignRole;

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const SAVED: u64 = 120;
const NOTICE: u64 = 121;
const RENEW: u64 = 122;

const SYNC_STEP_1: u64 = 0;
const SYNC_STEP_2: u64 = 1;
const SYNC_UPDATE: u64 = 2;

const AUTH_PERMISSION_DENIED: u64 = 0;

/// One client message. Payloads are slices of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// 0/0: what the client has, as a state vector.
    SyncStep1 { state_vector: Bytes },
    /// 0/1: what the server's `SyncStep1` showed to be missing.
    SyncStep2 { update: Bytes },
    /// 0/2: an edit.
    Update { update: Bytes },
    /// 1: an awareness update.
    Awareness { update: Bytes },
    /// 3: asks for everybody's awareness.
    QueryAwareness,
    /// 122: a new credential for the open socket.
    Renew { token: String },
    /// Anything else: to be ignored, so that newer clients can talk to older servers.
    Unknown { kind: u64 },
}

/// One server message, as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFrame {
    SyncStep1 {
        state_vector: Bytes,
    },
    SyncStep2 {
        update: Bytes,
    },
    Update {
        update: Bytes,
    },
    Awareness {
        update: Bytes,
    },
    QueryAwareness,
    /// 2/0: what stock clients get in place of a `refused` notice.
    PermissionDenied {
        reason: String,
    },
    /// 120: so many document messages of this socket are durable.
    Saved(u64),
    /// 121: see [`Notice`].
    Notice(serde_json::Value),
    Unknown {
        kind: u64,
    },
}

/// Why a message was not understood. Both end the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    #[error("{what} of {len} bytes, at most {max} are allowed")]
    TooLarge { what: &'static str, len: usize, max: usize },
}

impl WireError {
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Malformed(_) => CloseCode::Malformed,
            Self::TooLarge { .. } => CloseCode::TooLarge,
        }
    }
}

impl From<Fault> for WireError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(match fault {
            Fault::End => "it ends too early",
            Fault::IntegerRange => "an integer is out of range",
            Fault::IntegerForm => "an integer is written longer than needed",
            Fault::Utf8 => "a string is not UTF-8",
        })
    }
}

/// Why the server closes a socket. y-websocket takes 4400 to 4499 as final and stops for ever, therefore what may
/// pass (1012, 1013) is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum CloseCode {
    /// The pod is going away; for stock clients also: the credential expired. Reconnect.
    Restarting = 1012,
    /// Too much at once, or the store is in trouble. Reconnect later.
    Overloaded = 1013,
    Malformed = 4400,
    Unauthorised = 4401,
    Forbidden = 4403,
    /// Never existed, or was deleted.
    NoSuchDesign = 4404,
    /// `atlas.v1` only: renew and connect again.
    CredentialExpired = 4408,
    /// The document was reset or the client id is spent: reload.
    Reset = 4409,
    TooLarge = 4413,
}

impl CloseCode {
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self as u16
    }
}

/// Why a document message was refused: stable words that clients may switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The sender's role does not permit it.
    NotPermitted,
    /// Something that the update builds on is nowhere to be found.
    Gap,
    TooLarge,
    /// More of something than a document may hold.
    TooMany,
    TooDeep,
    Malformed,
    /// Well-formed Yjs that a design does not hold, such as subdocuments or XML.
    Unsupported,
    /// Written under a client id that belongs to somebody else.
    ForeignClient,
    /// Written under a client id of which an earlier update was refused.
    SpentClient,
    /// Written under a client id that a reset has retired.
    RetiredClient,
    /// The design breaks a limit of this server and may only be read.
    ReadOnly,
    /// The document could not take it.
    Rejected,
    /// Not about a document message: a `Renew` brought a credential that is not good. The old one still counts.
    BadCredential,
}

impl RefusalCode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotPermitted => "not_permitted",
            Self::Gap => "gap",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::TooDeep => "too_deep",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::ForeignClient => "foreign_client",
            Self::SpentClient => "spent_client",
            Self::RetiredClient => "retired_client",
            Self::ReadOnly => "read_only",
            Self::Rejected => "rejected",
            Self::BadCredential => "bad_credential",
        }
    }
}

/// What a client may send, told in [`Notice::Hello`]. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NoticeLimits {
    pub update_bytes_max: usize,
    pub document_bytes_max: usize,
    pub awareness_bytes_max: usize,
    pub awareness_state_bytes_max: usize,
}

impl Default for NoticeLimits {
    /// The hard ceilings.
    fn default() -> Self {
        Self {
            update_bytes_max: UPDATE_BYTES_MAX,
            document_bytes_max: DOCUMENT_BYTES_MAX,
            awareness_bytes_max: AWARENESS_BYTES_MAX,
            awareness_state_bytes_max: AWARENESS_STATE_BYTES_MAX,
        }
    }
}

/// What the server tells `atlas.v1` clients beside the document: JSON `{"type": …, …}`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "type")]
pub enum Notice {
    /// The first message on a socket.
    #[serde(rename = "hello")]
    Hello {
        role: DesignRole,
        epoch: Epoch,
        seq: Seq,
        limits: NoticeLimits,
        /// Why nobody may change the design, whatever the role.
        #[serde(skip_serializing_if = "Option::is_none")]
        read_only: Option<String>,
    },
    /// A document message was refused. `reset`: the client id is spent, rebuild under a new one.
    #[serde(rename = "refused")]
    Refused { message: String, code: RefusalCode, reset: bool },
    #[serde(rename = "role.changed")]
    RoleChanged { role: DesignRole },
    /// The store is in trouble: nothing is acknowledged until it is healthy again.
    #[serde(rename = "store.degraded")]
    StoreDegraded,
    #[serde(rename = "store.healthy")]
    StoreHealthy,
    /// The pod is going away; reconnect after so many milliseconds.
    #[serde(rename = "restarting")]
    Restarting { retry_after_ms: u64 },
    #[serde(rename = "deleted")]
    Deleted,
    /// The new credential was accepted and lives for so many seconds.
    #[serde(rename = "renewed")]
    Renewed { expires_in: u64 },
    /// The rules are being run on the design as it stood there.
    #[serde(rename = "analysis.started")]
    AnalysisStarted { seq: Seq },
    /// There is something new to be read about the design's security.
    #[serde(rename = "analysis.completed")]
    AnalysisCompleted(AnalysisBrief),
}

/// The newest analysis of a design in brief, with what people decided about its findings.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AnalysisBrief {
    pub analysis_id: AnalysisId,
    /// 0.0 to 10.0.
    pub security_score: f64,
    pub grade: String,
    /// Of the worst finding that counts.
    pub severity: Option<String>,
    /// Known attributes among all, 0 to 1.
    pub coverage: f64,
    pub findings_count: u64,
    pub seq: Seq,
}

/// Reads one client message. Total: every byte string gives a frame or an error. Bytes after the end of a known
/// message are malformed; of unknown types nothing but the type is read.
pub fn decode(message: &Bytes) -> Result<ClientFrame, WireError> {
    within("a message", message.len(), MESSAGE_BYTES_MAX)?;
    let mut reader = Reader::new(message);
    let frame = match reader.var_uint()? {
        SYNC => match reader.var_uint()? {
            SYNC_STEP_1 => ClientFrame::SyncStep1 {
                state_vector: payload(message, &mut reader, "a state vector", STATE_VECTOR_BYTES_MAX)?,
            },
            SYNC_STEP_2 => ClientFrame::SyncStep2 {
                update: payload(message, &mut reader, "a SyncStep2", DOCUMENT_BYTES_MAX)?,
            },
            SYNC_UPDATE => {
                ClientFrame::Update { update: payload(message, &mut reader, "an Update", UPDATE_BYTES_MAX)? }
            }
            _ => return Err(WireError::Malformed("an unknown step of the sync protocol")),
        },
        AWARENESS => ClientFrame::Awareness {
            update: payload(message, &mut reader, "an awareness update", AWARENESS_BYTES_MAX)?,
        },
        QUERY_AWARENESS => ClientFrame::QueryAwareness,
        RENEW => {
            within("a Renew", message.len(), RENEW_BYTES_MAX)?;
            ClientFrame::Renew { token: reader.var_str()?.to_owned() }
        }
        kind => return Ok(ClientFrame::Unknown { kind }),
    };
    finished(&reader).map(|()| frame)
}

/// Reads one server message. The counterpart of the functions below, for tests, the simulation and load
/// generators; no size limits, since a client trusts its server with those.
pub fn decode_server(message: &Bytes) -> Result<ServerFrame, WireError> {
    let mut reader = Reader::new(message);
    let bytes = |reader: &mut Reader<'_>| payload(message, reader, "a payload", usize::MAX);
    let frame = match reader.var_uint()? {
        SYNC => match reader.var_uint()? {
            SYNC_STEP_1 => ServerFrame::SyncStep1 { state_vector: bytes(&mut reader)? },
            SYNC_STEP_2 => ServerFrame::SyncStep2 { update: bytes(&mut reader)? },
            SYNC_UPDATE => ServerFrame::Update { update: bytes(&mut reader)? },
            _ => return Err(WireError::Malformed("an unknown step of the sync protocol")),
        },
        AWARENESS => ServerFrame::Awareness { update: bytes(&mut reader)? },
        AUTH => match reader.var_uint()? {
            AUTH_PERMISSION_DENIED => ServerFrame::PermissionDenied { reason: reader.var_str()?.to_owned() },
            _ => return Err(WireError::Malformed("an unknown kind of auth message")),
        },
        QUERY_AWARENESS => ServerFrame::QueryAwareness,
        SAVED => ServerFrame::Saved(reader.var_uint()?),
        NOTICE => ServerFrame::Notice(
            serde_json::from_str(reader.var_str()?)
                .map_err(|_| WireError::Malformed("a notice is not JSON"))?,
        ),
        kind => return Ok(ServerFrame::Unknown { kind }),
    };
    finished(&reader).map(|()| frame)
}

/// Writes one client message. An `Unknown` frame becomes its bare type.
#[must_use]
pub fn encode_client(frame: &ClientFrame) -> Bytes {
    match frame {
        ClientFrame::SyncStep1 { state_vector } => sync_step1(state_vector),
        ClientFrame::SyncStep2 { update } => sync_step2(update),
        ClientFrame::Update { update: bytes } => update(bytes),
        ClientFrame::Awareness { update } => awareness(update),
        ClientFrame::QueryAwareness => head(&[QUERY_AWARENESS], 0).into(),
        ClientFrame::Renew { token } => text(&[RENEW], token),
        ClientFrame::Unknown { kind } => head(&[*kind], 0).into(),
    }
}

/// 0/0: asks for what the state vector does not cover.
#[must_use]
pub fn sync_step1(state_vector: &[u8]) -> Bytes {
    blob(&[SYNC, SYNC_STEP_1], state_vector)
}

/// 0/1: the answer to a `SyncStep1`.
#[must_use]
pub fn sync_step2(update: &[u8]) -> Bytes {
    blob(&[SYNC, SYNC_STEP_2], update)
}

/// 0/2: an edit.
#[must_use]
pub fn update(update: &[u8]) -> Bytes {
    blob(&[SYNC, SYNC_UPDATE], update)
}

/// 1: an awareness update.
#[must_use]
pub fn awareness(update: &[u8]) -> Bytes {
    blob(&[AWARENESS], update)
}

/// 120: the first `n` document messages of this socket are dealt with.
#[must_use]
pub fn saved(n: u64) -> Bytes {
    head(&[SAVED, n], 0).into()
}

/// 121: see [`Notice`].
#[must_use]
pub fn notice(notice: &Notice) -> Bytes {
    #[expect(clippy::expect_used, reason = "words, numbers and strings under fixed keys always serialise")]
    let json = serde_json::to_string(notice).expect("a notice is plain data");
    text(&[NOTICE], &json)
}

/// 2/0: what stock clients get in place of a `refused` notice.
#[must_use]
pub fn permission_denied(reason: &str) -> Bytes {
    text(&[AUTH, AUTH_PERMISSION_DENIED], reason)
}

/// The leading integers of a message, with room for a payload of `len` bytes behind them.
fn head(numbers: &[u64], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + len);
    for number in numbers {
        write_var_uint(&mut out, *number);
    }
    out
}

fn blob(numbers: &[u64], bytes: &[u8]) -> Bytes {
    let mut out = head(numbers, bytes.len());
    write_var_bytes(&mut out, bytes);
    out.into()
}

fn text(numbers: &[u64], text: &str) -> Bytes {
    let mut out = head(numbers, text.len());
    write_var_str(&mut out, text);
    out.into()
}

fn payload(
    message: &Bytes,
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
) -> Result<Bytes, WireError> {
    let len = reader.var_bytes()?.len();
    within(what, len, max)?;
    let end = message.len() - reader.remaining();
    Ok(message.slice(end - len..end))
}

const fn within(what: &'static str, len: usize, max: usize) -> Result<(), WireError> {
    if len <= max { Ok(()) } else { Err(WireError::TooLarge { what, len, max }) }
}

fn finished(reader: &Reader<'_>) -> Result<(), WireError> {
    if reader.is_empty() { Ok(()) } else { Err(WireError::Malformed("bytes after its end")) }
}

#[cfg(test)]
mod tests;
