// Where a component goes that was added without pointing anywhere.

import type { DesignView, Point } from './elements'
import { absolutePosition, isContainer, type Rect, sizeOf } from './geometry'
import type { Kind } from './kinds'

const STEP = 24
/** How far it is moved at most, left, right, up or down. */
const STEPS_MAX = 25
/** What is left free around it: two cards edge to edge look like one. */
const GAP = 12

/** All steps, the nearest first; of those as near, the lower ones. */
const STEPS: readonly Point[] = range(STEPS_MAX)
  .flatMap(x => range(STEPS_MAX).map(y => ({ x: x * STEP, y: y * STEP })))
  .sort((a, b) => Math.hypot(a.x, a.y) - Math.hypot(b.x, b.y) || b.y - a.y || b.x - a.x)

type Size = Pick<Kind, 'width' | 'height' | 'container'>

/** The point nearest to `middle` at which the component covers no other one; `middle` itself where everything around is full. */
export function freeSpot(view: DesignView, middle: Point, kind: Size): Point {
  return freeSpotWhere(view, middle, kind, () => true) ?? middle
}

/** The same among the points that suit; null where none of those around is free. */
export function freeSpotWhere(
  view: DesignView,
  middle: Point,
  kind: Size,
  suits: (spot: Point) => boolean
): Point | null {
  const obstacles = obstaclesOf(view, kind)
  for (const { x, y } of STEPS) {
    const spot = { x: middle.x + x, y: middle.y + y }
    const needed = roomAround(spot, kind)
    if (suits(spot) && !obstacles.some(each => overlap(each, needed))) return spot
  }
  return null
}

/** Everything but what the component may stand inside of: any container for a card, a larger one for a container. */
function obstaclesOf(view: DesignView, { width, height, container }: Size): Rect[] {
  return [...view.nodes.values()].flatMap(node => {
    const size = sizeOf(node)
    if (isContainer(node) && (!container || width * height < size.width * size.height)) return []
    return [{ ...absolutePosition(node, view.nodes), ...size }]
  })
}

/** What a component takes whose middle is there, with what is left free around it. */
export const roomAround = ({ x, y }: Point, { width, height }: Pick<Kind, 'width' | 'height'>): Rect => ({
  x: x - width / 2 - GAP,
  y: y - height / 2 - GAP,
  width: width + 2 * GAP,
  height: height + 2 * GAP
})

export const overlap = (a: Rect, b: Rect): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

function range(most: number): number[] {
  return Array.from({ length: 2 * most + 1 }, (_, at) => at - most)
}
