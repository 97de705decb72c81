//! Presence of one room: who is here, where their pointers are. Ephemeral, bounded, expiring.
//!
//! The format is y-protocols' awareness update: a count, then for each client its id, a clock and its state as a
//! JSON string, `null` meaning gone. Unlike there, a connection speaks for its own client ids only: stock clients
//! send on whatever they hear, and such echoes are skipped. What counts as newer is y-protocols' rule: a higher
//! clock, or a removal at the same clock.
//!
//! **Whose an id is.** A client takes a state about its own id with a higher clock for its own and counts on from
//! there, so whoever may announce an id may also silence its client. An id therefore belongs to the user who
//! announced it: while it is here, and for [`AWARENESS_ID_KEPT_MS`] after it went (for as long as the room lives and
//! remembers it; the oldest give way when there are too many). Only then may another user announce it, as happens
//! when somebody signs in as somebody else without loading the page again. Clocks above [`AWARENESS_CLOCK_MAX`] are
//! passed over, so that no client is led to the end of their range.
//!
//! **A client that comes back** announces itself at the clock it had when it was removed, which every y-protocols
//! peer ignores, and which cannot be told from a late echo by the same user. So the removal is sent once more with the
//! next tick: peers ignore it, but the client, hearing of its own removal, announces itself again with a higher clock.
//!
//! **Other pods.** Each tells the others what its own connections say (`pods`), and what it hears from them stands beside
//! what was said here, with the pod in the place of the connection.

mod format;
mod pods;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::gate::Refusal;
use crate::ids::{ClientId, ConnId, Millis, PodId, UserId};
use crate::limits::{
    AWARENESS_BYTES_MAX, AWARENESS_BYTES_PER_ROOM_MAX, AWARENESS_EXPIRY_MS, AWARENESS_ID_KEPT_MS,
    AWARENESS_IDS_PER_CONN_MAX, AWARENESS_STATES_PER_CONN_MAX, AWARENESS_STATES_PER_ROOM_MAX,
};
use format::{Entry, check_state, encode_parts, entries};
use pods::News;
pub use pods::Word;

/// Ids that are here or on other pods, and ids remembered after they went, together.
const KNOWN_IDS_MAX: usize = 3 * AWARENESS_STATES_PER_ROOM_MAX;

/// The awareness states of one room.
#[derive(Debug, Default)]
pub struct Presence {
    /// The latest time that anybody told.
    now: Millis,
    here: BTreeMap<ClientId, Here>,
    /// `here` by the time at which each was last heard of.
    heard: BTreeSet<(Millis, ClientId)>,
    /// The ids of each connection, and of each other pod, that has any.
    owned: BTreeMap<Owner, BTreeSet<ClientId>>,
    /// Bytes of all states of this pod's connections.
    bytes: usize,
    /// What the other pods' take of `here`, with bounds of their own: they do not keep anybody out who is here.
    far_states: usize,
    far_bytes: usize,
    /// Ids that went: for a while with their clocks, so that a late echo does not bring them back, and for longer
    /// with their users.
    gone: BTreeMap<ClientId, Gone>,
    /// `gone` in the order in which they went.
    gone_order: BTreeMap<u64, ClientId>,
    /// Numbers the next entry of `gone_order`.
    gone_next: u64,
    /// Ids in `here` of which the next update tells.
    changed: BTreeSet<ClientId>,
    /// Ids in `gone` of which the next update tells. They are kept in `gone` until then.
    removed: BTreeSet<ClientId>,
    /// The ids that each connection ever spoke for.
    opened: BTreeMap<ConnId, BTreeSet<ClientId>>,
    /// Ids that somebody began to speak for, and the user, until they are taken.
    arrived: Vec<(ClientId, UserId)>,
    /// Somebody left or expired since the last update.
    lost: bool,
    /// What is to be told to other pods.
    news: News,
    /// Ids of connections here that somebody took for gone, and the clock at which.
    reminders: BTreeMap<ClientId, u32>,
}

/// Who speaks for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Conn(ConnId),
    /// A connection of another pod.
    Pod(PodId),
}

impl Owner {
    const fn is_far(self) -> bool {
        matches!(self, Self::Pod(_))
    }
}

