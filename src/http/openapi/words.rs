//! The words for roles as the OpenAPI document lists them. Whose they are, the core, knows nothing of such documents.

use atlas_crdt::roles;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::problems::words;

/// Stands for [`roles::DesignRole`].
#[derive(Debug)]
pub struct DesignRole;

impl PartialSchema for DesignRole {
    fn schema() -> RefOr<Schema> {
        use roles::DesignRole::{Commenter, Editor, Owner, Viewer};
        let all = [Owner, Editor, Commenter, Viewer];
        words("What somebody may do with one design.", all.into_iter().map(roles::DesignRole::as_str))
    }
}

impl ToSchema for DesignRole {}

/// Stands for [`roles::PlatformRole`].
#[derive(Debug)]
pub struct PlatformRole;

impl PartialSchema for PlatformRole {
    fn schema() -> RefOr<Schema> {
        use roles::PlatformRole::{Admin, Architect, Auditor, Viewer};
        let all = [Admin, Architect, Viewer, Auditor];
        let description = "What somebody may do on the platform as a whole.";
        words(description, all.into_iter().map(roles::PlatformRole::as_str))
    }
}

impl ToSchema for PlatformRole {}
