// The analysis for React: a component that calls one of these is drawn again when its part changes.

import { useSyncExternalStore } from 'react'
import type { Focus, FocusState } from './focus'
import type { AnalysisState, AnalysisStore } from './store'

export function useAnalysis<T>(store: AnalysisStore, part: (state: AnalysisState) => T): T {
  return useSyncExternalStore(store.subscribe, () => part(store.state))
}

export function useFocus(focus: Focus): FocusState {
  return useSyncExternalStore(focus.subscribe, () => focus.state)
}
