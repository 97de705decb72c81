// Where a component goes that was added without pointing anywhere.

import type { DesignView, Point } from '../design/elements'
import type { Kind } from '../design/kinds'

const STEP = 24
const NEAR = 8
const STEPS_MAX = 50

/** The point nearest to `middle`, down a diagonal, at which no other component stands already: several added in a row do not cover each other. */
export function freeSpot(view: DesignView, middle: Point, { width, height }: Pick<Kind, 'width' | 'height'>): Point {
  const nodes = [...view.nodes.values()]
  // Whether the canvas takes a point as the middle or as the corner of what is added there: neither may be taken.
  const taken = ({ x, y }: Point) =>
    nodes.some(({ position }) => {
      const corner = Math.abs(position.x - x) < NEAR && Math.abs(position.y - y) < NEAR
      const centre = Math.abs(position.x + width / 2 - x) < NEAR && Math.abs(position.y + height / 2 - y) < NEAR
      return corner || centre
    })
  let spot = middle
  for (let step = 0; step < STEPS_MAX && taken(spot); step++) spot = { x: spot.x + STEP, y: spot.y + STEP }
  return spot
}
