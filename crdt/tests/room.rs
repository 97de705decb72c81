//! The room's promises, told as stories: who hears what, and when.

use std::sync::Arc;

use atlas_crdt::ids::{ClientId, ConnId, Epoch, Generation, Millis, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Dialect, Effect, FrameKind, Input, Join, Loaded, LogRow, Room, RoomConfig};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame, decode_server};
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact, Update};

const ANA: ConnId = ConnId::new(1);
const BEN: ConnId = ConnId::new(2);
const EVE: ConnId = ConnId::new(3);

/// A room, and everything that it wanted done.
struct Stage {
    room: Room,
    now: Millis,
    effects: Vec<Effect>,
}

impl Stage {
    fn loading() -> Self {
        let (room, effects) = Room::new(RoomConfig::new(7, 1 << 64, ClientId::new(9)));
        assert!(matches!(effects[..], [Effect::Load]));
        Self { room, now: Millis::new(0), effects: Vec::new() }
    }

    fn live() -> Self {
        let mut stage = Self::loading();
        stage.input(Input::Loaded(empty()));
        stage
    }

    fn input(&mut self, input: Input) {
        self.room.handle(self.now, input, &mut self.effects);
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.input(Input::Tick);
    }

    fn join(&mut self, conn: ConnId, role: DesignRole, dialect: Dialect) {
        let user = UserId::from_u128(u128::from(conn.get()));
        self.input(Input::Join(Join { conn, user, role, dialect, epoch: None }));
    }

    /// Joins and asks for the document, as every client does.
    fn sync(&mut self, conn: ConnId, role: DesignRole, dialect: Dialect) {
        self.join(conn, role, dialect);
        self.frame(conn, step1(&StateVector::default()));
        self.frame(conn, ClientFrame::SyncStep2 { update: Bytes::from_static(&[0, 0]) });
        self.wait(20);
        self.effects.clear();
    }

    fn frame(&mut self, conn: ConnId, frame: ClientFrame) {
        self.input(Input::Frame { conn, frame });
    }

    fn edit(&mut self, conn: ConnId, update: &Bytes) {
        self.frame(conn, ClientFrame::Update { update: update.clone() });
    }

    /// The append that the room asked for since this was last called.
    fn take_append(&mut self) -> Option<Append> {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Append(_)))?;
        match self.effects.remove(at) {
            Effect::Append(append) => Some(append),
            _ => None,
        }
    }

    fn commit(&mut self, append: &Append, seq: u64) {
        self.input(Input::Appended { append_id: append.append_id, seq: Seq::new(seq) });
    }

    /// What this connection was told since this was last called.
    fn heard(&mut self, conn: ConnId) -> Vec<ServerFrame> {
        let mut heard = Vec::new();
        for effect in &mut self.effects {
            if let Effect::Send { to, frame, .. } = effect
                && let Some(at) = to.iter().position(|other| *other == conn)
            {
                to.remove(at);
                heard.push(decode_server(frame).unwrap());
            }
        }
        heard
    }

    fn close_of(&self, conn: ConnId) -> Option<CloseCode> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close { conn: of, code, .. } if *of == conn => Some(*code),
            _ => None,
        })
    }

    fn evicted(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Evict))
    }
}

fn empty() -> Loaded {
    Loaded { generation: Generation::new(0), epoch: Epoch::new(3), snapshot: None, tail: Vec::new() }
}

/// Somebody's own copy of the design.
struct Writer(Doc);

impl Writer {
    fn new(client: u64) -> Self {
        Self(Doc::with_client_id(client))
    }

    fn name(&self, name: &str) -> Bytes {
        let meta = self.0.get_or_insert_map("meta");
        let mut txn = self.0.transact_mut();
        meta.insert(&mut txn, "name", name);
        txn.encode_update_v1().into()
    }

