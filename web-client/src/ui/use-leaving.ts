// The page is about to be reloaded, closed or left: the last moment to write what is only in a field.

import { useEffect } from 'react'

/** `beforeunload` comes first and leaves time for the database; some browsers send only `pagehide`. */
const LEAVING = ['beforeunload', 'pagehide']

const acts = new Set<() => void>()

/** Writes now what is only in fields. Whoever asks on `beforeunload` whether to stay calls it first: browsers call its listeners in the order they came. */
export function writeAll(): void {
  for (const act of [...acts]) act()
}

/** `act` is called once or twice, and the page may stay all the same. Returns how to stop. */
export function onLeaving(act: () => void): () => void {
  if (acts.size === 0) for (const name of LEAVING) window.addEventListener(name, writeAll)
  acts.add(act)
  return () => {
    acts.delete(act)
    if (acts.size === 0) for (const name of LEAVING) window.removeEventListener(name, writeAll)
  }
}

export function useLeaving(act: () => void): void {
  useEffect(() => onLeaving(act), [act])
}
