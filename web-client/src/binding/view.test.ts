import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { edgesOf, metaOf, nodesOf, OWN, type SharedElement, sharedElement } from '../design/document'
import * as edits from '../design/edits'
import type { JsonObject } from '../design/elements'
import { byCodePoints } from './read'
import { docOf, sync } from './testing/people'
import { type LiveView, liveView, readView } from './view'

const at = (x: number, y: number): JsonObject => ({ position: { x, y } })

function drawn(nodes: Record<string, JsonObject>, edges: Record<string, JsonObject> = {}): Y.Doc {
  const doc = new Y.Doc()
  const elements = (all: Record<string, JsonObject>) => Object.entries(all).map(([id, fields]) => ({ id, fields }))
  edits.insert(doc, { nodes: elements(nodes), edges: elements(edges) })
  return doc
}

/** Writes past the types, as other people's programs may. */
const oddly = (root: Y.Map<SharedElement>): Y.Map<unknown> => root as Y.Map<unknown>

describe('how a document reads', () => {
  it('gives known keys their names and keeps every other one', () => {
    const doc = drawn({
      web: {
        ...at(1, 2),
        type: 'custom',
        width: 100,
        zIndex: 3,
        selected: true,
        data: { label: 'Web', cost: { eur: 1 } }
      }
    })
    expect(readView(doc).nodes.get('web')).toEqual({
      id: 'web',
      type: 'custom',
      position: { x: 1, y: 2 },
      width: 100,
      zIndex: 3,
      data: { label: 'Web', cost: { eur: 1 }, securityFlags: {} },
      rest: { selected: true }
    })
  })

  it('puts a position that no canvas can use at the origin', () => {
    const odd = [{ x: 1 }, { x: 1, y: '2' }, { x: 1, y: null }, [1, 2], null, 'here']
    for (const position of odd)
      expect(readView(drawn({ a: { position } })).nodes.get('a')?.position).toEqual({ x: 0, y: 0 })
    const doc = drawn({ a: {} })
    nodesOf(doc).get('a')?.set('position', { x: Number.NaN, y: Number.POSITIVE_INFINITY })
    expect(readView(doc).nodes.get('a')?.position).toEqual({ x: 0, y: 0 })
  })

  it('takes the parent only from nodes on a cycle, and from those whose parent is no node', () => {
    const doc = drawn({
      a: { parentId: 'b' },
      b: { parentId: 'c' },
      c: { parentId: 'a' },
      orphan: { parentId: 'nobody' },
      self: { parentId: 'self' },
      tail: { parentId: 'a' }
    })
    const parents = [...readView(doc).nodes.values()].map(({ id, parentId }) => [id, parentId])
    expect(Object.fromEntries(parents)).toEqual({
      a: undefined,
      b: undefined,
      c: undefined,
      orphan: undefined,
      self: undefined,
      tail: 'a'
    })
  })

  it('hides an edge without its nodes, and tells which are missing', () => {
    const doc = drawn(
      { a: {}, b: {} },
      {
        e1: { source: 'a', target: 'b' },
        e2: { source: 'gone', target: 'gone' },
        e3: { source: 7, target: 'a' },
        e4: { source: 'x', target: 'y' }
      }
    )
    const { edges, hidden } = readView(doc)
    expect([...edges.keys()]).toEqual(['e1'])
    expect(Object.fromEntries(hidden)).toEqual({ e2: ['gone'], e3: [], e4: ['x', 'y'] })
  })

  it('leaves out an entry that is no element, and a key id inside of one', () => {
    const doc = drawn({ a: {} })
    oddly(nodesOf(doc)).set('text', 'no element')
    nodesOf(doc).get('a')?.set('id', 'another')
    const { nodes } = readView(doc)
    expect([...nodes.keys()]).toEqual(['a'])
    expect(nodes.get('a')).toMatchObject({ id: 'a', rest: {} })
  })

  it('reads data that is no shared map', () => {
    const doc = drawn({ a: {}, b: {} })
    nodesOf(doc)
      .get('a')
      ?.set('data', { label: 'plain', securityFlags: { a: true } })
    nodesOf(doc).get('b')?.set('data', 'a text')
    const { nodes } = readView(doc)
    expect(nodes.get('a')?.data).toEqual({ label: 'plain', securityFlags: { a: true } })
    expect(nodes.get('b')).toMatchObject({ data: {}, rest: { data: 'a text' } })
  })

  it('sorts by code points, not by UTF-16 units', () => {
    const ids = ['\u{1F600}', '\uFFFD', 'z', 'Z', 'zz', 'é']
    expect([...ids].sort(byCodePoints)).toEqual(['Z', 'z', 'zz', 'é', '\uFFFD', '\u{1F600}'])
  })
})

