// What React Flow is given: nodes and edges made from the editor's state, from what this person is just doing (a drag, a label being edited),
// and from what others are dragging. Framework-free. An element that looks as before is the same object as before, so that React draws
// nothing again for it.

import type { CanvasEditor, EditorState, FlowEdge, FlowNode } from '../binding/types'
import { type DesignEdge, type DesignNode, edgeTitle, nodeTitle, type Point } from '../design/elements'
import { isContainer, type Rect, sizeOf } from '../design/geometry'
import { kindOf } from '../design/kinds'
import { handlesOf } from './handles'
import type { RemoteDrag, RemoteDrags } from './remote-drags'
import { facing, lanes, sideOf } from './sides'

export interface Flow {
  readonly nodes: FlowNode[]
  readonly edges: FlowEdge[]
}

/** Where a gesture of this person has a node for the moment. Positions are relative to the parent, as in the document. */
export interface LocalBox {
  readonly position?: Point
  readonly width?: number
  readonly height?: number
}

type Inputs = readonly [EditorState, ReadonlyMap<string, LocalBox>, string | null, ReadonlyMap<string, RemoteDrag>]

const NO_BOXES: ReadonlyMap<string, LocalBox> = new Map()
/** Others' layers lie at 3,000 and above. */
const Z_MAX = 1_000

export class FlowModel {
  readonly #editor: CanvasEditor
  readonly #remote: RemoteDrags
  readonly #listeners = new Set<() => void>()
  #stop: (() => void) | null = null
  #local = NO_BOXES
  #editing: string | null = null
  /** What `#flow` was made from. */
  #inputs: Inputs | null = null
  #flow: Flow = { nodes: [], edges: [] }
  #nodes = new Map<string, FlowNode>()
  #edges = new Map<string, FlowEdge>()
  #rects = new Map<string, Rect>()
  #lanes: { of: ReadonlyMap<string, DesignEdge>; lanes: ReadonlyMap<string, number> } | null = null
  /** Drags that the document has overtaken: shown no more until they move on. */
  readonly #overtaken = new Map<string, RemoteDrag>()

  constructor(editor: CanvasEditor, remote: RemoteDrags) {
    this.#editor = editor
    this.#remote = remote
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    if (this.#stop === null) {
      const stops = [this.#editor.subscribe(this.#tell), this.#remote.subscribe(this.#tell)]
      this.#stop = () => {
        for (const stop of stops) stop()
      }
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#stop?.()
      this.#stop = null
    }
  }

