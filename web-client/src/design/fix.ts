// A mechanical fix of a finding: the body of a PATCH (docs/API.md), applied to the shared document as one transaction of the person who pressed the
// button. Top-level keys are merged, and so are the keys of `data` and of `data.securityFlags`; null removes a key; what is not there is made.

import * as Y from 'yjs'
import { dataOf, edgesOf, flagsMapOf, nodesOf, OWN, type SharedElement, sharedElement } from './document'
import { type Patch, remove, write } from './edits'
import {
  type DesignEdge,
  type DesignView,
  isObject,
  type Json,
  type JsonObject,
  nodeTitle,
  type Point,
  text
} from './elements'
import { freeSpot, freeSpotWhere, overlap, roomAround } from './free-spot'
import { absolutePosition, bounds, holds, isContainer, middle, type Rect, sizeOf } from './geometry'
import { kindOf } from './kinds'
import { isProtocolLabel } from './vocabulary'

export type FixElement = JsonObject & { readonly id: string }

export interface FixPart {
  readonly upsert: readonly FixElement[]
  readonly remove: readonly string[]
}

export interface Fix {
  readonly title: string
  readonly patch: { readonly nodes: FixPart; readonly edges: FixPart }
  /** The nodes that it makes, each with those that it belongs near to. */
  readonly place: Readonly<Record<string, { readonly near: readonly string[] }>>
  /** What edges are called afterwards whose labels say nothing but the protocol of before. */
  readonly labels: Readonly<Record<string, string>>
}

/** Elements without which the fix makes no sense, and which are not there: somebody deleted them since the analysis saw them. */
export function missingFor(fix: Fix, view: DesignView): string[] {
  const { nodes, edges } = fix.patch
  const made = new Set(Object.keys(fix.place))
  const isNode = (id: string) => view.nodes.has(id) || made.has(id)
  const missing = new Set<string>()
  for (const { id } of nodes.upsert) if (!isNode(id)) missing.add(id)
  for (const edge of edges.upsert) {
    const isThere = view.edges.has(edge.id) || view.hidden.has(edge.id)
    const ends = [edge.source, edge.target]
    if (!isThere && !ends.every(end => typeof end === 'string')) missing.add(edge.id)
    for (const end of ends) if (typeof end === 'string' && !isNode(end)) missing.add(end)
  }
  for (const { near } of Object.values(fix.place)) {
    if (0 < near.length && !near.some(id => view.nodes.has(id))) for (const id of near) missing.add(id)
  }
  return [...missing]
}

/** Nodes and edges that are not there yet, as many as the fix makes. */
export function madeBy({ patch }: Fix, view: DesignView): { nodes: string[]; edges: string[] } {
  return {
    nodes: patch.nodes.upsert.flatMap(({ id }) => (view.nodes.has(id) ? [] : [id])),
    edges: patch.edges.upsert.flatMap(({ id }) => (view.edges.has(id) || view.hidden.has(id) ? [] : [id]))
  }
}

/** One transaction. `view` is the document as it is now: it says where there is room. */
export function applyFix(doc: Y.Doc, fix: Fix, view: DesignView): void {
  const { nodes, edges } = fix.patch
  doc.transact(() => {
    let drawn = view
    for (const node of nodes.upsert) {
      if (merge(nodesOf(doc), node)) continue
      const near = fix.place[node.id]?.near ?? []
      const { element, shown } = newNode(node, near, drawn)
      nodesOf(doc).set(node.id, element)
      // The next one must not stand upon it.
      drawn = { ...drawn, nodes: new Map(drawn.nodes).set(node.id, shown) }
    }
    // Before the edge says another protocol.
    for (const [id, label] of Object.entries(fix.labels)) relabel(doc, view.edges.get(id), label)
    for (const edge of edges.upsert) {
      if (merge(edgesOf(doc), edge)) continue
      edgesOf(doc).set(edge.id, sharedElement({ type: 'smoothstep', ...withoutNulls(edge) }))
    }
    remove(doc, { nodes: nodes.remove, edges: edges.remove })
  }, OWN)
}

/** Words of people stay as they are. */
function relabel(doc: Y.Doc, edge: DesignEdge | undefined, label: string): void {
  if (edge?.label === undefined || !isProtocolLabel(edge.label, text(edge.data.protocol))) return
  const element = edgesOf(doc).get(edge.id)
  if (element instanceof Y.Map) write(element, { label })
}

