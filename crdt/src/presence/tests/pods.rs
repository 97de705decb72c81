//! Presence across pods: stories, and the property that after any faults every pod sees who is on all of them.

use super::*;
use crate::room::Claim;

const A: PodId = PodId::new(1);
const B: PodId = PodId::new(2);
const ANA: UserId = UserId::from_u128(1);
const EVE: UserId = UserId::from_u128(9);

/// What this pod says now.
fn word(presence: &mut Presence) -> Option<Word> {
    presence.take_told().pods
}

fn hear(presence: &mut Presence, pod: PodId, word: &Word) {
    presence.receive_remote(at(0), pod, &word.update, &word.users, word.whole, |_, _| false);
}

fn says(entries: &[(u64, u32, &str)], user: UserId, whole: bool) -> Word {
    let users = entries.iter().map(|(client, _, _)| (id(*client), user)).collect();
    Word { update: update(entries), users, whole }
}

// R-PRES-9
#[test]
fn pods_hear_what_connections_say_and_nothing_of_what_other_pods_say() {
    let (mut here, mut there) = (Presence::new(), Presence::new());
    receive(&mut here, at(0), ANNE, &update(&[(7, 1, "{}"), (8, 1, r#"{"x":1}"#)])).unwrap();
    let said = word(&mut here).unwrap();
    assert_eq!((read(&said.update).len(), said.users.len(), said.whole), (2, 2, false));
    hear(&mut there, A, &said);
    assert_eq!(told(&mut there), [entry(7, 1, "{}"), entry(8, 1, r#"{"x":1}"#)]);
    assert_eq!((word(&mut there), there.owner(id(7)), there.len()), (None, None, 2));
    here.leave(ANNE);
    let said = word(&mut here).unwrap();
    assert_eq!(read(&said.update), [entry(7, 1, "null"), entry(8, 1, "null")]);
    hear(&mut there, A, &said);
    assert_eq!(told(&mut there), [entry(7, 1, "null"), entry(8, 1, "null")]);
    assert!(there.is_empty() && !there.has_news());
}

// R-PRES-9
#[test]
fn no_pod_takes_an_id_of_a_connection_of_another_user() {
    let mut presence = Presence::new();
    receive(&mut presence, at(0), ANNE, &update(&[(7, 3, "{}")])).unwrap();
    told(&mut presence);
    for clock in [1, 3, 4, AWARENESS_CLOCK_MAX] {
        hear(&mut presence, A, &says(&[(7, clock, r#"{"eve":1}"#)], EVE, false));
        hear(&mut presence, A, &says(&[(7, clock, "null")], EVE, false));
        hear(&mut presence, A, &says(&[], EVE, true));
        presence.pod_gone(A);
    }
    assert_eq!((presence.owner(id(7)), told(&mut presence)), (Some(ANNE), Vec::new()));
    assert_eq!(presence.take_told().reminders, [], "nor is its client told anything");
    // Nor one that is another user's at another pod, or was until lately, or under which somebody else has written.
    hear(&mut presence, A, &says(&[(8, 1, "{}")], ANA, false));
    hear(&mut presence, B, &says(&[(8, 5, r#"{"eve":1}"#)], EVE, false));
    assert!(presence.is_anothers_elsewhere(id(8), EVE) && !presence.is_anothers_elsewhere(id(8), ANA));
    presence.pod_gone(A);
    hear(&mut presence, B, &says(&[(8, 9, r#"{"eve":1}"#)], EVE, false));
    assert!(presence.is_anothers_elsewhere(id(8), EVE), "for a while");
    let stolen = says(&[(10, 1, "{}")], EVE, false);
    presence.receive_remote(at(0), A, &stolen.update, &stolen.users, false, |client, _| client == id(10));
    assert_eq!(presence.len(), 1);
}

// R-PRES-9
#[test]
fn a_client_takes_its_id_along_in_both_directions() {
    let mut presence = Presence::new();
    presence.receive(at(0), ANNE, ANA, &update(&[(7, 3, "{}")]), |_| false).unwrap();
    // Away: the connection that it had here is dead, and nobody has noticed. A late word from before changes nothing.
    hear(&mut presence, A, &says(&[(7, 3, "{}")], ANA, false));
    assert_eq!(presence.owner(id(7)), Some(ANNE));
    hear(&mut presence, A, &says(&[(7, 4, "{}")], ANA, false));
    assert_eq!(presence.owner(id(7)), None);
    presence.leave(ANNE);
    assert_eq!(told(&mut presence), [entry(7, 4, "{}")], "it is still there");
    // From pod to pod, at the same clock: the last that spoke for it has it.
    hear(&mut presence, B, &says(&[(7, 4, "{}")], ANA, false));
    presence.pod_gone(A);
    hear(&mut presence, A, &says(&[(7, 4, "null")], ANA, false));
    assert_eq!(presence.len(), 1);
    // And back.
    presence.receive(at(1), BEN, ANA, &update(&[(7, 5, "{}")]), |_| false).unwrap();
    assert_eq!(presence.owner(id(7)), Some(BEN));
    presence.pod_gone(B);
    hear(&mut presence, B, &says(&[], ANA, true));
    assert_eq!(told(&mut presence), [entry(7, 5, "{}")]);
}

// R-PRES-9
#[test]
fn all_who_are_there_replaces_what_was_known_and_a_dead_pod_leaves_nothing() {
    let mut presence = Presence::new();
    hear(&mut presence, A, &says(&[(7, 1, "{}"), (8, 1, "{}")], ANA, false));
    hear(&mut presence, B, &says(&[(9, 1, "{}")], ANA, true));
    told(&mut presence);
    hear(&mut presence, A, &says(&[(8, 1, "{}"), (10, 1, "{}")], ANA, true));
    assert_eq!(told(&mut presence), [entry(10, 1, "{}"), entry(7, 1, "null")]);
    presence.pod_gone(A);
    assert!(presence.has_removals(), "told at once");
    assert_eq!(told(&mut presence), [entry(8, 1, "null"), entry(10, 1, "null")]);
    assert_eq!((presence.len(), presence.far_states), (1, 1));
    presence.expire(at(AWARENESS_EXPIRY_MS));
    assert_eq!((presence.len(), presence.far_states, presence.far_bytes), (0, 0, 0));
}

// R-PRES-5, R-PRES-9
#[test]
fn who_was_taken_for_gone_by_mistake_is_asked_to_say_so() {
    let (mut here, mut there) = (Presence::new(), Presence::new());
    receive(&mut here, at(0), ANNE, &update(&[(7, 3, "{}")])).unwrap();
    hear(&mut there, A, &word(&mut here).unwrap());
    there.pod_gone(A);
    told(&mut there);
    here.ask_whole();
    hear(&mut there, A, &word(&mut here).unwrap());
    // Its own clients would take nothing at this clock. It answers, and the client is told.
    let answer = word(&mut there).unwrap();
    assert_eq!((there.len(), read(&answer.update)), (0, vec![entry(7, 3, "null")]));
    hear(&mut here, B, &answer);
    let reminders = here.take_told().reminders;
    assert_eq!(reminders.len(), 1);
    assert_eq!((reminders[0].0, read(&reminders[0].1)), (ANNE, vec![entry(7, 3, "null")]));
    assert_eq!((here.owner(id(7)), here.has_news()), (Some(ANNE), false), "it is here all the while");
    receive(&mut here, at(1), ANNE, &update(&[(7, 4, "{}")])).unwrap();
    hear(&mut there, A, &word(&mut here).unwrap());
    assert_eq!(told(&mut there), [entry(7, 4, "{}")]);
}

// R-ID-4
#[test]
fn who_spoke_for_an_id_that_the_log_says_is_anothers_speaks_no_longer() {
    let mut presence = Presence::new();
    presence.receive(at(0), BEN, EVE, &update(&[(7, 9, "{}")]), |_| false).unwrap();
    hear(&mut presence, A, &says(&[(8, 9, "{}")], EVE, false));
    word(&mut presence);
    presence.claimed(Claim { client: id(7), user: Some(ANA) });
    presence.claimed_all(|client| (client == id(8)).then_some(Claim { client, user: Some(ANA) }));
    assert!(presence.is_empty() && presence.has_removals());
    let said = word(&mut presence).unwrap();
    assert_eq!((read(&said.update), &said.users[..]), (vec![entry(7, 9, "null")], &[(id(7), ANA)][..]));
    presence.receive(at(1), ANNE, ANA, &update(&[(7, 10, "{}"), (8, 10, "{}")]), |_| false).unwrap();
    assert_eq!(presence.len(), 2);
}

// R-PRES-7
#[test]
fn other_pods_have_bounds_of_their_own_and_keep_nobody_out() {
    let mut presence = Presence::new();
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(AWARENESS_STATE_BYTES_MAX - 8));
    let all = AWARENESS_STATES_PER_ROOM_MAX as u64;
    for first in (0..2 * all).step_by(1_000) {
        let many: Vec<_> = (first..first + 1_000).map(|client| (client, 1, "{}")).collect();
        hear(&mut presence, A, &says(&many, ANA, false));
    }
    assert_eq!(presence.far_states as u64, all);
    for client in 0..all {
        hear(&mut presence, A, &says(&[(client, 2, &large)], ANA, false));
    }
    assert!(presence.far_bytes <= AWARENESS_BYTES_PER_ROOM_MAX);
    receive(&mut presence, at(0), ANNE, &update(&[(5_000_000, 1, &large)])).unwrap();
    assert_eq!(presence.owner(id(5_000_000)), Some(ANNE));
    presence.pod_gone(A);
    assert_eq!((presence.len(), presence.far_states, presence.far_bytes), (1, 0, 0));
    assert!(presence.gone.len() <= KNOWN_IDS_MAX);
    // However many come and go.
    for first in (0..100_000_u64).step_by(1_000) {
        let many: Vec<_> = (first..first + 1_000).map(|client| (client, 1, "{}")).collect();
        hear(&mut presence, B, &says(&many, ANA, true));
    }
    assert!(presence.here.len() + presence.gone.len() <= KNOWN_IDS_MAX && far_is_consistent(&presence));
}

fn far_is_consistent(presence: &Presence) -> bool {
    let owned: usize = presence.owned.values().map(BTreeSet::len).sum();
    let far = || presence.here.values().filter(|here| here.owner.is_far());
    let near = presence.here.values().filter(|here| !here.owner.is_far());
    owned == presence.here.len()
        && presence.heard.len() == presence.here.len()
        && presence.gone.len() == presence.gone_order.len()
        && presence.bytes == near.map(|here| here.state.len()).sum::<usize>()
        && presence.far_bytes == far().map(|here| here.state.len()).sum::<usize>()
        && presence.far_states == far().count()
        && presence.here.keys().all(|client| !presence.gone.contains_key(client))
        && presence.changed.iter().all(|client| presence.here.contains_key(client))
        && presence.removed.iter().all(|client| presence.gone.contains_key(client))
        && presence.reminders.keys().all(|client| presence.owner(*client).is_some())
}

const PODS: usize = 3;
const CLIENTS: usize = 5;

#[derive(Debug, Clone)]
enum Act {
    /// A client says something, at the pod where it is, or goes to.
    Say {
        client: usize,
        pod: usize,
    },
    /// An old connection of a client is noticed to be dead.
    Notice,
    Tick {
        pod: usize,
    },
    Deliver {
        pod: usize,
        fate: u8,
    },
    /// One pod takes another for dead …
    Bury {
        reader: usize,
        pod: usize,
    },
    /// … or asks who is there.
    Ask {
        pod: usize,
    },
    Wait {
        millis: u64,
    },
    /// Anything at all comes from the bus.
    Noise {
        pod: usize,
        bytes: Vec<u8>,
        entries: Vec<(u64, u32)>,
        whole: bool,
    },
    /// Somebody says something about whomever he likes.
    Evil {
        pod: usize,
        entries: Vec<(u64, u32)>,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    let (pod, client) = (|| 0..PODS, || 0..CLIENTS);
    let entries = || proptest::collection::vec((0..10_u64, 0..20_u32), 0..4);
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        6 => (client(), pod()).prop_map(|(client, pod)| Act::Say { client, pod }),
        2 => Just(Act::Notice),
        6 => pod().prop_map(|pod| Act::Tick { pod }),
        9 => (pod(), 0..8_u8).prop_map(|(pod, fate)| Act::Deliver { pod, fate }),
        1 => (pod(), pod()).prop_map(|(reader, pod)| Act::Bury { reader, pod }),
        1 => pod().prop_map(|pod| Act::Ask { pod }),
        1 => (0..8_000_u64).prop_map(|millis| Act::Wait { millis }),
        1 => (pod(), bytes, entries(), any::<bool>())
            .prop_map(|(pod, bytes, entries, whole)| Act::Noise { pod, bytes, entries, whole }),
        1 => (pod(), entries()).prop_map(|(pod, entries)| Act::Evil { pod, entries }),
    ]
}

/// A client, with the clock that y-protocols keeps for it.
#[derive(Debug, Clone, Default)]
struct Client {
    clock: u32,
    at: Option<(usize, ConnId)>,
}

#[derive(Default)]
struct World {
    pods: Vec<Presence>,
    /// Words on their way to each pod.
    bus: Vec<Vec<(PodId, Word)>>,
    clients: Vec<Client>,
    dead: Vec<(usize, ConnId)>,
    conns: u64,
    now: u64,
}

impl World {
    fn new() -> Self {
        Self {
            pods: (0..PODS).map(|_| Presence::new()).collect(),
            bus: vec![Vec::new(); PODS],
            clients: vec![Client::default(); CLIENTS],
            ..Self::default()
        }
    }

    /// Everybody knows whose the clients' ids are: something is written under them.
    fn is_foreign(client: ClientId, user: UserId) -> bool {
        client.get() < CLIENTS as u64 && user != Self::user_of(client)
    }

    fn user_of(client: ClientId) -> UserId {
        UserId::from_u128(100 + u128::from(client.get() % 2))
    }

    fn pod_id(pod: usize) -> PodId {
        PodId::new(pod as u64 + 1)
    }

    fn say(&mut self, client: usize, pod: usize) {
        self.conns += 1;
        let (now, conn) = (at(self.now), ConnId::new(self.conns));
        let it = &mut self.clients[client];
        it.clock += 1;
        if let Some(old) = it.at.filter(|(before, _)| *before != pod) {
            self.dead.push(old);
            it.at = None;
        }
        let (_, conn) = *it.at.get_or_insert((pod, conn));
        let state = format!(r#"{{"at":{}}}"#, it.clock);
        let said = update(&[(client as u64, it.clock, &state)]);
        let user = Self::user_of(id(client as u64));
        let foreign = |client| Self::is_foreign(client, user);
        self.pods[pod].receive(now, conn, user, &said, foreign).unwrap();
    }

    fn tick(&mut self, pod: usize) {
        self.pods[pod].expire(at(self.now));
        let told = self.pods[pod].take_told();
        if let Some(word) = told.pods {
            for other in (0..PODS).filter(|other| *other != pod) {
                self.bus[other].push((Self::pod_id(pod), word.clone()));
            }
        }
        for (conn, removal) in told.reminders {
            let (client, clock, _) = read(&removal)[0].clone();
            let at = usize::try_from(client).unwrap();
            if let Some(it) = self.clients.get_mut(at)
                && it.at == Some((pod, conn))
                && it.clock <= clock
            {
                it.clock = clock;
                self.say(at, pod);
            }
        }
    }

    fn deliver(&mut self, pod: usize, fate: u8) {
        if self.bus[pod].is_empty() {
            return;
        }
        let (from, word) = match fate {
            0 => return drop(self.bus[pod].remove(0)),
            1 => self.bus[pod][0].clone(),
            2 => self.bus[pod].pop().unwrap(),
            _ => self.bus[pod].remove(0),
        };
        let now = at(self.now);
        self.pods[pod].receive_remote(now, from, &word.update, &word.users, word.whole, Self::is_foreign);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Say { client, pod } => self.say(client, pod),
            Act::Notice => {
                if let Some((pod, conn)) = self.dead.pop() {
                    self.pods[pod].leave(conn);
                }
            }
            Act::Tick { pod } => self.tick(pod),
            Act::Deliver { pod, fate } => self.deliver(pod, fate),
            Act::Bury { reader, pod } if reader != pod => self.pods[reader].pod_gone(Self::pod_id(pod)),
            Act::Bury { .. } => {}
            Act::Ask { pod } => self.pods[pod].ask_whole(),
            Act::Wait { millis } => self.now += millis,
            Act::Noise { pod, bytes, entries, whole } => {
                let now = at(self.now);
                self.pods[pod].receive_remote(now, PodId::new(7), &bytes, &[], whole, Self::is_foreign);
                let entries: Vec<_> = entries.iter().map(|(client, clock)| (*client, *clock, "{}")).collect();
                let said = says(&entries, EVE, whole);
                self.pods[pod].receive_remote(
                    now,
                    PodId::new(7),
                    &said.update,
                    &said.users,
                    whole,
                    Self::is_foreign,
                );
            }
            Act::Evil { pod, entries } => {
                self.conns += 1;
                let (now, conn) = (at(self.now), ConnId::new(self.conns));
                let entries: Vec<_> = entries.iter().map(|(client, clock)| (*client, *clock, "{}")).collect();
                let foreign = |client| Self::is_foreign(client, EVE);
                self.pods[pod].receive(now, conn, EVE, &update(&entries), foreign).unwrap();
                self.dead.push((pod, conn));
            }
        }
    }

    /// Every fault ends, and everybody says twice that he is still here.
    fn settle(&mut self) {
        while let Some((pod, conn)) = self.dead.pop() {
            self.pods[pod].leave(conn);
        }
        for pod in 0..PODS {
            self.pods[pod].pod_gone(PodId::new(7));
        }
        for _ in 0..4 {
            for client in 0..CLIENTS {
                if let Some((pod, _)) = self.clients[client].at {
                    self.say(client, pod);
                }
            }
            for _ in 0..4 {
                for pod in 0..PODS {
                    self.tick(pod);
                    while !self.bus[pod].is_empty() {
                        self.deliver(pod, 7);
                    }
                }
            }
            self.now += 15_000;
        }
        for pod in 0..PODS {
            self.tick(pod);
        }
    }
}

proptest! {
    /// Whatever the bus does, and whoever goes where: nobody takes what is somebody else's, nothing grows, and in the end
    /// every pod shows exactly those who are on all of them.
    #[test]
    fn after_any_faults_every_pod_sees_everybody(acts in proptest::collection::vec(any_act(), 0..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            for presence in &world.pods {
                prop_assert!(far_is_consistent(presence));
                for (client, here) in &presence.here {
                    prop_assert!(!World::is_foreign(*client, here.user), "{client} is shown as {:?}'s", here.user);
                }
            }
        }
        world.settle();
        let here = world.clients.iter().enumerate().filter(|(_, it)| it.at.is_some());
        let everybody: BTreeMap<u64, String> =
            here.map(|(client, it)| (client as u64, format!(r#"{{"at":{}}}"#, it.clock))).collect();
        for presence in &world.pods {
            prop_assert_eq!(&states_of(presence), &everybody);
        }
    }

    #[test]
    fn what_comes_from_the_bus_cannot_fail(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        users in proptest::collection::vec((any::<u64>(), any::<u128>()), 0..8),
        whole in any::<bool>(),
    ) {
        let mut presence = Presence::new();
        let users: Vec<_> = users.iter().map(|(client, user)| (id(*client), UserId::from_u128(*user))).collect();
        presence.receive_remote(at(0), A, &bytes, &users, whole, |_, _| false);
        prop_assert!(far_is_consistent(&presence));
    }
}
