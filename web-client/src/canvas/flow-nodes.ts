// Elements of the document as nodes of the canvas. A node keeps its identity as long as nothing that it shows changed: React Flow and
// React skip what is the same object, so that moving one of a thousand nodes draws one.

import { type Node, type NodeHandle, Position } from '@xyflow/react'
import { type DesignNode, type DesignView, nodeTitle, type Point } from '../design/elements'
import { areaOf, drawnPoint, drawnSize, isContainer, kindName, nodeKind, type Size, sizeOf } from './geometry'

/** Has the shape of `FlowNode` of `binding/`. */
export type CanvasNode = Node<CanvasNodeData, 'atlas'>

export interface CanvasNodeData extends Record<string, unknown> {
  element: DesignNode
  /** Selected, and nothing else is: only then does it show what can be done with it (handles, corners to resize). */
  alone: boolean
}

/** What this screen adds to the document. */
export interface NodeInputs {
  readonly view: DesignView
  readonly selected: ReadonlySet<string>
  /** True if exactly one element is selected. */
  readonly alone: boolean
  /** Where nodes are shown instead of where the document has them: own and others' drags. Relative to the parent, as in the document. */
  readonly positions: ReadonlyMap<string, Point>
  /** Sizes while somebody resizes here. */
  readonly sizes: ReadonlyMap<string, Size>
}

/** Turns elements into nodes, and remembers them. */
export class FlowNodes {
  #nodes: CanvasNode[] = []
  #byId = new Map<string, CanvasNode>()
  /** The view whose order `#order` is. */
  #orderOf: DesignView | null = null
  #order: readonly DesignNode[] = []

  /** The same list if nothing changed. */
  derive(inputs: NodeInputs): CanvasNode[] {
    const elements = this.#ordered(inputs.view)
    const byId = new Map<string, CanvasNode>()
    const nodes = elements.map(element => {
      const node = derived(element, inputs, this.#byId.get(element.id))
      byId.set(element.id, node)
      return node
    })
    if (nodes.length !== this.#nodes.length || nodes.some((node, at) => node !== this.#nodes[at])) {
      this.#nodes = nodes
      this.#byId = byId
    }
    return this.#nodes
  }

  #ordered(view: DesignView): readonly DesignNode[] {
    if (this.#orderOf !== view) {
      this.#order = parentsFirst(view)
      this.#orderOf = view
    }
    return this.#order
  }
}

function derived(element: DesignNode, inputs: NodeInputs, before: CanvasNode | undefined): CanvasNode {
  const position = drawnPoint(inputs.positions.get(element.id) ?? element.position)
  const selected = inputs.selected.has(element.id)
  const alone = selected && inputs.alone
  const size = drawnSize(inputs.sizes.get(element.id) ?? sizeOf(element))
  if (
    before !== undefined &&
    before.data.element === element &&
    before.data.alone === alone &&
    before.selected === selected &&
    before.position.x === position.x &&
    before.position.y === position.y &&
    before.width === size.width &&
    before.height === size.height
  ) {
    return before
  }
  return flowNode(element, position, size, selected, alone, before)
}

function flowNode(
  element: DesignNode,
  position: Point,
  size: Size,
  selected: boolean,
  alone: boolean,
  before: CanvasNode | undefined
): CanvasNode {
  const container = isContainer(element)
  const { width, height } = size
  // The component draws itself again only when its data is another object: a node that merely moves is not drawn again.
  const data = before?.data.element === element && before.data.alone === alone ? before.data : { element, alone }
  return {
    id: element.id,
    // One type for all: React Flow would measure a node anew whose type changes, and find no handles while none is drawn.
    type: 'atlas',
    position,
    width,
    height,
    // Sizes are the document's, never the browser's: nothing waits for a measurement, and what the analysis reads is what people see.
    measured: { width, height },
    handles: handlesOf(size),
    selected,
    zIndex: container ? depthOf(size) : (selected ? SELECTED_Z : 0) + lift(element.zIndex),
    ariaLabel: `${nodeTitle(element)}, ${nodeKind(element)?.title ?? kindName(element)}`,
    data,
    ...(element.parentId === undefined ? {} : { parentId: element.parentId }),
    // The inside of a box lets the pointer through to what lies in it and to the canvas: only its border and its title are solid.
    ...(container ? { style: { pointerEvents: 'none' as const } } : {})
  }
}

/** Below the others' cursors. */
const SELECTED_Z = 1_000

/** The file's own order among cards, within bounds: above edges and their chips, which lie at 0. */
const lift = (zIndex: number | undefined): number => Math.min(Math.max(Math.trunc(zIndex ?? 0), 1), 900)

/** Containers lie behind everything, and the larger behind the smaller. The root of the area has a step for each unit of length. */
const depthOf = (size: Size): number => -Math.min(Math.max(Math.round(Math.sqrt(areaOf(size))), 1), 1_000_000)

export const SIDES = ['top', 'right', 'bottom', 'left'] as const
export type Side = (typeof SIDES)[number]

export const POSITION_OF: Readonly<Record<Side, Position>> = {
  top: Position.Top,
  right: Position.Right,
  bottom: Position.Bottom,
  left: Position.Left
}

export const isSide = (handle: string | undefined): handle is Side => SIDES.some(side => side === handle)

/** The points on the middle of each side. Told here, edges can be drawn before anything is measured; measured, they are `Anchors`. */
function handlesOf({ width, height }: Size): NodeHandle[] {
  const at: Readonly<Record<Side, Point>> = {
    top: { x: width / 2, y: 0 },
    right: { x: width, y: height / 2 },
    bottom: { x: width / 2, y: height },
    left: { x: 0, y: height / 2 }
  }
  return SIDES.map(side => ({
    id: side,
    type: 'source',
    position: POSITION_OF[side],
    ...at[side],
    width: 0,
    height: 0
  }))
}

/** React Flow wants parents before their children. */
function parentsFirst(view: DesignView): readonly DesignNode[] {
  const all = [...view.nodes.values()]
  if (all.every(node => node.parentId === undefined)) return all
  const order = new Set<DesignNode>()
  for (const node of all) {
    const chain: DesignNode[] = []
    let at: DesignNode | undefined = node
    while (at !== undefined && !order.has(at) && chain.length < all.length) {
      chain.push(at)
      at = at.parentId === undefined ? undefined : view.nodes.get(at.parentId)
    }
    for (const each of chain.reverse()) order.add(each)
  }
  return [...order]
}
