//! The stage of all stories: a room with everything that it wanted done, and people with copies of the design.

use atlas_crdt::ids::{ClientId, ConnId, Epoch, Generation, Millis, Seq, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Dialect, Effect, Input, Join, Loaded, Room, RoomConfig};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame, decode_server};
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact, Update};

pub(crate) const ANA: ConnId = ConnId::new(1);
pub(crate) const BEN: ConnId = ConnId::new(2);
pub(crate) const EVE: ConnId = ConnId::new(3);

/// A room, and everything that it wanted done.
pub(crate) struct Stage {
    pub(crate) room: Room,
    pub(crate) now: Millis,
    pub(crate) effects: Vec<Effect>,
    /// Questions to the log are answered at once: there is nothing new.
    pub(crate) log_answers: bool,
    answers: usize,
}

impl Stage {
    pub(crate) fn loading() -> Self {
        let (room, effects) = Room::new(RoomConfig::new(7, 1 << 64, ClientId::new(9)));
        assert!(matches!(effects[..], [Effect::Load]));
        Self { room, now: Millis::new(0), effects: Vec::new(), log_answers: true, answers: 0 }
    }

    pub(crate) fn live() -> Self {
        let mut stage = Self::loading();
        stage.input(Input::Loaded(empty()));
        stage
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.room.handle(self.now, input, &mut self.effects);
        while self.log_answers
            && let Some(at) = self.effects.iter().position(|effect| matches!(effect, Effect::CatchUp { .. }))
        {
            self.effects.remove(at);
            self.answers += 1;
            self.room.handle(self.now, Input::CaughtUp { rows: Vec::new() }, &mut self.effects);
        }
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        let answers = self.answers;
        self.now = self.now.plus(ms);
        self.input(Input::Tick);
        if answers < self.answers {
            // What waited for the log is judged with the next flush.
            self.now = self.now.plus(ms);
            self.input(Input::Tick);
        }
    }

    pub(crate) fn join(&mut self, conn: ConnId, role: DesignRole, dialect: Dialect) {
        let user = UserId::from_u128(u128::from(conn.get()));
        self.input(Input::Join(Join { conn, user, role, dialect, epoch: None }));
    }

    /// Joins and asks for the document, as every client does.
    pub(crate) fn sync(&mut self, conn: ConnId, role: DesignRole, dialect: Dialect) {
        self.join(conn, role, dialect);
        self.frame(conn, step1(&StateVector::default()));
        self.frame(conn, ClientFrame::SyncStep2 { update: Bytes::from_static(&[0, 0]) });
        self.wait(20);
        self.effects.clear();
    }

    pub(crate) fn frame(&mut self, conn: ConnId, frame: ClientFrame) {
        self.input(Input::Frame { conn, frame });
    }

    pub(crate) fn edit(&mut self, conn: ConnId, update: &Bytes) {
        self.frame(conn, ClientFrame::Update { update: update.clone() });
    }

    /// The append that the room asked for since this was last called.
    pub(crate) fn take_append(&mut self) -> Option<Append> {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Append(_)))?;
        match self.effects.remove(at) {
            Effect::Append(append) => Some(append),
            _ => None,
        }
    }

    pub(crate) fn commit(&mut self, append: &Append, seq: u64) {
        self.input(Input::Appended { append_id: append.append_id, seq: Seq::new(seq) });
    }

    /// What this connection was told since this was last called.
    pub(crate) fn heard(&mut self, conn: ConnId) -> Vec<ServerFrame> {
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

    pub(crate) fn close_of(&self, conn: ConnId) -> Option<CloseCode> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close { conn: of, code, .. } if *of == conn => Some(*code),
            _ => None,
        })
    }

    /// The refusal among what this connection was told: its code, and whether its client id is spent.
    pub(crate) fn refusal(&mut self, conn: ConnId) -> Option<(String, bool)> {
        self.heard(conn).iter().find_map(|frame| match frame {
            ServerFrame::Notice(notice) if notice["type"] == "refused" => {
                Some((notice["code"].as_str().unwrap().to_owned(), notice["reset"].as_bool().unwrap()))
            }
            _ => None,
        })
    }

    pub(crate) fn evicted(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Evict))
    }
}

pub(crate) fn empty() -> Loaded {
    Loaded { generation: Generation::new(0), epoch: Epoch::new(3), ..Loaded::default() }
}

/// Somebody's own copy of the design.
pub(crate) struct Writer(pub(crate) Doc);

impl Writer {
    pub(crate) fn new(client: u64) -> Self {
        Self(Doc::with_client_id(client))
    }

    pub(crate) fn name(&self, name: &str) -> Bytes {
        let meta = self.0.get_or_insert_map("meta");
        let mut txn = self.0.transact_mut();
        meta.insert(&mut txn, "name", name);
        txn.encode_update_v1().into()
    }

    pub(crate) fn node(&self, id: &str) -> Bytes {
        let nodes = self.0.get_or_insert_map("nodes");
        let mut txn = self.0.transact_mut();
        nodes.insert(&mut txn, id, yrs::MapPrelim::default());
        txn.encode_update_v1().into()
    }

    pub(crate) fn delete(&self, id: &str) -> Bytes {
        let nodes = self.0.get_or_insert_map("nodes");
        let mut txn = self.0.transact_mut();
        nodes.remove(&mut txn, id);
        txn.encode_update_v1().into()
    }

    pub(crate) fn everything(&self) -> Bytes {
        self.0.transact().encode_state_as_update_v1(&StateVector::default()).into()
    }

    pub(crate) fn take(&self, update: &[u8]) {
        self.0.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
    }
}

pub(crate) fn step1(state: &StateVector) -> ClientFrame {
    ClientFrame::SyncStep1 { state_vector: state.encode_v1().into() }
}

pub(crate) fn is_step2_with(frame: &ServerFrame, update: &Bytes) -> bool {
    matches!(frame, ServerFrame::SyncStep2 { update: sent } if sent == update)
}
