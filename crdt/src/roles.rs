//! Who may do what, as plain words that the room, the store and the tokens share. The table of permissions itself
//! stands with the server's `auth`.

/// What somebody may do with one design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DesignRole {
    Viewer,
    Commenter,
    Editor,
    Owner,
}

impl DesignRole {
    /// May change nodes, edges and meta.
    #[must_use]
    pub const fn may_edit(self) -> bool {
        matches!(self, Self::Editor | Self::Owner)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Commenter => "commenter",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }
}

impl std::str::FromStr for DesignRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "commenter" => Ok(Self::Commenter),
            "editor" => Ok(Self::Editor),
            "owner" => Ok(Self::Owner),
            _ => Err(UnknownRole),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an unknown role")]
pub struct UnknownRole;

/// What somebody may do on the platform as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlatformRole {
    /// Everything, on every design.
    Admin,
    /// Creates designs and edits those shared with them.
    Architect,
    /// Reads what is shared with them.
    Viewer,
    /// Reads everything, the audit log included; changes nothing.
    Auditor,
}

impl PlatformRole {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Architect => "architect",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }
}

impl std::str::FromStr for PlatformRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "admin" => Ok(Self::Admin),
            "architect" => Ok(Self::Architect),
            "viewer" => Ok(Self::Viewer),
            "auditor" => Ok(Self::Auditor),
            _ => Err(UnknownRole),
        }
    }
}
