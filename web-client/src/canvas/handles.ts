// The four points of a node from which edges are drawn and at which they arrive: the middle of each side, exactly on its border.

import { type NodeHandle, Position } from '@xyflow/react'
import type { Side } from './sides'

export const POSITIONS: Readonly<Record<Side, Position>> = {
  top: Position.Top,
  right: Position.Right,
  bottom: Position.Bottom,
  left: Position.Left
}

export function handlesOf(width: number, height: number): NodeHandle[] {
  return [
    point('top', width / 2, 0),
    point('right', width, height / 2),
    point('bottom', width / 2, height),
    point('left', 0, height / 2)
  ]
}

/** Any handle may start and end an edge (React Flow's loose mode), so all are of one type. */
function point(side: Side, x: number, y: number): NodeHandle {
  return { id: side, type: 'source', position: POSITIONS[side], x, y, width: 0, height: 0 }
}
