//! `/api/v1/designs/{design}/members`: who takes part in a design, and as what.
//!
//! Any member sees the list; owners change it. People are named by user id or by e-mail address. The last owner can
//! neither leave nor be demoted. A change reaches open sockets at once.

use atlas_crdt::ids::DesignId;
use atlas_crdt::roles::DesignRole;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::accounts::normal_email;
use super::extract::{DesignParam, DesignPath, JsonBody, Signed, authorise};
use super::openapi::{problems, words};
use super::problem::{Problem, Result};
use crate::auth::{Action, effective_design_role};
use crate::store::{Member, StoreError, User};

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set, remove))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberRole)]
struct RoleBody {
    #[schema(value_type = words::DesignRole)]
    role: DesignRole,
}

/// Somebody who takes part in a design.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberJson {
    #[schema(format = Uuid)]
    user: String,
    email: String,
    #[schema(required)]
    name: Option<String>,
    #[schema(value_type = words::DesignRole)]
    role: DesignRole,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Members)]
struct MembersJson {
    items: Vec<MemberJson>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only described")]
struct UserParam {
    /// A user id or an e-mail address.
    user: String,
}

impl From<Member> for MemberJson {
    fn from(member: Member) -> Self {
        Self { user: member.user.to_string(), email: member.email, name: member.name, role: member.role }
    }
}

/// List a design's members
#[utoipa::path(get, path = "/api/v1/designs/{design}/members", operation_id = "listMembers", tag = "members",
    params(DesignParam), security(("bearer" = [])),
    responses((status = 200, description = "All of them.", body = MembersJson), problems::DesignTrouble))]
async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let members = state.store.members(design).await?;
    let body = MembersJson { items: members.into_iter().map(MemberJson::from).collect() };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

/// Add a member, or set a member's role
///
/// Reaches open sockets at once. 404 `no_such_user` when nobody has this id or address.
#[utoipa::path(put, path = "/api/v1/designs/{design}/members/{user}", operation_id = "setMember", tag = "members",
    params(DesignParam, UserParam), security(("bearer" = [])), request_body = RoleBody,
    responses(
        (status = 200, description = "The member.", body = MemberJson),
        (status = 409, description = "It would leave the design without an owner.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble, problems::BodyTrouble))]
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

/// Remove a member, or leave
///
/// Owners remove others, everybody may leave. 404 `not_a_member` when the user is none.
#[utoipa::path(delete, path = "/api/v1/designs/{design}/members/{user}", operation_id = "removeMember",
    tag = "members", params(DesignParam, UserParam), security(("bearer" = [])),
    responses(
        (status = 204, description = "Is no member any more."),
        (status = 409, description = "The last owner stays.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble))]
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
