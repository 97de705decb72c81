// Steps that did nothing but delete whole elements.

import * as Y from 'yjs'
import { edgesOf, nodesOf } from '../design/document'
import { isWithin, structsIn } from './items'

type Step = Y.UndoManager['undoStack'][number]

export interface Removed {
  /** The items of the elements; none if the step did anything else. */
  readonly all: ReadonlySet<Y.Item>
  /** Those of them whose id is in use again, by somebody else's doing. */
  readonly broughtBack: ReadonlySet<Y.Item>
}

export function removedElements(doc: Y.Doc, step: Step): Removed {
  const all = new Set<Y.Item>()
  const broughtBack = new Set<Y.Item>()
  if (step.insertions.clients.size > 0) return { all, broughtBack }
  const roots = [nodesOf(doc), edgesOf(doc)]
  for (const item of structsIn(doc, step.deletions)) {
    if (!(item instanceof Y.Item) || item.parentSub === null) continue
    const root = roots.find(each => each === item.parent)
    if (root === undefined) continue
    all.add(item)
    if (root.has(item.parentSub)) broughtBack.add(item)
  }
  return { all, broughtBack }
}

/** Takes these elements, with everything in them, out of what undoing the step brings back. */
export function leaveOut(doc: Y.Doc, step: Step, elements: ReadonlySet<Y.Item>): void {
  if (elements.size === 0) return
  const left = new Map<number, { clock: number; len: number }[]>()
  for (const struct of structsIn(doc, step.deletions)) {
    if (struct instanceof Y.Item && isWithin(struct, elements)) continue
    const { client, clock } = struct.id
    const ranges = left.get(client) ?? []
    ranges.push({ clock, len: struct.length })
    left.set(client, ranges)
  }
  step.deletions.clients.clear()
  for (const [client, ranges] of left) step.deletions.clients.set(client, ranges)
}
