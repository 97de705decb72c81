//! From the shared types to plain data: an iterative walk with bounded depth.
//!
//! Not yrs's own `to_json`: that one recurses as deep as the document is nested. Two more of its doors stay shut here: the
//! iterator of a map recurses over entries without content, and the iterator of an array that holds text takes quadratic
//! time, or for ever when a character is outside the basic plane (yrs 0.28.1).

use serde_json::{Map as Json, Number, Value};
use yrs::branch::BranchPtr;
use yrs::{Any, Array, GetString, Map, MapRef, Out, ReadTxn, TextRef};

use super::{DesignView, Element, VIEW_DEPTH_MAX};
use crate::integrity::{self, Repair};
use crate::schema;

/// The largest integer up to which every integer is a JavaScript number.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

pub(crate) fn read<T: ReadTxn>(txn: &T) -> DesignView {
    let mut reader = Reader { txn, repaired: Vec::new() };
    let nodes = reader.elements(schema::NODES);
    let edges = reader.elements(schema::EDGES);
    let meta = reader.meta();
    let schema_version =
        meta.get(schema::META_SCHEMA_VERSION).and_then(Value::as_u64).unwrap_or(schema::SCHEMA_VERSION);
    let (nodes, edges, integrity) = integrity::settle(nodes, edges, reader.repaired);
    DesignView { schema_version, nodes, edges, meta, integrity }
}

struct Reader<'t, T> {
    txn: &'t T,
    repaired: Vec<Repair>,
}

/// A container that is being read.
enum Frame {
    Object { key: String, rest: std::vec::IntoIter<(String, Out)>, built: Json<String, Value> },
    List { rest: std::vec::IntoIter<Out>, built: Vec<Value> },
}

enum Opened {
    Leaf(Option<Value>),
    Frame(Frame),
}

impl<T: ReadTxn> Reader<'_, T> {
    /// The elements of one root, sorted by id. An entry that is not an object is left out and listed.
    fn elements(&mut self, root: &str) -> Vec<Element> {
        let mut elements = Vec::new();
        for (id, out) in self.root(root) {
            match self.value(&id, out) {
                Some(Value::Object(mut body)) => {
                    let inner_id = body.remove(schema::ID);
                    if let Some(was) = inner_id.filter(|inner| inner.as_str() != Some(&id)) {
                        self.repaired.push(Repair { element: id.clone(), field: schema::ID.to_owned(), was });
                    }
                    elements.push(Element { id, body });
                }
                Some(was) => self.repaired.push(Repair { element: id, field: String::new(), was }),
                None => {}
            }
        }
        elements
    }

    fn meta(&mut self) -> Json<String, Value> {
        let mut meta = Json::new();
        for (key, out) in self.root(schema::META) {
            if let Some(value) = self.value(schema::META, out) {
                meta.insert(key, value);
            }
        }
        meta
    }

    fn root(&self, name: &str) -> Vec<(String, Out)> {
        self.txn.get_map(name).map(|map| self.entries(&map)).unwrap_or_default()
    }

    /// Sorted, so that what is listed on the way comes in one order on every replica.
    fn entries(&self, map: &MapRef) -> Vec<(String, Out)> {
        let mut entries: Vec<(String, Out)> = map
            .keys(self.txn)
            .filter_map(|key| map.get(self.txn, key).map(|value| (key.to_owned(), value)))
            .collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    /// `None`: there is nothing to show.
    fn value(&mut self, element: &str, out: Out) -> Option<Value> {
        let mut stack: Vec<Frame> = Vec::new();
        let mut opened = self.open(element, out, &stack);
        loop {
            let done = match opened {
                Opened::Leaf(value) => value,
                Opened::Frame(frame) => {
                    stack.push(frame);
                    match stack.last_mut().and_then(Frame::next) {
                        Some(out) => {
                            opened = self.open(element, out, &stack);
                            continue;
                        }
                        None => stack.pop().map(Frame::finish),
                    }
                }
            };
            let Some(frame) = stack.last_mut() else { return done };
            frame.take(done);
            opened = match frame.next() {
                Some(out) => self.open(element, out, &stack),
                None => Opened::Leaf(stack.pop().map(Frame::finish)),
            };
        }
    }

    fn open(&mut self, element: &str, out: Out, stack: &[Frame]) -> Opened {
        let opened = match out {
            Out::YMap(map) => Opened::Frame(Frame::object(self.entries(&map))),
            Out::YArray(array) if holds_text(&array, self.txn) => {
                self.omit(element, stack, "an array with text inside")
            }
            Out::YArray(array) => Opened::Frame(Frame::list(array.iter(self.txn).collect())),
            Out::YText(text) => Opened::Leaf(Some(Value::String(text.get_string(self.txn)))),
            Out::Any(any) => self.open_any(element, any, stack),
            Out::YXmlElement(_) | Out::YXmlFragment(_) | Out::YXmlText(_) => {
                self.omit(element, stack, "an XML type")
            }
            Out::YDoc(_) => self.omit(element, stack, "a subdocument"),
            Out::UndefinedRef(_) => self.omit(element, stack, "a shared type of no kind"),
        };
        match opened {
            Opened::Frame(_) if VIEW_DEPTH_MAX <= stack.len() => self.omit(element, stack, "nested too deep"),
            opened => opened,
        }
    }

    fn open_any(&mut self, element: &str, any: Any, stack: &[Frame]) -> Opened {
        Opened::Leaf(Some(match any {
            Any::Undefined => return Opened::Leaf(None),
            Any::Null => Value::Null,
            Any::Bool(value) => Value::Bool(value),
            Any::Number(yrs::Number::Float(value)) => {
                number(value).unwrap_or_else(|| not_finite(value, stack))
            }
            Any::Number(yrs::Number::Int(value)) => integer(value),
            Any::String(text) => Value::String(text.to_string()),
            Any::Buffer(bytes) => {
                return self.omit(element, stack, &format!("binary, {} bytes", bytes.len()));
            }
            Any::Array(values) => {
                return Opened::Frame(Frame::list(values.iter().cloned().map(Out::Any).collect()));
            }
            Any::Map(entries) => {
                let mut entries: Vec<(String, Out)> =
                    entries.iter().map(|(key, value)| (key.clone(), Out::Any(value.clone()))).collect();
                entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                return Opened::Frame(Frame::object(entries));
            }
        }))
    }

    /// Leaves the value out and lists it with the keys that lead to it.
    fn omit(&mut self, element: &str, stack: &[Frame], was: &str) -> Opened {
        let path: Vec<String> = stack.iter().map(Frame::place).collect();
        self.repaired.push(Repair {
            element: element.to_owned(),
            field: path.join("."),
            was: Value::String(was.to_owned()),
        });
        Opened::Leaf(None)
    }
}

