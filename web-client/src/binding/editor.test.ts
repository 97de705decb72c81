import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as Y from 'yjs'
import { dataOf, flagsMapOf, nodesOf } from '../design/document'
import * as edits from '../design/edits'
import { createEditor } from './editor'
import { docOf, sync, type TestSession, testSession } from './testing/people'
import type { CanvasEditor, Selection } from './types'

let session: TestSession
let editor: CanvasEditor
let messages: string[]
function open(doc: Y.Doc, state = {}): void {
  session = testSession(doc, state)
  messages = []
  editor = createEditor(session, { onMessage: text => messages.push(text) })
}

beforeEach(() => {
  open(docOf(1))
})

const nodes = (...ids: string[]): Selection => ({ nodes: ids, edges: [] })
const view = () => editor.state.view
const positionOf = (id: string | undefined) => view().nodes.get(id ?? '')?.position

function add(kind: Parameters<CanvasEditor['addNode']>[0] = 'web-server', x = 0, y = 0): string {
  const id = editor.addNode(kind, { x, y })
  if (id === null) throw new Error('The node was not added.')
  return id
}

describe('adding', () => {
  it('puts the middle of the node where it was asked for, and selects it', () => {
    const id = add('database', 100, 100)
    expect(positionOf(id)).toEqual({ x: 25, y: 60 })
    expect(editor.state.selection).toEqual(nodes(id))
    const element = nodesOf(session.doc).get(id)
    expect(element && dataOf(element)).toBeInstanceOf(Y.Map)
    expect(element && flagsMapOf(element)).toBeInstanceOf(Y.Map)
  })

  it('gives containers a size, and never hides one new node below another', () => {
    const [a, b] = [add('subnet', 0, 0), add('subnet', 0, 0)]
    expect(view().nodes.get(a)).toMatchObject({ width: 300, height: 200, position: { x: -150, y: -100 } })
    expect(positionOf(b)).toEqual({ x: -130, y: -80 })
  })

  it('stops at what a design holds', () => {
    const doc = docOf(1)
    const many = Array.from({ length: 10_000 }, (_, at) => ({ id: `n${at}`, fields: {} }))
    edits.insert(doc, { nodes: many, edges: [] })
    open(doc)
    expect(editor.addNode('cache', { x: 0, y: 0 })).toBeNull()
    expect(messages).toEqual(['A design holds 10,000 nodes at most.'])
    expect(view().nodes.size).toBe(10_000)
  })
})

describe('connecting', () => {
  it('claims nothing about the traffic', () => {
    const [a, b] = [add(), add()]
    const id = editor.connect(a, b)
    expect(view().edges.get(id ?? '')).toEqual({
      id,
      source: a,
      target: b,
      type: 'smoothstep',
      data: { securityFlags: {} },
      rest: {}
    })
  })

  it('refuses a node with itself, and the same connection twice, and says why', () => {
    const [a, b] = [add(), add()]
    expect(editor.connect(a, a)).toBeNull()
    expect(messages).toEqual(['A node cannot be connected to itself.'])
    editor.connect(a, b)
    expect(editor.connect(a, b, { sourceHandle: null })).toBeNull()
    expect(messages).toHaveLength(2)
    // Another side, and the other direction, are other connections.
    expect(editor.connect(a, b, { sourceHandle: 'top', targetHandle: 'top' })).not.toBeNull()
    expect(editor.connect(b, a)).not.toBeNull()
  })

  it('takes an end of an edge elsewhere', () => {
    const [a, b, c] = [add(), add(), add()]
    const id = editor.connect(a, b, { sourceHandle: 'right', targetHandle: 'left' }) ?? ''
    expect(editor.reconnect(id, { source: a, target: c, sourceHandle: 'right' })).toBe(true)
    expect(view().edges.get(id)).toMatchObject({ source: a, target: c, sourceHandle: 'right' })
    expect(view().edges.get(id)?.targetHandle).toBeUndefined()
    expect(editor.reconnect(id, { source: c, target: c })).toBe(false)
    editor.undo()
    expect(view().edges.get(id)).toMatchObject({ target: b, targetHandle: 'left' })
  })
})