    fn node(&self, id: &str) -> Bytes {
        let nodes = self.0.get_or_insert_map("nodes");
        let mut txn = self.0.transact_mut();
        nodes.insert(&mut txn, id, yrs::MapPrelim::default());
        txn.encode_update_v1().into()
    }

    fn delete(&self, id: &str) -> Bytes {
        let nodes = self.0.get_or_insert_map("nodes");
        let mut txn = self.0.transact_mut();
        nodes.remove(&mut txn, id);
        txn.encode_update_v1().into()
    }

    fn everything(&self) -> Bytes {
        self.0.transact().encode_state_as_update_v1(&StateVector::default()).into()
    }

    fn take(&self, update: &[u8]) {
        self.0.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
    }
}

fn step1(state: &StateVector) -> ClientFrame {
    ClientFrame::SyncStep1 { state_vector: state.encode_v1().into() }
}

fn is_step2_with(frame: &ServerFrame, update: &Bytes) -> bool {
    matches!(frame, ServerFrame::SyncStep2 { update: sent } if sent == update)
}

// R-HAND-7, R-NOTE-1
#[test]
fn a_joiner_is_greeted_and_asked_for_what_it_has() {
    let mut stage = Stage::live();
    stage.join(ANA, DesignRole::Editor, Dialect::Atlas);
    let heard = stage.heard(ANA);
    let [ServerFrame::Notice(hello), ServerFrame::SyncStep1 { .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(
        (hello["type"].as_str(), hello["role"].as_str(), hello["epoch"].as_u64(), hello["seq"].as_u64()),
        (Some("hello"), Some("editor"), Some(3), Some(0))
    );
    stage.join(BEN, DesignRole::Editor, Dialect::Stock);
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "no notices for stock clients: {heard:?}");
}

// R-SYNC-6, R-COUNT-1, R-COUNT-2
#[test]
fn nothing_is_shown_or_acknowledged_before_the_commit() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    let edit = Writer::new(100).name("Checkout");
    stage.edit(ANA, &edit);
    let append = stage.take_append().expect("the first edit after quiet leaves at once");
    assert_eq!((append.update.clone(), append.name.clone()), (edit.clone(), Some("Checkout".into())));
    stage.wait(1);
    assert_eq!((stage.heard(ANA), stage.heard(BEN)), (vec![], vec![]), "INV-2, INV-3");
    stage.commit(&append, 1);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(2)], "the SyncStep2 and the edit");
    assert_eq!(stage.heard(BEN), [ServerFrame::Update { update: edit }]);
    let published = stage.effects.iter().any(|effect| matches!(effect, Effect::Publish { seq, .. } if seq.get() == 1));
    assert!(published);
}

// R-SYNC-4, R-SYNC-5
#[test]
fn a_joiner_waits_for_the_edit_in_flight() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.name("one"));
    let append = stage.take_append().unwrap();
    stage.join(BEN, DesignRole::Editor, Dialect::Stock);
    stage.frame(BEN, step1(&StateVector::default()));
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "{heard:?}");
    stage.edit(ANA, &writer.name("two"));
    stage.wait(10);
    assert!(stage.take_append().is_none(), "one append at a time");
    let known = writer.everything();
    stage.commit(&append, 1);
    let heard = stage.heard(BEN);
    let [ServerFrame::SyncStep2 { update }] = &heard[..] else { panic!("{heard:?}") };
    let reader = Writer::new(300);
    reader.take(update);
    let meta = reader.0.get_or_insert_map("meta");
    assert_eq!(meta.get(&reader.0.transact(), "name").unwrap().to_string(&reader.0.transact()), "one", "INV-3");
    let append = stage.take_append().expect("what waited goes next");
    stage.commit(&append, 2);
    let heard = stage.heard(BEN);
    assert!(matches!(heard[..], [ServerFrame::Update { .. }]), "each edit once: {heard:?}");
    assert!(!is_step2_with(&heard[0], &known));
}

