//! The task that hears: it owns who listens to what, and has a link of its own, so that nothing that is published
//! holds up what arrives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atlas_crdt::ids::DesignId;
use fred::error::Error;
use fred::interfaces::{EventInterface as _, PubsubInterface as _};
use fred::types::Message;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::dialer::Dialer;
use super::link::{BEAT, Link, begun};
use super::names::{Names, Topic};
use super::refusals::Refusals;
use super::registry::{Registry, Seat};
use crate::bus::{BusMessage, PodMessage, codec};

/// Subscribers that the listener has not taken yet.
pub(super) const ORDERS_MAX: usize = 1_024;
/// Commands on their way.
const ASKED_MAX: usize = 128;
/// In a cluster each channel is asked for again after about so many beats: a hash slot that moves takes its
/// subscribers off without a word that fred would pass on.
const RENEWAL_BEATS: usize = 10;

/// A new subscriber.
#[derive(Debug)]
pub(super) enum Order {
    Design(DesignId, Seat<BusMessage>),
    Pods(Seat<PodMessage>),
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) dialer: Dialer,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) closing: CancellationToken,
    pub(super) counters: Arc<Counters>,
    pub(super) names: Names,
    pub(super) is_cluster: bool,
    /// What this process says leaves again, after some of it did not: subscribers are told of a gap, as it is in both
    /// directions for them.
    pub(super) publishing_resumed: Arc<Notify>,
    pub(super) registry: Registry,
}

/// What Redis was asked for, and its answer.
enum Answered {
    Asked(Topic, Result<(), Error>),
    Renewed(Result<(), Error>),
    Left(Topic),
}

type Asked = FuturesUnordered<BoxFuture<'static, Answered>>;

/// What is to be said to Redis over one link, beside what the registry wants.
#[derive(Debug, Default)]
struct ToSay {
    /// Channels that nobody listens to.
    leaving: VecDeque<Topic>,
    /// Channels that are asked for again …
    renewals: Vec<Topic>,
    /// … of which so many until the next beat.
    renewals_now: usize,
    renewals_per_beat: usize,
}

/// Why a link is of no use any more.
enum End {
    Closing,
    Lost(Error),
}

impl Listener {
    pub(super) async fn run(mut self) {
        while let Some(link) = self.dial().await {
            self.registry.silence();
            self.counters.can_hear.store(true, Ordering::Relaxed);
            let end = self.listen(link).await;
            self.counters.can_hear.store(false, Ordering::Relaxed);
            match end {
                End::Closing => return,
                End::Lost(error) => self.dialer.lost(&error),
            }
        }
    }

