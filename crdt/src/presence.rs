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

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::gate::Refusal;
use crate::ids::{ClientId, ConnId, Millis, UserId};
use crate::lib0::{Reader, write_var_bytes, write_var_uint};
use crate::limits::{
    ANY_DEPTH_MAX, AWARENESS_BYTES_MAX, AWARENESS_BYTES_PER_ROOM_MAX, AWARENESS_CLOCK_MAX,
    AWARENESS_ENTRIES_MAX, AWARENESS_EXPIRY_MS, AWARENESS_ID_KEPT_MS, AWARENESS_IDS_PER_CONN_MAX,
    AWARENESS_STATE_BYTES_MAX, AWARENESS_STATES_PER_CONN_MAX, AWARENESS_STATES_PER_ROOM_MAX,
};

/// Ids that are here, and ids remembered after they went, together.
const KNOWN_IDS_MAX: usize = 2 * AWARENESS_STATES_PER_ROOM_MAX;
/// A client id, a clock, the length of a state and its shortest text, `{}`.
const ENTRY_BYTES_MIN: usize = 5;

/// The awareness states of one room.
#[derive(Debug, Default)]
pub struct Presence {
    /// The latest time that anybody told.
    now: Millis,
    here: BTreeMap<ClientId, Here>,
    /// `here` by the time at which each was last heard of.
    heard: BTreeSet<(Millis, ClientId)>,
    /// The ids of each connection that has any.
    owned: BTreeMap<ConnId, BTreeSet<ClientId>>,
    /// Bytes of all states in `here`.
    bytes: usize,
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
}

#[derive(Debug)]
struct Here {
    owner: ConnId,
    user: UserId,
    clock: u32,
    /// JSON, as received; a copy, so that it does not keep the message alive.
    state: Bytes,
    heard: Millis,
}

#[derive(Debug)]
struct Gone {
    user: UserId,
    clock: u32,
    at: Millis,
    order: u64,
}

