// Everything that this page writes into a document. Each function is one transaction under `OWN`, writes only what changes (an overwritten value leaves a
// tombstone for ever), and leaves out elements that are gone. Whether the person may edit is asked above.

import * as Y from 'yjs'
import { dataOf, edgesOf, flagsMapOf, metaOf, nodesOf, OWN, plain, type SharedElement, sharedElement } from './document'
import type { Json, JsonObject, Point } from './elements'

export type Patch = Readonly<Record<string, Json | undefined>>

export interface NewElement {
  readonly id: string
  readonly fields: JsonObject
}

export function insert(doc: Y.Doc, elements: { nodes: readonly NewElement[]; edges: readonly NewElement[] }): void {
  doc.transact(() => {
    for (const { id, fields } of elements.nodes) nodesOf(doc).set(id, sharedElement(fields))
    for (const { id, fields } of elements.edges) edgesOf(doc).set(id, sharedElement(fields))
  }, OWN)
}

export function moveNodes(doc: Y.Doc, moves: readonly { id: string; position: Point }[]): void {
  doc.transact(() => {
    for (const { id, position } of moves) {
      const node = nodesOf(doc).get(id)
      if (node instanceof Y.Map) write(node, { position: { x: position.x, y: position.y } })
    }
  }, OWN)
}

/** Top-level keys of elements, nodes or edges. */
export function patchElements(doc: Y.Doc, ids: readonly string[], patch: Patch): void {
  doc.transact(() => {
    for (const element of find(doc, ids)) write(element, patch)
  }, OWN)
}

export function patchData(doc: Y.Doc, ids: readonly string[], patch: Patch): void {
  doc.transact(() => {
    for (const element of find(doc, ids)) {
      const data = dataOf(element)
      if (data !== null) write(data, patch)
    }
  }, OWN)
}

export function patchFlags(doc: Y.Doc, ids: readonly string[], patch: Patch): void {
  doc.transact(() => {
    for (const element of find(doc, ids)) {
      const flags = flagsMapOf(element)
      if (flags !== null) write(flags, patch)
    }
  }, OWN)
}

export function patchMeta(doc: Y.Doc, patch: Patch): void {
  doc.transact(() => {
    write(metaOf(doc), patch)
  }, OWN)
}

/** Removes elements, and with a node every edge that hangs on it. */
export function remove(doc: Y.Doc, ids: { nodes: readonly string[]; edges: readonly string[] }): void {
  const nodes = new Set(ids.nodes)
  const meant = new Set(ids.edges)
  doc.transact(() => {
    const edges = edgesOf(doc)
    for (const [id, edge] of [...edges]) {
      const hangs =
        edge instanceof Y.Map && (nodes.has(String(edge.get('source'))) || nodes.has(String(edge.get('target'))))
      if (hangs || meant.has(id)) edges.delete(id)
    }
    for (const id of nodes) if (nodesOf(doc).has(id)) nodesOf(doc).delete(id)
  }, OWN)
}

function find(doc: Y.Doc, ids: readonly string[]): SharedElement[] {
  const found: SharedElement[] = []
  for (const id of ids) {
    for (const element of [nodesOf(doc).get(id), edgesOf(doc).get(id)])
      if (element instanceof Y.Map) found.push(element)
  }
  return found
}

/** `undefined` removes a key. */
export function write(map: Y.Map<unknown>, patch: Patch): void {
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) {
      if (map.has(key)) map.delete(key)
    } else if (!map.has(key) || !same(plain(map.get(key)), value)) {
      map.set(key, value)
    }
  }
}

/** Equal as JSON, whatever the order of keys. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  const [left, right] = [a as JsonObject, b as JsonObject]
  return keys.every(key => key in right && same(left[key], right[key]))
}
