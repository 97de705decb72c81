//! Stories about presence, and the property that a joiner sees what a listener sees.

mod frames;
mod pods;

use proptest::prelude::*;

use super::format::{encode, json_depth};
use super::*;
use crate::lib0::{write_var_bytes, write_var_uint};
use crate::limits::{AWARENESS_CLOCK_MAX, AWARENESS_FRAME_BYTES_MAX, AWARENESS_STATE_BYTES_MAX};

const ANNE: ConnId = ConnId::new(1);
const BEN: ConnId = ConnId::new(2);

fn at(millis: u64) -> Millis {
    Millis::new(millis)
}

fn id(client: u64) -> ClientId {
    ClientId::new(client)
}

/// The user of a connection, where nothing else is said.
fn user_of(conn: ConnId) -> UserId {
    UserId::from_u128(u128::from(conn.get()))
}

fn receive(presence: &mut Presence, now: Millis, conn: ConnId, update: &[u8]) -> Result<(), Refusal> {
    presence.receive(now, conn, user_of(conn), update, |_| false)
}

fn update(entries: &[(u64, u32, &str)]) -> Bytes {
    encode(entries.iter().map(|(client, clock, state)| (ClientId::new(*client), *clock, state.as_bytes())))
}

/// Reads an update back: what a peer gets to see.
fn read(update: &Bytes) -> Vec<(u64, u32, String)> {
    let entries = entries(update, AWARENESS_BYTES_MAX).unwrap();
    let text = |state: Option<&str>| state.unwrap_or("null").to_owned();
    entries.iter().map(|entry| (entry.client.get(), entry.clock, text(entry.state))).collect()
}

fn told(presence: &mut Presence) -> Vec<(u64, u32, String)> {
    read_all(&presence.take_changes())
}

fn read_all(updates: &[Bytes]) -> Vec<(u64, u32, String)> {
    assert!(updates.iter().all(|update| update.len() <= AWARENESS_FRAME_BYTES_MAX));
    updates.iter().flat_map(read).collect()
}

fn entry(client: u64, clock: u32, state: &str) -> (u64, u32, String) {
    (client, clock, state.to_owned())
}

