//! Presence on other pods: what this pod tells them, and what it makes of what they tell.
//!
//! A pod says only what its own connections say, so that of any id the last pod that spoke for it is where its client is:
//! a client that changes the pod takes its id along, with its user. Words may be lost, doubled, late and in any order;
//! what is wrong after that is put right by the next renewal (a client says every 15 seconds that it is still here), or
//! expires.
//!
//! Clocks belong to the clients, and no client takes back what it was told at the same clock. So where a pod took somebody
//! for gone who is not (it could not be heard for a while, or an old word arrived late), it says so, at the clock at which it
//! did, and the client's own pod tells the client: hearing of its own removal, it announces itself again, one clock higher.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::format::{Entry, check_state, encode, entries};
use super::{Owner, Presence};
use crate::ids::{ClientId, ConnId, Millis, PodId, UserId};
use crate::limits::{
    AWARENESS_BYTES_PER_ROOM_MAX, AWARENESS_CLOCK_MAX, AWARENESS_ENTRIES_MAX, AWARENESS_STATES_PER_ROOM_MAX,
    PRESENCE_WORD_BYTES_MAX,
};
use crate::room::Claim;

/// No client is led further than this by somebody else, so that what it says then still counts.
const REMINDER_CLOCK_MAX: u32 = AWARENESS_CLOCK_MAX / 2;

/// What a pod says to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// An awareness update.
    pub update: Bytes,
    /// Whose the ids in it are.
    pub users: Vec<(ClientId, UserId)>,
    /// These are all of this pod.
    pub whole: bool,
}

/// What the other pods have not been told yet.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Ids of connections here.
    changed: BTreeSet<ClientId>,
    /// Ids that went from here, or that somebody else spoke for at an old clock, each with the clock at which they are gone.
    removed: BTreeMap<ClientId, (u32, UserId)>,
    /// All are to be told.
    whole: bool,
    /// Something was told before: there may be something to take back.
    spoke: bool,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && !self.whole
    }

    pub(super) fn changed(&mut self, client: ClientId) {
        self.removed.remove(&client);
        self.changed.insert(client);
    }

    pub(super) fn removed(&mut self, client: ClientId, clock: u32, user: UserId) {
        self.changed.remove(&client);
        self.removed.insert(client, (clock, user));
    }

    /// Another pod speaks for it.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.changed.remove(&client);
        self.removed.remove(&client);
    }
}

impl Presence {
    /// Takes what another pod says about its connections. It is skipped, as a whole or in part, where it is not what a pod
    /// says: nothing that comes here can fail, or take more than there is room for.
    ///
    /// - An id is the pod's if nobody speaks for it (by the rules for connections: whose it was, and at which clock it went),
    ///   or if another pod does, with the same user and no higher clock.
    /// - An id of a connection of this pod is the other pod's only with the same user and a higher clock.
    /// - A removal counts if the id is the pod's. One of an id of a connection here is passed on to that connection.
    ///
    /// `is_foreign` tells of an id whether somebody else than the user has written under it.
    pub fn receive_remote(
        &mut self,
        now: Millis,
        pod: PodId,
        update: &[u8],
        users: &[(ClientId, UserId)],
        whole: bool,
        is_foreign: impl Fn(ClientId, UserId) -> bool,
    ) {
        self.tell(now);
        let Ok(entries) = entries(update, PRESENCE_WORD_BYTES_MAX) else { return };
        let users: BTreeMap<ClientId, UserId> = users.iter().copied().collect();
        let pod = Owner::Pod(pod);
        if whole {
            let said: BTreeSet<ClientId> = entries.iter().map(|entry| entry.client).collect();
            let owned = self.owned.get(&pod).into_iter().flatten();
            for client in owned.filter(|client| !said.contains(client)).copied().collect::<Vec<_>>() {
                self.remove(client, None);
            }
        }
        for entry in entries {
            let user = users.get(&entry.client).copied();
            match (entry.state, user) {
                (None, _) => self.removed_elsewhere(pod, user, &entry),
                (Some(state), Some(user)) if !is_foreign(entry.client, user) => {
                    self.take_remote(pod, user, &entry, state);
                }
                (Some(_), _) => {}
            }
        }
    }

    /// The pod is gone, or cannot be heard: so is everybody there.
    pub fn pod_gone(&mut self, pod: PodId) {
        self.lose_all_of(Owner::Pod(pod));
    }

    /// Another pod does not know who is here.
    pub fn ask_whole(&mut self) {
        self.news.whole |= self.news.spoke;
    }

    /// The log says whose an id is: somebody else who speaks for it does so no longer.
    pub fn claimed(&mut self, Claim { client, user }: Claim) {
        let usurped = self.here.get(&client).filter(|here| Some(here.user) != user);
        let usurped = usurped.map(|here| (here.clock, here.owner.is_far()));
        if usurped.is_some() {
            self.remove(client, None);
            self.lost = true;
        }
        let Some(user) = user else { return };
        if let Some(gone) = self.gone.get_mut(&client) {
            gone.user = user;
        }
        if let Some((clock, false)) = usurped {
            // Wherever the right one is: those who were told of the other take nothing at a lower clock.
            self.news.removed(client, clock, user);
        }
    }

