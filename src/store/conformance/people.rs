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
    assert!(matches!(store.rotate_refresh(rotation(2, 3, START)).await.unwrap(), Rotation::Rotated { .. }));
    let reused = store.rotate_refresh(rotation(1, 4, START)).await.unwrap();
    assert_eq!(reused, Rotation::Reused { session, user });
    assert!(!store.session_is_live(session, START).await.unwrap());
    for token in [1, 2, 3] {
        let after = store.rotate_refresh(rotation(token, 5, START)).await.unwrap();
        assert_eq!(after, Rotation::Invalid, "token {token}");
    }
    assert!(store.session_is_live(other, START).await.unwrap(), "the user's other sessions live on");

    // Twenty at once with one token whose time is over: one of them is seen as the thief, the family ends.
    store.rotate_refresh(rotation(50, 99, START)).await.unwrap();
    let late = START + MINUTE + Duration::from_secs(1);
    let racers = join_all((0..20).map(|n| store.rotate_refresh(rotation(50, 100 + n, late)))).await;
    let count = |wanted: fn(&Rotation) -> bool| racers.iter().filter(|r| wanted(r.as_ref().unwrap())).count();
    assert_eq!(count(|r| matches!(r, Rotation::Reused { .. })), 1);
    assert_eq!(count(|r| matches!(r, Rotation::Invalid)), 19);
    assert!(!store.session_is_live(other, late).await.unwrap());
}

pub(super) async fn a_refresh_whose_answer_was_lost_may_be_asked_again(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let rotated = Rotation::Rotated { session, user };
    let rotate = async |old, new, seconds| {
        let now = START + Duration::from_secs(seconds);
        store.rotate_refresh(rotation(old, new, now)).await.unwrap()
    };
    // The first two answers are lost, the third arrives; its token goes on as any other.
    assert_eq!(rotate(1, 2, 0).await, rotated);
    assert_eq!(rotate(1, 3, 20).await, rotated);
    assert_eq!(rotate(1, 4, 59).await, rotated);
    assert_eq!(rotate(4, 5, 70).await, rotated);
    // Whoever has one of the lost tokens is not the page that asked again.
    assert_eq!(rotate(3, 6, 71).await, Rotation::Reused { session, user });
    assert_eq!(rotate(5, 7, 72).await, Rotation::Invalid, "the family has ended");

    // The time counts from the first exchange, however often it is asked for.
    let session = log_in(&*store, 2, user, 51).await;
    assert_eq!(rotate(51, 52, 0).await, Rotation::Rotated { session, user });
    assert_eq!(rotate(51, 53, 59).await, Rotation::Rotated { session, user });
    assert_eq!(rotate(51, 54, 61).await, Rotation::Reused { session, user });

    // Twenty at once: all are answered, and one token of theirs is good.
    let session = log_in(&*store, 3, user, 90).await;
    let racers = join_all((0..20).map(|n| rotate(90, 100 + n, 0))).await;
    assert!(racers.iter().all(|racer| *racer == Rotation::Rotated { session, user }), "{racers:?}");
    let mut good = 0;
    for n in 0..20 {
        // Behind the grace, so that a token that was replaced is told from the one that replaced it.
        let token = store.rotate_refresh(rotation(100 + n, 200 + n, START + 2 * MINUTE)).await.unwrap();
        good += usize::from(matches!(token, Rotation::Rotated { .. }));
        if token == (Rotation::Reused { session, user }) {
            break;
        }
    }
    assert!(good <= 1, "{good} tokens of one session were good at once");
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

pub(super) async fn sessions_that_were_revoked_lately_are_told(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    for n in 1..=4 {
        log_in(&*store, n, user, u8::try_from(n).unwrap()).await;
    }
    let lately = async || {
        let mut told = store.revoked_within(MINUTE).await.unwrap();
        told.sort_unstable();
        told
    };
    assert_eq!(lately().await, []);
    store.revoke_session(session_id(1)).await.unwrap();
    assert_eq!(lately().await, [session_id(1)]);
    // Whoever says what time it is has no say in when a stolen token ended its family.
    store.rotate_refresh(rotation(2, 22, START)).await.unwrap();
    store.rotate_refresh(rotation(22, 23, START)).await.unwrap();
    let reused = store.rotate_refresh(rotation(2, 24, START)).await.unwrap();
    assert!(matches!(reused, Rotation::Reused { .. }), "{reused:?}");
    assert_eq!(lately().await, [session_id(1), session_id(2)]);
    assert!(!store.revoke_session(session_id(1)).await.unwrap());
    assert_eq!(lately().await, [session_id(1), session_id(2)], "again and again, each once");
    assert_eq!(store.revoked_within(Duration::from_hours(24)).await.unwrap().len(), 2);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(store.revoked_within(Duration::from_millis(5)).await.unwrap(), [], "not for ever");
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
