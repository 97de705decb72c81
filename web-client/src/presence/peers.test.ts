import { afterEach, describe, expect, it } from 'vitest'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { PEER_COLOURS } from './colours'
import { cursorOf, PEERS_MAX, PeersStore } from './peers'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

function here(userId = 'me') {
  const awareness = new Awareness(new Y.Doc())
  const store = new PeersStore(awareness, userId)
  let told = 0
  store.subscribe(() => {
    told += 1
  })
  open.push(() => {
    store.destroy()
    awareness.destroy()
  })
  return { awareness, store, told: () => told }
}

/** Somebody's window, whose state arrives as it would over the network. */
function window(to: Awareness, clientId?: number) {
  const doc = new Y.Doc()
  if (clientId !== undefined) doc.clientID = clientId
  const awareness = new Awareness(doc)
  open.push(() => awareness.destroy())
  return {
    id: awareness.clientID,
    says(state: unknown) {
      awareness.setLocalState(state as Record<string, unknown>)
      applyAwarenessUpdate(to, encodeAwarenessUpdate(awareness, [awareness.clientID]), 'network')
    },
    goes() {
      removeAwarenessStates(to, [awareness.clientID], 'network')
    }
  }
}

const ada = { id: 'ada', name: 'Ada Lovelace', color: 3 }

describe('who is here', () => {
  it('knows somebody by name, colour, cursor and selection, and forgets them when they go', () => {
    const { awareness, store } = here()
    const hers = window(awareness)
    hers.says({ user: ada, cursor: { x: 1, y: 2 }, selection: ['n1'], drag: null })
    expect(store.state.people).toMatchObject([
      { userId: 'ada', name: 'Ada Lovelace', initials: 'AL', colour: PEER_COLOURS[3] }
    ])
    expect(cursorOf(store.state, 'ada')).toEqual({ x: 1, y: 2 })
    expect(store.state.selected.get('n1')?.map(peer => peer.userId)).toEqual(['ada'])
    hers.goes()
    expect(store.state.people).toEqual([])
    expect(store.state.selected.size).toBe(0)
    expect(cursorOf(store.state, 'ada')).toBeNull()
  })

  it('does not show this window, and shows another window of the same person as such', () => {
    const { awareness, store } = here('ada')
    awareness.setLocalState({ user: ada, cursor: { x: 0, y: 0 }, selection: [], drag: null })
    expect(store.state.peers).toEqual([])
    window(awareness).says({ user: ada, cursor: null, selection: [], drag: null })
    expect(store.state.people).toMatchObject([{ name: 'Ada Lovelace (you, other window)', initials: 'AL', own: true }])
  })

  it('is right also for whoever comes back to it after nobody listened', () => {
    const awareness = new Awareness(new Y.Doc())
    open.push(() => awareness.destroy())
    const store = new PeersStore(awareness, 'me')
    const hers = window(awareness)
    hers.says({ user: ada, cursor: null, selection: [], drag: null })
    expect(store.state.people).toHaveLength(1)
    expect(store.state).toBe(store.state)
    store.subscribe(() => {})()
    hers.goes()
    expect(store.state.people).toEqual([])
    store.destroy()
    let told = 0
    open.push(
      store.subscribe(() => {
        told += 1
      })
    )
    hers.says({ user: ada, cursor: null, selection: ['n'], drag: null })
    expect(told).toBe(1)
    expect(store.state.people).toHaveLength(1)
  })

  it('shows two windows of somebody as one person', () => {
    const { awareness, store } = here()
    window(awareness, 7).says({ user: ada, cursor: null, selection: [], drag: null })
    window(awareness, 8).says({ user: ada, cursor: { x: 5, y: 5 }, selection: [], drag: null })
    expect(store.state.people).toMatchObject([{ userId: 'ada', clientIds: [7, 8] }])
    expect(cursorOf(store.state, 'ada')).toEqual({ x: 5, y: 5 })
  })

  it('draws no avatar, ring or drag again when only a cursor moved', () => {
    const { awareness, store, told } = here()
    const hers = window(awareness)
    const state = { user: ada, cursor: { x: 1, y: 1 }, selection: ['n1'], drag: { ids: ['n1'], dx: 1, dy: 1 } }
    hers.says(state)
    const before = store.state
    hers.says({ ...state, cursor: { x: 2, y: 2 } })
    expect(told()).toBe(2)
    expect(store.state.people).toBe(before.people)
    expect(store.state.selected).toBe(before.selected)
    expect(store.state.remoteDrags).toBe(before.remoteDrags)
    expect(cursorOf(store.state, 'ada')).toEqual({ x: 2, y: 2 })
  })

  it('tells who drags what how far, and the lower client id where two drag one node', () => {
    const { awareness, store } = here()
    window(awareness, 20).says({ user: ada, cursor: null, selection: [], drag: { ids: ['a', 'b'], dx: 10, dy: -5 } })
    const bob = { id: 'bob', name: 'Bob', color: 1 }
    window(awareness, 10).says({ user: bob, cursor: null, selection: [], drag: { ids: ['b'], dx: 1, dy: 1 } })
    expect(store.state.remoteDrags.get('a')).toEqual({
      dx: 10,
      dy: -5,
      color: PEER_COLOURS[3],
      name: 'Ada Lovelace',
      by: 'ada'
    })
    expect(store.state.remoteDrags.get('b')).toMatchObject({ dx: 1, name: 'Bob' })
  })
})

