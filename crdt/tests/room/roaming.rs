//! Two servers over one log, and people who change between them: nobody is refused for what another server has logged,
//! everybody sees everybody, and documents that differ are found.

use atlas_crdt::ids::{ClientId, ConnId, Generation, Millis, PodId, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Claim, Dialect, Effect, Input, Join, Loaded, LogRow, Room, RoomConfig};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame, decode_server};
use bytes::Bytes;
use yrs::{ReadTxn, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Writer, empty, step1};

const A: usize = 0;
const B: usize = 1;

/// Two rooms, the log that they share, and the bus between them.
struct Pods {
    rooms: Vec<Room>,
    now: Millis,
    log: Vec<LogRow>,
    claims: Vec<Claim>,
    /// Words on their way to each.
    bus: [Vec<Input>; 2],
    /// The bus brings nothing.
    is_cut: bool,
    /// Appends of each are kept here instead of being logged.
    stuck: [Option<Append>; 2],
    is_stuck: [bool; 2],
    heard: Vec<(ConnId, ServerFrame)>,
    closed: Vec<(ConnId, CloseCode)>,
    reports: usize,
}

impl Pods {
    fn new() -> Self {
        let mut pods = Self {
            rooms: Vec::new(),
            now: Millis::new(1_000),
            log: Vec::new(),
            claims: Vec::new(),
            bus: [Vec::new(), Vec::new()],
            is_cut: false,
            stuck: [None, None],
            is_stuck: [false, false],
            heard: Vec::new(),
            closed: Vec::new(),
            reports: 0,
        };
        for at in [A, B] {
            let (room, _) = Room::new(RoomConfig {
                digest_every_ms: 5_000,
                ..RoomConfig::new(at as u64, (at as u128 + 1) << 64, ClientId::new(9))
            });
            pods.rooms.push(room);
            pods.tell(at, Input::Loaded(empty()));
        }
        pods
    }

    fn tell(&mut self, pod: usize, input: Input) {
        let mut effects = Vec::new();
        self.rooms[pod].handle(self.now, input, &mut effects);
        for effect in effects {
            self.carry_out(pod, effect);
        }
    }

    fn carry_out(&mut self, pod: usize, effect: Effect) {
        match effect {
            Effect::Append(append) if self.is_stuck[pod] => self.stuck[pod] = Some(append),
            Effect::Append(append) => self.append(pod, append),
            Effect::CatchUp { after } => {
                let rows = self.log.iter().filter(|row| after < row.seq).cloned().collect();
                self.tell(pod, Input::CaughtUp { rows });
            }
            Effect::Load => {
                let (tail, claims) = (self.log.clone(), self.claims.clone());
                self.tell(pod, Input::Loaded(Loaded { tail, claims, ..empty() }));
            }
            Effect::Publish { generation, seq, update, claims } => {
                self.say(pod, Input::Remote { generation, seq, update, claims });
            }
            Effect::PublishPresence { update, users, whole } => {
                self.say(pod, Input::RemotePresence { pod: PodId::new(pod as u64), update, users, whole });
            }
            Effect::AskPresence => self.say(pod, Input::PresenceAsked),
            Effect::PublishDigest { generation, seq, hash } => {
                self.say(pod, Input::Digest { generation, seq, hash });
            }
            Effect::Send { to, frame, .. } => {
                self.heard.extend(to.iter().map(|conn| (*conn, decode_server(&frame).unwrap())));
            }
            Effect::Close { conn, code, .. } => self.closed.push((conn, code)),
            Effect::Report { .. } => self.reports += 1,
            _ => {}
        }
    }

    fn say(&mut self, from: usize, word: Input) {
        if !self.is_cut {
            self.bus[1 - from].push(word);
        }
    }

