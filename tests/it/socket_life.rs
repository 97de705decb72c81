//! Keeping and losing a socket: expiry, renewal, roles, membership, and what flows meanwhile.

use std::time::Duration;

use atlas_crdt::wire::{self, ClientFrame};
use atlas_loadtest::client::{Client, Closed, Connect, Dialect};
use atlas_loadtest::replica::Replica;
use atlas_loadtest::world;
use serde_json::Value;

use crate::socket_basics::{A_SECOND, BOTH, address, connected, expected, has_node, node, refusal};
use crate::support::{Person, Server};

// R-TIME-1, R-TIME-2
#[tokio::test]
async fn a_socket_ends_with_its_token_unless_it_is_renewed() {
    const LIFE: Duration = Duration::from_secs(4);
    let server = Server::start_with(&[("ATLAS_ACCESS_TOKEN_SECS", "4")]);
    let ann = server.register("ann@example.com").await;
    let started = world::now();
    let design = ann.create_design("Payments").await;
    let ticket = ann.ticket(&design).await;
    let atlas = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    let by_ticket = connected(&server, &design, &ticket, Dialect::Atlas).await;
    let renewing = connected(&server, &design, ann.token(), Dialect::Atlas).await;

    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = server.login("ann@example.com").await;
    renewing.send(&ClientFrame::Renew { token: later.token().to_owned() });
    let renewed = renewing.notice("renewed").await.unwrap();
    assert!(matches!(renewed["expires_in"].as_u64(), Some(3..=4)), "{renewed}");
    // A stock client does not know of renewals, and the server does not know of its own.
    stock.send(&ClientFrame::Renew { token: later.token().to_owned() });

    for client in [&atlas, &by_ticket] {
        let closed = client.closed().await.unwrap();
        assert_eq!(closed.code, Some(4408), "{closed:?}");
    }
    let closed = stock.closed().await.unwrap();
    assert_eq!(closed.code, Some(1012), "not final: y-websocket comes back with a new token");
    assert!(retry_after(&closed) < 2_000);
    let lived = started.elapsed();
    assert!(LIFE < lived + A_SECOND && lived < LIFE + 2 * A_SECOND, "{lived:?}");

    assert!(renewing.is_open());
    renewing.edit_saved(node("late")).await.unwrap();
    let closed = renewing.closed().await.unwrap();
    assert_eq!(closed.code, Some(4408));
    assert!(LIFE + A_SECOND < started.elapsed(), "it lived on");
    // The leeway for clocks that differ does not let an old token in again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for dialect in BOTH {
        let old = Connect::new(&address(&server, &design), dialect).token(ann.token());
        assert_eq!(refusal(old).await, expected(dialect, 401));
    }
}

fn retry_after(closed: &Closed) -> u64 {
    let reason: Value = serde_json::from_str(&closed.reason).unwrap_or_else(|_| panic!("{closed:?}"));
    reason["retry_after_ms"].as_u64().unwrap_or_else(|| panic!("{closed:?}"))
}

// R-TIME-3
#[tokio::test]
async fn a_bad_renewal_is_refused_and_the_old_credential_still_counts() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let ben = server.register("ben@example.com").await;
    let design = ann.create_design("Payments").await;
    let client = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    for (attempt, token) in ["nonsense", "a.b.c", ben.token()].into_iter().enumerate() {
        client.send(&ClientFrame::Renew { token: token.to_owned() });
        let refused = |client: &Client| {
            client
                .look(|seen| seen.notices.iter().filter(|notice| notice["code"] == "bad_credential").count())
        };
        client.wait_until(A_SECOND * 5, "a refusal", |client| refused(client) == attempt + 1).await.unwrap();
        let notice = client.notice("refused").await.unwrap();
        assert_eq!((&notice["type"], &notice["reset"]), (&"refused".into(), &false.into()), "{notice}");
    }
    client.edit_saved(node("still here")).await.unwrap();
}

// R-ROLE-2, R-CLOSE-8
#[tokio::test]
async fn a_role_that_changes_counts_within_a_second() {
    let server = Server::start();
    let _admin = server.register("admin@example.com").await;
    let ann = server.register("ann@example.com").await;
    let ben = server.register("ben@example.com").await;
    let design = ann.create_design("Payments").await;
    ann.share(&design, &ben, "editor").await;
    let atlas = connected(&server, &design, ben.token(), Dialect::Atlas).await;
    let stock = connected(&server, &design, ben.token(), Dialect::Stock).await;
    atlas.edit_saved(node("as editor")).await.unwrap();

    let changed = world::now();
    ann.share(&design, &ben, "viewer").await;
    assert_eq!(atlas.notice("role.changed").await.unwrap()["role"], "viewer");
    assert!(changed.elapsed() < A_SECOND);
    let ordinal = atlas.edit(node("as viewer")).unwrap();
    atlas.saved(ordinal).await.unwrap();
    let refused = atlas.notice("refused").await.unwrap();
    assert_eq!((&refused["code"], &refused["reset"]), (&"not_permitted".into(), &false.into()), "{refused}");

    // Back again: the refused edit was never lost, and comes with the next.
    ann.share(&design, &ben, "editor").await;
    atlas.wait_until(A_SECOND, "the role", |client| role_of(client) == "editor").await.unwrap();
    atlas.edit(node("as editor again")).unwrap();
    atlas.all_saved().await.unwrap();
    stock
        .wait_until(A_SECOND, "all edits", |client| {
            ["as editor", "as viewer", "as editor again"].iter().all(|id| has_node(client, id))
        })
        .await
        .unwrap();

    let removed = world::now();
    ann.delete(&format!("/api/v1/designs/{design}/members/{}", ben.email)).await.expect(204);
    for client in [&atlas, &stock] {
        assert_eq!(client.closed().await.unwrap().code, Some(4403));
    }
    assert!(removed.elapsed() < A_SECOND);
    assert_eq!(atlas.seen().faults, Vec::<String>::new());
}