// R-SYNC-5, R-COUNT-3
#[test]
fn a_busy_room_folds_what_waits_into_one_append() {
    let mut stage = Stage::live();
    for conn in [ANA, BEN, EVE] {
        stage.sync(conn, DesignRole::Editor, Dialect::Atlas);
    }
    let (ana, ben) = (Writer::new(100), Writer::new(200));
    stage.edit(ANA, &ana.node("a"));
    let first = stage.take_append().unwrap();
    stage.edit(BEN, &ben.node("b"));
    stage.edit(ANA, &ana.node("c"));
    stage.commit(&first, 1);
    stage.effects.retain(|effect| matches!(effect, Effect::Append(_)));
    stage.wait(limits::FLUSH_INTERVAL_MS);
    let second = stage.take_append().unwrap();
    assert_eq!(second.authors.len(), 2, "the log knows who wrote what");
    stage.commit(&second, 2);
    assert!(matches!(stage.heard(EVE)[..], [ServerFrame::Update { .. }]), "one frame for two edits");
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)));
    assert!(stage.heard(BEN).contains(&ServerFrame::Saved(2)));
}

// R-SYNC-9, R-COUNT-4
#[test]
fn an_edit_that_adds_nothing_is_acknowledged_without_an_append() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let edit = Writer::new(100).name("x");
    stage.edit(ANA, &edit);
    let append = stage.take_append().unwrap();
    stage.edit(ANA, &edit);
    stage.commit(&append, 1);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
    stage.wait(20);
    assert!(stage.take_append().is_none());
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(3)]);
}

// R-SYNC-12
#[test]
fn a_repeated_sync_step_2_appends_only_what_is_new() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    for edit in [writer.node("a"), writer.node("b"), writer.delete("a")] {
        stage.edit(ANA, &edit);
        if let Some(append) = stage.take_append() {
            stage.commit(&append, 1);
        }
        stage.wait(20);
        if let Some(append) = stage.take_append() {
            stage.commit(&append, 2);
        }
    }
    let whole = writer.everything();
    let new = writer.node("c");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: writer.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    assert!(append.update.len() < whole.len(), "{} of {} bytes", append.update.len(), whole.len());
    assert_eq!(append.update.len(), new.len());
    assert_eq!(append.authors[0].deleted, [], "old deletions are nobody's new ones");
}

// R-REFUSE-1, R-REFUSE-2, R-ROLE-1, R-SYNC-9, R-COUNT-6
#[test]
fn a_viewer_may_repeat_what_is_known_and_is_refused_what_is_not() {
    for dialect in [Dialect::Atlas, Dialect::Stock] {
        let mut stage = Stage::live();
        let writer = Writer::new(100);
        stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
        stage.sync(EVE, DesignRole::Viewer, dialect);
        for edit in [writer.node("a"), writer.delete("a")] {
            stage.edit(ANA, &edit);
            let append = stage.take_append().unwrap();
            stage.commit(&append, 1);
            stage.wait(20);
        }
        stage.effects.clear();
        stage.frame(EVE, ClientFrame::Update { update: writer.everything() });
        stage.wait(20);
        assert!(stage.take_append().is_none(), "INV-5");
        let quiet: Vec<_> = stage.heard(EVE);
        assert!(matches!(quiet[..], [] | [ServerFrame::Saved(_)]), "{quiet:?}");

        let own = Writer::new(300);
        stage.edit(EVE, &own.name("mine"));
        stage.wait(20);
        assert!(stage.take_append().is_none(), "INV-5");
        let heard = stage.heard(EVE);
        match dialect {
            Dialect::Atlas => {
                let [ServerFrame::Notice(refused), ServerFrame::Saved(3)] = &heard[..] else { panic!("{heard:?}") };
                assert_eq!((refused["code"].as_str(), refused["reset"].as_bool()), (Some("not_permitted"), Some(false)));
            }
            Dialect::Stock => assert!(matches!(heard[..], [ServerFrame::PermissionDenied { .. }]), "{heard:?}"),
        }
        assert_eq!(stage.close_of(EVE), None, "later frames of a viewer still work");
        stage.frame(EVE, step1(&StateVector::default()));
        assert!(matches!(stage.heard(EVE)[..], [ServerFrame::SyncStep2 { .. }]));
    }
}