/** False: there is no such element. */
function merge(elements: Y.Map<SharedElement>, { id, data, ...top }: FixElement): boolean {
  const element = elements.get(id)
  if (!(element instanceof Y.Map)) return false
  write(element, asPatch(top))
  if (!isObject(data)) return true
  const { securityFlags, ...keys } = data
  const shared = dataOf(element)
  if (shared !== null) write(shared, asPatch(keys))
  const flags = flagsMapOf(element)
  if (flags !== null && isObject(securityFlags)) write(flags, asPatch(securityFlags))
  return true
}

const asPatch = (object: JsonObject): Patch =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, value === null ? undefined : value]))

function withoutNulls(object: JsonObject): JsonObject {
  const kept: Record<string, Json> = {}
  for (const [key, value] of Object.entries(object)) {
    if (value !== null) kept[key] = isObject(value) ? withoutNulls(value) : value
  }
  return kept
}

function newNode(node: FixElement, near: readonly string[], view: DesignView) {
  const { id, ...said } = withoutNulls(node)
  const data = isObject(said.data) ? said.data : {}
  const kind = kindOf(data.type)
  const size = kind ?? { width: 150, height: 80, container: false }
  const spot = spotFor(size, text(data.zone), near, view)
  const position = { x: Math.round(spot.x - size.width / 2), y: Math.round(spot.y - size.height / 2) }
  const fields: JsonObject = {
    type: 'custom',
    ...(size.container && { width: size.width, height: size.height }),
    ...said,
    data,
    position
  }
  return { element: sharedElement(fields), shown: { id: node.id, type: 'custom', position, data, rest: {} } }
}

/**
 * The middle of a free place near these nodes. For the rules, what stands inside a box belongs to it: so only into boxes that hold all of those nodes
 * and say no other zone, and upon the border of none.
 */
function spotFor(
  size: { width: number; height: number; container: boolean },
  zone: string,
  near: readonly string[],
  view: DesignView
): Point {
  const rects = near.flatMap(id => {
    const node = view.nodes.get(id)
    return node === undefined ? [] : [{ ...absolutePosition(node, view.nodes), ...sizeOf(node) }]
  })
  const around = bounds(rects)
  if (around === null) return freeSpot(view, middle(bounds(allRects(view)) ?? ORIGIN), size)
  const wanted = middleOf(rects)
  const all = boxes(view)
  const isWelcome = (box: Box) =>
    rects.every(rect => holds(box.rect, middle(rect))) &&
    (zone === '' || box.zone === '' || box.zone === zone.toLowerCase())
  const judged = all.map(({ rect, ...box }) => ({ rect, mayHold: isWelcome({ rect, ...box }) }))
  const suits = (spot: Point) => {
    const needed = roomAround(spot, size)
    return judged.every(({ rect, mayHold }) => !overlap(rect, needed) || (mayHold && isInside(needed, rect)))
  }
  return (
    freeSpotWhere(view, wanted, size, suits) ??
    freeSpotWhere(view, beside(around, all, size), size, suits) ??
    freeSpot(view, wanted, size)
  )
}

interface Box {
  readonly rect: Rect
  readonly zone: string
}

const ORIGIN: Rect = { x: 0, y: 0, width: 0, height: 0 }
/** Canvas units between what a box holds and what stands beside it. */
const BESIDE = 40

const boxes = (view: DesignView): Box[] =>
  [...view.nodes.values()].filter(isContainer).map(node => ({
    rect: { ...absolutePosition(node, view.nodes), ...sizeOf(node) },
    zone: text(node.data.zone).toLowerCase()
  }))

const allRects = (view: DesignView): Rect[] =>
  [...view.nodes.values()].map(node => ({ ...absolutePosition(node, view.nodes), ...sizeOf(node) }))

function middleOf(rects: readonly Rect[]): Point {
  const points = rects.map(middle)
  const mean = (axis: 'x' | 'y') => points.reduce((sum, each) => sum + each[axis], 0) / points.length
  return { x: mean('x'), y: mean('y') }
}

const isInside = (inner: Rect, outer: Rect): boolean =>
  outer.x <= inner.x &&
  outer.y <= inner.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height

/** To the right of everything that the boxes around these nodes hold. */
function beside(around: Rect, all: readonly Box[], { width }: { width: number }): Point {
  const holding = all.filter(({ rect }) => holds(rect, middle(around)))
  const right = Math.max(...[around, ...holding.map(({ rect }) => rect)].map(rect => rect.x + rect.width))
  return { x: right + BESIDE + width / 2, y: middle(around).y }
}

/** What people know elements by: the title of a node, else the id. */
export const shownName = (id: string, view: DesignView): string => {
  const node = view.nodes.get(id)
  return node === undefined ? id : nodeTitle(node)
}
