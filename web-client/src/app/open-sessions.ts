// The designs that this tab has open. A new version of the page and signing out wait here until what was edited is on this device. A design of which the server
// lacks something stays open behind the other pages until it has that; where this device does not keep it either, closing the window would lose it.

import type { DesignSession } from '../sync/types'
import { toast } from '../ui/toasts'

interface Open {
  user: string
  /** Stops watching a session whose page is gone; null while the page shows it. */
  unwatch: (() => void) | null
}

/** Designs that stay open without a page, at most. */
const BEHIND_MAX = 4

const open = new Map<DesignSession, Open>()
/** Closings that are under way, also of sessions whose page is gone already. */
const closing = new Set<Promise<void>>()

/** The session that stayed open behind the other pages, else a new one. */
export function enterSession(user: string, design: string, make: () => DesignSession): DesignSession {
  for (const [session, known] of open) {
    if (known.unwatch === null || known.user !== user || session.design !== design) continue
    known.unwatch()
    known.unwatch = null
    return session
  }
  const made = make()
  open.set(made, { user, unwatch: null })
  return made
}

/** Opens a design behind the pages until the server has what this device holds of it. Nothing happens if it is open already, or if enough others are. */
export function sendBehind(user: string, design: string, make: () => DesignSession, covered: () => void): void {
  const isOpen = sessionsOf(user).some(session => session.design === design)
  const behind = [...open.values()].filter(({ unwatch }) => unwatch !== null).length
  if (isOpen || BEHIND_MAX <= behind) return
  const session = make()
  open.set(session, { user, unwatch: null })
  stayBehind(session, covered)
}

/** The page of the session goes: it is closed as soon as the server has everything. */
export function leaveSession(session: DesignSession): void {
  const known = open.get(session)
  if (known === undefined) return
  if (!wouldLose(session) && unsavedOf(session) === 0) {
    void closeSession(session)
    return
  }
  stayBehind(session, () => {})
  if (!wouldLose(session)) return
  toast(`Edits of “${nameOf(session)}” are in this window only. Do not close it until the server has them.`, {
    tone: 'warn',
    id: `window-only ${session.design}`,
    testId: 'window-only'
  })
}

function stayBehind(session: DesignSession, covered: () => void): void {
  const known = open.get(session)
  if (known === undefined) return
  known.unwatch = session.subscribe(() => {
    const isDone = isCovered(session)
    if (!isDone && (!isOver(session) || wouldLose(session))) return
    void closeSession(session).then(isDone ? covered : undefined)
  })
}

/** Resolves when what was edited is on this device. */
function closeSession(session: DesignSession): Promise<void> {
  const known = open.get(session)
  if (known === undefined) return Promise.all(closing).then(() => undefined)
  open.delete(session)
  known.unwatch?.()
  const done = session.close().finally(() => closing.delete(done))
  closing.add(done)
  return done
}

export async function closeAllSessions(): Promise<void> {
  await Promise.all([...closing, ...[...open.keys()].map(closeSession)])
}

/** What somebody else has left here waits for them. */
export async function closeSessionsOf(user: string): Promise<void> {
  await Promise.all([...closing, ...sessionsOf(user).map(closeSession)])
}

/** Tries again to send what waits behind the pages of somebody who has signed in again. */
export function retrySessionsOf(user: string): void {
  for (const session of sessionsOf(user)) if (session.state.saving.kind === 'signed-out') session.retry()
}

const sessionsOf = (user: string): DesignSession[] =>
  [...open].filter(([, known]) => known.user === user).map(([session]) => session)

/** Something was edited that not even this device keeps: leaving now would lose it. */
export function wouldLoseEdits(): boolean {
  return [...open.keys()].some(wouldLose)
}

/** Something is on its way to this device's storage: it takes milliseconds, and going meanwhile would lose it. */
export function isWriting(): boolean {
  return [...open.keys()].some(({ state }) => state.isWriting)
}

/** A design with something in this window only. */
export interface WindowOnly {
  design: string
  name: string
  unsaved: number
  recoveries: number
}

/** What closing the sessions of this person would lose. */
export function windowOnlyOf(user: string): WindowOnly[] {
  return sessionsOf(user)
    .filter(wouldLose)
    .map(session => ({
      design: session.design,
      name: nameOf(session),
      unsaved: unsavedOf(session),
      recoveries: session.state.recoveries
    }))
}

/** Where edits cannot be kept recovery files cannot either. */
function wouldLose(session: DesignSession): boolean {
  const { localTrouble, recoveries } = session.state
  return localTrouble !== null && 0 < unsavedOf(session) + recoveries
}

function unsavedOf({ state: { saving } }: DesignSession): number {
  return 'unsaved' in saving ? saving.unsaved : 0
}

/** The server has everything. That the device works again is not enough: what it failed to write is still in memory. */
function isCovered(session: DesignSession): boolean {
  const { kind } = session.state.saving
  return (kind === 'saved' || kind === 'read-only') && !wouldLose(session)
}

/** Nothing more is sent. What this device holds stays for another time. */
function isOver({ state: { saving } }: DesignSession): boolean {
  return saving.kind === 'removed' || saving.kind === 'signed-out' || saving.kind === 'broken'
}

function nameOf({ doc }: DesignSession): string {
  const name = doc.getMap('meta').get('name')
  return typeof name === 'string' && name !== '' ? name : 'Untitled'
}
