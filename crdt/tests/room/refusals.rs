//! What is refused, and whom it costs what.

use atlas_crdt::design::poison;
use atlas_crdt::ids::{Epoch, Seq, UserId};
use atlas_crdt::limits;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Effect, Input, Join, Loaded, LogRow};
use atlas_crdt::wire::{ClientFrame, CloseCode, ServerFrame};
use bytes::Bytes;
use yrs::{Doc, Map, StateVector, Transact};

use crate::stage::{ANA, BEN, EVE, Stage, Writer, empty, step1};

// R-REFUSE-1, R-REFUSE-2, R-ROLE-1, R-SYNC-9, R-COUNT-6
#[test]
fn a_viewer_may_repeat_what_is_known_and_is_refused_what_is_not() {
    for dialect in [Dialect::Atlas, Dialect::Stock] {
        let mut stage = Stage::live();
        let writer = Writer::new(100);
        stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
        stage.sync(EVE, DesignRole::Viewer, dialect);
        for edit in [writer.node("a"), writer.delete("a")] {
            stage.edit(ANA, &edit);
            let append = stage.take_append().unwrap();
            stage.commit(&append, 1);
            stage.wait(20);
        }
        stage.effects.clear();
        stage.frame(EVE, ClientFrame::Update { update: writer.everything() });
        stage.wait(20);
        assert!(stage.take_append().is_none(), "INV-5");
        let quiet: Vec<_> = stage.heard(EVE);
        assert!(matches!(quiet[..], [] | [ServerFrame::Saved(_)]), "{quiet:?}");

        let own = Writer::new(300);
        stage.edit(EVE, &own.name("mine"));
        stage.wait(20);
        assert!(stage.take_append().is_none(), "INV-5");
        let heard = stage.heard(EVE);
        match dialect {
            Dialect::Atlas => {
                let [ServerFrame::Notice(refused), ServerFrame::Saved(3)] = &heard[..] else {
                    panic!("{heard:?}")
                };
                assert_eq!(
                    (refused["code"].as_str(), refused["reset"].as_bool()),
                    (Some("not_permitted"), Some(false))
                );
            }
            Dialect::Stock => {
                assert!(matches!(heard[..], [ServerFrame::PermissionDenied { .. }]), "{heard:?}");
            }
        }
        assert_eq!(stage.close_of(EVE), None, "later frames of a viewer still work");
        stage.frame(EVE, step1(&StateVector::default()));
        assert!(matches!(stage.heard(EVE)[..], [ServerFrame::SyncStep2 { .. }]));
    }
}

// R-SYNC-10, R-COUNT-5
#[test]
fn a_gap_is_asked_for_once_and_acknowledged_when_it_is_covered() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let writer = Writer::new(100);
    let _offline = writer.node("offline");
    stage.edit(ANA, &writer.node("online"));
    stage.wait(20);
    assert!(stage.take_append().is_none(), "nothing of a gap is applied");
    let heard = stage.heard(ANA);
    assert!(matches!(heard[..], [ServerFrame::SyncStep1 { .. }]), "asked, not acknowledged: {heard:?}");
    stage.edit(ANA, &writer.node("later"));
    stage.wait(20);
    assert_eq!(stage.heard(ANA), [], "not asked twice for one answer");
    stage.frame(ANA, ClientFrame::SyncStep2 { update: writer.everything() });
    stage.wait(20);
    let append = stage.take_append().unwrap();
    assert_eq!(stage.heard(ANA), []);
    stage.commit(&append, 1);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(4)]);
}

// R-REFUSE-3, R-REFUSE-4
#[test]
fn a_gap_that_its_author_cannot_close_is_refused() {
    for (dialect, code) in [(Dialect::Atlas, None), (Dialect::Stock, Some(CloseCode::Reset))] {
        let mut stage = Stage::live();
        stage.sync(ANA, DesignRole::Editor, dialect);
        let writer = Writer::new(100);
        let _lost = writer.node("lost");
        let broken = writer.node("broken");
        for _ in 0..2 {
            stage.frame(ANA, ClientFrame::SyncStep2 { update: broken.clone() });
            stage.wait(20);
        }
        let heard = stage.heard(ANA);
        assert!(matches!(heard[0], ServerFrame::SyncStep1 { .. }), "asked once more: {heard:?}");
        if dialect == Dialect::Atlas {
            let refused = heard.iter().find_map(|frame| match frame {
                ServerFrame::Notice(notice) if notice["type"] == "refused" => Some(notice),
                _ => None,
            });
            let refused = refused.expect("a refusal");
            assert_eq!((refused["code"].as_str(), refused["reset"].as_bool()), (Some("gap"), Some(true)));
        }
        assert_eq!(stage.close_of(ANA), code);
    }
}

// R-ROLE-2, R-CLOSE-8
#[test]
fn roles_change_while_the_socket_is_open() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let user = UserId::from_u128(u128::from(ANA.get()));
    stage.input(Input::RoleChanged { user, role: Some(DesignRole::Viewer) });
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[..], [ServerFrame::Notice(notice)] if notice["role"] == "viewer"), "{heard:?}");
    stage.edit(ANA, &Writer::new(100).name("x"));
    stage.wait(20);
    assert!(stage.take_append().is_none(), "INV-5");
    stage.input(Input::RoleChanged { user, role: None });
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Forbidden));
}

