//! What the gate with its index costs beside yrs, for one small update to a design of 1,000 nodes and 2,000 edges.
//!
//! Both sides take the same updates one after the other, as a room does: the gate scans, judges and notes each; yrs
//! decodes each and applies it in a transaction of its own, commit included. Neither side's preparation (the document,
//! the index) is measured. criterion reports each side by itself; then both sides take turns, so that a busy machine
//! slows down both alike, and for each case one line says both medians and their ratio.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]
#![expect(clippy::print_stdout, reason = "and prints it")]
#![expect(clippy::expect_used, reason = "and may give up")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use atlas_crdt::gate::{Places, Verdict, clock_of, scan_update};
use atlas_crdt::ids::ClientId;
use atlas_crdt::limits::{DOCUMENT_BYTES_MAX, UPDATE_BYTES_MAX};
use criterion::{BenchmarkId, Criterion};
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Doc, Map, MapPrelim, MapRef, OffsetKind, Options, Out, ReadTxn, StateVector, Text, TextPrelim,
    Transact, TransactionMut, Update, WriteTxn,
};

const NODES: u32 = 1_000;
const EDGES: u32 = 2_000;
/// Clients that made the design.
const AUTHORS: u64 = 5;
/// The client whose updates are measured.
const WRITER: u64 = 4_000_000_007;
/// Updates that are taken one after the other before the document is made anew.
const CHAIN: u32 = 500;
/// Turns of each side, one chain each, from which the ratio is taken.
const TURNS: usize = 61;

