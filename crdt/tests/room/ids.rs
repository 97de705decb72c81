//! Whose a client id is, and what the log is asked before anybody is refused for it.

use atlas_crdt::ids::{ClientId, ConnId, Seq, UserId};
use atlas_crdt::limits::{NODES_MAX, SPENT_CLIENTS_PER_CONN_MAX};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Claim, Dialect, Effect, Input, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;
use yrs::{Map, ReadTxn, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Stage, Writer, empty, step1};

const BOTH: [Dialect; 2] = [Dialect::Atlas, Dialect::Stock];

fn user(conn: ConnId) -> UserId {
    UserId::from_u128(u128::from(conn.get()))
}

fn claim(client: u64, user: UserId) -> Claim {
    Claim { client: ClientId::new(client), user: Some(user) }
}

/// The server wrote under it.
fn nobodys(client: u64) -> Claim {
    Claim { client: ClientId::new(client), user: None }
}

/// A design with these rows, claimed as told.
fn loaded(rows: &[Bytes], claims: &[Claim]) -> Stage {
    let mut stage = Stage::loading();
    let row = |(at, update): (usize, &Bytes)| LogRow {
        seq: Seq::new(at as u64 + 1),
        update: update.clone(),
        claims: Vec::new(),
    };
    let tail = rows.iter().enumerate().map(row).collect();
    stage.input(Input::Loaded(Loaded { tail, claims: claims.to_vec(), ..empty() }));
    stage
}

/// After a refusal a client asks for the document anew.
fn begin_again(stage: &mut Stage, conn: ConnId) {
    stage.frame(conn, step1(&StateVector::default()));
    stage.wait(20);
    stage.effects.clear();
}

fn announce(stage: &mut Stage, conn: ConnId, client: u8) {
    stage.frame(conn, ClientFrame::Awareness { update: vec![1, client, 1, 2, b'{', b'}'].into() });
}

fn is_refused(stage: &mut Stage, conn: ConnId, dialect: Dialect, code: &str) {
    stage.wait(20);
    assert!(stage.take_append().is_none(), "INV-5");
    match dialect {
        Dialect::Atlas => assert_eq!(stage.refusal(conn), Some((code.to_owned(), true))),
        Dialect::Stock => assert_eq!(stage.close_of(conn), Some(CloseCode::Reset)),
    }
}

// R-ID-1, R-ID-2
#[test]
fn nobody_writes_under_the_client_id_of_an_absent_colleague() {
    for dialect in BOTH {
        let anas = Writer::new(100);
        let row = anas.node("hers");
        let mut stage = loaded(std::slice::from_ref(&row), &[claim(100, user(ANA))]);
        stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
        stage.sync(EVE, DesignRole::Editor, dialect);
        let forger = Writer::new(100);
        forger.take(&row);
        stage.edit(EVE, &forger.node("forged"));
        is_refused(&mut stage, EVE, dialect, "foreign_client");
        assert_eq!((stage.heard(BEN), stage.close_of(BEN)), (Vec::new(), None), "nobody else notices");

        // What the honest owner writes under the same clocks arrives.
        stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
        let edit = anas.node("real");
        stage.frame(ANA, ClientFrame::SyncStep2 { update: anas.everything() });
        stage.wait(20);
        let append = stage.take_append().unwrap();
        assert_eq!((append.update.len(), append.claims.len()), (edit.len(), 0), "only what is new");
        stage.commit(&append, 2);
        assert_eq!(stage.heard(ANA), [ServerFrame::Saved(2)]);
    }
}

// R-ID-3
#[test]
fn nobody_writes_under_an_id_that_a_colleague_has_announced() {
    for dialect in BOTH {
        let mut stage = Stage::live();
        stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
        stage.sync(EVE, DesignRole::Editor, dialect);
        announce(&mut stage, ANA, 100);
        stage.edit(EVE, &Writer::new(100).node("forged"));
        is_refused(&mut stage, EVE, dialect, "foreign_client");
        stage.edit(ANA, &Writer::new(100).node("real"));
        stage.wait(20);
        let append = stage.take_append().unwrap();
        assert_eq!(append.claims, [claim(100, user(ANA))]);
    }
}

