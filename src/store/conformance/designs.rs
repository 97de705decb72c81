//! What holds of designs, their listing and their members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::Append;
use futures_util::future::join_all;

use super::{
    MINUTE, START, create, design_id, hash, listed, log, log_in, new_design, payload, register, step, ticket,
    user_id,
};
use crate::store::{DesignRow, ListDesigns, Look, NewDesign, Store, StoreError};

pub(super) async fn a_design_is_created_whole_or_not_at_all(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let row = store.create_design(new_design(1, owner, "Große Übersicht")).await.unwrap();
    assert_eq!(row.name, "Große Übersicht");
    assert_eq!(row.description.as_deref(), Some("About Große Übersicht"));
    assert_eq!((row.owner, row.head_seq), (owner, Seq::new(1)));
    assert_eq!(row.created_at, START + MINUTE, "to the microsecond");
    assert_eq!(row.updated_at, row.created_at);
    assert_eq!(store.design(row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(store.member_role(row.id, owner).await.unwrap(), Some(DesignRole::Owner));
    assert_eq!(log(&*store, row.id).await, [payload(row.id, 0)]);
    assert_eq!(store.head(row.id).await.unwrap().unwrap().seq, Seq::new(1));

    let again = store.create_design(new_design(1, owner, "Another")).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let same_append =
        NewDesign { append_id: new_design(1, owner, "").append_id, ..new_design(2, owner, "Two") };
    assert!(matches!(store.create_design(same_append).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.design(design_id(2)).await.unwrap(), None, "nothing of a refused design remains");
    assert!(store.load(design_id(2)).await.unwrap().is_none());
    assert!(store.head(design_id(2)).await.unwrap().is_none());
    assert_eq!(store.design(row.id).await.unwrap(), Some(row));
}

pub(super) async fn the_row_follows_its_log(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "Before").await;
    store.append(design, Append { name: Some("After".to_owned()), ..step(design, 1) }).await.unwrap();
    let renamed = store.design(design).await.unwrap().unwrap();
    assert_eq!((renamed.name.as_str(), renamed.head_seq), ("After", Seq::new(2)));
    assert!(renamed.created_at < renamed.updated_at);
    store.append(design, step(design, 2)).await.unwrap();
    let edited = store.design(design).await.unwrap().unwrap();
    assert_eq!((edited.name.as_str(), edited.head_seq), ("After", Seq::new(3)));
    assert!(renamed.updated_at <= edited.updated_at);
    let search = ListDesigns { name_contains: Some("aft".to_owned()), limit: 9, ..ListDesigns::default() };
    assert_eq!(listed(&*store, search).await, [design]);
}

pub(super) async fn a_deleted_design_is_gone(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let session = log_in(&*store, 1, owner, 1).await;
    let design = create(&*store, 1, owner, "Doomed").await;
    let other = create(&*store, 2, owner, "Other").await;
    store.append(design, step(design, 1)).await.unwrap();
    store.create_ticket(ticket(1, owner, design, session)).await.unwrap();

    assert!(store.delete_design(design).await.unwrap());
    assert!(!store.delete_design(design).await.unwrap());
    assert_eq!(store.design(design).await.unwrap(), None);
    assert!(store.load(design).await.unwrap().is_none());
    assert!(store.head(design).await.unwrap().is_none());
    assert!(store.members(design).await.unwrap().is_empty());
    assert_eq!(store.member_role(design, owner).await.unwrap(), None);
    assert_eq!(store.consume_ticket(&hash(1), design, START).await.unwrap(), None);
    for n in [1, 2] {
        // A retry of a step that had been durable as well.
        let append = store.append(design, step(design, n)).await;
        assert!(matches!(append, Err(StoreError::NoSuchDesign)), "{append:?}");
    }
    let member = store.put_member(design, owner, DesignRole::Editor).await;
    assert!(matches!(member, Err(StoreError::NoSuchDesign)), "{member:?}");
    let late = store.create_ticket(ticket(2, owner, design, session)).await;
    assert!(matches!(late, Err(StoreError::NoSuchDesign)), "{late:?}");
    assert_eq!(log(&*store, other).await.len(), 1, "others are untouched");
}

pub(super) async fn a_deletion_and_appends_never_leave_remains(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    for n in 0..10 {
        let design = create(&*store, n, owner, "Doomed").await;
        let appends = join_all((1..10).map(|step_no| store.append(design, step(design, step_no))));
        let (appended, deleted) = futures_util::future::join(appends, store.delete_design(design)).await;
        assert!(deleted.unwrap());
        for answer in appended {
            assert!(matches!(answer, Ok(_) | Err(StoreError::NoSuchDesign)), "{answer:?}");
        }
        assert!(store.load(design).await.unwrap().is_none());
        let recreated = store.create_design(new_design(n, owner, "Risen")).await.unwrap();
        assert_eq!(log(&*store, recreated.id).await.len(), 1, "no old row is left below a new head");
    }
}

pub(super) async fn a_listing_is_complete_and_stable(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    for n in 0..25 {
        // Groups of five share their instant.
        let now = START + MINUTE * u32::try_from(n / 5).unwrap();
        let id = store.create_design(NewDesign { now, ..new_design(n, owner, "a design") }).await.unwrap().id;
        assert_eq!(id, design_id(n));
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    for page_no in 0.. {
        let query = ListDesigns { limit: 4, cursor, ..ListDesigns::default() };
        let page = store.list_designs(query).await.unwrap();
        assert!(page.items.len() == 4 || page.next.is_none(), "only the last page is short");
        assert!(!page.items.is_empty());
        seen.extend(page.items.into_iter().map(|listed| listed.row));
        if page_no == 1 {
            // What changes meanwhile moves to the front; nothing else is skipped or shown twice.
            store.append(design_id(0), step(design_id(0), 1)).await.unwrap();
            store.delete_design(design_id(1)).await.unwrap();
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let key = |row: &DesignRow| std::cmp::Reverse(row.updated_at);
    assert!(seen.is_sorted_by_key(key), "newest change first");
    let ids: BTreeSet<_> = seen.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), seen.len(), "nothing twice");
    assert_eq!(ids, (2..25).map(design_id).collect());

    let all = ListDesigns { limit: 24, ..ListDesigns::default() };
    let page = store.list_designs(all.clone()).await.unwrap();
    assert_eq!((page.items.len(), page.next), (24, None), "a page that ends the list says so");
    assert_eq!(page.items[0].row.id, design_id(0), "newest change first");
    for foreign in ["", "zzz", "!", "AAAA"] {
        let query = ListDesigns { cursor: Some(foreign.to_owned()), ..all.clone() };
        assert_eq!(listed(&*store, query).await.len(), 24, "{foreign:?} lists from the start");
    }
}

pub(super) async fn a_listing_shows_what_its_reader_may_see(store: Arc<dyn Store>) {
    let (ann, bob) = (register(&*store, 1).await, register(&*store, 2).await);
    let hers = create(&*store, 1, ann, "Hers").await;
    let his = create(&*store, 2, bob, "His").await;
    let shared = create(&*store, 3, ann, "Shared").await;
    store.put_member(shared, bob, DesignRole::Viewer).await.unwrap();
    let visible_to = async |visible_to| {
        listed(&*store, ListDesigns { visible_to, limit: 9, ..ListDesigns::default() }).await
    };
    assert_eq!(visible_to(Some(ann)).await, [shared, hers]);
    assert_eq!(visible_to(Some(bob)).await, [shared, his]);
    assert_eq!(visible_to(Some(user_id(9))).await, []);
    assert_eq!(visible_to(None).await, [shared, his, hers]);
    let roles = async |visible_to| -> Vec<_> {
        let query = ListDesigns { visible_to, limit: 9, ..ListDesigns::default() };
        store.list_designs(query).await.unwrap().items.into_iter().map(|listed| listed.role).collect()
    };
    assert_eq!(roles(Some(bob)).await, [Some(DesignRole::Viewer), Some(DesignRole::Owner)]);
    assert_eq!(roles(None).await, [None; 3], "nobody in particular asked");
}

pub(super) async fn the_name_filter_is_literal_and_knows_no_case(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let names = ["100% sure", "1000 sure", "snake_case", "snakeXcase", "ÄRGER im Netz", "Łódź"];
    for (n, name) in (0..).zip(names) {
        create(&*store, n, owner, name).await;
    }
    let found = async |part: &str| -> Vec<&str> {
        let query = ListDesigns { name_contains: Some(part.to_owned()), limit: 99, ..ListDesigns::default() };
        let mut ids = listed(&*store, query).await;
        ids.sort_unstable();
        ids.into_iter()
            .map(|id| names[usize::try_from(id.as_u128() - design_id(0).as_u128()).unwrap()])
            .collect()
    };
    assert_eq!(found("0%").await, ["100% sure"]);
    assert_eq!(found("E_C").await, ["snake_case"]);
    assert_eq!(found("SURE").await, ["100% sure", "1000 sure"]);
    assert_eq!(found("ärger").await, ["ÄRGER im Netz"]);
    assert_eq!(found("ŁÓDŹ").await, ["Łódź"]);
    assert!(found("\\").await.is_empty());
    assert!(found("' OR 1=1 --").await.is_empty());
    assert_eq!(found("").await.len(), names.len());
}

pub(super) async fn members_come_and_go(store: Arc<dyn Store>) {
    let (ann, bob) = (register(&*store, 1).await, register(&*store, 2).await);
    let design = create(&*store, 1, ann, "a design").await;
    for role in [DesignRole::Viewer, DesignRole::Commenter, DesignRole::Editor, DesignRole::Owner] {
        store.put_member(design, bob, role).await.unwrap();
        assert_eq!(store.member_role(design, bob).await.unwrap(), Some(role));
    }
    let members = store.members(design).await.unwrap();
    let shown: BTreeMap<_, _> =
        members.iter().map(|m| (m.user, (m.email.as_str(), m.name.as_deref(), m.role))).collect();
    assert_eq!(members.len(), 2);
    assert_eq!(shown[&bob], ("user2@example.org", Some("User 2"), DesignRole::Owner));

    assert!(store.remove_member(design, ann).await.unwrap(), "one of two owners may go");
    assert_eq!(
        store.design(design).await.unwrap().unwrap().owner,
        bob,
        "the design then belongs to the other"
    );
    assert!(!store.remove_member(design, ann).await.unwrap());
    assert_eq!(store.member_role(design, ann).await.unwrap(), None);
}

/// In the order of their ids.
async fn look(store: &dyn Store, designs: &[DesignId]) -> Vec<(DesignId, Look)> {
    let mut found = store.look(designs).await.unwrap();
    found.sort_unstable_by_key(|(design, _)| *design);
    found
}

async fn notice_seq(store: &dyn Store, design: DesignId) -> u64 {
    look(store, &[design]).await[0].1.notice_seq
}

pub(super) async fn a_look_tells_where_many_designs_stand(store: Arc<dyn Store>) {
    const DESIGNS: u128 = 5;
    let owner = register(&*store, 1).await;
    for n in 0..DESIGNS {
        let design = create(&*store, n, owner, "a design").await;
        for step_no in 0..n {
            store.append(design, step(design, 1 + step_no)).await.unwrap();
        }
    }
    assert_eq!(look(&*store, &[]).await, []);
    // Far more than one statement asks for, most of them unknown, in no order.
    let asked: Vec<_> = (0..10_000).rev().map(design_id).collect();
    let found = look(&*store, &asked).await;
    assert_eq!(found.len(), usize::try_from(DESIGNS).unwrap());
    for (n, (design, look)) in (0..).zip(found) {
        let head = store.head(design).await.unwrap().unwrap();
        assert_eq!((design, look.head), (design_id(n), Seq::new(1 + u64::try_from(n).unwrap())));
        assert_eq!((look.generation, look.epoch, look.head), (head.generation, head.epoch, head.seq));
    }
    store.delete_design(design_id(2)).await.unwrap();
    let left: Vec<_> = look(&*store, &asked).await.into_iter().map(|(design, _)| design).collect();
    assert_eq!(left, [0, 1, 3, 4].map(design_id), "what is missing was deleted");
    let mut roles = store.member_roles(&asked).await.unwrap();
    roles.sort_unstable_by_key(|(design, ..)| *design);
    assert_eq!(roles, [0, 1, 3, 4].map(|n| (design_id(n), owner, DesignRole::Owner)));
    assert_eq!(store.member_roles(&[]).await.unwrap(), []);
}

pub(super) async fn what_sockets_must_hear_of_is_counted(store: Arc<dyn Store>) {
    let (ann, bob) = (register(&*store, 1).await, register(&*store, 2).await);
    let design = create(&*store, 1, ann, "a design").await;
    let other = create(&*store, 2, ann, "another").await;
    let mut before = notice_seq(&*store, design).await;
    let mut grew = async || {
        let now = notice_seq(&*store, design).await;
        let grew = before < now;
        before = now;
        grew
    };
    store.put_member(design, bob, DesignRole::Viewer).await.unwrap();
    assert!(grew().await, "somebody came");
    store.put_member(design, bob, DesignRole::Owner).await.unwrap();
    assert!(grew().await, "a role changed");
    let mut roles = store.member_roles(&[design]).await.unwrap();
    roles.sort_unstable_by_key(|(_, user, _)| *user);
    assert_eq!(roles, [(design, ann, DesignRole::Owner), (design, bob, DesignRole::Owner)]);
    assert!(store.remove_member(design, ann).await.unwrap());
    assert!(grew().await, "somebody went");
    assert!(store.remove_member(design, bob).await.is_err());
    assert!(!grew().await, "nothing changed");
    store.append(design, step(design, 1)).await.unwrap();
    store.design(design).await.unwrap();
    assert!(!grew().await, "the log has a number of its own");
    assert_eq!(notice_seq(&*store, other).await, 0);
}

/// Whoever looks again and again misses nothing: a change that can be read has moved the number before.
pub(super) async fn a_look_sees_changes_that_race(store: Arc<dyn Store>) {
    let (ann, bob) = (register(&*store, 1).await, register(&*store, 2).await);
    let design = create(&*store, 1, ann, "a design").await;
    let change = async {
        for round in 0..40 {
            let role = if round % 2 == 0 { DesignRole::Viewer } else { DesignRole::Editor };
            store.put_member(design, bob, role).await.unwrap();
            store.append(design, step(design, 1 + round)).await.unwrap();
        }
    };
    let watch = async {
        let (mut seen, mut known) = (None, None);
        loop {
            let look = look(&*store, &[design]).await[0].1;
            if seen != Some(look.notice_seq) {
                known = store.member_role(design, bob).await.unwrap();
                seen = Some(look.notice_seq);
            }
            if look.head == Seq::new(41) {
                return known;
            }
        }
    };
    let ((), known) = futures_util::future::join(change, watch).await;
    assert_eq!(known, store.member_role(design, bob).await.unwrap());
}

pub(super) async fn the_last_owner_stays(store: Arc<dyn Store>) {
    let (ann, bob) = (register(&*store, 1).await, register(&*store, 2).await);
    for n in 0..10 {
        let design = create(&*store, n, ann, "a design").await;
        assert!(matches!(store.remove_member(design, ann).await, Err(StoreError::Conflict(_))));
        let demoted = store.put_member(design, ann, DesignRole::Editor).await;
        assert!(matches!(demoted, Err(StoreError::Conflict(_))), "{demoted:?}");
        store.put_member(design, ann, DesignRole::Owner).await.unwrap();

        // Both leave at the same moment: one of them cannot.
        store.put_member(design, bob, DesignRole::Owner).await.unwrap();
        let demote = async { store.put_member(design, ann, DesignRole::Viewer).await.is_ok() };
        let remove = async { store.remove_member(design, bob).await.is_ok() };
        let (demoted, removed) = futures_util::future::join(demote, remove).await;
        assert!(demoted != removed, "exactly one of the two succeeds");
        let members = store.members(design).await.unwrap();
        assert_eq!(members.iter().filter(|member| member.role == DesignRole::Owner).count(), 1);
    }
}