/// What there is to say since the last time.
#[derive(Debug, Default)]
pub struct Told {
    /// Awareness updates for the connections here, none above [`AWARENESS_FRAME_BYTES_MAX`](crate::limits::AWARENESS_FRAME_BYTES_MAX).
    pub here: Vec<Bytes>,
    pub pods: Option<Word>,
    /// Awareness updates for single connections: the removal of their own ids, upon which y-protocols clients announce
    /// themselves anew, at a higher clock.
    pub reminders: Vec<(ConnId, Bytes)>,
}

#[derive(Debug)]
struct Here {
    owner: Owner,
    user: UserId,
    clock: u32,
    /// JSON, as received; a copy, so that it does not keep the message alive.
    state: Bytes,
    heard: Millis,
}

#[derive(Debug)]
struct Gone {
    user: UserId,
    /// Another pod said it last.
    is_far: bool,
    clock: u32,
    at: Millis,
    order: u64,
}

impl Presence {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an awareness update from a connection. Either it is well-formed and what it says about the
    /// connection's own ids counts, or nothing of it does. An id is the connection's own if
    ///
    /// - it announced it last; or
    /// - another connection **of the same user** has it, and the entry is a state with a higher clock than that: a
    ///   client comes back on a new socket before the old one is noticed to be dead. An echo never has a higher
    ///   clock; or
    /// - nobody has it, and if it went within [`AWARENESS_ID_KEPT_MS`], it was the same user's, and if it went within
    ///   [`AWARENESS_EXPIRY_MS`], the clock is higher than then.
    ///
    /// Everything else is skipped, and so are clocks above [`AWARENESS_CLOCK_MAX`], new ids of a connection that has
    /// [`AWARENESS_STATES_PER_CONN_MAX`] at once or had [`AWARENESS_IDS_PER_CONN_MAX`] in its life, or in a room that has [`AWARENESS_STATES_PER_ROOM_MAX`], and states that
    /// would bring those of the room beyond [`AWARENESS_BYTES_PER_ROOM_MAX`].
    ///
    /// `is_foreign` tells of an id that nobody here speaks for whether somebody else has written under it.
    pub fn receive(
        &mut self,
        now: Millis,
        conn: ConnId,
        user: UserId,
        update: &[u8],
        is_foreign: impl Fn(ClientId) -> bool,
    ) -> Result<(), Refusal> {
        self.tell(now);
        let mut accepted = Vec::new();
        for entry in entries(update, AWARENESS_BYTES_MAX)? {
            let is_new = !self.here.contains_key(&entry.client);
            if self.concerns(conn, user, &entry) && !(is_new && is_foreign(entry.client)) {
                if let Some(state) = entry.state {
                    check_state(state)?;
                }
                accepted.push(entry);
            }
        }
        for entry in accepted {
            self.take(conn, user, &entry);
        }
        Ok(())
    }

    /// The connection is gone and its ids with it: their removal, at the clocks last seen, is pending.
    pub fn leave(&mut self, conn: ConnId) {
        self.opened.remove(&conn);
        self.lose_all_of(Owner::Conn(conn));
    }

    fn lose_all_of(&mut self, owner: Owner) {
        for client in self.owned.remove(&owner).unwrap_or_default() {
            self.remove(client, None);
            self.lost = true;
        }
    }

    /// Removes who was not heard of for [`AWARENESS_EXPIRY_MS`].
    pub fn expire(&mut self, now: Millis) {
        self.tell(now);
        while let Some((heard, client)) = self.heard.first().copied() {
            if self.now.since(heard) < AWARENESS_EXPIRY_MS {
                break;
            }
            self.remove(client, None);
            self.lost = true;
        }
    }

