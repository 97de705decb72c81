//! Whose each client id is.
//!
//! Nothing in a Yjs update proves who wrote it, and whoever writes under another's client id silences that person for
//! good: what the true author writes under the same clocks is then taken for known, acknowledged, and gone. So a
//! client id belongs to the user who first wrote under it. The store keeps these claims beside the log, which is why
//! edits made offline under last week's ids still pass.

use std::collections::BTreeMap;

use super::effect::Claim;
use crate::ids::{ClientId, UserId};

/// The claims of everything that is in the log.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_client: BTreeMap<ClientId, Option<UserId>>,
}

impl Owners {
    pub(super) fn new(claims: &[Claim]) -> Self {
        let mut owners = Self::default();
        owners.claim(claims);
        owners
    }

    /// The first claim stands.
    pub(super) fn claim(&mut self, claims: &[Claim]) {
        for claim in claims {
            self.by_client.entry(claim.client).or_insert(claim.user);
        }
    }

    pub(super) fn is_claimed(&self, client: ClientId) -> bool {
        self.by_client.contains_key(&client)
    }

    /// Whose the id is, if it is claimed: a user's, or (`Some(None)`) the server's.
    pub(super) fn of(&self, client: ClientId) -> Option<Option<UserId>> {
        self.by_client.get(&client).copied()
    }

    /// Whether the id is somebody else's, or the server's.
    pub(super) fn is_foreign(&self, client: ClientId, user: UserId) -> bool {
        self.of(client).is_some_and(|owner| owner != Some(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_first_claimers_and_the_servers_is_nobodys() {
        let (ana, ben) = (UserId::from_u128(1), UserId::from_u128(2));
        let (hers, servers, free) = (ClientId::new(10), ClientId::new(11), ClientId::new(12));
        let mut owners = Owners::new(&[Claim { client: hers, user: Some(ana) }]);
        owners.claim(&[Claim { client: hers, user: Some(ben) }, Claim { client: servers, user: None }]);
        assert!(!owners.is_foreign(hers, ana));
        assert!(owners.is_foreign(hers, ben));
        assert!(owners.is_foreign(servers, ana));
        assert!(!owners.is_foreign(free, ben) && !owners.is_claimed(free));
    }
}
