//! Honest lives: clients that edit, undo, go offline and come back through a room. Nothing of it is ever refused, and
//! the index knows where yrs has everything.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use yrs::undo::{Options, UndoManager};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact, Update};

use super::places::{anew, indexed, types};
use super::{Dice, clocks, doc, edit, merged, scan};
use crate::gate::{Places, Refusal, Verdict, scan_update};
use crate::limits::UPDATE_BYTES_MAX;
use crate::room::ClockRange;
use crate::schema::{Root, Roots};

/// What can happen.
#[derive(Debug, Clone)]
enum Act {
    Edit {
        what: u8,
        key: u8,
        value: u8,
    },
    Undo,
    Redo,
    /// Sends what waits, one by one, merged, or as one answer to the room's state vector.
    Send(u8),
    Receive,
    /// Gets what another client has, past the room.
    Meet(u8),
    /// The room is loaded anew from a snapshot.
    Reload,
}

fn any_act() -> impl Strategy<Value = (u8, Act)> {
    let act = prop_oneof![
        8 => any::<(u8, u8, u8)>().prop_map(|(what, key, value)| Act::Edit { what, key, value }),
        3 => Just(Act::Undo),
        2 => Just(Act::Redo),
        3 => any::<u8>().prop_map(Act::Send),
        3 => Just(Act::Receive),
        1 => any::<u8>().prop_map(Act::Meet),
        1 => Just(Act::Reload),
    ];
    (any::<u8>(), act)
}

struct Client {
    doc: Doc,
    undo: UndoManager<()>,
    /// What it has written and not sent.
    waiting: Arc<Mutex<Vec<Vec<u8>>>>,
}

const REMOTE: &str = "remote";

impl Client {
    fn new(id: u64) -> Self {
        let doc = doc(id);
        let waiting: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let sink = Arc::clone(&waiting);
        let watch = move |txn: &yrs::TransactionMut<'_>, event: &yrs::UpdateEvent| {
            if txn.origin().is_none_or(|origin| *origin != yrs::Origin::from(REMOTE)) {
                sink.lock().unwrap().push(event.update.clone());
            }
        };
        doc.observe_update_v1("waiting", watch).unwrap();
        let mut undo = UndoManager::with_options(Options { capture_timeout_millis: 0, ..Options::default() });
        for root in Root::ALL {
            undo.expand_scope(&doc, &doc.get_or_insert_map(root.name()));
        }
        Self { doc, undo, waiting }
    }

    fn take(&self, update: &[u8]) {
        self.doc.transact_mut_with(REMOTE).apply_update(Update::decode_v1(update).unwrap()).unwrap();
    }
}

struct Room {
    doc: Doc,
    places: Places,
    gaps: u32,
    taken: u32,
    undone: u32,
}

impl Room {
    fn state(&self) -> StateVector {
        self.doc.transact().state_vector()
    }

    /// Takes an update, unless something is missing.
    fn take(&mut self, update: &[u8]) -> Result<bool, Refusal> {
        let state = self.state();
        let scan = scan_update(update, UPDATE_BYTES_MAX)?;
        match scan.judge(update, clocks(&state), &self.places) {
            Verdict::Clean(stood) => self.places.note(stood, update),
            Verdict::Gap { .. } => {
                self.gaps += 1;
                return Ok(false);
            }
            Verdict::Refused(refusal) => return Err(refusal),
        }
        self.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
        self.taken += 1;
        Ok(true)
    }

    /// Sends of a client arrive. What has a gap is asked for again, as one answer.
    fn hear(&mut self, client: &Client, how: u8) -> Result<(), Refusal> {
        let waiting = std::mem::take(&mut *client.waiting.lock().unwrap());
        let updates = match how % 3 {
            0 => waiting,
            1 if !waiting.is_empty() => vec![merged(&waiting)],
            _ => vec![client.doc.transact().encode_diff_v1(&self.state())],
        };
        for update in updates {
            if !self.take(&update)? {
                let answer = client.doc.transact().encode_diff_v1(&self.state());
                assert!(self.take(&answer)?, "an answer is closed");
            }
        }
        Ok(())
    }

    fn reload(&mut self) {
        let whole = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        self.places = anew(&self.doc).1;
        self.doc = doc(99);
        self.doc.transact_mut().apply_update(Update::decode_v1(&whole).unwrap()).unwrap();
    }