// R-SYNC-10, R-COUNT-5
#[test]
fn a_gap_is_asked_for_once_and_acknowledged_when_it_is_covered() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    let _offline = writer.node("offline");
    stage.edit(ANA, &writer.node("online"));
    stage.wait(20);
    assert!(stage.take_append().is_none(), "nothing of a gap is applied");
    let heard = stage.heard(ANA);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "asked, not acknowledged: {heard:?}");
    stage.edit(ANA, &writer.node("later"));
    stage.wait(20);
    assert_eq!(stage.heard(ANA), [], "not asked twice for one answer");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: writer.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    assert_eq!(stage.heard(ANA), []);
    stage.commit(&append, 1);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(4)]);
}

// R-REFUSE-3, R-REFUSE-4
#[test]
fn a_gap_that_its_author_cannot_close_is_refused() {
    for (dialect, code) in [(Dialect::Atlas, None), (Dialect::Stock, Some(CloseCode::Reset))] {
        let mut stage = Stage::live();
        stage.sync(ANA, DesignRole::Editor, dialect);
        let writer = Writer::new(100);
        let _lost = writer.node("lost");
        let broken = writer.node("broken");
        for _ in 0..2 {
            stage.frame(ANA, ClientFrame::SyncStep2 { update: broken.clone() });
            stage.wait(20);
        }
        let heard = stage.heard(ANA);
        assert!(matches!(heard[0], ServerFrame::SyncStep1 { .. }), "asked once more: {heard:?}");
        if dialect == Dialect::Atlas {
            let refused = heard.iter().find_map(|frame| match frame {
                ServerFrame::Notice(notice) if notice["type"] == "refused" => Some(notice),
                _ => None,
            });
            let refused = refused.expect("a refusal");
            assert_eq!((refused["code"].as_str(), refused["reset"].as_bool()), (Some("gap"), Some(true)));
        }
        assert_eq!(stage.close_of(ANA), code);
    }
}

// R-SLOW-1
#[test]
fn a_slow_reader_gets_the_difference_in_one_piece() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    stage.sync(BEN, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    let reader = Writer::new(300);
    for (seq, id) in ["a", "b", "c"].into_iter().enumerate() {
        stage.edit(ANA, &writer.node(id));
        let append = stage.take_append().unwrap();
        stage.effects.clear();
        stage.commit(&append, seq as u64 + 1);
        let frames = stage.effects.iter().find_map(|effect| match effect {
            Effect::Send { kind: FrameKind::Document { since }, to, frame } => {
                Some((Arc::clone(since), to.contains(&BEN), frame.clone()))
            }
            _ => None,
        });
        match (id, frames) {
            ("a", Some((_, true, frame))) => {
                let ServerFrame::Update { update } = decode_server(&frame).unwrap() else { panic!() };
                reader.take(&update);
            }
            ("b", Some((since, true, _))) => stage.input(Input::Lagged { conn: BEN, since }),
            ("c", frames) => assert!(frames.is_none(), "a lagging reader gets no document frames"),
            other => panic!("{other:?}"),
        }
        stage.wait(20);
    }
    stage.effects.clear();
    stage.wait(1_000);
    assert_eq!(stage.heard(BEN), [], "nothing while it is not writable");
    stage.input(Input::Writable { conn: BEN });
    let heard = stage.heard(BEN);
    let [ServerFrame::Update { update }] = &heard[..] else { panic!("{heard:?}") };
    assert!(update.len() < writer.everything().len(), "the difference only");
    reader.take(update);
    assert_eq!(reader.everything(), writer.everything());
    stage.edit(ANA, &writer.node("d"));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 4);
    assert!(matches!(stage.heard(BEN)[..], [ServerFrame::Update { .. }]), "and then every edit again");
}

