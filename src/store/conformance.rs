//! What every [`Store`] keeps, as tests. One function per promise; [`run_all`] runs them against one implementation.
//!
//! `open(place)` opens the store of that place: the same name finds the same data again (after `close`), another
//! name an empty store. The implementation dates appends with the real time; everything else here happens in 2020.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{AppendId, ClientId, DesignId, Seq, SessionId, UserId};
use atlas_crdt::roles::{DesignRole, PlatformRole};
use atlas_crdt::room::{Append, Author, ClockRange};
use bytes::Bytes;
use futures_util::future::join_all;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{
    ListDesigns, NewDesign, NewSession, NewTicket, NewUser, RotateRefresh, Rotation, Store, StoreError,
    Ticket,
};

const START: OffsetDateTime = datetime!(2020-02-02 02:02:02.000002 UTC);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs every promise against a store of its own.
pub async fn run_all(open: impl AsyncFn(&'static str) -> Arc<dyn Store>) {
    it_answers_while_it_is_open(open("check").await).await;
    the_log_is_gap_free_under_concurrent_appends(open("gap-free").await).await;
    an_append_is_applied_once(open("idempotent").await).await;
    an_append_id_belongs_to_one_design(open("append-id").await).await;
    what_was_appended_survives_closing(&open).await;
    the_log_is_read_on_in_order(open("read-on").await).await;
    large_appends_pass(open("large").await).await;
    a_design_is_created_whole_or_not_at_all(open("create").await).await;
    the_row_follows_its_log(open("follow").await).await;
    a_deleted_design_is_gone(open("delete").await).await;
    a_deletion_and_appends_never_leave_remains(open("delete-race").await).await;
    a_listing_is_complete_and_stable(open("pages").await).await;
    a_listing_shows_what_its_reader_may_see(open("visible").await).await;
    the_name_filter_is_literal_and_knows_no_case(open("filter").await).await;
    members_come_and_go(open("members").await).await;
    the_last_owner_stays(open("last-owner").await).await;
    exactly_one_user_is_the_first(open("first-user").await).await;
    an_email_address_is_taken_once(open("email").await).await;
    a_refresh_token_is_exchanged_once(open("refresh").await).await;
    a_reused_refresh_token_revokes_its_family(open("reuse").await).await;
    sessions_end(open("sessions").await).await;
    a_ticket_is_consumed_once(open("ticket").await).await;
    a_ticket_fits_its_design_and_its_minute(open("ticket-fits").await).await;
}

// --- what the promises share

fn design_id(n: u128) -> DesignId {
    DesignId::from_u128(0xd0_0000 + n)
}

fn user_id(n: u128) -> UserId {
    UserId::from_u128(0xa0_0000 + n)
}

fn session_id(n: u128) -> SessionId {
    SessionId::from_u128(0x50_0000 + n)
}

fn hash(n: u8) -> [u8; 32] {
    [n; 32]
}

/// An append whose payload names it.
fn step(design: DesignId, n: u128) -> Append {
    let append_id = AppendId::from_u128((design.as_u128() << 64) + n);
    let range = ClockRange { client: ClientId::new((1 << 53) - 1), start: 0, end: u32::MAX };
    let author = Author { user: user_id(1), wrote: vec![range], deleted: Vec::new() };
    Append { append_id, update: payload(design, n), authors: vec![author], name: None }
}

fn payload(design: DesignId, n: u128) -> Bytes {
    Bytes::from(format!("step {n} of {design}"))
}

async fn register(store: &dyn Store, n: u128) -> UserId {
    store.create_user(new_user(n)).await.unwrap().id
}

fn new_user(n: u128) -> NewUser {
    NewUser {
        id: user_id(n),
        email: format!("user{n}@example.org"),
        name: Some(format!("User {n}")),
        password_hash: format!("$argon2id$not-a-real-hash-{n}"),
        first_role: PlatformRole::Admin,
        role: PlatformRole::Architect,
        now: START,
    }
}

fn new_design(n: u128, owner: UserId, name: &str) -> NewDesign {
    let id = design_id(n);
    NewDesign {
        id,
        owner,
        name: name.to_owned(),
        description: Some(format!("About {name}")),
        first: payload(id, 0),
        append_id: AppendId::from_u128(id.as_u128() << 64),
        now: START + MINUTE * u32::try_from(n).unwrap(),
    }
}

async fn create(store: &dyn Store, n: u128, owner: UserId, name: &str) -> DesignId {
    store.create_design(new_design(n, owner, name)).await.unwrap().id
}

async fn log_in(store: &dyn Store, n: u128, user: UserId, token: u8) -> SessionId {
    let id = session_id(n);
    let session =
        NewSession { id, user, token_hash: hash(token), now: START, expires_at: START + 10 * MINUTE };
    store.create_session(session).await.unwrap();
    id
}

fn rotation(old: u8, new: u8, now: OffsetDateTime) -> RotateRefresh {
    RotateRefresh { old_hash: hash(old), new_hash: hash(new), now, expires_at: now + 10 * MINUTE }
}

fn ticket(n: u8, user: UserId, design: DesignId, session: SessionId) -> NewTicket {
    NewTicket {
        hash: hash(n),
        user,
        design,
        session,
        token_expires_at: START + 5 * MINUTE,
        expires_at: START + MINUTE,
    }
}

/// The whole log, checked to be 1, 2, 3 …
async fn log(store: &dyn Store, design: DesignId) -> Vec<Bytes> {
    let loaded = store.load(design).await.unwrap().unwrap();
    assert!(loaded.snapshot.is_none());
    for (row, expected) in loaded.tail.iter().zip(1..) {
        assert_eq!(row.seq, Seq::new(expected));
    }
    loaded.tail.into_iter().map(|row| row.update).collect()
}

async fn listed(store: &dyn Store, query: ListDesigns) -> Vec<DesignId> {
    store.list_designs(query).await.unwrap().items.into_iter().map(|row| row.id).collect()
}

// --- the store as a whole

async fn it_answers_while_it_is_open(store: Arc<dyn Store>) {
    store.check().await.unwrap();
    store.check().await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    let append = store.append(design_id(1), step(design_id(1), 1)).await;
    assert!(matches!(append, Err(StoreError::Unavailable(_))), "{append:?}");
}

// --- the log

async fn the_log_is_gap_free_under_concurrent_appends(store: Arc<dyn Store>) {
    const DESIGNS: u128 = 5;
    const APPENDERS: u128 = 50;
    const EACH: u128 = 8;
    let owner = register(&*store, 1).await;
    for n in 0..DESIGNS {
        create(&*store, n, owner, "a design").await;
    }
    let appender = async |which: u128| {
        let design = design_id(which % DESIGNS);
        let mut seqs = Vec::new();
        for turn in 0..EACH {
            let seq = store.append(design, step(design, 1 + which * EACH + turn)).await.unwrap();
            // What was answered can be read at once.
            assert!(seq <= store.head(design).await.unwrap().unwrap().seq);
            seqs.push((design, seq));
        }
        assert!(seqs.is_sorted(), "an appender's steps keep their order");
        seqs
    };
    let answered: Vec<_> = join_all((0..APPENDERS).map(appender)).await.into_iter().flatten().collect();

    let distinct: BTreeSet<_> = answered.iter().copied().collect();
    assert_eq!(distinct.len(), answered.len(), "no two appends share a seq");
    for n in 0..DESIGNS {
        let design = design_id(n);
        let rows = log(&*store, design).await;
        let expected = 1 + usize::try_from(APPENDERS / DESIGNS * EACH).unwrap();
        assert_eq!(rows.len(), expected);
        assert_eq!(store.head(design).await.unwrap().unwrap().seq.get(), expected as u64);
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), expected, "every payload stands once");
    }
}