/// One client's part of an awareness update.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    client: ClientId,
    clock: u32,
    /// None: the client went.
    state: Option<&'a str>,
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
        for entry in entries(update)? {
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
        for client in self.owned.remove(&conn).unwrap_or_default() {
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

    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.removed.is_empty()
    }

    /// Whether somebody left or expired, which should be told at once. Nothing that a client sends brings this about:
    /// also what clients say about their own going waits for the tick.
    #[must_use]
    pub fn has_removals(&self) -> bool {
        self.lost
    }

    /// An awareness update of what changed since the last call: the latest state of each id, once.
    pub fn take_changes(&mut self) -> Option<Bytes> {
        self.lost = false;
        if !self.has_changes() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let removed = std::mem::take(&mut self.removed);
        let states = changed.iter().filter_map(|client| self.here.get_key_value(client));
        let states = states.map(|(client, here)| (*client, here.clock, &here.state[..]));
        let ends = removed.iter().filter_map(|client| self.gone.get_key_value(client));
        let ends = ends.map(|(client, gone)| (*client, gone.clock, &b"null"[..]));
        let update = encode(states.chain(ends));
        self.forget();
        Some(update)
    }

    /// An awareness update of everybody here, for a joiner.
    #[must_use]
    pub fn snapshot(&self) -> Option<Bytes> {
        if self.here.is_empty() {
            return None;
        }
        Some(encode(self.here.iter().map(|(client, here)| (*client, here.clock, &here.state[..]))))
    }

    /// The connection that speaks for this id.
    #[must_use]
    pub fn owner(&self, client: ClientId) -> Option<ConnId> {
        self.here.get(&client).map(|here| here.owner)
    }

    /// The ids that somebody began to speak for since this was last asked, each with its user.
    pub fn take_arrived(&mut self) -> Vec<(ClientId, UserId)> {
        std::mem::take(&mut self.arrived)
    }

    /// The ids that the user's connections speak for.
    #[must_use]
    pub fn ids_of(&self, user: UserId) -> Vec<ClientId> {
        self.here.iter().filter(|(_, here)| here.user == user).map(|(client, _)| *client).collect()
    }

    /// How many states there are.
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
            (Some(here), _) if here.owner == conn => here.clock <= entry.clock,
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
        let before = self.here.get(&entry.client).map_or(0, |here| here.state.len());
        let fits = state.len() <= before || self.bytes - before + state.len() <= AWARENESS_BYTES_PER_ROOM_MAX;
        match self.here.get(&entry.client) {
            Some(here) if here.owner == conn && (here.clock == entry.clock || !fits) => {
                // Nothing new, or nothing that there is room for, but somebody still speaks for it.
                self.hear(entry.client);
                return;
            }
            Some(here) if here.owner == conn => {}
            Some(_) => {
                if !fits || self.is_full(conn, entry.client) {
                    return;
                }
                self.disown(entry.client);
            }
            None => {
                if self.is_before_its_end(entry) {
                    self.removed.insert(entry.client);
                    return;
                }
                if !fits || self.is_full(conn, entry.client) || !self.has_room_for_new() {
                    return;
                }
            }
        }
        let state = Bytes::copy_from_slice(state.as_bytes());
        self.put(entry.client, Here { owner: conn, user, clock: entry.clock, state, heard: self.now });
    }

    /// Whether the id went lately, and this may be from before.
    fn is_before_its_end(&self, entry: &Entry<'_>) -> bool {
        self.gone
            .get(&entry.client)
            .is_some_and(|gone| entry.clock <= gone.clock && self.now.since(gone.at) < AWARENESS_EXPIRY_MS)
    }

    fn put(&mut self, client: ClientId, here: Here) {
        if let Some(gone) = self.gone.remove(&client) {
            self.gone_order.remove(&gone.order);
        }
        if !self.here.contains_key(&client) {
            self.arrived.push((client, here.user));
        }
        self.opened.entry(here.owner).or_default().insert(client);
        self.heard.insert((here.heard, client));
        self.owned.entry(here.owner).or_default().insert(client);
        self.bytes += here.state.len();
        let heard = here.heard;
        if let Some(before) = self.here.insert(client, here) {
            self.bytes -= before.state.len();
            if before.heard != heard {
                self.heard.remove(&(before.heard, client));
            }
        }
        self.removed.remove(&client);
        self.changed.insert(client);
    }

    /// `clock`: None is the one last seen.
    fn remove(&mut self, client: ClientId, clock: Option<u32>) {
        self.disown(client);
        let Some(here) = self.here.remove(&client) else { return };
        self.heard.remove(&(here.heard, client));
        self.bytes -= here.state.len();
        let order = self.gone_next;
        self.gone_next += 1;
        self.gone_order.insert(order, client);
        let clock = clock.unwrap_or(here.clock);
        self.gone.insert(client, Gone { user: here.user, clock, at: self.now, order });
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
        let Some(owner) = self.owner(client) else { return };
        if let Some(owned) = self.owned.get_mut(&owner) {
            owned.remove(&client);
            if owned.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }

    fn is_full(&self, conn: ConnId, client: ClientId) -> bool {
        self.owned.get(&conn).is_some_and(|owned| AWARENESS_STATES_PER_CONN_MAX <= owned.len())
            || self
                .opened
                .get(&conn)
                .is_some_and(|opened| AWARENESS_IDS_PER_CONN_MAX <= opened.len() && !opened.contains(&client))
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
        self.here.len() < AWARENESS_STATES_PER_ROOM_MAX && self.here.len() + self.gone.len() < KNOWN_IDS_MAX
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

/// Reads the form of a whole awareness update; states are looked at only where they count.
fn entries(update: &[u8]) -> Result<Vec<Entry<'_>>, Refusal> {
    if AWARENESS_BYTES_MAX < update.len() {
        return Err(Refusal::TooLarge);
    }
    let mut reader = Reader::new(update);
    let count = usize::try_from(reader.var_uint()?).unwrap_or(usize::MAX);
    if reader.remaining() / ENTRY_BYTES_MIN < count {
        return Err(Refusal::Malformed { what: "a count is larger than the bytes behind it" });
    }
    if AWARENESS_ENTRIES_MAX < count {
        return Err(Refusal::TooMany { what: "awareness entries", max: AWARENESS_ENTRIES_MAX });
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let client = ClientId::new(reader.var_uint()?);
        let clock = reader.var_uint()?;
        let state = reader.var_str()?;
        if AWARENESS_STATE_BYTES_MAX < state.len() {
            return Err(Refusal::TooLarge);
        }
        let state = if state.trim_ascii() == "null" { None } else { Some(state) };
        // A client may have been led this far by somebody else: it is not cut off for that.
        if let Ok(clock) = u32::try_from(clock)
            && clock <= AWARENESS_CLOCK_MAX
        {
            entries.push(Entry { client, clock, state });
        }
    }
    if !reader.is_empty() {
        return Err(Refusal::Malformed { what: "bytes after the end" });
    }
    Ok(entries)
}

/// A state is a JSON object, not nested deeper than other values are.
fn check_state(state: &str) -> Result<(), Refusal> {
    // serde_json passes over what it ignores with a stack on the heap, bounded here by the size of a state.
    let is_json = serde_json::from_str::<IgnoredAny>(state).is_ok();
    if !is_json || !state.trim_ascii_start().starts_with('{') {
        return Err(Refusal::Malformed { what: "an awareness state that is not a JSON object" });
    }
    if ANY_DEPTH_MAX < json_depth(state) { Err(Refusal::TooDeep) } else { Ok(()) }
}

/// How many arrays and objects of a valid JSON text stand in each other.
fn json_depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn encode<'a>(entries: impl Iterator<Item = (ClientId, u32, &'a [u8])>) -> Bytes {
    let mut count = 0;
    let mut body = Vec::new();
    for (client, clock, state) in entries {
        count += 1;
        write_var_uint(&mut body, client.get());
        write_var_uint(&mut body, u64::from(clock));
        write_var_bytes(&mut body, state);
    }
    let mut out = Vec::with_capacity(5 + body.len());
    write_var_uint(&mut out, count);
    out.extend_from_slice(&body);
    out.into()
}

#[cfg(test)]
mod tests;