  readonly flow = (): Flow => {
    const editing = this.#editor.state.canEdit ? this.#editing : null
    const inputs: Inputs = [this.#editor.state, this.#local, editing, this.#remote.drags]
    if (this.#inputs === null || inputs.some((input, at) => input !== this.#inputs?.[at])) {
      this.#make(inputs)
      this.#inputs = inputs
    }
    return this.#flow
  }

  /** The rectangle of a node as it is drawn, on the canvas. */
  rect(id: string): Rect | undefined {
    this.flow()
    return this.#rects.get(id)
  }

  setLocal(boxes: ReadonlyMap<string, LocalBox> | null): void {
    this.#local = boxes ?? NO_BOXES
    this.#tell()
  }

  /** The node whose label is being edited in place. */
  setEditing(id: string | null): void {
    if (id === this.#editing) return
    this.#editing = id
    this.#tell()
  }

  readonly #tell = () => {
    for (const listener of [...this.#listeners]) listener()
  }

  #make([{ view, selection }, local, editing, drags]: Inputs): void {
    const selected = { nodes: new Set(selection.nodes), edges: new Set(selection.edges) }
    this.#forgetOvertaken(view.nodes, drags)

    const nodes = new Map<string, FlowNode>()
    for (const element of parentsFirst(view.nodes)) {
      const box = this.#boxOf(element, local.get(element.id), drags.get(element.id))
      const now = this.#nodes.get(element.id)
      const look = { selected: selected.nodes.has(element.id), editing: element.id === editing }
      nodes.set(element.id, now !== undefined && looksAs(now, element, box, look) ? now : flowNode(element, box, look))
    }
    this.#nodes = nodes
    this.#rects = rectsOf(nodes)

    if (this.#lanes?.of !== view.edges) this.#lanes = { of: view.edges, lanes: lanes(view.edges) }
    const edges = new Map<string, FlowEdge>()
    for (const element of view.edges.values()) {
      const lane = this.#lanes.lanes.get(element.id) ?? 0
      const edge = this.#flowEdge(element, selected.edges.has(element.id), lane)
      if (edge !== null) edges.set(element.id, edge)
    }
    this.#edges = edges
    this.#flow = {
      nodes: sameValues(this.#flow.nodes, nodes) ? this.#flow.nodes : [...nodes.values()],
      edges: sameValues(this.#flow.edges, edges) ? this.#flow.edges : [...edges.values()]
    }
  }

  /** My own gesture first, then others' drags, then the document. */
  #boxOf(element: DesignNode, local: LocalBox | undefined, drag: RemoteDrag | undefined): Rect {
    const { width, height } = sizeOf(element)
    const { x, y } = element.position
    const dragged = drag !== undefined && this.#overtaken.get(element.id) !== drag
    const position = local?.position ?? (dragged ? { x: x + drag.dx, y: y + drag.dy } : { x, y })
    return { ...position, width: local?.width ?? width, height: local?.height ?? height }
  }

  #forgetOvertaken(nodes: ReadonlyMap<string, DesignNode>, drags: ReadonlyMap<string, RemoteDrag>): void {
    for (const [id, drag] of this.#overtaken) if (drags.get(id) !== drag) this.#overtaken.delete(id)
    for (const [id, drag] of drags) {
      const before = this.#nodes.get(id)?.data.element.position
      const now = nodes.get(id)?.position
      if (before !== undefined && now !== undefined && (before.x !== now.x || before.y !== now.y))
        this.#overtaken.set(id, drag)
    }
  }

  #flowEdge(element: DesignEdge, selected: boolean, lane: number): FlowEdge | null {
    const source = this.#rects.get(element.source)
    const target = this.#rects.get(element.target)
    if (source === undefined || target === undefined) return null
    const [from, to] = facing(source, target)
    const sourceHandle = sideOf(element.sourceHandle) ?? from
    const targetHandle = sideOf(element.targetHandle) ?? to
    const now = this.#edges.get(element.id)
    const same =
      now?.data?.element === element &&
      now.data.lane === lane &&
      now.selected === selected &&
      now.sourceHandle === sourceHandle &&
      now.targetHandle === targetHandle
    if (now !== undefined && same) return now
    return {
      id: element.id,
      type: 'link',
      source: element.source,
      target: element.target,
      sourceHandle,
      targetHandle,
      selected,
      data: { element, lane },
      ariaLabel: `Connection ${edgeTitle(element)}`
    }
  }
}

/** React Flow wants parents before their children. */
function* parentsFirst(nodes: ReadonlyMap<string, DesignNode>): Generator<DesignNode> {
  const given = new Set<string>()
  for (const node of nodes.values()) {
    const waiting: DesignNode[] = []
    let at: DesignNode | undefined = node
    while (at !== undefined && !given.has(at.id)) {
      given.add(at.id)
      waiting.push(at)
      at = at.parentId === undefined ? undefined : nodes.get(at.parentId)
    }
    while (waiting.length > 0) {
      const next = waiting.pop()
      if (next !== undefined) yield next
    }
  }
}

interface Look {
  selected: boolean
  editing: boolean
}

function looksAs(now: FlowNode, element: DesignNode, box: Rect, { selected, editing }: Look): boolean {
  return (
    now.data.element === element &&
    now.selected === selected &&
    now.data.editing === editing &&
    now.position.x === box.x &&
    now.position.y === box.y &&
    now.width === box.width &&
    now.height === box.height
  )
}

/** Sizes and handles are given, not measured: nothing waits for the layout, and what is out of sight has its edges too. */
function flowNode(element: DesignNode, { x, y, width, height }: Rect, { selected, editing }: Look): FlowNode {
  const container = isContainer(element)
  const kind = kindOf(element.data.type)?.title ?? String(element.data.type ?? 'component')
  return {
    id: element.id,
    type: container ? 'container' : 'component',
    position: { x, y },
    width,
    height,
    measured: { width, height },
    handles: handlesOf(width, height),
    selected,
    zIndex: container ? behind(width, height) : Math.min(Math.max(element.zIndex ?? 0, 0), Z_MAX),
    data: { element, editing },
    ...(element.parentId !== undefined && { parentId: element.parentId }),
    // The inside of a container lets the pointer through to the canvas, until it is selected: large ones would otherwise leave no place to pan.
    ...(container && !selected && { style: { pointerEvents: 'none' } }),
    ariaLabel: `${nodeTitle(element)}, ${kind}`
  }
}

/** Containers lie behind everything, larger ones behind smaller ones. */
const behind = (width: number, height: number): number => -Math.ceil(Math.sqrt(width * height))

function rectsOf(nodes: ReadonlyMap<string, FlowNode>): Map<string, Rect> {
  const rects = new Map<string, Rect>()
  // Parents come before their children.
  for (const [id, { position, parentId, width = 0, height = 0 }] of nodes) {
    const parent = parentId === undefined ? undefined : rects.get(parentId)
    rects.set(id, { x: position.x + (parent?.x ?? 0), y: position.y + (parent?.y ?? 0), width, height })
  }
  return rects
}

function sameValues<E>(list: readonly E[], map: ReadonlyMap<string, E>): boolean {
  if (list.length !== map.size) return false
  let at = 0
  for (const value of map.values()) if (list[at++] !== value) return false
  return true
}
