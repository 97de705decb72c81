//! A design under attack while two people work on it.

use std::time::Duration;

use atlas_crdt::wire::{self, ServerFrame};
use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect, open_raw};
use atlas_loadtest::replica::Replica;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::bytes::question;
use crate::support::{Answer as HttpAnswer, Person, Server};

pub(super) const BOTH: [Dialect; 2] = [Dialect::Stock, Dialect::Atlas];
/// Bytes. What one attack may leave behind, and what it may take for a moment besides a multiple of what it sent.
const GROWTH_MAX: u64 = 64 << 20;
/// Bytes. What the process may reserve for a moment, used or not. Each thread's heap reserves 64 MiB.
const RESERVED_MAX: u64 = 384 << 20;
/// How often what was sent may be in memory: read, decoded, applied, logged.
const COPIES_MAX: u64 = 6;
/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Close codes of the protocol.
pub(super) const MALFORMED: u16 = 4400;
pub(super) const RESET: u16 = 4409;
pub(super) const TOO_LARGE: u16 = 4413;

/// What the protocol promises to the sender. Nobody else gets anything, ever.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// The socket is closed with this code, whatever the dialect.
    Close(u16),
    /// The client id is spent: `refused` with this code and `reset`, or 4409 for a stock client.
    Refused(&'static str),
    /// Nothing happens but that it counts as dealt with: it adds nothing that the design may not hold.
    Taken,
}

/// One row of a family's table.
pub(super) struct Attack {
    what: String,
    /// What is sent, by somebody under the client id that is passed in.
    messages: Box<dyn Fn(u64) -> Vec<Bytes>>,
    answer: Answer,
}

impl Attack {
    pub(super) fn new(
        what: impl Into<String>,
        answer: Answer,
        messages: impl Fn(u64) -> Vec<Bytes> + 'static,
    ) -> Self {
        Self { what: what.into(), messages: Box::new(messages), answer }
    }

    /// One message that names no client id of the sender's.
    pub(super) fn message(what: impl Into<String>, answer: Answer, message: Bytes) -> Self {
        Self::new(what, answer, move |_| vec![message.clone()])
    }
}

/// What came back on the attacker's socket.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) refused: Vec<Value>,
    pub(super) denied: Vec<String>,
    pub(super) saved: u64,
    /// The server's `SyncStep1`: one in the beginning, one for each gap that it asked about.
    pub(super) questions: usize,
    /// `SyncStep2` of the server.
    pub(super) answers: usize,
    pub(super) presence: usize,
    pub(super) closed: Option<(u16, String)>,
}

impl Heard {
    fn take(&mut self, message: &Bytes) {
        match wire::decode_server(message).unwrap() {
            ServerFrame::SyncStep1 { .. } => self.questions += 1,
            ServerFrame::SyncStep2 { .. } => self.answers += 1,
            ServerFrame::Awareness { .. } => self.presence += 1,
            ServerFrame::PermissionDenied { reason } => self.denied.push(reason),
            ServerFrame::Saved(n) => self.saved = n,
            ServerFrame::Notice(notice) if notice["type"] == "refused" => self.refused.push(notice),
            _ => {}
        }
    }

    fn is(&self, answer: Answer, dialect: Dialect, documents: u64) -> bool {
        match answer {
            Answer::Close(code) => self.closed.as_ref().is_some_and(|(closed, _)| *closed == code),
            Answer::Refused(code) => match dialect {
                Dialect::Stock => self.closed.as_ref().is_some_and(|(closed, _)| *closed == RESET),
                Dialect::Atlas => self.refused.iter().any(|one| one["code"] == code && one["reset"] == true),
            },
            Answer::Taken => dialect == Dialect::Stock || documents <= self.saved,
        }
    }

    fn in_words(&self) -> String {
        let mut words = Vec::new();
        if let Some((code, reason)) = &self.closed {
            words.push(format!("close {code} {reason:?}"));
        }
        words.extend(self.refused.iter().map(|one| format!("refused {}", one["code"])));
        words.extend(self.denied.iter().map(|reason| format!("denied {reason:?}")));
        if 0 < self.saved {
            words.push(format!("Saved({})", self.saved));
        }
        if 1 < self.questions {
            words.push(format!("{} questions", self.questions - 1));
        }
        if 0 < self.answers {
            words.push("an answer to its question".to_owned());
        }
        // Of twenty refusals the first says it.
        let count = words.len();
        words.truncate(4);
        if words.len() < count {
            words.push(format!("{} more", count - words.len()));
        }
        words.join(", ")
    }
}

/// Bytes of the server's process.
#[derive(Debug, Clone, Copy)]
struct Memory {
    resident: u64,
    /// The most since the last [`Siege::forget_peak`].
    peak: u64,
    /// The largest address space so far.
    reserved: u64,
}

