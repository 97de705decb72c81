// Where elements stand and what contains what, read exactly as the server's analysis reads it (docs/DOCUMENT.md, "Container").

import { type DesignNode, type DesignView, isObject, type Json, type Point } from '../design/elements'
import { type Kind, kindOf } from '../design/kinds'

export interface Size {
  readonly width: number
  readonly height: number
}

export interface Box extends Point, Size {}

/** What the analysis assumes of nodes that say no size. */
const CARD: Size = { width: 150, height: 80 }
const CONTAINER: Size = { width: 300, height: 200 }

/** The word for what a node is, whether the palette has it or not: `data.type`, else the node's own type. */
export function kindName(node: DesignNode): string {
  return typeof node.data.type === 'string' ? node.data.type : node.type
}

export const nodeKind = (node: DesignNode): Kind | null => kindOf(kindName(node))

export const isContainer = (node: DesignNode): boolean => nodeKind(node)?.container === true

/** From the node itself, else its `style`, else its `data`, else what its kind starts with. */
export function sizeOf(node: DesignNode): Size {
  const usual = isContainer(node) ? CONTAINER : CARD
  const style = isObject(node.rest.style) ? node.rest.style : {}
  return {
    width: firstLength(node.width, style.width, node.data.width) ?? usual.width,
    height: firstLength(node.height, style.height, node.data.height) ?? usual.height
  }
}

/** Beyond these nothing is drawn: any number may stand in a document, and sums of the largest are no numbers any more. */
const DRAWN_AT_MAX = 1e6
const DRAWN_SIZE_MIN = 10
const DRAWN_SIZE_MAX = 1e5

const within = (value: number, min: number, max: number): number => Math.min(Math.max(value, min), max)
const drawnAt = (value: number): number => (Number.isNaN(value) ? 0 : within(value, -DRAWN_AT_MAX, DRAWN_AT_MAX))

/** Where the canvas shows what stands there. The document, and what is read of it, keep what they say. */
export const drawnPoint = ({ x, y }: Point): Point => ({ x: drawnAt(x), y: drawnAt(y) })

/** Browsers report sizes in whole pixels: a fraction would look to React Flow as if the node had changed its size by itself. */
export const drawnSize = ({ width, height }: Size): Size => ({
  width: within(Math.round(width), DRAWN_SIZE_MIN, DRAWN_SIZE_MAX),
  height: within(Math.round(height), DRAWN_SIZE_MIN, DRAWN_SIZE_MAX)
})

function firstLength(...candidates: readonly (Json | undefined)[]): number | undefined {
  return candidates.find(isLength)
}

const isLength = (value: Json | undefined): value is number =>
  typeof value === 'number' && 0 < value && Number.isFinite(value)

/** In flow coordinates: positions summed along the parents. */
export function originOf(view: DesignView, node: DesignNode, positionOf: (node: DesignNode) => Point): Point {
  let { x, y } = positionOf(node)
  let parent = parentOf(view, node)
  // A view has no cycles; the bound is a second lock.
  for (let depth = 0; parent !== null && depth < view.nodes.size; depth++) {
    const at = positionOf(parent)
    x += at.x
    y += at.y
    parent = parentOf(view, parent)
  }
  return { x, y }
}

export function parentOf(view: DesignView, node: DesignNode): DesignNode | null {
  return node.parentId === undefined ? null : (view.nodes.get(node.parentId) ?? null)
}

const ownPosition = (node: DesignNode): Point => node.position

/** As the document has it. */
export function boxOf(view: DesignView, node: DesignNode): Box {
  return { ...originOf(view, node, ownPosition), ...sizeOf(node) }
}

/** Node id -> the smallest container that holds its centre, borders included. A container belongs only to a larger one. */
export function containersOf(view: DesignView): Map<string, string> {
  const boxes = [...view.nodes.values()].map(node => ({
    id: node.id,
    container: isContainer(node),
    ...boxOf(view, node)
  }))
  // The sort is stable and the view sorted by id: of equal areas the smaller id comes first.
  const containers = boxes.filter(box => box.container).sort((a, b) => areaOf(a) - areaOf(b))
  const found = new Map<string, string>()
  for (const box of boxes) {
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    const holder = containers.find(each => holds(each, x, y) && (!box.container || areaOf(box) < areaOf(each)))
    if (holder !== undefined) found.set(box.id, holder.id)
  }
  return found
}

export const areaOf = ({ width, height }: Size): number => width * height

const holds = (box: Box, x: number, y: number): boolean =>
  box.x <= x && x <= box.x + box.width && box.y <= y && y <= box.y + box.height

/**
 * What must be moved so that these nodes move with all that stands inside of them. Nodes that move anyway, since a parent of theirs
 * does, are left out: their positions are relative to it. In the order given, then in the view's.
 */
export function movedWith(view: DesignView, ids: readonly string[]): string[] {
  const moved = new Set(ids.filter(id => view.nodes.has(id)))
  if ([...moved].some(id => holdsOthers(view, id))) {
    const holder = containersOf(view)
    for (const id of view.nodes.keys()) if (isInside(id, holder, moved)) moved.add(id)
  }
  return [...moved].filter(id => !hasMovedParent(view, id, moved))
}

function holdsOthers(view: DesignView, id: string): boolean {
  const node = view.nodes.get(id)
  return node !== undefined && isContainer(node)
}

function isInside(id: string, holder: ReadonlyMap<string, string>, moved: ReadonlySet<string>): boolean {
  // Areas grow strictly along the chain, so it ends.
  for (let at = holder.get(id); at !== undefined; at = holder.get(at)) if (moved.has(at)) return true
  return false
}

function hasMovedParent(view: DesignView, id: string, moved: ReadonlySet<string>): boolean {
  let node = view.nodes.get(id)
  for (let depth = 0; node?.parentId !== undefined && depth < view.nodes.size; depth++) {
    if (moved.has(node.parentId)) return true
    node = view.nodes.get(node.parentId)
  }
  return false
}
