//! Who may do what to a design, asked of every endpoint by every kind of person.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server};

/// A design, its owner, one person per design role, an outsider, and the platform's admin.
struct Cast {
    server: Server,
    admin: Person,
    owner: Person,
    editor: Person,
    commenter: Person,
    viewer: Person,
    outsider: Person,
    design: String,
}

async fn cast() -> Cast {
    let server = Server::start();
    let admin = server.register("admin@example.com").await;
    let owner = server.register("owner@example.com").await;
    let editor = server.register("editor@example.com").await;
    let commenter = server.register("commenter@example.com").await;
    let viewer = server.register("viewer@example.com").await;
    let outsider = server.register("outsider@example.com").await;
    let design = owner.create_design("Payments").await;
    owner.share(&design, &editor, "editor").await;
    owner.share(&design, &commenter, "commenter").await;
    owner.share(&design, &viewer, "viewer").await;
    Cast { server, admin, owner, editor, commenter, viewer, outsider, design }
}

/// 2xx is yes, 403 `forbidden` is no, everything else is wrong.
fn allowed(answer: Answer) -> bool {
    if answer.status.is_success() {
        return true;
    }
    answer.expect_problem(403, "forbidden");
    false
}

#[tokio::test]
async fn each_role_reads_shares_and_deletes_as_the_table_says() {
    let cast = cast().await;
    let design = format!("/api/v1/designs/{}", cast.design);
    let share = format!("{design}/members/viewer@example.com");
    for (person, role, shares) in [
        (&cast.admin, Some("owner"), true),
        (&cast.owner, Some("owner"), true),
        (&cast.editor, Some("editor"), false),
        (&cast.commenter, Some("commenter"), false),
        (&cast.viewer, Some("viewer"), false),
        (&cast.outsider, None, false),
    ] {
        let reads = role.is_some();
        let who = &person.email;
        assert_eq!(allowed(person.get(&design).await), reads, "{who}");
        assert_eq!(allowed(person.get(&format!("{design}/snapshot?format=json")).await), reads, "{who}");
        assert_eq!(allowed(person.get(&format!("{design}/snapshot?format=yjs")).await), reads, "{who}");
        assert_eq!(allowed(person.get(&format!("{design}/members")).await), reads, "{who}");
        assert_eq!(allowed(person.post(&format!("{design}/tickets"), json!({})).await), reads, "{who}");
        assert_eq!(allowed(person.put(&share, json!({ "role": "viewer" })).await), shares, "{who}");
        let lists = person.get("/api/v1/designs").await.expect(200).json();
        let roles: Vec<_> = lists["items"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
        assert_eq!(roles, Vec::from_iter(role), "{who}");
    }
    for person in [&cast.editor, &cast.commenter, &cast.viewer, &cast.outsider] {
        assert!(!allowed(person.delete(&design).await), "{}", person.email);
    }
    assert!(allowed(cast.owner.delete(&design).await));
    for person in [&cast.owner, &cast.viewer, &cast.outsider, &cast.admin] {
        person.get(&design).await.expect_problem(404, "no_such_design");
        person.delete(&design).await.expect_problem(404, "no_such_design");
    }
}

#[tokio::test]
async fn nothing_of_a_design_is_served_without_a_token() {
    let cast = cast().await;
    let design = format!("/api/v1/designs/{}", cast.design);
    let nobody = cast.server.nobody();
    let asked = [
        (Method::GET, "/api/v1/designs".to_owned()),
        (Method::POST, "/api/v1/designs".to_owned()),
        (Method::POST, "/api/v1/designs/import".to_owned()),
        (Method::GET, design.clone()),
        (Method::PUT, design.clone()),
        (Method::PATCH, design.clone()),
        (Method::DELETE, design.clone()),
        (Method::GET, format!("{design}/snapshot")),
        (Method::POST, format!("{design}/tickets")),
        (Method::GET, format!("{design}/members")),
        (Method::PUT, format!("{design}/members/viewer@example.com")),
        (Method::DELETE, format!("{design}/members/viewer@example.com")),
    ];
    for (method, path) in asked {
        Answer::of(nobody.request(method, &path)).await.expect_problem(401, "no_credential");
    }
}

#[tokio::test]
async fn members_come_change_and_go() {
    let cast = cast().await;
    let members = format!("/api/v1/designs/{}/members", cast.design);
    let at = |name: &str| format!("{members}/{name}");
    let role_of = |list: &Value, email: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["email"] == email).map(|item| item["role"].as_str().unwrap().to_owned())
    };

    let list = cast.viewer.get(&members).await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    assert_eq!(role_of(&list, "owner@example.com").as_deref(), Some("owner"));
    assert_eq!(role_of(&list, "commenter@example.com").as_deref(), Some("commenter"));

    // By id as well as by address, in any case.
    let put = cast.owner.put(&at(&cast.viewer.id), json!({ "role": "editor" })).await.expect(200).json();
    assert_eq!(put["user"], cast.viewer.id.as_str());
    assert_eq!(put["role"], "editor");
    cast.owner.put(&at("Editor@EXAMPLE.com"), json!({ "role": "viewer" })).await.expect(200);
    let list = cast.owner.get(&members).await.expect(200).json();
    assert_eq!(role_of(&list, "viewer@example.com").as_deref(), Some("editor"));
    assert_eq!(role_of(&list, "editor@example.com").as_deref(), Some("viewer"));

    cast.owner
        .put(&at("eve@example.com"), json!({ "role": "viewer" }))
        .await
        .expect_problem(404, "no_such_user");
    let no_user = "00000000-0000-7000-8000-000000000000";
    cast.owner.put(&at(no_user), json!({ "role": "viewer" })).await.expect_problem(404, "no_such_user");
    for body in [json!({ "role": "boss" }), json!({}), json!({ "role": "viewer", "note": "x" })] {
        cast.owner.put(&at("viewer@example.com"), body).await.expect_problem(400, "validation_failed");
    }

    // A removed member is out at once; whoever is no member cannot be removed.
    cast.owner.delete(&at("viewer@example.com")).await.expect(204);
    assert!(!allowed(cast.viewer.get(&members).await));
    cast.owner.delete(&at("viewer@example.com")).await.expect_problem(404, "not_a_member");
    cast.owner.delete(&at("eve@example.com")).await.expect_problem(404, "no_such_user");

    // Everybody may leave, nobody may throw out others; what strangers ask tells them nothing about who is here.
    assert!(!allowed(cast.commenter.delete(&at("editor@example.com")).await));
    assert!(!allowed(cast.commenter.delete(&at("eve@example.com")).await));
    cast.commenter.delete(&at("commenter@example.com")).await.expect(204);
    assert!(!allowed(cast.commenter.get(&members).await));
}

#[tokio::test]
async fn the_last_owner_stays() {
    let cast = cast().await;
    let at = |name: &str| format!("/api/v1/designs/{}/members/{name}", cast.design);
    let editor = json!({ "role": "editor" });
    cast.owner.put(&at("owner@example.com"), editor.clone()).await.expect_problem(409, "last_owner");
    cast.owner.delete(&at("owner@example.com")).await.expect_problem(409, "last_owner");
    cast.admin.put(&at("owner@example.com"), editor.clone()).await.expect_problem(409, "last_owner");

    cast.owner.put(&at("editor@example.com"), json!({ "role": "owner" })).await.expect(200);
    cast.editor.put(&at("owner@example.com"), editor).await.expect(200);
    assert!(!allowed(cast.owner.delete(&format!("/api/v1/designs/{}", cast.design)).await));
    assert!(allowed(cast.editor.delete(&format!("/api/v1/designs/{}", cast.design)).await));
}

#[tokio::test]
async fn two_members_with_different_roles_see_the_same_design() {
    let cast = cast().await;
    let (one, other) = (cast.editor.snapshot(&cast.design).await, cast.viewer.snapshot(&cast.design).await);
    assert_eq!(one, other);
    assert_eq!(one["name"], "Payments");
}