/// Two people at work, a third at the gate.
pub(super) struct Siege {
    family: &'static str,
    pub(super) server: Server,
    /// The owner, with an `atlas.v1` client.
    pub(super) ann: Person,
    /// An editor with a stock client.
    pub(super) ben: Person,
    /// An editor who means no good.
    pub(super) mallory: Person,
    pub(super) design: String,
    pub(super) honest: Vec<Client>,
    before: Memory,
    edits: usize,
    restarts: u64,
    next_id: u64,
}

impl Siege {
    pub(super) async fn new(family: &'static str) -> Self {
        let server = Server::start();
        let ann = server.register("ann@example.com").await;
        let ben = server.register("ben@example.com").await;
        let mallory = server.register("mallory@example.com").await;
        let design = ann.create_design("Besieged").await;
        for person in [&ben, &mallory] {
            ann.share(&design, person, "editor").await;
        }
        let before = Memory { resident: 0, peak: 0, reserved: 0 };
        let honest = Vec::new();
        let mut siege = Self {
            family,
            server,
            ann,
            ben,
            mallory,
            design,
            honest,
            before,
            edits: 0,
            restarts: 0,
            next_id: 1 << 40,
        };
        for (person, dialect) in [(&siege.ann, Dialect::Atlas), (&siege.ben, Dialect::Stock)] {
            let client = siege.open(person, dialect).await;
            client.announce(Some(serde_json::json!({ "user": person.email })));
            siege.honest.push(client);
        }
        siege.work().await;
        siege.export().await;
        siege.before = siege.memory();
        siege
    }

    pub(super) fn connect(&self, person: &Person, dialect: Dialect) -> Connect {
        Connect::new(&format!("{}/{}", self.server.ws_url(), self.design), dialect).token(person.token())
    }

    pub(super) async fn open(&self, person: &Person, dialect: Dialect) -> Client {
        let client = Client::open(self.connect(person, dialect)).await.unwrap();
        client.synced().await.unwrap();
        client
    }

    /// A client id that nobody has used.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Both edit, each sees the other's edit, and the one who can hear it hears that it is durable.
    pub(super) async fn work(&mut self) {
        self.edits += 1;
        let id = |who: usize| format!("honest-{who}-{}", self.edits);
        for (who, client) in self.honest.iter().enumerate() {
            let sent = client.edit(|roots, txn| canvas::put_node(roots, txn, &id(who), "fine", 0.0, 0.0));
            assert!(sent.is_some(), "{}", client.look(atlas_loadtest::client::Seen::summary));
        }
        self.honest[0].all_saved().await.unwrap();
        for client in &self.honest {
            let all = |client: &Client| (0..2).all(|who| client.json()["nodes"].get(id(who)).is_some());
            client.wait_until(PATIENCE, "the other's edit", all).await.unwrap();
        }
    }

    /// How often they have worked: the number in the ids of their newest nodes.
    pub(super) fn edits(&self) -> usize {
        self.edits
    }

    /// Sends every row in both dialects.
    pub(super) async fn attack(&mut self, rows: impl IntoIterator<Item = Attack>) {
        for row in rows {
            for dialect in BOTH {
                self.strike(&row, dialect).await;
            }
        }
    }

    pub(super) async fn strike(&mut self, row: &Attack, dialect: Dialect) {
        let me = self.fresh_id();
        let messages = (row.messages)(me);
        let (count, bytes) = (messages.len(), messages.iter().map(Bytes::len).sum::<usize>());
        let documents =
            messages.iter().filter(|message| matches!(message[..], [0, 1 | 2, ..])).count() as u64;
        self.forget_peak();
        let level = self.memory();
        let what = format!("{}: {} ({dialect:?})", self.family, row.what);
        let is_met = |heard: &Heard| heard.is(row.answer, dialect, documents);
        let heard = self.deliver(&what, dialect, messages, is_met).await;
        let after = self.memory();
        println!(
            "{what}: delivered {count} messages of {bytes} bytes; came back: {}; memory {} -> {} KiB (peak {} KiB)",
            heard.in_words(),
            level.resident >> 10,
            after.resident >> 10,
            after.peak >> 10,
        );
        let sent = bytes as u64;
        assert!(
            after.peak < level.resident + GROWTH_MAX + COPIES_MAX * sent,
            "{what}: {level:?} to {after:?}"
        );
        let reserved = after.reserved - self.before.reserved;
        assert!(reserved < RESERVED_MAX + COPIES_MAX * sent, "{what}: reserved {} KiB", reserved >> 10);
        self.nobody_noticed(&what).await;
    }

    /// Sends the messages from Mallory's own socket and does not wait for what comes of them.
    pub(super) async fn throw(&self, dialect: Dialect, messages: Vec<Bytes>) {
        let mut socket = open_raw(&self.connect(&self.mallory, dialect)).await.unwrap();
        for message in messages {
            socket.send(Message::Binary(message)).await.unwrap();
        }
        // It is read to its end elsewhere, so that the server need not wait for it.
        atlas_loadtest::world::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
    }

