// The dots on the four sides of a node from which connections are drawn. They exist only while they can be seen: a thousand nodes would
// otherwise carry four thousand of them, each listening to the canvas. Edges need none, see `flow-nodes.ts`.

import { Handle } from '@xyflow/react'
import { POSITION_OF, SIDES } from './flow-nodes'

export function ConnectHandles() {
  return SIDES.map(side => (
    <Handle key={side} id={side} type="source" position={POSITION_OF[side]} className="atlas-handle" />
  ))
}
