//! What one client knows of who is here, by the rules of y-protocols' awareness.

use std::collections::BTreeMap;

use atlas_crdt::ids::Millis;
use bytes::Bytes;

/// Milliseconds. Half of what y-protocols takes for outdated: a client says then that it is still here.
const RENEW_MS: u64 = 15_000;
/// Milliseconds.
const OUTDATED_MS: u64 = 30_000;

#[derive(Debug)]
pub(crate) struct Peer {
    me: u64,
    /// The clock of each id that was ever heard of, one's own included.
    clocks: BTreeMap<u64, u32>,
    states: BTreeMap<u64, String>,
    /// When each of the others was last heard of.
    heard_at: BTreeMap<u64, Millis>,
    told_at: Millis,
}

impl Peer {
    pub(crate) fn new(me: u64) -> Self {
        let (clocks, states, heard_at) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut peer = Self { me, clocks, states, heard_at, told_at: Millis::new(0) };
        peer.set(Millis::new(0), "{}".to_owned());
        peer
    }

    pub(crate) fn set(&mut self, now: Millis, state: String) {
        *self.clocks.entry(self.me).or_default() += 1;
        self.states.insert(self.me, state);
        self.told_at = now;
    }

    /// Says that it is still here, if it is time to. True: the others are to hear it. Who was not heard of for long is
    /// gone: a reader that is slow may not have been told.
    pub(crate) fn renew(&mut self, now: Millis) -> bool {
        let (me, heard_at) = (self.me, &self.heard_at);
        let is_fresh =
            |client: &u64| heard_at.get(client).is_some_and(|at: &Millis| now.since(*at) < OUTDATED_MS);
        self.states.retain(|client, _| *client == me || is_fresh(client));
        let is_due = RENEW_MS <= now.since(self.told_at);
        if is_due {
            let state = self.states.get(&self.me).cloned().unwrap_or_else(|| "{}".to_owned());
            self.set(now, state);
        }
        is_due
    }

    /// What it says about itself.
    pub(crate) fn own(&self) -> Bytes {
        let mut update = vec![1];
        write_var(&mut update, self.me);
        write_var(&mut update, u64::from(self.clocks.get(&self.me).copied().unwrap_or_default()));
        let state = self.states.get(&self.me).map_or("null", String::as_str);
        write_var(&mut update, state.len() as u64);
        update.extend_from_slice(state.as_bytes());
        update.into()
    }

    /// True: it was told that it is gone itself, and says that it is not.
    pub(crate) fn hear(&mut self, now: Millis, update: &[u8]) -> bool {
        let mut was_removed = false;
        for (client, clock, state) in read(update) {
            let known = self.clocks.get(&client).copied().unwrap_or_default();
            let is_newer =
                known < clock || known == clock && state.is_none() && self.states.contains_key(&client);
            if !is_newer {
                continue;
            }
            self.clocks.insert(client, clock);
            self.heard_at.insert(client, now);
            match state {
                Some(state) => {
                    self.states.insert(client, state);
                }
                None if client == self.me => {
                    self.clocks.insert(client, clock + 1);
                    was_removed = true;
                }
                None => {
                    self.states.remove(&client);
                }
            }
        }
        was_removed
    }

    /// The socket is gone: y-websocket forgets the others' states, and remembers their clocks.
    pub(crate) fn cut(&mut self) {
        let me = self.me;
        self.states.retain(|client, _| *client == me);
    }

    /// Everybody whom it sees, itself included.
    pub(crate) fn sees(&self) -> &BTreeMap<u64, String> {
        &self.states
    }

    pub(crate) fn state(&self) -> Option<&String> {
        self.states.get(&self.me)
    }
}

/// The entries of an awareness update.
pub(crate) fn read(update: &[u8]) -> Vec<(u64, u32, Option<String>)> {
    let mut rest = update;
    let count = read_var(&mut rest);
    let mut entries = Vec::new();
    for _ in 0..count {
        let (client, clock) = (read_var(&mut rest), read_var(&mut rest));
        let len = usize::try_from(read_var(&mut rest)).unwrap();
        let (state, after) = rest.split_at(len);
        rest = after;
        let state = std::str::from_utf8(state).unwrap().to_owned();
        entries.push((client, u32::try_from(clock).unwrap(), (state != "null").then_some(state)));
    }
    assert!(rest.is_empty(), "bytes after the end");
    entries
}

fn read_var(rest: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first().expect("a whole number");
        *rest = after;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return n;
        }
    }
}

pub(crate) fn write_var(out: &mut Vec<u8>, mut n: u64) {
    while 0x7f < n {
        out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap());
}
