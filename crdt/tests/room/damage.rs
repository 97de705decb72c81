//! What yrs cannot take, and what the store should never have taken.

use atlas_crdt::design::poison;
use atlas_crdt::ids::{ClientId, ConnId, Seq, UserId};
use atlas_crdt::limits::TYPE_DEPTH_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Effect, Input, Loaded, LogRow, Quarantine, QuarantineMark};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;
use rstest::rstest;
use yrs::{Doc, Map, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Stage, Writer, empty, step1};

fn row(seq: u64, update: &Bytes) -> LogRow {
    LogRow { seq: Seq::new(seq), update: update.clone(), claims: Vec::new() }
}

fn user(conn: ConnId) -> UserId {
    UserId::from_u128(u128::from(conn.get()))
}

fn quarantined(stage: &Stage) -> Vec<Quarantine> {
    let only = |effect: &Effect| match effect {
        Effect::Quarantine(quarantine) => Some(quarantine.clone()),
        _ => None,
    };
    stage.effects.iter().filter_map(only).collect()
}

// R-REFUSE-6, R-REFUSE-7
#[rstest]
fn a_culprit_is_kept_for_inspection_and_refused_from_then_on(
    #[values(poison::PANICS, poison::FAILS)] text: &str,
    #[values(Dialect::Atlas, Dialect::Stock)] dialect: Dialect,
) {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Editor, Dialect::Stock);
    stage.sync(EVE, DesignRole::Editor, dialect);
    let (ana, ben) = (Writer::new(100), Writer::new(200));
    let ground = ana.name("ground");
    stage.edit(ANA, &ground);
    let first = stage.take_append().unwrap();
    // Three in one flush, the culprit in their midst.
    let (hers, his) = (ana.node("ana"), ben.node("ben"));
    let culprit = Writer::new(300).name(text);
    stage.edit(ANA, &hers);
    stage.edit(EVE, &culprit);
    stage.edit(BEN, &his);
    stage.commit(&first, 1);
    stage.wait(20);
    assert!(stage.take_append().is_none(), "nothing of the flush is in the log yet");
    stage.effects.clear();
    stage.input(Input::Loaded(Loaded { tail: vec![row(1, &ground)], ..empty() }));
    let [kept] = &quarantined(&stage)[..] else { panic!("one culprit") };
    assert_eq!((kept.mark.user, &kept.update), (user(EVE), &culprit));
    assert_eq!(kept.mark.clients, [ClientId::new(300)]);
    assert_eq!(stage.close_of(EVE), Some(CloseCode::Reset));
    assert_eq!((stage.close_of(ANA), stage.close_of(BEN)), (None, None));
    let append = stage.take_append().expect("the innocent");
    assert_eq!(append.authors.iter().map(|author| author.user).collect::<Vec<_>>(), [user(ANA), user(BEN)]);
    stage.commit(&append, 2);
    assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)));

    // It comes back, on a new socket: with the same bytes, then with others under the same client id.
    let comes_back = |stage: &mut Stage| {
        let again = ConnId::new(4);
        stage.input(Input::Join(atlas_crdt::room::Join {
            conn: again,
            user: user(EVE),
            role: DesignRole::Editor,
            dialect: Dialect::Atlas,
            epoch: None,
        }));
        stage.effects.clear();
        stage.edit(again, &culprit);
        stage.wait(20);
        assert_eq!(stage.refusal(again), Some(("rejected".to_owned(), true)));
        stage.edit(again, &Writer::new(300).name("harmless"));
        stage.wait(20);
        assert_eq!(stage.refusal(again), Some(("spent_client".to_owned(), true)));
        assert!(stage.take_append().is_none());
        assert!(quarantined(stage).is_empty() && !stage.effects.iter().any(|e| matches!(e, Effect::Load)));
        // To anybody else the id is as good as it was.
        stage.edit(ANA, &Writer::new(300).node("hers by right"));
        stage.wait(20);
        assert!(stage.take_append().is_some());
    };
    comes_back(&mut stage);
    // On another server, tomorrow.
    let mut stage = Stage::loading();
    let tail = vec![row(1, &ground), row(2, &append.update)];
    stage.input(Input::Loaded(Loaded { tail, quarantined: vec![kept.mark.clone()], ..empty() }));
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    comes_back(&mut stage);
}

