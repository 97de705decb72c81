//! Several designs, each with its typists and somebody who only watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_loadtest::client::{Client, Connect, Dialect, Seen};
use atlas_loadtest::world::{self, Random};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::typist::{Typist, edits_in};
use crate::support::{Person, Server};

/// For everything that comes by itself after a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One design and its people.
pub(crate) struct Desk {
    pub(crate) design: String,
    pub(crate) typists: Vec<Arc<Typist>>,
    /// Speaks y-protocols alone.
    pub(crate) watcher: Client,
}

/// Everybody, typing until [`Crew::rest`].
pub(crate) struct Crew {
    pub(crate) desks: Vec<Desk>,
    typing: watch::Sender<bool>,
    hands: JoinSet<()>,
}

/// What the server had promised and shown when it fell silent, and what nobody could have dreamt up.
#[derive(PartialEq, Eq)]
pub(crate) struct Promised {
    /// For each design and typist: edits that were acknowledged …
    acknowledged: BTreeMap<(String, String), u64>,
    /// … and the most that anybody else was shown.
    shown: BTreeMap<(String, String), u64>,
}

impl Promised {
    pub(crate) fn acknowledged(&self, desk: &Desk, typist: &Typist) -> u64 {
        self.acknowledged[&(desk.design.clone(), typist.node.clone())]
    }
}

impl Desk {
    /// Two people share it, a design of the first one; `typists` are theirs by turns, and at the servers of these addresses by
    /// turns.
    async fn open(ws_urls: &[String], people: &[Person; 2], design: String, typists: usize) -> Self {
        people[0].share(&design, &people[1], "editor").await;
        let connect = |at: usize, dialect| {
            let url = format!("{}/{design}", ws_urls[at % ws_urls.len()]);
            Connect::new(&url, dialect).token(people[at % 2].token())
        };
        let mut joined = Vec::new();
        for at in 0..typists {
            let client = Client::open(connect(at, Dialect::Atlas)).await.unwrap();
            joined.push(Arc::new(Typist::new(client)));
        }
        let watcher = Client::open(connect(typists, Dialect::Stock)).await.unwrap();
        let desk = Self { design, typists: joined, watcher };
        for client in desk.clients() {
            client.synced().await.unwrap();
        }
        desk
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.typists.iter().map(|typist| &typist.client).chain([&self.watcher])
    }
}

impl Crew {
    pub(crate) async fn gather(server: &Server, people: &[Person; 2], desks: usize, typists: usize) -> Self {
        Self::gather_at(&[server.ws_url()], people, desks, typists).await
    }

    /// The same at several servers, each desk at all of them.
    pub(crate) async fn gather_at(
        ws_urls: &[String],
        people: &[Person; 2],
        desks: usize,
        typists: usize,
    ) -> Self {
        let mut designs = Vec::new();
        for number in 0..desks {
            designs.push(people[0].create_design(&format!("Desk {number}")).await);
        }
        Self::gather_around(ws_urls, people, designs, typists).await
    }

    /// The same with designs that are there already.
    pub(crate) async fn gather_around(
        ws_urls: &[String],
        people: &[Person; 2],
        designs: Vec<String>,
        typists: usize,
    ) -> Self {
        let mut gathered = Vec::new();
        for design in designs {
            gathered.push(Desk::open(ws_urls, people, design, typists).await);
        }
        let (typing, _) = watch::channel(false);
        Self { desks: gathered, typing, hands: JoinSet::new() }
    }

    pub(crate) fn start_typing(&mut self, random: &mut Random) {
        self.typing.send_replace(true);
        for typist in self.desks.iter().flat_map(|desk| &desk.typists) {
            let (typist, random, typing) = (Arc::clone(typist), random.fork(), self.typing.subscribe());
            self.hands.spawn(async move { typist.type_on(random, typing).await });
        }
    }

    pub(crate) async fn stop_typing(&mut self) {
        self.typing.send_replace(false);
        while let Some(ended) = self.hands.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) fn typists(&self) -> impl Iterator<Item = &Arc<Typist>> {
        self.desks.iter().flat_map(|desk| &desk.typists)
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.desks.iter().flat_map(Desk::clients)
    }

    /// `Saved` messages so far.
    pub(crate) fn acknowledgements(&self) -> u64 {
        self.typists().map(|typist| typist.client.look(|seen| seen.acknowledgements)).sum()
    }

    pub(crate) fn edits(&self) -> u64 {
        self.typists().map(|typist| typist.made()).sum()
    }

    /// How long ago the newest acknowledgement came.
    pub(crate) fn quiet_for(&self) -> Duration {
        let newest: Option<Instant> =
            self.typists().filter_map(|typist| typist.client.look(|seen| seen.acknowledged_at)).max();
        newest.map_or(Duration::MAX, |newest| newest.elapsed())
    }

