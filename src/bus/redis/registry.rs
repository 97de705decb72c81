//! Who listens to what, and what Redis knows of it. No IO: the listener carries it out.
//!
//! A channel is asked for when its first subscriber comes, and given up some time after its last one left. When the
//! link breaks all channels fall silent; each is asked for again at the next link, and then its subscribers are told
//! that there is a gap.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;

use atlas_crdt::ids::DesignId;
use tokio::sync::oneshot;

use super::counters::Counters;
use super::names::Topic;
use crate::bus::ear::Ear;
use crate::bus::{BusMessage, PodMessage};

/// A subscriber.
#[derive(Debug)]
pub(super) struct Seat<M> {
    pub(super) ear: Ear<M>,
    /// Who waits until messages arrive. `None`, or gone meanwhile: it is told of a gap when they do.
    pub(super) waiting: Option<oneshot::Sender<()>>,
}

/// Where a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Redis has not been asked for it.
    #[default]
    Silent,
    /// It has been, and has not answered.
    Asked,
    /// What is published arrives.
    Heard,
    /// Redis is told that nobody listens any more.
    Leaving,
}

#[derive(Debug)]
struct Channel<M> {
    seats: Vec<Seat<M>>,
    state: State,
}

impl<M> Default for Channel<M> {
    fn default() -> Self {
        Self { seats: Vec::new(), state: State::Silent }
    }
}

impl<M: Clone> Channel<M> {
    /// True: Redis must be asked for it.
    fn add(&mut self, seat: Seat<M>, gaps: &AtomicU64) -> bool {
        self.seats.push(seat);
        if self.state == State::Heard {
            self.settle(self.seats.len() - 1, gaps);
        }
        self.state == State::Silent && self.seats.len() == 1
    }

    fn settle_all(&mut self, gaps: &AtomicU64) {
        for at in 0..self.seats.len() {
            self.settle(at, gaps);
        }
    }

    /// From now on it hears everything.
    fn settle(&mut self, at: usize, gaps: &AtomicU64) {
        let seat = &mut self.seats[at];
        let is_in_time = seat.waiting.take().is_some_and(|waiting| waiting.send(()).is_ok());
        if !is_in_time {
            Counters::count(gaps);
            seat.ear.tell_gap();
        }
    }

    fn tell_gap(&mut self, gaps: &AtomicU64) {
        for seat in &mut self.seats {
            Counters::count(gaps);
            seat.ear.tell_gap();
        }
    }

    fn hear(&mut self, message: &M, lost: &AtomicU64) {
        self.seats.retain_mut(|seat| seat.ear.say(message, lost));
    }

    /// Forgets who left. True: nobody is there.
    fn sweep(&mut self) -> bool {
        self.seats.retain_mut(|seat| {
            seat.ear.catch_up();
            !seat.ear.is_gone()
        });
        self.seats.is_empty()
    }

    /// Moves on, if it is where it should be.
    fn step(&mut self, from: State, to: State) -> bool {
        let is_there = self.state == from;
        if is_there {
            self.state = to;
        }
        is_there
    }
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    designs: HashMap<DesignId, Channel<BusMessage>>,
    pods: Channel<PodMessage>,
    /// Silent channels with subscribers, in the order in which they are asked for. May name others, too.
    wanted: VecDeque<Topic>,
}

/// The same for channels of both kinds. `$channel` is an `Option` of one.
macro_rules! with_channel {
    ($self:ident, $topic:expr, |$channel:ident| $what:expr) => {
        match $topic {
            Topic::Design(design) => $self.designs.get_mut(&design).map(|$channel| $what),
            Topic::Pods => {
                let $channel = &mut $self.pods;
                Some($what)
            }
        }
    };
}

impl Registry {
    pub(super) fn add(&mut self, design: DesignId, seat: Seat<BusMessage>, gaps: &AtomicU64) {
        if self.designs.entry(design).or_default().add(seat, gaps) {
            self.wanted.push_back(Topic::Design(design));
        }
    }

    pub(super) fn add_to_pods(&mut self, seat: Seat<PodMessage>, gaps: &AtomicU64) {
        if self.pods.add(seat, gaps) {
            self.wanted.push_back(Topic::Pods);
        }
    }

    /// What Redis is asked for next.
    pub(super) fn ask(&mut self) -> Option<Topic> {
        while let Some(topic) = self.wanted.pop_front() {
            let is_wanted = with_channel!(self, topic, |channel| {
                !channel.seats.is_empty() && channel.step(State::Silent, State::Asked)
            });
            if is_wanted == Some(true) {
                return Some(topic);
            }
        }
        None
    }

