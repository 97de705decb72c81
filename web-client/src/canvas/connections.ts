// Drawing connections and taking their ends elsewhere. A new end floats: it finds the side that faces the other box by itself, also when
// the boxes move. Only who takes an end to another side of the same box wants that side, and gets it pinned.

import type { Connection, FinalConnectionState, HandleType, InternalNode } from '@xyflow/react'
import type { Editor } from '../binding/types'
import type { DesignEdge } from '../design/elements'
import type { CanvasEdge } from './flow-edges'

/** Nothing connects to itself by a slip of the hand. */
export const isConnection = ({ source, target }: { source: string | null; target: string | null }): boolean =>
  source !== null && target !== null && source !== target

export function connect(editor: Editor, { source, target }: Connection): void {
  if (isConnection({ source, target })) editor.connect(source, target)
}

/** A connection that was let go over a node, but beside its handles. */
export function connectAt(
  editor: Editor,
  event: MouseEvent | TouchEvent,
  state: FinalConnectionState<InternalNode>
): void {
  if (state.isValid === true || state.fromNode === null) return
  const target = nodeUnder(event)
  if (target !== null) connect(editor, { source: state.fromNode.id, target, sourceHandle: null, targetHandle: null })
}

export function reconnect(editor: Editor, edge: CanvasEdge, to: Connection): void {
  const element = editor.state.view.edges.get(edge.id)
  if (element === undefined || !isConnection(to)) return
  editor.reconnect(edge.id, {
    source: to.source,
    target: to.target,
    sourceHandle: endHandle(element, 'source', to.source, to.sourceHandle, edge.sourceHandle),
    targetHandle: endHandle(element, 'target', to.target, to.targetHandle, edge.targetHandle)
  })
}

/** Floating on another node; where it was if it was not touched; else the side that was chosen. */
function endHandle(
  element: DesignEdge,
  end: 'source' | 'target',
  node: string,
  handle: string | null,
  shown: string | null | undefined
): string | null {
  if (node !== element[end]) return null
  const before = (end === 'source' ? element.sourceHandle : element.targetHandle) ?? null
  return handle === null || handle === shown ? before : handle
}

/** An end that was let go over a node, but beside its handles. `fixed` is the end that stayed. */
export function reconnectAt(
  editor: Editor,
  event: MouseEvent | TouchEvent,
  edge: CanvasEdge,
  fixed: HandleType,
  state: FinalConnectionState<InternalNode>
): void {
  const node = nodeUnder(event)
  if (state.isValid === true || node === null) return
  const { source, target, sourceHandle = null, targetHandle = null } = edge
  if (fixed === 'source') reconnect(editor, edge, { source, target: node, sourceHandle, targetHandle: null })
  else reconnect(editor, edge, { source: node, target, sourceHandle: null, targetHandle })
}

function nodeUnder(event: MouseEvent | TouchEvent): string | null {
  const point = 'changedTouches' in event ? event.changedTouches[0] : event
  if (point === undefined) return null
  const under = document.elementFromPoint(point.clientX, point.clientY)
  return under?.closest('.react-flow__node')?.getAttribute('data-id') ?? null
}
