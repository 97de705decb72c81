import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CanvasStore, NUDGE_PAUSE_MS, type SharedDrag } from './canvas-store'
import { box, type FakeEditor, fakeEditor, node, viewOf } from './testing/fake-editor'

/** A subnet with a server in it and one that overlaps it with its centre outside; a box in the box. */
const VIEW = viewOf([
  box('subnet', 0, 0, 600, 400),
  box('inner', 300, 100, 200, 200),
  node('web', 20, 20),
  node('db', 310, 120),
  node('outside', 580, 20)
])

let editor: FakeEditor
let store: CanvasStore
let told: (SharedDrag | null)[]
let said: string[]
let stop: () => void

beforeEach(() => {
  vi.useFakeTimers()
  editor = fakeEditor(VIEW)
  told = []
  said = []
  store = new CanvasStore({ editor, onDrag: drag => told.push(drag), say: message => said.push(message) })
  stop = store.subscribe(() => {})
})
afterEach(() => {
  stop()
  vi.useRealTimers()
})

const shownAt = (id: string) => store.snapshot().nodes.find(each => each.id === id)?.position

describe('a drag', () => {
  it('is seen at once, told to others, and written once', () => {
    store.beginDrag('web', ['web'], false)
    store.dragTo('web', { x: 30.4, y: 20 })
    store.dragTo('web', { x: 60.4, y: 10 })
    expect(shownAt('web')).toEqual({ x: 60, y: 10 })
    expect(editor.acts).toEqual([])
    expect(told.at(-1)).toEqual({ ids: ['web'], dx: 40, dy: -10 })

    store.endDrag()
    expect(editor.acts).toEqual([{ act: 'moveNodes', of: [{ id: 'web', position: { x: 60, y: 10 } }] }])
    expect(told.at(-1)).toBeNull()
    expect(shownAt('web')).toEqual({ x: 60, y: 10 })
  })

  it('of a box takes along what stands in it, and what stands in that', () => {
    store.beginDrag('subnet', ['subnet'], false)
    store.dragTo('subnet', { x: 100, y: 0 })
    store.endDrag()
    expect(editor.acts).toHaveLength(1)
    const moved = [...editor.state.view.nodes.values()].filter(each => each !== VIEW.nodes.get(each.id))
    expect(moved.map(each => each.id).sort()).toEqual(['db', 'inner', 'subnet', 'web'])
    expect(editor.state.view.nodes.get('db')?.position).toEqual({ x: 410, y: 120 })
  })

  it('of a box alone leaves the rest where it is', () => {
    store.beginDrag('subnet', ['subnet'], true)
    store.dragTo('subnet', { x: 100, y: 0 })
    store.endDrag()
    expect(editor.acts).toEqual([{ act: 'moveNodes', of: [{ id: 'subnet', position: { x: 100, y: 0 } }] }])
  })

  it('does not move a child that moves with its parent anyway', () => {
    editor.set({ view: viewOf([box('subnet', 0, 0, 600, 400), node('child', 10, 10, { parentId: 'subnet' })]) })
    store.beginDrag('subnet', ['subnet', 'child'], false)
    store.dragTo('subnet', { x: 50, y: 0 })
    store.endDrag()
    expect(editor.acts).toEqual([{ act: 'moveNodes', of: [{ id: 'subnet', position: { x: 50, y: 0 } }] }])
  })

  it('that comes back to where it began writes nothing', () => {
    store.beginDrag('web', ['web'], false)
    store.dragTo('web', { x: 90, y: 90 })
    store.dragTo('web', { x: 20, y: 20 })
    store.endDrag()
    expect(editor.acts).toEqual([])
  })

  const interruptions: [string, () => void][] = [
    ['Escape', () => store.giveUp()],
    ['a right that is lost', () => editor.set({ canEdit: false })],
    ['its node being deleted', () => editor.set({ view: viewOf([node('db', 310, 120)]) })],
    ['another document', () => editor.reset(viewOf([...VIEW.nodes.values()]))],
    ['the canvas going away', () => stop()]
  ]
  it.each(interruptions)('is undone by %s', (_, interrupt) => {
    store.beginDrag('web', ['web'], false)
    store.dragTo('web', { x: 300, y: 300 })
    interrupt()
    expect(told.at(-1)).toBeNull()
    // The pointer is still down, and React Flow goes on reporting.
    store.dragTo('web', { x: 310, y: 310 })
    store.endDrag()
    expect(editor.acts).toEqual([])
    expect(shownAt('web')).toEqual(editor.state.view.nodes.get('web')?.position)
  })

  it('of several goes on without one that somebody deletes', () => {
    store.beginDrag('web', ['web', 'db'], false)
    editor.set({ view: viewOf([node('web', 20, 20)]) })
    store.dragTo('web', { x: 30, y: 20 })
    store.endDrag()
    expect(editor.acts).toEqual([{ act: 'moveNodes', of: [{ id: 'web', position: { x: 30, y: 20 } }] }])
  })

  it('begins where the node is drawn, if the document has it too far away', () => {
    editor.set({ view: viewOf([node('far', 1e308, -1e308), node('near', 20, 20)]) })
    store.beginDrag('far', ['far', 'near'], false)
    store.dragTo('far', { x: 1e6 - 100, y: -1e6 })
    store.endDrag()
    expect(editor.acts).toEqual([
      {
        act: 'moveNodes',
        of: [
          { id: 'far', position: { x: 1e6 - 100, y: -1e6 } },
          { id: 'near', position: { x: -80, y: 20 } }
        ]
      }
    ])
  })

  it('does not begin where nobody may edit', () => {
    editor.set({ canEdit: false })
    store.beginDrag('web', ['web'], false)
    store.dragTo('web', { x: 30, y: 20 })
    expect(shownAt('web')).toEqual({ x: 20, y: 20 })
  })
})