describe('a view that is kept up to date', () => {
  it('reads only what was touched', () => {
    const doc = drawn({ a: {}, b: {}, c: {} }, { ab: { source: 'a', target: 'b' } })
    const live = liveView(doc, () => {})
    const before = live.view
    edits.patchFlags(doc, ['b'], { mfaRequired: true })
    const after = live.view
    expect(after).not.toBe(before)
    expect(after.nodes.get('b')).not.toBe(before.nodes.get('b'))
    for (const id of ['a', 'c']) expect(after.nodes.get(id)).toBe(before.nodes.get(id))
    expect(after.edges).toBe(before.edges)
    expect(after.meta).toBe(before.meta)
  })

  it('tells once of each transaction, and of nothing else', () => {
    const doc = drawn({ a: {} })
    let told = 0
    const live = liveView(doc, () => told++)
    doc.transact(() => {
      edits.patchData(doc, ['a'], { label: 'one' })
      edits.patchMeta(doc, { name: 'Shop' })
    })
    doc.getMap('comments').set('c', new Y.Map())
    edits.patchData(doc, ['a'], { label: 'one' })
    expect(told).toBe(1)
    live.destroy()
    edits.patchData(doc, ['a'], { label: 'two' })
    expect(told).toBe(1)
  })

  it('shows a hidden edge again when its node comes back', () => {
    const doc = drawn({ a: {}, b: {} }, { ab: { source: 'a', target: 'b' } })
    const live = liveView(doc, () => {})
    nodesOf(doc).delete('b')
    expect(live.view.hidden.get('ab')).toEqual(['b'])
    edits.insert(doc, { nodes: [{ id: 'b', fields: {} }], edges: [] })
    expect(live.view.edges.has('ab')).toBe(true)
    expect(live.view.hidden.size).toBe(0)
  })

  it('equals the view read from scratch after any edits of several people', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const docs = [docOf(1), docOf(2)] as const
        const lives = docs.map(doc => liveView(doc, () => {}))
        for (const { who, act } of steps) {
          if (act === null) sync(...docs)
          else act(docs[who])
          for (const [each, doc] of docs.entries()) expectSame(lives[each], doc)
        }
        sync(...docs)
        for (const [each, doc] of docs.entries()) expectSame(lives[each], doc)
        expect(lives[0]?.view).toEqual(lives[1]?.view)
      }),
      { numRuns: 200 }
    )
  })
})

function expectSame(live: LiveView | undefined, doc: Y.Doc): void {
  const scratch = readView(doc)
  expect(live?.view).toEqual(scratch)
  // `toEqual` does not look at the order of a Map.
  expect([...(live?.view.nodes.keys() ?? [])]).toEqual([...scratch.nodes.keys()])
  expect([...(live?.view.edges.keys() ?? [])]).toEqual([...scratch.edges.keys()])
}

const NODES = ['a', 'b', 'c', 'd', '\u{1F600}']
const EDGES = ['e', 'f', 'g']
const id = fc.constantFrom(...NODES)
const edge = fc.constantFrom(...EDGES)
const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant({ deep: [1] }), id)
const key = fc.constantFrom('label', 'position', 'parentId', 'width', 'source', 'securityFlags', 'data', 'type')

type Act = (doc: Y.Doc) => void
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(id, fc.option(id)).map(([id, parentId]): Act => {
    const fields = { position: { x: 1, y: 2 }, ...(parentId !== null && { parentId }) }
    return doc => edits.insert(doc, { nodes: [{ id, fields }], edges: [] })
  }),
  fc.tuple(edge, id, id).map(([id, source, target]): Act => {
    return doc => edits.insert(doc, { nodes: [], edges: [{ id, fields: { source, target } }] })
  }),
  fc.tuple(id, fc.double(), fc.double()).map(
    ([id, x, y]): Act =>
      doc =>
        edits.moveNodes(doc, [{ id, position: { x, y } }])
  ),
  fc.array(id, { maxLength: 2 }).map(
    (nodes): Act =>
      doc =>
        edits.remove(doc, { nodes, edges: [] })
  ),
  fc.tuple(fc.oneof(id, edge), key, value).map(
    ([id, key, value]): Act =>
      doc =>
        edits.patchElements(doc, [id], { [key]: value })
  ),
  fc.tuple(fc.oneof(id, edge), key, value).map(
    ([id, key, value]): Act =>
      doc =>
        edits.patchData(doc, [id], { [key]: value })
  ),
  fc.tuple(id, value).map(
    ([id, flag]): Act =>
      doc =>
        edits.patchFlags(doc, [id], { flag })
  ),
  fc.tuple(key, value).map(
    ([key, value]): Act =>
      doc =>
        edits.patchMeta(doc, { [key]: value })
  ),
  // A node goes and its edges stay: another program forgot them. And an entry that is no element.
  id.map(
    (id): Act =>
      doc =>
        doc.transact(() => nodesOf(doc).delete(id), OWN)
  ),
  id.map(
    (id): Act =>
      doc =>
        oddly(nodesOf(doc)).set(id, 'odd')
  ),
  edge.map(
    (id): Act =>
      doc =>
        edgesOf(doc).set(id, sharedElement({ source: 1 }))
  ),
  // Several at once.
  fc.tuple(id, id).map(
    ([a, b]): Act =>
      doc => {
        doc.transact(() => {
          nodesOf(doc).set(a, sharedElement({ parentId: b }))
          nodesOf(doc).delete(b)
          metaOf(doc).set('both', a)
        })
      }
  )
)
const step = fc.record({ who: fc.constantFrom(0 as const, 1 as const), act: fc.option(act, { freq: 4 }) })