// R-NOTE-2, R-SLOW-6
#[test]
fn a_store_in_trouble_is_told_retried_and_forgotten() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(100).name("x"));
    let append = stage.take_append().unwrap();
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "disk full".into() });
    let heard = stage.heard(BEN);
    assert!(matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["type"] == "store.degraded"), "{heard:?}");
    stage.wait(limits::APPEND_RETRY_MAX_MS * 2);
    let again = stage.take_append().expect("tried again");
    assert_eq!((again.append_id, &again.update), (append.append_id, &append.update));
    stage.effects.clear();
    stage.commit(&again, 1);
    let heard = stage.heard(BEN);
    assert!(matches!(&heard[0], ServerFrame::Notice(notice) if notice["type"] == "store.healthy"), "{heard:?}");
    assert!(matches!(heard[1..], [ServerFrame::Update { .. }]));
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(2)));
}

// R-SLOW-6
#[test]
fn past_the_unsaved_budget_everybody_is_sent_away_with_their_edits() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.name("x"));
    let append = stage.take_append().unwrap();
    stage.input(Input::AppendFailed { append_id: append.append_id, reason: "gone".into() });
    let big = "x".repeat(900_000);
    let mut sent = 0;
    while stage.close_of(ANA).is_none() {
        assert!(stage.room.accepts_frames(), "presence still flows");
        stage.edit(ANA, &writer.name(&big));
        sent += big.len();
        assert!(sent < limits::UNSAVED_BYTES_MAX + 2 * big.len(), "INV-6");
    }
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Overloaded));
    stage.effects.clear();
    stage.join(BEN, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(BEN), Some(CloseCode::Overloaded));
    stage.wait(limits::APPEND_RETRY_MAX_MS);
    let append = stage.take_append().expect("the one append in flight is tried again");
    stage.commit(&append, 1);
    stage.join(EVE, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(EVE), None);
}

// R-SLOW-4
#[test]
fn a_healthy_but_busy_store_stops_the_reading_instead() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    let big = "x".repeat(900_000);
    for _ in 0..4 {
        stage.edit(ANA, &writer.name(&big));
    }
    assert!(!stage.room.accepts_frames());
    let append = stage.take_append().unwrap();
    stage.commit(&append, 1);
    assert!(stage.room.accepts_frames());
}

#[test]
fn an_idle_room_goes_and_an_unsaved_one_stays() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    stage.edit(ANA, &Writer::new(100).name("x"));
    stage.input(Input::Leave { conn: ANA });
    let append = stage.take_append().unwrap();
    stage.wait(limits::IDLE_EVICT_MS * 3);
    assert!(!stage.evicted(), "INV-7");
    stage.commit(&append, 1);
    stage.wait(1);
    assert!(stage.evicted());
    assert!(stage.room.is_closed());
}

// R-CLOSE-5
#[test]
fn draining_sends_everybody_away_and_flushes() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    stage.edit(ANA, &writer.node("a"));
    stage.edit(ANA, &writer.node("b"));
    stage.input(Input::Drain);
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Restarting));
    let first = stage.take_append().unwrap();
    stage.join(BEN, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(stage.close_of(BEN), Some(CloseCode::Restarting));
    stage.commit(&first, 1);
    stage.wait(10);
    assert!(!stage.evicted(), "b still waits");
    let second = stage.take_append().unwrap();
    stage.commit(&second, 2);
    stage.wait(1);
    assert!(stage.evicted());
}

// R-HAND-10
#[test]
fn a_failed_load_refuses_the_joiners_and_never_serves_an_empty_document() {
    let damaged = LogRow { seq: Seq::new(1), update: Bytes::from_static(&[1, 1, 1]) };
    for (input, code) in [
        (Input::LoadFailed { reason: "away".into() }, CloseCode::Overloaded),
        (Input::NoSuchDesign, CloseCode::NoSuchDesign),
        (Input::Loaded(Loaded { tail: vec![damaged], ..empty() }), CloseCode::Overloaded),
    ] {
        let mut stage = Stage::loading();
        assert!(!stage.room.accepts_frames(), "joins wait for the load");
        stage.input(input);
        stage.join(ANA, DesignRole::Owner, Dialect::Atlas);
        assert_eq!(stage.close_of(ANA), Some(code));
        stage.wait(5_000);
        assert!(stage.evicted(), "the next joiner tries the store again");
    }
}

