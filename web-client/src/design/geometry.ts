// Where elements stand and how large they are, in canvas units: as the analysis reads it, so that what people see inside a subnet is what the
// rules see inside it.

import { type DesignNode, isObject, type Point } from './elements'
import { kindOf } from './kinds'

export interface Size {
  readonly width: number
  readonly height: number
}

export type Rect = Point & Size

const CARD: Size = { width: 150, height: 80 }

export const isContainer = (node: DesignNode): boolean => kindOf(node.data.type)?.container === true

/** The node's own size, else that of its `style`, else of its `data`, else what its kind starts with. */
export function sizeOf(node: DesignNode): Size {
  const start = kindOf(node.data.type) ?? CARD
  return { width: side(node, 'width') ?? start.width, height: side(node, 'height') ?? start.height }
}

function side(node: DesignNode, key: keyof Size): number | null {
  const style = isObject(node.rest.style) ? node.rest.style : {}
  for (const value of [node[key], style[key], node.data[key]]) if (typeof value === 'number' && value > 0) return value
  return null
}

/** Positions are relative to the parent, and summed along the parents. */
export function absolutePosition(node: DesignNode, nodes: ReadonlyMap<string, DesignNode>): Point {
  let { x, y } = node.position
  let parent = node.parentId === undefined ? undefined : nodes.get(node.parentId)
  // A view holds no cycle of parents; the bound is for maps that are no view.
  for (let steps = 0; parent !== undefined && steps < nodes.size; steps++) {
    x += parent.position.x
    y += parent.position.y
    parent = parent.parentId === undefined ? undefined : nodes.get(parent.parentId)
  }
  return { x, y }
}

export const middle = ({ x, y, width, height }: Rect): Point => ({ x: x + width / 2, y: y + height / 2 })

export function holds(rect: Rect, point: Point): boolean {
  return rect.x <= point.x && point.x <= rect.x + rect.width && rect.y <= point.y && point.y <= rect.y + rect.height
}

/** The smallest rectangle around all of them, or null around none. */
export function bounds(rects: readonly Rect[]): Rect | null {
  if (rects.length === 0) return null
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]
  for (const { x, y, width, height } of rects) {
    left = Math.min(left, x)
    top = Math.min(top, y)
    right = Math.max(right, x + width)
    bottom = Math.max(bottom, y + height)
  }
  return { x: left, y: top, width: right - left, height: bottom - top }
}
