import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { PRESENCE_PAUSE_MS, PresenceWriter } from './presence-writer'

const user = { id: 'u1', name: 'Ann', color: 3 }

function stage() {
  const listeners = new Set<() => void>()
  const page = { hide: () => {}, wake: () => {} }
  const session = {
    awareness: new Awareness(new Y.Doc()),
    subscribe: (listener: () => void) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
  const writer = new PresenceWriter(session, user, {
    isVisible: () => true,
    onHide: listener => {
      page.hide = listener
      return () => {}
    },
    onWake: listener => {
      page.wake = listener
      return () => {}
    }
  })
  let written = 0
  session.awareness.on('update', () => {
    written += 1
  })
  return { session, writer, page, written: () => written, tell: () => [...listeners].map(listener => listener()) }
}

describe('the presence writer', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('announces the person at once, then writes at most every 40 ms, and always the last word', () => {
    const { session, writer, written } = stage()
    expect(session.awareness.getLocalState()).toEqual({ user, cursor: null, selection: [], drag: null })
    for (let x = 0; x < 100; x += 1) writer.set({ cursor: { x, y: 0 } })
    expect(written()).toBe(0)
    vi.advanceTimersByTime(PRESENCE_PAUSE_MS)
    expect(written()).toBe(1)
    expect(session.awareness.getLocalState()).toMatchObject({ cursor: { x: 99 } })
    vi.advanceTimersByTime(1_000)
    expect(written()).toBe(1)
    writer.set({ cursor: null })
    expect(written()).toBe(2)
  })

  it('cuts a selection that is too long for a state', () => {
    const { session, writer } = stage()
    vi.advanceTimersByTime(PRESENCE_PAUSE_MS)
    writer.set({ selection: Array.from({ length: 500 }, (_, n) => `n${n}`) })
    expect(session.awareness.getLocalState()?.selection).toHaveLength(100)
  })

  it('goes with the page and comes back with it', () => {
    const { session, writer, page } = stage()
    page.hide()
    expect(session.awareness.getLocalState()).toBeNull()
    writer.set({ cursor: { x: 1, y: 1 } })
    vi.advanceTimersByTime(1_000)
    expect(session.awareness.getLocalState()).toBeNull()
    page.wake()
    expect(session.awareness.getLocalState()).toMatchObject({ cursor: { x: 1 } })
  })

  it('follows the session to a new document', () => {
    const { session, writer, tell } = stage()
    writer.set({ selection: ['a'] })
    session.awareness = new Awareness(new Y.Doc())
    tell()
    expect(session.awareness.getLocalState()).toMatchObject({ user, selection: ['a'] })
    writer.destroy()
    expect(session.awareness.getLocalState()).toBeNull()
  })
})
