//! What every [`Store`] keeps, as tests. One function per promise; [`run_all`] runs them against one implementation, and
//! [`run_upkeep`] those of [`Upkeep`](super::upkeep::Upkeep).
//!
//! `open(place)` opens the store of that place: the same name finds the same data again (after `close`), another
//! name an empty store. The implementation dates appends with the real time; everything else here happens in 2020.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{AppendId, ClientId, DesignId, Seq, SessionId, UserId};
use atlas_crdt::roles::PlatformRole;
use atlas_crdt::room::{Append, Author, ClockRange};
use bytes::Bytes;
use futures_util::future::join_all;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{
    ListDesigns, NewDesign, NewSession, NewTicket, NewUser, RotateRefresh, Store, StoreError, Stores,
};

mod analyses;
mod backlog;
mod checks;
mod claims;
mod designs;
mod folds;
mod jobs;
mod people;
mod quarantine;
mod triage;

const START: OffsetDateTime = datetime!(2020-02-02 02:02:02.000002 UTC);
const MINUTE: Duration = Duration::from_mins(1);

/// Runs every promise against a store of its own.
pub async fn run_all(open: impl AsyncFn(&'static str) -> Arc<dyn Store>) {
    it_answers_while_it_is_open(open("check").await).await;
    the_log_is_gap_free_under_concurrent_appends(open("gap-free").await).await;
    an_append_is_applied_once(open("idempotent").await).await;
    an_append_id_belongs_to_one_design(open("append-id").await).await;
    a_log_that_lost_rows_takes_nothing_built_upon_them(open("behind").await).await;
    an_append_for_one_place_is_taken_there_or_nowhere(open("overtaken").await).await;
    no_clock_is_written_twice(open("clocks").await).await;
    what_was_appended_survives_closing(&open).await;
    the_log_is_read_on_in_order(open("read-on").await).await;
    large_appends_pass(open("large").await).await;
    claims::a_client_id_belongs_to_who_claims_it_first(open("claims").await).await;
    claims::a_failed_append_claims_nothing(open("no-claims").await).await;
    claims::a_repeated_append_repeats_its_claims(open("claims-again").await).await;
    claims::one_id_is_claimed_by_one_of_many(open("claims-race").await).await;
    claims::claims_are_read_on_with_their_rows(open("claims-read-on").await).await;
    claims::fifty_thousand_claims_load(open("claims-many").await).await;
    claims::announced_ids_are_remembered_until_they_are_claimed(open("announced").await).await;
    quarantine::what_is_in_quarantine_is_known_by_its_hash(open("quarantine").await).await;
    quarantine::the_oldest_payloads_go_and_every_hash_stays(&open).await;
    designs::a_design_is_created_whole_or_not_at_all(open("create").await).await;
    designs::the_row_follows_its_log(open("follow").await).await;
    designs::a_deleted_design_is_gone(open("delete").await).await;
    designs::a_deletion_and_appends_never_leave_remains(open("delete-race").await).await;
    designs::a_listing_is_complete_and_stable(open("pages").await).await;
    designs::a_listing_shows_what_its_reader_may_see(open("visible").await).await;
    designs::the_name_filter_is_literal_and_knows_no_case(open("filter").await).await;
    designs::members_come_and_go(open("members").await).await;
    designs::a_look_tells_where_many_designs_stand(open("look").await).await;
    designs::what_sockets_must_hear_of_is_counted(open("notices").await).await;
    designs::a_look_sees_changes_that_race(open("look-race").await).await;
    designs::the_last_owner_stays(open("last-owner").await).await;
    people::exactly_one_user_is_the_first(open("first-user").await).await;
    people::an_email_address_is_taken_once(open("email").await).await;
    people::a_refresh_token_is_exchanged_once(open("refresh").await).await;
    people::a_reused_refresh_token_revokes_its_family(open("reuse").await).await;
    people::a_refresh_whose_answer_was_lost_may_be_asked_again(open("lost answer").await).await;
    people::sessions_end(open("sessions").await).await;
    people::sessions_that_were_revoked_lately_are_told(open("revoked").await).await;
    people::a_ticket_is_consumed_once(open("ticket").await).await;
    people::a_ticket_fits_its_design_and_its_minute(open("ticket-fits").await).await;
}

/// Runs every promise about folding, jobs, backlog and checks against a store of its own.
pub async fn run_upkeep(open: impl AsyncFn(&'static str) -> Stores) {
    folds::a_folded_log_loads_as_it_was(&open).await;
    folds::rows_come_with_everything_that_is_known(open("archive-rows").await).await;
    folds::folding_and_appending_never_meet(open("fold-race").await).await;
    folds::a_fold_that_does_not_fit_changes_nothing(open("fold-fits").await).await;
    folds::a_fold_whose_answer_was_lost_may_be_noted_again(open("fold-again").await).await;
    folds::a_folded_log_is_pruned_in_steps(open("prune").await).await;
    folds::nothing_goes_that_is_young_or_not_folded(open("prune-young").await).await;
    folds::an_append_is_found_when_its_row_is_gone(open("folded-appends").await).await;
    folds::append_ids_are_forgotten_in_the_end(open("forget").await).await;
    folds::a_reader_is_told_that_its_rows_are_folded(open("folded").await).await;
    folds::long_logs_and_quiet_logs_need_folding(open("unfolded").await).await;
    jobs::a_job_waits_and_runs_once(open("jobs").await).await;
    jobs::one_job_is_never_held_twice(open("jobs-race").await).await;
    jobs::the_job_that_is_due_longest_comes_first(open("jobs-order").await).await;
    jobs::a_job_asked_for_while_it_runs_runs_once_more(open("jobs-again").await).await;
    jobs::what_failed_is_tried_again_and_counted(open("jobs-failed").await).await;
    jobs::a_lease_holds_until_it_runs_out(open("jobs-lease").await).await;
    jobs::who_lost_a_lease_writes_nothing(open("jobs-fenced").await).await;
    jobs::a_deleted_design_is_erased_and_never_folded(open("jobs-deleted").await).await;
    jobs::jobs_survive_closing(&open).await;
    backlog::blobs_wait_in_their_order(open("backlog").await).await;
    backlog::a_blob_waits_once(open("backlog-once").await).await;
    backlog::no_blob_waits_for_a_deleted_design(open("backlog-deleted").await).await;
    checks::every_design_is_listed(open("design-ids").await).await;
    checks::what_remains_is_told_as_it_is(open("remains").await).await;
}

/// Runs every promise about analyses, decisions and requests against a store of its own.
pub async fn run_analyses(open: impl AsyncFn(&'static str) -> Stores) {
    analyses::a_new_design_waits_to_be_analysed(open("analyses-new").await).await;
    analyses::everything_of_an_analysis_comes_back(open("analyses-back").await).await;
    analyses::one_meaning_is_analysed_once(open("analyses-once").await).await;
    analyses::an_edit_and_its_undo_point_at_the_earlier_analysis(open("analyses-undo").await).await;
    analyses::the_oldest_points_go_with_what_nothing_names(open("analyses-prune").await).await;
    analyses::designs_that_nobody_said_have_settled_are_found(open("analyses-sweep").await).await;
    analyses::what_was_given_up_begins_anew_when_asked_for(open("analyses-dead").await).await;
    analyses::analyses_go_with_their_design(open("analyses-deleted").await).await;
    triage::a_decision_stands_until_another_takes_its_place(open("triage").await).await;
    triage::an_acceptance_that_ran_out_is_found_once(open("triage-expiry").await).await;
    triage::a_request_ends_with_the_analysis_that_saw_enough(open("requests").await).await;
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

/// An append whose payload names it, and that could stand anywhere in the log.
fn step(design: DesignId, n: u128) -> Append {
    let append_id = AppendId::from_u128((design.as_u128() << 64) + n);
    let range = ClockRange { client: ClientId::new((1 << 53) - 1), start: 0, end: u32::MAX };
    let author = Author { user: user_id(1), wrote: Vec::new(), deleted: vec![range] };
    Append {
        append_id,
        after: Seq::ZERO,
        exactly: false,
        update: payload(design, n),
        authors: vec![author],
        claims: Vec::new(),
        name: None,
    }
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
        claims: Vec::new(),
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
    let expires_at = now + 10 * MINUTE;
    RotateRefresh { old_hash: hash(old), new_hash: hash(new), now, expires_at, grace: time::Duration::MINUTE }
}

fn ticket(n: u8, user: UserId, design: DesignId, session: SessionId) -> NewTicket {
    NewTicket {
        hash: hash(n),
        user,
        design,
        session,
        token_expires_at: START + 5 * MINUTE,
        now: START,
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
    store.list_designs(query).await.unwrap().items.into_iter().map(|listed| listed.row.id).collect()
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

async fn a_log_that_lost_rows_takes_nothing_built_upon_them(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "Behind").await;
    let upon = |after: u64, n| Append { after: Seq::new(after), ..step(design, n) };
    assert_eq!(store.append(design, upon(1, 1)).await.unwrap(), Seq::new(2));
    let refused = store.append(design, upon(3, 2)).await;
    assert!(matches!(refused, Err(StoreError::Behind { head }) if head == Seq::new(2)), "{refused:?}");
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(2), "nothing was written");
    // Others have been faster: that is no loss. And what is in the log is found, whatever its author knew.
    assert_eq!(store.append(design, upon(1, 3)).await.unwrap(), Seq::new(3));
    assert_eq!(store.append(design, upon(9, 3)).await.unwrap(), Seq::new(3));
    let nowhere = store.append(design_id(99), Append { after: Seq::new(5), ..step(design_id(99), 1) }).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchDesign)), "{nowhere:?}");
}

async fn an_append_for_one_place_is_taken_there_or_nowhere(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "Overtaken").await;
    let at = |after: u64, n| Append { after: Seq::new(after), exactly: true, ..step(design, n) };
    assert_eq!(store.append(design, at(1, 1)).await.unwrap(), Seq::new(2));
    let refused = store.append(design, at(1, 2)).await;
    assert!(matches!(refused, Err(StoreError::Overtaken { head }) if head == Seq::new(2)), "{refused:?}");
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(2), "nothing was written");
    assert_eq!(store.append(design, at(1, 1)).await.unwrap(), Seq::new(2), "it is there already");
    assert_eq!(store.append(design, at(2, 2)).await.unwrap(), Seq::new(3));
    let refused = store.append(design, at(9, 3)).await;
    assert!(matches!(refused, Err(StoreError::Behind { .. })), "{refused:?}");
}