    /// Sends the messages from Mallory's own socket, and reads until the answer has come and everything is sent. A
    /// socket that stays open is asked a question and answers it.
    async fn deliver(
        &self,
        what: &str,
        dialect: Dialect,
        messages: Vec<Bytes>,
        is_met: impl Fn(&Heard) -> bool,
    ) -> Heard {
        let socket = open_raw(&self.connect(&self.mallory, dialect)).await.unwrap();
        let (mut sink, mut stream) = socket.split();
        let mut heard = Heard::default();
        let exchange = async {
            let mut is_sent = false;
            let mut send = std::pin::pin!(async {
                for message in messages.into_iter().chain([question(&[0])]) {
                    if sink.send(Message::Binary(message)).await.is_err() {
                        break;
                    }
                }
            });
            while !(is_sent && is_met(&heard) && (0 < heard.answers || heard.closed.is_some())) {
                tokio::select! {
                    biased;
                    message = stream.next() => match message {
                        Some(Ok(Message::Binary(message))) => heard.take(&message),
                        Some(Ok(Message::Close(Some(frame)))) => {
                            heard.closed = Some((frame.code.into(), frame.reason.to_string()));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break,
                    },
                    () = &mut send, if !is_sent => is_sent = true,
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, exchange).await;
        assert!(in_time.is_ok() && is_met(&heard), "{what}: in time: {}, {heard:?}", in_time.is_ok());
        heard
    }

    /// The others work on, the design can be read, and nothing of the attack is in it.
    pub(super) async fn nobody_noticed(&mut self, what: &str) {
        self.work().await;
        for client in &self.honest {
            let seen = client.seen();
            assert_eq!((&seen.faults, &seen.closed, &seen.denied), (&vec![], &None, &vec![]), "{what}");
            // What people draw is analysed; of the attack they hear nothing.
            assert!(seen.notices.iter().all(is_everyday), "{what}: {:?}", seen.notices);
        }
        let after = self.memory();
        assert!(after.resident < self.before.resident + GROWTH_MAX, "{what}: {:?} to {after:?}", self.before);
        let json = self.ann.snapshot(&self.design).await;
        assert!(!json.to_string().contains("evil"), "{what}: something of it is in the design");
    }

    /// The snapshot as JSON, and what the Yjs snapshot says to a client.
    pub(super) async fn export(&self) -> (Value, Value) {
        let json = self.ann.snapshot(&self.design).await;
        let path = format!("/api/v1/designs/{}/snapshot?format=yjs", self.design);
        let yjs = HttpAnswer::of(self.ann.request(reqwest::Method::GET, &path)).await.expect(200);
        let mut replica = Replica::new(1);
        replica.apply(&yjs.bytes).unwrap();
        assert!(!replica.has_gaps());
        (json, replica.json())
    }

    /// What is stored is what everybody saw, before and after the server is killed and started again.
    pub(super) async fn finish(mut self) {
        self.work().await;
        let exported = self.export().await;
        for client in &self.honest {
            assert_eq!(client.look(|seen| seen.sockets), 1 + self.restarts, "nobody had to come back");
            assert_eq!(client.json(), exported.1);
        }
        let nodes = exported.1["nodes"].as_object().unwrap();
        let honest = nodes.keys().filter(|id| id.starts_with("honest-")).count();
        assert_eq!(honest, 2 * self.edits, "every honest edit is there");
        let (before, after) = (self.before.resident >> 10, self.memory().resident >> 10);
        self.restart().await;
        println!(
            "{}: {} honest edits acknowledged, export the same after kill and restart, memory {before} -> {after} KiB",
            self.family,
            2 * self.edits,
        );
    }

    /// Kills the server and starts it again: what it exports is the same, and everybody comes back and works on.
    pub(super) async fn restart(&mut self) {
        let exported = self.export().await;
        self.server.kill();
        self.server.restart();
        self.restarts += 1;
        assert_eq!(self.export().await, exported, "the same after a restart");
        for client in &self.honest {
            client.closed().await.unwrap();
            client.reconnect().await.unwrap();
            client.synced().await.unwrap();
        }
        self.work().await;
        // A process that has just begun.
        self.note_level();
    }

    /// The log of the server, for what only an operator sees.
    pub(super) fn log(&self) -> String {
        self.server.log()
    }

    fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("the process lives");
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
        };
        Memory { resident: bytes("VmRSS:"), peak: bytes("VmHWM:"), reserved: bytes("VmPeak:") }
    }

    /// What memory is held against from now on.
    pub(super) fn note_level(&mut self) {
        self.before = self.memory();
    }

    fn forget_peak(&self) {
        // proc(5): 5 resets the peak of the resident set.
        std::fs::write(format!("/proc/{}/clear_refs", self.server.pid()), "5").unwrap();
    }
}

/// Said to everybody in the course of things.
pub(crate) fn is_everyday(notice: &Value) -> bool {
    matches!(notice["type"].as_str(), Some("hello" | "analysis.started" | "analysis.completed"))
}
