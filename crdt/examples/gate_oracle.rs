//! What this server says about updates, for tests that ask other Yjs libraries the same: `tests/differential/`.
//!
//! Standard input is a row of requests: one byte, a length (32 bits, little endian), so many bytes. Each is answered by
//! one line of JSON.
//!
//! | byte | request | answer |
//! |---|---|---|
//! | `N` | begin anew with an empty document | `{}` |
//! | `A` | apply this update for good, if it is clean | as `U` |
//! | `U` | judge this update | see [`Answer`]; the document stays as it is |
//! | `G` | judge it without yrs, which died of it | as `U` |
//! | `V` | judge this state vector | `gate`, `why`, and `diff`: hexadecimal, what the document would answer |

#![expect(clippy::unwrap_used, reason = "a tool of the tests: a broken request ends it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use atlas_crdt::design::DesignDoc;
use atlas_crdt::gate::{Placed, Places, Refusal, Verdict as Gate, clock_of, scan_state_vector, scan_update};
use atlas_crdt::ids::ClientId;
use atlas_crdt::limits::UPDATE_BYTES_MAX;
use atlas_crdt::schema::ROOTS;
use serde_json::{Value, json};
use yrs::branch::BranchPtr;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ArrayRef, Doc, GetString, Map, Number, OffsetKind, Options, Out, ReadTxn, StateVector,
    TextRef, Transact, Update,
};

/// yrs recurses as deep as the bytes say; the tests keep them short enough for this.
const STACK_BYTES: usize = 512 << 20;
const READER: u64 = 99;

/// The answer to an update.
#[derive(Debug, serde::Serialize)]
struct Answer {
    /// `clean`, `gap` or `refused`.
    gate: &'static str,
    /// Why it was refused, as words.
    why: String,
    /// Its stable code.
    code: String,
    /// `ok`, `pending` (something is missing), or how yrs failed; `unasked` where it would reserve memory as
    /// told, or nobody wanted to know.
    yrs: &'static str,
    /// Only where the update is clean and yrs took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
}

/// The one place that asks the gate.
enum Verdict {
    Clean(Placed),
    Gap,
    Refused(Refusal),
}

fn judge(bytes: &[u8], state: &StateVector, index: &Places) -> Verdict {
    let scan = match scan_update(bytes, UPDATE_BYTES_MAX) {
        Ok(scan) => scan,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    match scan.judge(bytes, |client| clock_of(state, client), index) {
        Gate::Gap { .. } => Verdict::Gap,
        Gate::Clean(placed) => Verdict::Clean(placed),
        Gate::Refused(refusal) => Verdict::Refused(refusal),
    }
}

/// The document that requests are about.
#[derive(Default)]
struct Session {
    updates: Vec<Vec<u8>>,
    state: StateVector,
    index: Places,
}

impl Session {
    fn update(&mut self, bytes: &[u8], keep: bool, ask_yrs: bool) -> Answer {
        let verdict = judge(bytes, &self.state, &self.index);
        let (gate, why, code) = match &verdict {
            Verdict::Clean(_) => ("clean", String::new(), String::new()),
            Verdict::Gap => ("gap", String::new(), "gap".to_owned()),
            Verdict::Refused(refusal) => ("refused", refusal.to_string(), refusal.code().as_str().to_owned()),
        };
        if why.contains("count is larger") || !ask_yrs {
            return Answer { gate, why, code, yrs: "unasked", content: None };
        }
        let (yrs, content) = self.ask_yrs(bytes, matches!(verdict, Verdict::Clean(_)));
        if let (Verdict::Clean(placed), true, "ok") = (verdict, keep, yrs) {
            self.state = self.document(&[bytes]).unwrap().state_vector();
            self.index.note(placed, bytes);
            self.updates.push(bytes.to_vec());
        }
        Answer { gate, why, code, yrs, content }
    }

    /// The server's own document, with these updates on top.
    fn document(&self, more: &[&[u8]]) -> Result<DesignDoc, String> {
        let kept = self.updates.iter().map(|update| &update[..]);
        let mut doc = DesignDoc::load(ClientId::new(READER), kept).map_err(|fault| fault.to_string())?;
        for update in more {
            doc.apply(&[update], false).map_err(|fault| fault.to_string())?;
        }
        Ok(doc)
    }

    /// What yrs alone makes of it.
    fn ask_yrs(&self, bytes: &[u8], is_clean: bool) -> (&'static str, Option<Value>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let doc = new_document();
            for update in &self.updates {
                doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            }
            let Ok(update) = Update::decode_v1(bytes) else { return ("undecodable", None) };
            let mut txn = doc.transact_mut();
            if txn.apply_update(update).is_err() {
                return ("misplaced", None);
            }
            if txn.has_missing_updates() {
                return ("pending", None);
            }
            drop(txn);
            ("ok", is_clean.then(|| content(&doc)))
        }));
        let (verdict, content) = outcome.unwrap_or(("panicked", None));
        if is_clean && verdict == "ok" {
            // The server's own way comes to the same.
            let Ok(ours) = self.document(&[bytes]) else { return ("only yrs alone takes it", content) };
            let again = catch_unwind(AssertUnwindSafe(|| {
                let again = new_document();
                let update = Update::decode_v1(&ours.encode()).ok()?;
                again.transact_mut().apply_update(update).ok()?;
                Some(self::content(&again))
            }));
            match again {
                Ok(Some(again)) if content.as_ref() == Some(&again) => {}
                Ok(Some(_)) => return ("encoded anew it is another document", content),
                _ => return ("encoded anew it cannot be read", content),
            }
        }
        (verdict, content)
    }

    fn state_vector(&self, bytes: &[u8]) -> Value {
        match scan_state_vector(bytes) {
            Err(refusal) => json!({"gate": "refused", "why": refusal.to_string()}),
            Ok(state) => {
                let diff = self.document(&[]).unwrap().diff_since(&state);
                json!({"gate": "clean", "why": "", "diff": hex(&diff)})
            }
        }
    }
}