    /// `None`: the bus closes. Subscribers come and go meanwhile.
    async fn dial(&mut self) -> Option<Link> {
        let Self { dialer, orders, closing, counters, registry, publishing_resumed, .. } = self;
        let mut dialing = std::pin::pin!(dialer.dial());
        let mut beat = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                link = &mut dialing => return Some(link),
                order = orders.recv() => seat(registry, counters, order?),
                _ = beat.tick() => drop(registry.sweep()),
                // Whoever hears again is told by that.
                () = publishing_resumed.notified() => {}
                () = closing.cancelled() => return None,
            }
        }
    }

    async fn listen(&mut self, mut link: Link) -> End {
        let closing = self.closing.clone();
        let mut messages = link.client.message_rx();
        let mut changes = link.client.cluster_change_rx();
        let mut asked = Asked::new();
        let mut to_say = ToSay::default();
        let mut refusals = Refusals::default();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut check: Option<BoxFuture<'static, Result<(), Error>>> = None;
        loop {
            self.say(&link, &mut asked, &mut to_say).await;
            let checked = async {
                match &mut check {
                    Some(check) => check.await,
                    None => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                message = messages.recv() => {
                    match message {
                        Ok(message) => self.hear(&message),
                        // This task did not keep up: whatever it was, it is gone.
                        Err(RecvError::Lagged(count)) => {
                            tracing::debug!(count, "messages came faster than they were passed on");
                            self.registry.tell_gap(&self.counters.gaps);
                        }
                        Err(RecvError::Closed) => return End::Lost(Error::from(RecvError::Closed)),
                    }
                    continue;
                }
                Some(answered) = asked.next() => self.note(answered),
                answer = checked => {
                    // In doubt it is asked again at once.
                    check = answer.is_err().then(|| link.check().boxed());
                    answer
                }
                order = self.orders.recv() => {
                    let Some(order) = order else { return End::Closing };
                    seat(&mut self.registry, &self.counters, order);
                    continue;
                }
                _ = beat.tick() => {
                    check.get_or_insert_with(|| link.check().boxed());
                    self.tend(&mut to_say);
                    continue;
                }
                () = self.publishing_resumed.notified() => {
                    self.registry.tell_gap_where_heard(&self.counters.gaps);
                    continue;
                }
                Ok(_) = changes.recv(), if self.is_cluster => {
                    // Who was subscribed where a hash slot was has been taken off there.
                    self.registry.silence();
                    to_say = ToSay::default();
                    continue;
                }
                error = link.ended() => return End::Lost(error),
                () = closing.cancelled() => return End::Closing,
            };
            if let Some(error) = refusals.note(answer) {
                return End::Lost(error);
            }
        }
    }

    /// Says what there is to say, as far as there is room.
    async fn say(&mut self, link: &Link, asked: &mut Asked, to_say: &mut ToSay) {
        while asked.len() < ASKED_MAX {
            let next = if let Some(topic) = self.registry.ask() {
                self.subscribe(link, topic).map(move |answer| Answered::Asked(topic, answer)).boxed()
            } else if let Some(topic) = to_say.leaving.pop_front() {
                // Fred waits for no answer, and whether it worked matters to nobody.
                let (client, name) = (link.client.clone(), self.names.of(topic));
                async move { client.sunsubscribe(name).await }.map(move |_| Answered::Left(topic)).boxed()
            } else if 0 < to_say.renewals_now
                && let Some(topic) = to_say.renewals.pop()
            {
                to_say.renewals_now -= 1;
                if !self.registry.is_heard(topic) {
                    continue;
                }
                self.subscribe(link, topic).map(Answered::Renewed).boxed()
            } else {
                return;
            };
            let next = begun(next).await;
            asked.push(next);
        }
    }

    /// Returns when what is published there arrives. One channel in a command: fred takes the confirmation of each for
    /// the answer of a command.
    fn subscribe(&self, link: &Link, topic: Topic) -> BoxFuture<'static, Result<(), Error>> {
        let (client, name) = (link.client.clone(), self.names.of(topic));
        async move { client.ssubscribe(name).await }.boxed()
    }

    /// What is to be done from time to time.
    fn tend(&mut self, to_say: &mut ToSay) {
        to_say.leaving.extend(self.registry.sweep());
        self.registry.want_silent();
        if self.is_cluster && to_say.renewals.is_empty() {
            to_say.renewals = self.registry.all_heard();
            to_say.renewals_per_beat = to_say.renewals.len().div_ceil(RENEWAL_BEATS);
        }
        to_say.renewals_now = to_say.renewals_per_beat;
    }

    fn note(&mut self, answered: Answered) -> Result<(), Error> {
        match answered {
            Answered::Asked(topic, Ok(())) => self.registry.heard(topic, &self.counters.gaps),
            Answered::Asked(topic, Err(error)) => {
                self.registry.failed(topic);
                return Err(error);
            }
            Answered::Renewed(answer) => return answer,
            Answered::Left(topic) => self.registry.left(topic),
        }
        Ok(())
    }

    fn hear(&mut self, message: &Message) {
        Counters::count(&self.counters.received);
        let (payload, topic) =
            (message.value.as_bytes().unwrap_or_default(), self.names.topic(&message.channel));
        let is_heard = match topic {
            Some(Topic::Design(design)) => codec::decode(payload)
                .map(|message| self.registry.hear(design, &message, &self.counters.lost))
                .is_ok(),
            Some(Topic::Pods) => codec::decode_pod(payload)
                .map(|message| self.registry.hear_pods(&message, &self.counters.lost))
                .is_ok(),
            None => false,
        };
        if !is_heard {
            Counters::count(&self.counters.undecodable);
        }
    }
}

fn seat(registry: &mut Registry, counters: &Counters, order: Order) {
    match order {
        Order::Design(design, seat) => registry.add(design, seat, &counters.gaps),
        Order::Pods(seat) => registry.add_to_pods(seat, &counters.gaps),
    }
}