impl Frame {
    fn object(entries: Vec<(String, Out)>) -> Self {
        Self::Object { key: String::new(), rest: entries.into_iter(), built: Json::new() }
    }

    fn list(values: Vec<Out>) -> Self {
        Self::List { built: Vec::with_capacity(values.len()), rest: values.into_iter() }
    }

    fn next(&mut self) -> Option<Out> {
        match self {
            Self::Object { key, rest, .. } => {
                let (next_key, out) = rest.next()?;
                *key = next_key;
                Some(out)
            }
            Self::List { rest, .. } => rest.next(),
        }
    }

    fn take(&mut self, value: Option<Value>) {
        match self {
            Self::Object { key, built, .. } => {
                if let Some(value) = value {
                    built.insert(std::mem::take(key), value);
                }
            }
            // As JSON.stringify does: the places of the others must not move.
            Self::List { built, .. } => built.push(value.unwrap_or(Value::Null)),
        }
    }

    fn finish(self) -> Value {
        match self {
            Self::Object { built, .. } => Value::Object(built),
            Self::List { built, .. } => Value::Array(built),
        }
    }

    /// The key or index that is being read.
    fn place(&self) -> String {
        match self {
            Self::Object { key, .. } => key.clone(),
            Self::List { built, .. } => built.len().to_string(),
        }
    }
}

fn holds_text<T: ReadTxn>(array: &yrs::ArrayRef, txn: &T) -> bool {
    !TextRef::from(BranchPtr::from(array.as_ref())).get_string(txn).is_empty()
}

/// A JavaScript number; `None` when JSON has no word for it.
fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() <= SAFE_INTEGER_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "integral and small enough")]
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

/// yrs writes an integer as a float where that loses nothing and as a BigInt elsewhere, so the same value may come back
/// as either from another replica: what a float can hold reads as a number, always.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "that is what is being found out"
)]
fn integer(value: i64) -> Value {
    let float = value as f64;
    if float as i64 == value {
        return number(float).unwrap_or(Value::Null);
    }
    Value::String(value.to_string())
}

/// Null, as JSON.stringify has it. Inside a position its name, so that the list of repairs can say what stood there.
fn not_finite(value: f64, stack: &[Frame]) -> Value {
    let in_position = matches!(stack.first(), Some(Frame::Object { key, .. }) if key == schema::POSITION);
    if !in_position {
        return Value::Null;
    }
    Value::from(if value.is_nan() {
        "NaN"
    } else if value < 0.0 {
        "-Infinity"
    } else {
        "Infinity"
    })
}