    fn check(&self) {
        for ((client, clock), at) in types(&self.doc) {
            assert_eq!(indexed(&self.places, client, clock), Some(at), "{client} at {clock}");
        }
    }
}

/// The undo of yrs 0.28.1 may put an entry of a shared list between another one and itself, when the list was itself undone
/// and what was cut in two has become one again. Every reader would make a place of its own of that, so that it is refused;
/// no design needs shared lists.
const SLIP: Refusal = Refusal::Malformed { what: "an item whose two neighbours are one" };

fn live(acts: &[(u8, Act)], may_meet: bool) -> Result<Room, Refusal> {
    let mut clients: Vec<Client> = [3, (1 << 40) + 7, (1 << 53) - 1].map(Client::new).into();
    let mut room = Room { doc: doc(99), places: Places::new(), gaps: 0, taken: 0, undone: 0 };
    for (who, act) in acts {
        let who = usize::from(*who) % clients.len();
        match *act {
            Act::Edit { what, key, value } => drop(edit(&clients[who].doc, what, key % 3, value)),
            Act::Undo => room.undone += u32::from(clients[who].undo.undo_blocking()),
            Act::Redo => room.undone += u32::from(clients[who].undo.redo_blocking()),
            Act::Send(how) => room.hear(&clients[who], how)?,
            Act::Receive => {
                let have = clients[who].doc.transact().state_vector();
                clients[who].take(&room.doc.transact().encode_diff_v1(&have));
            }
            Act::Meet(other) => {
                let other = usize::from(other) % clients.len();
                if may_meet && other != who {
                    let have = clients[who].doc.transact().state_vector();
                    let diff = clients[other].doc.transact().encode_diff_v1(&have);
                    clients[who].take(&diff);
                }
            }
            Act::Reload => room.reload(),
        }
    }
    for client in &clients {
        room.hear(client, 2)?;
    }
    Ok(room)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_honest_clients_send_is_never_refused(
        acts in proptest::collection::vec(any_act(), 1..150),
        may_meet in any::<bool>(),
    ) {
        let has_undo = acts.iter().any(|(_, act)| matches!(act, Act::Undo | Act::Redo));
        match live(&acts, may_meet) {
            Ok(room) => room.check(),
            Err(SLIP) if has_undo => {}
            Err(refusal) => prop_assert!(false, "{refusal}"),
        }
    }
}

/// The slip as it was found: should yrs mend it, the exception above can go.
#[test]
fn an_undo_in_a_shared_list_may_stand_between_an_entry_and_itself() {
    let edit = |what, key, value| Act::Edit { what, key, value };
    let acts = [
        (20, edit(0, 150, 0)),
        (11, edit(106, 21, 252)),
        (137, Act::Undo),
        (0, edit(0, 0, 0)),
        (17, edit(156, 54, 93)),
        (53, edit(50, 87, 0)),
        (119, Act::Undo),
        (47, Act::Undo),
    ];
    assert_eq!(live(&acts, false).map(|_| ()), Err(SLIP));
    let without: Vec<_> = acts[..7].to_vec();
    live(&without, false).unwrap().check();
}

/// The same acts always, so that the property above is known to have had something to look at.
#[test]
fn the_lives_above_have_gaps_undo_and_collected_neighbours() {
    let mut dice = Dice(0x5eed_79b9_7f4a_7c15);
    let (mut gaps, mut taken, mut undone) = (0, 0, 0);
    for _ in 0..40 {
        let acts: Vec<(u8, Act)> = (0..120)
            .map(|_| {
                let act = match dice.roll(12) {
                    0 => Act::Undo,
                    1 => Act::Redo,
                    2 => Act::Send(dice.byte()),
                    3 => Act::Receive,
                    4..=6 => Act::Meet(dice.byte()),
                    _ => Act::Edit { what: dice.byte(), key: dice.byte(), value: dice.byte() },
                };
                (dice.byte(), act)
            })
            .collect();
        let room = live(&acts, true).unwrap();
        room.check();
        (gaps, taken, undone) = (gaps + room.gaps, taken + room.taken, undone + room.undone);
    }
    println!("{taken} updates were taken, {gaps} had gaps, {undone} steps were undone or redone");
    assert!(20 < gaps && 400 < taken && 200 < undone);
}

