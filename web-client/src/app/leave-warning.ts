// The browser asks before the window goes, on every page: a design may have edits in this window only long after its own page was left.

import { useEffect } from 'react'
import { isWriting, wouldLoseEdits } from './open-sessions'

/** Asks only if leaving would lose something: edits that not even this device has. */
export function useLeaveWarning(): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (wouldLoseEdits() || isWriting()) event.preventDefault()
    }
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [])
}