describe('what others send is not trusted', () => {
  it.each([
    ['nothing', {}],
    ['no user', { cursor: { x: 1, y: 1 } }],
    ['a user without a name', { user: { id: 'x', name: '', color: 1 } }],
    ['a colour that is a style', { user: { id: 'x', name: 'X', color: 'url(//evil)' } }],
    ['a name of 16 KiB', { user: { id: 'x', name: 'x'.repeat(16_384), color: 1 } }],
    ['a list', [1, 2, 3]]
  ])('%s is nobody', (_, state) => {
    const { awareness, store } = here()
    window(awareness).says(state)
    expect(store.state.peers).toEqual([])
  })

  it('a state that stops to make sense takes its person away', () => {
    const { awareness, store } = here()
    const hers = window(awareness)
    hers.says({ user: ada, cursor: null, selection: [], drag: null })
    hers.says({ user: null })
    expect(store.state.people).toEqual([])
  })

  it.each([
    ['not a number', { x: Number.NaN, y: 1 }],
    ['infinite', { x: 1, y: Number.POSITIVE_INFINITY }],
    ['absurdly far', { x: 1e300, y: 0 }],
    ['text', { x: '1', y: '2' }]
  ])('a cursor that is %s is no cursor, and its person stays', (_, cursor) => {
    const { awareness, store } = here()
    window(awareness).says({ user: ada, cursor, selection: [], drag: null })
    expect(store.state.people).toHaveLength(1)
    expect(cursorOf(store.state, 'ada')).toBeNull()
  })

  it('a selection of ten thousand is none, and the same id twice is once', () => {
    const { awareness, store } = here()
    const hers = window(awareness)
    hers.says({ user: ada, cursor: null, selection: Array.from({ length: 10_000 }, (_, at) => `n${at}`), drag: null })
    expect(store.state.selected.size).toBe(0)
    hers.says({ user: ada, cursor: null, selection: ['n', 'n', 'n'], drag: null })
    expect(store.state.selected.get('n')).toHaveLength(1)
  })

  it('names lose what nobody sees and what turns the text around them', () => {
    const { awareness, store } = here()
    const hers = window(awareness)
    hers.says({ user: { ...ada, name: '\u202E\u0000 Ada\n<b>' }, cursor: null, selection: [], drag: null })
    expect(store.state.people[0]?.name).toBe('Ada<b>')
    hers.says({ user: { ...ada, name: '\u200B\u200B' }, cursor: null, selection: [], drag: null })
    expect(store.state.people[0]?.name).toBe('Somebody')
  })

  it('draws a hundred windows at most and counts the others', () => {
    const { awareness, store } = here()
    for (let each = 0; each < PEERS_MAX + 3; each++)
      window(awareness, 1_000 + each).says({
        user: { id: `u${each}`, name: `User ${each}`, color: 1 },
        cursor: null,
        selection: [],
        drag: null
      })
    expect(store.state.peers).toHaveLength(PEERS_MAX)
    expect(store.state.more).toBe(3)
  })
})
