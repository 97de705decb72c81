import { beforeEach, describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { dataOf, flagsMapOf, nodesOf } from '../design/document'
import * as edits from '../design/edits'
import type { JsonObject } from '../design/elements'
import { History } from './history'
import { docOf, sync } from './testing/people'
import type { Selection } from './types'
import { readView } from './view'

const node = (id: string, fields: JsonObject = {}) => ({ id, fields: { position: { x: 0, y: 0 }, ...fields } })
const edge = (id: string, source: string, target: string) => ({ id, fields: { source, target } })

/** A person with a document, a history, and gestures that are acts of theirs. */
class Person {
  selected: Selection = { nodes: [], edges: [] }
  now = 1_000_000
  readonly history: History

  constructor(readonly doc: Y.Doc) {
    this.history = new History(
      doc,
      () => this.selected,
      () => this.now
    )
  }

  get view() {
    return readView(this.doc)
  }

  act(run: (doc: Y.Doc) => void, key?: string): void {
    this.history.act(() => run(this.doc), key)
  }

  draw(...nodes: { id: string; fields: JsonObject }[]): void {
    this.act(doc => edits.insert(doc, { nodes, edges: [] }))
  }

  connect(id: string, source: string, target: string): void {
    this.act(doc => edits.insert(doc, { nodes: [], edges: [edge(id, source, target)] }))
  }

  move(id: string, x: number, y: number): void {
    this.act(doc => edits.moveNodes(doc, [{ id, position: { x, y } }]))
  }

  label(id: string, label: string, key?: string): void {
    this.act(doc => edits.patchData(doc, [id], { label }), key)
  }

  remove(...nodes: string[]): void {
    this.act(doc => edits.remove(doc, { nodes, edges: [] }))
  }

  undo() {
    return this.history.undo(selection => {
      this.selected = selection
    })
  }

  redo() {
    return this.history.redo(selection => {
      this.selected = selection
    })
  }
}

let ann: Person
let ben: Person
const meet = () => sync(ann.doc, ben.doc)

beforeEach(() => {
  ann = new Person(docOf(1))
  ben = new Person(docOf(2))
})

describe('steps', () => {
  it('each act is one step, however fast they come', () => {
    ann.draw(node('a'))
    ann.move('a', 10, 10)
    ann.move('a', 20, 20)
    ann.undo()
    expect(ann.view.nodes.get('a')?.position).toEqual({ x: 10, y: 10 })
    ann.undo()
    expect(ann.view.nodes.get('a')?.position).toEqual({ x: 0, y: 0 })
    ann.undo()
    expect(ann.view.nodes.size).toBe(0)
    expect(ann.history.canUndo).toBe(false)
    for (const _ of [1, 2, 3]) ann.redo()
    expect(ann.view.nodes.get('a')?.position).toEqual({ x: 20, y: 20 })
  })

  it('typing is one step, until there is a pause, or another key, or an undo', () => {
    ann.draw(node('a'))
    const type = (label: string, waitMs: number) => {
      ann.now += waitMs
      ann.label('a', label, 'a/label')
    }
    type('W', 0)
    type('We', 499)
    type('Web', 499)
    type('Web!', 500)
    ann.undo()
    expect(ann.view.nodes.get('a')?.data.label).toBe('Web')
    type('Web?', 1)
    ann.undo()
    expect(ann.view.nodes.get('a')?.data.label).toBe('Web')
    ann.undo()
    expect(ann.view.nodes.get('a')?.data.label).toBeUndefined()
  })

  it('an act that changed nothing is no step', () => {
    ann.draw(node('a'))
    ann.move('a', 0, 0)
    ann.undo()
    expect(ann.view.nodes.size).toBe(0)
  })

  it('a new act forgets what could be redone', () => {
    ann.draw(node('a'))
    ann.undo()
    expect(ann.history.canRedo).toBe(true)
    ann.draw(node('b'))
    expect(ann.history.canRedo).toBe(false)
  })

  it('brings back the selection of that moment', () => {
    ann.draw(node('a'), node('b'))
    ann.selected = { nodes: ['a'], edges: [] }
    ann.remove('a')
    ann.selected = { nodes: ['b'], edges: [] }
    ann.undo()
    expect(ann.selected).toEqual({ nodes: ['a'], edges: [] })
    ann.redo()
    expect(ann.selected).toEqual({ nodes: ['b'], edges: [] })
  })
})

describe('a deleted node', () => {
  it('comes back whole with its edges in one step, its data and flags as shared maps', () => {
    ann.draw(node('a', { data: { label: 'A', securityFlags: { mfaRequired: true } } }), node('b'))
    ann.connect('ab', 'a', 'b')
    const before = ann.view
    ann.remove('a')
    expect(ann.view.edges.size).toBe(0)
    ann.undo()
    expect(ann.view).toEqual(before)
    const element = nodesOf(ann.doc).get('a')
    expect(element && dataOf(element)).toBeInstanceOf(Y.Map)
    expect(element && flagsMapOf(element)).toBeInstanceOf(Y.Map)
    meet()
    expect(ben.view).toEqual(before)
    ben.act(doc => edits.patchFlags(doc, ['a'], { rbacEnabled: true }))
    meet()
    expect(ann.view.nodes.get('a')?.data.securityFlags).toEqual({ mfaRequired: true, rbacEnabled: true })
  })

  it('that somebody else made comes back too', () => {
    ben.draw(node('a', { data: { label: 'A' } }))
    meet()
    ann.remove('a')
    meet()
    ann.undo()
    meet()
    expect(ben.view.nodes.get('a')?.data.label).toBe('A')
    ann.redo()
    meet()
    expect(ben.view.nodes.size).toBe(0)
  })

  it('comes back as its author saw it: what others wrote meanwhile is gone', () => {
    ann.draw(node('a', { data: { label: 'A' } }))
    meet()
    ann.move('a', 5, 5)
    meet()
    ann.remove('a')
    ben.label('a', 'by Ben')
    ben.move('a', 9, 9)
    meet()
    ann.undo()
    meet()
    expect(ben.view.nodes.get('a')).toMatchObject({ position: { x: 5, y: 5 }, data: { label: 'A' } })
    ann.redo()
    ann.undo()
    meet()
    expect(ben.view.nodes.get('a')).toMatchObject({ position: { x: 5, y: 5 }, data: { label: 'A' } })
  })

  it('that somebody else has brought back before is theirs, and the others still come back', () => {
    ben.draw(node('a', { data: { label: 'A' } }), node('b', { data: { label: 'B' } }))
    meet()
    ann.remove('a', 'b')
    ben.remove('a')
    ben.undo()
    ben.label('b', 'by Ben')
    meet()
    ben.label('a', 'by Ben')
    meet()
    ann.undo()
    meet()
    expect(ben.view.nodes.get('a')?.data.label).toBe('by Ben')
    expect(ben.view.nodes.get('b')?.data.label).toBe('B')
    expect(ann.view).toEqual(ben.view)
  })
})

describe("others' work stays", () => {
  beforeEach(() => {
    ben.draw(node('a'), node('b'), node('c'))
    meet()
  })

  it('when somebody else moved the node meanwhile', () => {
    ann.label('b', 'mine')
    ann.move('a', 10, 10)
    meet()
    ben.move('a', 99, 99)
    meet()
    ann.undo()
    expect(ann.view.nodes.get('a')?.position).toEqual({ x: 99, y: 99 })
    // There was nothing to undo in it, so the step before it was undone.
    expect(ann.view.nodes.get('b')?.data.label).toBeUndefined()
  })

  it('when somebody else wrote another key of the same node', () => {
    ann.move('a', 10, 10)
    meet()
    ben.label('a', 'by Ben')
    meet()
    ann.undo()
    expect(ann.view.nodes.get('a')).toMatchObject({ position: { x: 0, y: 0 }, data: { label: 'by Ben' } })
  })

  it('when somebody else deleted the node', () => {
    ann.move('b', 5, 5)
    ann.move('a', 10, 10)
    meet()
    ben.remove('a')
    meet()
    ann.undo()
    expect(ann.view.nodes.has('a')).toBe(false)
    expect(ann.view.nodes.get('b')?.position).toEqual({ x: 0, y: 0 })
  })

  it('never undoes what others did', () => {
    expect(ann.history.canUndo).toBe(false)
    expect(ann.undo()).toEqual({ done: false, kept: [] })
    expect(ann.view.nodes.size).toBe(3)
  })
})

describe('undoing that I made a node', () => {
  beforeEach(() => {
    ben.draw(node('b'))
    meet()
    ann.draw(node('older'))
    ann.draw(node('a', { data: { label: 'A' } }))
    meet()
  })

  it('takes it away while nobody else has touched it', () => {
    expect(ann.undo()).toEqual({ done: true, kept: [] })
    expect(ann.view.nodes.has('a')).toBe(false)
  })

  it('leaves it to somebody who connected it', () => {
    ben.connect('ab', 'a', 'b')
    meet()
    const before = ann.view
    expect(ann.undo()).toEqual({ done: true, kept: ['a'] })
    expect(ann.view).toEqual(before)
    // Pressed again, it is the turn of the step before.
    ann.undo()
    expect([...ann.view.nodes.keys()]).toEqual(['a', 'b'])
  })

  it('leaves it to somebody who wrote into it, deep inside as well', () => {
    ben.act(doc => edits.patchFlags(doc, ['a'], { mfaRequired: true }))
    meet()
    expect(ann.undo().kept).toEqual(['a'])
    expect(ann.view.nodes.get('a')?.data).toEqual({ label: 'A', securityFlags: { mfaRequired: true } })
  })

  it('leaves it to somebody who hung a node on it', () => {
    ben.act(doc => edits.patchElements(doc, ['b'], { parentId: 'a' }))
    meet()
    expect(ann.undo().kept).toEqual(['a'])
    expect(ann.view.nodes.get('b')?.parentId).toBe('a')
  })

  it('still undoes my later acts on it, one by one', () => {
    ann.label('a', 'mine')
    meet()
    ben.move('a', 7, 7)
    meet()
    expect(ann.undo()).toEqual({ done: true, kept: [] })
    expect(ann.view.nodes.get('a')).toMatchObject({ position: { x: 7, y: 7 }, data: { label: 'A' } })
    expect(ann.undo().kept).toEqual(['a'])
  })

  it('takes away the rest of what was made with it in one step', () => {
    ann.act(doc =>
      edits.insert(doc, {
        nodes: [node('p'), node('q'), node('r')],
        edges: [edge('pq', 'p', 'q'), edge('qr', 'q', 'r')]
      })
    )
    meet()
    ben.act(doc => edits.patchData(doc, ['pq'], { protocol: 'gRPC' }))
    meet()
    // Ben's edge needs both of its ends.
    expect([...ann.undo().kept].sort()).toEqual(['p', 'pq', 'q'])
    expect([...ann.view.nodes.keys()]).toEqual(['a', 'b', 'older', 'p', 'q'])
    expect([...ann.view.edges.keys()]).toEqual(['pq'])
  })

  it('remembers across undo and redo who built on it', () => {
    ann.undo()
    ann.redo()
    meet()
    ben.connect('ab', 'a', 'b')
    meet()
    expect(ann.undo().kept).toEqual(['a'])
    expect(ann.view.edges.has('ab')).toBe(true)
  })

  it('judges each step by itself when the newer ones have nothing to undo any more', () => {
    ann.move('b', 1, 1)
    meet()
    ben.move('b', 2, 2)
    ben.connect('ab', 'a', 'b')
    meet()
    ann.undo()
    expect(ann.view.nodes.has('a')).toBe(true)
    expect(ann.view.edges.has('ab')).toBe(true)
    expect(ann.view.nodes.get('b')?.position).toEqual({ x: 2, y: 2 })
  })
})
