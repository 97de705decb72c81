//! One pod: its room, what its room has asked of the store, what it hears of the bus, and its own clock.

use std::collections::VecDeque;

use atlas_crdt::ids::{ClientId, Generation, Millis, PodId, Seq, UserId};
use atlas_crdt::room::{Append, Claim, Input, Room};
use bytes::Bytes;

use crate::rng::Rng;
use crate::settling::Settling;

/// Words that wait for one pod; what is more is lost, and said to be.
const INBOX_MAX: usize = 48;

/// Work that the store has been given and has not done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Subscribes first, and then reads.
    Load {
        is_subscribed: bool,
    },
    CatchUp {
        after: Seq,
    },
    Append(Append),
}

/// What pods say to each other.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Commit { generation: Generation, seq: Seq, update: Bytes, claims: Vec<Claim> },
    Elsewhere { generation: Generation, seq: Seq },
    Presence { update: Bytes, users: Vec<(ClientId, UserId)>, whole: bool },
    AskPresence,
    Digest { generation: Generation, seq: Seq, hash: [u8; 32] },
}

#[derive(Debug, Clone)]
pub(crate) enum Heard {
    Word(PodId, Word),
    /// Something was lost.
    Gap,
}

#[derive(Debug)]
pub(crate) struct Pod {
    /// Another one after each start.
    pub(crate) id: PodId,
    pub(crate) room: Option<Room>,
    /// The store has answered the room's first load.
    pub(crate) is_loaded: bool,
    pub(crate) jobs: VecDeque<Job>,
    /// What the store has done, and the room has not heard.
    pub(crate) answers: VecDeque<Input>,
    /// `None`: nothing is listened to.
    pub(crate) inbox: Option<VecDeque<Heard>>,
    /// Since when it does not reach the bus.
    pub(crate) away_since: Option<Millis>,
    /// Looks into the store that it has not heard the outcome of.
    pub(crate) looks: VecDeque<(Generation, Seq)>,
    /// What its room has committed and is to settle.
    pub(crate) settling: Settling,
    /// Effects until it dies.
    pub(crate) fuse: Option<usize>,
    /// Its own time, which runs by itself.
    pub(crate) clock: Millis,
    offset: u64,
    /// Per cent.
    rate: u64,
}

impl Pod {
    pub(crate) fn new(rng: &mut Rng, id: PodId) -> Self {
        let (offset, rate) = (rng.below(1_000_000) as u64, 90 + rng.below(21) as u64);
        Self {
            id,
            room: None,
            is_loaded: false,
            jobs: VecDeque::new(),
            answers: VecDeque::new(),
            inbox: None,
            away_since: None,
            looks: VecDeque::new(),
            settling: Settling::default(),
            fuse: None,
            clock: Millis::new(offset),
            offset,
            rate,
        }
    }

    /// Its time when the world's is `now`.
    pub(crate) fn time_at(&self, now: Millis) -> Millis {
        Millis::new(self.offset + now.get() * self.rate / 100)
    }

    /// The process is gone, and another one is there. Words, jobs and answers are gone with it.
    pub(crate) fn restart(&mut self, id: PodId) {
        self.id = id;
        self.forget_room();
        self.away_since = None;
        self.looks.clear();
        self.fuse = None;
    }

    pub(crate) fn forget_room(&mut self) {
        self.room = None;
        self.is_loaded = false;
        self.jobs.clear();
        self.answers.clear();
        self.inbox = None;
        self.settling = Settling::default();
    }

    /// A word arrives at its queue. False: there was no space, or nobody listens.
    pub(crate) fn push(&mut self, from: PodId, word: Word) -> bool {
        let Some(inbox) = self.inbox.as_mut().filter(|_| self.away_since.is_none()) else { return false };
        if inbox.len() < INBOX_MAX {
            inbox.push_back(Heard::Word(from, word));
            return true;
        }
        if !matches!(inbox.back(), Some(Heard::Gap)) {
            inbox.push_back(Heard::Gap);
        }
        false
    }

    /// Whether its room takes in what others say.
    pub(crate) fn accepts_frames(&self) -> bool {
        self.room.as_ref().is_some_and(Room::accepts_frames)
    }
}
