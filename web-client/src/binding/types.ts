// The editor as commands and panels see it: one object for everything that can be done to the open design.

import type { Edge, Node } from '@xyflow/react'
import type { DesignEdge, DesignNode, DesignView, Json, Point } from '../design/elements'
import type { Fix } from '../design/fix'
import type { KindId } from '../design/kinds'
import type { DesignSession } from '../sync/types'

/** What a node of the canvas carries for its component: the element itself, as the document has it. */
export type FlowNode = Node<{
  element: DesignNode
  /** Its label is being edited in place. */
  editing: boolean
}>
export type FlowEdge = Edge<{
  element: DesignEdge
  /** Where it lies among the edges between the same two nodes: 0 in the middle, 1 and -1 beside it, and so on. */
  lane: number
}>

export interface Selection {
  nodes: readonly string[]
  edges: readonly string[]
}

/** Everything that changes, as one immutable snapshot. */
export interface EditorState {
  view: DesignView
  selection: Selection
  canEdit: boolean
  canUndo: boolean
  canRedo: boolean
  /** Something was copied that can be pasted. */
  canPaste: boolean
}

export type FixOutcome =
  | { readonly kind: 'done'; readonly made: Selection }
  /** Elements that it needs are not there any more. */
  | { readonly kind: 'gone'; readonly missing: readonly string[] }
  /** The design says all that already. */
  | { readonly kind: 'nothing' }
  /** Why nothing was written, as a sentence. */
  | { readonly kind: 'refused'; readonly why: string }

/** A change of an element's keys: `undefined` removes the key. */
export type Patch = Readonly<Record<string, Json | undefined>>

/**
 * Each act is one transaction and one undo step. Acts that would change the document do nothing, and return null or false, while `canEdit` is false.
 * Acts on ids that are gone (somebody deleted them) leave those out.
 */
export interface Editor {
  readonly session: DesignSession
  readonly state: EditorState
  subscribe(listener: () => void): () => void

  /** The middle of the new node is at `at`. It is selected. */
  addNode(kind: KindId, at: Point, options?: { label?: string }): string | null
  connect(
    source: string,
    target: string,
    handles?: { sourceHandle?: string | null; targetHandle?: string | null }
  ): string | null
  reconnect(
    edge: string,
    ends: { source: string; target: string; sourceHandle?: string | null; targetHandle?: string | null }
  ): boolean
  /** Top-level keys of nodes or edges (`label` of an edge, `width`, `zIndex` …). */
  patchElements(ids: readonly string[], patch: Patch): boolean
  /** Keys of `data`. */
  patchData(ids: readonly string[], patch: Patch): boolean
  /** Keys of `data.securityFlags`. */
  patchFlags(ids: readonly string[], patch: Patch): boolean
  patchMeta(patch: Patch): boolean
  moveNodes(moves: readonly { id: string; position: Point }[]): boolean
  resizeNode(id: string, box: { position: Point; width: number; height: number }): boolean
  remove(selection: Selection): boolean
  /** All of it, or nothing: one act, which its author undoes as one. What it made is selected. */
  applyFix(fix: Fix): FixOutcome
  copy(selection: Selection): boolean
  /** Pastes what was copied here (or arrived by `pasteText`), selects it, and returns the new ids. With `at` its middle is there. */
  paste(at?: Point): Selection | null
  duplicate(selection: Selection): Selection | null
  select(selection: Selection): void
  undo(): void
  redo(): void

  /** Moves the view so that the element is in the middle, and selects it. */
  reveal(id: string): void
  zoomToFit(): void
  zoomBy(factor: number): void
  /** The middle of what is visible, in flow coordinates. */
  centre(): Point
  destroy(): void
}

/** What only the canvas can do; it hands this to the editor while it is there. */
export interface ViewPort {
  reveal(nodes: readonly string[]): void
  fit(): void
  zoomBy(factor: number): void
  centre(): Point
}

/** The editor as the canvas needs it. */
export interface CanvasEditor extends Editor {
  /** Until the returned function is called. */
  attach(port: ViewPort): () => void
  /** What was copied last, as the text for the system's clipboard. */
  copiedText(): string | null
  /** Text from the system's clipboard. Told to the person if it is not ours. */
  pasteText(text: string, at?: Point): Selection | null
}
