import { beforeEach, describe, expect, it } from 'vitest'
import * as edits from '../design/edits'
import { docOf, sync } from './testing/people'
import { edge, node, Person } from './testing/person'

let ann: Person
let ben: Person
const meet = () => sync(ann.doc, ben.doc)

beforeEach(() => {
  ann = new Person(docOf(1))
  ben = new Person(docOf(2))
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