// R-ID-3
#[test]
fn an_announced_id_stays_its_announcers_when_everybody_is_gone() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Viewer, Dialect::Atlas);
    announce(&mut stage, ANA, 100);
    announce(&mut stage, BEN, 101);
    announce(&mut stage, ANA, 100);
    let told: Vec<Claim> = stage
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Announce { client, user } => Some(Claim { client: *client, user: Some(*user) }),
            _ => None,
        })
        .collect();
    assert_eq!(told, [claim(100, user(ANA))], "once, and not of those who may not write");
    // A week later, on another server; ANA was offline, with her page open.
    let mut stage = Stage::loading();
    stage.input(Input::Loaded(Loaded { announced: told, ..empty() }));
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    announce(&mut stage, EVE, 100);
    stage.edit(EVE, &Writer::new(100).node("forged"));
    is_refused(&mut stage, EVE, Dialect::Atlas, "foreign_client");
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.frame(ANA, ClientFrame::SyncStep2 { update: Writer::new(100).node("real") });
    stage.wait(20);
    assert_eq!(stage.take_append().unwrap().claims, [claim(100, user(ANA))], "claimed for good now");
}

// R-ID-4
#[test]
fn an_id_under_which_somebody_wrote_is_not_to_be_announced_by_others() {
    let mut stage = loaded(&[Writer::new(100).node("hers")], &[claim(100, user(ANA))]);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    announce(&mut stage, EVE, 100);
    stage.wait(100);
    assert_eq!(stage.heard(BEN), [], "skipped");
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    announce(&mut stage, ANA, 100);
    stage.wait(100);
    assert!(matches!(stage.heard(BEN)[..], [ServerFrame::Awareness { .. }]));
}

// R-ID-2
#[test]
fn edits_under_the_ids_of_last_week_pass_and_only_new_ids_are_claimed() {
    let (monday, friday, today) = (Writer::new(100), Writer::new(101), Writer::new(102));
    let row = monday.node("monday");
    let mut stage = loaded(std::slice::from_ref(&row), &[claim(100, user(ANA))]);
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    today.take(&row);
    let more = monday.node("also monday");
    today.take(&more);
    today.take(&friday.node("friday"));
    today.node("today");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: today.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    assert_eq!(append.claims, [claim(101, user(ANA)), claim(102, user(ANA))]);
}

// R-ID-1
#[test]
fn the_servers_own_id_is_nobodys() {
    let first = Writer::new(100);
    let row = first.node("imported");
    let mut stage = loaded(&[row], &[nobodys(100)]);
    stage.sync(ANA, DesignRole::Owner, Dialect::Atlas);
    stage.edit(ANA, &first.node("more"));
    is_refused(&mut stage, ANA, Dialect::Atlas, "foreign_client");
}

// R-ID-1
#[test]
fn of_two_who_take_one_id_in_one_flush_the_first_in_the_log_has_it() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    stage.edit(ANA, &Writer::new(50).name("something in flight"));
    let first = stage.take_append().unwrap();
    stage.edit(ANA, &Writer::new(100).node("ana"));
    stage.edit(BEN, &Writer::new(100).node("ben"));
    stage.commit(&first, 1);
    stage.wait(20);
    let second = stage.take_append().unwrap();
    assert_eq!(second.claims, [claim(100, user(ANA))]);
    assert_eq!(stage.refusal(BEN), None, "not before it is certain");
    stage.commit(&second, 2);
    stage.wait(20);
    assert_eq!(stage.refusal(BEN), Some(("foreign_client".to_owned(), true)));
}

// R-SYNC-13
#[test]
fn what_another_server_has_committed_is_looked_up_before_anybody_is_refused() {
    let far = Writer::new(100);
    let (first, second, all) = (far.node("first"), far.node("second"), far.everything());
    let row = |seq, update: &Bytes, claims| LogRow { seq: Seq::new(seq), update: update.clone(), claims };
    // A peer that comes from a server which knew more: its answer holds others' edits, or a gap for this one.
    for (role, updates) in [
        (DesignRole::Editor, vec![&second]),
        (DesignRole::Viewer, vec![&second, &all]),
        (DesignRole::Commenter, vec![&second, &all]),
    ] {
        for update in updates {
            let mut stage = Stage::live();
            stage.log_answers = false;
            stage.sync(ANA, role, Dialect::Atlas);
            stage.frame(ANA, ClientFrame::SyncStep2 { update: update.clone() });
            stage.wait(20);
            let asks = stage.effects.iter().filter(|effect| matches!(effect, Effect::CatchUp { .. })).count();
            assert_eq!(asks, 1);
            assert_eq!(stage.heard(ANA), [], "no verdict yet");
            let rows = vec![row(1, &first, vec![claim(100, user(BEN))]), row(2, &second, Vec::new())];
            stage.input(Input::CaughtUp { rows });
            stage.wait(20);
            assert!(stage.take_append().is_none(), "it adds nothing");
            let heard = stage.heard(ANA);
            let saved = heard.iter().any(|frame| *frame == ServerFrame::Saved(2));
            assert!(saved && stage.close_of(ANA).is_none(), "{role:?}: {heard:?}");
            assert!(!heard.iter().any(|frame| matches!(frame, ServerFrame::Notice(_))), "{heard:?}");
        }
    }
}