// R-ROLE-3
#[tokio::test]
async fn a_role_that_changes_while_a_socket_opens_counts() {
    const ROUNDS_MAX: u64 = 400;
    let server = Server::start();
    let _admin = server.register("admin@example.com").await;
    let ann = server.register("ann@example.com").await;
    let ben = server.register("ben@example.com").await;
    let design = ann.create_design("Payments").await;
    let (mut greeted_as_editor, mut round) = (0, 0);
    while greeted_as_editor < 5 && round < ROUNDS_MAX {
        round += 1;
        ann.share(&design, &ben, "editor").await;
        let connect = async {
            // The check, the upgrade and the join take a few milliseconds: the change falls now here, now there.
            tokio::time::sleep(Duration::from_micros(100 * (round % 20))).await;
            connected(&server, &design, ben.token(), Dialect::Atlas).await
        };
        let (client, ()) = tokio::join!(connect, ann.share(&design, &ben, "viewer"));
        let hello = client.notice("hello").await.unwrap();
        if hello["role"] == "editor" {
            greeted_as_editor += 1;
            client.wait_until(A_SECOND, "the role", |client| role_of(client) == "viewer").await.unwrap();
        }
    }
    println!(
        "{greeted_as_editor} of {round} sockets were opened with the old role, and all heard of the new one"
    );
    assert!(0 < greeted_as_editor, "the change never fell into the opening of a socket");
}

