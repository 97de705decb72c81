//! Fifty people on one design: random edits, random cuts, and in the end one drawing for everybody.

use std::sync::Arc;
use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::world::{self, Random};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Person, Server};

const CLIENTS: usize = 50;
const PROXIES: usize = 5;
const EDITS_EACH: u64 = 30;
/// How long one attempt to connect may hang in a frozen network.
const CONNECT_PATIENCE: Duration = Duration::from_millis(700);
const SETTLE_PATIENCE: Duration = Duration::from_mins(1);

/// A server, a design, and fifty clients of three people behind five proxies. Every other client is a stock one.
struct Crowd {
    server: Server,
    owner: Person,
    design: String,
    proxies: Vec<Arc<Proxy>>,
    clients: Vec<Client>,
}

impl Crowd {
    async fn gather() -> Self {
        let server = Server::start();
        let owner = server.register("owner@example.org").await;
        let design = owner.create_design("Fifty").await;
        let mut people = vec![owner.clone()];
        for email in ["ben@example.org", "cem@example.org"] {
            let person = server.register(email).await;
            owner.share(&design, &person, "editor").await;
            people.push(person);
        }
        let mut proxies = Vec::new();
        for _ in 0..PROXIES {
            proxies.push(Arc::new(Proxy::start(server.addr()).await.unwrap()));
        }
        let mut clients = Vec::new();
        for at in 0..CLIENTS {
            let dialect = if at % 2 == 0 { Dialect::Stock } else { Dialect::Atlas };
            let url = format!("ws://{}/ws/{design}", proxies[at % PROXIES].address());
            let connect = Connect::new(&url, dialect).token(people[at % people.len()].token());
            clients.push(Client::open(connect).await.unwrap());
        }
        for client in &clients {
            client.synced().await.unwrap();
        }
        Self { server, owner, design, proxies, clients }
    }