// R-SYNC-13, R-COUNT-1
#[test]
fn who_waits_for_the_log_holds_nobody_up_and_keeps_the_order() {
    let mut stage = Stage::live();
    stage.log_answers = false;
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    let ana = Writer::new(100);
    let _offline = ana.node("offline");
    stage.edit(ANA, &ana.node("gap"));
    stage.edit(ANA, &Writer::new(101).node("behind"));
    stage.edit(BEN, &Writer::new(200).node("innocent"));
    stage.wait(20);
    let append = stage.take_append().expect("BEN does not wait");
    assert_eq!(append.authors.len(), 1);
    stage.commit(&append, 1);
    stage.wait(20);
    assert!(stage.take_append().is_none(), "ANA's second waits behind her first");
    stage.effects.clear();
    stage.input(Input::CatchUpFailed { reason: "away".into() });
    let told = |heard: Vec<ServerFrame>| {
        let of = |frame: &ServerFrame| match frame {
            ServerFrame::Notice(notice) => notice["type"].as_str().map(str::to_owned),
            _ => None,
        };
        heard.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(told(stage.heard(BEN)), ["store.degraded"], "whoever cannot read the log says so");
    stage.wait(20);
    assert!(!stage.heard(ANA).iter().any(|frame| matches!(frame, ServerFrame::SyncStep1 { .. })));
    stage.log_answers = true;
    stage.wait(6_000);
    assert_eq!(told(stage.heard(BEN)).first().map(String::as_str), Some("store.healthy"));
    stage.wait(20);
    let append = stage.take_append().expect("the second one has no gap");
    stage.commit(&append, 2);
    let heard = stage.heard(ANA);
    assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::SyncStep1 { .. })), "{heard:?}");
    assert!(!heard.contains(&ServerFrame::Saved(3)), "the gap holds the count");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: ana.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    stage.commit(&append, 3);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(4)]);
}

// R-REFUSE-3
#[test]
fn a_spent_id_stays_spent_and_too_many_of_them_end_the_socket() {
    let mut stage = loaded(&[Writer::new(100).node("x")], &[nobodys(100)]);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    let forge = |client: u64| {
        // Ten clocks at once, so that whatever the log has, something is new.
        let writer = Writer::new(client);
        (0..10).for_each(|at| drop(writer.node(&at.to_string())));
        writer.everything()
    };
    stage.edit(EVE, &forge(100));
    stage.wait(20);
    assert_eq!(stage.refusal(EVE), Some(("foreign_client".to_owned(), true)));
    stage.edit(EVE, &forge(100));
    stage.wait(20);
    assert_eq!(stage.refusal(EVE), Some(("spent_client".to_owned(), true)), "answered all the same");

    let claims: Vec<Claim> = (100..200).map(nobodys).collect();
    let mut stage = loaded(&[], &claims);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    let mut refused = 0;
    for client in 100..200 {
        stage.edit(EVE, &forge(client));
        stage.wait(20);
        refused += usize::from(stage.refusal(EVE).is_some());
        if stage.close_of(EVE).is_some() {
            break;
        }
    }
    assert_eq!(refused, SPENT_CLIENTS_PER_CONN_MAX + 1);
    assert_eq!(stage.close_of(EVE), Some(CloseCode::Reset));
}

/// A comment, or whatever else is put into this root.
fn put(writer: &Writer, root: &str, key: &str) -> Bytes {
    let root = writer.0.get_or_insert_map(root);
    let mut txn = writer.0.transact_mut();
    let thread = root.insert(&mut txn, key, yrs::MapPrelim::default());
    thread.insert(&mut txn, "text", "why two zones?");
    txn.encode_update_v1().into()
}

fn remove(writer: &Writer, root: &str, key: &str) -> Bytes {
    let root = writer.0.get_or_insert_map(root);
    let mut txn = writer.0.transact_mut();
    root.remove(&mut txn, key);
    txn.encode_update_v1().into()
}

