//! Opening a socket: every credential, origin and epoch, in both languages.

use std::time::Duration;

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, ConnectError, Credential, Dialect};
use atlas_loadtest::replica::Roots;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use yrs::TransactionMut;

use crate::support::{Answer, Server};

pub(crate) const BOTH: [Dialect; 2] = [Dialect::Stock, Dialect::Atlas];
/// What "at once" means for whoever waits at a screen.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);
const NOWHERE: &str = "0193f0e2-7c1a-7b52-9d3e-00ff12ab34cd";

pub(crate) fn address(server: &Server, design: &str) -> String {
    format!("{}/{design}", server.ws_url())
}

/// An edit that creates a node.
pub(crate) fn node(id: &str) -> impl FnOnce(&Roots, &mut TransactionMut<'_>) {
    move |roots, txn| canvas::put_node(roots, txn, id, "a node", 1.0, 2.0)
}

pub(crate) fn has_node(client: &Client, id: &str) -> bool {
    client.json()["nodes"].get(id).is_some()
}

pub(crate) async fn connected(server: &Server, design: &str, token: &str, dialect: Dialect) -> Client {
    let client = Client::connect(&address(server, design), token, dialect).await.unwrap();
    client.synced().await.unwrap();
    client
}

/// What a refusal looks like in each language: an HTTP status, or a close code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Status(u16),
    Code(u16),
}

pub(crate) async fn refusal(connect: Connect) -> Refused {
    match Client::open(connect).await {
        Ok(client) => {
            let closed = client.closed().await.unwrap();
            assert_eq!(
                client.look(|seen| seen.received.messages),
                0,
                "nothing is told to whoever is refused"
            );
            Refused::Code(closed.code.unwrap_or_else(|| panic!("{closed:?}")))
        }
        Err(ConnectError::Refused { status, body }) => {
            let problem: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status}: {body}"));
            assert_eq!(problem["status"], status);
            Refused::Status(status)
        }
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn expected(dialect: Dialect, status: u16) -> Refused {
    match dialect {
        Dialect::Stock => Refused::Status(status),
        Dialect::Atlas => Refused::Code(4000 + status),
    }
}

// R-HAND-3, R-HAND-4
#[tokio::test]
async fn every_way_to_show_a_credential_in_both_languages() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let token = ann.token().to_owned();
    for dialect in BOTH {
        let ticket = ann.ticket(&design).await;
        for credential in [
            Credential::Query(token.clone()),
            Credential::Query(ticket),
            Credential::Protocol(token.clone()),
            Credential::Bearer(token.clone()),
        ] {
            let offered = match &credential {
                Credential::Protocol(token) => Some(format!("atlas.token.{token}")),
                _ => None,
            };
            let connect = Connect { credential, ..Connect::new(&address(&server, &design), dialect) };
            let client = Client::open(connect).await.unwrap();
            client.synced().await.unwrap();
            let selected = match dialect {
                Dialect::Atlas => Some("atlas.v1".to_owned()),
                Dialect::Stock => offered,
            };
            assert_eq!(client.look(|seen| seen.subprotocol.clone()), selected);
            if dialect == Dialect::Atlas {
                let hello = client.notice("hello").await.unwrap();
                assert_eq!((&hello["role"], &hello["seq"]), (&"owner".into(), &1.into()), "{hello}");
                assert_eq!(client.look(|seen| seen.notices[0]["type"].clone()), "hello");
            }
            client.close().await.unwrap();
        }
    }
}