    /// Redis sends what is published there from now on.
    pub(super) fn heard(&mut self, topic: Topic, gaps: &AtomicU64) {
        with_channel!(self, topic, |channel| if channel.step(State::Asked, State::Heard) {
            channel.settle_all(gaps);
        });
    }

    /// It did not answer. The next [`Self::want_silent`] has it asked for again.
    pub(super) fn failed(&mut self, topic: Topic) {
        with_channel!(self, topic, |channel| channel.step(State::Asked, State::Silent));
    }

    /// Redis knows that nobody listens there. Somebody may have come meanwhile.
    pub(super) fn left(&mut self, topic: Topic) {
        let is_wanted = with_channel!(self, topic, |channel| {
            channel.step(State::Leaving, State::Silent) && !channel.seats.is_empty()
        });
        match (is_wanted, topic) {
            (Some(true), _) => self.wanted.push_back(topic),
            (Some(false), Topic::Design(design)) => self.forget_if_silent(design),
            _ => {}
        }
    }

    fn forget_if_silent(&mut self, design: DesignId) {
        let is_over =
            |channel: &Channel<BusMessage>| channel.seats.is_empty() && channel.state == State::Silent;
        if self.designs.get(&design).is_some_and(is_over) {
            self.designs.remove(&design);
        }
    }

    /// The link is gone, or Redis has moved channels about: all of them are to be asked for.
    pub(super) fn silence(&mut self) {
        self.designs.retain(|_, channel| {
            channel.state = State::Silent;
            !channel.seats.is_empty()
        });
        self.pods.state = State::Silent;
        self.want_silent();
    }

    /// Whatever should be heard and is not is asked for again.
    pub(super) fn want_silent(&mut self) {
        self.wanted.clear();
        if self.pods.state == State::Silent && !self.pods.seats.is_empty() {
            self.wanted.push_back(Topic::Pods);
        }
        let silent = self.designs.iter().filter(|(_, it)| it.state == State::Silent && !it.seats.is_empty());
        self.wanted.extend(silent.map(|(design, _)| Topic::Design(*design)));
    }

    /// Forgets subscribers that left. Returns channels that nobody listens to, for Redis to know.
    pub(super) fn sweep(&mut self) -> Vec<Topic> {
        let mut leaving = Vec::new();
        self.designs.retain(|design, channel| {
            if !channel.sweep() {
                return true;
            }
            if channel.step(State::Heard, State::Leaving) {
                leaving.push(Topic::Design(*design));
            }
            channel.state != State::Silent
        });
        // The pods' own channel stays: it is one.
        self.pods.sweep();
        leaving
    }

    /// What is heard now, for those who ask Redis again from time to time.
    pub(super) fn all_heard(&self) -> Vec<Topic> {
        let designs = self.designs.iter().filter(|(_, channel)| channel.state == State::Heard);
        let pods = (self.pods.state == State::Heard).then_some(Topic::Pods);
        designs.map(|(design, _)| Topic::Design(*design)).chain(pods).collect()
    }

    pub(super) fn is_heard(&self, topic: Topic) -> bool {
        let state = match topic {
            Topic::Design(design) => self.designs.get(&design).map(|channel| channel.state),
            Topic::Pods => Some(self.pods.state),
        };
        state == Some(State::Heard)
    }

    pub(super) fn tell_gap(&mut self, gaps: &AtomicU64) {
        self.designs.values_mut().for_each(|channel| channel.tell_gap(gaps));
        self.pods.tell_gap(gaps);
    }

    /// As [`Self::tell_gap`], but for channels that are asked for: their subscribers are told when they are heard.
    pub(super) fn tell_gap_where_heard(&mut self, gaps: &AtomicU64) {
        let designs = self.designs.values_mut().filter(|channel| channel.state == State::Heard);
        designs.for_each(|channel| channel.tell_gap(gaps));
        if self.pods.state == State::Heard {
            self.pods.tell_gap(gaps);
        }
    }

    pub(super) fn hear(&mut self, design: DesignId, message: &BusMessage, lost: &AtomicU64) {
        if let Some(channel) = self.designs.get_mut(&design) {
            channel.hear(message, lost);
        }
    }

