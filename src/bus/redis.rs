//! The bus through Redis: one server, a cluster, or a master that sentinels know. Its pub/sub and nothing else: no key is
//! ever written, so that what happens to its data does not matter. The commands are those of sharded pub/sub (Redis 7),
//! which one server knows as well: in a cluster a message goes to one node and not to all, and only of these does fred
//! wait for the confirmation of a subscription.
//!
//! - `link.rs` a connection, and all of its limits; `dialer.rs` makes one after the other;
//! - `publisher.rs` and `listener.rs`: the two tasks, with a link each;
//! - `registry.rs` who listens to what; `names.rs` what channels are called;
//! - `refusals.rs` when a link is given up; `counters.rs` what is counted.
//!
//! **A Redis that is away, slow or stopped holds up nobody and costs no memory.** What is published waits in a bounded
//! queue only while Redis answers; a link whose commands fail or are not answered three times in a row, half a second
//! each, is thrown away with whatever it holds, and until there is another everything is dropped where it is said. That
//! is the circuit breaker, and the next link's handshake is its probe. The log repairs what was not heard.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::DesignId;
use secrecy::SecretString;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ear::Ear;
use super::{Bus, BusMessage, BusStats, PodMessage, Subscription};
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;

mod counters;
mod dialer;
mod link;
mod listener;
mod names;
mod publisher;
mod refusals;
mod registry;

use counters::Counters;
use dialer::Dialer;
use link::Plan;
use listener::{Listener, Order};
use names::Names;
use publisher::{Publisher, Said};
use registry::{Registry, Seat};

/// How long a subscriber waits until Redis says that messages arrive.
const SUBSCRIBE_WAIT: Duration = Duration::from_millis(250);
/// How long the bus takes to end, at most.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Where Redis is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    pub layout: RedisLayout,
    /// Of the server, of nodes of the cluster, or of sentinels. At least one.
    pub hosts: Vec<(String, u16)>,
    pub has_tls: bool,
    pub login: Option<RedisLogin>,
    /// Certificates in PEM. `None`: those of the system.
    pub authority: Option<String>,
    /// Before the name of every channel.
    pub prefix: String,
}

#[derive(Debug, Clone)]
pub enum RedisLayout {
    Single,
    Cluster,
    /// `login` is for the sentinels, `RedisSettings::login` for the servers that they know.
    Sentinel {
        service: String,
        login: Option<RedisLogin>,
    },
}

#[derive(Debug, Clone)]
pub struct RedisLogin {
    /// `None`: the user `default`.
    pub user: Option<String>,
    pub password: SecretString,
}

/// The settings cannot be used, whatever Redis says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadRedisSettings(String);

/// See the module.
pub struct RedisBus {
    queue: mpsc::Sender<Said>,
    orders: mpsc::Sender<Order>,
    counters: Arc<Counters>,
    closing: CancellationToken,
    /// Taken by who closes it.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("stats", &self.counters.stats()).finish_non_exhaustive()
    }
}

impl RedisBus {
    /// Returns at once. Redis need not be there: the bus is connected when it is.
    ///
    /// # Errors
    /// When the settings can never work, such as a certificate that is none.
    pub fn open(
        settings: &RedisSettings,
        clock: &Clock,
        ids: &Ids,
        tasks: &Tasks,
    ) -> Result<Self, BadRedisSettings> {
        let plan = Plan::new(settings).map_err(|error| BadRedisSettings(error.details().to_owned()))?;
        let plan = Arc::new(plan);
        let dialer = |side| Dialer::new(Arc::clone(&plan), clock.clone(), ids.clone(), side);
        let closing = tasks.token().child_token();
        let counters = Arc::new(Counters::default());
        let names = Names { prefix: settings.prefix.clone() };
        let is_cluster = matches!(settings.layout, RedisLayout::Cluster);
        let (queue, queued) = mpsc::channel(publisher::QUEUE_MAX);
        let (orders, ordered) = mpsc::channel(listener::ORDERS_MAX);
        let resumed = Arc::new(Notify::new());
        let publisher = Publisher {
            dialer: dialer("publishing"),
            queue: queued,
            closing: closing.clone(),
            counters: Arc::clone(&counters),
            names: names.clone(),
            resumed: Arc::clone(&resumed),
        };
        let listener = Listener {
            dialer: dialer("hearing"),
            orders: ordered,
            closing: closing.clone(),
            counters: Arc::clone(&counters),
            names,
            is_cluster,
            publishing_resumed: resumed,
            registry: Registry::default(),
        };
        let tasks = vec![
            tasks.spawn("bus: publishing", publisher.run()),
            tasks.spawn("bus: hearing", listener.run()),
        ];
        Ok(Self { queue, orders, counters, closing, tasks: Mutex::new(tasks) })
    }

    fn say(&self, said: Said) {
        let (bytes, queued) = (said.bytes(), &self.counters.queued_bytes);
        if self.counters.can_publish.load(Ordering::Relaxed) {
            // The first message always fits.
            let before = queued.fetch_add(bytes, Ordering::Relaxed);
            let has_room = before == 0 || before + bytes <= publisher::QUEUE_BYTES_MAX;
            if has_room && self.queue.try_send(said).is_ok() {
                return;
            }
            queued.fetch_sub(bytes, Ordering::Relaxed);
        }
        Counters::count(&self.counters.dropped);
    }

    async fn listen<M: Clone>(&self, order: impl FnOnce(Seat<M>) -> Order) -> Subscription<M> {
        let (ear, subscription) = Ear::pair();
        let (told, is_heard) = oneshot::channel();
        // Nobody waits for a Redis that is known to be away.
        let waits = self.counters.can_hear.load(Ordering::Relaxed);
        let seat = Seat { ear, waiting: waits.then_some(told) };
        // The listener never waits for Redis. It is gone only when the bus is closed: then the subscription ends, too.
        if self.orders.send(order(seat)).await.is_ok() && waits {
            let _ = tokio::time::timeout(SUBSCRIBE_WAIT, is_heard).await;
        }
        subscription
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, design: DesignId, message: BusMessage) {
        self.say(Said::Design(design, message));
    }

    async fn subscribe(&self, design: DesignId) -> Subscription {
        self.listen(|seat| Order::Design(design, seat)).await
    }

    fn publish_to_pods(&self, message: PodMessage) {
        self.say(Said::Pods(message));
    }

    async fn subscribe_to_pods(&self) -> Subscription<PodMessage> {
        self.listen(Order::Pods).await
    }

    fn stats(&self) -> Option<BusStats> {
        Some(self.counters.stats())
    }

    async fn close(&self) {
        self.closing.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_WAIT, ended).await;
    }
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;
