//! A room that holds its document: the state that the phases Live and Draining share, and how frames enter it.

use bytes::Bytes;

use super::RoomConfig;
use super::answers::Answers;
use super::astray::Astray;
use super::digests::Digests;
use super::durability::{Durability, Waiting};
use super::effect::{Effect, FrameKind};
use super::input::{Dialect, Join, Loaded};
use super::known::Known;
use super::members::{Feed, Member, Members};
use super::news::News;
use super::owners::Owners;
use super::quarantine::Marks;
use super::rebuild::Rebuild;
use super::remote::Remote;
use super::settle::Settle;
use super::size::Size;
use super::stored::{Stored, StoredFault};
use crate::design::DesignDoc;
use crate::gate::{self, Places, Refusal};
use crate::ids::{AppendId, ConnId, Epoch, Generation, Millis, Seq, UserId};
use crate::limits;
use crate::presence::Presence;
use crate::roles::DesignRole;
use crate::wire::{self, ClientFrame, CloseCode, Notice, NoticeLimits};

/// What whoever is turned away is told while the store is not well.
pub(super) const TROUBLE: &str = "the server's storage is in trouble";

/// What whoever is sent away is told when the log went another way than the document.
pub(super) const ASTRAY: &str = "the design must be loaded again";

/// See the module's head. Only the room's owner task touches it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) generation: Generation,
    pub(super) epoch: Epoch,
    /// The newest `seq` that the document contains without a hole below it.
    pub(super) head: Seq,
    /// Equal to the log up to `head`, but for the append in flight (and for remote rows above a hole of our own).
    pub(super) doc: DesignDoc,
    /// The state vector of what is committed: what the outside may know of.
    pub(super) known: Known,
    /// Set while the document must be made anew from the store.
    pub(super) rebuild: Option<Rebuild>,
    pub(super) members: Members,
    pub(super) presence: Presence,
    pub(super) next_presence_at: Millis,
    pub(super) durability: Durability,
    pub(super) remote: Remote,
    /// Counts what was applied to the document.
    pub(super) doc_version: u64,
    pub(super) answers: Answers,
    /// Where everything in the document stands.
    pub(super) places: Places,
    /// Whose the client ids in the log are.
    pub(super) owners: Owners,
    /// What is in quarantine.
    pub(super) marks: Marks,
    /// Upper bounds of what the document holds.
    pub(super) size: Size,
    /// The log breaks one of today's limits, this one: nobody may change the design.
    pub(super) read_only: Option<String>,
    /// `meta.name` as the store knows it.
    pub(super) name: Option<String>,
    /// Whether the store has that name: two pods may have named the design at once, and the name that won need not be the
    /// one that came last.
    pub(super) name_is_sure: bool,
    /// A look into the store showed less of the log than was known then: this much.
    pub(super) doubted: Option<Seq>,
    /// The log is not what this room takes it for: it ends.
    pub(super) astray: Option<Astray>,
    pub(super) digests: Digests,
    pub(super) settle: Settle,
    pub(super) news: News,
    /// Since when nobody is here.
    pub(super) idle_since: Option<Millis>,
    unsaved_bytes_max: usize,
    /// The pod stops: nobody is here any more.
    pub(super) is_leaving: bool,
    rng: SplitMix,
}

impl Live {
    pub(super) fn load(config: &RoomConfig, now: Millis, loaded: &Loaded) -> Result<Self, StoredFault> {
        let Stored { doc, head, places, owners, marks, size, read_only } = Stored::read(config, loaded)?;
        let name = doc.name();
        Ok(Self {
            generation: loaded.generation,
            epoch: loaded.epoch,
            head,
            known: Known::new(doc.state_vector()),
            doc,
            rebuild: None,
            members: Members::new(),
            presence: Presence::new(),
            next_presence_at: now,
            durability: Durability::new(config.append_salt),
            remote: Remote::default(),
            doc_version: 0,
            answers: Answers::default(),
            places,
            owners,
            marks,
            size,
            read_only,
            name,
            // Of several rows, two may have named the design without knowing of each other.
            name_is_sure: loaded.snapshot.is_none() && loaded.tail.len() < 2,
            doubted: None,
            astray: None,
            digests: Digests::new(now, config.digest_every_ms, head),
            settle: Settle::default(),
            news: News::new(loaded.analysis_no),
            idle_since: Some(now),
            unsaved_bytes_max: config.unsaved_bytes_max.min(limits::UNSAVED_BYTES_MAX),
            is_leaving: false,
            rng: SplitMix(config.seed),
        })
    }

    pub(super) fn jitter(&mut self) -> u8 {
        self.rng.next_byte()
    }

    // --- coming and going

