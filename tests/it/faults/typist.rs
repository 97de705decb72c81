//! One writer. Edit number k leaves three things in the data of the writer's own node: a mark of its own that stays, the
//! count k in place of k - 1, and a key that edit k + 1 deletes. So any state of the node says which edits made it.

use std::sync::Mutex;
use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::Client;
use atlas_loadtest::replica::{Roots, plain};
use atlas_loadtest::world::Random;
use serde_json::{Value, json};
use tokio::sync::watch;
use yrs::{Map as _, MapRef, Out, ReadTxn, TransactionMut};

/// Milliseconds between two edits: at least, and at most so many more.
const PAUSE_MS: (u64, u64) = (4, 14);
/// Edits without an acknowledgement at which a typist waits for the server. People lose patience as well.
const UNACKNOWLEDGED_MAX: u64 = 400;

/// Its client goes on with the same document over every cut.
#[derive(Debug)]
pub(crate) struct Typist {
    pub(crate) client: Client,
    /// The id of its node.
    pub(crate) node: String,
    /// The author's clock after each edit. Written by the typing alone.
    clocks: Mutex<Vec<u32>>,
}

impl Typist {
    pub(crate) fn new(client: Client) -> Self {
        let node = format!("typist-{}", client.client_id());
        Self { client, node, clocks: Mutex::new(Vec::new()) }
    }

    /// Edits so far.
    pub(crate) fn made(&self) -> u64 {
        self.clocks.lock().unwrap().len() as u64
    }

    /// All edits up to this one were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        let clock = self.client.look(|seen| seen.acknowledged_clock);
        self.clocks.lock().unwrap().partition_point(|after| *after <= clock) as u64
    }

    /// Makes the next edit and sends it if there is a socket.
    pub(crate) fn edit(&self) {
        let number = self.made() + 1;
        self.client.edit(|roots, txn| write(roots, txn, &self.node, number));
        let clock = self.client.with_replica(|replica| replica.own_clock());
        self.clocks.lock().unwrap().push(clock);
    }

    /// Edits until told to stop, online or not.
    pub(crate) async fn type_on(&self, mut random: Random, typing: watch::Receiver<bool>) {
        while *typing.borrow() {
            if self.made() < self.acknowledged() + UNACKNOWLEDGED_MAX {
                self.edit();
            }
            let pause = PAUSE_MS.0 + random.below(PAUSE_MS.1);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// How many of its edits this client sees.
    pub(crate) fn seen_by(&self, client: &Client) -> u64 {
        client.with_replica(|replica| replica.read(|roots, txn| count(roots, txn, &self.node).unwrap_or(0)))
    }
}

fn write(roots: &Roots, txn: &mut TransactionMut<'_>, node: &str, number: u64) {
    if number == 1 {
        canvas::put_node(roots, txn, node, "typing", 1.0, 2.0);
    }
    for (key, value) in [(format!("e{number}"), json!(number)), ("count".into(), json!(number))] {
        canvas::set_data(&roots.nodes, txn, node, &key, &value);
    }
    canvas::set_data(&roots.nodes, txn, node, &format!("t{number}"), &json!(true));
    if let Some(data) = data(roots, txn, node) {
        data.remove(txn, &format!("t{}", number - 1));
    }
}

fn data<T: ReadTxn>(roots: &Roots, txn: &T, node: &str) -> Option<MapRef> {
    let Some(Out::YMap(node)) = roots.nodes.get(txn, node) else { return None };
    let Some(Out::YMap(data)) = node.get(txn, "data") else { return None };
    Some(data)
}

fn count<T: ReadTxn>(roots: &Roots, txn: &T, node: &str) -> Option<u64> {
    let Some(Out::Any(count)) = data(roots, txn, node)?.get(txn, "count") else { return None };
    plain(serde_json::to_value(count).ok()?).as_u64()
}

/// How many edits made this node's `data`. `None` stands for a node that is not there.
///
/// # Errors
/// When no number of edits, one after the other and each once, leaves it so.
pub(crate) fn edits_in(data: Option<&Value>) -> Result<u64, String> {
    let Some(data) = data.and_then(Value::as_object) else { return Ok(0) };
    let count = data.get("count").and_then(Value::as_u64).ok_or("it has no count")?;
    let marks = data.iter().filter(|(key, _)| is_numbered(key, 'e')).count() as u64;
    let missing = (1..=count).find(|number| data.get(&format!("e{number}")) != Some(&json!(number)));
    if let Some(number) = missing {
        return Err(format!("edit {number} of {count} is missing"));
    }
    let passing: Vec<&String> = data.keys().filter(|key| is_numbered(key, 't')).collect();
    if marks != count || passing != [&format!("t{count}")] {
        return Err(format!("{marks} marks and {passing:?} after {count} edits"));
    }
    Ok(count)
}

fn is_numbered(key: &str, letter: char) -> bool {
    key.strip_prefix(letter)
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[tokio::test]
async fn what_is_left_says_how_many_edits_there_were_and_whether_one_is_missing() {
    use atlas_loadtest::client::{Connect, Dialect};
    let typist = Typist::new(Client::offline(Connect::new("ws://nowhere", Dialect::Atlas)));
    assert_eq!(edits_in(None), Ok(0));
    for number in 1..=12 {
        typist.edit();
        let data = typist.client.json()["nodes"][&typist.node]["data"].clone();
        assert_eq!(edits_in(Some(&data)), Ok(number));
        assert_eq!(typist.seen_by(&typist.client), number);
    }
    assert_eq!((typist.made(), typist.acknowledged()), (12, 0));
    let whole = typist.client.json()["nodes"][&typist.node]["data"].clone();
    for (key, value) in [("e5", Value::Null), ("e13", json!(13)), ("t11", json!(true)), ("count", json!(11))]
    {
        let mut other = whole.clone();
        other[key] = value;
        assert!(edits_in(Some(&other)).is_err(), "{key}");
    }
}
