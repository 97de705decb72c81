// When to try again: full jitter, so that the clients of a server that went away do not come back all at once.

export const BACKOFF_FIRST_MS = 300
export const BACKOFF_MAX_MS = 15_000

/** How often "not now" (1013) counts as having failed at least: an overloaded server is not asked again within a moment. */
export const OVERLOADED_ATTEMPT = 4

/** A pause in milliseconds before the next attempt, after `failed` attempts in a row (from 1). `random` is in [0, 1). */
export function backoff(failed: number, random: number): number {
  const most = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failed - 1, 30))
  return Math.round(most * random)
}
