//! Accounts: registering, logging in, refreshing, logging out, and what each refuses.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PASSWORD, Person, Server};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";
const ME: &str = "/api/v1/auth/me";

#[tokio::test]
async fn the_first_person_is_admin_and_all_others_are_architects() {
    let server = Server::start();
    let nobody = server.nobody();
    let body = json!({ "email": " Ada@Example.COM ", "password": PASSWORD, "name": " Ada " });
    let granted = nobody.post(REGISTER, body).await.expect(201);
    assert_eq!(granted.header("cache-control"), "no-store");
    let grant = granted.json();
    assert_eq!(grant["token_type"], "Bearer");
    assert_eq!(grant["expires_in"], 900);
    assert_eq!(grant["user"]["email"], "ada@example.com");
    assert_eq!(grant["user"]["name"], "Ada");
    assert_eq!(grant["user"]["role"], "admin");
    assert_eq!(grant["access_token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(grant["refresh_token"].as_str().unwrap().len(), 43);

    let bob = server.register("bob@example.com").await;
    let me = bob.get(ME).await.expect(200);
    assert_eq!(me.header("cache-control"), "no-store");
    assert_eq!(me.json()["role"], "architect");
    assert_eq!(me.json()["id"], bob.id.as_str());
    assert_eq!(me.json()["name"], json!(null));
    assert!(!me.text().contains("argon2"), "{}", me.text());
}

#[tokio::test]
async fn registration_refuses_what_it_cannot_use() {
    let server = Server::start();
    let nobody = server.nobody();
    let cases = [
        json!({ "email": "ada", "password": PASSWORD }),
        json!({ "email": "", "password": PASSWORD }),
        json!({ "email": "ada@example.com", "password": "1234567" }),
        json!({ "email": "ada@example.com", "password": "x".repeat(129) }),
        json!({ "email": "ada@example.com" }),
        json!({ "email": "ada@example.com", "password": 12_345_678 }),
        json!({ "email": "ada@example.com", "password": PASSWORD, "role": "admin" }),
        json!({ "email": "ada@example.com", "password": PASSWORD, "name": "x".repeat(101) }),
        json!([]),
    ];
    for body in cases {
        let answer = nobody.post(REGISTER, body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.json()["error"], "Validation failed");
        assert!(!answer.json()["details"].as_array().unwrap().is_empty());
    }
    server.register("ada@example.com").await;
    let again = json!({ "email": "ADA@example.com", "password": PASSWORD });
    nobody.post(REGISTER, again).await.expect_problem(409, "email_taken");
}

#[tokio::test]
async fn a_closed_server_takes_its_first_account_and_no_other() {
    let server = Server::start_with(&[("ATLAS_REGISTRATION", "closed")]);
    let ada = server.register("ada@example.com").await;
    assert_eq!(ada.get(ME).await.expect(200).json()["role"], "admin");
    let body = json!({ "email": "bob@example.com", "password": PASSWORD });
    server.nobody().post(REGISTER, body).await.expect_problem(403, "registration_closed");
}

#[tokio::test]
async fn failed_logins_tell_nobody_why_and_are_throttled() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let nobody = server.nobody();
    let login =
        |email: &str, password: &str| nobody.post(LOGIN, json!({ "email": email, "password": password }));

    let wrong = login("ada@example.com", "wrong password").await.expect_problem(401, "bad_credentials");
    let unknown = login("eve@example.com", "wrong password").await.expect_problem(401, "bad_credentials");
    let too_long = login("ada@example.com", &"x".repeat(500)).await.expect_problem(401, "bad_credentials");
    assert_eq!(wrong.bytes, unknown.bytes);
    assert_eq!(wrong.bytes, too_long.bytes);

    // A success clears what came before it; then five failures are the last.
    login("Ada@example.com", PASSWORD).await.expect(200);
    for _ in 0..5 {
        login("ada@example.com", "wrong password").await.expect_problem(401, "bad_credentials");
    }
    let refused = login("ada@example.com", PASSWORD).await.expect_problem(429, "too_many_attempts");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    // Nobody else is held up, and who is in stays in.
    login("eve@example.com", "wrong password").await.expect_problem(401, "bad_credentials");
    ada.get(ME).await.expect(200);
}

#[tokio::test]
async fn what_is_no_token_opens_nothing() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let missing = server.nobody().get(ME).await.expect_problem(401, "no_credential");
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    let token = ada.token().to_owned();
    let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    // The last character of a signature carries two bits that mean nothing: cut it instead.
    let forgeries = [
        "x".to_owned(),
        format!("{head}.{body}."),
        format!("{head}.{body}.{}", &signature[4..]),
        format!("{body}.{head}.{signature}"),
        ada.refresh.clone(),
    ];
    for forged in forgeries {
        let refused = ada.with_token(&forged).get(ME).await.expect_problem(401, "invalid_token");
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    // A token of another server, with the same names inside, is signed by another key.
    let other = Server::start();
    let eve = other.register("ada@example.com").await;
    ada.with_token(eve.token()).get(ME).await.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_a_copy_ends_the_session() {
    let server = Server::start();
    let ada = server.register("ada@example.com").await;
    let nobody = server.nobody();
    let refresh = |token: &str| nobody.post(REFRESH, json!({ "refresh_token": token }));

    let second = Person::granted(&nobody, &refresh(&ada.refresh).await.expect(200));
    assert_ne!(second.refresh, ada.refresh);
    second.get(ME).await.expect(200);
    // The first access token lives on until it expires: it is the same session.
    ada.get(ME).await.expect(200);

    // The newer token was used, so this is no page that lost its answer.
    let third = Person::granted(&nobody, &refresh(&second.refresh).await.expect(200));
    third.get(ME).await.expect(200);

    // Somebody else logged in elsewhere is not concerned by what follows.
    let elsewhere = server.login("ada@example.com").await;
    refresh(&ada.refresh).await.expect_problem(401, "invalid_refresh_token");
    refresh(&third.refresh).await.expect_problem(401, "invalid_refresh_token");
    second.get(ME).await.expect_problem(401, "session_ended");
    ada.get(ME).await.expect_problem(401, "session_ended");
    elsewhere.get(ME).await.expect(200);

    for junk in ["", "x", &"A".repeat(43), &"é".repeat(43)] {
        refresh(junk).await.expect_problem(401, "invalid_refresh_token");
    }
    nobody.post(REFRESH, json!({})).await.expect_problem(401, "no_credential");
    nobody.post(REFRESH, json!({ "token": "x" })).await.expect_problem(400, "validation_failed");
}

/// The network was cut between the exchange and the arrival of its answer: the page has the old cookie only, and asks
/// again with it.
#[tokio::test]
async fn a_page_that_lost_the_answer_to_a_refresh_is_not_thrown_out() {
    let server = Server::start();
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let granted = server.nobody().post(REGISTER, body).await.expect(201);
    let pair = |answer: &Answer| answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let nobody = server.nobody();
    let refresh =
        async |cookie: &str| Answer::of(nobody.request(Method::POST, REFRESH).header("cookie", cookie)).await;
    let first = pair(&granted);
    let lost = pair(&refresh(&first).await.expect(200));
    let again = refresh(&first).await.expect(200);
    let page = Person::granted(&nobody, &again);
    page.get(ME).await.expect(200);
    let next = refresh(&pair(&again)).await.expect(200);
    // Somebody who has the token that never arrived is not that page.
    refresh(&lost).await.expect_problem(401, "invalid_refresh_token");
    refresh(&pair(&next)).await.expect_problem(401, "invalid_refresh_token");
    page.get(ME).await.expect_problem(401, "session_ended");
}

#[tokio::test]
async fn a_page_refreshes_by_cookie_and_its_scripts_see_no_token() {
    let server = Server::start();
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let granted = server.nobody().post(REGISTER, body).await.expect(201);
    let cookie = granted.header("set-cookie").to_owned();
    for attribute in
        ["atlas_refresh=", "; Path=/api/v1/auth", "; Max-Age=604800", "; HttpOnly", "; SameSite=Strict"]
    {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap().to_owned();
    let nobody = server.nobody();
    let ask = |path: &str| nobody.request(Method::POST, path).header("cookie", &pair);

    // A page of another origin may not, whatever its browser thinks of SameSite.
    let evil = ask(REFRESH).header("origin", "https://evil.example");
    Answer::of(evil).await.expect_problem(403, "forbidden");
    let refreshed = Answer::of(ask(REFRESH).header("origin", server.url(""))).await.expect(200);
    assert!(refreshed.json().get("refresh_token").is_none(), "{}", refreshed.text());
    let next = refreshed.header("set-cookie").to_owned();
    assert!(next.starts_with("atlas_refresh=") && !next.starts_with(&pair), "{next}");

    let pair = next.split(';').next().unwrap();
    let out = nobody.request(Method::POST, LOGOUT).header("cookie", pair);
    let out = Answer::of(out).await.expect(204);
    assert!(out.header("set-cookie").starts_with("atlas_refresh=; Path=/api/v1/auth; Max-Age=0"));
    let late = nobody.request(Method::POST, REFRESH).header("cookie", pair);
    Answer::of(late).await.expect_problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_logout_ends_one_session_by_either_token() {
    let server = Server::start();
    let first = server.register("ada@example.com").await;
    let second = server.login("ada@example.com").await;
    let third = server.login("ada@example.com").await;
    let nobody = server.nobody();

    Answer::of(first.request(Method::POST, LOGOUT)).await.expect(204);
    first.get(ME).await.expect_problem(401, "session_ended");
    nobody
        .post(REFRESH, json!({ "refresh_token": first.refresh }))
        .await
        .expect_problem(401, "invalid_refresh_token");

    nobody.post(LOGOUT, json!({ "refresh_token": second.refresh })).await.expect(204);
    second.get(ME).await.expect_problem(401, "session_ended");
    // Once more changes nothing; without a word of who it is, it is no logout.
    nobody.post(LOGOUT, json!({ "refresh_token": second.refresh })).await.expect(204);
    Answer::of(nobody.request(Method::POST, LOGOUT)).await.expect_problem(401, "no_credential");
    third.get(ME).await.expect(200);
}

#[tokio::test]
async fn accounts_sessions_and_keys_survive_a_kill() {
    let mut server = Server::start();
    let ada = server.register("ada@example.com").await;
    let gone = server.login("ada@example.com").await;
    Answer::of(gone.request(Method::POST, LOGOUT)).await.expect(204);
    server.kill();
    server.restart();
    ada.get(ME).await.expect(200);
    gone.get(ME).await.expect_problem(401, "session_ended");
    server.login("ada@example.com").await;
    let body = json!({ "refresh_token": ada.refresh });
    server.nobody().post(REFRESH, body).await.expect(200);
    assert!(!server.log().contains("ada@example.com"), "an address is in the log");
    assert!(!server.log().contains(ada.token()), "a token is in the log");
}

#[tokio::test]
async fn an_access_token_expires() {
    let server = Server::start_with(&[("ATLAS_ACCESS_TOKEN_SECS", "1")]);
    let ada = server.register("ada@example.com").await;
    // One second of life and five of leeway for clocks that run late.
    for _ in 0..100 {
        let answer = ada.get(ME).await;
        if answer.status == 401 {
            answer.expect_problem(401, "token_expired");
            let body = json!({ "refresh_token": ada.refresh });
            let renewed = server.nobody().post(REFRESH, body).await.expect(200);
            Person::granted(&ada, &renewed).get(ME).await.expect(200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the token never expired");
}