// R-ROLE-4
#[test]
fn a_commenter_comments_and_touches_nothing_else() {
    let (ana, eve) = (Writer::new(100), Writer::new(300));
    let first = put(&ana, "nodes", "vpc");
    let second = put(&ana, "comments", "ana's");
    eve.take(&first);
    eve.take(&second);
    let comment = put(&eve, "comments", "eve's");
    let in_thread = {
        let comments = eve.0.get_or_insert_map("comments");
        let mut txn = eve.0.transact_mut();
        let Some(yrs::Out::YMap(thread)) = comments.get(&txn, "ana's") else { panic!("a thread") };
        thread.insert(&mut txn, "answer", "since one may fail");
        Bytes::from(txn.encode_update_v1())
    };
    let gone = remove(&eve, "comments", "eve's");
    let mut stage = loaded(&[first.clone(), second.clone()], &[claim(100, user(ANA))]);
    stage.sync(EVE, DesignRole::Commenter, Dialect::Atlas);
    for (seq, update) in [&comment, &in_thread, &gone].into_iter().enumerate() {
        stage.edit(EVE, update);
        let append = stage.take_append().expect("comments are hers to write");
        assert_eq!(&append.update, update);
        stage.commit(&append, seq as u64 + 3);
        stage.wait(20);
    }
    stage.effects.clear();

    let mixed = {
        let (nodes, comments) = (eve.0.get_or_insert_map("nodes"), eve.0.get_or_insert_map("comments"));
        let mut txn = eve.0.transact_mut();
        comments.insert(&mut txn, "cover", "a comment");
        let Some(yrs::Out::YMap(vpc)) = nodes.get(&txn, "vpc") else { panic!("a node") };
        vpc.insert(&mut txn, "text", "and not only that");
        Bytes::from(txn.encode_update_v1())
    };
    for dialect in BOTH {
        for forbidden in
            [&mixed, &put(&Writer::new(301), "nodes", "new"), &put(&Writer::new(302), "meta", "name")]
        {
            let mut stage = loaded(
                &[first.clone(), second.clone(), comment.clone(), in_thread.clone(), gone.clone()],
                &[claim(100, user(ANA)), claim(300, user(EVE))],
            );
            stage.sync(EVE, DesignRole::Commenter, dialect);
            stage.edit(EVE, forbidden);
            is_refused(&mut stage, EVE, dialect, "not_permitted");
        }
    }
    // A deletion alone uses no clocks, and is refused just the same.
    let vandal = Writer::new(303);
    vandal.take(&first);
    let mut stage = loaded(&[first, second], &[claim(100, user(ANA))]);
    stage.sync(EVE, DesignRole::Commenter, Dialect::Atlas);
    stage.edit(EVE, &vandal.delete("vpc"));
    is_refused(&mut stage, EVE, Dialect::Atlas, "not_permitted");
    stage.frame(EVE, step1(&StateVector::default()));
    assert!(stage.heard(EVE).iter().any(|frame| matches!(frame, ServerFrame::SyncStep2 { .. })));
}

// R-LIMIT-8
#[test]
fn a_design_has_only_so_many_nodes_and_deleting_makes_room() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    let many = {
        let nodes = writer.0.get_or_insert_map("nodes");
        let mut txn = writer.0.transact_mut();
        for at in 0..NODES_MAX {
            nodes.insert(&mut txn, at.to_string(), yrs::MapPrelim::default());
        }
        Bytes::from(txn.encode_update_v1())
    };
    stage.edit(ANA, &many);
    let append = stage.take_append().expect("as many as there may be");
    stage.commit(&append, 1);
    stage.wait(20);
    stage.effects.clear();
    // Under an id of its own: the refusal spends it.
    let other = Writer::new(101);
    other.take(&many);
    stage.edit(ANA, &other.node("one more"));
    is_refused(&mut stage, ANA, Dialect::Atlas, "too_many");
    begin_again(&mut stage, ANA);
    stage.edit(ANA, &writer.node("7"));
    let append = stage.take_append().expect("one that is there already is not one more");
    stage.commit(&append, 2);
    stage.wait(20);
    stage.edit(ANA, &writer.delete("8"));
    let append = stage.take_append().unwrap();
    stage.commit(&append, 3);
    stage.wait(20);
    stage.edit(ANA, &writer.node("in its place"));
    assert!(stage.take_append().is_some());
    assert_eq!(writer.0.transact().state_vector().len(), 1);
}