#[test]
fn a_mark_is_the_hash_of_the_bytes() {
    let bytes = Writer::new(300).name("x");
    let mark = QuarantineMark {
        user: user(EVE),
        hash: sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &bytes)).into(),
        clients: Vec::new(),
    };
    let mut stage = Stage::loading();
    stage.input(Input::Loaded(Loaded { quarantined: vec![mark], ..empty() }));
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    stage.edit(EVE, &bytes);
    stage.wait(20);
    assert_eq!(stage.refusal(EVE), Some(("rejected".to_owned(), true)));
}

/// Maps in maps, one update for each level: what no gate of today would have let in.
fn nested(levels: usize) -> Vec<Bytes> {
    let doc = Doc::with_client_id(100);
    let mut parent = doc.get_or_insert_map("nodes");
    let mut level = || {
        let mut txn = doc.transact_mut();
        parent = parent.insert(&mut txn, "a", yrs::MapPrelim::default());
        Bytes::from(txn.encode_update_v1())
    };
    (0..levels).map(|_| level()).collect()
}

// R-REFUSE-8
#[rstest]
fn what_breaks_todays_limits_may_be_read(#[values(Dialect::Atlas, Dialect::Stock)] dialect: Dialect) {
    let rows = nested(TYPE_DEPTH_MAX + 3);
    let tail = rows.iter().enumerate().map(|(at, update)| row(at as u64 + 1, update)).collect();
    let mut stage = Stage::loading();
    stage.input(Input::Loaded(Loaded { tail, ..empty() }));
    stage.join(ANA, DesignRole::Owner, dialect);
    if dialect == Dialect::Atlas {
        let heard = stage.heard(ANA);
        let ServerFrame::Notice(hello) = &heard[0] else { panic!("{heard:?}") };
        let reason = hello["read_only"].as_str().unwrap();
        assert!(reason.contains("nested too deeply"), "{reason}");
    }
    stage.effects.clear();
    stage.frame(ANA, step1(&StateVector::default()));
    stage.wait(20);
    let heard = stage.heard(ANA);
    let [ServerFrame::SyncStep2 { update }] = &heard[..] else { panic!("{heard:?}") };
    // What it holds already comes back and is welcome.
    stage.frame(ANA, ClientFrame::SyncStep2 { update: update.clone() });
    stage.wait(20);
    assert!(matches!(stage.heard(ANA)[..], [] | [ServerFrame::Saved(1)]));
    for writer in [Writer::new(200), Writer::new(201)] {
        stage.edit(ANA, &writer.node("new"));
        stage.wait(20);
        assert!(stage.take_append().is_none());
        assert_eq!(stage.close_of(ANA), None);
        match dialect {
            Dialect::Atlas => assert_eq!(stage.refusal(ANA), Some(("read_only".to_owned(), false))),
            Dialect::Stock => {
                let heard = stage.heard(ANA);
                assert!(matches!(heard[..], [ServerFrame::PermissionDenied { .. }]), "{heard:?}");
            }
        }
    }
}

// R-HAND-10
#[test]
fn what_yrs_would_not_survive_is_never_given_to_it() {
    // An array in an array and so on, 16 kB of it, under nodes/a.
    let depth = 8_000;
    let mut update = vec![1, 1, 100, 0, 0x28, 1, 5];
    update.extend(b"nodes");
    update.extend([1, b'a', 1]);
    update.extend([117, 1].repeat(depth));
    update.extend([126, 0]);
    let mut stage = Stage::loading();
    let tail = vec![row(1, &update.into())];
    stage.input(Input::Loaded(Loaded { tail, ..empty() }));
    stage.join(ANA, DesignRole::Owner, Dialect::Atlas);
    let reason = stage.effects.iter().find_map(|effect| match effect {
        Effect::Close { conn: ANA, code: CloseCode::Overloaded, reason } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.expect("turned away");
    assert!(reason.contains("cannot be read") && reason.contains("nested too deeply"), "{reason}");
}