describe('arrow keys', () => {
  beforeEach(() => editor.set({ selection: { nodes: ['web'], edges: [] } }))

  it('move at once and write one move when no more follow', () => {
    store.nudge(5, 0)
    vi.advanceTimersByTime(NUDGE_PAUSE_MS - 1)
    store.nudge(5, 0)
    store.nudge(0, 20)
    expect(shownAt('web')).toEqual({ x: 30, y: 40 })
    vi.advanceTimersByTime(NUDGE_PAUSE_MS - 1)
    expect(editor.acts).toEqual([])
    vi.advanceTimersByTime(1)
    expect(editor.acts).toEqual([{ act: 'moveNodes', of: [{ id: 'web', position: { x: 30, y: 40 } }] }])
  })

  it('are written before another selection is moved, and when the canvas goes away', () => {
    store.nudge(5, 0)
    editor.set({ selection: { nodes: ['db'], edges: [] } })
    store.nudge(5, 0)
    expect(editor.acts).toHaveLength(1)
    stop()
    expect(editor.acts).toHaveLength(2)
  })

  it('do nothing where nothing is selected', () => {
    editor.set({ selection: { nodes: [], edges: [] } })
    expect(store.nudge(5, 0)).toBe(false)
  })
})

describe('drags of others', () => {
  it('are shown, and end when the document moves the node, whatever presence still says', () => {
    let drags: ReadonlyMap<string, { dx: number; dy: number }> = new Map()
    const listeners = new Set<() => void>()
    const say = (next: typeof drags) => {
      drags = next
      for (const listener of listeners) listener()
    }
    const remoteDrags = {
      get: () => drags,
      subscribe: (listener: () => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      }
    }
    stop()
    store = new CanvasStore({ editor, remoteDrags })
    stop = store.subscribe(() => {})

    say(new Map([['web', { dx: 100, dy: 0 }]]))
    expect(shownAt('web')).toEqual({ x: 120, y: 20 })
    editor.moveNodes([{ id: 'web', position: { x: 120, y: 20 } }])
    expect(shownAt('web')).toEqual({ x: 120, y: 20 })
    say(new Map())
    expect(shownAt('web')).toEqual({ x: 120, y: 20 })
    say(new Map([['web', { dx: 5, dy: 5 }]]))
    expect(shownAt('web')).toEqual({ x: 125, y: 25 })
  })
})

describe('a resize', () => {
  it('is written once, at its end', () => {
    store.beginResize('subnet')
    store.resizeTo('subnet', { x: -10, y: 0, width: 610.4, height: 400 })
    store.resizeTo('subnet', { x: -20, y: 0, width: 620.4, height: 400 })
    expect(store.snapshot().nodes.find(each => each.id === 'subnet')).toMatchObject({
      width: 620,
      position: { x: -20, y: 0 }
    })
    expect(editor.acts).toEqual([])
    store.endResize('subnet')
    expect(editor.acts).toEqual([
      { act: 'resizeNode', of: { id: 'subnet', position: { x: -20, y: 0 }, width: 620, height: 400 } }
    ])
  })

  it('is undone by Escape', () => {
    store.beginResize('subnet')
    store.resizeTo('subnet', { x: 0, y: 0, width: 900, height: 400 })
    store.giveUp()
    store.endResize('subnet')
    expect(editor.acts).toEqual([])
  })
})

describe('a label', () => {
  it('is written when it changed and says something', () => {
    for (const [label, acts] of [
      ['web', 0],
      ['   ', 0],
      [null, 0],
      [' Shop ', 1]
    ] as const) {
      store.edit('web')
      expect(store.snapshot().editing).toBe('web')
      store.endEdit('web', label)
      expect(store.snapshot().editing).toBeNull()
      expect(editor.acts).toHaveLength(acts)
    }
    expect(editor.acts).toEqual([{ act: 'patchData', of: { ids: ['web'], patch: { label: 'Shop' } } }])
  })

  const losses: [string, () => void, string][] = [
    ['the right to edit', () => editor.set({ canEdit: false }), 'this design cannot be edited any more'],
    ['the node', () => editor.set({ view: viewOf([node('db', 310, 120)]) }), 'the component is not there any more']
  ]
  it.each(losses)('that loses %s while it is typed is given back, once', (_, lose, why) => {
    store.edit('web')
    store.typed('web', ' Shop ')
    lose()
    lose()
    // The field's blur comes late.
    store.endEdit('web', ' Shop ')
    expect(said).toEqual([`Not written, since ${why}: “Shop”`])
    expect(editor.acts).toEqual([])
    expect(store.snapshot().editing).toBeNull()
  })

  it('is written when the canvas goes away while it is typed', () => {
    store.edit('web')
    store.typed('web', 'Shop')
    stop()
    expect(editor.acts).toEqual([{ act: 'patchData', of: { ids: ['web'], patch: { label: 'Shop' } } }])
  })

  it('that was not changed, or given up, goes without a word', () => {
    store.edit('web')
    editor.set({ canEdit: false })
    editor.set({ canEdit: true })
    store.edit('web')
    store.typed('web', 'web')
    editor.set({ canEdit: false })
    editor.set({ canEdit: true })
    store.edit('web')
    store.typed('web', 'Shop')
    store.endEdit('web', null)
    editor.set({ canEdit: false })
    expect(said).toEqual([])
  })
})