fn role_of(client: &Client) -> String {
    let role = client.look(|seen| seen.notice("role.changed").map(|notice| notice["role"].clone()));
    role.and_then(|role| role.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

// R-ROLE-1, R-REFUSE-2
#[tokio::test]
async fn a_viewer_watches_in_peace_and_changes_nothing() {
    let server = Server::start();
    let _admin = server.register("admin@example.com").await;
    let ann = server.register("ann@example.com").await;
    let ben = server.register("ben@example.com").await;
    let design = ann.create_design("Payments").await;
    ann.share(&design, &ben, "viewer").await;
    let editor = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    editor.edit_saved(node("first")).await.unwrap();
    for dialect in BOTH {
        let viewer = connected(&server, &design, ben.token(), dialect).await;
        // Every Yjs client answers the server's SyncStep1; what adds nothing is accepted in silence.
        assert!(has_node(&viewer, "first"));
        if dialect == Dialect::Atlas {
            viewer.saved(1).await.unwrap();
            assert_eq!(viewer.notice("hello").await.unwrap()["role"], "viewer");
        }
        assert_eq!(
            viewer.look(|seen| (seen.notice("refused").cloned(), seen.denied.clone())),
            (None, vec![])
        );

        let before = ann.snapshot(&design).await;
        viewer.edit(node("forbidden"));
        match dialect {
            Dialect::Atlas => {
                let refused = viewer.notice("refused").await.unwrap();
                assert_eq!(refused["code"], "not_permitted", "{refused}");
                viewer.all_saved().await.unwrap();
            }
            Dialect::Stock => {
                viewer
                    .wait_until(A_SECOND * 5, "permission denied", |client| {
                        client.look(|seen| seen.denied.len()) == 1
                    })
                    .await
                    .unwrap();
            }
        }
        // Its later frames still work: it asks, it watches, it shows its cursor.
        viewer.announce(Some(serde_json::json!({ "name": "Ben" })));
        let seen = |client: &Client| client.others().values().any(|state| state["name"] == "Ben");
        editor.wait_until(A_SECOND * 5, "the viewer's cursor", seen).await.unwrap();
        let id = format!("after {dialect:?}");
        editor.edit_saved(node(&id)).await.unwrap();
        viewer.wait_until(A_SECOND * 5, "an edit", |client| has_node(client, &id)).await.unwrap();
        let after = ann.snapshot(&design).await;
        assert_eq!(
            after["seq"].as_u64().unwrap(),
            before["seq"].as_u64().unwrap() + 1,
            "one edit, the editor's"
        );
        viewer.vanish();
        editor.wait_until(A_SECOND, "the cursor to go", |client| client.others().is_empty()).await.unwrap();
    }
    assert!(!has_node(&editor, "forbidden"));
}

// R-CLOSE-7
#[tokio::test]
async fn signing_out_closes_what_was_opened_under_that_login() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let elsewhere = server.login("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let atlas = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let by_ticket = connected(&server, &design, &ann.ticket(&design).await, Dialect::Atlas).await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    let other_login = connected(&server, &design, elsewhere.token(), Dialect::Atlas).await;
    log_out(&ann).await;
    for client in [&atlas, &by_ticket, &stock] {
        assert_eq!(client.closed().await.unwrap().code, Some(4401));
    }
    other_login.edit_saved(node("still here")).await.unwrap();
    for dialect in BOTH {
        let again = Connect::new(&address(&server, &design), dialect).token(ann.token());
        assert_eq!(refusal(again).await, expected(dialect, 401));
    }
}

async fn log_out(person: &Person) {
    let body = serde_json::json!({ "refresh_token": person.refresh });
    let answer = person.post("/api/v1/auth/logout", body).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

// R-CLOSE-6
#[tokio::test]
async fn a_deleted_design_says_so_and_is_gone() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let atlas = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    ann.delete(&format!("/api/v1/designs/{design}")).await.expect(204);
    for client in [&atlas, &stock] {
        assert_eq!(client.closed().await.unwrap().code, Some(4404));
    }
    assert!(atlas.look(|seen| seen.notice("deleted").is_some()));
    for dialect in BOTH {
        let again = Connect::new(&address(&server, &design), dialect).token(ann.token());
        assert_eq!(refusal(again).await, expected(dialect, 404));
    }
}

// R-CLOSE-5
#[tokio::test]
async fn a_stop_saves_everything_and_sends_everybody_away_for_a_moment() {
    let mut server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let atlas = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    for at in 0..20 {
        atlas.edit(node(&format!("n{at}")));
    }
    let stopping = tokio::task::spawn_blocking(move || {
        let code = server.stop();
        (server, code)
    });
    for client in [&atlas, &stock] {
        let closed = client.closed().await.unwrap();
        assert_eq!(closed.code, Some(1012));
        assert!(retry_after(&closed) < 10_000);
    }
    assert!(atlas.look(|seen| seen.notice("restarting").is_some()));
    let (mut server, code) = stopping.await.unwrap();
    assert_eq!(code, Some(0));
    server.restart();
    let saved = atlas.look(|seen| seen.saved);
    atlas.reconnect().await.unwrap();
    atlas.all_saved().await.unwrap();
    let fresh = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    assert_eq!(fresh.json(), atlas.json());
    println!("Saved({saved}) before the stop, everything after it");
}

// R-SYNC-2, R-SYNC-10
#[tokio::test]
async fn edits_and_questions_flow_in_both_languages() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let atlas = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    stock.edit(node("from stock"));
    atlas.edit_saved(node("from atlas")).await.unwrap();
    for client in [&atlas, &stock] {
        let both = |client: &Client| has_node(client, "from stock") && has_node(client, "from atlas");
        client.wait_until(A_SECOND * 5, "both nodes", both).await.unwrap();
    }
    // Unknown types are ignored, in both languages: newer clients may know more.
    for client in [&atlas, &stock] {
        client.send(&ClientFrame::Unknown { kind: 77 });
        client.ask_again();
    }
    // An edit that builds on something which the server never got: it asks, and gets the whole.
    let mut ghost = Replica::new(12_345);
    ghost.edit(node("lost on the way")).unwrap();
    let late = ghost.edit(node("arrived")).unwrap();
    let questions = atlas.look(|seen| seen.received_questions);
    atlas.send_bytes(wire::update(&late));
    atlas
        .wait_until(A_SECOND * 5, "a question", |client| {
            questions < client.look(|seen| seen.received_questions)
        })
        .await
        .unwrap();
    atlas.edit(node("after the question"));
    let arrived = |client: &Client| has_node(client, "after the question");
    stock.wait_until(A_SECOND * 5, "a later edit", arrived).await.unwrap();
    assert!(!has_node(&stock, "arrived"));
}

// R-TIME-4
#[tokio::test]
async fn a_quiet_socket_hears_something_before_y_websocket_hangs_up() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Quiet").await;
    let stock = connected(&server, &design, ann.token(), Dialect::Stock).await;
    let before = stock.look(|seen| seen.received);
    let started = world::now();
    let heard = |client: &Client| before.messages < client.look(|seen| seen.received.messages);
    stock.wait_until(Duration::from_secs(25), "a sign of life", heard).await.unwrap();
    let (waited, after) = (started.elapsed(), stock.look(|seen| seen.received));
    assert!(Duration::from_secs(18) < waited && waited < Duration::from_secs(23), "{waited:?}");
    // `1 1 0`: an awareness update about nobody.
    assert_eq!((after.messages - before.messages, after.bytes - before.bytes), (1, 3));
    assert_eq!(stock.seen().faults, Vec::<String>::new());
}
