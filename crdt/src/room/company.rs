//! Who is here, told to the connections of this pod and to the other pods, and what those tell.
//!
//! Both go out with one tick: a removal at once, everything else at most every [`limits::AWARENESS_TICK_MS`].

use bytes::Bytes;

use super::effect::{Claim, Effect, FrameKind};
use super::live::{Live, send};
use super::owners::Owner;
use crate::ids::{ClientId, ConnId, Millis, PodId, UserId};
use crate::limits;
use crate::presence::{Told, Word};
use crate::roles::DesignRole;
use crate::wire;

impl Live {
    // --- from connections

    /// Whoever announced an id first has it, also when nobody is here any more who remembers.
    pub(super) fn note_announced(&mut self, effects: &mut Vec<Effect>) {
        for (client, user) in self.presence.take_arrived() {
            self.announced(client, user, effects);
        }
    }

    pub(super) fn announced(&mut self, client: ClientId, user: UserId, effects: &mut Vec<Effect>) {
        let members = &mut self.members.values();
        let may_write = members.any(|member| member.user == user && member.role != DesignRole::Viewer);
        if may_write && self.owners.announce(client, user) {
            effects.push(Effect::Announce { client, user });
        }
    }

    /// Whoever wrote first under an id owns it; until somebody has, whoever announced it does. On other pods announcements
    /// are known while they last.
    pub(super) fn is_foreign(&self, client: ClientId, user: UserId) -> bool {
        match self.owners.of(client) {
            Some(owner) => owner != Owner::User(user),
            None => self.presence.is_anothers_elsewhere(client, user),
        }
    }

    /// The log says whose these ids are: nobody else speaks for them from now on.
    pub(super) fn note_claims(&mut self, claims: &[Claim]) {
        self.owners.claim(claims);
        for claim in claims {
            self.presence.claimed(*claim);
        }
    }

    // --- from other pods

    pub(super) fn remote_presence(
        &mut self,
        now: Millis,
        pod: PodId,
        update: &Bytes,
        users: &[(ClientId, UserId)],
        whole: bool,
    ) {
        let is_foreign = |client, user| self.owners.is_foreign(client, user);
        self.presence.receive_remote(now, pod, update, users, whole, is_foreign);
    }

    // --- to both

    pub(super) fn flush_presence(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.presence.expire(now);
        // A removal does not wait for the tick: a ghost cursor is worse than one more frame.
        if !self.presence.has_removals() && now < self.next_presence_at {
            return;
        }
        let Told { here, pods, reminders } = self.presence.take_told();
        if here.is_empty() && pods.is_none() && reminders.is_empty() {
            return;
        }
        self.next_presence_at = now.plus(limits::AWARENESS_TICK_MS);
        let to: Vec<ConnId> = self.members.keys().copied().collect();
        for (at, changes) in here.iter().enumerate().filter(|_| !to.is_empty()) {
            let kind = FrameKind::Presence { is_rest: 0 < at };
            effects.push(Effect::Send { to: to.clone(), frame: wire::awareness(changes), kind });
        }
        for (conn, removal) in reminders {
            send(conn, wire::awareness(&removal), effects);
        }
        if let Some(Word { update, users, whole }) = pods {
            effects.push(Effect::PublishPresence { update, users, whole });
        }
    }

    pub(super) fn presence_deadline(&self) -> Option<Millis> {
        let tick = self.presence.has_news().then_some(self.next_presence_at);
        [tick, self.presence.next_expiry()].into_iter().flatten().min()
    }
}
