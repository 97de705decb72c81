// How fresh what is shown is, in one sentence that is true.

import { useSyncExternalStore } from 'react'
import type { DesignSession, SavingState } from '../sync/types'
import type { AnalysisState } from './store'
import { since } from './words'

export interface Freshness {
  words: string
  tone: 'muted' | 'warn'
}

export function freshness(state: AnalysisState, saving: SavingState, now = Date.now()): Freshness {
  const { analysis, isWorking, trouble, checkedAt } = state
  const asOf = checkedAt === null ? '' : ` These findings are as of ${since(checkedAt, now)}.`
  if (saving.kind === 'offline') return { words: `Offline.${asOf}`, tone: 'warn' }
  if (trouble !== null) return { words: `${trouble}${asOf}`, tone: 'warn' }
  if (isWorking) return { words: 'Looking at the design …', tone: 'muted' }
  if (analysis?.is_stale) {
    return { words: 'The design has changed since. It is looked at when everybody pauses.', tone: 'warn' }
  }
  return { words: analysis === null ? '' : `Looked at ${since(analysis.created_at, now)}.`, tone: 'muted' }
}

export function useSaving(session: DesignSession): SavingState {
  return useSyncExternalStore(
    listener => session.subscribe(listener),
    () => session.state.saving
  )
}
