//! PUT and PATCH `/api/v1/designs/{design}`: a change of a design, made as one transaction in its live room.
//!
//! Open canvases follow it like anybody's edit; the answer comes after the commit. `If-Match` is compared inside the room, in
//! the same step as the write. What a room decides about an edit is in `crdt/src/room/edit.rs`, how a change is understood in
//! `crdt/src/design/change.rs`.

use atlas_crdt::design::{Change, ElementPatch, Patch, Replacement};
use atlas_crdt::ids::{DesignId, Generation, Seq};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{EditOutcome, Edited, Expected, Tag};
use atlas_crdt::schema::{META, META_DESCRIPTION, META_NAME, SCHEMA_VERSION};
use atlas_crdt::view::hex;
use atlas_crdt::wire::{CloseCode, RefusalCode};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG, IF_MATCH};
use http::{HeaderMap, StatusCode};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::AppState;
use super::designs::{DESIGN_BYTES_MAX, valid_name, with_ids};
use super::extract::{DesignParam, DesignPath, Signed, authorise, read_body, read_json, require_json};
use super::openapi::problems;
use super::openapi::snapshot::DesignElement;
use super::problem::{Problem, Result};
use super::snapshot::json_etag;
use crate::auth::{Action, Caller, effective_design_role};
use crate::hub::edit::{EditError, NewEdit};

/// Seconds. When to try again what was not taken up.
const RETRY_AFTER_S: u64 = 2;

/// PUT: a whole design. A snapshot as it was read is one, too: what the server computes itself is not looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DesignReplacement)]
struct ReplaceBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[schema(value_type = Vec<DesignElement>)]
    nodes: Vec<Map<String, Value>>,
    #[schema(value_type = Vec<DesignElement>)]
    edges: Vec<Map<String, Value>>,
    /// When it is there, it is all of it.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    meta: Option<Map<String, Value>>,
    /// 1, if it is there.
    #[serde(default)]
    schema_version: Option<u64>,
    /// This design's, if it is there.
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of a snapshot, and nobody's to set")]
    epoch: Option<u64>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of a snapshot, and nobody's to set")]
    seq: Option<u64>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of a snapshot, and nobody's to set")]
    content_hash: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of a snapshot, and nobody's to set")]
    integrity: Option<Value>,
}

/// PATCH: parts of a design. Null removes a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DesignPatch)]
struct PatchBody {
    #[serde(default, deserialize_with = "object")]
    #[schema(required = false)]
    nodes: ElementsBody,
    #[serde(default, deserialize_with = "object")]
    #[schema(required = false)]
    edges: ElementsBody,
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>, required = false)]
    meta: Map<String, Value>,
}

/// What becomes of the nodes, or of the edges.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ElementsPatch)]
struct ElementsBody {
    /// Each with its `id`.
    #[serde(default)]
    #[schema(value_type = Vec<DesignElement>, required = false)]
    upsert: Vec<Map<String, Value>>,
    /// Ids.
    #[serde(default)]
    #[schema(required = false)]
    remove: Vec<String>,
}

/// Serde takes a list for an object of the same length, and an empty one for an empty object: a list of nodes is no patch.
fn object<'de, D: Deserializer<'de>>(body: D) -> std::result::Result<ElementsBody, D::Error> {
    let object = Map::<String, Value>::deserialize(body)?;
    ElementsBody::deserialize(Value::Object(object)).map_err(D::Error::custom)
}

/// The same for a body as a whole.
fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        return Err(Problem::validation("body", "is an object, not a list"));
    }
    read_json(bytes)
}

/// The design after the change.
#[derive(Serialize, ToSchema)]
#[schema(as = EditedDesign)]
struct EditedJson {
    #[schema(format = Uuid)]
    id: String,
    name: String,
    /// The change's place in the log.
    seq: u64,
    content_hash: String,
    /// Whether there was anything to change.
    changed: bool,
    /// The edges of the request that are kept and not shown.
    hidden_edges: Vec<HiddenEdgeJson>,
}

