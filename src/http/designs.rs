//! `/api/v1/designs`: list, create, delete. Reading one is `http/snapshot.rs`, changing one `http/edit.rs`.

use std::collections::HashSet;

use atlas_crdt::design::{self, NewDesign as Document};
use atlas_crdt::ids::AppendId;
use atlas_crdt::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use atlas_crdt::roles::{DesignRole, PlatformRole};
use atlas_crdt::room::Claim;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::extract::{DesignPath, Query, Signed, authorise, read_body, read_json, require_json};
use super::problem::{Problem, Result};
use super::{AppState, edit, snapshot};
use crate::auth::{Action, Caller, permits};
use crate::store::{DesignRow, ListDesigns, NewDesign};

/// Designs on a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Designs on a page at most.
const PAGE_MAX: usize = 200;
/// Bytes. The body of a new design, and of a change to one.
pub const DESIGN_BYTES_MAX: usize = 10 << 20;
/// Characters. What is looked for in names.
const SEARCH_CHARS_MAX: usize = NAME_CHARS_MAX;

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/designs", get(list).post(create)).route(
        "/api/v1/designs/{design}",
        get(snapshot::read_json).put(edit::replace).patch(edit::patch).delete(delete),
    )
}

/// A design without its content.
#[derive(Serialize)]
struct DesignJson {
    id: String,
    name: String,
    description: Option<String>,
    /// The user who created it.
    owner: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
    /// Time of the newest edit.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: time::OffsetDateTime,
    /// Place of the newest edit in the log.
    seq: u64,
}

impl From<DesignRow> for DesignJson {
    fn from(row: DesignRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            description: row.description,
            owner: row.owner.to_string(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            seq: row.head_seq.get(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    q: Option<String>,
}

/// GET: `{items: [design], next_cursor}`, newest change first. Admins and auditors see every design, others theirs.
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
    let items: Vec<DesignJson> = page.items.into_iter().map(DesignJson::from).collect();
    let body = json!({ "items": items, "next_cursor": page.next });
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    nodes: Vec<Map<String, Value>>,
    #[serde(default)]
    edges: Vec<Map<String, Value>>,
}

/// POST `{name, description?, nodes?, edges?}`: 201 with the design and its `Location`. Nodes and edges carry `id`;
/// everything else in them is kept as it is.
async fn create(State(state): State<AppState>, Signed(caller): Signed, request: Request) -> Result<Response> {
    require_may_create(&caller)?;
    require_json(request.headers())?;
    let body = read_body(request.into_body(), DESIGN_BYTES_MAX, &state.bodies).await?;
    let (row, ()) = store_new(&state, &caller, move || Ok((document_of(&body.bytes)?, ()))).await?;
    let location = format!("/api/v1/designs/{}", row.id);
    let headers = [(CACHE_CONTROL, "private, no-cache".to_owned()), (LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(DesignJson::from(row))).into_response())
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

/// DELETE: 204. Erases the design with all its history; open sockets are closed with 4404.
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