/// A room that does not know the outcome asks again, perhaps while the first try is still under way.
async fn an_append_is_applied_once(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let first = store.append(design, step(design, 1)).await.unwrap();
    store.append(design, step(design, 2)).await.unwrap();
    assert_eq!(store.append(design, step(design, 1)).await.unwrap(), first);

    let same = join_all((0..10).map(|_| store.append(design, step(design, 3)))).await;
    let seqs: BTreeSet<_> = same.into_iter().map(Result::unwrap).collect();
    assert_eq!(seqs, BTreeSet::from([Seq::new(4)]));
    assert_eq!(log(&*store, design).await.len(), 4);

    // A caller that stopped waiting: its step is there once, whether or not it had begun.
    let abandoned = store.append(design, step(design, 4));
    let _ = futures_util::FutureExt::now_or_never(abandoned);
    assert_eq!(store.append(design, step(design, 4)).await.unwrap(), Seq::new(5));
    assert_eq!(log(&*store, design).await.len(), 5);
}

async fn an_append_id_belongs_to_one_design(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let (one, two) = (create(&*store, 1, owner, "one").await, create(&*store, 2, owner, "two").await);
    store.append(one, step(one, 1)).await.unwrap();
    let stolen = store.append(two, step(one, 1)).await;
    assert!(matches!(stolen, Err(StoreError::Conflict(_))), "{stolen:?}");
    assert_eq!(log(&*store, two).await.len(), 1);
}