/// Sends the update through the gate and says where it stands.
fn told(places: &mut Places, update: &[u8]) -> (Roots, BTreeSet<(Root, String)>, Vec<Vec<String>>) {
    let stood = scan(update).place(update, places).unwrap();
    let elements = stood.elements(update, places).map(|(root, key)| (root, key.to_owned())).collect();
    let keys = Root::ALL.map(|root| stood.new_keys(update, places, root).map(str::to_owned).collect());
    let roots = stood.roots();
    places.note(stood, update);
    (roots, elements, keys.into())
}

#[test]
fn an_update_is_told_apart_by_roots_elements_and_new_keys() {
    let anne = doc(1);
    let mut places = Places::new();
    let both = |root: Root, key: &str| BTreeSet::from([(root, key.to_owned())]);
    let none: Vec<String> = Vec::new();

    let created = edit(&anne, 0, 0, 0);
    let (roots, elements, keys) = told(&mut places, &created);
    assert_eq!((roots, elements), (Roots::only(Root::Nodes), both(Root::Nodes, "k0")));
    assert_eq!(keys, [vec!["k0".to_owned()], none.clone(), none.clone(), none.clone()]);
    let of_created = scan(&created).ranges;

    // A move names only what it stands behind, a letter only its neighbours: neither brings a new element.
    for what in [3, 6, 8] {
        let (roots, elements, keys) = told(&mut places, &edit(&anne, what, 0, 4));
        assert_eq!((roots, elements), (Roots::only(Root::Nodes), both(Root::Nodes, "k0")), "{what}");
        assert!(keys.iter().all(Vec::is_empty));
    }
    let (roots, elements, keys) = told(&mut places, &edit(&anne, 9, 0, 4));
    assert_eq!((roots, elements), (Roots::only(Root::Meta), both(Root::Meta, "k0")));
    assert_eq!(keys, [none.clone(), none.clone(), vec!["k0".to_owned()], none.clone()]);

    // A deletion stands nowhere itself; where its clocks stand, the index knows.
    let update = edit(&anne, 2, 0, 0);
    let deletes = scan(&update).deletes;
    let (roots, elements, _) = told(&mut places, &update);
    assert!(roots.is_empty() && elements.is_empty());
    assert_eq!(places.roots_of(&deletes), Roots::only(Root::Nodes));
    let of_deletes: BTreeSet<_> = places.elements_of(&deletes).collect();
    assert_eq!(of_deletes, BTreeSet::from([(Root::Nodes, "k0")]));
    assert_eq!(places.parts_outside(&deletes, Root::Comments), deletes);
    assert_eq!(places.parts_outside(&deletes, Root::Nodes), []);
    // Of what stands in two roots, the part outside of one; what is not known stands nowhere.
    let everything = [ClockRange { start: 0, end: 1 << 20, ..of_created[0] }];
    let outside = places.parts_outside(&everything, Root::Nodes);
    assert_eq!(places.roots_of(&outside), Roots::only(Root::Meta));

    // Created again over what was deleted: it may become an element again, and names no key.
    let (_, _, keys) = told(&mut places, &edit(&anne, 0, 0, 0));
    assert_eq!(keys[0], ["k0"]);
}

#[test]
fn what_two_clients_bring_under_one_key_is_one_element() {
    let (anne, ben) = (doc(1), doc(2));
    let updates = [edit(&anne, 0, 1, 0), edit(&ben, 0, 1, 0), edit(&ben, 0, 2, 0)];
    let merged = yrs::merge_updates_v1(&updates).unwrap();
    let mut places = Places::new();
    let (roots, _, keys) = told(&mut places, &merged);
    assert_eq!((roots, &keys[0][..]), (Roots::only(Root::Nodes), &["k1".to_owned(), "k2".to_owned()][..]));
    // One after the other it is the same index, but for the numbers of things.
    let mut singly = Places::new();
    for update in &updates {
        told(&mut singly, update);
    }
    let room = doc(99);
    room.transact_mut().apply_update(Update::decode_v1(&merged).unwrap()).unwrap();
    for ((client, clock), at) in types(&room) {
        assert_eq!(indexed(&singly, client, clock), Some(at.clone()));
        assert_eq!(indexed(&places, client, clock), Some(at));
    }
    assert_eq!(room.get_or_insert_map("nodes").len(&room.transact()), 2);
}