/// One edit of the writer; the number tells it apart from the others of its chain.
type Edit = fn(&mut TransactionMut<'_>, u32);

fn doc(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

fn loaded(client: u64, updates: &[Vec<u8>]) -> Doc {
    let doc = doc(client);
    {
        let mut txn = doc.transact_mut();
        for update in updates {
            txn.apply_update(Update::decode_v1(update).expect("an update")).expect("it applies");
        }
    }
    doc
}

fn json(text: &str) -> Any {
    Any::from_json(text).expect("JSON")
}

fn add_node(txn: &mut TransactionMut<'_>, id: &str) {
    let nodes = txn.get_or_insert_map("nodes");
    let node = nodes.insert(txn, id, MapPrelim::from([("type", "custom")]));
    node.insert(txn, "position", json(r#"{"x": 120.5, "y": -36}"#));
    node.insert(txn, "width", 200.0);
    node.insert(txn, "height", 80.0);
    let data = node.insert(txn, "data", MapPrelim::from([("type", "web_server"), ("label", "Web server")]));
    data.insert(txn, "notes", TextPrelim::new("behind the load balancer"));
    let flags = data.insert(txn, "securityFlags", MapPrelim::default());
    flags.insert(txn, "encrypted", true);
}

fn add_edge(txn: &mut TransactionMut<'_>, edge: u32) {
    let edges = txn.get_or_insert_map("edges");
    let made = edges.insert(txn, format!("edge-{edge:016}"), MapPrelim::from([("type", "default")]));
    made.insert(txn, "source", format!("node-{:016}", edge % NODES));
    made.insert(txn, "target", format!("node-{:016}", edge * 7 % NODES));
    let data = made.insert(txn, "data", MapPrelim::from([("protocol", "HTTPS")]));
    data.insert(txn, "port", 443);
    data.insert(txn, "securityFlags", MapPrelim::default());
}

fn node_id(node: u32) -> String {
    format!("node-{node:016}")
}

/// The design that there is before, as each of its authors would send it.
fn design() -> Vec<Vec<u8>> {
    let by = |author: u64| {
        let doc = doc(1_000_000_000 + author);
        let mut txn = doc.transact_mut();
        let is_theirs = |number: &u32| u64::from(*number) % AUTHORS == author;
        for node in (0..NODES).filter(is_theirs) {
            add_node(&mut txn, &node_id(node));
        }
        for edge in (0..EDGES).filter(is_theirs) {
            add_edge(&mut txn, edge);
        }
        txn.encode_update_v1()
    };
    (0..AUTHORS).map(by).collect()
}

fn node(txn: &TransactionMut<'_>, node: u32) -> MapRef {
    let nodes = txn.get_map("nodes").expect("nodes");
    match nodes.get(txn, &node_id(node)) {
        Some(Out::YMap(found)) => found,
        other => panic!("no node {node}: {other:?}"),
    }
}

fn move_node(txn: &mut TransactionMut<'_>, step: u32) {
    let position = json(&format!(r#"{{"x": {}.25, "y": {step}}}"#, step * 3));
    node(txn, step).insert(txn, "position", position);
}

fn add_one(txn: &mut TransactionMut<'_>, step: u32) {
    add_node(txn, &format!("more-{step:016}"));
}

/// With its edges, as the page does it.
fn delete_node(txn: &mut TransactionMut<'_>, step: u32) {
    let nodes = txn.get_map("nodes").expect("nodes");
    nodes.remove(txn, &node_id(step));
    let edges = txn.get_map("edges").expect("edges");
    for edge in (0..EDGES).filter(|edge| edge % NODES == step || edge * 7 % NODES == step) {
        edges.remove(txn, &format!("edge-{edge:016}"));
    }
}

fn type_letter(txn: &mut TransactionMut<'_>, step: u32) {
    let Some(Out::YMap(data)) = node(txn, step / 50).get(txn, "data") else { panic!("no data") };
    let Some(Out::YText(notes)) = data.get(txn, "notes") else { panic!("no notes") };
    notes.insert(txn, 4 + step % 50, "x");
}

/// The updates of one client that makes the same edit again and again.
fn updates(design: &[Vec<u8>], edit: Edit) -> Vec<Vec<u8>> {
    let doc = loaded(WRITER, design);
    let one = |step| {
        let mut txn = doc.transact_mut();
        edit(&mut txn, step);
        txn.encode_update_v1()
    };
    (0..CHAIN).map(one).collect()
}

fn index(design: &[Vec<u8>]) -> (Places, StateVector) {
    let mut places = Places::new();
    for update in design {
        let scan = scan_update(update, DOCUMENT_BYTES_MAX).expect("it passes");
        let stood = scan.place(update, &places).expect("it has a place");
        places.note(stood, update);
    }
    (places, loaded(1, design).transact().state_vector())
}

fn through_gate(places: &mut Places, state: &StateVector, updates: &[Vec<u8>]) -> Duration {
    let mut next = 0;
    let started = Instant::now();
    for update in updates {
        let scan = scan_update(black_box(update), UPDATE_BYTES_MAX).expect("it passes");
        let known = |client: ClientId| if client.get() == WRITER { next } else { clock_of(state, client) };
        match scan.judge(update, known, places) {
            Verdict::Clean(stood) => places.note(stood, update),
            other => panic!("{other:?}"),
        }
        next = scan.ranges.last().map_or(next, |range| range.end);
    }
    started.elapsed()
}

fn through_yrs(doc: &Doc, updates: &[Vec<u8>]) -> Duration {
    let started = Instant::now();
    for update in updates {
        let mut txn = doc.transact_mut();
        txn.apply_update(Update::decode_v1(black_box(update)).expect("an update")).expect("it applies");
        drop(txn);
    }
    started.elapsed()
}

/// Measures `iters` updates: chains of them, each on something prepared anew.
fn chains(iters: u64, updates: &[Vec<u8>], mut chain: impl FnMut(&[Vec<u8>]) -> Duration) -> Duration {
    let mut measured = Duration::ZERO;
    let mut left = usize::try_from(iters).unwrap_or(usize::MAX);
    while 0 < left {
        let part = &updates[..left.min(updates.len())];
        measured += chain(part);
        left -= part.len();
    }
    measured
}

/// Nanoseconds for one update: the median of all turns.
fn median_ns(mut turns: Vec<Duration>) -> f64 {
    turns.sort_unstable();
    turns[turns.len() / 2].as_secs_f64() * 1e9 / f64::from(CHAIN)
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .without_plots()
        .configure_from_args();
    let design = design();
    let (places, state) = index(&design);
    let cases: [(&str, Edit); 4] = [
        ("move a node", move_node),
        ("add a node", add_one),
        ("delete a node", delete_node),
        ("type a letter", type_letter),
    ];
    let mut lines = Vec::new();
    let mut group = criterion.benchmark_group("one small update");
    for (name, edit) in cases {
        let updates = updates(&design, edit);
        let gate = |part: &[Vec<u8>]| through_gate(&mut places.clone(), &state, part);
        let yrs = |part: &[Vec<u8>]| through_yrs(&loaded(1, &design), part);
        group.bench_function(BenchmarkId::new("gate", name), |bench| {
            bench.iter_custom(|iters| chains(iters, &updates, gate));
        });
        group.bench_function(BenchmarkId::new("yrs", name), |bench| {
            bench.iter_custom(|iters| chains(iters, &updates, yrs));
        });
        let turns = (0..TURNS).map(|_| (gate(&updates), yrs(&updates)));
        let (gate, yrs): (Vec<_>, Vec<_>) = turns.unzip();
        let (gate, yrs) = (median_ns(gate), median_ns(yrs));
        let bytes = updates.iter().map(Vec::len).sum::<usize>() / updates.len();
        let ratio = 100.0 * gate / yrs;
        lines.push(format!(
            "{name} ({bytes} bytes): gate {gate:.0} ns, yrs {yrs:.0} ns, that is {ratio:.0} % (at most 35)"
        ));
    }
    group.finish();
    for line in lines {
        println!("{line}");
    }
}
