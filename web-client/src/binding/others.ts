// Who has built on what: which elements of one undo step others have meanwhile written into, connected, or hung something on.

import * as Y from 'yjs'
import { edgesOf, nodesOf, type SharedElement } from '../design/document'
import { isWithin, type Ranges, structsIn } from './items'

export interface BuiltOn {
  /** Items of the step that have to stay: those elements with everything that the step put into them. */
  readonly items: ReadonlySet<Y.Item>
  readonly ids: readonly string[]
  /** All that the step inserted, and that is still there, has to stay. */
  readonly whole: boolean
}

const NOTHING: BuiltOn = { items: new Set(), ids: [], whole: false }

/** `own` are the client ids of this person's page; everything under another id is others' work. */
export function builtOnByOthers(doc: Y.Doc, insertions: Ranges, own: ReadonlySet<number>): BuiltOn {
  const items = liveItems(doc, insertions)
  const [nodes, edges] = [elementsMade(items, nodesOf(doc)), elementsMade(items, edgesOf(doc))]
  if (nodes.size + edges.size === 0) return NOTHING

  const kept = new Set<Y.Item>()
  for (const made of [...nodes.values(), ...edges.values()]) if (writtenByOthers(made, own)) kept.add(made)
  const keepNode = (id: unknown) => {
    const node = typeof id === 'string' ? nodes.get(id) : undefined
    if (node !== undefined) kept.add(node)
  }
  for (const [item, edge] of elementsOf(edgesOf(doc))) {
    if (!writtenByOthers(item, own)) continue
    keepNode(edge.get('source'))
    keepNode(edge.get('target'))
  }
  for (const [item, node] of elementsOf(nodesOf(doc))) if (writtenByOthers(item, own)) keepNode(node.get('parentId'))
  if (kept.size === 0) return NOTHING

  const staying = new Set(items.filter(item => isWithin(item, kept)))
  return { items: staying, ids: [...kept].map(item => item.parentSub ?? ''), whole: staying.size === items.length }
}

/** What a step inserted, or what undo and redo have made of it since, as far as it is still there. */
function liveItems(doc: Y.Doc, insertions: Ranges): Y.Item[] {
  const items: Y.Item[] = []
  for (const struct of structsIn(doc, insertions)) {
    const item = newest(doc, struct)
    if (item !== null) items.push(item)
  }
  return items
}

function newest(doc: Y.Doc, struct: Y.Item | Y.GC): Y.Item | null {
  let item = struct
  while (item instanceof Y.Item && item.redone !== null) item = Y.getItem(doc.store, item.redone)
  return item instanceof Y.Item && !item.deleted ? item : null
}

function elementsMade(items: readonly Y.Item[], root: Y.Map<SharedElement>): ReadonlyMap<string, Y.Item> {
  const made = new Map<string, Y.Item>()
  for (const item of items) if (item.parent === root && item.parentSub !== null) made.set(item.parentSub, item)
  return made
}

function* elementsOf(root: Y.Map<SharedElement>): Generator<[Y.Item, Y.Map<unknown>]> {
  for (const element of root.values())
    if (element instanceof Y.Map && element._item !== null) yield [element._item, element]
}

/** The item itself, or any value that stands anywhere in it. A deletion has no author in Yjs, and counts for nobody. */
function writtenByOthers(item: Y.Item, own: ReadonlySet<number>): boolean {
  if (!own.has(item.id.client)) return true
  const type = item.content instanceof Y.ContentType ? item.content.type : null
  if (!(type instanceof Y.Map)) return false
  for (const child of type._map.values()) if (!child.deleted && writtenByOthers(child, own)) return true
  return false
}
