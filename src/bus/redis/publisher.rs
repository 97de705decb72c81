//! The task that publishes. It is the circuit breaker, too: only while it has a link that answers does anything wait
//! for it at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::DesignId;
use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::PubsubInterface as _;
use fred::types::Value;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::dialer::Dialer;
use super::link::{BEAT, Link, begun};
use super::names::{Names, Topic};
use super::refusals::Refusals;
use crate::bus::{BusMessage, PodMessage, codec};

/// Messages that wait to be published …
pub(super) const QUEUE_MAX: usize = 1_024;
/// … and their bytes.
pub(super) const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Messages on their way that Redis has not answered …
const IN_FLIGHT_MAX: usize = 256;
/// … and their bytes, but for one that is alone.
const IN_FLIGHT_BYTES_MAX: usize = 4 << 20;
/// How long a stop waits for what was said before it.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// What a message takes beside its bytes.
const ENVELOPE_BYTES: usize = 256;

/// A message that waits.
#[derive(Debug)]
pub(super) enum Said {
    Design(DesignId, BusMessage),
    Pods(PodMessage),
}

impl Said {
    /// What it takes of the queue.
    pub(super) fn bytes(&self) -> usize {
        ENVELOPE_BYTES
            + match self {
                Self::Design(_, message) => codec::size(&message.word),
                Self::Pods(_) => 0,
            }
    }

    fn encode(&self) -> Option<(Topic, Bytes)> {
        match self {
            Self::Design(design, message) => Some((Topic::Design(*design), codec::encode(message)?)),
            Self::Pods(message) => Some((Topic::Pods, codec::encode_pod(message))),
        }
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) dialer: Dialer,
    pub(super) queue: mpsc::Receiver<Said>,
    pub(super) closing: CancellationToken,
    pub(super) counters: Arc<Counters>,
    pub(super) names: Names,
    /// Told when what is said leaves again, after some of it did not.
    pub(super) resumed: Arc<Notify>,
}

/// Bytes of a message on its way, and what becomes of it.
type InFlight = FuturesUnordered<BoxFuture<'static, (usize, Result<(), Error>)>>;

/// Why a link is of no use any more.
enum End {
    Closing,
    Lost(Error),
}

impl Publisher {
    pub(super) async fn run(mut self) {
        let closing = self.closing.clone();
        let mut is_first = true;
        loop {
            let link = tokio::select! {
                link = self.dialer.dial() => link,
                () = closing.cancelled() => break,
            };
            // What was said in the moment in which the last link broke is old by now.
            self.drop_what_waits();
            self.counters.can_publish.store(true, Ordering::Relaxed);
            // Whoever hears of it says anew what must not be missed: not before that leaves.
            if !is_first || 0 < self.counters.dropped.load(Ordering::Relaxed) {
                self.resumed.notify_one();
            }
            is_first = false;
            let mut in_flight = InFlight::new();
            let end = self.pump(link, &mut in_flight).await;
            // What is in flight dies with the link.
            in_flight.iter().for_each(|_| self.count(false));
            self.counters.can_publish.store(false, Ordering::Relaxed);
            self.drop_what_waits();
            match end {
                End::Closing => break,
                End::Lost(error) => self.dialer.lost(&error),
            }
        }
        self.queue.close();
        self.drop_what_waits();
    }

    async fn pump(&mut self, mut link: Link, in_flight: &mut InFlight) -> End {
        let closing = self.closing.clone();
        let mut bytes = 0;
        let mut refusals = Refusals::default();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut check: Option<BoxFuture<'static, Result<(), Error>>> = None;
        loop {
            let has_room =
                in_flight.len() < IN_FLIGHT_MAX && (bytes < IN_FLIGHT_BYTES_MAX || in_flight.is_empty());
            let checked = async {
                match &mut check {
                    Some(check) => check.await,
                    None => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                Some((size, answer)) = in_flight.next() => {
                    bytes -= size;
                    self.count(answer.is_ok());
                    answer
                }
                answer = checked => {
                    // In doubt it is asked again at once.
                    check = answer.is_err().then(|| link.check().boxed());
                    answer
                }
                said = self.queue.recv(), if has_room => {
                    let Some(said) = said else { return End::Closing };
                    bytes += self.begin(&link.client, in_flight, &said).await;
                    continue;
                }
                _ = beat.tick() => {
                    check.get_or_insert_with(|| link.check().boxed());
                    continue;
                }
                error = link.ended() => return End::Lost(error),
                () = closing.cancelled() => {
                    let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.flush(&link.client, in_flight));
                    let _ = flushed.await;
                    return End::Closing;
                }
            };
            if let Some(error) = refusals.note(answer) {
                return End::Lost(error);
            }
        }
    }

    /// Sends it on its way, behind all that were sent before. Returns its bytes.
    async fn begin(&self, client: &Client, in_flight: &mut InFlight, said: &Said) -> usize {
        self.counters.queued_bytes.fetch_sub(said.bytes(), Ordering::Relaxed);
        let Some((topic, payload)) = said.encode() else {
            self.count(false);
            return 0;
        };
        let size = payload.len();
        let (client, name) = (client.clone(), self.names.of(topic));
        let sent = async move {
            // To one shard, where there are several.
            (size, client.spublish::<Value, _, _>(name, Value::Bytes(payload)).await.map(drop))
        };
        let sent = begun(sent.boxed()).await;
        in_flight.push(sent);
        size
    }

    /// Everything that waits, and everything that is on its way.
    async fn flush(&mut self, client: &Client, in_flight: &mut InFlight) {
        self.queue.close();
        while let Some(said) = self.queue.recv().await {
            self.begin(client, in_flight, &said).await;
            if IN_FLIGHT_MAX <= in_flight.len()
                && let Some((_, answer)) = in_flight.next().await
            {
                self.count(answer.is_ok());
            }
        }
        while let Some((_, answer)) = in_flight.next().await {
            self.count(answer.is_ok());
        }
    }

    fn drop_what_waits(&mut self) {
        while let Ok(said) = self.queue.try_recv() {
            self.counters.queued_bytes.fetch_sub(said.bytes(), Ordering::Relaxed);
            self.count(false);
        }
    }

    fn count(&self, is_published: bool) {
        Counters::count(if is_published { &self.counters.published } else { &self.counters.dropped });
    }
}