    fn append(&mut self, pod: usize, append: Append) {
        for claim in &append.claims {
            let owner = self.claims.iter().find(|other| other.client == claim.client);
            assert!(owner.is_none_or(|owner| owner.user == claim.user), "foreign");
        }
        self.claims.extend(append.claims.iter().copied());
        let seq = Seq::new(self.log.len() as u64 + 1);
        self.log.push(LogRow { seq, update: append.update, claims: append.claims });
        self.tell(pod, Input::Appended { append_id: append.append_id, seq });
    }

    /// What hung in the store is done.
    fn unstick(&mut self, pod: usize) {
        self.is_stuck[pod] = false;
        if let Some(append) = self.stuck[pod].take() {
            self.append(pod, append);
        }
    }

    fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now = self.now.plus(10);
            for pod in [A, B] {
                for word in std::mem::take(&mut self.bus[pod]) {
                    self.tell(pod, word);
                }
                self.tell(pod, Input::Tick);
            }
        }
    }

    fn join(&mut self, pod: usize, conn: ConnId, user: u128, role: DesignRole) {
        let user = UserId::from_u128(user);
        self.tell(pod, Input::Join(Join { conn, user, role, dialect: Dialect::Atlas, epoch: None }));
        self.frame(pod, conn, step1(&StateVector::default()));
    }

    fn frame(&mut self, pod: usize, conn: ConnId, frame: ClientFrame) {
        self.tell(pod, Input::Frame { conn, frame });
    }

    fn announce(&mut self, pod: usize, conn: ConnId, client: u8, clock: u8) {
        let update = vec![1, client, clock, 2, b'{', b'}'].into();
        self.frame(pod, conn, ClientFrame::Awareness { update });
    }

    fn saved(&self, conn: ConnId) -> u64 {
        let saved = |(of, frame): &(ConnId, ServerFrame)| match frame {
            ServerFrame::Saved(n) if *of == conn => Some(*n),
            _ => None,
        };
        self.heard.iter().filter_map(saved).max().unwrap_or_default()
    }

    /// Everything of the log, as somebody reads it who loads it now.
    fn truth(&self) -> Writer {
        let truth = Writer::new(77);
        self.log.iter().for_each(|row| truth.take(&row.update));
        truth
    }

    fn assert_nobody_was_refused(&self) {
        for (conn, frame) in &self.heard {
            if let ServerFrame::Notice(notice) = frame {
                assert_ne!(notice["type"], "refused", "{conn:?}: {notice}");
            }
        }
        assert_eq!(self.closed, []);
    }

    /// Whom this connection was told of last: each id with its clock, if it is there.
    fn company(&self, conn: ConnId) -> Vec<(u8, bool)> {
        let mut company = std::collections::BTreeMap::new();
        for (_, frame) in self.heard.iter().filter(|(of, _)| *of == conn) {
            if let ServerFrame::Awareness { update } = frame {
                // Small numbers only: one byte each.
                let mut rest = &update[1..];
                while let [client, _clock, len, after @ ..] = rest {
                    let (state, after) = after.split_at(usize::from(*len));
                    company.insert(*client, state != b"null");
                    rest = after;
                }
            }
        }
        company.into_iter().collect()
    }
}

fn state_of(writer: &Writer) -> StateVector {
    writer.0.transact().state_vector()
}