/// An edge whose nodes are not all there.
#[derive(Serialize, ToSchema)]
#[schema(as = EditedHiddenEdge)]
struct HiddenEdgeJson {
    edge: String,
    /// Ids of nodes.
    missing: Vec<String>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; `if_match` reads it")]
struct IfMatch {
    /// The `ETag` of the design as the caller knows it, or `*`.
    #[param(rename = "If-Match")]
    if_match: String,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; `if_match` reads it")]
struct PerhapsIfMatch {
    /// The `ETag` of the design as the caller knows it. Without it the patch is made to whatever the design is.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
}

/// Replace a design
///
/// The design becomes what the body says; only what differs is written. The snapshot as it was read is such a body, too.
#[utoipa::path(put, path = "/api/v1/designs/{design}", operation_id = "replaceDesign", tag = "designs",
    params(DesignParam, IfMatch), security(("bearer" = [])), request_body = ReplaceBody,
    responses(
        (status = 200, description = "The design after the change.", body = EditedJson,
            headers(("ETag" = String, description = "A hash of the content."))),
        (status = 409, description = "The design may not become that.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The design is another by now; `details` has its tag.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 428, description = "No `If-Match`.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble, problems::BodyTrouble))]
pub async fn replace(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    request: Request,
) -> Result<Response> {
    let role = role_of_editor(&state, &caller, design).await?;
    let Some(expected) = if_match(request.headers())? else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "Precondition required",
            "A design is replaced as a whole only by who knows what it is: send the ETag that you read as If-Match.",
        ));
    };
    let read = move |bytes: &[u8]| replacement_of(design, bytes);
    edit(&state, Editor { caller, role, design }, Some(expected), request, read).await
}