    pub(super) fn hear_pods(&mut self, message: &PodMessage, lost: &AtomicU64) {
        self.pods.hear(message, lost);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::bus::{Heard, Subscription, conformance};

    fn seat() -> (Seat<BusMessage>, Subscription, oneshot::Receiver<()>) {
        let (ear, subscription) = Ear::pair();
        let (told, waiting) = oneshot::channel();
        (Seat { ear, waiting: Some(told) }, subscription, waiting)
    }

    fn all_asked(registry: &mut Registry) -> Vec<Topic> {
        std::iter::from_fn(|| registry.ask()).collect()
    }

    fn design(n: u128) -> DesignId {
        DesignId::from_u128(n)
    }

    fn topic(n: u128) -> Topic {
        Topic::Design(design(n))
    }

    #[test]
    fn two_subscribers_share_one_channel_and_who_waits_is_told_in_time() {
        let (mut registry, gaps, lost) = (Registry::default(), AtomicU64::new(0), AtomicU64::new(0));
        let (one, mut first, mut first_waits) = seat();
        let (two, mut second, second_waits) = seat();
        registry.add(design(1), one, &gaps);
        registry.add(design(1), two, &gaps);
        assert_eq!(all_asked(&mut registry), [topic(1)], "once");
        assert_eq!(first_waits.try_recv(), Err(TryRecvError::Empty));
        drop(second_waits);
        registry.heard(topic(1), &gaps);
        assert_eq!(first_waits.try_recv(), Ok(()));
        assert!(first.messages.try_recv().is_err(), "who waited in time has missed nothing");
        assert_eq!(second.messages.try_recv(), Ok(Heard::Gap), "who did not may have");

        let (three, mut third, mut third_waits) = seat();
        registry.add(design(1), three, &gaps);
        assert_eq!((registry.ask(), third_waits.try_recv()), (None, Ok(())), "it is heard already");
        registry.hear(design(1), &conformance::message(7), &lost);
        for subscription in [&mut first, &mut second, &mut third] {
            assert_eq!(subscription.messages.try_recv(), Ok(Heard::Message(conformance::message(7))));
        }
        assert_eq!(gaps.into_inner(), 1);
    }

    #[test]
    fn after_a_break_everything_is_asked_for_again_and_everybody_told() {
        let (mut registry, gaps) = (Registry::default(), AtomicU64::new(0));
        let mut all = Vec::new();
        for n in 1..=5 {
            let (seat, subscription, waiting) = seat();
            registry.add(design(n), seat, &gaps);
            all.push((subscription, waiting));
        }
        for _ in 0..2 {
            let asked = registry.ask().unwrap();
            registry.heard(asked, &gaps);
        }
        assert!(registry.ask().is_some(), "one is on its way");
        registry.silence();
        let asked = all_asked(&mut registry);
        assert_eq!(asked.len(), 5);
        for topic in asked {
            registry.heard(topic, &gaps);
        }
        let told: Vec<_> = all.iter_mut().map(|(subscription, _)| subscription.messages.try_recv()).collect();
        assert_eq!(told.iter().filter(|told| **told == Ok(Heard::Gap)).count(), 2, "who was heard before");
        assert!(all.iter_mut().all(|(_, waiting)| waiting.try_recv() == Ok(())));
    }

    #[test]
    fn a_channel_that_nobody_listens_to_is_given_up_and_comes_back() {
        let (mut registry, gaps) = (Registry::default(), AtomicU64::new(0));
        let (seat_of_one, subscription, _waiting) = seat();
        registry.add(design(1), seat_of_one, &gaps);
        for asked in all_asked(&mut registry) {
            registry.heard(asked, &gaps);
        }
        assert_eq!(registry.sweep(), []);
        drop(subscription);
        assert_eq!(registry.sweep(), [topic(1)]);
        assert_eq!(registry.sweep(), [], "once");
        // Somebody comes while it is being given up.
        let (again, _subscription, mut waiting) = seat();
        registry.add(design(1), again, &gaps);
        assert_eq!(registry.ask(), None, "not before the other is done");
        registry.left(topic(1));
        assert_eq!(registry.ask(), Some(topic(1)));
        registry.failed(topic(1));
        assert_eq!(registry.ask(), None);
        registry.want_silent();
        assert_eq!(registry.ask(), Some(topic(1)));
        registry.heard(topic(1), &gaps);
        assert_eq!(waiting.try_recv(), Ok(()));
        assert_eq!(registry.all_heard(), [topic(1)]);
    }

    #[test]
    fn who_comes_and_goes_while_redis_is_away_leaves_nothing_behind() {
        let (mut registry, gaps) = (Registry::default(), AtomicU64::new(0));
        for n in 0..100 {
            drop(seat());
            let (seat, subscription, _) = seat();
            registry.add(design(n), seat, &gaps);
            drop(subscription);
        }
        assert_eq!(registry.sweep(), []);
        assert!(registry.designs.is_empty());
        assert_eq!(registry.ask(), None);
        // One that was asked for is given up once that is answered.
        let (seat, subscription, _) = seat();
        registry.add(design(1), seat, &gaps);
        let asked = all_asked(&mut registry);
        drop(subscription);
        assert_eq!(registry.sweep(), []);
        registry.heard(asked[0], &gaps);
        assert_eq!(registry.sweep(), [topic(1)]);
        registry.left(topic(1));
        assert!(registry.designs.is_empty());
    }
}
