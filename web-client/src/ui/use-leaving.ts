// The page is about to be reloaded, closed or left: the last moment to write what is only in a field.

import { useEffect } from 'react'

/** `beforeunload` comes first and leaves time for the database; some browsers send only `pagehide`. */
const LEAVING = ['beforeunload', 'pagehide']

/** `act` is called once or twice, and the page may stay all the same. */
export function useLeaving(act: () => void): void {
  useEffect(() => {
    for (const name of LEAVING) window.addEventListener(name, act)
    return () => {
      for (const name of LEAVING) window.removeEventListener(name, act)
    }
  }, [act])
}
