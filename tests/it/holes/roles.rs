//! What a role does not permit: it changes nothing, is answered, and whoever may only look goes on looking.

use std::time::Duration;

use atlas_crdt::wire::ClientFrame;
use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Dialect};
use atlas_loadtest::replica::Roots;
use yrs::{Map as _, TransactionMut};

use super::siege::{BOTH, RESET, Siege};

const PATIENCE: Duration = Duration::from_secs(20);

async fn with_role(siege: &mut Siege, role: &str, dialect: Dialect) -> Client {
    let email = format!("{role}-{dialect:?}@example.com").to_lowercase();
    let person = siege.server.register(&email).await;
    siege.ann.share(&siege.design, &person, role).await;
    let client = siege.open(&person, dialect).await;
    // What hashing a password took is not what is measured here.
    siege.note_level();
    client
}

fn put(client: &Client, id: &str) -> Option<u64> {
    client.edit(|roots, txn| canvas::put_node(roots, txn, id, "a node", 0.0, 0.0))
}

/// This client sees what the others do from now on.
async fn still_looks(siege: &mut Siege, client: &Client, what: &str) {
    siege.work().await;
    let newest = format!("honest-1-{}", siege.edits());
    let sees = |client: &Client| client.json()["nodes"].get(&newest).is_some();
    client.wait_until(PATIENCE, what, sees).await.unwrap();
    assert!(client.is_open());
}

/// How often this client was told that it may not.
fn denials(client: &Client, dialect: Dialect) -> usize {
    client.look(|seen| match dialect {
        Dialect::Stock => seen.denied.len(),
        Dialect::Atlas => {
            let is_denial = |notice: &&serde_json::Value| {
                notice["type"] == "refused" && notice["code"] == "not_permitted" && notice["reset"] == false
            };
            seen.notices.iter().filter(is_denial).count()
        }
    })
}

// R-REFUSE-1, R-REFUSE-2, R-SYNC-9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_is_told_no_and_goes_on_looking() {
    let mut siege = Siege::new("viewer").await;
    for dialect in BOTH {
        let viewer = with_role(&mut siege, "viewer", dialect).await;
        // What adds nothing: empty, known, and everything that there is.
        let known = siege.honest[0].with_replica(|replica| replica.diff_since(&[0])).unwrap();
        for update in [vec![0, 0].into(), known.clone()] {
            viewer.send(&ClientFrame::Update { update: bytes::Bytes::clone(&update) });
            viewer.send(&ClientFrame::SyncStep2 { update });
        }
        still_looks(&mut siege, &viewer, "the others' edits").await;
        if dialect == Dialect::Atlas {
            viewer.all_saved().await.unwrap();
        }
        assert_eq!((denials(&viewer, dialect), viewer.seen().denied), (0, vec![]), "in silence");

        // What adds something, or takes something away, or says that it does.
        for n in 1..=40 {
            put(&viewer, &format!("evil-{n}")).unwrap();
            viewer.wait_until(PATIENCE, "the answer", |viewer| denials(viewer, dialect) == n).await.unwrap();
        }
        println!("viewer: 40 edits ({dialect:?}): came back: {} denials", denials(&viewer, dialect));
        viewer.edit(|roots, txn| canvas::remove_node(roots, txn, "honest-0-1"));
        viewer.wait_until(PATIENCE, "the answer", |viewer| denials(viewer, dialect) == 41).await.unwrap();
        let everything = viewer.with_replica(|replica| replica.diff_since(&[0])).unwrap();
        viewer.send(&ClientFrame::SyncStep2 { update: everything });
        viewer.wait_until(PATIENCE, "the answer", |viewer| denials(viewer, dialect) == 42).await.unwrap();

        // It is the viewer that goes on, on the same socket: it hears, is answered, and is seen.
        still_looks(&mut siege, &viewer, "the others' edits after a refusal").await;
        viewer.announce(Some(serde_json::json!({ "user": "Viewer" })));
        let id = viewer.client_id();
        siege.honest[1]
            .wait_until(PATIENCE, "the viewer", |ben| ben.others().contains_key(&id))
            .await
            .unwrap();
        assert_eq!(viewer.look(|seen| seen.sockets), 1);
        viewer.close().await.unwrap();
        siege.nobody_noticed("a viewer's edits").await;
    }
    siege.finish().await;
}