// R-HAND-5
#[tokio::test]
async fn a_bad_credential_opens_nothing() {
    let server = Server::start();
    let _admin = server.register("admin@example.com").await;
    let ann = server.register("ann@example.com").await;
    let ben = server.register("ben@example.com").await;
    let (design, other) = (ann.create_design("Payments").await, ann.create_design("Other").await);
    let forged = format!("{}x", ann.token());
    let unsigned = format!("{}.", ann.token().rsplit_once('.').unwrap().0);
    for dialect in BOTH {
        let connect = |credential, design: &str| {
            refusal(Connect { credential, ..Connect::new(&address(&server, design), dialect) })
        };
        let bad = [
            Credential::None,
            Credential::Query("nonsense".into()),
            Credential::Query("a.b.c".into()),
            Credential::Query(forged.clone()),
            Credential::Protocol(forged.clone()),
            Credential::Protocol(unsigned.clone()),
            Credential::Bearer(forged.clone()),
            Credential::Query(ann.ticket(&other).await),
        ];
        for credential in bad {
            let what = format!("{credential:?}");
            assert_eq!(connect(credential, &design).await, expected(dialect, 401), "{what}");
        }
        let good = || Credential::Query(ben.token().to_owned());
        assert_eq!(connect(good(), &design).await, expected(dialect, 403), "no member");
        assert_eq!(connect(good(), NOWHERE).await, expected(dialect, 404), "no such design");
        assert_eq!(connect(good(), "not-an-id").await, expected(dialect, 404), "no id");
    }
    let health = server.nobody().get("/api/ops/health").await.expect(200).json();
    assert!(!health.to_string().contains(&design), "{health}");
}

// R-HAND-8
#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let ticket = ann.ticket(&design).await;
    let url = address(&server, &design);
    let attempts = (0..8).map(|_| Client::connect(&url, &ticket, Dialect::Stock));
    let attempts = futures_util::future::join_all(attempts).await;
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
    let refused = attempts.iter().filter_map(|attempt| attempt.as_ref().err());
    assert!(refused.map(ConnectError::status).all(|status| status == Some(401)));
    assert_eq!(refusal(Connect::new(&url, Dialect::Atlas).token(&ticket)).await, Refused::Code(4401));
}

// R-HAND-1
#[tokio::test]
async fn what_is_no_websocket_gets_a_problem() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let path = format!("/ws/{}", ann.create_design("Payments").await);
    let ask = |headers: &[(&str, &str)]| {
        let request = ann.request(Method::GET, &path);
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    let plain = ask(&[]).await.expect_problem(426, "upgrade_required");
    assert_eq!(plain.header("upgrade"), "websocket");
    assert_eq!(plain.header("sec-websocket-version"), "13");
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let with_version = |version| [upgrade[0], upgrade[1], ("sec-websocket-version", version)];
    ask(&with_version("8")).await.expect_problem(426, "upgrade_required");
    ask(&with_version("13")).await.expect_problem(400, "malformed");
    let wrong = Answer::of(ann.request(Method::POST, &path)).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
}

// R-HAND-2
#[tokio::test]
async fn only_our_own_pages_may_connect() {
    let server = Server::start_with(&[("ATLAS_ALLOWED_ORIGINS", "https://app.example.com")]);
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let own = format!("http://{}", server.addr());
    for (origin, allowed) in [
        (own.as_str(), true),
        ("https://app.example.com", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        for dialect in BOTH {
            let connect = Connect::new(&address(&server, &design), dialect).token(ann.token());
            let connect = Connect { origin: Some(origin.to_owned()), ..connect };
            if allowed {
                Client::open(connect).await.unwrap().synced().await.unwrap();
            } else {
                // A page that may not ask learns nothing by a close code either.
                assert_eq!(refusal(connect).await, Refused::Status(403), "{origin}");
            }
        }
    }
}

// R-HAND-9
#[tokio::test]
async fn a_client_of_another_epoch_must_reload() {
    let server = Server::start();
    let ann = server.register("ann@example.com").await;
    let design = ann.create_design("Payments").await;
    let first = connected(&server, &design, ann.token(), Dialect::Atlas).await;
    let epoch = first.notice("hello").await.unwrap()["epoch"].as_u64().unwrap();
    let connect = Connect::new(&address(&server, &design), Dialect::Atlas).token(ann.token());
    let same = Connect { epoch: Some(epoch), ..connect.clone() };
    Client::open(same).await.unwrap().synced().await.unwrap();
    let other = Connect { epoch: Some(epoch + 1), ..connect };
    assert_eq!(refusal(other).await, Refused::Code(4409));
}