// R-CLOSE-6
#[test]
fn a_deleted_design_sends_everybody_away_for_good() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.input(Input::Deleted);
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["type"] == "deleted"), "{heard:?}");
    assert_eq!(stage.close_of(ANA), Some(CloseCode::NoSuchDesign));
}

// R-ROLE-2, R-CLOSE-8
#[test]
fn roles_change_while_the_socket_is_open() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let user = UserId::from_u128(u128::from(ANA.get()));
    stage.input(Input::RoleChanged { user, role: Some(DesignRole::Viewer) });
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["role"] == "viewer"), "{heard:?}");
    stage.edit(ANA, &Writer::new(100).name("x"));
    stage.wait(20);
    assert!(stage.take_append().is_none(), "INV-5");
    stage.input(Input::RoleChanged { user, role: None });
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Forbidden));
}

// R-HAND-9
#[test]
fn an_older_epoch_is_told_to_reload() {
    let mut stage = Stage::live();
    let user = UserId::from_u128(1);
    let epoch = Some(Epoch::new(2));
    stage.input(Input::Join(Join { conn: ANA, user, role: DesignRole::Editor, dialect: Dialect::Atlas, epoch }));
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Reset));
}

// R-REFUSE-5
#[test]
fn malformed_bytes_close_their_sender_alone() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    stage.edit(EVE, &Bytes::from_static(&[1, 255, 255]));
    assert_eq!((stage.close_of(EVE), stage.close_of(ANA)), (Some(CloseCode::Malformed), None));
    stage.effects.clear();
    stage.edit(EVE, &Writer::new(100).name("too late"));
    stage.wait(20);
    assert!(stage.take_append().is_none());
}

// R-SYNC-11
/// A change inside of `meta.name`, which is a plain value: nothing that bytes alone can show, and yrs refuses it half-way.
fn poison() -> Bytes {
    let (client, parent) = ([0xAC, 0x02], 100);
    let mut update = vec![1, 1, client[0], client[1], 0];
    update.extend([0x28, 0, parent, 0, 1, b'k', 1, 120]); // Any, with a key, inside of item (100, 0): true
    update.push(0);
    update.into()
}

// R-REFUSE-6
#[test]
fn an_update_that_breaks_yrs_costs_its_sender_alone() {
    for innocent_edits in [true, false] {
        let mut stage = Stage::live();
        for conn in [ANA, BEN, EVE] {
            stage.sync(conn, DesignRole::Editor, Dialect::Atlas);
        }
        let ana = Writer::new(100);
        let name = ana.name("ground");
        stage.edit(ANA, &name);
        let first = stage.take_append().unwrap();
        stage.edit(EVE, &poison());
        let edit = ana.node("innocent");
        if innocent_edits {
            stage.edit(ANA, &edit);
        }
        stage.commit(&first, 1);
        stage.wait(20);
        assert!(stage.take_append().is_none());
        assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::Load)), "the document is made anew");
        stage.frame(BEN, step1(&StateVector::default()));
        stage.effects.clear();
        stage.input(Input::Loaded(Loaded { tail: vec![LogRow { seq: Seq::new(1), update: name }], ..empty() }));
        if innocent_edits {
            let second = stage.take_append().expect("the innocent edit of the same flush");
            assert_eq!(second.update, edit);
            stage.commit(&second, 2);
            assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)));
        }
        stage.wait(20);
        let heard = stage.heard(EVE);
        let refused = |frame: &ServerFrame| {
            matches!(frame, ServerFrame::Notice(notice) if notice["code"] == "rejected" && notice["reset"] == true)
        };
        assert!(heard.iter().any(refused), "{heard:?}");
        assert_eq!(stage.close_of(EVE), Some(CloseCode::Reset));
        let heard = stage.heard(BEN);
        assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::SyncStep2 { .. })), "BEN waited: {heard:?}");
        assert_eq!((stage.close_of(ANA), stage.close_of(BEN)), (None, None));
    }
}

