//! Traffic that costs its generator little: the edits are made before the clock starts, and nobody applies any.
//!
//! Every writer owns one node and changes one value of it again and again, as a drag or typing does: each edit is a
//! valid Yjs update of its own client id, so that a relay and a server that checks everything can be given the same.
//! The value carries a mark, `@@wwwwssssss` (writer and number in hexadecimal), which survives merging; a reader
//! finds the marks with a plain search.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use atlas_crdt::wire::{self, ClientFrame, ServerFrame};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::canvas;
use crate::client::{Connect, Dialect, open_raw};
use crate::replica::Replica;
use crate::world::{self, Random};

const MARK: &[u8] = b"@@";
const WRITER_DIGITS: usize = 4;
const NUMBER_DIGITS: usize = 6;
/// Time for everybody's node to arrive, and then for writing, before the clock starts.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);
/// Time for the last edits to arrive after it stopped.
const COOL_DOWN: Duration = Duration::from_millis(500);

/// Where the traffic goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// `ws://host:port/ws/{design}`.
    pub url: String,
    pub token: String,
    pub dialect: Dialect,
    /// False for a relay, which would hand one client's handshake to all others.
    pub handshake: bool,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Connections; everybody reads.
    pub clients: usize,
    /// How many of them write.
    pub writers: usize,
    /// Edits per second of each writer.
    pub rate: f64,
    /// How long the clock runs.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// Edits that were sent while the clock ran.
    pub edits: u64,
    /// Edits seen by readers while the clock ran: edits × (clients - 1) if nothing is late or lost.
    pub deliveries: u64,
    /// Messages that carried them.
    pub messages: u64,
    /// Microseconds from just before an edit is sent until another client has it.
    pub latency_us: Histogram<u64>,
    /// The same, of clients at another server than the author's alone.
    pub elsewhere_us: Histogram<u64>,
    /// CPU time of the measured processes while the clock ran, together.
    pub cpu: Duration,
    pub measured: Duration,
}

impl Figures {
    /// Microseconds of CPU per delivery.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn cpu_us_per_delivery(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.deliveries.max(1) as f64
    }

    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.measured.as_secs_f64()
    }

    /// Milliseconds at a quantile, for example 0.99.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The same for clients at another server than the author's.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn elsewhere_ms(&self, quantile: f64) -> f64 {
        self.elsewhere_us.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Shared by all connections of a run.
#[derive(Debug)]
struct Run {
    started: Instant,
    /// Connection `n` is at server `n` modulo this.
    servers: usize,
    /// Per writer and number: microseconds after `started` at which it was sent; 0: not yet.
    sent: Vec<Vec<AtomicU64>>,
    phase: watch::Receiver<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Connect, create the nodes.
    Prepare,
    Write,
    /// Writing goes on; what is sent and seen counts.
    Measure,
    /// Nobody writes.
    Drain,
    Leave,
}

#[derive(Debug)]
struct Counts {
    edits: u64,
    deliveries: u64,
    messages: u64,
    latency_us: Histogram<u64>,
    elsewhere_us: Histogram<u64>,
}

impl Counts {
    fn new() -> anyhow::Result<Self> {
        // Up to a minute, three digits.
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self {
            edits: 0,
            deliveries: 0,
            messages: 0,
            latency_us: latencies.clone(),
            elsewhere_us: latencies,
        })
    }
}

/// The messages of one writer, encoded before the clock starts.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) create: Bytes,
    pub(crate) edits: Vec<Bytes>,
}

/// Runs one shape against one target and measures the process `pid` meanwhile.
pub async fn run(target: &Target, shape: Shape, pid: u32) -> anyhow::Result<Figures> {
    run_at(std::slice::from_ref(target), shape, &[pid]).await
}

