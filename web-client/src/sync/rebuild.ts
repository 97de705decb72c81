// After a refusal: which unsaved edits are made again in the server's document, and which go into the recovery file.

import type * as Y from 'yjs'
import { type Gesture, holds, makeAgain, stands } from './gestures'
import type { Lost } from './recovery'

/** Of rebuilds within `REBUILD_WINDOW_MS`, how many at most; the last of them makes nothing again. */
export const REBUILDS_MAX = 3
export const REBUILD_WINDOW_MS = 60_000

/** Refused for the client id that they were written under, or for what they build on: in a fresh document they pass. */
const NOT_THE_CONTENT = new Set(['foreign_client', 'spent_client', 'gap', 'epoch'])

/** Why the document is made anew. `code` as in docs/PROTOCOL.md, REFUSE; `epoch`: the design was reset. */
export interface Cause {
  readonly code: string
  readonly message: string
}

export interface Candidate {
  readonly gesture: Gesture
  /** It went to the server in one message with everything else, so that a refusal did not name it. */
  readonly cameTogether: boolean
}

export interface Circumstances {
  readonly cause: Cause
  /** The role of now permits edits. */
  readonly mayEdit: boolean
  /** Nothing is tried again: too many rebuilds came before. */
  readonly isLastTry: boolean
}

/** The cause of a refusal on a socket on which no edit had been sent yet: none is to blame. */
export function blameless(cause: Cause): Cause {
  return NOT_THE_CONTENT.has(cause.code) ? cause : { ...cause, code: 'epoch' }
}

/** The origin of edits that are made again. Undo does not track it: the undo stack of the old document is gone with it. */
export const MADE_AGAIN = Symbol('made again')

/**
 * Makes in `fresh`, the server's document, each edit again that the server lacks and that still makes sense, one transaction for each, in order. Returns what was not
 * made again. Synchronous: it runs inside of a database transaction.
 */
export function makeEditsAgain(fresh: Y.Doc, candidates: readonly Candidate[], circumstances: Circumstances): Lost[] {
  const missing = candidates.filter(({ gesture }) => !isThere(fresh, gesture, circumstances.cause))
  const blamed = circumstances.mayEdit && !circumstances.isLastTry ? blame(missing, circumstances.cause) : missing
  const lost: Lost[] = []
  for (const candidate of missing) {
    const { gesture } = candidate
    if (blamed.includes(candidate)) {
      lost.push({ gesture, changes: gesture.changes })
      continue
    }
    const changes = fresh.transact(() => makeAgain(fresh, gesture.changes), MADE_AGAIN)
    if (0 < changes.length) lost.push({ gesture, changes })
  }
  return lost
}

function isThere(fresh: Y.Doc, gesture: Gesture, cause: Cause): boolean {
  // Under an id that somebody else writes under too, clocks prove nothing.
  return cause.code === 'foreign_client' ? stands(fresh, gesture.changes) : holds(fresh, gesture)
}

/**
 * The refused edit is the first that the server lacks, since it takes them in order. If that one came together with others, nobody knows which of them was
 * refused: each is tried by itself then, and a further refusal names it.
 */
function blame(missing: readonly Candidate[], { code }: Cause): readonly Candidate[] {
  const [first] = missing
  if (first === undefined || NOT_THE_CONTENT.has(code)) return []
  const isOneOfMany = first.cameTogether && 1 < missing.filter(each => each.cameTogether).length
  return isOneOfMany ? [] : [first]
}
