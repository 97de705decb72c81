// Edges of the document as edges of the canvas. An edge whose file names no handles floats: it leaves and arrives at the sides of both
// boxes that face each other, which is decided here, so that drawn edges ask nobody where nodes are.

import type { Edge } from '@xyflow/react'
import { type DesignEdge, type DesignView, edgeTitle, nodeTitle, text } from '../design/elements'
import { encryptionLook } from '../design/vocabulary'
import type { CanvasNode, Side } from './flow-nodes'
import { isSide } from './flow-nodes'
import type { Box } from './geometry'

/** Has the shape of `FlowEdge` of `binding/`. */
export type CanvasEdge = Edge<CanvasEdgeData, 'atlas'>

export interface CanvasEdgeData extends Record<string, unknown> {
  element: DesignEdge
  look: EdgeLook
  /** What the chip in its middle says, or ''. */
  words: string
}

export type EdgeLook = 'encrypted' | 'plain' | 'unknown'

export interface EdgeInputs {
  readonly view: DesignView
  readonly selected: ReadonlySet<string>
  /** As `FlowNodes` derived them from the same view. */
  readonly nodes: readonly CanvasNode[]
}

interface Remembered {
  edge: CanvasEdge
  source: CanvasNode
  target: CanvasNode
}

/** Turns elements into edges, and remembers them. */
export class FlowEdges {
  #edges: CanvasEdge[] = []
  #byId = new Map<string, Remembered>()
  #from: EdgeInputs | null = null

  /** The same list if nothing changed. */
  derive(inputs: EdgeInputs): CanvasEdge[] {
    const { view, selected, nodes } = inputs
    if (this.#from?.view === view && this.#from.selected === selected && this.#from.nodes === nodes) return this.#edges
    this.#from = inputs

    const nodeById = new Map(nodes.map(node => [node.id, node]))
    const byId = new Map<string, Remembered>()
    const boxes = new Boxes(nodeById)
    for (const element of view.edges.values()) {
      const source = nodeById.get(element.source)
      const target = nodeById.get(element.target)
      if (source === undefined || target === undefined) continue
      const before = this.#byId.get(element.id)
      const edge = derived(element, selected.has(element.id), source, target, boxes, before)
      byId.set(
        element.id,
        before?.edge === edge && before.source === source && before.target === target
          ? before
          : { edge, source, target }
      )
    }
    this.#byId = byId
    const edges = [...byId.values()].map(each => each.edge)
    if (edges.length !== this.#edges.length || edges.some((edge, at) => edge !== this.#edges[at])) this.#edges = edges
    return this.#edges
  }
}

/** Boxes in flow coordinates. */
class Boxes {
  readonly #nodes: ReadonlyMap<string, CanvasNode>

  constructor(nodes: ReadonlyMap<string, CanvasNode>) {
    this.#nodes = nodes
  }

  box(node: CanvasNode): Box {
    let { x, y } = node.position
    let parent = node.parentId === undefined ? undefined : this.#nodes.get(node.parentId)
    for (let depth = 0; parent !== undefined && depth < this.#nodes.size; depth++) {
      x += parent.position.x
      y += parent.position.y
      parent = parent.parentId === undefined ? undefined : this.#nodes.get(parent.parentId)
    }
    return { x, y, width: node.width ?? 0, height: node.height ?? 0 }
  }
}

function derived(
  element: DesignEdge,
  selected: boolean,
  source: CanvasNode,
  target: CanvasNode,
  boxes: Boxes,
  before: Remembered | undefined
): CanvasEdge {
  const sides = sidesOf(element, boxes.box(source), boxes.box(target))
  const old = before?.edge
  const ariaLabel =
    before !== undefined &&
    before.source.data === source.data &&
    before.target.data === target.data &&
    old?.data?.element === element
      ? old.ariaLabel
      : spoken(element, source, target)
  if (
    old !== undefined &&
    old.data?.element === element &&
    old.selected === selected &&
    old.ariaLabel === ariaLabel &&
    old.sourceHandle === sides.source &&
    old.targetHandle === sides.target
  ) {
    return old
  }
  return {
    id: element.id,
    type: 'atlas',
    source: element.source,
    target: element.target,
    sourceHandle: sides.source,
    targetHandle: sides.target,
    selected,
    ...(ariaLabel === undefined ? {} : { ariaLabel }),
    data: old?.data?.element === element ? old.data : { element, look: lookOf(element), words: wordsOf(element) }
  }
}

const spoken = (element: DesignEdge, source: CanvasNode, target: CanvasNode): string =>
  `${nodeTitle(source.data.element)} to ${nodeTitle(target.data.element)}, ${wordsOf(element) || edgeTitle(element)}`

/** 'HTTPS:443' where both are known, else the label, else what is known. */
export function wordsOf({ data, label }: DesignEdge): string {
  const protocol = text(data.protocol)
  const port = text(data.port)
  if (protocol !== '' && port !== '') return `${protocol}:${port}`
  return label || protocol || (port === '' ? '' : `:${port}`)
}

/** Colour only, never a judgement: what the edge says of its encryption. */
export function lookOf({ data }: DesignEdge): EdgeLook {
  return encryptionLook(data.encryption)
}

/** Handles that the file names and that exist here, else the sides that face each other. */
function sidesOf(element: DesignEdge, source: Box, target: Box): { source: Side; target: Side } {
  const [named, namedTarget] = [element.sourceHandle, element.targetHandle]
  const facing = element.source === element.target ? LOOP : facingSides(source, target)
  return {
    source: isSide(named) ? named : facing.source,
    target: isSide(namedTarget) ? namedTarget : facing.target
  }
}

const LOOP = { source: 'right', target: 'top' } as const

/** Across the wider of the two gaps between the boxes; where they overlap, in the direction in which their middles are further apart. */
export function facingSides(source: Box, target: Box): { source: Side; target: Side } {
  const dx = target.x + target.width / 2 - (source.x + source.width / 2)
  const dy = target.y + target.height / 2 - (source.y + source.height / 2)
  const gapX = Math.abs(dx) - (source.width + target.width) / 2
  const gapY = Math.abs(dy) - (source.height + target.height) / 2
  if (gapX < gapY) return 0 <= dy ? { source: 'bottom', target: 'top' } : { source: 'top', target: 'bottom' }
  return 0 <= dx ? { source: 'right', target: 'left' } : { source: 'left', target: 'right' }
}