/// Change parts of a design
///
/// The named parts change, everything else stays: `upsert` merges the keys of an element and of its `data`, null removes
/// one; `remove` takes a node's edges with it.
#[utoipa::path(patch, path = "/api/v1/designs/{design}", operation_id = "patchDesign", tag = "designs",
    params(DesignParam, PerhapsIfMatch), security(("bearer" = [])), request_body = PatchBody,
    responses(
        (status = 200, description = "The design after the change.", body = EditedJson,
            headers(("ETag" = String, description = "A hash of the content."))),
        (status = 409, description = "The design may not become that.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The design is another by now; `details` has its tag.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble, problems::BodyTrouble))]
pub async fn patch(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    request: Request,
) -> Result<Response> {
    let role = role_of_editor(&state, &caller, design).await?;
    let expected = if_match(request.headers())?;
    edit(&state, Editor { caller, role, design }, expected, request, patch_of).await
}

struct Editor {
    caller: Caller,
    role: DesignRole,
    design: DesignId,
}

async fn role_of_editor(state: &AppState, caller: &Caller, design: DesignId) -> Result<DesignRole> {
    let role = authorise(state, caller, design, Action::DesignWrite).await?;
    Ok(effective_design_role(caller.role, role).unwrap_or(DesignRole::Viewer))
}

async fn edit(
    state: &AppState,
    Editor { caller, role, design }: Editor,
    expected: Option<Expected>,
    request: Request,
    read: impl FnOnce(&[u8]) -> Result<Change> + Send + 'static,
) -> Result<Response> {
    require_json(request.headers())?;
    let body = read_body(request.into_body(), DESIGN_BYTES_MAX, &state.bodies).await?;
    let space = state.hub.edit_space(body.bytes.len()).await.map_err(not_taken_up)?;
    let checked = state.heavy.run(move || {
        let change = read(&body.bytes)?;
        change.check().map_err(|error| unfit(&error.to_string()))?;
        Result::Ok(change)
    });
    let change = checked.await??;
    let new = NewEdit { user: caller.user, role, expected, change };
    let outcome = state.hub.edit(design, new, space).await.map_err(not_taken_up)?;
    match outcome {
        EditOutcome::Done(edited) => Ok(done(design, edited)),
        other => Err(problem_of(other)),
    }
}

fn replacement_of(design: DesignId, bytes: &[u8]) -> Result<Change> {
    let body: ReplaceBody = read_object(bytes)?;
    if body.id.is_some_and(|id| id != design.to_string()) {
        return Err(Problem::validation("id", "is the id of another design"));
    }
    if body.schema_version.is_some_and(|version| version != SCHEMA_VERSION) {
        return Err(Problem::validation("schema_version", format!("is {SCHEMA_VERSION}")));
    }
    let meta_is_whole = body.meta.is_some();
    let mut meta = body.meta.unwrap_or_default();
    for (key, text) in [(META_NAME, body.name), (META_DESCRIPTION, body.description)] {
        let Some(text) = text else { continue };
        match meta.get(key) {
            Some(in_meta) if in_meta.as_str() != Some(&text) => {
                let message = format!("differs from {META}.{key}: send one of them, or both alike");
                return Err(Problem::validation(key, message));
            }
            Some(_) => {}
            None if key == META_NAME => drop(meta.insert(key.to_owned(), valid_name(&text)?.into())),
            None => drop(meta.insert(key.to_owned(), text.into())),
        }
    }
    if let Some(Value::String(name)) = meta.get(META_NAME) {
        valid_name(name)?;
    }
    Ok(Change::Replace(Replacement {
        nodes: with_ids("nodes", body.nodes)?,
        edges: with_ids("edges", body.edges)?,
        meta,
        meta_is_whole,
    }))
}

fn patch_of(bytes: &[u8]) -> Result<Change> {
    let PatchBody { nodes, edges, mut meta } = read_object(bytes)?;
    if let Some(Value::String(name)) = meta.get_mut(META_NAME) {
        *name = valid_name(name)?;
    }
    let nodes = ElementPatch { upsert: with_ids("nodes.upsert", nodes.upsert)?, remove: nodes.remove };
    let edges = ElementPatch { upsert: with_ids("edges.upsert", edges.upsert)?, remove: edges.remove };
    Ok(Change::Patch(Patch { nodes, edges, meta }))
}

/// `If-Match` (RFC 9110 section 13.1.1: strong comparison). A tag that we did not make names no state of a design.
fn if_match(headers: &HeaderMap) -> Result<Option<Expected>> {
    let unreadable = || Problem::validation("If-Match", "is `*`, or a list of tags in double quotes");
    let mut tags = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(IF_MATCH) {
        is_there = true;
        for part in value.to_str().map_err(|_| unreadable())?.split(',').map(str::trim) {
            if part == "*" {
                return Ok(Some(Expected::Any));
            }
            let (is_weak, quoted) = part.strip_prefix("W/").map_or((false, part), |rest| (true, rest));
            let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let opaque = opaque.ok_or_else(unreadable)?;
            tags.extend(tag(opaque).filter(|_| !is_weak));
        }
    }
    Ok(is_there.then_some(Expected::OneOf(tags)))
}

fn tag(opaque: &str) -> Option<Tag> {
    if let Some(hash) = opaque.strip_prefix("j-") {
        let mut content_hash = [0; 32];
        if hash.len() != 64 || !hash.is_ascii() {
            return None;
        }
        for (at, byte) in content_hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hash.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        return Some(Tag::Json { content_hash });
    }
    let (generation, seq) = opaque.strip_prefix("y-")?.split_once('-')?;
    let (generation, seq) = (generation.parse().ok()?, seq.parse().ok()?);
    Some(Tag::Yjs { generation: Generation::new(generation), seq: Seq::new(seq) })
}

fn done(design: DesignId, edited: Edited) -> Response {
    let Edited { seq, has_changed, content_hash, name, hidden_edges } = edited;
    let hidden_edges = hidden_edges.into_iter().map(|(edge, missing)| HiddenEdgeJson { edge, missing });
    let body = EditedJson {
        id: design.to_string(),
        name,
        seq: seq.get(),
        content_hash: hex(&content_hash),
        changed: has_changed,
        hidden_edges: hidden_edges.collect(),
    };
    let headers = [(ETAG, json_etag(&content_hash)), (CACHE_CONTROL, "private, no-cache".to_owned())];
    (headers, Json(body)).into_response()
}

fn problem_of(outcome: EditOutcome) -> Problem {
    match outcome {
        EditOutcome::Stale { content_hash } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "stale",
            "Stale",
            "The design is not what If-Match says: somebody has changed it. Nothing was changed; read it again.",
        )
        .with_details(json!([{ "current": json_etag(&content_hash) }])),
        EditOutcome::Refused { code, message } => refused(code, &message),
        EditOutcome::Unfit { message } => unfit(&message),
        EditOutcome::TurnedAway { code: CloseCode::NoSuchDesign, .. } => Problem::no_such_design(),
        EditOutcome::TurnedAway { code: CloseCode::Restarting, .. } => not_taken_up(EditError::Draining),
        EditOutcome::TurnedAway { reason, .. } => Problem::unavailable(
            "overloaded",
            &format!("Nothing was changed, and this request will not change anything: {reason}. Try again."),
            RETRY_AFTER_S,
        ),
        EditOutcome::Done(_) | EditOutcome::Unknown => Problem::unavailable(
            "outcome_unknown",
            "The change is on its way into storage that is in trouble: it may still be made. Read the design before you \
             try again.",
            RETRY_AFTER_S,
        ),
    }
}

/// The words are those of the socket, where they are no other status already.
fn refused(code: RefusalCode, message: &str) -> Problem {
    let detail = format!("Nothing was changed: {message}.");
    match code {
        RefusalCode::NotPermitted => Problem::forbidden(detail),
        RefusalCode::ReadOnly => Problem::conflict("read_only", detail),
        RefusalCode::TooLarge => Problem::conflict("design_too_large", detail),
        RefusalCode::TooMany => Problem::conflict("too_many", detail),
        _ => Problem::conflict("rejected", detail),
    }
}

/// `text` begins with the place.
fn unfit(text: &str) -> Problem {
    let (place, rule) = text.split_once(": ").unwrap_or(("design", text));
    Problem::validation(place, rule)
}

fn not_taken_up(error: EditError) -> Problem {
    match error {
        EditError::Draining => Problem::unavailable(
            "draining",
            "This server is restarting. Nothing was changed; try again.",
            RETRY_AFTER_S,
        ),
        EditError::Busy => Problem::unavailable(
            "overloaded",
            "Too much is asked of this design or this server at this moment. Nothing was changed; try again.",
            RETRY_AFTER_S,
        ),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn expected(values: &[&str]) -> Result<Option<Expected>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        if_match(&headers)
    }

    #[test]
    fn if_match_is_a_list_compared_strongly() {
        let json = Tag::Json { content_hash: [0xab; 32] };
        let yjs = Tag::Yjs { generation: Generation::new(1), seq: Seq::new(42) };
        let j = format!("\"j-{}\"", "ab".repeat(32));
        for (values, tags) in [
            (vec![j.as_str()], vec![json]),
            (vec!["\"y-1-42\""], vec![yjs]),
            (vec![&*format!("\"x\", {j}"), "\"y-1-42\""], vec![json, yjs]),
            (vec![&*format!("W/{j}")], vec![]),
            (vec!["\"j-abc\", \"y-1\", \"y-a-1\", \"\""], vec![]),
        ] {
            assert_eq!(expected(&values).unwrap(), Some(Expected::OneOf(tags)), "{values:?}");
        }
        assert_eq!(expected(&["\"x\"", "*"]).unwrap(), Some(Expected::Any));
        assert_eq!(expected(&[]).unwrap(), None);
        for bad in ["j-ab", "", "\"", "\"a", "\"a\",,"] {
            assert_eq!(expected(&[bad]).unwrap_err().status(), StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(tag(&format!("j-{}", "é".repeat(32))), None);
    }

    fn replacement(body: &Value) -> Result<Change> {
        replacement_of(DesignId::from_u128(7), body.to_string().as_bytes())
    }

    #[test]
    fn a_whole_design_may_say_its_name_in_two_places_but_not_two_names() {
        let body = |name: &str, meta: Value| json!({"name": name, "nodes": [], "edges": [], "meta": meta});
        let Ok(Change::Replace(new)) = replacement(&body(" Shop ", json!({"x": 1}))) else { panic!() };
        assert_eq!(Value::Object(new.meta), json!({"name": "Shop", "x": 1}));
        assert!(new.meta_is_whole);
        assert!(replacement(&body("Shop", json!({"name": "Shop"}))).is_ok());
        for (name, meta) in
            [("Shop", json!({"name": "Market"})), ("Shop", json!({"name": null})), ("  ", json!({}))]
        {
            assert!(replacement(&body(name, meta.clone())).is_err(), "{name:?} {meta}");
        }
        let Ok(Change::Replace(new)) = replacement(&json!({"nodes": [], "edges": []})) else { panic!() };
        assert!(!new.meta_is_whole && new.meta.is_empty());
    }

    #[test]
    fn what_is_another_designs_is_not_put_over_this_one() {
        let whole = |id: &str, version: u64| json!({"id": id, "schema_version": version, "epoch": 1, "seq": 2, "content_hash": "", "integrity": {}, "nodes": [], "edges": []});
        assert!(replacement(&whole(&DesignId::from_u128(7).to_string(), 1)).is_ok());
        assert!(replacement(&whole(&DesignId::from_u128(8).to_string(), 1)).is_err());
        assert!(replacement(&whole(&DesignId::from_u128(7).to_string(), 2)).is_err());
        assert!(replacement(&json!({"nodes": [], "edges": [], "colour": 1})).is_err());
        assert!(replacement(&json!({"nodes": []})).is_err());
        assert!(patch_of(b"{}").is_ok());
        assert!(patch_of(br#"{"nodes": {"upsert": [{}]}}"#).is_err());
        for bad in [r#"{"name": "x"}"#, "[]", r#"{"nodes": []}"#, r#"{"meta": {}, "meta": {}}"#, "{"] {
            assert!(patch_of(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
