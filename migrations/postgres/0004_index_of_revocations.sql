-- Every server asks again and again which sessions ended a moment ago. Almost all sessions never do: the index holds the
-- few. Where `sessions` is large, make it before the rollout with CREATE INDEX CONCURRENTLY, under the same name.
CREATE INDEX IF NOT EXISTS sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
