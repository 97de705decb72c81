import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SessionState } from '../sync/types'
import { currentToasts, dismissToast } from '../ui/toasts'
import {
  closeAllSessions,
  closeSessionsOf,
  enterSession,
  isWriting,
  leaveSession,
  retrySessionsOf,
  sendBehind,
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
  it('closes it when the server has everything', () => {
    const session = opened('ada', 'd', { saving: { kind: 'saved' } })
    leaveSession(session)
    expect(session.close).toHaveBeenCalledOnce()
    expect(reopened('ada', 'd')).not.toBe(session)
  })

  it('with unsent edits it stays open without a word, until the server has them or will not', () => {
    const sent = opened('ada', 'd', { saving: { kind: 'offline', unsaved: 2 } })
    const removed = opened('ada', 'e', { saving: { kind: 'saving', unsaved: 1 } })
    leaveSession(sent)
    leaveSession(removed)
    expect(currentToasts()).toEqual([])
    sent.set({ saving: { kind: 'saving', unsaved: 1 } })
    expect(sent.close).not.toHaveBeenCalled()
    sent.set({ saving: { kind: 'saved' } })
    expect(sent.close).toHaveBeenCalledOnce()
    removed.set({ saving: { kind: 'removed', why: 'deleted', unsaved: 1 } })
    expect(removed.close).toHaveBeenCalledOnce()
  })

  it('what was left unsent by another window is sent from the list, a few at a time', async () => {
    const made: FakeSession[] = []
    const covered = vi.fn()
    for (const design of ['a', 'b', 'c', 'd', 'e', 'a']) {
      sendBehind(
        'ada',
        design,
        () => {
          const session = new FakeSession(design, { saving: { kind: 'offline', unsaved: 1 } })
          made.push(session)
          return session
        },
        covered
      )
    }
    expect(made.map(each => each.design)).toEqual(['a', 'b', 'c', 'd'])
    expect(reopened('ada', 'a')).toBe(made[0])
    made[1]?.set({ saving: { kind: 'saved' } })
    expect(made[1]?.close).toHaveBeenCalledOnce()
    await vi.waitFor(() => expect(covered).toHaveBeenCalledOnce())
    // The one that is shown again is its page's.
    made[0]?.set({ saving: { kind: 'saved' } })
    expect(made[0]?.close).not.toHaveBeenCalled()
  })

  it('what is on its way to this device is worth a question when the window goes', () => {
    const session = opened('ada', 'd', { isWriting: true })
    expect(isWriting()).toBe(true)
    session.set({ isWriting: false })
    expect(isWriting()).toBe(false)
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