/// One client section with `ranges` single deletions, each a range of its own.
fn deletions(client: u8, ranges: usize) -> Bytes {
    let mut update = vec![0, 1, client];
    let mut var = |mut n: usize| {
        while 0x7f < n {
            update.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        update.push(u8::try_from(n).unwrap());
    };
    var(ranges);
    for at in 0..ranges {
        var(2 * at + 1); // clock 0 is the text itself
        var(1);
    }
    update.into()
}

#[test]
fn a_design_does_not_outgrow_what_every_client_must_send_back() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    // As many clients as a document may have, each with one collected struct: 1 section of (1 struct, client, 0, GC of 1).
    let mut crowd = Vec::new();
    let var = |out: &mut Vec<u8>, mut n: usize| {
        while 0x7f < n {
            out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        out.push(u8::try_from(n).unwrap());
    };
    var(&mut crowd, limits::DOCUMENT_CLIENTS_MAX + 1);
    for client in (1..=limits::DOCUMENT_CLIENTS_MAX + 1).rev() {
        crowd.push(1);
        var(&mut crowd, 1_000 + client);
        crowd.extend([0, 0, 1]);
    }
    crowd.push(0);
    stage.edit(ANA, &crowd.into());
    stage.wait(20);
    assert!(stage.take_append().is_none());
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[0], ServerFrame::Notice(notice) if notice["code"] == "too_many"), "{heard:?}");
}

#[test]
fn deletions_in_countless_pieces_are_refused_and_cost_no_time() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    // A long text, then every other character of it: more ranges than a document may have, over two updates.
    let doc = Doc::with_client_id(100);
    let text = {
        let meta = doc.get_or_insert_map("meta");
        let mut txn = doc.transact_mut();
        meta.insert(&mut txn, "text", yrs::TextPrelim::new("x".repeat(3 * limits::DOCUMENT_DELETE_RANGES_MAX)));
        Bytes::from(txn.encode_update_v1())
    };
    stage.edit(ANA, &text);
    let append = stage.take_append().unwrap();
    stage.commit(&append, 1);
    stage.wait(20);
    stage.effects.clear();
    let half = limits::DOCUMENT_DELETE_RANGES_MAX / 2;
    stage.edit(ANA, &deletions(100, half));
    let append = stage.take_append().expect("so many are fine");
    assert_eq!(append.authors[0].deleted.len(), half, "and all of them are their author's");
    stage.commit(&append, 2);
    stage.wait(20);
    stage.effects.clear();
    stage.edit(ANA, &deletions(100, 2 * half + 1));
    stage.wait(20);
    assert!(stage.take_append().is_none());
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[0], ServerFrame::Notice(notice) if notice["code"] == "too_many"), "{heard:?}");
    // Whoever comes back brings all that is deleted already, and one deletion more.
    stage.frame(ANA, ClientFrame::SyncStep2 { update: deletions(100, half + 1) });
    stage.wait(20);
    let append = stage.take_append().expect("old deletions are no new ones");
    assert_eq!(append.authors[0].deleted.len(), 1);
}

