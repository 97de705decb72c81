//! How long an edit takes to be durable: from just before it is sent until `Saved` covers it.
//!
//! Every writer owns one node of its design and changes one value of it, as in [`crate::traffic`]. Nobody else reads.

use std::collections::VecDeque;
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

use crate::api::Login;
use crate::client::{Connect, Dialect, open_raw};
use crate::traffic;
use crate::world::{self, Random};

/// The handshake sends one message that is counted: the answer to the server's question.
const COUNTED_IN_HANDSHAKE: u64 = 1;
/// Edits that are made before the clock starts; a writer that has sent all begins anew with the last ones made.
const SCRIPT_MAX: usize = 40_000;
const WARM_UP: Duration = Duration::from_secs(2);
/// Time for the last edits to be acknowledged after the clock stopped.
const COOL_DOWN: Duration = Duration::from_secs(2);

/// When a writer sends its next edit.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Edits per second of each writer, whatever the server does.
    Rate(f64),
    /// As soon as fewer than this many are unacknowledged.
    Unacknowledged(usize),
}

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub writers_per_design: usize,
    pub pace: Pace,
    /// How long the clock runs.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// Edits sent while the clock ran.
    pub sent: u64,
    /// Of these, how many were acknowledged by the end.
    pub acknowledged: u64,
    /// Microseconds from the send of each to its acknowledgement.
    pub latency_us: Histogram<u64>,
    pub measured: Duration,
}

impl Figures {
    /// Milliseconds at a quantile, for example 0.99.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }

    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn per_second(&self) -> f64 {
        self.acknowledged as f64 / self.measured.as_secs_f64()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    /// What is sent now counts.
    Measure,
    /// Nobody writes any more.
    CoolDown,
    Leave,
}

/// Writes into all of these designs at once.
pub async fn run(login: &Login, designs: &[String], shape: Shape) -> anyhow::Result<Figures> {
    let script_len = match shape.pace {
        Pace::Rate(rate) => {
            let writing = WARM_UP + shape.measured + Duration::from_secs(1);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small positive count"
            )]
            let edits = (rate * writing.as_secs_f64()).ceil() as usize;
            edits.min(SCRIPT_MAX)
        }
        Pace::Unacknowledged(_) => SCRIPT_MAX / (designs.len() * shape.writers_per_design).clamp(1, 20),
    };
    let (phase, listener) = watch::channel(Phase::WarmUp);
    let mut ids = Random::fresh();
    let mut crowd = JoinSet::new();
    for (at, design) in
        designs.iter().flat_map(|design| (0..shape.writers_per_design).map(move |at| (at, design)))
    {
        let url = login.api.socket_url(design);
        let mut socket = open_raw(&Connect::new(&url, Dialect::Atlas).token(&login.access_token)).await?;
        traffic::shake_hands(&mut socket).await?;
        let writer = Writer {
            socket,
            edits: traffic::script(at, ids.client_id(), script_len).messages(),
            next: 0,
            sent: COUNTED_IN_HANDSHAKE,
            saved: 0,
            unacknowledged: VecDeque::new(),
            counts: Counts::new()?,
        };
        crowd.spawn(writer.live(shape.pace, listener.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    let began = world::now();
    phase.send_replace(Phase::Measure);
    tokio::time::sleep(shape.measured).await;
    let measured = began.elapsed();
    phase.send_replace(Phase::CoolDown);
    tokio::time::sleep(COOL_DOWN).await;
    phase.send_replace(Phase::Leave);

    let mut all = Counts::new()?;
    while let Some(counts) = crowd.join_next().await {
        let counts = counts??;
        all.sent += counts.sent;
        all.acknowledged += counts.acknowledged;
        all.latency_us.add(&counts.latency_us)?;
    }
    Ok(Figures { sent: all.sent, acknowledged: all.acknowledged, latency_us: all.latency_us, measured })
}

#[derive(Debug)]
struct Counts {
    sent: u64,
    acknowledged: u64,
    latency_us: Histogram<u64>,
}

impl Counts {
    fn new() -> anyhow::Result<Self> {
        // Up to a minute, three digits.
        Ok(Self { sent: 0, acknowledged: 0, latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)? })
    }
}

struct Writer {
    socket: WebSocketStream<TcpStream>,
    edits: Vec<Bytes>,
    next: usize,
    /// Messages that are counted, as the protocol does.
    sent: u64,
    saved: u64,
    /// Number, time, and whether it counts.
    unacknowledged: VecDeque<(u64, Instant, bool)>,
    counts: Counts,
}

impl Writer {
    async fn live(mut self, pace: Pace, mut phase: watch::Receiver<Phase>) -> anyhow::Result<Counts> {
        let period = match pace {
            Pace::Rate(rate) => Duration::from_secs_f64(1.0 / rate.max(0.001)),
            Pace::Unacknowledged(_) => Duration::from_secs(3_600),
        };
        let mut beat = tokio::time::interval(period);
        // Nobody beats in step with the others.
        let start = Random::fresh().below(1_000);
        beat.reset_after(period.mul_f64(f64::from(u32::try_from(start).unwrap_or(0)) / 1_000.0));
        let mut now = *phase.borrow();
        while now != Phase::Leave {
            let writes = matches!(now, Phase::WarmUp | Phase::Measure) && self.next < self.edits.len();
            let has_room = match pace {
                Pace::Rate(_) => false,
                Pace::Unacknowledged(most) => self.unacknowledged.len() < most,
            };
            if writes && has_room {
                self.send(now == Phase::Measure).await?;
                continue;
            }
            tokio::select! {
                changed = phase.changed() => {
                    changed?;
                    now = *phase.borrow();
                }
                received = self.socket.next() => match received {
                    Some(Ok(Message::Binary(bytes))) => self.take(&bytes)?,
                    Some(Ok(Message::Close(frame))) => bail!("a writer was closed: {frame:?}"),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => bail!("a writer's connection ended"),
                },
                _ = beat.tick(), if writes && matches!(pace, Pace::Rate(_)) => {
                    self.send(now == Phase::Measure).await?;
                }
            }
        }
        let _ = self.socket.close(None).await;
        Ok(self.counts)
    }

    async fn send(&mut self, counts: bool) -> anyhow::Result<()> {
        let Some(edit) = self.edits.get(self.next).cloned() else { return Ok(()) };
        self.next += 1;
        self.sent += 1;
        self.unacknowledged.push_back((self.sent, world::now(), counts));
        self.counts.sent += u64::from(counts);
        Ok(self.socket.send(Message::Binary(edit)).await?)
    }

    fn take(&mut self, bytes: &Bytes) -> anyhow::Result<()> {
        match wire::decode_server(bytes)? {
            ServerFrame::Saved(n) => self.saved = n,
            ServerFrame::Notice(notice) if notice["type"] == "refused" => {
                bail!("an edit was refused: {notice}")
            }
            _ => return Ok(()),
        }
        while let Some((number, at, counts)) = self.unacknowledged.front().copied() {
            if self.saved < number {
                break;
            }
            self.unacknowledged.pop_front();
            if counts {
                self.counts.acknowledged += 1;
                let micros = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
                let _ = self.counts.latency_us.record(micros.max(1));
            }
        }
        Ok(())
    }
}
