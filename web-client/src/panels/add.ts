// Where a component goes that was added without pointing anywhere.

import type { DesignView, Point } from '../design/elements'
import type { Kind } from '../design/kinds'

const STEP = 24
const NEAR = 8
const STEPS_MAX = 50

/** The point nearest to `middle`, down a diagonal, at which no other component stands already: several added in a row do not cover each other. */
export function freeSpot(view: DesignView, middle: Point, { width, height }: Pick<Kind, 'width' | 'height'>): Point {
  const nodes = [...view.nodes.values()]
  const taken = ({ x, y }: Point) =>
    nodes.some(
      ({ position }) => Math.abs(position.x + width / 2 - x) < NEAR && Math.abs(position.y + height / 2 - y) < NEAR
    )
  let spot = middle
  for (let step = 0; step < STEPS_MAX && taken(spot); step++) spot = { x: spot.x + STEP, y: spot.y + STEP }
  return spot
}