fn new_document() -> Doc {
    let mut options = Options::with_client_id(yrs::ClientID::new(READER));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    for root in ROOTS {
        doc.get_or_insert_map(root);
    }
    doc
}

/// What the four roots show, the clocks, and what is deleted, in a form that every library can tell:
///
/// - a number is `n:` and the 16 hexadecimal digits of its 64-bit float, without a sign on zero, also if it is a big
///   integer that such a float can hold (yrs writes it as one); any other is `i:` and its digits; text is `s:` and the
///   text, bytes `b:` and their digits, undefined `u:`;
/// - a shared type is an object with one key: `$map`, `$array` or `$text`; a list with text of its own right, as no
///   client writes it, is `["text"]`.
fn content(doc: &Doc) -> Value {
    let txn = doc.transact();
    let roots: serde_json::Map<String, Value> = ROOTS
        .iter()
        .map(|root| ((*root).to_owned(), shared(&txn, Out::YMap(txn.get_map(*root).unwrap()))))
        .collect();
    let snapshot = txn.snapshot();
    let clocks: BTreeMap<String, u32> =
        snapshot.state_map.iter().map(|(client, clock)| (client.get().to_string(), *clock)).collect();
    let deleted: BTreeMap<String, Vec<(u32, u32)>> = snapshot
        .delete_set
        .iter()
        .map(|(client, ranges)| {
            (client.get().to_string(), joined(ranges.iter().map(|one| (one.start, one.end))))
        })
        .collect();
    json!({"roots": roots, "clocks": clocks, "deleted": deleted})
}

/// Ranges that touch, as one.
fn joined(ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => joined.push((start, end)),
        }
    }
    joined
}

fn shared<T: ReadTxn>(txn: &T, out: Out) -> Value {
    match out {
        Out::Any(any) => plain(&any),
        Out::YMap(map) => {
            let keys: Vec<String> = map.keys(txn).map(str::to_owned).collect();
            let entries: serde_json::Map<String, Value> = keys
                .into_iter()
                .filter_map(|key| map.get(txn, &key).map(|value| (key, shared(txn, value))))
                .collect();
            json!({"$map": entries})
        }
        // Text that stands in a list of its own right: yrs would iterate over it for ever (see the core's view).
        Out::YArray(array) if holds_text(txn, &array) => json!({"$array": ["text"]}),
        Out::YArray(array) => {
            let values: Vec<Value> = array.iter(txn).map(|value| shared(txn, value)).collect();
            json!({"$array": values})
        }
        Out::YText(text) => json!({"$text": text.get_string(txn)}),
        _ => json!({"$other": {}}),
    }
}

fn holds_text<T: ReadTxn>(txn: &T, array: &ArrayRef) -> bool {
    !TextRef::from(BranchPtr::from(array.as_ref())).get_string(txn).is_empty()
}

fn plain(any: &Any) -> Value {
    match any {
        Any::Null => Value::Null,
        Any::Undefined => json!("u:"),
        Any::Bool(value) => json!(value),
        Any::Number(Number::Int(value)) => integer(*value),
        Any::Number(Number::Float(value)) => number(*value),
        Any::String(text) => json!(format!("s:{text}")),
        Any::Buffer(bytes) => json!(format!("b:{}", hex(bytes))),
        Any::Array(values) => Value::Array(values.iter().map(plain).collect()),
        Any::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
    }
}

fn integer(value: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "what is lost is looked at")]
    let float = value as f64;
    #[expect(clippy::cast_possible_truncation, reason = "128 bits hold whatever 64 bits round to")]
    let is_exact = float as i128 == i128::from(value);
    if is_exact { number(float) } else { json!(format!("i:{value}")) }
}

fn number(value: f64) -> Value {
    if value.is_nan() {
        return json!("n:nan");
    }
    let value = if value == 0.0 { 0.0 } else { value };
    json!(format!("n:{:016x}", value.to_bits()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn serve() {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut session = Session::default();
    let mut head = [0; 5];
    while input.read_exact(&mut head).is_ok() {
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let mut bytes = vec![0; len as usize];
        input.read_exact(&mut bytes).unwrap();
        let answer = match head[0] {
            b'N' => {
                session = Session::default();
                json!({})
            }
            b'A' => json!(session.update(&bytes, true, true)),
            b'U' => json!(session.update(&bytes, false, true)),
            b'G' => json!(session.update(&bytes, false, false)),
            b'V' => session.state_vector(&bytes),
            other => panic!("no such request: {other}"),
        };
        writeln!(output, "{answer}").unwrap();
        output.flush().unwrap();
    }
}

fn main() {
    // What panics is told in the answer.
    std::panic::set_hook(Box::new(|_| {}));
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(serve).unwrap();
    if worker.join().is_err() {
        std::process::exit(1);
    }
}