// R-HAND-9
#[test]
fn an_older_epoch_is_told_to_reload() {
    let mut stage = Stage::live();
    let user = UserId::from_u128(1);
    let epoch = Some(Epoch::new(2));
    stage.input(Input::Join(Join {
        conn: ANA,
        user,
        role: DesignRole::Editor,
        dialect: Dialect::Atlas,
        epoch,
    }));
    assert_eq!(stage.close_of(ANA), Some(CloseCode::Reset));
}

// R-REFUSE-5
#[test]
fn malformed_bytes_close_their_sender_alone() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    stage.edit(EVE, &Bytes::from_static(&[1, 255, 255]));
    assert_eq!((stage.close_of(EVE), stage.close_of(ANA)), (Some(CloseCode::Malformed), None));
    stage.effects.clear();
    stage.edit(EVE, &Writer::new(100).name("too late"));
    stage.wait(20);
    assert!(stage.take_append().is_none());
}

// R-SYNC-11
// R-REFUSE-6, R-COUNT-2
#[test]
fn an_edit_under_the_clocks_of_a_culprit_is_saved_only_when_it_is_in_the_log() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    let name = Writer::new(100).name("ground");
    stage.edit(ANA, &name);
    let first = stage.take_append().unwrap();
    // Both under client 300, clock 0: the culprit comes first, and has nothing that could be applied.
    let edit = Writer::new(300).node("mine");
    stage.edit(EVE, &Writer::new(300).name(poison::PANICS));
    stage.edit(ANA, &edit);
    stage.commit(&first, 1);
    stage.wait(20);
    stage.effects.clear();
    stage.input(Input::Loaded(Loaded {
        tail: vec![LogRow { seq: Seq::new(1), update: name, claims: Vec::new() }],
        ..empty()
    }));
    stage.wait(20);
    assert_eq!(stage.heard(ANA), [], "not acknowledged yet (INV-2)");
    let second = stage.take_append().expect("the edit goes into the log");
    assert_eq!(second.update, edit);
    stage.commit(&second, 2);
    assert_eq!(stage.heard(ANA), [ServerFrame::Saved(3)]);
    assert_eq!((stage.close_of(ANA), stage.close_of(EVE)), (None, Some(CloseCode::Reset)));
}

// R-REFUSE-6
#[test]
fn an_update_that_breaks_yrs_costs_its_sender_alone() {
    for innocent_edits in [true, false] {
        let mut stage = Stage::live();
        for conn in [ANA, BEN, EVE] {
            stage.sync(conn, DesignRole::Editor, Dialect::Atlas);
        }
        let ana = Writer::new(100);
        let name = ana.name("ground");
        stage.edit(ANA, &name);
        let first = stage.take_append().unwrap();
        stage.edit(EVE, &Writer::new(300).name(poison::PANICS));
        let edit = ana.node("innocent");
        if innocent_edits {
            stage.edit(ANA, &edit);
        }
        stage.commit(&first, 1);
        stage.wait(20);
        assert!(stage.take_append().is_none());
        assert!(
            stage.effects.iter().any(|effect| matches!(effect, Effect::Load)),
            "the document is made anew"
        );
        stage.frame(BEN, step1(&StateVector::default()));
        stage.effects.clear();
        stage.input(Input::Loaded(Loaded {
            tail: vec![LogRow { seq: Seq::new(1), update: name, claims: Vec::new() }],
            ..empty()
        }));
        if innocent_edits {
            let second = stage.take_append().expect("the innocent edit of the same flush");
            assert_eq!(second.update, edit);
            stage.commit(&second, 2);
            assert!(stage.heard(ANA).contains(&ServerFrame::Saved(3)));
        }
        stage.wait(20);
        let heard = stage.heard(EVE);
        let refused = |frame: &ServerFrame| matches!(frame, ServerFrame::Notice(notice) if notice["code"] == "rejected" && notice["reset"] == true);
        assert!(heard.iter().any(refused), "{heard:?}");
        assert_eq!(stage.close_of(EVE), Some(CloseCode::Reset));
        let heard = stage.heard(BEN);
        assert!(
            heard.iter().any(|frame| matches!(frame, ServerFrame::SyncStep2 { .. })),
            "BEN waited: {heard:?}"
        );
        assert_eq!((stage.close_of(ANA), stage.close_of(BEN)), (None, None));
    }
}

