//! `/api/v1/designs`: list, create, delete. Reading one is `http/snapshot.rs`, changing one `http/edit.rs`.

use std::collections::HashSet;

use atlas_crdt::design::{self, NewDesign as Document};
use atlas_crdt::ids::AppendId;
use atlas_crdt::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use atlas_crdt::roles::{DesignRole, PlatformRole};
use atlas_crdt::room::Claim;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{DesignParam, DesignPath, Query, Signed, authorise, read_body, read_json, require_json};
use super::openapi::snapshot::DesignElement;
use super::openapi::{problems, words};
use super::problem::{Problem, Result};
use super::{AppState, edit, snapshot};
use crate::auth::{Action, Caller, effective_design_role, permits};
use crate::store::{DesignRow, ListDesigns, NewDesign};

/// Designs on a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Designs on a page at most.
const PAGE_MAX: usize = 200;
/// Bytes. The body of a new design, and of a change to one.
pub const DESIGN_BYTES_MAX: usize = 10 << 20;
/// Characters. What is looked for in names.
const SEARCH_CHARS_MAX: usize = NAME_CHARS_MAX;

// The bounds that the OpenAPI document names below as literals.
const _: () = assert!(PAGE_DEFAULT == 50 && PAGE_MAX == 200 && SEARCH_CHARS_MAX == 255);
const _: () = assert!(NAME_CHARS_MAX == 255 && DESCRIPTION_CHARS_MAX == 5_000);

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(
        snapshot::read_json,
        edit::replace,
        edit::patch,
        delete
    ))
}

/// A design without its content.
#[derive(Serialize, ToSchema)]
#[schema(as = Design)]
struct DesignJson {
    #[schema(format = Uuid)]
    id: String,
    name: String,
    #[schema(required)]
    description: Option<String>,
    /// The user who created it, or who has owned it longest since.
    #[schema(format = Uuid)]
    owner: String,
    /// What the caller may do with it, platform role and membership put together.
    #[schema(value_type = words::DesignRole)]
    role: DesignRole,
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
    /// Time of the newest edit.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: time::OffsetDateTime,
    /// Place of the newest edit in the log.
    seq: u64,
}

impl DesignJson {
    /// `None` for who may not read it, and so gets no row of it.
    fn of(row: DesignRow, caller: &Caller, membership: Option<DesignRole>) -> Option<Self> {
        Some(Self {
            role: effective_design_role(caller.role, membership)?,
            id: row.id.to_string(),
            name: row.name,
            description: row.description,
            owner: row.owner.to_string(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            seq: row.head_seq.get(),
        })
    }
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = DesignPage)]
struct PageJson {
    items: Vec<DesignJson>,
    /// For the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Designs on the page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
    /// A part of the name, whatever its case.
    #[param(max_length = 255, nullable = false)]
    q: Option<String>,
}

/// List designs
///
/// Newest change first. Admins and auditors see every design, others those that they take part in.
#[utoipa::path(get, path = "/api/v1/designs", operation_id = "listDesigns", tag = "designs",
    params(ListQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "One page of them.", body = PageJson),
        (status = 400, description = "A query parameter that cannot be used.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::SignedTrouble))]
async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::validation("limit", format!("is 1 to {PAGE_MAX}")));
    }
    let name_contains = query.q.filter(|q| !q.is_empty());
    if name_contains.as_ref().is_some_and(|q| SEARCH_CHARS_MAX < q.chars().count()) {
        return Err(Problem::validation("q", format!("has {SEARCH_CHARS_MAX} characters at most")));
    }
    let sees_all = matches!(caller.role, PlatformRole::Admin | PlatformRole::Auditor);
    let visible_to = (!sees_all).then_some(caller.user);
    let page = state
        .store
        .list_designs(ListDesigns { visible_to, name_contains, limit, cursor: query.cursor })
        .await?;
    let items = page.items.into_iter().filter_map(|design| DesignJson::of(design.row, &caller, design.role));
    let body = PageJson { items: items.collect(), next_cursor: page.next };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDesign)]
struct CreateBody {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 5000)]
    description: Option<String>,
    #[serde(default)]
    #[schema(value_type = Vec<DesignElement>, required = false)]
    nodes: Vec<Map<String, Value>>,
    #[serde(default)]
    #[schema(value_type = Vec<DesignElement>, required = false)]
    edges: Vec<Map<String, Value>>,
}

