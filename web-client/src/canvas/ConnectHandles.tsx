// Where connections touch a node: the middles of its four sides.

import { Handle } from '@xyflow/react'
import { memo } from 'react'
import { POSITION_OF, SIDES } from './flow-nodes'

/**
 * The points on which edges hang, as React Flow reads them off the page when it measures a node. Plain elements: a thousand nodes would
 * otherwise carry four thousand handles, each listening to the canvas.
 */
export const Anchors = memo(function Anchors() {
  return SIDES.map(side => (
    <span
      key={side}
      className={`source atlas-anchor atlas-anchor-${side}`}
      data-handleid={side}
      data-handlepos={side}
    />
  ))
})

/** The dots from which connections are drawn. They exist only while they can be seen. */
export function ConnectHandles() {
  return SIDES.map(side => (
    <Handle key={side} id={side} type="source" position={POSITION_OF[side]} className="atlas-handle" />
  ))
}