    pub(super) fn join(&mut self, join: &Join, effects: &mut Vec<Effect>) {
        let refusal = if join.epoch.is_some_and(|epoch| epoch != self.epoch) {
            Some((CloseCode::Reset, "the document was reset: reload"))
        } else if limits::CONNS_PER_ROOM_MAX <= self.members.len() {
            Some((CloseCode::Overloaded, "too many connections on this design"))
        } else if self.durability.shedding {
            Some((CloseCode::Overloaded, TROUBLE))
        } else {
            None
        };
        if let Some((code, reason)) = refusal {
            effects.push(Effect::Close { conn: join.conn, code, reason: reason.to_owned() });
            return;
        }
        let mut member = Member::new(join);
        member.owed_step2 = 1;
        self.members.insert(join.conn, member);
        self.idle_since = None;
        self.settle.joined();
        self.tell(
            join.conn,
            &Notice::Hello {
                role: join.role,
                epoch: self.epoch,
                seq: self.head,
                limits: NoticeLimits::default(),
                read_only: self.read_only.clone(),
            },
            effects,
        );
        if self.durability.degraded {
            self.tell(join.conn, &Notice::StoreDegraded, effects);
        }
        send(join.conn, self.known.question(), effects);
        for everybody in self.everybody() {
            send(join.conn, everybody, effects);
        }
    }

    pub(super) fn leave(&mut self, now: Millis, conn: ConnId) {
        if self.members.remove(&conn).is_some() {
            self.presence.leave(conn);
            if self.members.is_empty() {
                self.idle_since = Some(now);
                self.settle.left(now);
            }
        }
    }

    /// Ends a connection from this side.
    pub(super) fn close(
        &mut self,
        now: Millis,
        conn: ConnId,
        code: CloseCode,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        if self.members.contains_key(&conn) {
            effects.push(Effect::Close { conn, code, reason: reason.to_owned() });
            self.leave(now, conn);
        }
    }

    pub(super) fn close_all(
        &mut self,
        now: Millis,
        code: CloseCode,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        for conn in self.members.keys().copied().collect::<Vec<_>>() {
            self.close(now, conn, code, reason, effects);
        }
    }

    pub(super) fn role_changed(
        &mut self,
        now: Millis,
        user: UserId,
        role: Option<DesignRole>,
        effects: &mut Vec<Effect>,
    ) {
        let conns: Vec<ConnId> =
            self.members.iter().filter(|(_, member)| member.user == user).map(|(conn, _)| *conn).collect();
        for conn in conns {
            let Some(role) = role else {
                self.close(now, conn, CloseCode::Forbidden, "no longer a member of this design", effects);
                continue;
            };
            if let Some(member) = self.members.get_mut(&conn)
                && member.role != role
            {
                member.role = role;
                self.tell(conn, &Notice::RoleChanged { role }, effects);
            }
        }
        // Whoever may write from now on keeps the ids that everybody has seen already.
        for client in self.presence.ids_of(user) {
            self.announced(client, user, effects);
        }
    }

    // --- frames

    pub(super) fn frame(&mut self, now: Millis, conn: ConnId, frame: ClientFrame, effects: &mut Vec<Effect>) {
        let Some(user) = self.members.get(&conn).map(|member| member.user) else {
            return; // closed from this side already
        };
        let read = match frame {
            ClientFrame::SyncStep1 { state_vector } => self.step1(conn, &state_vector),
            ClientFrame::SyncStep2 { update } => self.document_frame(conn, update, true),
            ClientFrame::Update { update } => self.document_frame(conn, update, false),
            ClientFrame::Awareness { update } => {
                // Nobody speaks for an id under which somebody else has written.
                let is_foreign = |client| self.owners.is_foreign(client, user);
                let read = self.presence.receive(now, conn, user, &update, is_foreign);
                self.note_announced(effects);
                read
            }
            ClientFrame::QueryAwareness => {
                for everybody in self.everybody() {
                    send(conn, everybody, effects);
                }
                Ok(())
            }
            // The socket answers these itself: they are about credentials, or unknown.
            ClientFrame::Renew { .. } | ClientFrame::Unknown { .. } => Ok(()),
        };
        if let Err(refusal) = read {
            self.close(now, conn, refusal.close_code(), &refusal.to_string(), effects);
        }
    }

    fn step1(&mut self, conn: ConnId, state_vector: &[u8]) -> Result<(), Refusal> {
        let asked = gate::scan_state_vector(state_vector)?;
        if let Some(member) = self.members.get_mut(&conn) {
            member.asked = Some(asked);
            member.rounds += 1;
            self.answers.is_asked = true;
        }
        Ok(())
    }

    fn document_frame(&mut self, conn: ConnId, update: Bytes, is_step2: bool) -> Result<(), Refusal> {
        let Some(member) = self.members.get_mut(&conn) else { return Ok(()) };
        let bytes_max = if is_step2 && 0 < member.owed_step2 {
            member.owed_step2 -= 1;
            limits::DOCUMENT_BYTES_MAX
        } else {
            limits::UPDATE_BYTES_MAX
        };
        let scan = if self.read_only.is_some() && update.len() <= bytes_max {
            // It will not be applied, and may bring back what the design holds, which is beyond today's limits.
            gate::scan_stored(&update)?.scan
        } else {
            gate::scan_update(&update, bytes_max)?
        };
        let n = member.acks.count();
        let (user, role, round) = (member.user, member.role, member.rounds);
        self.durability.push(Waiting {
            conn,
            n,
            is_step2,
            round,
            user,
            role,
            update,
            scan,
            log_was_asked: false,
            is_contested: false,
            overtaken: 0,
            after: Vec::new(),
        });
        Ok(())
    }

