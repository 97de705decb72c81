//! Problem documents as the OpenAPI document describes them, and which statuses a kind of request can end with.
//!
//! The groups are named in the `responses(…)` of each operation beside its own answers.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::http::problem::codes::CODES;

/// An error (RFC 9457). `error` and `details` are what clients of the older API know.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only described; problem.rs writes it")]
pub struct Problem {
    /// `urn:atlas-collab:problem:` and the code.
    #[schema(rename = "type")]
    kind: String,
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// For people: what is wrong, and what to do.
    detail: String,
    code: ErrorCode,
    /// The same as `title`.
    error: String,
    /// What exactly is wrong, if there is more to say.
    details: Vec<ProblemDetail>,
}

#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum ProblemDetail {
    /// A field, or a query parameter, that cannot be used.
    Field { field: String, message: String },
    /// What was sent is larger than this.
    Size { max_bytes: u64 },
    /// The tag of the design as it is, when `If-Match` names another.
    Stale { current: String },
}

/// A stable word for programs.
#[derive(Debug)]
pub struct ErrorCode;

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        words("A stable word for programs.", CODES.iter().copied())
    }
}

impl ToSchema for ErrorCode {}

/// One of a few words.
pub fn words(description: &str, words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(description))
        .enum_values(Some(words))
        .into()
}

/// What may happen to every request.
#[derive(Debug)]
pub struct Trouble;
/// Beside it: the request is not signed.
#[derive(Debug)]
pub struct SignedTrouble;
/// Beside that: it is about a design, which may not exist or not be the caller's to use.
#[derive(Debug)]
pub struct DesignTrouble;
/// A JSON body that cannot be used.
#[derive(Debug)]
pub struct BodyTrouble;

impl IntoResponses for Trouble {
    fn responses() -> Responses {
        problems([(500, "Ours to mend."), (503, "Passes by itself: see `Retry-After`.")])
    }
}

impl IntoResponses for SignedTrouble {
    fn responses() -> Responses {
        let mut responses = Trouble::responses();
        responses.extend(problems([(401, "No access token, or one that is not good any more.")]));
        responses
    }
}

impl IntoResponses for DesignTrouble {
    fn responses() -> Responses {
        let mut responses = SignedTrouble::responses();
        responses.extend(problems([
            (403, "The caller's role does not permit it."),
            (404, "There is no such design."),
        ]));
        responses
    }
}

impl IntoResponses for BodyTrouble {
    fn responses() -> Responses {
        problems([
            (400, "Not JSON, or a field that cannot be used."),
            (413, "The body is too large."),
            (415, "The body does not say that it is JSON."),
        ])
    }
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems<const N: usize>(statuses: [(u16, &str); N]) -> Responses {
    statuses.map(|(status, description)| (status.to_string(), problem(description).into())).into()
}

fn problem(description: &str) -> Response {
    let schema = RefOr::<Schema>::Ref(utoipa::openapi::Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", Content::new(Some(schema)))
        .build()
}