// R-PRES-3
#[test]
fn states_are_told_once_latest_first_and_kept_for_joiners() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 1, r#"{"x":1}"#)])).unwrap();
    receive(&mut presence, at(1), ANNE, &update(&[(7, 2, r#"{"x":2}"#)])).unwrap();
    receive(&mut presence, at(1), BEN, &update(&[(8, 5, "{}")])).unwrap();
    assert_eq!(told(&mut presence), [entry(7, 2, r#"{"x":2}"#), entry(8, 5, "{}")]);
    assert_eq!(told(&mut presence), []);
    assert_eq!(read_all(&presence.snapshot()), [entry(7, 2, r#"{"x":2}"#), entry(8, 5, "{}")]);
    assert_eq!((presence.len(), presence.owner(id(7)), presence.owner(id(9))), (2, Some(ANNE), None));
}

#[test]
fn the_bytes_are_those_of_y_protocols() {
    use yrs::sync::awareness::AwarenessUpdate;
    use yrs::updates::decoder::Decode;
    let bytes = update(&[(7, 1, r#"{"x":1}"#), (1 << 40, 300, "null")]);
    let theirs = AwarenessUpdate::decode_v1(&bytes).unwrap();
    assert_eq!(theirs.clients.len(), 2);
    let entry = &theirs.clients[&yrs::ClientID::new(1 << 40)];
    assert_eq!((entry.clock, entry.json.as_ref()), (300, "null"));
}

// R-PRES-2
#[test]
fn echoes_about_others_are_skipped() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 3, r#"{"a":1}"#)])).unwrap();
    told(&mut presence);
    // Ben's client sends on what it heard: the same state, an older one, and a removal after its own time-out.
    let echoes = [(7, 3, r#"{"a":1}"#), (7, 2, r#"{"a":0}"#), (7, 3, "null"), (7, 9, "null"), (8, 1, "{}")];
    receive(&mut presence, at(1), BEN, &update(&echoes)).unwrap();
    assert_eq!(told(&mut presence), [entry(8, 1, "{}")]);
    assert_eq!(presence.owner(id(7)), Some(ANNE));
}

// R-PRES-4
#[test]
fn a_cut_client_is_removed_at_the_clock_last_seen() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 41, "{}"), (8, 2, "{}")])).unwrap();
    receive(&mut presence, at(0), BEN, &update(&[(9, 1, "{}")])).unwrap();
    told(&mut presence);
    presence.leave(ANNE);
    assert!(presence.has_removals());
    assert_eq!(told(&mut presence), [entry(7, 41, "null"), entry(8, 2, "null")]);
    assert!(!presence.has_changes());
    assert_eq!(read_all(&presence.snapshot()), [entry(9, 1, "{}")]);
    presence.leave(ANNE);
    assert_eq!(told(&mut presence), [], "leaving twice tells nothing new");
}

#[test]
fn a_client_may_remove_itself_at_the_same_clock_or_a_later_one() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 4, "{}"), (8, 4, "{}")])).unwrap();
    told(&mut presence);
    receive(&mut presence, at(1), ANNE, &update(&[(7, 4, "null"), (8, 6, " null ")])).unwrap();
    assert_eq!(told(&mut presence), [entry(7, 4, "null"), entry(8, 6, "null")]);
    assert_eq!(presence.snapshot(), Vec::<Bytes>::new());
    assert_eq!(presence.next_expiry(), None);
}

// R-PRES-4
#[test]
fn who_is_not_heard_of_expires_and_who_is_stays() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 1, "{}")])).unwrap();
    receive(&mut presence, at(0), BEN, &update(&[(8, 1, "{}")])).unwrap();
    receive(&mut presence, at(15_000), BEN, &update(&[(8, 2, "{}")])).unwrap();
    told(&mut presence);
    assert_eq!(presence.next_expiry(), Some(at(30_000)));
    presence.expire(at(29_999));
    assert!(!presence.has_changes());
    presence.expire(at(30_000));
    assert_eq!(told(&mut presence), [entry(7, 1, "null")]);
    assert_eq!(presence.next_expiry(), Some(at(45_000)));
    // An echo by somebody else does not keep anybody alive.
    receive(&mut presence, at(44_000), ANNE, &update(&[(8, 2, "{}")])).unwrap();
    presence.expire(at(45_000));
    assert_eq!(told(&mut presence), [entry(8, 2, "null")]);
}

// R-PRES-5
#[test]
fn a_ghost_does_not_come_back_by_a_late_echo() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 3, "{}")])).unwrap();
    told(&mut presence);
    presence.leave(ANNE);
    told(&mut presence);
    receive(&mut presence, at(10), BEN, &update(&[(7, 3, "{}")])).unwrap();
    assert!(presence.is_empty() && !presence.has_changes(), "it never was Ben's");
    // Another tab of Anne's. The removal is told again, in case that it was no echo but the client itself.
    presence.receive(at(10), BEN, user_of(ANNE), &update(&[(7, 3, "{}")]), |_| false).unwrap();
    assert_eq!(presence.len(), 0);
    assert_eq!(told(&mut presence), [entry(7, 3, "null")]);
    presence.receive(at(20), BEN, user_of(ANNE), &update(&[(7, 3, "null")]), |_| false).unwrap();
    assert!(!presence.has_changes(), "which ends there");
}

