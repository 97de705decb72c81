// What the end of a socket means (docs/PROTOCOL.md, CLOSE): the one table from close codes to what the connection does next.

import { z } from '../design/zod'

/** Why the connection stopped for good. `retry` is the only way on. */
export type Final =
  | { kind: 'signed-out' }
  | { kind: 'removed'; why: 'deleted' | 'not-a-member' }
  | { kind: 'broken'; reason: string }

export type Ending =
  /** Connect again after a pause; at least `afterMs`, where the server named it. */
  | { next: 'again'; afterMs: number | null; overloaded: boolean }
  /** The credential expired: a new ticket, and connect at once. */
  | { next: 'renew' }
  /** The credential was bad, or the login ended. A ticket can also have grown too old on a slow line: a fresh one tells which. */
  | { next: 'ask-who' }
  /** The document of this device cannot go on: it has to be made anew from the server. */
  | { next: 'reset' }
  | { next: 'final'; final: Final }

export function endingOf(code: number, reason: string): Ending {
  switch (code) {
    case 1012:
      return { next: 'again', afterMs: retryAfter(reason), overloaded: false }
    case 1013:
      return { next: 'again', afterMs: null, overloaded: true }
    case 4400:
      return broken('The server could not read what this page sent', reason)
    case 4401:
      return { next: 'ask-who' }
    case 4403:
      return { next: 'final', final: { kind: 'removed', why: 'not-a-member' } }
    case 4404:
      return { next: 'final', final: { kind: 'removed', why: 'deleted' } }
    case 4408:
      return { next: 'renew' }
    case 4409:
      return { next: 'reset' }
    case 4413:
      return broken('What this page sent is larger than the server takes', reason)
    default:
      if (4400 <= code && code < 4500)
        return broken(`The server closed with the code ${code}, which this page does not know`, reason)
      return { next: 'again', afterMs: null, overloaded: false }
  }
}

function broken(what: string, reason: string): Ending {
  return { next: 'final', final: { kind: 'broken', reason: reason === '' ? what : `${what}: ${reason}` } }
}

const retryReason = z.object({ retry_after_ms: z.number().int().min(0).max(600_000) })

function retryAfter(reason: string): number | null {
  try {
    return retryReason.parse(JSON.parse(reason)).retry_after_ms
  } catch {
    return null
  }
}
