//! Every word that stands in the field `code` of a problem. Programs decide by them, so a word never changes its
//! meaning; docs/API.md says when each is given, the OpenAPI document lists them as an enumeration.

/// In the order of the alphabet.
pub const CODES: &[&str] = &[
    "accounts_elsewhere",
    "analysis_failed",
    "bad_credentials",
    "busy",
    "conflict",
    "design_too_large",
    "draining",
    "email_taken",
    "forbidden",
    "internal",
    "invalid_refresh_token",
    "invalid_token",
    "last_owner",
    "malformed",
    "method_not_allowed",
    "no_analysis_yet",
    "no_credential",
    "no_such_design",
    "no_such_finding",
    "no_such_job",
    "no_such_route",
    "no_such_user",
    "not_a_member",
    "not_finished",
    "not_importable",
    "outcome_unknown",
    "overloaded",
    "precondition_required",
    "read_only",
    "registration_closed",
    "rejected",
    "restarting",
    "session_ended",
    "stale",
    "store_unavailable",
    "timeout",
    "token_expired",
    "too_large",
    "too_many",
    "too_many_analyses",
    "too_many_attempts",
    "too_many_connections",
    "unreadable_design",
    "unsupported_media_type",
    "upgrade_required",
    "validation_failed",
];

/// Whether this word is one of them.
#[must_use]
pub fn is_known(code: &str) -> bool {
    CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once_in_the_order_of_the_alphabet() {
        assert!(CODES.windows(2).all(|pair| pair[0] < pair[1]), "{CODES:?}");
    }

    /// Older codes must not go out of the page while a newer one comes in.
    #[test]
    fn each_is_explained_in_the_page_about_the_api() {
        let page = include_str!("../../../docs/API.md");
        for code in CODES {
            assert!(page.contains(&format!("`{code}`")), "docs/API.md does not explain {code}");
        }
    }
}