/// One client section with `ranges` single deletions, each a range of its own.
fn deletions(client: u8, ranges: usize) -> Bytes {
    let mut update = vec![0, 1, client];
    let mut var = |mut n: usize| {
        while 0x7f < n {
            update.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        update.push(u8::try_from(n).unwrap());
    };
    var(ranges);
    for at in 0..ranges {
        var(2 * at + 1);
        var(1);
    }
    update.into()
}

#[test]
fn deletions_in_countless_pieces_are_refused_and_cost_no_time() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    // Many values, then every other one of them deleted: more ranges than a document may have, over two updates.
    let doc = Doc::with_client_id(100);
    let meta = doc.get_or_insert_map("meta");
    for part in 0..4 {
        let update = {
            let mut txn = doc.transact_mut();
            for at in 0..5 * limits::DOCUMENT_DELETE_RANGES_MAX / 8 {
                meta.insert(&mut txn, format!("{part}-{at}"), true);
            }
            Bytes::from(txn.encode_update_v1())
        };
        stage.edit(ANA, &update);
        stage.wait(20);
        let append = stage.take_append().unwrap();
        stage.commit(&append, part + 1);
    }
    stage.wait(20);
    stage.effects.clear();
    let half = limits::DOCUMENT_DELETE_RANGES_MAX / 2;
    stage.edit(ANA, &deletions(100, half));
    let append = stage.take_append().expect("so many are fine");
    assert_eq!(append.authors[0].deleted.len(), half, "and all of them are their author's");
    stage.commit(&append, 5);
    stage.wait(20);
    stage.effects.clear();
    stage.edit(ANA, &deletions(100, 2 * half + 1));
    stage.wait(20);
    assert!(stage.take_append().is_none());
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[0], ServerFrame::Notice(notice) if notice["code"] == "too_many"), "{heard:?}");
    stage.frame(ANA, step1(&StateVector::default()));
    // Whoever comes back brings all that is deleted already, and one deletion more.
    stage.frame(ANA, ClientFrame::SyncStep2 { update: deletions(100, half + 1) });
    stage.wait(20);
    let append = stage.take_append().expect("old deletions are no new ones");
    assert_eq!(append.authors[0].deleted.len(), 1);
}

#[test]
fn a_design_does_not_outgrow_what_every_client_must_send_back() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    // As many clients as a document may have, each with one collected struct: 1 section of (1 struct, client, 0, GC of 1).
    let mut crowd = Vec::new();
    let var = |out: &mut Vec<u8>, mut n: usize| {
        while 0x7f < n {
            out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        out.push(u8::try_from(n).unwrap());
    };
    var(&mut crowd, limits::DOCUMENT_CLIENTS_MAX + 1);
    for client in (1..=limits::DOCUMENT_CLIENTS_MAX + 1).rev() {
        crowd.push(1);
        var(&mut crowd, 1_000 + client);
        crowd.extend([0, 0, 1]);
    }
    crowd.push(0);
    stage.edit(ANA, &crowd.into());
    stage.wait(20);
    assert!(stage.take_append().is_none());
    let heard = stage.heard(ANA);
    assert!(matches!(&heard[0], ServerFrame::Notice(notice) if notice["code"] == "too_many"), "{heard:?}");
}

#[test]
fn maps_within_maps_are_refused_even_when_each_comes_alone() {
    let mut stage = Stage::live();
    stage.sync(EVE, DesignRole::Editor, Dialect::Atlas);
    let doc = Doc::with_client_id(100);
    let mut parent = doc.get_or_insert_map("nodes");
    for level in 1..=limits::TYPE_DEPTH_MAX + 1 {
        let update = {
            let mut txn = doc.transact_mut();
            parent = parent.insert(&mut txn, "a", yrs::MapPrelim::default());
            Bytes::from(txn.encode_update_v1())
        };
        stage.edit(EVE, &update);
        stage.wait(20);
        match stage.take_append() {
            Some(append) => stage.commit(&append, level as u64),
            None => assert_eq!(level, limits::TYPE_DEPTH_MAX + 1),
        }
    }
    assert_eq!(stage.close_of(EVE), Some(CloseCode::Malformed));
}

#[test]
fn a_name_that_no_design_may_have_does_not_reach_the_store() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Stock);
    let writer = Writer::new(100);
    for (seq, (name, told)) in
        [("Checkout", true), ("", false), (&*"x".repeat(10_000), false), ("Checkout 2", true)]
            .into_iter()
            .enumerate()
    {
        stage.edit(ANA, &writer.name(name));
        let append = stage.take_append().unwrap();
        assert_eq!(append.name.as_deref(), told.then_some(name));
        stage.commit(&append, seq as u64 + 1);
        stage.wait(20);
    }
}

// R-LIMIT-5
#[test]
fn shared_texts_are_short_and_what_they_cost_stays_small() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let doc = Doc::with_client_id(100);
    let meta = doc.get_or_insert_map("meta");
    let text = {
        let mut txn = doc.transact_mut();
        let text =
            meta.insert(&mut txn, "text", yrs::TextPrelim::new("x".repeat(limits::DOCUMENT_SEQUENCE_MAX)));
        stage.edit(ANA, &txn.encode_update_v1().into());
        text
    };
    let append = stage.take_append().expect("as long as they may be");
    stage.commit(&append, 1);
    stage.wait(20);
    stage.effects.clear();
    let mut txn = doc.transact_mut();
    yrs::Text::insert(&text, &mut txn, 0, "y");
    stage.edit(ANA, &txn.encode_update_v1().into());
    stage.wait(20);
    assert!(stage.take_append().is_none());
    assert_eq!(stage.refusal(ANA), Some(("too_many".to_owned(), true)));
}