async fn no_clock_is_written_twice(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "Clocks").await;
    let append = |n, after, ranges: &[(u64, u32, u32)]| {
        let wrote = ranges.iter().map(|&(client, start, end)| ClockRange {
            client: ClientId::new(client),
            start,
            end,
        });
        let author = Author { user: owner, wrote: wrote.collect(), deleted: Vec::new() };
        Append { after: Seq::new(after), authors: vec![author], ..step(design, n) }
    };
    let is_overtaken = async |append: Append| {
        let before = store.head(design).await.unwrap().unwrap().seq;
        match store.append(design, append).await {
            Ok(seq) => {
                assert_eq!(seq, before.next());
                false
            }
            Err(StoreError::Overtaken { head }) => {
                assert_eq!(head, before);
                assert_eq!(store.head(design).await.unwrap().unwrap().seq, before, "nothing was written");
                true
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(!is_overtaken(append(1, 1, &[(7, 0, 5), (9, 10, 20)])).await);
    // Somebody who does not know of that row.
    assert!(is_overtaken(append(2, 1, &[(7, 4, 6)])).await);
    assert!(is_overtaken(append(2, 1, &[(8, 0, 100), (9, 0, 11)])).await);
    assert!(is_overtaken(append(2, 1, &[(9, 12, 13)])).await);
    assert!(!is_overtaken(append(2, 1, &[(7, 5, 6), (9, 0, 10), (10, 0, 30)])).await);
    // Who knows of it means what he says, and the room has seen to it.
    assert!(!is_overtaken(append(3, 3, &[(9, 20, 25)])).await);
    assert!(is_overtaken(append(4, 3, &[(9, 24, 25)])).await);
    assert!(!is_overtaken(append(5, 1, &[])).await, "what writes nothing stands anywhere");
    // The same once more is found, whatever is behind it.
    assert_eq!(store.append(design, append(1, 1, &[(7, 0, 5), (9, 10, 20)])).await.unwrap(), Seq::new(2));
    // Of many at once with one clock, one is taken.
    let many = (0..20).map(|n| store.append(design, append(100 + n, 5, &[(30, 0, 1)])));
    let answers = join_all(many).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(StoreError::Overtaken { .. }))));
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(6));
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
    let of_size = |n: u128, bytes: usize| {
        let update = Bytes::from(vec![u8::try_from(n).unwrap(); bytes]);
        Append { update, ..step(design, n) }
    };
    // Together more than any batch takes.
    let sizes = [1, 3 << 20, 20 << 20, 0, 5 << 20];
    let appends = (1..).zip(sizes).map(|(n, bytes)| store.append(design, of_size(n, bytes)));
    for answer in join_all(appends).await {
        answer.unwrap();
    }
    let mut stored: Vec<_> = log(&*store, design).await[1..].iter().map(Bytes::len).collect();
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 3 << 20, 5 << 20, 20 << 20]);
}
