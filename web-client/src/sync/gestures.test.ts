import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { nodesOf } from '../design/document'
import { insert, moveNodes, patchData, patchFlags, patchMeta, remove } from '../design/edits'
import { type Gesture, holds, makeAgain, readGesture } from './gestures'

const node = (id: string) => ({
  id,
  fields: { type: 'custom', position: { x: 0, y: 0 }, data: { label: id, securityFlags: { public: true } } }
})
const edge = (id: string, source: string, target: string) => ({
  id,
  fields: { source, target, data: { protocol: 'TCP' } }
})

/** A document with two nodes and an edge, and what is done in it from now on. */
function drawing(): { doc: Y.Doc; gestures: Gesture[] } {
  const doc = new Y.Doc()
  insert(doc, { nodes: [node('a'), node('b')], edges: [edge('ab', 'a', 'b')] })
  const gestures: Gesture[] = []
  doc.on('update', (_update: Uint8Array, _origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) =>
    gestures.push(readGesture(transaction, 7))
  )
  return { doc, gestures }
}

const copyOf = (doc: Y.Doc): Y.Doc => {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  return copy
}
const contentOf = (doc: Y.Doc): object => ['nodes', 'edges', 'meta', 'comments'].map(root => doc.getMap(root).toJSON())

const acts: [string, (doc: Y.Doc) => void][] = [
  ['a node that is added', doc => insert(doc, { nodes: [node('c')], edges: [] })],
  [
    'nodes and an edge that are pasted',
    doc => insert(doc, { nodes: [node('c'), node('d')], edges: [edge('cd', 'c', 'd')] })
  ],
  ['a move', doc => moveNodes(doc, [{ id: 'a', position: { x: 5, y: 6 } }])],
  ['a key of data', doc => patchData(doc, ['a', 'b'], { label: 'new', note: { deep: [1, { x: null }] } })],
  ['a key of data that goes', doc => patchData(doc, ['a'], { label: undefined })],
  ['a flag', doc => patchFlags(doc, ['ab', 'a'], { encrypted: true, public: undefined })],
  ['meta', doc => patchMeta(doc, { name: 'Shop', tags: ['a'] })],
  ['a node that is removed with its edge', doc => remove(doc, { nodes: ['a'], edges: [] })],
  [
    'a node that is changed and removed at once',
    doc =>
      doc.transact(() => {
        moveNodes(doc, [{ id: 'a', position: { x: 1, y: 1 } }])
        remove(doc, { nodes: ['a'], edges: [] })
      })
  ],
  [
    'a node that is removed and put back',
    doc =>
      doc.transact(() => {
        remove(doc, { nodes: ['a'], edges: [] })
        insert(doc, { nodes: [node('a')], edges: [] })
      })
  ],
  [
    'a comment with maps inside',
    doc => void doc.getMap('comments').set('c1', new Y.Map([['replies', new Y.Map([['r1', 'hello']])]]))
  ]
]

describe('a gesture', () => {
  it.each(acts)('makes %s again in another document, under another client id', (_, act) => {
    const { doc, gestures } = drawing()
    const other = copyOf(doc)
    act(doc)
    expect(gestures).toHaveLength(1)
    for (const { changes } of gestures) expect(makeAgain(other, changes)).toEqual([])
    expect(contentOf(other)).toEqual(contentOf(doc))
    const flags = nodesOf(other).get('b')?.get('data')
    expect(flags).toBeInstanceOf(Y.Map)
  })

  it.each(acts)('is known to be in a document or not: %s', (_, act) => {
    const { doc, gestures } = drawing()
    const other = copyOf(doc)
    act(doc)
    for (const gesture of gestures) {
      expect(holds(other, gesture)).toBe(false)
      expect(holds(doc, gesture)).toBe(true)
    }
  })

  it('survives being stored', () => {
    const { doc, gestures } = drawing()
    for (const [, act] of acts) act(doc)
    expect(structuredClone(gestures)).toEqual(gestures)
  })

  it('does not bring keys of an element back that is gone, and names them', () => {
    const { doc, gestures } = drawing()
    const other = copyOf(doc)
    remove(other, { nodes: ['a'], edges: [] })
    patchData(doc, ['a', 'b'], { label: 'new' })
    const lost = gestures.flatMap(({ changes }) => makeAgain(other, changes))
    expect(lost).toEqual([{ path: ['nodes', 'a', 'data', 'label'], value: { plain: 'new' } }])
    expect(nodesOf(other).has('a')).toBe(false)
    expect(nodesOf(other).toJSON()).toMatchObject({ b: { data: { label: 'new' } } })
  })

  it('writes into shared maps that stand there, and never replaces them', () => {
    const { doc, gestures } = drawing()
    const other = copyOf(doc)
    remove(doc, { nodes: ['a'], edges: [] })
    insert(doc, { nodes: [node('a')], edges: [] })
    const data = nodesOf(other).get('a')?.get('data')
    patchData(other, ['a'], { kept: 'by somebody else' })
    makeAgain(other, gestures[1]?.changes ?? [])
    expect(nodesOf(other).get('a')?.get('data')).toBe(data)
    expect(nodesOf(other).toJSON()).toMatchObject({ a: { data: { kept: 'by somebody else', label: 'a' } } })
  })
})
