//! Credentials and roles of an open socket: who it belongs to, until when, and what changes on the way.

use std::sync::Arc;

use atlas_crdt::ids::{Epoch, Millis, SessionId, UserId};
use atlas_crdt::roles::{DesignRole, PlatformRole};
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::{CloseCode, Notice, RefusalCode};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::AppState;
use super::session::{Outcome, Socket};
use crate::auth::{AuthError, Caller, effective_design_role};
use crate::hub::Roles;
use crate::store::StoreError;

pub(super) const NEVER: Millis = Millis::new(u64::MAX);

/// Somebody who has been let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) platform: PlatformRole,
    pub(super) role: DesignRole,
    pub(super) dialect: Dialect,
    pub(super) epoch: Option<Epoch>,
    pub(super) expires_at: OffsetDateTime,
}

/// What y-websocket's clients read from a close reason. Jittered, so that not all come back at once.
pub(super) fn retry_reason(app: &AppState) -> String {
    format!("{{\"retry_after_ms\":{}}}", 100 + app.ids.seed() % 300)
}

/// When the wall clock will show `at`, if it does not jump.
pub(super) fn monotonic(app: &AppState, at: OffsetDateTime) -> Millis {
    let left_ms = (at - app.clock.utc()).whole_milliseconds();
    app.clock.now().plus(u64::try_from(left_ms.max(0)).unwrap_or(u64::MAX))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The time of the credential has come.
    pub(super) fn expire(&mut self) {
        self.expires_at = NEVER;
        match self.part.as_ref().map(|part| part.guest.dialect) {
            Some(Dialect::Stock) => {
                let reason = retry_reason(&self.ground.app);
                self.fail(CloseCode::Restarting, reason);
            }
            _ => self.fail(CloseCode::CredentialExpired, "the credential has expired"),
        }
    }

    /// A client of `atlas.v1` brings a new credential; for a stock client this is an unknown message.
    pub(super) fn renew(&mut self, token: String) {
        let is_atlas = self.part.as_ref().is_some_and(|part| part.guest.dialect == Dialect::Atlas);
        if is_atlas {
            let auth = Arc::clone(&self.ground.app.auth);
            self.waiting = Some(Box::pin(async move { Outcome::Verified(auth.verify_token(&token).await) }));
        }
    }

    pub(super) fn on_verified(&mut self, verified: Result<Caller, AuthError>) {
        let Some(part) = &mut self.part else { return };
        let refused = match verified {
            Ok(caller) if caller.user == part.guest.user => {
                part.guest.session = caller.session;
                part.guest.platform = caller.role;
                part.conn.rebind(caller.session);
                self.expires_at = monotonic(&self.ground.app, caller.expires_at);
                let left = caller.expires_at - self.ground.app.clock.utc();
                let expires_in = u64::try_from(left.whole_seconds()).unwrap_or(0);
                self.tell(&Notice::Renewed { expires_in });
                self.set_timer();
                return self.look_at_role_again();
            }
            Ok(_) => "the new credential belongs to somebody else".to_owned(),
            Err(error) => error.to_string(),
        };
        self.tell(&Notice::Refused { message: refused, code: RefusalCode::BadCredential, reset: false });
    }

    /// Asks the store once more; see [`Self::on_role`].
    pub(super) fn look_at_role_again(&mut self) {
        let Some(part) = &self.part else { return };
        let store = Arc::clone(&self.ground.app.store);
        let (design, user, platform) = (part.design, part.guest.user, part.guest.platform);
        self.waiting = Some(Box::pin(async move {
            let member = store.member_role(design, user).await;
            Outcome::Role { told: None, role: member.map(|member| effective_design_role(platform, member)) }
        }));
    }

    /// The design's members, read for all of its sockets at once a moment ago. Where that is not what the room knows, this
    /// socket asks for itself: the answer may be older than a change that the room was told of, or than the join.
    pub(super) fn on_roles(&mut self, roles: &Roles) {
        let Some(part) = &self.part else { return };
        let role = effective_design_role(part.guest.platform, roles.get(&part.guest.user).copied());
        if role != part.conn.outbox().role() {
            self.look_at_role_again();
        }
    }

    /// What the room was told may be older than this. `told`: what it is being told by us.
    pub(super) fn on_role(&mut self, told: Option<DesignRole>, role: Result<Option<DesignRole>, StoreError>) {
        let Some(part) = &self.part else { return };
        let known = told.or_else(|| part.conn.outbox().role());
        match role {
            Ok(Some(role)) if Some(role) == known => {}
            Ok(role) => {
                let (design, user, platform) = (part.design, part.guest.user, part.guest.platform);
                let (hub, store) = (self.ground.app.hub.clone(), Arc::clone(&self.ground.app.store));
                let Some(told) = role else {
                    self.waiting = Some(Box::pin(async move {
                        hub.role_is(design, user, None).await;
                        Outcome::Delivered(Ok(()))
                    }));
                    return;
                };
                // Between the store's answer and the room's ear the role may have changed once more, and ours would
                // then be the older word that comes last: look until both are the same.
                self.waiting = Some(Box::pin(async move {
                    hub.role_is(design, user, Some(told)).await;
                    let member = store.member_role(design, user).await;
                    let role = member.map(|member| effective_design_role(platform, member));
                    Outcome::Role { told: Some(told), role }
                }));
            }
            Err(StoreError::NoSuchDesign) => self.fail(CloseCode::NoSuchDesign, "no such design"),
            // Not knowing is not a permission.
            Err(error) => {
                // What is wrong with the store is for the log and not for the peer.
                tracing::warn!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "a role could not be read"
                );
                self.fail(CloseCode::Overloaded, "your role cannot be read at this moment");
            }
        }
    }
}
