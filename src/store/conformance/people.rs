//! What holds of users, sessions and tickets.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::roles::PlatformRole;
use futures_util::future::join_all;

use super::{MINUTE, START, create, hash, log_in, new_user, register, rotation, session_id, ticket, user_id};
use crate::store::{NewUser, Rotation, Store, StoreError, Ticket};

pub(super) async fn exactly_one_user_is_the_first(store: Arc<dyn Store>) {
    let users = join_all((0..20).map(|n| store.create_user(new_user(n)))).await;
    let roles: Vec<_> = users.into_iter().map(|user| user.unwrap().role).collect();
    assert_eq!(roles.iter().filter(|role| **role == PlatformRole::Admin).count(), 1);
    assert_eq!(roles.iter().filter(|role| **role == PlatformRole::Architect).count(), 19);
}

pub(super) async fn an_email_address_is_taken_once(store: Arc<dyn Store>) {
    let user = store.create_user(new_user(1)).await.unwrap();
    assert_eq!((user.id, user.created_at, user.is_active), (user_id(1), START, true));
    assert!(store.user(user.id).await.unwrap().as_ref() == Some(&user));
    assert!(store.user(user_id(9)).await.unwrap().is_none());
    assert!(store.user_by_email("USER1@Example.org").await.unwrap().as_ref() == Some(&user));
    assert!(store.user_by_email("user_@example.org").await.unwrap().is_none());

    let same = NewUser { id: user_id(2), email: "User1@example.ORG".to_owned(), ..new_user(2) };
    let refused = store.create_user(same).await;
    assert!(matches!(refused, Err(StoreError::Conflict("this e-mail address"))), "{refused:?}");
    assert!(store.user(user_id(2)).await.unwrap().is_none());

    store.set_password_hash(user.id, "$new").await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap().unwrap().password_hash, "$new");
}

pub(super) async fn a_refresh_token_is_exchanged_once(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    assert_eq!(store.session_by_token(&hash(1)).await.unwrap(), Some(session));
    let rotated = store.rotate_refresh(rotation(1, 2, START + 9 * MINUTE)).await.unwrap();
    assert_eq!(rotated, Rotation::Rotated { session, user });
    assert_eq!(store.session_by_token(&hash(2)).await.unwrap(), Some(session));
    assert_eq!(store.session_by_token(&hash(1)).await.unwrap(), Some(session), "spent tokens are remembered");
    // Each exchange prolongs the session.
    assert!(store.session_is_live(session, START + 18 * MINUTE).await.unwrap());
    let rotated = store.rotate_refresh(rotation(2, 3, START + 18 * MINUTE)).await.unwrap();
    assert_eq!(rotated, Rotation::Rotated { session, user });
    // Too late, and never issued.
    let late = store.rotate_refresh(rotation(3, 4, START + 28 * MINUTE)).await.unwrap();
    assert_eq!(late, Rotation::Invalid);
    assert_eq!(store.rotate_refresh(rotation(77, 78, START)).await.unwrap(), Rotation::Invalid);
    assert_eq!(store.session_by_token(&hash(4)).await.unwrap(), None, "a refused exchange issues nothing");
}

pub(super) async fn a_reused_refresh_token_revokes_its_family(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let other = log_in(&*store, 2, user, 50).await;
    assert!(matches!(store.rotate_refresh(rotation(1, 2, START)).await.unwrap(), Rotation::Rotated { .. }));
    let reused = store.rotate_refresh(rotation(1, 3, START)).await.unwrap();
    assert_eq!(reused, Rotation::Reused { session, user });
    assert!(!store.session_is_live(session, START).await.unwrap());
    for token in [1, 2, 3] {
        let after = store.rotate_refresh(rotation(token, 4, START)).await.unwrap();
        assert_eq!(after, Rotation::Invalid, "token {token}");
    }
    assert!(store.session_is_live(other, START).await.unwrap(), "the user's other sessions live on");

    // Twenty at once with one token: one wins, one of the others is seen as the thief, the family ends.
    let racers = join_all((0..20).map(|n| store.rotate_refresh(rotation(50, 100 + n, START)))).await;
    let count = |wanted: fn(&Rotation) -> bool| racers.iter().filter(|r| wanted(r.as_ref().unwrap())).count();
    assert_eq!(count(|r| matches!(r, Rotation::Rotated { .. })), 1);
    assert_eq!(count(|r| matches!(r, Rotation::Reused { .. })), 1);
    assert_eq!(count(|r| matches!(r, Rotation::Invalid)), 18);
    assert!(!store.session_is_live(other, START).await.unwrap());
}

pub(super) async fn sessions_end(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let just_before = START + 10 * MINUTE - Duration::from_micros(1);
    assert!(store.session_is_live(session, just_before).await.unwrap());
    assert!(!store.session_is_live(session, START + 10 * MINUTE).await.unwrap());
    assert!(!store.session_is_live(session_id(9), START).await.unwrap());
    assert!(store.revoke_session(session).await.unwrap());
    assert!(!store.revoke_session(session).await.unwrap());
    assert!(!store.revoke_session(session_id(9)).await.unwrap());
    assert!(!store.session_is_live(session, START).await.unwrap());
    assert_eq!(store.rotate_refresh(rotation(1, 2, START)).await.unwrap(), Rotation::Invalid);
}

pub(super) async fn a_ticket_is_consumed_once(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let design = create(&*store, 1, user, "a design").await;
    store.create_ticket(ticket(1, user, design, session)).await.unwrap();
    let key = hash(1);
    let consumers = join_all((0..20).map(|_| store.consume_ticket(&key, design, START))).await;
    let won: Vec<_> = consumers.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(won, [Ticket { user, session, token_expires_at: START + 5 * MINUTE }]);
}

pub(super) async fn a_ticket_fits_its_design_and_its_minute(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let design = create(&*store, 1, user, "a design").await;
    let other = create(&*store, 2, user, "another").await;
    for n in [1, 2] {
        store.create_ticket(ticket(n, user, design, session)).await.unwrap();
    }
    let just_before = START + MINUTE - Duration::from_micros(1);
    let consume = async |n, design, now| store.consume_ticket(&hash(n), design, now).await.unwrap();
    assert!(consume(9, design, START).await.is_none(), "unknown");
    assert!(consume(1, other, START).await.is_none(), "for another design");
    assert!(consume(1, design, just_before).await.is_some(), "the wrong door did not spend it");
    assert!(consume(2, design, START + MINUTE).await.is_none(), "expired");
    assert!(consume(2, design, START).await.is_none(), "and then it is gone");
}