// R-SYNC-13, R-SYNC-12
#[test]
fn who_goes_on_at_another_server_is_never_refused_for_what_the_first_has_logged() {
    for (sends_step2_first, is_cut) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut pods = Pods::new();
        pods.is_cut = is_cut;
        let ana = Writer::new(100);
        pods.join(A, ANA, 1, DesignRole::Editor);
        pods.announce(A, ANA, 100, 1);
        for id in ["a", "b", "c"] {
            pods.frame(A, ANA, ClientFrame::Update { update: ana.node(id) });
            pods.wait(if is_cut { 20 } else { 0 });
        }
        pods.wait(20);
        // On her way to the other one, which has heard of none of it, or is just hearing it.
        pods.tell(A, Input::Leave { conn: ANA });
        pods.join(B, BEN, 1, DesignRole::Editor);
        pods.announce(B, BEN, 100, 1);
        let next = ana.node("d");
        let everything = ClientFrame::SyncStep2 { update: ana.everything() };
        let next = ClientFrame::Update { update: next };
        let frames = if sends_step2_first { [everything, next] } else { [next, everything] };
        for frame in frames {
            pods.frame(B, BEN, frame);
        }
        pods.wait(200);
        pods.frame(B, BEN, ClientFrame::Update { update: ana.delete("a") });
        pods.wait(200);
        pods.assert_nobody_was_refused();
        assert_eq!(pods.saved(BEN), 3);
        assert_eq!(state_of(&pods.truth()), state_of(&ana));
        // And back again: the first one hears it from the log, if not from the bus.
        pods.tell(B, Input::Leave { conn: BEN });
        pods.join(A, EVE, 1, DesignRole::Editor);
        pods.frame(A, EVE, ClientFrame::Update { update: ana.node("e") });
        pods.wait(200);
        pods.assert_nobody_was_refused();
        assert_eq!((pods.saved(EVE), state_of(&pods.truth())), (1, state_of(&ana)));
    }
}

// R-ID-1
#[test]
fn an_append_that_hangs_at_one_server_does_not_hurt_its_author_at_the_other() {
    let mut pods = Pods::new();
    let ana = Writer::new(100);
    pods.join(A, ANA, 1, DesignRole::Editor);
    pods.is_stuck[A] = true;
    pods.frame(A, ANA, ClientFrame::Update { update: ana.node("a") });
    pods.wait(20);
    assert_eq!(pods.saved(ANA), 0);
    // Both now claim the id for the same user, and both bring the same.
    pods.join(B, BEN, 1, DesignRole::Editor);
    ana.node("b");
    pods.frame(B, BEN, ClientFrame::SyncStep2 { update: ana.everything() });
    pods.wait(20);
    assert_eq!(pods.saved(BEN), 1);
    pods.unstick(A);
    pods.wait(200);
    pods.assert_nobody_was_refused();
    assert_eq!((pods.saved(ANA), pods.log.len()), (1, 2));
    let loaded = Loaded { tail: pods.log.clone(), ..empty() }.document(ClientId::new(1)).unwrap();
    assert_eq!(loaded.view().nodes.len(), 2, "and nothing is there twice");
    assert_eq!(state_of(&pods.truth()), state_of(&ana));
    assert_eq!(pods.rooms[A].stats().head, pods.rooms[B].stats().head);
}

// R-SYNC-13, R-ID-1
#[test]
fn nobody_claims_what_others_wrote_at_the_server_that_he_comes_from() {
    for role in [DesignRole::Editor, DesignRole::Viewer] {
        let mut pods = Pods::new();
        pods.is_cut = true;
        let (ana, ben) = (Writer::new(100), Writer::new(200));
        pods.join(A, ANA, 1, DesignRole::Editor);
        pods.join(A, BEN, 2, role);
        pods.frame(A, ANA, ClientFrame::Update { update: ana.node("a") });
        pods.wait(20);
        ben.take(&pods.log[0].update);
        pods.tell(A, Input::Leave { conn: BEN });
        // The other server has not heard of Ana, and Ben brings everything that he has.
        pods.join(B, EVE, 2, role);
        if role == DesignRole::Editor {
            ben.node("b");
        }
        pods.frame(B, EVE, ClientFrame::SyncStep2 { update: ben.everything() });
        pods.wait(100);
        pods.assert_nobody_was_refused();
        assert_eq!((pods.saved(EVE), state_of(&pods.truth())), (1, state_of(&ben)));
        let owner =
            |client| pods.claims.iter().find(|claim| claim.client == client).and_then(|claim| claim.user);
        assert_eq!(owner(ClientId::new(100)), Some(UserId::from_u128(1)));
    }
}