    /// When [`Self::expire`] has something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        self.heard.first().map(|(heard, _)| heard.plus(AWARENESS_EXPIRY_MS))
    }

    /// Whether there is anything to say to the connections here.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.removed.is_empty()
    }

    /// Whether there is anything to say to anybody.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.has_changes() || !self.news.is_empty() || !self.reminders.is_empty()
    }

    /// Whether somebody left or expired, which should be told at once. Nothing that a client sends brings this about:
    /// also what clients say about their own going waits for the tick.
    #[must_use]
    pub fn has_removals(&self) -> bool {
        self.lost
    }

    /// Awareness updates of what changed since the last call: the latest state of each id, once. None is above
    /// [`AWARENESS_FRAME_BYTES_MAX`](crate::limits::AWARENESS_FRAME_BYTES_MAX).
    pub fn take_changes(&mut self) -> Vec<Bytes> {
        self.lost = false;
        if !self.has_changes() {
            return Vec::new();
        }
        let changed = std::mem::take(&mut self.changed);
        let removed = std::mem::take(&mut self.removed);
        let states = changed.iter().filter_map(|client| self.here.get_key_value(client));
        let states = states.map(|(client, here)| (*client, here.clock, &here.state[..]));
        let ends = removed.iter().filter_map(|client| self.gone.get_key_value(client));
        let ends = ends.map(|(client, gone)| (*client, gone.clock, &b"null"[..]));
        let updates = encode_parts(states.chain(ends));
        self.forget();
        updates
    }

    /// Everything that there is to say since the last call.
    pub fn take_told(&mut self) -> Told {
        let pods = self.take_word();
        let reminders = self.take_reminders();
        Told { here: self.take_changes(), pods, reminders }
    }

    /// Awareness updates of everybody here and on other pods, for a joiner; none above [`AWARENESS_FRAME_BYTES_MAX`](crate::limits::AWARENESS_FRAME_BYTES_MAX).
    #[must_use]
    pub fn snapshot(&self) -> Vec<Bytes> {
        encode_parts(self.here.iter().map(|(client, here)| (*client, here.clock, &here.state[..])))
    }

    /// The connection of this pod that speaks for this id.
    #[must_use]
    pub fn owner(&self, client: ClientId) -> Option<ConnId> {
        match self.here.get(&client)?.owner {
            Owner::Conn(conn) => Some(conn),
            Owner::Pod(_) => None,
        }
    }

    /// The ids that somebody began to speak for since this was last asked, each with its user.
    pub fn take_arrived(&mut self) -> Vec<(ClientId, UserId)> {
        std::mem::take(&mut self.arrived)
    }

    /// The ids that the user's connections speak for.
    #[must_use]
    pub fn ids_of(&self, user: UserId) -> Vec<ClientId> {
        let theirs = |here: &Here| here.user == user && !here.owner.is_far();
        self.here.iter().filter(|(_, here)| theirs(here)).map(|(client, _)| *client).collect()
    }

    /// How many states there are, those of other pods included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.here.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    /// Whether an entry is worth a closer look. Most that stock clients send are echoes and end here.
    fn concerns(&self, conn: ConnId, user: UserId, entry: &Entry<'_>) -> bool {
        match (self.here.get(&entry.client), self.gone.get(&entry.client)) {
            (Some(here), _) if here.owner == Owner::Conn(conn) => here.clock <= entry.clock,
            (Some(here), _) => here.user == user && here.clock < entry.clock && entry.state.is_some(),
            (None, Some(gone)) => gone.user == user && entry.state.is_some(),
            (None, None) => entry.state.is_some(),
        }
    }

    fn take(&mut self, conn: ConnId, user: UserId, entry: &Entry<'_>) {
        // An entry before this one in the same update may have changed whose the id is.
        if !self.concerns(conn, user, entry) {
            return;
        }
        let Some(state) = entry.state else {
            self.remove(entry.client, Some(entry.clock));
            return;
        };
        let near = self.here.get(&entry.client).filter(|here| !here.owner.is_far());
        let before = near.map_or(0, |here| here.state.len());
        let fits = state.len() <= before || self.bytes - before + state.len() <= AWARENESS_BYTES_PER_ROOM_MAX;
        match self.here.get(&entry.client) {
            Some(here) if here.owner == Owner::Conn(conn) && (here.clock == entry.clock || !fits) => {
                // Nothing new, or nothing that there is room for, but somebody still speaks for it.
                self.hear(entry.client);
                return;
            }
            Some(here) if here.owner == Owner::Conn(conn) => {}
            Some(here) => {
                let has_room = !here.owner.is_far() || self.near_states() < AWARENESS_STATES_PER_ROOM_MAX;
                if !fits || !has_room || self.is_full(conn, entry.client) {
                    return;
                }
                self.disown(entry.client);
            }
            None => {
                if self.is_before_its_end(entry) {
                    self.removed.insert(entry.client);
                    return;
                }
                let has_room = self.near_states() < AWARENESS_STATES_PER_ROOM_MAX;
                if !fits || !has_room || self.is_full(conn, entry.client) || !self.has_room_for_new() {
                    return;
                }
            }
        }
        // Once for each connection: what a client makes of going and coming again costs the database nothing.
        if self.opened.entry(conn).or_default().insert(entry.client) {
            self.arrived.push((entry.client, user));
        }
        self.put(Owner::Conn(conn), user, entry.client, entry.clock, state);
    }

    /// Whether the id went lately, and this may be from before.
    fn is_before_its_end(&self, entry: &Entry<'_>) -> bool {
        self.gone
            .get(&entry.client)
            .is_some_and(|gone| entry.clock <= gone.clock && self.now.since(gone.at) < AWARENESS_EXPIRY_MS)
    }

    fn put(&mut self, owner: Owner, user: UserId, client: ClientId, clock: u32, state: &str) {
        if let Some(gone) = self.gone.remove(&client) {
            self.gone_order.remove(&gone.order);
        }
        let state = Bytes::copy_from_slice(state.as_bytes());
        let here = Here { owner, user, clock, state, heard: self.now };
        self.heard.insert((here.heard, client));
        self.owned.entry(owner).or_default().insert(client);
        if owner.is_far() {
            self.far_states += 1;
            self.far_bytes += here.state.len();
            self.news.forget(client);
            self.reminders.remove(&client);
        } else {
            self.bytes += here.state.len();
            self.news.changed(client);
        }
        let heard = here.heard;
        if let Some(before) = self.here.insert(client, here) {
            self.unweigh(&before);
            if before.heard != heard {
                self.heard.remove(&(before.heard, client));
            }
        }
        self.removed.remove(&client);
        self.changed.insert(client);
    }

    fn unweigh(&mut self, here: &Here) {
        if here.owner.is_far() {
            self.far_states -= 1;
            self.far_bytes -= here.state.len();
        } else {
            self.bytes -= here.state.len();
        }
    }

    /// `clock`: None is the one last seen.
    fn remove(&mut self, client: ClientId, clock: Option<u32>) {
        self.disown(client);
        let Some(here) = self.here.remove(&client) else { return };
        self.heard.remove(&(here.heard, client));
        self.unweigh(&here);
        self.reminders.remove(&client);
        let order = self.gone_next;
        self.gone_next += 1;
        self.gone_order.insert(order, client);
        let clock = clock.unwrap_or(here.clock);
        if !here.owner.is_far() {
            self.news.removed(client, clock, here.user);
        }
        let is_far = here.owner.is_far();
        self.gone.insert(client, Gone { user: here.user, is_far, clock, at: self.now, order });
        self.changed.remove(&client);
        self.removed.insert(client);
    }

    fn hear(&mut self, client: ClientId) {
        if let Some(here) = self.here.get_mut(&client) {
            self.heard.remove(&(here.heard, client));
            here.heard = self.now;
            self.heard.insert((here.heard, client));
        }
    }

    fn disown(&mut self, client: ClientId) {
        let Some(owner) = self.here.get(&client).map(|here| here.owner) else { return };
        if let Some(owned) = self.owned.get_mut(&owner) {
            owned.remove(&client);
            if owned.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }

    fn is_full(&self, conn: ConnId, client: ClientId) -> bool {
        self.owned.get(&Owner::Conn(conn)).is_some_and(|owned| AWARENESS_STATES_PER_CONN_MAX <= owned.len())
            || self
                .opened
                .get(&conn)
                .is_some_and(|opened| AWARENESS_IDS_PER_CONN_MAX <= opened.len() && !opened.contains(&client))
    }

    fn near_states(&self) -> usize {
        self.here.len() - self.far_states
    }

    fn has_room_for_new(&mut self) -> bool {
        if KNOWN_IDS_MAX <= self.here.len() + self.gone.len() {
            // The oldest of the gone gives way, unless its removal has not been told yet: then so has none.
            let oldest = self.gone_order.first_key_value().map(|(order, client)| (*order, *client));
            if let Some((order, client)) = oldest
                && !self.removed.contains(&client)
            {
                self.gone_order.remove(&order);
                self.gone.remove(&client);
            }
        }
        self.here.len() + self.gone.len() < KNOWN_IDS_MAX
    }

    fn tell(&mut self, now: Millis) {
        self.now = self.now.max(now);
        self.forget();
    }

    /// Forgets who went long ago.
    fn forget(&mut self) {
        while let Some((order, client)) = self.gone_order.first_key_value() {
            let (order, client) = (*order, *client);
            let is_old =
                self.gone.get(&client).is_none_or(|gone| AWARENESS_ID_KEPT_MS <= self.now.since(gone.at));
            if !is_old || self.removed.contains(&client) {
                break;
            }
            self.gone_order.remove(&order);
            self.gone.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests;