describe('who may not edit', () => {
  it('changes nothing, and still selects and copies', () => {
    const [a, b] = [add(), add()]
    editor.connect(a, b)
    session.change({ canEdit: false })
    const before = Y.encodeStateAsUpdate(session.doc)
    expect(editor.copy(nodes(a))).toBe(true)
    const refused = [
      editor.addNode('cache', { x: 0, y: 0 }),
      editor.connect(b, a),
      editor.patchData([a], { label: 'x' }),
      editor.patchFlags([a], { x: true }),
      editor.patchElements([a], { zIndex: 1 }),
      editor.patchMeta({ name: 'x' }),
      editor.moveNodes([{ id: a, position: { x: 1, y: 1 } }]),
      editor.resizeNode(a, { position: { x: 0, y: 0 }, width: 1, height: 1 }),
      editor.remove(nodes(a)),
      editor.paste(),
      editor.pasteText('x'),
      editor.duplicate(nodes(a))
    ]
    editor.undo()
    expect(refused.every(result => result === null || result === false)).toBe(true)
    expect(Y.encodeStateAsUpdate(session.doc)).toEqual(before)
    editor.select(nodes(b))
    expect(editor.state.selection).toEqual(nodes(b))
  })
})

describe('the selection', () => {
  it('loses what is gone, tells it once, and is never written into the document', () => {
    const [a, b] = [add(), add()]
    editor.select({ nodes: [a, b, a, 'nobody'], edges: ['none'] })
    expect(editor.state.selection).toEqual(nodes(a, b))
    const told = vi.fn()
    editor.subscribe(told)
    edits.remove(session.doc, nodes(a))
    expect(editor.state.selection).toEqual(nodes(b))
    expect(told).toHaveBeenCalledTimes(1)
    editor.select(nodes(b))
    expect(told).toHaveBeenCalledTimes(1)
  })

  it('comes back with an undo', () => {
    const [a, b] = [add(), add()]
    editor.connect(a, b)
    editor.select(nodes(a))
    editor.remove(editor.state.selection)
    expect(editor.state.selection).toEqual(nodes())
    editor.undo()
    expect(editor.state.selection).toEqual(nodes(a))
    expect(view().edges.size).toBe(1)
  })
})

describe('a reset of the session', () => {
  it('shows the new document with the same selection, and nothing to undo', () => {
    const [a] = [add()]
    const next = docOf(2)
    sync(session.doc, next)
    const old = session.doc
    session.replace(next)
    expect(editor.state.selection).toEqual(nodes(a))
    expect(editor.state).toMatchObject({ canUndo: false, canRedo: false })
    editor.patchData([a], { label: 'in the new one' })
    expect(view().nodes.get(a)?.data.label).toBe('in the new one')
    const told = vi.fn()
    editor.subscribe(told)
    edits.patchData(old, [a], { label: 'in the old one' })
    expect(told).not.toHaveBeenCalled()
  })

  it('waits with the selection until the new document is there', () => {
    const [a] = [add()]
    const old = session.doc
    session.replace(docOf(2))
    expect(editor.state.selection).toEqual(nodes())
    sync(session.doc, old)
    expect(editor.state.selection).toEqual(nodes(a))
  })
})

describe('undo', () => {
  it('says what stays because others have worked on it', () => {
    const id = add('cache')
    const other = docOf(2)
    sync(session.doc, other)
    edits.patchData(other, [id], { zone: 'dmz' })
    sync(session.doc, other)
    editor.undo()
    expect(messages).toEqual(['“Cache” stays: others have worked on it since.'])
    expect(view().nodes.size).toBe(1)
  })

  it('typing in a field is one step', () => {
    const id = add()
    for (const label of ['O', 'Or', 'Orders']) editor.patchData([id], { label })
    editor.undo()
    expect(view().nodes.get(id)?.data.label).toBe('Web server')
  })
})
