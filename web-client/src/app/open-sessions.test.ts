import { afterEach, describe, expect, it } from 'vitest'
import type { SessionState } from '../sync/types'
import { currentToasts, dismissToast } from '../ui/toasts'
import {
  closeAllSessions,
  closeSessionsOf,
  enterSession,
  leaveSession,
  retrySessionsOf,
  windowOnlyOf,
  wouldLoseEdits
} from './open-sessions'
import { FakeSession } from './testing/fake-session'

const IN_MEMORY: Partial<SessionState> = {
  saving: { kind: 'offline', unsaved: 2 },
  localTrouble: 'The disk is full.'
}

function opened(user: string, design: string, some: Partial<SessionState> = {}): FakeSession {
  const session = new FakeSession(design, some)
  enterSession(user, design, () => session)
  return session
}

/** What somebody gets who opens the design now. */
const reopened = (user: string, design: string) => enterSession(user, design, () => new FakeSession(design))

afterEach(async () => {
  await closeAllSessions()
  for (const { id } of currentToasts()) dismissToast(id)
})

describe('leaving a design', () => {
  it('closes it when this device has everything, saved or not', () => {
    const session = opened('ada', 'd', { saving: { kind: 'offline', unsaved: 2 } })
    leaveSession(session)
    expect(session.close).toHaveBeenCalledOnce()
    expect(reopened('ada', 'd')).not.toBe(session)
  })

  it('with edits in this window only leaves it open until the server has them', () => {
    const session = opened('ada', 'd', IN_MEMORY)
    leaveSession(session)
    expect(currentToasts().map(each => each.message)).toEqual([
      'Edits of “Design d” are in this window only. Do not close it until the server has them.'
    ])
    session.set({ saving: { kind: 'saving', unsaved: 1 } })
    // The device works again, but nobody knows whether it has written anything.
    session.set({ localTrouble: null })
    expect(session.close).not.toHaveBeenCalled()
    session.set({ saving: { kind: 'saved' } })
    expect(session.close).toHaveBeenCalledOnce()
    expect(wouldLoseEdits()).toBe(false)
  })

  it('and coming back finds the same session, which is not closed under the page when it is saved', () => {
    const session = opened('ada', 'd', IN_MEMORY)
    leaveSession(session)
    expect(reopened('bob', 'd')).not.toBe(session)
    expect(reopened('ada', 'e')).not.toBe(session)
    expect(reopened('ada', 'd')).toBe(session)
    session.set({ saving: { kind: 'saved' } })
    expect(session.close).not.toHaveBeenCalled()
    leaveSession(session)
    expect(session.close).toHaveBeenCalledOnce()
  })

  it('does not lose a recovery file that could not be stored', () => {
    const session = opened('ada', 'd', { localTrouble: 'The disk is full.', recoveries: 1 })
    leaveSession(session)
    expect(session.close).not.toHaveBeenCalled()
    session.set({ recoveries: 0 })
    expect(session.close).toHaveBeenCalledOnce()
  })
})

describe('what stays open behind the pages', () => {
  it('is told as what would be lost, and closed by signing out; what is somebody else’s waits for them', async () => {
    const [ada, bob] = [opened('ada', 'd', IN_MEMORY), opened('bob', 'e', IN_MEMORY)]
    leaveSession(ada)
    leaveSession(bob)
    expect(windowOnlyOf('ada')).toEqual([{ design: 'd', name: 'Design d', unsaved: 2, recoveries: 0 }])
    await closeSessionsOf('ada')
    expect([ada.close.mock.calls.length, bob.close.mock.calls.length]).toEqual([1, 0])
    expect(wouldLoseEdits()).toBe(true)
  })

  it('goes on when its person has signed in again', () => {
    const session = opened('ada', 'd', { ...IN_MEMORY, saving: { kind: 'signed-out', unsaved: 1 } })
    leaveSession(session)
    retrySessionsOf('bob')
    expect(session.retry).not.toHaveBeenCalled()
    retrySessionsOf('ada')
    expect(session.retry).toHaveBeenCalledOnce()
  })
})