/// Create a design
///
/// Nodes and edges carry `id`; everything else in them is kept as it is. The body may have 10 MiB.
#[utoipa::path(post, path = "/api/v1/designs", operation_id = "createDesign", tag = "designs",
    security(("bearer" = [])), request_body = CreateBody,
    responses(
        (status = 201, description = "The design.", body = DesignJson,
            headers(("Location" = String, description = "Of the design."))),
        (status = 403, description = "The caller's role does not permit creating designs.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::SignedTrouble, problems::BodyTrouble))]
async fn create(State(state): State<AppState>, Signed(caller): Signed, request: Request) -> Result<Response> {
    require_may_create(&caller)?;
    require_json(request.headers())?;
    let body = read_body(request.into_body(), DESIGN_BYTES_MAX, &state.bodies).await?;
    let (row, ()) = store_new(&state, &caller, move || Ok((document_of(&body.bytes)?, ()))).await?;
    let location = format!("/api/v1/designs/{}", row.id);
    let headers = [(CACHE_CONTROL, "private, no-cache".to_owned()), (LOCATION, location)];
    // Who creates a design owns it.
    let design = DesignJson::of(row, &caller, Some(DesignRole::Owner));
    Ok((StatusCode::CREATED, headers, Json(design)).into_response())
}

fn document_of(bytes: &[u8]) -> Result<Document> {
    let body: CreateBody = read_json(bytes)?;
    Ok(Document {
        name: valid_name(&body.name)?,
        description: valid_description(body.description)?,
        meta: Map::new(),
        nodes: with_ids("nodes", body.nodes)?,
        edges: with_ids("edges", body.edges)?,
    })
}

/// Delete a design
///
/// Erases it with all its history; open sockets are closed with 4404.
#[utoipa::path(delete, path = "/api/v1/designs/{design}", operation_id = "deleteDesign", tag = "designs",
    params(DesignParam), security(("bearer" = [])),
    responses((status = 204, description = "It is gone."), problems::DesignTrouble))]
async fn delete(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
) -> Result<StatusCode> {
    authorise(&state, &caller, design, Action::DesignDelete).await?;
    if !state.store.delete_design(design).await? {
        return Err(Problem::no_such_design());
    }
    state.hub.deleted(design).await;
    tracing::info!(%design, by = %caller.user, "a design was deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// 403 for who could not even write to a design of their own.
pub fn require_may_create(caller: &Caller) -> Result<()> {
    if permits(caller.role, Some(DesignRole::Owner), Action::DesignWrite) {
        Ok(())
    } else {
        Err(Problem::forbidden("Your role does not permit creating designs."))
    }
}

/// Makes the document and stores it as a new design of the caller's. `make` reads what the caller sent, with whatever
/// else there is to tell about it.
pub async fn store_new<T: Send + 'static>(
    state: &AppState,
    caller: &Caller,
    make: impl FnOnce() -> Result<(Document, T)> + Send + 'static,
) -> Result<(DesignRow, T)> {
    // The id that writes the first update writes nothing else, ever.
    let client = state.ids.client();
    let work = state.heavy.run(move || {
        let (document, told) = make()?;
        let first = design::create(client, &document);
        let first = first.map_err(|error| Problem::validation("design", error.to_string()))?;
        Result::Ok((document.name, document.description, first, told))
    });
    let (name, description, first, told) = work.await??;
    let new = NewDesign {
        id: state.ids.design(),
        owner: caller.user,
        name,
        description,
        first,
        claims: vec![Claim { client, user: None }],
        append_id: AppendId::from_u128(state.ids.append_salt()),
        now: state.clock.utc(),
    };
    let row = state.store.create_design(new).await?;
    state.analysing.hints.waits();
    tracing::info!(design = %row.id, by = %caller.user, "a design was created");
    Ok((row, told))
}

/// The name without white space around it.
pub fn valid_name(name: &str) -> Result<String> {
    let name = name.trim();
    match name.chars().count() {
        1..=NAME_CHARS_MAX => Ok(name.to_owned()),
        _ => Err(Problem::validation("name", format!("has 1 to {NAME_CHARS_MAX} characters"))),
    }
}

fn valid_description(description: Option<String>) -> Result<Option<String>> {
    match &description {
        Some(text) if DESCRIPTION_CHARS_MAX < text.chars().count() => {
            Err(Problem::validation("description", format!("has {DESCRIPTION_CHARS_MAX} characters at most")))
        }
        _ => Ok(description),
    }
}

/// Takes the ids out of the elements, where the document keeps them as keys.
pub fn with_ids(list: &str, elements: Vec<Map<String, Value>>) -> Result<Vec<(String, Map<String, Value>)>> {
    let mut seen = HashSet::new();
    let mut with_ids = Vec::with_capacity(elements.len());
    for (at, mut element) in elements.into_iter().enumerate() {
        let Some(Value::String(id)) = element.remove("id") else {
            return Err(Problem::validation(&format!("{list}[{at}].id"), "is a string"));
        };
        if !seen.insert(id.clone()) {
            return Err(Problem::validation(&format!("{list}[{at}].id"), "stands twice in the list"));
        }
        with_ids.push((id, element));
    }
    Ok(with_ids)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(value: Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn ids_become_keys_and_must_be_distinct_strings() {
        let good = with_ids("nodes", objects(json!([{ "id": "a", "x": 1 }, { "id": "b" }]))).unwrap();
        assert_eq!(good[0].0, "a");
        assert_eq!(good[0].1, *json!({ "x": 1 }).as_object().unwrap());
        for bad in [json!([{}]), json!([{ "id": 1 }]), json!([{ "id": "a" }, { "id": "a" }])] {
            assert!(with_ids("nodes", objects(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(valid_name("  Plan B ").unwrap(), "Plan B");
        assert_eq!(valid_name(&"ä".repeat(NAME_CHARS_MAX)).unwrap().chars().count(), NAME_CHARS_MAX);
        assert!(valid_name("   ").is_err());
        assert!(valid_name(&"a".repeat(NAME_CHARS_MAX + 1)).is_err());
        assert!(valid_description(Some("a".repeat(DESCRIPTION_CHARS_MAX + 1))).is_err());
    }
}