/// The same against several servers of one design: each connection goes to the next of them.
pub async fn run_at(targets: &[Target], shape: Shape, pids: &[u32]) -> anyhow::Result<Figures> {
    let writing = WARM_UP + shape.measured + Duration::from_secs(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
    let edits_max = (shape.rate * writing.as_secs_f64()).ceil() as usize;
    let mut ids = Random::fresh();
    let mut scripts: Vec<Option<Script>> =
        (0..shape.writers).map(|writer| Some(script(writer, ids.client_id(), edits_max))).collect();
    scripts.resize_with(shape.clients, || None);

    let (phase, listener) = watch::channel(Phase::Prepare);
    let sent = (0..shape.writers).map(|_| (0..edits_max).map(|_| AtomicU64::new(0)).collect()).collect();
    let run = Arc::new(Run { started: world::now(), servers: targets.len(), sent, phase: listener });
    let mut crowd = JoinSet::new();
    for (at, script) in scripts.into_iter().enumerate() {
        let socket = join(&targets[at % targets.len()]).await?;
        crowd.spawn(participant(at, socket, script, shape.rate, Arc::clone(&run)));
    }
    tokio::time::sleep(WARM_UP).await;
    phase.send_replace(Phase::Write);
    tokio::time::sleep(WARM_UP).await;

    let cpu_time =
        || -> anyhow::Result<Duration> { pids.iter().map(|pid| crate::probe::cpu_time(*pid)).sum() };
    let (cpu_before, began) = (cpu_time()?, world::now());
    phase.send_replace(Phase::Measure);
    tokio::time::sleep(shape.measured).await;
    phase.send_replace(Phase::Drain);
    let (cpu, measured) = (cpu_time()?.saturating_sub(cpu_before), began.elapsed());
    tokio::time::sleep(COOL_DOWN).await;
    phase.send_replace(Phase::Leave);

    let mut all = Counts::new()?;
    while let Some(counts) = crowd.join_next().await {
        let counts = counts??;
        all.edits += counts.edits;
        all.deliveries += counts.deliveries;
        all.messages += counts.messages;
        all.latency_us.add(&counts.latency_us)?;
        all.elsewhere_us.add(&counts.elsewhere_us)?;
    }
    Ok(Figures {
        edits: all.edits,
        deliveries: all.deliveries,
        messages: all.messages,
        latency_us: all.latency_us,
        elsewhere_us: all.elsewhere_us,
        cpu,
        measured,
    })
}

/// Opens a socket, and leaves the handshake behind it when the target has one.
async fn join(target: &Target) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut connect = Connect::new(&target.url, target.dialect);
    if !target.token.is_empty() {
        connect = connect.token(&target.token);
    }
    let mut socket = open_raw(&connect).await?;
    if target.handshake {
        shake_hands(&mut socket).await?;
    }
    Ok(socket)
}

/// Asks for everything, and answers that there is nothing to give. Returns the document as it arrived.
pub async fn shake_hands(socket: &mut WebSocketStream<TcpStream>) -> anyhow::Result<Bytes> {
    // An empty state vector.
    shake_hands_from(socket, Bytes::from_static(&[0])).await
}

/// The same for what is missing beyond a state vector.
pub async fn shake_hands_from(
    socket: &mut WebSocketStream<TcpStream>,
    state_vector: Bytes,
) -> anyhow::Result<Bytes> {
    socket.send(message(&ClientFrame::SyncStep1 { state_vector })).await?;
    let (mut document, mut answered) = (None, false);
    while document.is_none() || !answered {
        let Some(received) = socket.next().await else { bail!("the server hung up during the handshake") };
        let Message::Binary(bytes) = received? else { continue };
        match wire::decode_server(&bytes)? {
            ServerFrame::SyncStep1 { .. } => {
                // An empty update.
                let update = Bytes::from_static(&[0, 0]);
                socket.send(message(&ClientFrame::SyncStep2 { update })).await?;
                answered = true;
            }
            ServerFrame::SyncStep2 { update } => document = Some(update),
            _ => {}
        }
    }
    Ok(document.unwrap_or_default())
}

fn message(frame: &ClientFrame) -> Message {
    Message::Binary(wire::encode_client(frame))
}

/// All that one writer will say.
pub(crate) fn script(writer: usize, client_id: u64, edits: usize) -> Script {
    let mut replica = Replica::new(client_id);
    let id = format!("writer-{client_id}");
    let create = replica.edit(|roots, txn| canvas::put_node(roots, txn, &id, "Writer", 0.0, 0.0));
    let as_message = |update: Option<Bytes>| {
        wire::encode_client(&ClientFrame::Update {
            update: update.unwrap_or_else(|| Bytes::from_static(&[0, 0])),
        })
    };
    let edits = (0..edits)
        .map(|number| {
            let mark = json!(format!("@@{writer:04x}{number:06x}"));
            as_message(replica.edit(|roots, txn| canvas::set_data(&roots.nodes, txn, &id, "label", &mark)))
        })
        .collect();
    Script { create: as_message(create), edits }
}

