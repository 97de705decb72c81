// What the badge says. One pure function, so that no two places of the page can tell different truths.

import type { Final } from './endings'
import type { Role, SavingState } from './types'

export interface SavingFacts {
  /** The document may be shown. */
  ready: boolean
  /** The connection stopped for good. */
  final: Final | null
  /** A socket is open, the server said hello on it, and its document has arrived. */
  isConnected: boolean
  /** Everything sent on this socket is covered by `Saved`, and each side has told what it had. */
  isSettled: boolean
  /** The document is being made anew after a refusal. */
  isRebuilding: boolean
  /** The server said `store.degraded` on this socket. */
  isDegraded: boolean
  role: Role | null
  /** Why nobody may change this design, or null. */
  readOnly: string | null
  /** Own edits in the database without a `Saved`, of all tabs. */
  stored: number
  /** Own edits of this tab that are on their way into the database. */
  writing: number
  /** Edits cannot be written into the database: what is on its way there counts as unsaved too. */
  hasLocalTrouble: boolean
}

export function savingState(facts: SavingFacts): SavingState {
  const unsaved = facts.stored + (facts.hasLocalTrouble ? facts.writing : 0)
  if (facts.final !== null) return finalState(facts.final, unsaved)
  if (!facts.ready) return { kind: 'loading' }
  if (!facts.isConnected) return { kind: 'offline', unsaved }
  const isAllSaved = facts.stored + facts.writing === 0 && !facts.isRebuilding
  if (isAllSaved && !maySave(facts)) return { kind: 'read-only', reason: whyReadOnly(facts) }
  if (facts.isDegraded) return { kind: 'trouble', unsaved }
  return isAllSaved && facts.isSettled ? { kind: 'saved' } : { kind: 'saving', unsaved }
}

function finalState(final: Final, unsaved: number): SavingState {
  switch (final.kind) {
    case 'signed-out':
      return { kind: 'signed-out', unsaved }
    case 'removed':
      return { kind: 'removed', why: final.why, unsaved }
    case 'broken':
      return { kind: 'broken', reason: final.reason, unsaved }
  }
}

/** The role is known and permits it, and the design may be changed at all. */
export function maySave({ role, readOnly }: Pick<SavingFacts, 'role' | 'readOnly'>): boolean {
  return readOnly === null && (role === 'owner' || role === 'editor')
}

function whyReadOnly({ role, readOnly }: SavingFacts): string {
  if (readOnly !== null) return readOnly
  return role === 'commenter' ? 'Your role on this design is commenter.' : 'Your role on this design is viewer.'
}