    /// Everybody online, everything saved, all drawings equal. Returns the one drawing.
    async fn settle(&self) -> Value {
        for proxy in &self.proxies {
            proxy.restore();
        }
        for client in &self.clients {
            // Whoever was in a frozen network may have a socket that the server has given up: a new one is sure.
            client.reconnect().await.unwrap();
        }
        for (at, client) in self.clients.iter().enumerate() {
            let done = client.wait_until(SETTLE_PATIENCE, "handshake and Saved", |client| {
                client.look(|seen| seen.is_synced() && (at % 2 == 0 || seen.saved == seen.sent_documents))
            });
            done.await.unwrap_or_else(|error| panic!("client {at}: {error}"));
        }
        let started = world::now();
        loop {
            let first = self.clients[0].json();
            let differing = self.clients.iter().position(|client| client.json() != first);
            match differing {
                None => return first,
                Some(at) => assert!(
                    started.elapsed() < SETTLE_PATIENCE,
                    "client {at} still differs from client 0:\n{}",
                    first_difference(&first, &self.clients[at].json())
                ),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn assert_no_faults(&self) {
        for (at, client) in self.clients.iter().enumerate() {
            assert_eq!(client.seen().faults, Vec::<String>::new(), "client {at}");
            assert_eq!(client.seen().denied, Vec::<String>::new(), "client {at}");
            assert!(client.look(|seen| seen.notice("refused").is_none()), "client {at}");
        }
    }
}

// R-SYNC-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_with_random_edits_and_cuts_end_with_one_drawing() {
    let seed = world::seed();
    println!("seed {seed} (repeat with ATLAS_SEED={seed})");
    let mut random = Random::seeded(seed);
    let crowd = Crowd::gather().await;

    let mut people = JoinSet::new();
    for (at, client) in crowd.clients.iter().enumerate() {
        people.spawn(person(at, client.clone(), random.fork()));
    }
    let mut weather = random.fork();
    let mut cuts = 0;
    while !people.is_empty() {
        let proxy = Arc::clone(&crowd.proxies[weather.index(PROXIES)]);
        match weather.below(4) {
            0 => {
                cuts += 1;
                proxy.cut();
            }
            1 => proxy.freeze(),
            _ => proxy.restore(),
        }
        tokio::time::sleep(Duration::from_millis(20 + weather.below(120))).await;
        while let Some(ended) = people.try_join_next() {
            ended.unwrap();
        }
    }

    let drawing = crowd.settle().await;
    crowd.assert_no_faults();
    let snapshot = crowd.owner.snapshot(&crowd.design).await;
    let hidden = snapshot["integrity"]["hidden_edges"].as_array().unwrap();
    let mut edges: Vec<Value> = snapshot["edges"].as_array().unwrap().clone();
    edges.extend(hidden.iter().map(|hidden| hidden["edge"].clone()));
    edges.sort_by_key(|edge| edge["id"].to_string());
    let expected = as_elements(&drawing["edges"]);
    assert_eq!(snapshot["nodes"], Value::from(as_elements(&drawing["nodes"])));
    assert_eq!(edges, expected);
    let sockets: u64 = crowd.clients.iter().map(|client| client.look(|seen| seen.sockets)).sum();
    println!(
        "{CLIENTS} clients, {sockets} sockets, {cuts} cuts: {} nodes, {} edges ({} hidden), equal",
        snapshot["nodes"].as_array().unwrap().len(),
        expected.len(),
        hidden.len(),
    );
    drop(crowd.server);
}

/// One person's evening: edits, and now and then a new connection, wanted or not.
async fn person(at: usize, client: Client, mut random: Random) {
    let (long, started) = (world::long_run("ATLAS_FIFTY_SECS"), world::now());
    for n in 0.. {
        if long.map_or(EDITS_EACH <= n, |long| long <= started.elapsed()) {
            break;
        }
        // The same few ids again in a long run: a design is not without bounds.
        edit(&client, &mut random, at, n % EDITS_EACH);
        if random.chance(4) {
            client.vanish();
        }
        if !client.is_open() && random.chance(50) {
            // It may well fail: the network may be cut or frozen just now.
            let _ = tokio::time::timeout(CONNECT_PATIENCE, client.reconnect()).await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(60))).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
fn edit(client: &Client, random: &mut Random, at: usize, n: u64) {
    let (x, y) = (random.below(4_000) as f64, random.below(4_000) as f64);
    client.edit(|roots, txn| {
        let nodes = canvas::ids(&roots.nodes, txn);
        let one = nodes.get(random.index(nodes.len())).cloned().unwrap_or_default();
        let other = nodes.get(random.index(nodes.len())).cloned().unwrap_or_default();
        match random.below(if nodes.len() < 10 { 20 } else { 100 }) {
            0..20 => canvas::put_node(roots, txn, &format!("n-{at}-{n}"), &format!("node {n} ✓"), x, y),
            20..35 => canvas::put_edge(roots, txn, &format!("e-{at}-{n}"), &one, &other),
            35..65 => canvas::move_node(roots, txn, &one, x, y),
            65..80 => canvas::set_flag(&roots.nodes, txn, &one, "encrypted", random.chance(50)),
            80..88 => canvas::set_data(&roots.nodes, txn, &one, "label", &json!(format!("by {at}"))),
            88..93 => canvas::set_meta(roots, txn, &format!("note-{}", at % 7), &json!(n)),
            _ => canvas::remove_node(roots, txn, &one),
        }
    });
}

// R-PRES-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_of_ten_cut_clients_is_gone_within_a_second_at_forty_others() {
    let crowd = Crowd::gather().await;
    for (at, client) in crowd.clients.iter().enumerate() {
        client.announce(Some(json!({"user": {"name": format!("client {at}")}})));
    }
    for client in &crowd.clients {
        let all = |client: &Client| client.others().len() == CLIENTS - 1;
        client.wait_until(SETTLE_PATIENCE, "everybody's presence", all).await.unwrap();
    }
    let cut_at = world::now();
    crowd.proxies[0].cut();
    for (at, client) in crowd.clients.iter().enumerate().filter(|(at, _)| at % PROXIES != 0) {
        let left = |client: &Client| client.others().len() == CLIENTS - CLIENTS / PROXIES - 1;
        client.wait_until(Duration::from_secs(1), "ten to be gone", left).await.unwrap();
        assert!(
            cut_at.elapsed() < Duration::from_secs(1),
            "client {at} saw ghosts for {:?}",
            cut_at.elapsed()
        );
    }
    println!("ten of fifty were gone everywhere after {:?}", cut_at.elapsed());
}

/// The elements of a replica's JSON in the form of a snapshot: sorted by id, the id inside.
fn as_elements(root: &Value) -> Vec<Value> {
    let with_id = |(id, body): (&String, &Value)| {
        let mut body = body.as_object().unwrap().clone();
        body.insert("id".into(), id.clone().into());
        Value::Object(body)
    };
    let mut elements: Vec<Value> = root.as_object().unwrap().iter().map(with_id).collect();
    elements.sort_by_key(|element| element["id"].to_string());
    elements
}

/// The first element that differs, for a failed test.
fn first_difference(one: &Value, other: &Value) -> String {
    for root in ["nodes", "edges", "meta"] {
        let empty = serde_json::Map::new();
        let (left, right) =
            (one[root].as_object().unwrap_or(&empty), other[root].as_object().unwrap_or(&empty));
        for id in left.keys().chain(right.keys()) {
            if left.get(id) != right.get(id) {
                return format!("{root} {id}: {:?} or {:?}", left.get(id), right.get(id));
            }
        }
    }
    "nothing".into()
}