/// One connection from after its handshake to its end.
async fn participant(
    at: usize,
    mut socket: WebSocketStream<TcpStream>,
    script: Option<Script>,
    rate: f64,
    run: Arc<Run>,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::new()?;
    let mut phase = run.phase.clone();
    let mut now = *phase.borrow();
    let mut edits = Vec::new().into_iter().enumerate();
    let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / rate.max(0.001)));
    if let Some(script) = script {
        socket.send(Message::Binary(script.create)).await?;
        edits = script.edits.into_iter().enumerate();
        // Nobody beats in step with the others.
        beat.reset_after(beat.period().mul_f64(fraction(&mut Random::seeded(at as u64))));
    }
    let writes = edits.len() != 0;
    while now != Phase::Leave {
        tokio::select! {
            changed = phase.changed() => {
                changed?;
                now = *phase.borrow();
            }
            received = socket.next() => match received {
                Some(Ok(Message::Binary(bytes))) => take(at, &bytes, now, &run, &mut counts),
                Some(Ok(Message::Close(frame))) => bail!("connection {at} was closed: {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("connection {at} ended"),
            },
            _ = beat.tick(), if writes && matches!(now, Phase::Write | Phase::Measure) => {
                let Some((number, edit)) = edits.next() else { continue };
                run.sent[at][number].store(micros(run.started).max(1), Ordering::Relaxed);
                socket.send(Message::Binary(edit)).await?;
                counts.edits += u64::from(now == Phase::Measure);
            }
        }
    }
    let _ = socket.close(None).await;
    Ok(counts)
}

/// Counts the marks in a message that came to participant `own`. A server that merges the edits of a moment into one
/// frame may send an author its own among them: that is no delivery.
fn take(own: usize, bytes: &[u8], phase: Phase, run: &Run, counts: &mut Counts) {
    if phase != Phase::Measure {
        return;
    }
    let arrived = micros(run.started);
    let before = counts.deliveries;
    for (writer, number) in marks(bytes).filter(|(writer, _)| *writer != own) {
        let sent = run.sent.get(writer).and_then(|numbers| numbers.get(number));
        let sent = sent.map_or(0, |sent| sent.load(Ordering::Relaxed));
        if sent != 0 {
            counts.deliveries += 1;
            let took = arrived.saturating_sub(sent).max(1);
            let _ = counts.latency_us.record(took);
            if writer % run.servers != own % run.servers {
                let _ = counts.elsewhere_us.record(took);
            }
        }
    }
    counts.messages += u64::from(before != counts.deliveries);
}

/// Writer and number of every mark.
fn marks(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let at = rest.windows(MARK.len()).position(|window| window == MARK)?;
            rest = &rest[at + MARK.len()..];
            let (digits, _) = rest.split_at_checked(WRITER_DIGITS + NUMBER_DIGITS)?;
            let (writer, number) = digits.split_at(WRITER_DIGITS);
            if let (Some(writer), Some(number)) = (hexadecimal(writer), hexadecimal(number)) {
                return Some((writer, number));
            }
        }
    })
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a number below a thousand")]
fn fraction(random: &mut Random) -> f64 {
    random.below(1_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Relay;

    #[test]
    fn marks_are_found_in_merged_updates() {
        let script = |writer, id| script(writer, id, 3).edits;
        let both = [&script(1, 11)[2][..], &script(0xab, 12)[1]].concat();
        assert_eq!(marks(&both).collect::<Vec<_>>(), [(1, 2), (0xab, 1)]);
        assert_eq!(marks(b"@@zz00000001 @@00010000").count(), 0);
    }

    #[test]
    fn a_script_is_a_valid_document() {
        let script = script(0, 7, 5);
        let mut reader = Replica::new(8);
        for message in [&script.create].into_iter().chain(&script.edits) {
            let ServerFrame::Update { update } = wire::decode_server(message).unwrap() else {
                panic!("an update")
            };
            reader.apply(&update).unwrap();
            assert!(!reader.has_gaps());
        }
        assert_eq!(reader.json()["nodes"]["writer-7"]["data"]["label"], "@@0000000004");
    }

    #[tokio::test]
    async fn a_relay_delivers_every_edit_to_everybody_else() {
        let relay = Relay::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let target = Target {
            url: format!("ws://{}/ws/x", relay.address()),
            token: String::new(),
            dialect: Dialect::Atlas,
            handshake: false,
        };
        let shape = Shape { clients: 4, writers: 2, rate: 50.0, measured: Duration::from_millis(500) };
        let figures = run(&target, shape, std::process::id()).await.unwrap();
        assert!(0 < figures.edits);
        // Only what crosses one of the two edges of the clock may count on one side alone.
        let expected = figures.edits * 3;
        assert!(figures.deliveries.abs_diff(expected) <= 12, "{} for {expected}", figures.deliveries);
        assert_eq!(relay.dropped(), 0);
    }
}
