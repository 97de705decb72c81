// The browser asks before the window goes, on every page: a design may have edits in this window only long after its own page was left.

import { useEffect } from 'react'
import { writeAll } from '../ui/use-leaving'
import { isWriting, wouldLoseEdits } from './open-sessions'

/** Asks only if leaving would lose something: edits that not even this device has, for good or for the milliseconds that writing takes. */
export function useLeaveWarning(): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      writeAll()
      if (wouldLoseEdits() || isWriting()) event.preventDefault()
    }
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [])
}
