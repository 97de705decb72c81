// Everything that the page sees of a session, from everything that the session knows.

import type { Facts } from './records'
import { maySave, type SavingFacts, savingState } from './saving-state'
import type { SessionState } from './types'

type Known = Omit<SavingFacts, 'ready' | 'role' | 'readOnly' | 'hasLocalTrouble'> &
  Pick<SessionState, 'generation' | 'refusal' | 'recoveries' | 'localTrouble'> & {
    facts: Pick<Facts, 'isSynced' | 'role' | 'readOnly'>
  }

export function sessionState(known: Known): SessionState {
  const { isSynced: ready, role, readOnly } = known.facts
  return {
    generation: known.generation,
    ready,
    saving: savingState({ ...known, ready, role, readOnly, hasLocalTrouble: known.localTrouble !== null }),
    role,
    canEdit: ready && maySave({ role, readOnly }) && known.final === null,
    refusal: known.refusal,
    recoveries: known.recoveries,
    isWriting: 0 < known.writing,
    localTrouble: known.localTrouble
  }
}
