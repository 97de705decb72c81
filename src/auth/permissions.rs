//! The table of permissions. A right needs both halves: what the platform role allows anywhere, and what the role on
//! this design allows here. Two platform roles need no membership: an admin may everything, an auditor may read
//! everything.

use atlas_crdt::roles::{DesignRole, PlatformRole};

/// Something that needs permission, under its name in tokens and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// `design:read`
    DesignRead,
    /// `design:write`; creating one asks what its owner-to-be may do.
    DesignWrite,
    /// `design:delete`
    DesignDelete,
    /// `design:share`: members and share links.
    DesignShare,
    /// `design:comment`
    DesignComment,
    /// `analysis:run`
    AnalysisRun,
    /// `user:manage`
    UserManage,
    /// `audit:read`
    AuditRead,
}

impl Action {
    pub const ALL: [Self; 8] = [
        Self::DesignRead,
        Self::DesignWrite,
        Self::DesignDelete,
        Self::DesignShare,
        Self::DesignComment,
        Self::AnalysisRun,
        Self::UserManage,
        Self::AuditRead,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DesignRead => "design:read",
            Self::DesignWrite => "design:write",
            Self::DesignDelete => "design:delete",
            Self::DesignShare => "design:share",
            Self::DesignComment => "design:comment",
            Self::AnalysisRun => "analysis:run",
            Self::UserManage => "user:manage",
            Self::AuditRead => "audit:read",
        }
    }
}

/// Whether somebody with this platform role, and this role on the design (`None`: no member, or no design is
/// meant), may do it.
#[must_use]
pub fn permits(platform: PlatformRole, design: Option<DesignRole>, action: Action) -> bool {
    use Action::{
        AnalysisRun, AuditRead, DesignComment, DesignDelete, DesignRead, DesignShare, DesignWrite, UserManage,
    };
    let platform_may = match action {
        DesignRead => true,
        DesignWrite | DesignDelete | DesignShare | DesignComment | AnalysisRun => {
            matches!(platform, PlatformRole::Admin | PlatformRole::Architect)
        }
        UserManage => matches!(platform, PlatformRole::Admin),
        AuditRead => matches!(platform, PlatformRole::Admin | PlatformRole::Auditor),
    };
    let least = match action {
        DesignRead => Some(DesignRole::Viewer),
        DesignComment => Some(DesignRole::Commenter),
        DesignWrite | AnalysisRun => Some(DesignRole::Editor),
        DesignDelete | DesignShare => Some(DesignRole::Owner),
        UserManage | AuditRead => None,
    };
    // Who reaches every design without being a member of it.
    let everywhere = matches!(platform, PlatformRole::Admin | PlatformRole::Auditor);
    let design_may = match least {
        None => true,
        Some(least) => everywhere || design.is_some_and(|role| least <= role),
    };
    platform_may && design_may
}

/// The role under which somebody takes part in a live design, both halves already combined. `None`: may not read it.
///
/// An admin stands as an owner. An auditor reads, whatever a membership says. A platform viewer reads what is shared
/// with them and neither edits nor comments.
#[must_use]
pub fn effective_design_role(platform: PlatformRole, design: Option<DesignRole>) -> Option<DesignRole> {
    match platform {
        PlatformRole::Admin => Some(DesignRole::Owner),
        PlatformRole::Architect => design,
        PlatformRole::Viewer => design.map(|_| DesignRole::Viewer),
        PlatformRole::Auditor => Some(DesignRole::Viewer),
    }
}

/// The platform role that a token names: our own words, and those of the two older vocabularies.
#[must_use]
pub fn platform_role_of_token(word: &str) -> Option<PlatformRole> {
    match word {
        "admin" | "Admin" => Some(PlatformRole::Admin),
        "architect" | "User" | "user" | "Premium" | "premium" | "analyst" | "owner" => {
            Some(PlatformRole::Architect)
        }
        "viewer" | "read_only" => Some(PlatformRole::Viewer),
        "auditor" | "Auditor" => Some(PlatformRole::Auditor),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORM: [PlatformRole; 4] =
        [PlatformRole::Admin, PlatformRole::Architect, PlatformRole::Viewer, PlatformRole::Auditor];
    const DESIGN: [Option<DesignRole>; 5] = [
        None,
        Some(DesignRole::Viewer),
        Some(DesignRole::Commenter),
        Some(DesignRole::Editor),
        Some(DesignRole::Owner),
    ];

    /// The table again, in the order of `Action::ALL`, written by hand: read, write, delete, share, comment,
    /// analyse, manage users, read the audit log.
    fn expected(platform: PlatformRole, design: Option<DesignRole>) -> &'static str {
        use DesignRole::{Commenter, Editor, Owner, Viewer};
        match (platform, design) {
            (PlatformRole::Admin, _) => "rwdscamu",
            (PlatformRole::Auditor, _) => "r------u",
            (PlatformRole::Viewer | PlatformRole::Architect, None) => "--------",
            (PlatformRole::Viewer, Some(_)) | (PlatformRole::Architect, Some(Viewer)) => "r-------",
            (PlatformRole::Architect, Some(Commenter)) => "r---c---",
            (PlatformRole::Architect, Some(Editor)) => "rw--ca--",
            (PlatformRole::Architect, Some(Owner)) => "rwdsca--",
        }
    }

    #[test]
    fn every_cell_of_the_table() {
        for platform in PLATFORM {
            for design in DESIGN {
                let expected = expected(platform, design);
                for (action, letter) in Action::ALL.into_iter().zip(expected.chars()) {
                    assert_eq!(
                        permits(platform, design, action),
                        letter != '-',
                        "{platform:?} {design:?} {}",
                        action.as_str()
                    );
                }
            }
        }
    }

    #[test]
    fn the_live_role_grants_exactly_what_the_table_grants() {
        for platform in PLATFORM {
            for design in DESIGN {
                let live = effective_design_role(platform, design);
                assert_eq!(
                    live.is_some(),
                    permits(platform, design, Action::DesignRead),
                    "{platform:?} {design:?}"
                );
                assert_eq!(
                    live.is_some_and(DesignRole::may_edit),
                    permits(platform, design, Action::DesignWrite),
                    "{platform:?} {design:?}"
                );
                assert_eq!(
                    live.is_some_and(|role| DesignRole::Commenter <= role),
                    permits(platform, design, Action::DesignComment),
                    "{platform:?} {design:?}"
                );
            }
        }
    }

    #[test]
    fn a_better_role_never_takes_a_right_away() {
        for platform in PLATFORM {
            for pair in DESIGN.windows(2) {
                for action in Action::ALL {
                    assert!(!permits(platform, pair[0], action) || permits(platform, pair[1], action));
                }
            }
        }
    }

    #[test]
    fn the_words_of_other_vocabularies() {
        for (word, role) in [
            ("admin", Some(PlatformRole::Admin)),
            ("architect", Some(PlatformRole::Architect)),
            ("viewer", Some(PlatformRole::Viewer)),
            ("auditor", Some(PlatformRole::Auditor)),
            ("User", Some(PlatformRole::Architect)),
            ("Premium", Some(PlatformRole::Architect)),
            ("analyst", Some(PlatformRole::Architect)),
            ("owner", Some(PlatformRole::Architect)),
            ("read_only", Some(PlatformRole::Viewer)),
            ("ADMIN", None),
            ("root", None),
            ("", None),
        ] {
            assert_eq!(platform_role_of_token(word), role, "{word}");
        }
    }

    #[test]
    fn every_word_of_our_own_is_understood() {
        for role in PLATFORM {
            assert_eq!(platform_role_of_token(role.as_str()), Some(role));
        }
    }
}
