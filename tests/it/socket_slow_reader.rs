//! A reader that stops reading for half a minute while everybody else works on: the server keeps little for it, the
//! others notice nothing, and it has everything afterwards, on the same socket.

use std::time::{Duration, Instant};

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::world;
use serde_json::json;

use crate::support::{Server, resident_bytes};

const STOPPED: Duration = Duration::from_secs(30);
const AUTHORS: usize = 4;
/// Milliseconds between two edits of one author.
const PACE_MS: u64 = 20;
/// Characters of one edit's text: enough that the kernel's buffers, some megabytes, fill within seconds.
const TEXT_CHARS: usize = 20_000;
/// Bytes. What the server may grow by while a reader stands still.
const GROWTH_MAX: u64 = 48 << 20;

async fn join(server: &Server, design: &str, token: &str, receive_buffer: Option<u32>) -> Client {
    let mut connect = Connect::new(&format!("{}/{design}", server.ws_url()), Dialect::Atlas).token(token);
    connect.receive_buffer_bytes = receive_buffer;
    let client = Client::open(connect).await.unwrap();
    client.synced().await.unwrap();
    client
}

/// Edits until told to stop; every edit replaces a text of its own node.
async fn write(author: Client, number: usize, until: Instant) -> u64 {
    let id = format!("author-{number}");
    author.edit(|roots, txn| canvas::put_node(roots, txn, &id, "mine", 0.0, 0.0));
    let mut edits = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(PACE_MS));
    while world::now() < until {
        pace.tick().await;
        let text = format!("{edits:>TEXT_CHARS$}");
        author.edit(|roots, txn| canvas::set_data(&roots.nodes, txn, &id, "notes", &json!(text)));
        edits += 1;
    }
    author.all_saved().await.unwrap();
    edits
}

// R-SLOW-1, R-COUNT-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_for_half_a_minute_misses_nothing() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Busy").await;
    let slow = join(&server, &design, ann.token(), Some(4 << 10)).await;
    let healthy = join(&server, &design, ann.token(), None).await;
    let mut authors = Vec::new();
    for _ in 0..AUTHORS {
        authors.push(join(&server, &design, ann.token(), None).await);
    }

    let until = world::now() + STOPPED + Duration::from_secs(4);
    let writing: Vec<_> = authors
        .iter()
        .enumerate()
        .map(|(number, author)| world::spawn(write(author.clone(), number, until)))
        .collect();
    // Under full traffic already when it stops.
    tokio::time::sleep(Duration::from_secs(2)).await;
    slow.set_reading(false);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopped_at = world::now();
    let stood_at = slow.look(|seen| seen.received);
    let delivered_before = healthy.look(|seen| seen.received);

    // Once the kernel's buffers are full the server's memory must not follow the traffic.
    let mut memory = Vec::new();
    while stopped_at.elapsed() < STOPPED {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(resident_bytes(&server));
        assert_eq!(slow.look(|seen| seen.received), stood_at, "its byte count stands still");
    }
    let missed = healthy.look(|seen| seen.received).bytes - delivered_before.bytes;
    assert!(slow.is_open(), "nobody is disconnected for being slow");
    let (low, high) = (memory[5..].iter().min().unwrap(), memory[5..].iter().max().unwrap());
    println!(
        "stood still for {:.1} s at {} bytes; {} bytes in {} messages reached a healthy reader meanwhile and not this \
         one; server memory {} to {} KiB",
        stopped_at.elapsed().as_secs_f64(),
        stood_at.bytes,
        missed,
        healthy.look(|seen| seen.received).messages - delivered_before.messages,
        low >> 10,
        high >> 10,
    );
    assert!(20 << 20 < missed, "hardly any traffic: {missed} bytes");
    assert!(high - low < GROWTH_MAX, "memory follows the traffic: {memory:?}");

    slow.set_reading(true);
    let mut edits = 0;
    for author in writing {
        edits += author.await.unwrap();
    }
    let complete = |client: &Client| client.json() == authors[0].json();
    for client in authors.iter().chain([&healthy, &slow]) {
        client.wait_until(Duration::from_secs(30), "all edits", complete).await.unwrap();
    }
    for (who, client) in [("slow", &slow), ("healthy", &healthy)] {
        let seen = client.seen();
        println!(
            "{who}: {} bytes of documents in {} messages",
            seen.received_documents.bytes, seen.received_documents.messages
        );
        assert_eq!((seen.sockets, &seen.faults), (1, &vec![]), "{who}");
    }
    assert!(slow.is_open());
    let caught_up = slow.look(|seen| seen.received_documents.bytes);
    assert!(
        caught_up < healthy.look(|seen| seen.received_documents.bytes),
        "it got the difference, not every step"
    );
    // And it is live again, in both directions.
    slow.edit_saved(|roots, txn| canvas::put_node(roots, txn, "awake", "again", 0.0, 0.0)).await.unwrap();
    let awake = |client: &Client| client.json()["nodes"].get("awake").is_some();
    healthy.wait_until(Duration::from_secs(5), "its edit", awake).await.unwrap();
    println!("{edits} edits by {AUTHORS} authors");
}
