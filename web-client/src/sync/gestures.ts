// What one transaction meant: which keys of which elements it set or removed. From this an edit can be made again in another document, under another client
// id, when the server could not take the first one; and people can read it.

import * as Y from 'yjs'
import { plain } from '../design/document'
import { same } from '../design/edits'
import type { Json } from '../design/elements'

/** A value as the document holds it: plain, or a shared map with keys of its own. */
export type Value = { readonly plain: Json } | { readonly map: Readonly<Record<string, Value>> }

export interface Change {
  /** Root, then keys: `['nodes', id]` is a whole element, `['nodes', id, 'data', 'label']` one key. */
  readonly path: readonly string[]
  /** What stands there after the transaction; null: nothing does. */
  readonly value: Value | null
}

/** One own transaction. Plain data: it is stored next to its update until the server has it. */
export interface Gesture {
  /** The client id that it was written under, and its clocks: `from` up to, not including, `to`. Equal: it only deletes. */
  readonly client: number
  readonly from: number
  readonly to: number
  /** What it deleted: client, first clock, length. */
  readonly deletes: readonly (readonly [client: number, clock: number, length: number])[]
  readonly changes: readonly Change[]
  /** Milliseconds since 1970. */
  readonly at: number
}

const ROOTS = ['nodes', 'edges', 'meta', 'comments']

/** Reads a transaction that has just ended, in the handler of its `update` event. */
export function readGesture(transaction: Y.Transaction, at: number): Gesture {
  const client = transaction.doc.clientID
  const deletes: [number, number, number][] = []
  for (const [id, ranges] of transaction.deleteSet.clients) {
    for (const { clock, len } of ranges) deletes.push([id, clock, len])
  }
  return {
    client,
    from: transaction.beforeState.get(client) ?? 0,
    to: transaction.afterState.get(client) ?? 0,
    deletes,
    changes: readChanges(transaction),
    at
  }
}

function readChanges(transaction: Y.Transaction): Change[] {
  const changes = new Map<string, Change>()
  const add = (path: string[], value: Value | null) => changes.set(JSON.stringify(path), { path, value })
  // Types that the transaction itself made are not among the changed ones: they are part of the value that holds them.
  for (const [type, keys] of transaction.changed) {
    const path = pathOf(type)
    // Inside of something that is deleted: the deletion itself is the change.
    if (path === null) continue
    if (type instanceof Y.Map) {
      for (const key of keys) {
        if (key !== null) add([...path, key], type.has(key) ? toValue(type.get(key)) : null)
      }
    } else {
      // A shared text or list is told as the whole of what it has become.
      add(path, toValue(type))
    }
  }
  return [...changes.values()]
}

type SharedType = Y.Transaction['changed'] extends Map<infer Type, unknown> ? Type : never

/** Where a type stands, or null if it is not in the document any more. */
function pathOf(type: SharedType): string[] | null {
  const keys: string[] = []
  let each = type
  while (each._item !== null) {
    const { parent, parentSub, deleted } = each._item
    if (deleted || !(parent instanceof Y.AbstractType)) return null
    // An entry of a list has no key: the list itself is what changed.
    if (parentSub === null) keys.length = 0
    else keys.unshift(parentSub)
    each = parent
  }
  const root = each
  const name = ROOTS.find(name => type.doc?.share.get(name) === root)
  return name === undefined ? null : [name, ...keys]
}

export function toValue(value: unknown): Value {
  if (!(value instanceof Y.Map)) return { plain: plain(value) }
  return { map: Object.fromEntries([...value].map(([key, each]) => [key, toValue(each)])) }
}

/** A value as readers see it, shared maps and plain objects alike. */
export function jsonOf(value: Value): Json {
  if ('plain' in value) return value.plain
  return Object.fromEntries(Object.entries(value.map).map(([key, each]) => [key, jsonOf(each)]))
}

function shared(value: Value): unknown {
  if ('plain' in value) return value.plain
  return new Y.Map(Object.entries(value.map).map(([key, each]) => [key, shared(each)]))
}

/**
 * Makes the changes again, inside of a transaction of the caller's. Returns those that make no sense any more: keys of an element that is gone.
 * Shared maps that stand there already are never replaced: their keys are written one by one.
 */
export function makeAgain(doc: Y.Doc, changes: readonly Change[]): Change[] {
  const lost: Change[] = []
  // Whole elements first: keys of them may follow.
  for (const change of [...changes].sort((a, b) => a.path.length - b.path.length)) {
    const [root, ...keys] = change.path
    const key = keys.pop()
    const parent = root === undefined || !ROOTS.includes(root) ? null : find(doc.getMap(root), keys)
    if (parent === null || key === undefined) lost.push(change)
    else write(parent, key, change.value)
  }
  return lost
}

function find(root: Y.Map<unknown>, keys: readonly string[]): Y.Map<unknown> | null {
  let map = root
  for (const key of keys) {
    const next = map.get(key)
    if (!(next instanceof Y.Map)) return null
    map = next
  }
  return map
}

function write(parent: Y.Map<unknown>, key: string, value: Value | null): void {
  const there = parent.get(key)
  if (value === null) {
    if (parent.has(key)) parent.delete(key)
  } else if ('map' in value && there instanceof Y.Map) {
    for (const [each, inner] of Object.entries(value.map)) write(there, each, inner)
  } else {
    parent.set(key, shared(value))
  }
}

/** Whether a document has everything that the gesture wrote and deleted. */
export function holds(doc: Y.Doc, gesture: Gesture): boolean {
  if (gesture.from < gesture.to && Y.getState(doc.store, gesture.client) < gesture.to) return false
  return gesture.deletes.every(([client, clock, length]) => isDeleted(doc, client, clock, length))
}

/** Whether the document says now what the changes said. */
export function stands(doc: Y.Doc, changes: readonly Change[]): boolean {
  return changes.every(({ path: [root, ...keys], value }) => {
    const key = keys.pop()
    if (root === undefined || key === undefined || !ROOTS.includes(root)) return false
    const parent = find(doc.getMap(root), keys)
    const there = parent?.has(key) ? plain(parent.get(key)) : null
    return same(there, value === null ? null : jsonOf(value))
  })
}

function isDeleted(doc: Y.Doc, client: number, clock: number, length: number): boolean {
  const end = clock + length
  if (Y.getState(doc.store, client) < end) return false
  const structs = doc.store.clients.get(client) ?? []
  for (const struct of structs.slice(clock === 0 ? 0 : Y.findIndexSS(structs, clock))) {
    if (end <= struct.id.clock) return true
    if (!struct.deleted) return false
  }
  return true
}
