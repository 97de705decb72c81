// The designs that this tab has open. A new version of the page and signing out wait here until what was edited is on this device.

import type { DesignSession } from '../sync/types'

const open = new Set<DesignSession>()
/** Closings that are under way, also of sessions whose page is gone already. */
const closing = new Set<Promise<void>>()

export function sessionOpened(session: DesignSession): void {
  open.add(session)
}

/** Resolves when what was edited is on this device. */
export function closeSession(session: DesignSession): Promise<void> {
  if (!open.delete(session)) return Promise.all(closing).then(() => undefined)
  const done = session.close().finally(() => closing.delete(done))
  closing.add(done)
  return done
}

export async function closeAllSessions(): Promise<void> {
  await Promise.all([...closing, ...[...open].map(closeSession)])
}

/** Something was edited that not even this device keeps: leaving now would lose it. */
export function wouldLoseEdits(): boolean {
  return [...open].some(({ state }) => state.localTrouble !== null && 0 < unsavedOf(state.saving))
}

function unsavedOf(saving: DesignSession['state']['saving']): number {
  return 'unsaved' in saving ? saving.unsaved : 0
}
