import { beforeEach, describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { dataOf, flagsMapOf, nodesOf } from '../design/document'
import * as edits from '../design/edits'
import { docOf, sync } from './testing/people'
import { node, Person } from './testing/person'

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