// R-SYNC-9, R-SYNC-13
#[test]
fn a_viewer_takes_along_what_others_wrote() {
    let mut pods = Pods::new();
    pods.is_cut = true;
    let (ana, ben) = (Writer::new(100), Writer::new(200));
    pods.join(A, ANA, 1, DesignRole::Editor);
    pods.join(A, BEN, 2, DesignRole::Viewer);
    pods.frame(A, ANA, ClientFrame::Update { update: ana.node("a") });
    pods.wait(20);
    ben.take(&pods.log[0].update);
    pods.tell(A, Input::Leave { conn: BEN });
    pods.join(B, EVE, 2, DesignRole::Viewer);
    pods.frame(B, EVE, ClientFrame::SyncStep2 { update: ben.everything() });
    pods.wait(100);
    pods.assert_nobody_was_refused();
    assert_eq!((pods.saved(EVE), pods.log.len()), (1, 1));
}

// R-PRES-9, R-ID-3
#[test]
fn an_id_goes_along_with_its_client_and_is_nobody_elses_meanwhile() {
    let mut pods = Pods::new();
    pods.join(A, ANA, 1, DesignRole::Editor);
    pods.join(B, EVE, 3, DesignRole::Editor);
    pods.announce(A, ANA, 100, 1);
    pods.wait(100);
    assert_eq!(pods.company(EVE), [(100, true)]);
    // Nobody else speaks for it, or writes under it.
    pods.announce(B, EVE, 100, 9);
    pods.frame(B, EVE, ClientFrame::Update { update: Writer::new(100).node("forged") });
    pods.wait(100);
    let is_refused = |(conn, frame): &(ConnId, ServerFrame)| {
        *conn == EVE && matches!(frame, ServerFrame::Notice(notice) if notice["code"] == "foreign_client")
    };
    assert!(pods.heard.iter().any(is_refused) && pods.log.is_empty());
    // Ana comes to the other server before the first has noticed that she went: there is one of her at every moment.
    pods.join(B, BEN, 1, DesignRole::Editor);
    pods.announce(B, BEN, 100, 2);
    pods.wait(100);
    pods.tell(A, Input::Leave { conn: ANA });
    pods.wait(100);
    assert_eq!(pods.company(EVE), [(100, true)]);
    pods.tell(B, Input::Leave { conn: BEN });
    pods.wait(20);
    assert_eq!(pods.company(EVE), [(100, false)], "gone at once");
}

// R-PRES-9
#[test]
fn who_joins_sees_who_is_elsewhere_and_a_dead_server_takes_its_own_along() {
    let mut pods = Pods::new();
    pods.join(A, ANA, 1, DesignRole::Editor);
    pods.announce(A, ANA, 100, 1);
    pods.wait(20);
    pods.join(B, BEN, 2, DesignRole::Editor);
    assert_eq!(pods.company(BEN), [(100, true)]);
    pods.tell(B, Input::PodGone { pod: PodId::new(A as u64) });
    assert_eq!(pods.company(BEN), [(100, false)]);
    // It was not dead after all, and is asked. No client takes a state back at the same clock: hers is told so.
    pods.is_cut = false;
    pods.tell(A, Input::PresenceAsked);
    pods.wait(200);
    assert_eq!(pods.company(ANA), [(100, false)], "told to say that she is here");
    pods.announce(A, ANA, 100, 2);
    pods.wait(100);
    assert_eq!(pods.company(BEN), [(100, true)]);
}

