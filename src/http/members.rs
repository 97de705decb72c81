//! `/api/v1/designs/{design}/members`: who takes part in a design, and as what.
//!
//! Any member sees the list; owners change it. People are named by user id or by e-mail address. The last owner can
//! neither leave nor be demoted. A change reaches open sockets at once.

use atlas_crdt::ids::DesignId;
use atlas_crdt::roles::DesignRole;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::AppState;
use super::accounts::normal_email;
use super::extract::{DesignPath, JsonBody, Signed, authorise};
use super::problem::{Problem, Result};
use crate::auth::{Action, effective_design_role};
use crate::store::{Member, StoreError, User};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/designs/{design}/members", get(list))
        .route("/api/v1/designs/{design}/members/{user}", put(set).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleBody {
    role: DesignRole,
}

#[derive(Serialize)]
struct MemberJson {
    user: String,
    email: String,
    name: Option<String>,
    role: DesignRole,
}

impl From<Member> for MemberJson {
    fn from(member: Member) -> Self {
        Self { user: member.user.to_string(), email: member.email, name: member.name, role: member.role }
    }
}

/// GET: `{items: [{user, email, name, role}]}`.
async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let members = state.store.members(design).await?;
    let items: Vec<MemberJson> = members.into_iter().map(MemberJson::from).collect();
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(json!({ "items": items }))).into_response())
}

/// PUT `…/{user}` `{role}`: 200 with the member, who is added if need be. 404 when nobody has this id or address,
/// 409 when it would leave the design without an owner.
async fn set(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    Path((_, user)): Path<(String, String)>,
    JsonBody(body): JsonBody<RoleBody>,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignShare).await?;
    let user = find_user(&state, &user).await?.ok_or_else(no_such_user)?;
    state.store.put_member(design, user.id, body.role).await.map_err(last_owner)?;
    tell_hub(&state, design, &user, Some(body.role)).await;
    tracing::info!(%design, by = %caller.user, user = %user.id, role = body.role.as_str(), "a member's role was set");
    let member =
        MemberJson { user: user.id.to_string(), email: user.email, name: user.name, role: body.role };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(member)).into_response())
}

/// DELETE `…/{user}`: 204. Owners remove others, everybody may leave. 404 when the user is no member, 409 for the
/// last owner.
async fn remove(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    Path((_, user)): Path<(String, String)>,
) -> Result<StatusCode> {
    let user = find_user(&state, &user).await?;
    let leaves = user.as_ref().is_some_and(|user| user.id == caller.user);
    let action = if leaves { Action::DesignRead } else { Action::DesignShare };
    authorise(&state, &caller, design, action).await?;
    let user = user.ok_or_else(no_such_user)?;
    if !state.store.remove_member(design, user.id).await.map_err(last_owner)? {
        return Err(Problem::not_found("not_a_member", "This person is not a member of the design."));
    }
    tell_hub(&state, design, &user, None).await;
    tracing::info!(%design, by = %caller.user, user = %user.id, "a member was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Open sockets follow what the person may do now, platform role included: an admin without membership still may.
async fn tell_hub(state: &AppState, design: DesignId, user: &User, role: Option<DesignRole>) {
    state.hub.role_changed(design, user.id, effective_design_role(user.role, role)).await;
}

async fn find_user(state: &AppState, name: &str) -> Result<Option<User>> {
    Ok(match name.parse() {
        Ok(id) => state.store.user(id).await?,
        Err(_) => state.store.user_by_email(&normal_email(name)).await?,
    })
}

fn no_such_user() -> Problem {
    Problem::not_found("no_such_user", "Nobody here has this id or e-mail address.")
}

fn last_owner(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict(_) => Problem::conflict("last_owner", "A design keeps at least one owner."),
        other => other.into(),
    }
}
