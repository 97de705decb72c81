// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DesignSession } from '../sync/types'
import { currentToasts, dismissToast } from '../ui/toasts'
import { closeAllSessions, enterSession } from './open-sessions'
import { watchForUpdates } from './update'

class Worker extends EventTarget {
  state = 'installing'
  readonly heard: unknown[] = []
  postMessage(message: unknown) {
    this.heard.push(message)
  }
  become(state: string) {
    this.state = state
    this.dispatchEvent(new Event('statechange'))
  }
}

class Registration extends EventTarget {
  installing: Worker | null = null
  waiting: Worker | null = null
  active: Worker | null = null
  update = () => Promise.resolve()
}

class Container extends EventTarget {
  controller: Worker | null = null
  readonly registration = new Registration()
  register = () => Promise.resolve(this.registration)
  tookOver(by: Worker) {
    this.controller = by
    this.dispatchEvent(new Event('controllerchange'))
  }
}

let container: Container
const reload = vi.fn()

async function watch(controlled: boolean) {
  container = new Container()
  if (controlled) container.controller = container.registration.active = new Worker()
  await watchForUpdates({ container: container as unknown as ServiceWorkerContainer, reload })
}

/** A new version arrives and has everything that it needs. */
function arrives(): Worker {
  const fresh = new Worker()
  container.registration.installing = fresh
  container.registration.dispatchEvent(new Event('updatefound'))
  container.registration.waiting = fresh
  fresh.become('installed')
  return fresh
}

const offered = () => currentToasts().find(each => each.testId === 'update-ready')

function fakeSession(
  some: { unsaved?: number; localTrouble?: string; close?: () => Promise<void> } = {}
): DesignSession {
  const saving = { kind: 'offline', unsaved: some.unsaved ?? 0 }
  const state = { saving, localTrouble: some.localTrouble ?? null, recoveries: 0 }
  return { state, close: some.close ?? (() => Promise.resolve()) } as unknown as DesignSession
}

beforeEach(() => void vi.useFakeTimers())
afterEach(async () => {
  await closeAllSessions()
  for (const { id } of currentToasts()) dismissToast(id)
  vi.clearAllMocks()
  vi.useRealTimers()
})

describe('a new version', () => {
  it('waits until somebody presses Reload, and then takes over', async () => {
    await watch(true)
    const fresh = arrives()
    expect(fresh.heard).toEqual([])
    expect(offered()?.action?.label).toBe('Reload')
    offered()?.action?.run()
    await vi.waitFor(() => expect(fresh.heard).toEqual([{ type: 'SKIP_WAITING' }]))
    expect(reload).not.toHaveBeenCalled()
    container.tookOver(fresh)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(reload).toHaveBeenCalledOnce()
  })

  it('that never takes over does not leave a page behind whose designs are closed', async () => {
    await watch(true)
    const fresh = arrives()
    offered()?.action?.run()
    await vi.advanceTimersByTimeAsync(4_900)
    expect([fresh.heard.length, reload.mock.calls.length]).toEqual([1, 0])
    await vi.advanceTimersByTimeAsync(200)
    expect(reload).toHaveBeenCalledOnce()
  })

  it('that another tab asked for is offered here, and reloads nothing by itself', async () => {
    await watch(true)
    container.tookOver(new Worker())
    expect(reload).not.toHaveBeenCalled()
    offered()?.action?.run()
    await vi.waitFor(() => expect(reload).toHaveBeenCalledOnce())
  })

  it('waits until what was edited is on this device', async () => {
    await watch(true)
    let written = () => {}
    enterSession('u-ada', 'd', () => fakeSession({ close: () => new Promise(resolve => (written = resolve)) }))
    const fresh = arrives()
    offered()?.action?.run()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(fresh.heard).toEqual([])
    written()
    await vi.waitFor(() => expect(fresh.heard).toHaveLength(1))
  })

  it('never takes over while edits are in this page only', async () => {
    await watch(true)
    const close = vi.fn(() => Promise.resolve())
    enterSession('u-ada', 'd', () => fakeSession({ unsaved: 1, localTrouble: 'The disk is full.', close }))
    const fresh = arrives()
    offered()?.action?.run()
    await vi.advanceTimersByTimeAsync(1_000)
    expect([fresh.heard, close.mock.calls]).toEqual([[], []])
    expect(
      currentToasts()
        .map(each => each.message)
        .join()
    ).toContain('Not reloaded')
    expect(offered()).toBeTruthy()
  })
})

it('a version that began to arrive before anybody listened is offered', async () => {
  const fresh = new Worker()
  container = new Container()
  container.controller = container.registration.active = new Worker()
  container.registration.installing = fresh
  await watchForUpdates({ container: container as unknown as ServiceWorkerContainer, reload })
  fresh.become('installed')
  expect(offered()).toBeTruthy()
})

it('a page that no version controls yet sees the second one arrive, and reloads when asked', async () => {
  await watch(false)
  container.registration.active = new Worker()
  const fresh = arrives()
  offered()?.action?.run()
  await vi.waitFor(() => expect(fresh.heard).toHaveLength(1))
  container.tookOver(fresh)
  expect(reload).toHaveBeenCalledOnce()
})

it('the first visit is no update', async () => {
  await watch(false)
  const first = arrives()
  container.tookOver(first)
  expect(offered()).toBeUndefined()
  expect(reload).not.toHaveBeenCalled()
})
