//! The bus between the pods: a hint, never the truth.

use atlas_crdt::ids::{Millis, PodId};
use atlas_crdt::room::Input;

use crate::plan::Fate;
use crate::pod::{Heard, Word};
use crate::world::{Obituary, World};

/// Milliseconds without a sign of life after which a pod is taken for dead.
const DEAD_AFTER_MS: u64 = 4_000;

impl World {
    pub(crate) fn publish(&mut self, from: usize, word: &Word) {
        if self.pods[from].away_since.is_some() {
            return self.faults.count("words lost");
        }
        let id = self.pods[from].id;
        for to in (0..self.pods.len()).filter(|to| *to != from) {
            let is_listening = self.pods[to].inbox.is_some();
            if is_listening && !self.pods[to].push(id, word.clone()) {
                self.faults.count("words lost");
            }
        }
    }

    /// The next word for this pod, if its room is there to hear it.
    pub(crate) fn hear_word(&mut self, pod: usize, fate: Fate) {
        if !self.pods[pod].is_loaded {
            return;
        }
        let Some(inbox) = &mut self.pods[pod].inbox else { return };
        let Some(heard) = inbox.pop_front() else { return };
        let fate = if matches!(heard, Heard::Gap) { Fate::Arrives } else { fate };
        match fate {
            Fate::Arrives => {}
            Fate::Lost => return self.faults.count("words lost"),
            Fate::Twice => {
                inbox.push_back(heard.clone());
                self.faults.count("words doubled");
            }
            Fate::Late => {
                inbox.push_back(heard);
                return self.faults.count("words delayed");
            }
        }
        let input = match heard {
            Heard::Gap => {
                self.faults.count("gaps of the bus");
                Input::BusResumed
            }
            Heard::Word(_, Word::Commit { generation, seq, update, claims }) => {
                Input::Remote { generation, seq, update, claims }
            }
            Heard::Word(_, Word::Elsewhere { generation, seq }) => {
                Input::CommittedElsewhere { generation, seq }
            }
            Heard::Word(pod, Word::Presence { update, users, whole }) => {
                self.faults.count("presence across pods");
                Input::RemotePresence { pod, update, users, whole }
            }
            Heard::Word(_, Word::AskPresence) => Input::PresenceAsked,
            Heard::Word(_, Word::Digest { generation, seq, hash }) => {
                let stats =
                    self.pods[pod].room.as_ref().map(atlas_crdt::room::Room::stats).unwrap_or_default();
                let is_compared = stats.head == seq && !stats.has_unsaved;
                self.faults.count_many("digests compared", u64::from(is_compared));
                Input::Digest { generation, seq, hash }
            }
        };
        self.handle(pod, input);
    }

    pub(crate) fn lose_bus(&mut self, pod: usize) {
        if self.pods[pod].away_since.is_some() {
            return;
        }
        self.faults.count("bus away");
        self.pods[pod].away_since = Some(self.now);
        if let Some(inbox) = &mut self.pods[pod].inbox {
            let lost = inbox.drain(..).count();
            self.faults.count_many("words lost", lost as u64);
        }
        self.bury(pod);
        let others: Vec<PodId> = self.others_of(pod).map(|other| self.pods[other].id).collect();
        let at = self.now.plus(DEAD_AFTER_MS);
        self.obituaries.extend(others.into_iter().map(|dead| Obituary { at, reader: pod, dead }));
    }

    pub(crate) fn regain_bus(&mut self, pod: usize) {
        let Some(since) = self.pods[pod].away_since.take() else { return };
        let id = self.pods[pod].id;
        self.obituaries.retain(|obituary| obituary.dead != id && obituary.reader != pod);
        if let Some(inbox) = &mut self.pods[pod].inbox {
            inbox.push_back(Heard::Gap);
        }
        // Who was taken for dead and is heard again is asked who is there.
        if DEAD_AFTER_MS <= self.now.since(since) {
            for asker in 0..self.pods.len() {
                if self.pods[asker].is_loaded {
                    self.publish(asker, &Word::AskPresence);
                }
            }
        }
    }

    /// The others will take this pod, as it is, for dead.
    pub(crate) fn bury(&mut self, pod: usize) {
        let dead = self.pods[pod].id;
        let at: Millis = self.now.plus(DEAD_AFTER_MS);
        let readers: Vec<usize> = self.others_of(pod).collect();
        self.obituaries.retain(|obituary| obituary.dead != dead);
        self.obituaries.extend(readers.into_iter().map(|reader| Obituary { at, reader, dead }));
    }

    pub(crate) fn read_obituaries(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.obituaries).into_iter().partition(|one| one.at <= now);
        self.obituaries = later;
        let due: Vec<Obituary> = due;
        for Obituary { reader, dead, .. } in due {
            self.faults.count("pods taken for dead");
            self.handle(reader, Input::PodGone { pod: dead });
        }
    }

    fn others_of(&self, pod: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.pods.len()).filter(move |other| *other != pod)
    }
}