/// What a commenter may not do.
type Misdeed = fn(&Roots, &mut TransactionMut<'_>);

fn comment(client: &Client, id: &str) -> Option<u64> {
    client.edit(|roots, txn| {
        roots.comments.insert(txn, id, "a comment");
    })
}

// R-ROLE-1, R-ROLE-4, R-REFUSE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commenter_comments_and_does_nothing_else() {
    let mut siege = Siege::new("commenter").await;
    siege.honest[0].edit(|roots, txn| {
        roots.comments.insert(txn, "by-ann", "a comment");
        canvas::put_node(roots, txn, "honest", "Ann's", 0.0, 0.0);
    });
    let misdeeds: [(&str, Misdeed); 6] = [
        ("a node", |roots, txn| canvas::put_node(roots, txn, "evil", "evil", 0.0, 0.0)),
        ("an edge", |roots, txn| canvas::put_edge(roots, txn, "evil", "a", "b")),
        ("the name", |roots, txn| canvas::set_meta(roots, txn, "name", &"evil".into())),
        ("a move", |roots, txn| canvas::move_node(roots, txn, "honest-0-1", 666.0, 0.0)),
        ("a deletion", |roots, txn| canvas::remove_node(roots, txn, "honest-0-1")),
        ("a node beside a comment", |roots, txn| {
            roots.comments.insert(txn, "evil", "evil");
            canvas::put_node(roots, txn, "evil", "evil", 0.0, 0.0);
        }),
    ];
    for dialect in BOTH {
        let commenter = with_role(&mut siege, "commenter", dialect).await;
        let id = format!("by-commenter-{dialect:?}");
        comment(&commenter, &id);
        let has_comment = |client: &Client| client.json()["comments"].get(&id).is_some();
        for client in &siege.honest {
            client.wait_until(PATIENCE, "the comment", has_comment).await.unwrap();
        }
        // Any comment may go, and come again.
        commenter.edit(|roots, txn| {
            roots.comments.remove(txn, &id);
        });
        for client in &siege.honest {
            client.wait_until(PATIENCE, "the comment to go", |client| !has_comment(client)).await.unwrap();
        }
        let person = siege.server.login(&format!("commenter-{dialect:?}@example.com").to_lowercase()).await;
        siege.note_level();
        for (what, misdeed) in misdeeds {
            let commenter = siege.open(&person, dialect).await;
            commenter.edit(misdeed);
            if dialect == Dialect::Stock {
                let closed = commenter.closed().await.unwrap();
                println!("commenter: {what} (Stock): came back: close {:?} {:?}", closed.code, closed.reason);
                assert_eq!(closed.code, Some(RESET), "{what}");
            } else {
                let refused = commenter.notice("refused").await.unwrap();
                println!("commenter: {what} (Atlas): came back: {refused}");
                assert_eq!(
                    (&refused["code"], &refused["reset"]),
                    (&"not_permitted".into(), &true.into()),
                    "{what}"
                );
            }
            siege.nobody_noticed(what).await;
        }
        comment(&commenter, &id);
        for client in &siege.honest {
            client.wait_until(PATIENCE, "another comment", has_comment).await.unwrap();
            assert_eq!(
                client.json()["nodes"]["honest-0-1"]["position"],
                serde_json::json!({ "x": 0, "y": 0 })
            );
        }
        assert!(commenter.is_open());
        commenter.close().await.unwrap();
    }
    siege.finish().await;
}
