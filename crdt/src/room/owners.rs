//! Whose each client id is.
//!
//! Nothing in a Yjs update proves who wrote it, and whoever writes under another's client id silences that person for
//! good: what the true author writes under the same clocks is then taken for known, acknowledged, and gone. So a
//! client id belongs to the user who first wrote under it. The store keeps these claims beside the log, which is why
//! edits made offline under last week's ids still pass.
//!
//! Until something is written under an id it belongs to whoever first announced it in presence: somebody may open a
//! design, be seen by everybody, go offline, and come back with the first edits a week later.

use std::collections::{BTreeMap, VecDeque};

use super::effect::Claim;
use crate::ids::{ClientId, UserId};
use crate::limits::ANNOUNCED_IDS_PER_USER_MAX;

/// Whose an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's: the server wrote under it, once.
    Server,
    User(UserId),
}

/// The claims of everything that is in the log, and what was announced beyond it.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_client: BTreeMap<ClientId, Owner>,
    announced: BTreeMap<ClientId, UserId>,
    /// What each user has announced, oldest first.
    by_user: BTreeMap<UserId, VecDeque<ClientId>>,
}

impl Owners {
    pub(super) fn new(claims: &[Claim], announced: &[Claim]) -> Self {
        let mut owners = Self::default();
        owners.claim(claims);
        for claim in announced {
            if let Some(user) = claim.user {
                owners.announce(claim.client, user);
            }
        }
        owners
    }

    /// The user has announced the id. True: the store is to remember it (or to be told once more, since nobody says
    /// whether it did). False: it is somebody else's, or something is written under it.
    pub(super) fn announce(&mut self, client: ClientId, user: UserId) -> bool {
        match self.of(client) {
            None => {}
            Some(Owner::User(owner)) if owner == user => return !self.is_claimed(client),
            Some(_) => return false,
        }
        self.announced.insert(client, user);
        let of_user = self.by_user.entry(user).or_default();
        of_user.push_back(client);
        if ANNOUNCED_IDS_PER_USER_MAX < of_user.len()
            && let Some(oldest) = of_user.pop_front()
        {
            self.announced.remove(&oldest);
        }
        true
    }

    /// What was announced while the store was being read may be missing in what it said.
    pub(super) fn announce_again(&mut self, before: &Self) {
        let announced =
            before.by_user.iter().flat_map(|(user, clients)| clients.iter().map(|client| (*client, *user)));
        for (client, user) in announced {
            if self.of(client).is_none() {
                self.announce(client, user);
            }
        }
    }

    /// The first claim stands.
    pub(super) fn claim(&mut self, claims: &[Claim]) {
        for claim in claims {
            self.by_client.entry(claim.client).or_insert(claim.user.map_or(Owner::Server, Owner::User));
            if let Some(user) = self.announced.remove(&claim.client)
                && let Some(of_user) = self.by_user.get_mut(&user)
            {
                of_user.retain(|client| *client != claim.client);
            }
        }
    }

    /// Who wrote under it, if anybody did.
    pub(super) fn claim_of(&self, client: ClientId) -> Option<Claim> {
        let user = match self.by_client.get(&client)? {
            Owner::Server => None,
            Owner::User(user) => Some(*user),
        };
        Some(Claim { client, user })
    }

    /// Something in the log is written under it.
    pub(super) fn is_claimed(&self, client: ClientId) -> bool {
        self.by_client.contains_key(&client)
    }

    /// Whose the id is, unless it is free.
    pub(super) fn of(&self, client: ClientId) -> Option<Owner> {
        let announced = || self.announced.get(&client).map(|user| Owner::User(*user));
        self.by_client.get(&client).copied().or_else(announced)
    }

    /// Whether the id is somebody else's, or the server's.
    pub(super) fn is_foreign(&self, client: ClientId, user: UserId) -> bool {
        self.of(client).is_some_and(|owner| owner != Owner::User(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_first_claimers_and_the_servers_is_nobodys() {
        let (ana, ben) = (UserId::from_u128(1), UserId::from_u128(2));
        let (hers, servers, free) = (ClientId::new(10), ClientId::new(11), ClientId::new(12));
        let mut owners = Owners::new(&[Claim { client: hers, user: Some(ana) }], &[]);
        owners.claim(&[Claim { client: hers, user: Some(ben) }, Claim { client: servers, user: None }]);
        assert!(!owners.is_foreign(hers, ana));
        assert!(owners.is_foreign(hers, ben));
        assert!(owners.is_foreign(servers, ana));
        assert!(!owners.is_foreign(free, ben) && !owners.is_claimed(free));
    }

    #[test]
    fn an_announced_id_is_its_announcers_until_the_log_says_otherwise() {
        let (ana, ben) = (UserId::from_u128(1), UserId::from_u128(2));
        let id = ClientId::new;
        let mut owners = Owners::new(&[], &[Claim { client: id(1), user: Some(ana) }]);
        assert!(!owners.announce(id(1), ben) && owners.is_foreign(id(1), ben));
        assert!(!owners.is_claimed(id(1)), "nothing is written under it");
        owners.claim(&[Claim { client: id(1), user: Some(ana) }]);
        assert!(owners.is_claimed(id(1)) && owners.is_foreign(id(1), ben));
        for client in 2..2 + ANNOUNCED_IDS_PER_USER_MAX as u64 {
            assert!(owners.announce(id(client), ana));
        }
        assert!(owners.is_foreign(id(1), ben), "written under, it stays");
        assert!(owners.is_foreign(id(2 + ANNOUNCED_IDS_PER_USER_MAX as u64 - 1), ben));
        owners.announce(id(500), ana);
        assert!(!owners.is_foreign(id(2), ben), "the oldest gives way");
        assert!(owners.announced.len() <= ANNOUNCED_IDS_PER_USER_MAX);
        assert!(!owners.is_foreign(id(501), ben) && owners.announce(id(501), ben));
    }
}
