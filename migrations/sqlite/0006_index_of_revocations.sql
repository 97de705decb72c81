-- The server asks again and again which sessions ended a moment ago. Almost all sessions never do: the index holds the few.
CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