async fn what_was_appended_survives_closing(open: &impl AsyncFn(&'static str) -> Arc<dyn Store>) {
    let store = open("survive").await;
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let appends = (1..=20).map(|n| store.append(design, step(design, n)));
    let seqs: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    let before = log(&*store, design).await;
    store.close().await;

    let store = open("survive").await;
    assert_eq!(log(&*store, design).await, before);
    assert_eq!(
        store.append(design, step(design, 7)).await.unwrap(),
        seqs[6],
        "the append ids survive as well"
    );
    assert_eq!(store.append(design, step(design, 21)).await.unwrap(), Seq::new(22));
    store.close().await;
}

async fn the_log_is_read_on_in_order(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    for n in 1..10 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let read = async |after, limit| {
        let rows = store.log_after(design, Seq::new(after), limit).await.unwrap();
        rows.into_iter().map(|row| (row.seq.get(), row.update)).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 2).await, [(1, payload(design, 0)), (2, payload(design, 1))]);
    assert_eq!(read(8, 100).await, [(9, payload(design, 8)), (10, payload(design, 9))]);
    assert_eq!(read(9, 1).await, [(10, payload(design, 9))]);
    assert!(read(10, 5).await.is_empty());
    assert!(read(99, 5).await.is_empty());
    let nowhere = store.log_after(design_id(9), Seq::ZERO, 5).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchDesign)), "{nowhere:?}");
}

async fn large_appends_pass(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let sized = |n: u128, bytes: usize| {
        let update = Bytes::from(vec![u8::try_from(n).unwrap(); bytes]);
        Append { update, ..step(design, n) }
    };
    // Together more than any batch takes.
    let sizes = [1, 3 << 20, 20 << 20, 0, 5 << 20];
    let appends = (1..).zip(sizes).map(|(n, bytes)| store.append(design, sized(n, bytes)));
    for answer in join_all(appends).await {
        answer.unwrap();
    }
    let mut stored: Vec<_> = log(&*store, design).await[1..].iter().map(Bytes::len).collect();
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 3 << 20, 5 << 20, 20 << 20]);
}

// --- designs

async fn a_design_is_created_whole_or_not_at_all(store: Arc<dyn Store>) {
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

async fn the_row_follows_its_log(store: Arc<dyn Store>) {
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

async fn a_deleted_design_is_gone(store: Arc<dyn Store>) {
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

async fn a_deletion_and_appends_never_leave_remains(store: Arc<dyn Store>) {
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

async fn a_listing_is_complete_and_stable(store: Arc<dyn Store>) {
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
        seen.extend(page.items);
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
    let key = |row: &super::DesignRow| std::cmp::Reverse(row.updated_at);
    assert!(seen.is_sorted_by_key(key), "newest change first");
    let ids: BTreeSet<_> = seen.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), seen.len(), "nothing twice");
    assert_eq!(ids, (2..25).map(design_id).collect());

    let all = ListDesigns { limit: 24, ..ListDesigns::default() };
    let page = store.list_designs(all.clone()).await.unwrap();
    assert_eq!((page.items.len(), page.next), (24, None), "a page that ends the list says so");
    assert_eq!(page.items[0].id, design_id(0), "newest change first");
    for foreign in ["", "zzz", "!", "AAAA"] {
        let query = ListDesigns { cursor: Some(foreign.to_owned()), ..all.clone() };
        assert_eq!(listed(&*store, query).await.len(), 24, "{foreign:?} lists from the start");
    }
}

async fn a_listing_shows_what_its_reader_may_see(store: Arc<dyn Store>) {
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
}

async fn the_name_filter_is_literal_and_knows_no_case(store: Arc<dyn Store>) {
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

// --- members

async fn members_come_and_go(store: Arc<dyn Store>) {
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

async fn the_last_owner_stays(store: Arc<dyn Store>) {
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

// --- people

async fn exactly_one_user_is_the_first(store: Arc<dyn Store>) {
    let users = join_all((0..20).map(|n| store.create_user(new_user(n)))).await;
    let roles: Vec<_> = users.into_iter().map(|user| user.unwrap().role).collect();
    assert_eq!(roles.iter().filter(|role| **role == PlatformRole::Admin).count(), 1);
    assert_eq!(roles.iter().filter(|role| **role == PlatformRole::Architect).count(), 19);
}

async fn an_email_address_is_taken_once(store: Arc<dyn Store>) {
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

// --- sessions

async fn a_refresh_token_is_exchanged_once(store: Arc<dyn Store>) {
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

async fn a_reused_refresh_token_revokes_its_family(store: Arc<dyn Store>) {
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

async fn sessions_end(store: Arc<dyn Store>) {
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

// --- tickets

async fn a_ticket_is_consumed_once(store: Arc<dyn Store>) {
    let user = register(&*store, 1).await;
    let session = log_in(&*store, 1, user, 1).await;
    let design = create(&*store, 1, user, "a design").await;
    store.create_ticket(ticket(1, user, design, session)).await.unwrap();
    let key = hash(1);
    let consumers = join_all((0..20).map(|_| store.consume_ticket(&key, design, START))).await;
    let won: Vec<_> = consumers.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(won, [Ticket { user, session, token_expires_at: START + 5 * MINUTE }]);
}

async fn a_ticket_fits_its_design_and_its_minute(store: Arc<dyn Store>) {
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