#[test]
fn documents_that_differ_at_one_place_of_the_log_are_found_reported_and_healed() {
    let mut pods = Pods::new();
    pods.join(A, ANA, 1, DesignRole::Editor);
    pods.join(B, BEN, 2, DesignRole::Editor);
    pods.frame(A, ANA, ClientFrame::Update { update: Writer::new(100).node("a") });
    pods.wait(20);
    pods.wait(20_000);
    assert_eq!((pods.reports, &pods.closed[..]), (0, &[][..]), "equal documents are left alone");
    // What should be impossible: B is told something else than what the log has.
    pods.is_cut = true;
    pods.frame(A, ANA, ClientFrame::Update { update: Writer::new(101).node("b") });
    pods.wait(20);
    pods.tell(
        B,
        Input::Remote {
            generation: Generation::new(0),
            seq: Seq::new(2),
            update: Writer::new(101).node("B"),
            claims: Vec::new(),
        },
    );
    pods.is_cut = false;
    assert_eq!(pods.rooms[A].stats().head, pods.rooms[B].stats().head);
    pods.wait(limits::DIGEST_QUIET_MS + 10_000);
    assert_eq!(pods.rooms[B].stats().divergences, 1);
    assert!(pods.reports >= 1);
    assert!(pods.closed.contains(&(BEN, CloseCode::Overloaded)));
    assert!(pods.rooms[B].is_closed(), "the next room reads the log");
    // A room that comes straight from the log does not throw anybody out, whatever others say.
    let (mut room, _) = Room::new(RoomConfig::new(5, 7 << 64, ClientId::new(9)));
    let mut effects = Vec::new();
    let loaded = Loaded { tail: pods.log.clone(), claims: pods.claims.clone(), ..empty() };
    room.handle(pods.now, Input::Loaded(loaded), &mut effects);
    let digest = Input::Digest { generation: Generation::new(0), seq: Seq::new(2), hash: [7; 32] };
    room.handle(pods.now, digest, &mut effects);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report { .. })));
    assert!(!room.is_closed() && room.stats().divergences == 0);
}

#[test]
fn an_edit_that_was_compared_is_compared_again_when_another_server_was_faster() {
    use atlas_crdt::design::{Change, Patch};
    use atlas_crdt::ids::RequestId;
    use atlas_crdt::room::{Edit, EditOutcome, Expected, Tag};
    use std::sync::Arc;

    let first = Writer::new(100).node("a");
    let (mut room, _) = Room::new(RoomConfig::new(5, 7 << 64, ClientId::new(9)));
    let row = |seq, update: &Bytes| LogRow { seq: Seq::new(seq), update: update.clone(), claims: Vec::new() };
    let mut effects = Vec::new();
    let now = Millis::new(0);
    room.handle(now, Input::Loaded(Loaded { tail: vec![row(1, &first)], ..empty() }), &mut effects);
    let mut meta = serde_json::Map::new();
    meta.insert("name".into(), "x".into());
    let tag = Tag::Yjs { generation: Generation::new(0), seq: Seq::new(1) };
    let edit = Edit {
        request: RequestId::new(1),
        user: UserId::from_u128(1),
        role: DesignRole::Editor,
        client: ClientId::new(5_000),
        expected: Some(Expected::OneOf(vec![tag])),
        change: Change::Patch(Patch { meta, ..Patch::default() }),
        bytes: 10,
    };
    room.handle(now, Input::Edit(Arc::new(edit)), &mut effects);
    let append = effects.iter().find_map(|effect| match effect {
        Effect::Append(append) => Some(append.clone()),
        _ => None,
    });
    let append = append.unwrap();
    assert!(append.exactly && append.after == Seq::new(1));
    effects.clear();
    room.handle(now, Input::AppendOvertaken { append_id: append.append_id }, &mut effects);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Load)), "{effects:?}");
    let second = Writer::new(200).node("b");
    let tail = vec![row(1, &first), row(2, &second)];
    room.handle(now.plus(20), Input::Loaded(Loaded { tail, ..empty() }), &mut effects);
    room.handle(now.plus(40), Input::Tick, &mut effects);
    let answered = effects.iter().find_map(|effect| match effect {
        Effect::Answer { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    assert!(matches!(answered, Some(EditOutcome::Stale { .. })), "{answered:?}");
}
