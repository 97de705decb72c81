// Where edges leave and reach nodes. An edge that names no side of ours floats: it takes the sides that face each other, and changes them when
// nodes move. Nothing of this is written into the document.

import type { DesignEdge } from '../design/elements'
import { holds, middle, type Rect } from '../design/geometry'

export const SIDES = ['top', 'right', 'bottom', 'left'] as const
export type Side = (typeof SIDES)[number]

/** The side that a handle names; null: none, or one of another program's. */
export const sideOf = (handle: string | null | undefined): Side | null => SIDES.find(side => side === handle) ?? null

/** The sides of two boxes that face each other best. */
export function facing(source: Rect, target: Rect): readonly [Side, Side] {
  if (holds(source, middle(target))) return inside(source, target)
  if (holds(target, middle(source))) return inside(target, source)
  const across = Math.max(target.x - (source.x + source.width), source.x - (target.x + target.width))
  const down = Math.max(target.y - (source.y + source.height), source.y - (target.y + target.height))
  if (across >= down) return middle(source).x <= middle(target).x ? ['right', 'left'] : ['left', 'right']
  return middle(source).y <= middle(target).y ? ['bottom', 'top'] : ['top', 'bottom']
}

/** From a node to what stands in it: both by the border that is nearest. */
function inside(outer: Rect, inner: Rect): readonly [Side, Side] {
  const gaps: readonly [Side, number][] = [
    ['top', inner.y - outer.y],
    ['right', outer.x + outer.width - (inner.x + inner.width)],
    ['bottom', outer.y + outer.height - (inner.y + inner.height)],
    ['left', inner.x - outer.x]
  ]
  const [side] = gaps.reduce((nearest, each) => (each[1] < nearest[1] ? each : nearest))
  return [side, side]
}

/**
 * Floating edges between the same two nodes would lie upon each other: each gets a lane, counted from the middle (-0.5 and 0.5 for two of
 * them). Edges that are not listed lie in the middle.
 */
export function lanes(edges: ReadonlyMap<string, DesignEdge>): ReadonlyMap<string, number> {
  const between = new Map<string, string[]>()
  for (const { id, source, target, sourceHandle, targetHandle } of edges.values()) {
    if (sideOf(sourceHandle) !== null || sideOf(targetHandle) !== null) continue
    const pair = source < target ? JSON.stringify([source, target]) : JSON.stringify([target, source])
    const same = between.get(pair)
    if (same === undefined) between.set(pair, [id])
    else same.push(id)
  }
  const laneOf = new Map<string, number>()
  for (const ids of between.values()) {
    if (ids.length > 1) for (const [at, id] of ids.entries()) laneOf.set(id, at - (ids.length - 1) / 2)
  }
  return laneOf
}
