//! What a node says of itself.

use atlas_crdt::view::Element;
use serde_json::{Map, Value};

use super::text::{folded, is_said, short};
use crate::analysis::model::Flag;
use crate::analysis::tables::flags::{self, Reading};

/// One thing that a node says.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<'a> {
    pub flag: Flag,
    /// Where it stands: `data.securityFlags.hasBackup`.
    pub key: String,
    pub value: &'a Value,
    pub says: bool,
}

impl Statement<'_> {
    /// The value as evidence shows it.
    #[must_use]
    pub fn shown(&self) -> String {
        short(self.value)
    }
}

/// The places where flags stand, the strongest first.
const PLACES: [&str; 3] = ["securityFlags", "", "security"];
/// Levels of objects that are read: `encryption: {atRest: …}`.
const DEPTH_MAX: usize = 2;

/// For each flag that is spoken of the statement that counts, in the order of the flags.
#[must_use]
pub fn statements(element: &Element) -> Vec<Statement<'_>> {
    let mut all = all_statements(element);
    // Several replicas are several, however many other keys say that there is no second zone.
    let place =
        |statement: &Statement<'_>| (statement.flag, statement.flag == Flag::Replicated && !statement.says);
    all.sort_by(|(a_rank, a), (b_rank, b)| place(a).cmp(&place(b)).then_with(|| a_rank.cmp(b_rank)));
    all.dedup_by_key(|(_, statement)| statement.flag);
    all.into_iter().map(|(_, statement)| statement).collect()
}

/// Flags of which a node says both yes and no, each with the strongest statement of either kind. Free text about security
/// (`data.security`) is not asked, and that something is logged does not say that it is an audit.
#[must_use]
pub fn contradictions(element: &Element) -> Vec<[Statement<'_>; 2]> {
    let mut all = all_statements(element);
    all.retain(|((strength, _, key), statement)| {
        let key = folded(key.rsplit('.').next().unwrap_or_default());
        *strength < PLACES.len() - 1
            && statement.flag != Flag::Replicated
            && !["logging", "loggingenabled"].contains(&key.as_str())
    });
    all.sort_by(|(a_rank, a), (b_rank, b)| a.flag.cmp(&b.flag).then_with(|| a_rank.cmp(b_rank)));
    let mut found = Vec::new();
    for same in all.chunk_by(|(_, a), (_, b)| a.flag == b.flag) {
        let (_, first) = &same[0];
        if let Some((_, other)) = same.iter().find(|(_, other)| other.says != first.says) {
            found.push([first.clone(), other.clone()]);
        }
    }
    found
}

type Rank = (usize, usize, String);

/// Everything that is said, with how much it counts.
fn all_statements(element: &Element) -> Vec<(Rank, Statement<'_>)> {
    let mut found = Vec::new();
    let Some(data) = super::data(element) else { return found };
    for (strength, place) in PLACES.iter().enumerate() {
        let (object, path) = if place.is_empty() {
            (Some(data), "data".to_owned())
        } else {
            (data.get(*place).and_then(Value::as_object), format!("data.{place}"))
        };
        if let Some(object) = object {
            collect(object, &path, "", strength, 1, &mut found);
        }
    }
    found
}

fn collect<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    outer: &str,
    strength: usize,
    depth: usize,
    found: &mut Vec<(Rank, Statement<'a>)>,
) {
    for (key, value) in object {
        if !is_said(value) {
            continue;
        }
        let folded = format!("{outer}{}", folded(key));
        for (row, flag, reading) in flags::of_key(&folded) {
            let says =
                read(*reading, value).filter(|says| *says || !flags::ONLY_YES.contains(&folded.as_str()));
            if let Some(says) = says {
                let key = format!("{path}.{key}");
                found.push(((strength, *row, key.clone()), Statement { flag: *flag, key, value, says }));
            }
        }
        // `encryption: {atRest: true, inTransit: true}`.
        if depth < DEPTH_MAX
            && folded == "encryption"
            && let Some(inner) = value.as_object()
        {
            collect(inner, &format!("{path}.{key}"), "", strength, depth + 1, found);
        }
    }
}

fn read(reading: Reading, value: &Value) -> Option<bool> {
    match reading {
        Reading::YesNo => yes_or_no(value),
        Reading::Not => yes_or_no(value).map(|says| !says),
        Reading::Present => present(value),
        Reading::Several => number(value).map(|count| 1.0 < count),
        Reading::Further => number(value).map(|count| 0.0 < count),
        Reading::Network => {
            yes_or_no(value).or_else(|| word_of(value, flags::NETWORK_PUBLIC, flags::NETWORK_PRIVATE))
        }
        Reading::Secrets => match value {
            Value::Bool(says) => Some(*says),
            _ => word_of(value, flags::SECRETS_MANAGED, flags::SECRETS_EXPOSED),
        },
        Reading::Classification => word_of(value, flags::RESTRICTED, flags::UNRESTRICTED),
        Reading::Environment => word_of(value, flags::NOT_PRODUCTION, flags::PRODUCTION).map(|says| !says),
        Reading::AtRest => match value {
            Value::Bool(says) => Some(*says),
            Value::String(text) if is_no(text) => Some(false),
            _ => word_of(value, flags::AT_REST, &[]),
        },
        Reading::InTransit => {
            let encryption = crate::analysis::tables::encryption::of(value.as_str()?)?;
            Some(encryption.is_encrypted())
        }
    }
}

fn yes_or_no(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(says) => Some(*says),
        Value::Number(_) => number(value).map(|number| number != 0.0),
        Value::String(text) => {
            let word = first_word(text);
            if flags::YES.contains(&word.as_str()) { Some(true) } else { is_no(text).then_some(false) }
        }
        Value::Object(entries) => entries.get("enabled").and_then(yes_or_no),
        Value::Array(_) | Value::Null => None,
    }
}

fn present(value: &Value) -> Option<bool> {
    yes_or_no(value).or_else(|| match value {
        Value::String(text) => (!flags::SILENT.contains(&first_word(text).as_str())).then_some(true),
        Value::Array(_) | Value::Object(_) => Some(true),
        _ => None,
    })
}

fn is_no(text: &str) -> bool {
    flags::NO.contains(&first_word(text).as_str())
}

fn first_word(text: &str) -> String {
    let word = text.split(|c: char| c.is_whitespace() || c == '(' || c == ',' || c == ':' || c == ';');
    word.map(str::to_lowercase).find(|word| !word.is_empty()).unwrap_or_default()
}

/// `true`: one of the words of `yes` stands in the text; `false`: one of `no` does, and none of `yes`.
fn word_of(value: &Value, yes: &[&str], no: &[&str]) -> Option<bool> {
    let text = value.as_str()?.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    if words.clone().any(|word| yes.contains(&word)) {
        return Some(true);
    }
    words.any(|word| no.contains(&word)).then_some(false)
}

/// A number, or the first number of a text: "3-10 (HPA)".
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        }
        Value::Array(values) => u32::try_from(values.len()).ok().map(f64::from),
        _ => None,
    }
}