// R-PRES-2, R-PRES-5
#[test]
fn a_client_that_comes_back_takes_its_id_along() {
    let mut presence = Presence::new();
    let (old, new, anne) = (ANNE, BEN, user_of(ANNE));
    presence.receive(at(0), old, anne, &update(&[(7, 3, "{}")]), |_| false).unwrap();
    told(&mut presence);
    // Before its old socket is noticed to be dead, at the clock it had: cannot be told from an echo …
    presence.receive(at(10), new, anne, &update(&[(7, 3, "{}")]), |_| false).unwrap();
    assert_eq!(presence.owner(id(7)), Some(old));
    // … but the next change can.
    presence.receive(at(20), new, anne, &update(&[(7, 4, r#"{"x":1}"#)]), |_| false).unwrap();
    assert_eq!(presence.owner(id(7)), Some(new));
    presence.leave(old);
    assert_eq!(told(&mut presence), [entry(7, 4, r#"{"x":1}"#)]);
    // After its old socket is gone, one clock higher is enough again.
    presence.leave(new);
    presence.receive(at(30), ConnId::new(3), anne, &update(&[(7, 5, "{}")]), |_| false).unwrap();
    assert_eq!(told(&mut presence), [entry(7, 5, "{}")]);
    assert_eq!(presence.owner(id(7)), Some(ConnId::new(3)));
}

#[test]
fn the_gone_are_forgotten_in_time() {
    let mut presence = Presence::new();
    let anne = user_of(ANNE);
    let new = ConnId::new(3);
    receive(&mut presence, at(0), ANNE, &update(&[(7, 300, "{}"), (8, 300, "{}")])).unwrap();
    presence.leave(ANNE);
    told(&mut presence);
    presence.receive(at(29_999), new, anne, &update(&[(7, 1, "{}")]), |_| false).unwrap();
    assert_eq!(presence.len(), 0);
    told(&mut presence);
    // First what clock it had …
    presence.receive(at(30_000), new, anne, &update(&[(7, 1, "{}")]), |_| false).unwrap();
    assert_eq!(presence.len(), 1);
    // … and later whose it was.
    receive(&mut presence, at(599_999), BEN, &update(&[(8, 301, "{}")])).unwrap();
    assert_eq!(presence.owner(id(8)), None);
    receive(&mut presence, at(600_000), BEN, &update(&[(8, 1, "{}")])).unwrap();
    assert_eq!(presence.owner(id(8)), Some(BEN));
    assert!(presence.gone.is_empty() && presence.gone_order.is_empty());
}

// R-PRES-2
#[test]
fn nobody_takes_over_the_id_of_another_user_here_or_just_gone() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 3, r#"{"a":1}"#)])).unwrap();
    told(&mut presence);
    for clock in [4, 1_000, AWARENESS_CLOCK_MAX] {
        receive(&mut presence, at(1), BEN, &update(&[(7, clock, r#"{"b":1}"#)])).unwrap();
        receive(&mut presence, at(1), BEN, &update(&[(7, clock, "null")])).unwrap();
    }
    assert!(!presence.has_changes());
    receive(&mut presence, at(2), ANNE, &update(&[(7, 4, r#"{"a":2}"#)])).unwrap();
    assert_eq!(told(&mut presence), [entry(7, 4, r#"{"a":2}"#)]);

    // Nor while Anne's network is away, so that she finds nobody in her place.
    presence.leave(ANNE);
    told(&mut presence);
    receive(&mut presence, at(60_000), BEN, &update(&[(7, AWARENESS_CLOCK_MAX, r#"{"b":1}"#)])).unwrap();
    assert!(presence.is_empty() && !presence.has_changes());
    presence.receive(at(90_000), ConnId::new(3), user_of(ANNE), &update(&[(7, 5, "{}")]), |_| false).unwrap();
    assert_eq!(told(&mut presence), [entry(7, 5, "{}")]);
}

// R-PRES-1
#[test]
fn a_clock_out_of_range_costs_its_entry_and_nothing_else() {
    let mut presence = Presence::new();
    let highest = u64::from(AWARENESS_CLOCK_MAX);
    for clock in [highest + 1, u64::from(u32::MAX), 1 << 32, (1 << 53) - 1] {
        let mut bytes = Vec::new();
        write_var_uint(&mut bytes, 3);
        for (client, clock) in [(7, 1), (8, clock), (9, 1)] {
            write_var_uint(&mut bytes, client);
            write_var_uint(&mut bytes, clock);
            write_var_bytes(&mut bytes, b"{}");
        }
        receive(&mut presence, at(0), ANNE, &bytes).unwrap();
        // An id of one's own is no exception, and stays as it was.
        let mut own = vec![1];
        write_var_uint(&mut own, 7);
        write_var_uint(&mut own, clock);
        write_var_bytes(&mut own, b"null");
        receive(&mut presence, at(0), ANNE, &own).unwrap();
    }
    assert_eq!(told(&mut presence), [entry(7, 1, "{}"), entry(9, 1, "{}")]);
    receive(&mut presence, at(0), ANNE, &update(&[(8, AWARENESS_CLOCK_MAX, "{}")])).unwrap();
    assert_eq!(presence.len(), 3);
}

// R-PRES-3
#[test]
fn only_the_lost_do_not_wait_for_the_tick() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 3, "{}"), (8, 3, "{}")])).unwrap();
    receive(&mut presence, at(0), BEN, &update(&[(9, 3, "{}")])).unwrap();
    told(&mut presence);
    receive(&mut presence, at(0), ANNE, &update(&[(8, 3, "null")])).unwrap();
    assert!(presence.has_changes() && !presence.has_removals());
    presence.leave(ANNE);
    assert!(presence.has_removals());
    told(&mut presence);
    assert!(!presence.has_removals());
    // However often an id that is gone is announced: one removal in one tick.
    for _ in 0..5_000 {
        presence.receive(at(1), BEN, user_of(ANNE), &update(&[(7, 3, "{}")]), |_| false).unwrap();
        assert!(!presence.has_removals());
    }
    assert_eq!(told(&mut presence), [entry(7, 3, "null")]);
    presence.leave(ConnId::new(77));
    assert!(!presence.has_removals(), "it had nothing");
    presence.expire(at(30_000));
    assert!(presence.has_removals());
}

// R-PRES-7
#[test]
fn the_states_of_a_room_hold_so_many_bytes_and_no_more() {
    let mut presence = Presence::new();
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(AWARENESS_STATE_BYTES_MAX - 8));
    assert_eq!(large.len(), AWARENESS_STATE_BYTES_MAX);
    let fitting = (AWARENESS_BYTES_PER_ROOM_MAX / AWARENESS_STATE_BYTES_MAX) as u64;
    let conn = |client: u64| ConnId::new(client / 8);
    for client in 0..fitting + 20 {
        receive(&mut presence, at(0), conn(client), &update(&[(client, 1, &large)])).unwrap();
    }
    assert_eq!((presence.len() as u64, presence.bytes), (fitting, AWARENESS_BYTES_PER_ROOM_MAX));
    // Who is here may become smaller, or change at the same size …
    receive(&mut presence, at(0), conn(0), &update(&[(0, 2, &large), (1, 2, "{}")])).unwrap();
    receive(&mut presence, at(0), conn(0), &update(&[(0, 3, "{}")])).unwrap();
    // … and larger within what that leaves; what is too large is not told, but its client lives on.
    receive(&mut presence, at(20_000), conn(0), &update(&[(0, 4, &large), (1, 3, &large), (2, 2, "{}")]))
        .unwrap();
    assert_eq!(presence.len() as u64, fitting);
    receive(&mut presence, at(20_000), conn(0), &update(&[(2, 3, &large), (3, 2, &large)])).unwrap();
    receive(&mut presence, at(20_000), conn(900), &update(&[(900, 1, &large)])).unwrap();
    assert_eq!((presence.len() as u64, presence.bytes), (fitting, AWARENESS_BYTES_PER_ROOM_MAX));
    assert_eq!(presence.owner(id(900)), None);
    // All that go give their bytes back.
    for client in 0..fitting {
        presence.leave(conn(client));
    }
    assert_eq!((presence.len(), presence.bytes), (0, 0));
}

// R-PRES-7
#[test]
fn a_connection_and_a_room_hold_so_many_states_and_no_more() {
    let mut presence = Presence::new();
    let many: Vec<_> = (0..20).map(|client| (client, 1, "{}")).collect();
    receive(&mut presence, at(0), ANNE, &update(&many)).unwrap();
    assert_eq!(presence.len(), AWARENESS_STATES_PER_CONN_MAX);
    // What is removed makes room.
    receive(&mut presence, at(0), ANNE, &update(&[(0, 1, "null"), (19, 1, "{}")])).unwrap();
    assert_eq!((presence.len(), presence.owner(id(19))), (AWARENESS_STATES_PER_CONN_MAX, Some(ANNE)));
    // A full connection cannot take somebody else's either.
    receive(&mut presence, at(0), BEN, &update(&[(100, 1, "{}")])).unwrap();
    receive(&mut presence, at(0), ANNE, &update(&[(100, 2, "{}")])).unwrap();
    assert_eq!(presence.owner(id(100)), Some(BEN));

    for conn in 10..2_000 {
        let first = conn * 8;
        let eight: Vec<_> = (first..first + 8).map(|client| (client, 1, "{}")).collect();
        receive(&mut presence, at(0), ConnId::new(conn), &update(&eight)).unwrap();
    }
    assert_eq!(presence.len(), AWARENESS_STATES_PER_ROOM_MAX);
}

#[test]
fn coming_and_going_without_end_stays_bounded_whether_told_or_not() {
    for telling in [false, true] {
        let mut presence = Presence::new();
        for first in (0..40_000_u64).step_by(8) {
            let eight: Vec<_> = (first..first + 8).map(|client| (client, 1, "{}")).collect();
            let none: Vec<_> = (first..first + 8).map(|client| (client, 1, "null")).collect();
            receive(&mut presence, at(0), ANNE, &update(&eight)).unwrap();
            receive(&mut presence, at(0), ANNE, &update(&none)).unwrap();
            if telling {
                told(&mut presence);
            }
            assert!(presence.gone.len() <= KNOWN_IDS_MAX);
        }
        assert_eq!(presence.gone.len(), presence.gone_order.len());
        assert!(presence.owned.is_empty() && presence.here.is_empty() && presence.heard.is_empty());
    }
}

// R-PRES-1
#[test]
fn what_is_not_an_awareness_update_changes_nothing() {
    let mut presence = Presence::new();
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let wide = format!(r#"{{"a":"{}"}}"#, "x".repeat(AWARENESS_STATE_BYTES_MAX));
    for (bad, code) in [
        (Bytes::from_static(&[]), 4400),
        (Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x07]), 4400),
        (Bytes::from_static(&[0, 0]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, "[]")]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, "17")]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, "{")]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, "{} {}")]), 4400),
        (update(&[(1, 1, "{}"), (1 << 53, 1, "{}")]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, &deep)]), 4400),
        (update(&[(1, 1, "{}"), (2, 1, &wide)]), 4413),
        (vec![0; AWARENESS_BYTES_MAX + 1].into(), 4413),
    ] {
        let refusal = receive(&mut presence, at(0), ANNE, &bad).unwrap_err();
        assert_eq!(refusal.close_code().as_u16(), code, "{refusal}");
        assert!(presence.is_empty() && !presence.has_changes());
    }
    receive(&mut presence, at(0), ANNE, &Bytes::from_static(&[0])).unwrap();
}

#[test]
fn brackets_inside_strings_are_not_depth() {
    assert_eq!(json_depth(r#"{"a\"[[[": "[{", "b": [1, {}]}"#), 3);
}

#[test]
fn a_megabyte_of_brackets_does_not_overflow_the_stack() {
    let deep = "[".repeat(AWARENESS_STATE_BYTES_MAX);
    assert!(check_state(&deep).is_err());
}

/// A peer after y-protocols: keeps a clock for every id it ever heard of.
#[derive(Default)]
struct Peer {
    clocks: BTreeMap<u64, u32>,
    states: BTreeMap<u64, String>,
}

impl Peer {
    fn hear(&mut self, update: &Bytes) {
        for (client, clock, state) in read(update) {
            let is_null = state == "null";
            let is_newer = match self.clocks.get(&client) {
                None => true,
                Some(known) => {
                    *known < clock || *known == clock && is_null && self.states.contains_key(&client)
                }
            };
            if is_newer {
                self.clocks.insert(client, clock);
                if is_null {
                    self.states.remove(&client);
                } else {
                    self.states.insert(client, state);
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Receive { conn: u64, entries: Vec<(u64, u32, Option<u8>)> },
    Leave { conn: u64 },
    Wait { millis: u64 },
    Flush,
}

fn any_op() -> impl Strategy<Value = Op> {
    let entry = (0_u64..12, 0_u32..6, proptest::option::weighted(0.8, any::<u8>()));
    prop_oneof![
        6 => (0_u64..4, proptest::collection::vec(entry, 0..10))
            .prop_map(|(conn, entries)| Op::Receive { conn, entries }),
        1 => (0_u64..4).prop_map(|conn| Op::Leave { conn }),
        1 => (0_u64..20_000).prop_map(|millis| Op::Wait { millis }),
        2 => Just(Op::Flush),
    ]
}

fn states_of(presence: &Presence) -> BTreeMap<u64, String> {
    read_all(&presence.snapshot()).into_iter().map(|(client, _, state)| (client, state)).collect()
}

fn is_consistent(presence: &Presence) -> bool {
    let owned: usize = presence.owned.values().map(BTreeSet::len).sum();
    owned == presence.here.len()
        && presence.heard.len() == presence.here.len()
        && presence.gone.len() == presence.gone_order.len()
        && presence.owned.values().all(|owned| owned.len() <= AWARENESS_STATES_PER_CONN_MAX)
        && presence.changed.iter().all(|client| presence.here.contains_key(client))
        && presence.removed.iter().all(|client| presence.gone.contains_key(client))
        && presence.bytes == presence.here.values().map(|here| here.state.len()).sum::<usize>()
        && presence.here.keys().all(|client| !presence.gone.contains_key(client))
}

proptest! {
    /// Whatever happens, in whatever order: who joins sees what who listened sees.
    #[test]
    fn a_joiner_sees_what_a_listener_sees(ops in proptest::collection::vec(any_op(), 0..60)) {
        let mut presence = Presence::new();
        let mut listener = BTreeMap::new();
        let mut peer = Peer::default();
        let mut now = 0;
        let mut waited = 0;
        for op in ops.into_iter().chain([Op::Flush]) {
            match op {
                Op::Receive { conn, entries } => {
                    let text = |state: Option<u8>| state.map_or("null".to_owned(), |n| format!(r#"{{"n":{n}}}"#));
                    let texts: Vec<_> = entries.iter().map(|(_, _, state)| text(*state)).collect();
                    let entries: Vec<_> =
                        entries.iter().zip(&texts).map(|((client, clock, _), text)| (*client, *clock, &text[..])).collect();
                    let user = UserId::from_u128(u128::from(conn % 2));
                    presence.receive(at(now), ConnId::new(conn), user, &update(&entries), |_| false).unwrap();
                }
                Op::Leave { conn } => presence.leave(ConnId::new(conn)),
                Op::Wait { millis } => {
                    now += millis;
                    waited += millis;
                    presence.expire(at(now));
                }
                Op::Flush => {
                    let changes = presence.take_changes();
                    for (client, _, state) in read_all(&changes) {
                        if state == "null" { listener.remove(&client); } else { listener.insert(client, state); }
                    }
                    for update in &changes {
                        peer.hear(update);
                    }
                    prop_assert_eq!(&states_of(&presence), &listener);
                    // A y-protocols peer never forgets a clock, and the room does after a while.
                    if waited < AWARENESS_EXPIRY_MS {
                        prop_assert_eq!(&states_of(&presence), &peer.states);
                    }
                }
            }
            prop_assert!(is_consistent(&presence));
        }
    }

    #[test]
    fn receiving_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut presence = Presence::new();
        let _ = receive(&mut presence, at(0), ANNE, &bytes);
        prop_assert!(is_consistent(&presence));
    }
}
