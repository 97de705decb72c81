// The file with what could not be kept: JSON that people can read and an import takes back, and beside it the whole document as it was.

import * as Y from 'yjs'
import { plain } from '../design/document'
import { isObject, type Json, type JsonObject } from '../design/elements'
import { newId } from '../design/ids'
import { type Change, type Gesture, jsonOf } from './gestures'
import type { RecoveryFile } from './types'

/** Of one own edit, what could not be made again. */
export interface Lost {
  readonly gesture: Gesture
  readonly changes: readonly Change[]
}

/** `old`: the document of this device, before it is replaced. `at`: milliseconds since 1970. */
export function recoveryFile(
  design: string,
  old: Y.Doc,
  lost: readonly Lost[],
  reason: string,
  at: number
): RecoveryFile {
  const json = JSON.stringify(readable(old, lost, reason, at), null, 2)
  return { id: newId(), design, at, reason, json, update: Y.encodeStateAsUpdate(old) }
}

function readable(old: Y.Doc, lost: readonly Lost[], reason: string, at: number): JsonObject {
  const nodes = new Map<string, JsonObject>()
  const edges = new Map<string, JsonObject>()
  const meta: Record<string, Json> = {}
  for (const { path, value } of lost.flatMap(each => each.changes)) {
    const [root, id] = path
    if (id === undefined) continue
    // Of an element that only lost some keys the whole stands here: an import takes elements, not keys.
    if (root === 'nodes') keep(nodes, old, root, id, path.length === 2 && value !== null ? jsonOf(value) : null)
    if (root === 'edges') keep(edges, old, root, id, path.length === 2 && value !== null ? jsonOf(value) : null)
    if (root === 'meta' && value !== null && path.length === 2) meta[id] = jsonOf(value)
  }
  // An edge without its ends would not be drawn.
  for (const edge of edges.values()) {
    for (const end of [edge.source, edge.target]) {
      if (typeof end === 'string' && !nodes.has(end)) keep(nodes, old, 'nodes', end, null)
    }
  }
  return {
    name: `Recovered from ${nameOf(old)}`,
    nodes: [...nodes].map(([id, fields]) => ({ id, ...fields })),
    edges: [...edges].map(([id, fields]) => ({ id, ...fields })),
    recovery: {
      reason,
      at: new Date(at).toISOString(),
      meta,
      changes: lost.flatMap(({ gesture, changes }) =>
        changes.map(({ path, value }) => ({
          at: new Date(gesture.at).toISOString(),
          path: path.join(' / '),
          ...(value === null ? { removed: true } : { value: jsonOf(value) })
        }))
      )
    }
  }
}

/** An element as the old document has it last; if it is gone there too, as the edit wrote it. */
function keep(into: Map<string, JsonObject>, old: Y.Doc, root: string, id: string, written: Json): void {
  const now = plain(old.getMap(root).get(id))
  const fields = isObject(now) ? now : written
  if (isObject(fields)) into.set(id, fields)
}

function nameOf(doc: Y.Doc): string {
  const name = doc.getMap('meta').get('name')
  return typeof name === 'string' && name !== '' ? name : 'a design'
}
