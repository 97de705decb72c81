//! Writers who wait for their `Saved`: how long an edit takes until it is acknowledged, and how many are in a second.
//!
//! As in `traffic.rs` the edits are made before the clock starts, and nobody applies any.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use atlas_crdt::wire::{self, ServerFrame};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Connect, Dialect, open_raw};
use crate::traffic::{Target, script, shake_hands};
use crate::world::{self, Random};

/// Time for connections, nodes and the first commits before the clock starts.
const WARM_UP: Duration = Duration::from_secs(2);
/// The messages of a socket before the first edit: the answer to the server's question, and the writer's node.
const BEFORE_EDITS: u64 = 2;

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// On each design.
    pub writers: usize,
    pub pace: Pace,
    /// How long the clock runs.
    pub measured: Duration,
}

#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Edits per second of each writer, whatever the server does.
    Steady(f64),
    /// As fast as the server acknowledges: so many edits of each writer are on their way at once. A writer that has sent
    /// `edits_max` fails the run.
    Eager { window: usize, edits_max: usize },
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// Edits that were acknowledged while the clock ran.
    pub saved: u64,
    /// Microseconds from just before an edit is sent until its `Saved` is here; of edits that were acknowledged while the
    /// clock ran.
    pub latency_us: Histogram<u64>,
    pub measured: Duration,
    /// CPU time of the measured process while the clock ran.
    pub cpu: Duration,
}

impl Figures {
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn saved_per_second(&self) -> f64 {
        self.saved as f64 / self.measured.as_secs_f64()
    }

    /// Milliseconds at a quantile, for example 0.99.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Leave,
}

/// Shared by all writers of a run.
struct Run {
    phase: watch::Receiver<Phase>,
    saved: AtomicU64,
}

/// Runs for as long as the shape says. Every target is one design.
pub async fn run(targets: &[Target], shape: Shape, pid: u32) -> anyhow::Result<Figures> {
    run_until(targets, shape, pid, tokio::time::sleep(shape.measured)).await
}

/// The same; the clock runs until `until` ends.
pub async fn run_until(
    targets: &[Target],
    shape: Shape,
    pid: u32,
    until: impl Future<Output = ()>,
) -> anyhow::Result<Figures> {
    let edits_max = match shape.pace {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
        Pace::Steady(rate) => (rate * (shape.measured + WARM_UP * 2).as_secs_f64()).ceil() as usize,
        Pace::Eager { edits_max, .. } => edits_max,
    };
    let (phase, listener) = watch::channel(Phase::WarmUp);
    let run = Arc::new(Run { phase: listener, saved: AtomicU64::new(0) });
    let mut ids = Random::fresh();
    // All scripts before the first socket: the first writers would have said everything while the last ones still learn.
    let scripts: Vec<_> = targets
        .iter()
        .flat_map(|target| (0..shape.writers).map(move |at| (target, at)))
        .map(|(target, at)| (target, script(at, ids.client_id(), edits_max)))
        .collect();
    let mut writers = JoinSet::new();
    for (target, script) in scripts {
        let connect = Connect::new(&target.url, Dialect::Atlas).token(&target.token);
        let mut socket = open_raw(&connect).await?;
        shake_hands(&mut socket).await?;
        socket.send(Message::Binary(script.create)).await?;
        writers.spawn(writer(socket, script.edits, shape.pace, ids.fork(), Arc::clone(&run)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (cpu, saved, began) = (crate::probe::cpu_time(pid)?, run.saved.load(Ordering::Relaxed), world::now());
    phase.send_replace(Phase::Measure);
    until.await;
    phase.send_replace(Phase::Leave);
    let mut figures = Figures {
        saved: run.saved.load(Ordering::Relaxed) - saved,
        latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)?,
        measured: began.elapsed(),
        cpu: crate::probe::cpu_time(pid)?.saturating_sub(cpu),
    };
    while let Some(ended) = writers.join_next().await {
        figures.latency_us.add(ended??)?;
    }
    Ok(figures)
}

/// One writer, until everybody leaves.
async fn writer(
    mut socket: WebSocketStream<TcpStream>,
    edits: Vec<Bytes>,
    pace: Pace,
    mut random: Random,
    run: Arc<Run>,
) -> anyhow::Result<Histogram<u64>> {
    let mut latency_us = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    // When each was sent, from the first without an acknowledgement on.
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let (mut saved, mut edits) = (BEFORE_EDITS, edits.into_iter());
    let (period, window) = match pace {
        Pace::Steady(rate) => (Duration::from_secs_f64(1.0 / rate), usize::MAX),
        Pace::Eager { window, .. } => (Duration::from_millis(1), window),
    };
    let mut beat = tokio::time::interval(period);
    beat.reset_after(Duration::from_micros(random.below(period.as_micros().try_into()?)));
    let mut phase = run.phase.clone();
    while *phase.borrow_and_update() != Phase::Leave {
        let is_eager = matches!(pace, Pace::Eager { .. });
        tokio::select! {
            changed = phase.changed() => changed?,
            received = socket.next() => {
                let Some(received) = received else { bail!("the server hung up") };
                let Message::Binary(bytes) = received? else { continue };
                let ServerFrame::Saved(n) = wire::decode_server(&bytes)? else { continue };
                let now = world::now();
                for _ in saved..n {
                    let Some(sent) = waiting.pop_front() else { break };
                    run.saved.fetch_add(1, Ordering::Relaxed);
                    if *phase.borrow() == Phase::Measure {
                        let micros = now.duration_since(sent).as_micros().try_into().unwrap_or(u64::MAX);
                        latency_us.saturating_record(micros);
                    }
                }
                saved = saved.max(n);
            }
            _ = beat.tick(), if !is_eager => {
                let Some(edit) = edits.next() else { bail!("a writer has nothing left to say") };
                waiting.push_back(world::now());
                socket.send(Message::Binary(edit)).await?;
            }
            // Nothing to wait for: it may write at once.
            () = std::future::ready(()), if is_eager && waiting.len() < window => {
                let Some(edit) = edits.next() else { bail!("a writer has nothing left to say") };
                waiting.push_back(world::now());
                socket.feed(Message::Binary(edit)).await?;
                if waiting.len() == window {
                    socket.flush().await?;
                }
            }
        }
    }
    Ok(latency_us)
}
