// The document as a `DesignView`, kept up to date: after a change only the elements that it touched are read again, and every other one
// stays the same object, so that nothing is drawn again for it.

import * as Y from 'yjs'
import { edgesOf, metaOf, nodesOf, plain, type SharedElement } from '../design/document'
import type { DesignEdge, DesignNode, DesignView, JsonObject } from '../design/elements'
import { isObject } from '../design/elements'
import { settleEdges, settleParents } from './integrity'
import { byCodePoints, readEdge, readNode } from './read'

/** Everything read from scratch. */
export function readView(doc: Y.Doc): DesignView {
  const nodes = settleParents(readAll(nodesOf(doc), readNode))
  return { nodes, ...settleEdges(nodes, readAll(edgesOf(doc), readEdge)), meta: readMeta(doc) }
}

export interface LiveView {
  /** A new object whenever anything in it changed. */
  readonly view: DesignView
  destroy(): void
}

/** `changed` is called once after each transaction that changed the view. */
export function liveView(doc: Y.Doc, changed: () => void): LiveView {
  const nodes = new LiveElements(nodesOf(doc), readNode)
  const edges = new LiveElements(edgesOf(doc), readEdge)
  const readMetaAgain = () => {
    metaTouched = true
  }
  metaOf(doc).observeDeep(readMetaAgain)
  let metaTouched = false
  let view = settle(nodes.all, edges.all, readMeta(doc), null)

  const afterTransaction = () => {
    if (!nodes.touched && !edges.touched && !metaTouched) return
    const before = { nodes: nodes.all, edges: edges.all }
    nodes.readAgain()
    edges.readAgain()
    view = settle(nodes.all, edges.all, metaTouched ? readMeta(doc) : view.meta, { ...before, view })
    metaTouched = false
    changed()
  }
  doc.on('afterTransaction', afterTransaction)

  return {
    get view() {
      return view
    },
    destroy() {
      doc.off('afterTransaction', afterTransaction)
      metaOf(doc).unobserveDeep(readMetaAgain)
      nodes.destroy()
      edges.destroy()
    }
  }
}

type Elements<E> = ReadonlyMap<string, E>

interface Before {
  nodes: Elements<DesignNode>
  edges: Elements<DesignEdge>
  view: DesignView
}

function settle(
  nodes: Elements<DesignNode>,
  edges: Elements<DesignEdge>,
  meta: JsonObject,
  before: Before | null
): DesignView {
  const settled = nodes === before?.nodes ? before.view.nodes : settleParents(nodes)
  // Which edges are hidden depends on the ids of the nodes alone: a drag decides nothing about them.
  if (before !== null && edges === before.edges && sameKeys(nodes, before.nodes))
    return { nodes: settled, edges: before.view.edges, hidden: before.view.hidden, meta }
  return { nodes: settled, ...settleEdges(settled, edges), meta }
}

function sameKeys<E>(a: Elements<E>, b: Elements<E>): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const key of a.keys()) if (!b.has(key)) return false
  return true
}

type Read<E> = (id: string, element: SharedElement) => E

/** The elements of one root, as read, sorted by id. */
class LiveElements<E> {
  all: ReadonlyMap<string, E>
  readonly #root: Y.Map<SharedElement>
  readonly #read: Read<E>
  /** Written by the observer during a transaction, emptied after it. */
  readonly #touched = new Set<string>()

  constructor(root: Y.Map<SharedElement>, read: Read<E>) {
    this.#root = root
    this.#read = read
    this.all = readAll(root, read)
    root.observeDeep(this.#observe)
  }

  get touched(): boolean {
    return this.#touched.size > 0
  }

  readonly #observe = (events: Y.YEvent<Y.AbstractType<unknown>>[]) => {
    for (const event of events) {
      if (event.path.length > 0) this.#touched.add(String(event.path[0]))
      else for (const key of event.changes.keys.keys()) this.#touched.add(key)
    }
  }

  readAgain(): void {
    if (!this.touched) return
    const next = new Map(this.all)
    let grown = false
    for (const id of this.#touched) {
      const element = this.#root.get(id)
      if (element instanceof Y.Map) {
        grown ||= !next.has(id)
        next.set(id, this.#read(id, element))
      } else {
        next.delete(id)
      }
    }
    this.#touched.clear()
    this.all = grown ? sorted(next) : next
  }

  destroy(): void {
    this.#root.unobserveDeep(this.#observe)
  }
}

/** An entry that is no shared map is no element. */
function readAll<E>(root: Y.Map<SharedElement>, read: Read<E>): ReadonlyMap<string, E> {
  const all = new Map<string, E>()
  for (const [id, element] of root) if (element instanceof Y.Map) all.set(id, read(id, element))
  return sorted(all)
}

const sorted = <E>(elements: Map<string, E>): Map<string, E> =>
  new Map([...elements].sort(([a], [b]) => byCodePoints(a, b)))

function readMeta(doc: Y.Doc): JsonObject {
  const meta = plain(metaOf(doc))
  return isObject(meta) ? meta : {}
}