    // --- readers

    /// A document frame was not queued for this connection.
    pub(super) fn lagged(&mut self, conn: ConnId, since: &std::sync::Arc<yrs::StateVector>) {
        if let Some(member) = self.members.get_mut(&conn) {
            member.blocked = true;
            if matches!(member.feed, Feed::Live) {
                member.feed = Feed::Lagging { since: std::sync::Arc::clone(since) };
            }
        }
    }

    pub(super) fn writable(&mut self, conn: ConnId, effects: &mut Vec<Effect>) {
        if let Some(member) = self.members.get_mut(&conn) {
            member.blocked = false;
            self.answers.is_asked = true;
            // Presence was dropped meanwhile; the latest states make up for all of it.
            for everybody in self.everybody() {
                send(conn, everybody, effects);
            }
        }
    }

    // --- the store's health

    /// Too much is unsaved while the store is in trouble: the waiting edits go back to their authors, who still have
    /// them and bring them again by state vector. None of them was acknowledged or shown.
    pub(super) fn shed_if_over_budget(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let max = self.unsaved_bytes_max;
        self.shed_while(|of| max <= of.unsaved_bytes(), now, effects);
    }

    /// The same as long as there is anything that can be given up: what is in flight cannot.
    pub(super) fn overloaded(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.shed_while(|of| 0 < of.waiting_bytes(), now, effects);
    }

    fn shed_while(
        &mut self,
        is_too_much: impl Fn(&Durability) -> bool,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        // Once the pod stops nobody brings anything any more, and what is here is to be written.
        if self.is_leaving {
            return;
        }
        let is_over = |of: &Durability| of.degraded && is_too_much(of);
        if is_over(&self.durability) {
            self.turn_edits_away(CloseCode::Overloaded, TROUBLE, effects);
        }
        if is_over(&self.durability) {
            self.durability.shedding = true;
            self.durability.shed();
            self.close_all(now, CloseCode::Overloaded, TROUBLE, effects);
        }
    }

    pub(super) fn is_in_flight(&self, append_id: AppendId) -> bool {
        self.durability.in_flight.as_ref().is_some_and(|flight| flight.append.append_id == append_id)
    }

    /// Bytes that are nowhere but here and in their authors' clients.
    pub(super) fn unsaved_bytes(&self) -> usize {
        self.durability.unsaved_bytes() + self.rebuild.as_ref().map_or(0, Rebuild::unsaved_bytes)
    }

    /// The store could be read again. Healthy is only what can also be written.
    pub(super) fn store_was_read(&mut self, effects: &mut Vec<Effect>) {
        if self.durability.writes_well() {
            self.set_degraded(false, effects);
        }
    }

    pub(super) fn set_degraded(&mut self, degraded: bool, effects: &mut Vec<Effect>) {
        if self.durability.degraded != degraded {
            self.durability.degraded = degraded;
            self.durability.shedding &= degraded;
            let notice = if degraded { Notice::StoreDegraded } else { Notice::StoreHealthy };
            self.tell_all(&notice, effects);
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let rebuild = self.rebuild.as_ref().and_then(Rebuild::deadline);
        // While the document is made anew, nothing is flushed and the log is not asked.
        let is_here = self.rebuild.is_none();
        let durability = self.durability.deadline().filter(|_| is_here);
        let remote = self.remote.deadline().filter(|_| is_here);
        let answers = self.answers.deadline().filter(|_| is_here && !self.durability.is_ahead());
        let (digest, settle) = (self.digest_deadline(), self.settle.deadline());
        let (edits, presence) = (self.edits_deadline(), self.presence_deadline());
        [durability, edits, presence, remote, rebuild, answers, digest, settle].into_iter().flatten().min()
    }

    // --- telling

    /// Notices are for those who understand them.
    pub(super) fn tell(&self, conn: ConnId, notice: &Notice, effects: &mut Vec<Effect>) {
        if self.members.get(&conn).is_some_and(|member| member.dialect == Dialect::Atlas) {
            send(conn, wire::notice(notice), effects);
        }
    }

    pub(super) fn tell_all(&self, notice: &Notice, effects: &mut Vec<Effect>) {
        let to: Vec<ConnId> = self
            .members
            .iter()
            .filter(|(_, member)| member.dialect == Dialect::Atlas)
            .map(|(conn, _)| *conn)
            .collect();
        if !to.is_empty() {
            effects.push(Effect::Send { to, frame: wire::notice(notice), kind: FrameKind::Control });
        }
    }
}

pub(super) fn send(conn: ConnId, frame: Bytes, effects: &mut Vec<Effect>) {
    effects.push(Effect::Send { to: vec![conn], frame, kind: FrameKind::Control });
}

pub(super) fn encode_state(state: &yrs::StateVector) -> Vec<u8> {
    use yrs::updates::encoder::Encode;
    state.encode_v1()
}

/// Steele, Lea and Flood's SplitMix64: enough to spread retries, and the same for the same seed (INV-10).
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next_byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_be_bytes()[0]
    }
}
