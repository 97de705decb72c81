// What React Flow reports, as acts of the canvas and of the editor. Made once for each canvas: no handler changes while it lives.

import type { EdgeChange, NodeChange, OnNodeDrag, ReactFlowProps } from '@xyflow/react'
import type { DragEvent, MouseEvent } from 'react'
import type { Editor, Selection } from '../binding/types'
import type { Point } from '../design/elements'
import { KIND_MIME, kindOf } from '../design/kinds'
import type { CanvasStore } from './canvas-store'
import { connect, connectAt, isConnection, reconnect, reconnectAt } from './connections'
import type { CanvasEdge } from './flow-edges'
import type { CanvasNode } from './flow-nodes'

type Handlers = Pick<
  ReactFlowProps<CanvasNode, CanvasEdge>,
  | 'onNodesChange'
  | 'onEdgesChange'
  | 'onNodeDragStart'
  | 'onNodeDragStop'
  | 'onNodeClick'
  | 'onEdgeClick'
  | 'onNodeDoubleClick'
  | 'onConnect'
  | 'onConnectEnd'
  | 'onReconnect'
  | 'onReconnectStart'
  | 'onReconnectEnd'
  | 'isValidConnection'
>

export function flowHandlers(store: CanvasStore): Handlers {
  const { editor } = store
  // React Flow tells the end of a reconnection as the end of a connection too.
  let reconnecting = false
  return {
    onNodesChange: changes => {
      select(editor, 'nodes', changes)
      followDrag(store, changes)
    },
    onEdgesChange: changes => select(editor, 'edges', changes),
    onNodeDragStart: (event, node, nodes) => {
      const grabbed = inSelectionFrame(event.target) ? '' : node.id
      store.beginDrag(
        grabbed,
        nodes.map(each => each.id),
        event.altKey
      )
    },
    onNodeDragStop: (() => store.endDrag()) satisfies OnNodeDrag<CanvasNode>,
    onNodeClick: (event, node) => selectOnly(editor, event, { nodes: [node.id], edges: [] }),
    onEdgeClick: (event, edge) => selectOnly(editor, event, { nodes: [], edges: [edge.id] }),
    onNodeDoubleClick: (_, node) => store.edit(node.id),
    onConnect: connection => connect(editor, connection),
    onConnectEnd: (event, state) => {
      if (!reconnecting) connectAt(editor, event, state)
    },
    onReconnect: (edge, connection) => reconnect(editor, edge, connection),
    onReconnectStart: () => {
      reconnecting = true
    },
    onReconnectEnd: (event, edge, fixed, state) => {
      reconnecting = false
      reconnectAt(editor, event, edge, fixed, state)
    },
    isValidConnection: isConnection
  }
}

const inSelectionFrame = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest('.react-flow__nodesselection') !== null

/** Sizes and removals are not taken from React Flow: the one comes from the document, the other from the commands. */
function followDrag(store: CanvasStore, changes: readonly NodeChange<CanvasNode>[]): void {
  for (const change of changes) {
    if (change.type !== 'position') continue
    if (change.dragging === true && change.position !== undefined) {
      // All nodes of a drag go equally far, so one of them tells everything.
      if (store.dragTo(change.id, change.position)) return
    } else if (change.dragging === false) {
      // The drop itself follows at once. Where a second finger ended the drag, none does.
      queueMicrotask(() => store.giveUpDrag())
      return
    }
  }
}

function select(
  editor: Editor,
  part: keyof Selection,
  changes: readonly (NodeChange<CanvasNode> | EdgeChange<CanvasEdge>)[]
): void {
  const before = editor.state.selection
  const ids = new Set(before[part])
  let changed = false
  for (const change of changes) {
    if (change.type !== 'select' || change.selected === ids.has(change.id)) continue
    changed = true
    if (change.selected) ids.add(change.id)
    else ids.delete(change.id)
  }
  if (changed) editor.select({ ...before, [part]: [...ids] })
}

/** A plain click on one of several that are selected leaves it alone selected. React Flow would keep all of them. */
function selectOnly(editor: Editor, { shiftKey, ctrlKey, metaKey }: MouseEvent, only: Selection): void {
  const { nodes, edges } = editor.state.selection
  if (!shiftKey && !ctrlKey && !metaKey && 1 < nodes.length + edges.length) editor.select(only)
}

/** Handlers of the element around the canvas, onto which components are dropped from the palette. */
export function dropHandlers(store: CanvasStore, toFlow: (pixel: Point) => Point) {
  return {
    onDragOver: (event: DragEvent) => {
      if (!store.state.canEdit || !event.dataTransfer.types.includes(KIND_MIME)) return
      event.preventDefault()
      event.dataTransfer.dropEffect = 'copy'
    },
    onDrop: (event: DragEvent) => {
      const kind = kindOf(event.dataTransfer.getData(KIND_MIME))
      if (kind === null) return
      event.preventDefault()
      store.editor.addNode(kind.id, toFlow({ x: event.clientX, y: event.clientY }))
    }
  }
}