#[test]
fn maps_within_maps_are_refused_even_when_each_comes_alone() {
    let mut stage = Stage::live();
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    let doc = Doc::with_client_id(100);
    let mut parent = doc.get_or_insert_map("nodes");
    for level in 1..=limits::TYPE_DEPTH_MAX + 1 {
        let update = {
            let mut txn = doc.transact_mut();
            parent = parent.insert(&mut txn, "a", yrs::MapPrelim::default());
            Bytes::from(txn.encode_update_v1())
        };
        stage.edit(EVE, &update);
        stage.wait(20);
        match stage.take_append() {
            Some(append) => stage.commit(&append, level as u64),
            None => assert_eq!(level, limits::TYPE_DEPTH_MAX + 1),
        }
    }
    assert_eq!(stage.close_of(EVE), Some(CloseCode::Malformed));
}

#[test]
fn a_name_that_no_design_may_have_does_not_reach_the_store() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    for (seq, (name, told)) in
        [("Checkout", true), ("", false), (&*"x".repeat(10_000), false), ("Checkout 2", true)].into_iter().enumerate()
    {
        stage.edit(ANA, &writer.name(name));
        let append = stage.take_append().unwrap();
        assert_eq!(append.name.as_deref(), told.then_some(name));
        stage.commit(&append, seq as u64 + 1);
        stage.wait(20);
    }
}

#[test]
fn other_pods_commits_are_shown_in_order_and_holes_are_filled_from_the_log() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let far = Writer::new(500);
    let rows: Vec<Bytes> = ["a", "b", "c"].iter().map(|id| far.node(id)).collect();
    let remote = |seq: u64| Input::Remote {
        generation: Generation::new(0),
        seq: Seq::new(seq),
        update: rows[usize::try_from(seq).unwrap() - 1].clone(),
    };
    stage.input(remote(1));
    stage.input(remote(1));
    assert_eq!(stage.heard(ANA), [ServerFrame::Update { update: rows[0].clone() }], "once");
    stage.input(remote(3));
    assert_eq!(stage.heard(ANA), [], "a hole below it");
    stage.wait(limits::HOLE_WAIT_MS);
    let asked = stage.effects.iter().any(|effect| matches!(effect, Effect::CatchUp { after } if after.get() == 1));
    assert!(asked);
    stage.input(Input::CaughtUp { rows: vec![LogRow { seq: Seq::new(2), update: rows[1].clone() }] });
    assert_eq!(stage.heard(ANA).len(), 2);
    assert_eq!(stage.room.stats().head, Seq::new(3));
}

// R-PRES-3, R-PRES-4, R-PRES-6, R-PRES-8
#[test]
fn presence_is_coalesced_and_a_leaver_vanishes_at_once() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Viewer, Dialect::Stock);
    stage.sync(BEN, DesignRole::Editor, Dialect::Stock);
    let awareness = |clock: u8| {
        let state = format!("{{\"x\":{clock}}}");
        let mut update = vec![1, 77, clock, u8::try_from(state.len()).unwrap()];
        update.extend_from_slice(state.as_bytes());
        ClientFrame::Awareness { update: update.into() }
    };
    stage.frame(ANA, awareness(1));
    assert_eq!(stage.heard(BEN).len(), 1, "the first one after quiet leaves at once");
    stage.frame(ANA, awareness(2));
    stage.frame(ANA, awareness(3));
    assert_eq!(stage.heard(BEN).len(), 0);
    stage.wait(limits::AWARENESS_TICK_MS);
    let heard = stage.heard(BEN);
    let [ServerFrame::Awareness { update }] = &heard[..] else { panic!("{heard:?}") };
    assert!(update.windows(7).any(|part| part == b"{\"x\":3}"), "the latest wins");
    stage.frame(BEN, ClientFrame::QueryAwareness);
    assert!(matches!(stage.heard(BEN)[..], [ServerFrame::Awareness { .. }]), "whoever asks is told who is here");
    stage.input(Input::Leave { conn: ANA });
    let heard = stage.heard(BEN);
    let [ServerFrame::Awareness { update }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(&update[..], [&[1, 77, 3, 4][..], b"null"].concat(), "removed at the clock last seen");
    stage.frame(BEN, ClientFrame::QueryAwareness);
    assert_eq!(stage.heard(BEN), [], "nobody is here");
}