    /// Waits until every typist was acknowledged something since `moment`.
    pub(crate) async fn acknowledged_since(&self, moment: Instant) {
        for typist in self.typists() {
            let newer = |client: &Client| {
                client.look(|seen| seen.acknowledged_at.is_some_and(|at| moment < at) && 0 < seen.saved)
            };
            typist.client.wait_until(PATIENCE, "an acknowledgement", newer).await.unwrap();
        }
    }

    /// Waits until nobody has a socket any more: what was still on its way has arrived.
    pub(crate) async fn cut_off(&self) {
        for client in self.clients() {
            client.wait_until(PATIENCE, "the socket to break", |client| !client.is_open()).await.unwrap();
        }
    }

    pub(crate) async fn reconnect(&self) {
        for client in self.clients() {
            client.reconnect().await.unwrap();
        }
        for client in self.clients() {
            client
                .wait_until(PATIENCE, "the handshake", |client| client.look(Seen::is_synced))
                .await
                .unwrap();
        }
    }

    /// As of now. Nothing may arrive meanwhile.
    pub(crate) fn promised(&self) -> Promised {
        let (mut acknowledged, mut shown) = (BTreeMap::new(), BTreeMap::new());
        for desk in &self.desks {
            for typist in &desk.typists {
                let key = (desk.design.clone(), typist.node.clone());
                let own = typist.client.client_id();
                let others = desk.clients().filter(|client| client.client_id() != own);
                let most = others.map(|client| typist.seen_by(client)).max().unwrap_or(0);
                shown.insert(key.clone(), most);
                acknowledged.insert(key, typist.acknowledged());
            }
        }
        Promised { acknowledged, shown }
    }

    /// Everything that was promised or shown is in `found`, the JSON of a snapshot of that desk's design, and nothing
    /// that nobody wrote. How many edits that are.
    pub(crate) fn check(desk: &Desk, found: &Value, promised: &Promised) -> u64 {
        let mut edits = 0;
        for typist in &desk.typists {
            let key = (desk.design.clone(), typist.node.clone());
            let there = edits_in_snapshot(found, &typist.node);
            let (acknowledged, shown) = (promised.acknowledged[&key], promised.shown[&key]);
            assert!(
                acknowledged <= there,
                "{key:?}: {acknowledged} edits were acknowledged, {there} are there"
            );
            assert!(shown <= there, "{key:?}: somebody was shown {shown} edits, {there} are there");
            assert!(there <= typist.made(), "{key:?}: {there} edits are there, {} were made", typist.made());
            edits += there;
        }
        edits
    }

    /// Everybody stops, everything becomes saved, and all see the same, the store included. How many edits that are.
    pub(crate) async fn rest(&mut self, owner: &Person) -> u64 {
        self.stop_typing().await;
        for typist in self.typists() {
            let saved =
                |client: &Client| client.look(|seen| seen.is_synced() && seen.saved == seen.sent_documents);
            typist.client.wait_until(PATIENCE, "everything to be saved", saved).await.unwrap();
            assert_eq!(typist.acknowledged(), typist.made());
        }
        let mut edits = 0;
        for desk in &self.desks {
            for typist in &desk.typists {
                let made = typist.made();
                for client in desk.clients() {
                    let all = |client: &Client| typist.seen_by(client) == made;
                    client.wait_until(PATIENCE, "every edit", all).await.unwrap();
                }
                edits += made;
            }
            let snapshot = owner.snapshot(&desk.design).await;
            let drawing = desk.watcher.json();
            for typist in &desk.typists {
                assert_eq!(edits_in_snapshot(&snapshot, &typist.node), typist.made());
            }
            for client in desk.clients() {
                assert_eq!(client.json(), drawing, "two people see different drawings of {}", desk.design);
                assert_eq!(client.seen().faults, Vec::<String>::new());
                assert_eq!(client.seen().denied, Vec::<String>::new());
                assert_eq!(client.look(|seen| seen.notice("refused").cloned()), None);
            }
        }
        edits
    }

    /// Says goodbye for ever.
    pub(crate) fn leave(&self) {
        self.clients().for_each(Client::vanish);
    }
}

/// Of the writer whose node that is.
pub(crate) fn edits_in_snapshot(snapshot: &Value, node: &str) -> u64 {
    let nodes = snapshot["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|found| found["id"] == node);
    edits_in(found.map(|found| &found["data"])).unwrap_or_else(|what| panic!("{node}: {what}"))
}

/// Sleeps a random while below `most`.
pub(crate) async fn a_while(random: &mut Random, most: Duration) {
    let millis = u64::try_from(most.as_millis()).unwrap();
    tokio::time::sleep(Duration::from_millis(random.below(millis))).await;
}

/// The clock, for whoever measures.
pub(crate) fn now() -> Instant {
    world::now()
}