    /// Whether the user speaks for the id, here or on another pod.
    #[must_use]
    pub fn is_of(&self, client: ClientId, user: UserId) -> bool {
        self.here.get(&client).is_some_and(|here| here.user == user)
    }

    /// The same for all ids that are known here.
    pub fn claimed_all(&mut self, claim_of: impl Fn(ClientId) -> Option<Claim>) {
        let known: Vec<ClientId> = self.here.keys().chain(self.gone.keys()).copied().collect();
        for client in known {
            if let Some(claim) = claim_of(client) {
                self.claimed(claim);
            }
        }
    }

    /// Whether somebody else speaks for the id on another pod, or did until lately.
    #[must_use]
    pub fn is_anothers_elsewhere(&self, client: ClientId, user: UserId) -> bool {
        match (self.here.get(&client), self.gone.get(&client)) {
            (Some(here), _) => here.owner.is_far() && here.user != user,
            (None, gone) => gone.is_some_and(|gone| gone.is_far && gone.user != user),
        }
    }

    fn take_remote(&mut self, pod: Owner, user: UserId, entry: &Entry<'_>, state: &str) {
        match self.here.get(&entry.client) {
            Some(here) if here.owner == pod && here.user == user && here.clock == entry.clock => {
                return self.hear(entry.client);
            }
            // Its own ids are the pod's to give to whom it likes, but for old words.
            Some(here) if here.owner == pod => {
                if entry.clock <= here.clock {
                    return;
                }
            }
            Some(here) if here.user != user => return,
            Some(here) if here.owner.is_far() => {
                if entry.clock < here.clock {
                    return;
                }
            }
            Some(here) => {
                if entry.clock <= here.clock {
                    return;
                }
            }
            None => {
                if self.gone.get(&entry.client).is_some_and(|gone| gone.user != user) {
                    return;
                }
                if let Some(gone) = self.gone.get(&entry.client).filter(|gone| entry.clock <= gone.clock) {
                    self.news.removed(entry.client, gone.clock, user);
                    return;
                }
                if !self.has_room_for_new() {
                    return;
                }
            }
        }
        let far = self.here.get(&entry.client).filter(|here| here.owner.is_far());
        let (states, before) = far.map_or((0, 0), |here| (1, here.state.len()));
        let fits = self.far_states - states < AWARENESS_STATES_PER_ROOM_MAX
            && self.far_bytes - before + state.len() <= AWARENESS_BYTES_PER_ROOM_MAX;
        if fits && check_state(state).is_ok() {
            self.disown(entry.client);
            self.put(pod, user, entry.client, entry.clock, state);
        }
    }

    fn removed_elsewhere(&mut self, pod: Owner, user: Option<UserId>, entry: &Entry<'_>) {
        let Some(here) = self.here.get(&entry.client) else { return };
        if here.clock <= entry.clock {
            if here.owner == pod {
                self.remove(entry.client, Some(entry.clock));
            } else if !here.owner.is_far() && Some(here.user) == user && entry.clock < REMINDER_CLOCK_MAX {
                self.reminders.insert(entry.client, entry.clock);
            }
        }
    }

    /// What the other pods are to hear now.
    pub(super) fn take_word(&mut self) -> Option<Word> {
        if self.news.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut self.news.changed);
        let removed = std::mem::take(&mut self.news.removed);
        let is_too_much = AWARENESS_ENTRIES_MAX < changed.len() + removed.len();
        let whole = std::mem::take(&mut self.news.whole) || is_too_much;
        self.news.spoke = true;
        let told: Vec<_> = if whole {
            self.here.iter().filter(|(_, here)| !here.owner.is_far()).collect()
        } else {
            changed.iter().filter_map(|client| self.here.get_key_value(client)).collect()
        };
        let mut users: Vec<_> = told.iter().map(|(client, here)| (**client, here.user)).collect();
        let states = told.iter().map(|(client, here)| (**client, here.clock, &here.state[..]));
        // All who are here says by itself who is not, but for what others take for being somewhere else.
        let ends: Vec<_> = removed.into_iter().take(if is_too_much { 0 } else { usize::MAX }).collect();
        users.extend(ends.iter().map(|(client, (_, user))| (*client, *user)));
        let ends = ends.iter().map(|(client, (clock, _))| (*client, *clock, &b"null"[..]));
        let update = encode(states.chain(ends).take(AWARENESS_ENTRIES_MAX));
        Some(Word { update, users, whole })
    }

    pub(super) fn take_reminders(&mut self) -> Vec<(ConnId, Bytes)> {
        let reminders = std::mem::take(&mut self.reminders);
        let removal = |(client, clock): (ClientId, u32)| {
            Some((self.owner(client)?, encode(std::iter::once((client, clock, &b"null"[..])))))
        };
        reminders.into_iter().filter_map(removal).collect()
    }
}
