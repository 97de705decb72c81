//! Two thousand people come back to one large design at the same moment.

use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect, open_raw};
use atlas_loadtest::traffic::{shake_hands, shake_hands_from};
use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;

use crate::faults::crew::now;
use crate::support::{Server, resident_bytes};

const PEOPLE: usize = 2_000;
const NODES: usize = 4_000;
/// Bytes. What two thousand copies of the document would exceed by far.
const GROWTH_MAX: u64 = 200 << 20;
/// Of all of them together.
const ALL_BACK_WITHIN: Duration = Duration::from_mins(1);

/// A file to import.
pub(super) fn drawing() -> Vec<u8> {
    let node = |at: usize| {
        let position = json!({ "x": at % 100 * 200, "y": at / 100 * 100 });
        let data = json!({ "label": format!("Node number {at} of a large design"), "type": "server", "securityFlags": {} });
        json!({ "id": format!("node-{at}"), "type": "custom", "position": position, "data": data })
    };
    let nodes: Vec<_> = (0..NODES).map(node).collect();
    json!({ "nodes": nodes, "edges": [] }).to_string().into_bytes()
}

/// The most that this process has ever had in memory.
fn peak_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

// R-MANY-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_people_come_back_at_once() {
    let mut server = Server::start_with(&[("ATLAS_ACCESS_TOKEN_SECS", "86400")]);
    let ann = server.register("ann@example.com").await;
    let design = ann.import(drawing()).await;
    let url = format!("{}/{design}", server.ws_url());
    let connect = Connect::new(&url, Dialect::Atlas).token(ann.token());
    let editor = Client::open(connect.clone()).await.unwrap();
    editor.synced().await.unwrap();
    // Half of them know everything but the newest edits, as those do whose pod has just died.
    let known: Bytes = editor.with_replica(|replica| replica.state_vector_bytes());
    for number in 0..10 {
        let id = format!("new-{number}");
        editor.edit_saved(|roots, txn| canvas::put_node(roots, txn, &id, "new", 1.0, 2.0)).await.unwrap();
    }
    // Nobody has it in memory.
    server.kill();
    tokio::task::block_in_place(|| server.restart());
    let before = resident_bytes(&server);
    let began = now();
    let mut coming = JoinSet::new();
    for person in 0..PEOPLE {
        let (connect, known) = (connect.clone(), known.clone());
        coming.spawn(async move {
            let mut socket = open_raw(&connect).await.unwrap();
            let got = if person % 2 == 0 {
                shake_hands(&mut socket).await.unwrap()
            } else {
                shake_hands_from(&mut socket, known).await.unwrap()
            };
            (socket, got.len())
        });
    }
    editor.reconnect().await.unwrap();
    editor.synced().await.unwrap();
    let (mut sockets, mut whole, mut diff, mut edits, mut slowest) =
        (Vec::new(), 0, 0, 0_u32, Duration::ZERO);
    while sockets.len() < PEOPLE {
        while let Some(came) = coming.try_join_next() {
            let (socket, bytes) = came.unwrap();
            let largest = if sockets.len() < PEOPLE && bytes < 10_000 { &mut diff } else { &mut whole };
            *largest = bytes.max(*largest);
            sockets.push(socket);
        }
        let sent = now();
        editor
            .edit_saved(|roots, txn| canvas::move_node(roots, txn, "node-1", f64::from(edits), 1.0))
            .await
            .unwrap();
        slowest = slowest.max(sent.elapsed());
        edits += 1;
        assert!(began.elapsed() < ALL_BACK_WITHIN, "{} of {PEOPLE} are back", sockets.len());
    }
    let most = peak_bytes(&server).saturating_sub(before);
    println!(
        "{PEOPLE} people were back after {:?}: documents of {whole} bytes and diffs of {diff} at most; the server grew by {} MiB; \
         {edits} edits were saved meanwhile, the slowest after {slowest:?}",
        began.elapsed(),
        most >> 20
    );
    assert!(0 < diff && diff * 10 < whole, "who knows almost everything gets a diff");
    assert!(most < GROWTH_MAX, "the server grew by {most} bytes");
}
