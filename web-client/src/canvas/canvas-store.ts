// What the canvas shows: the editor's state with the gestures of this screen laid over it. No React here; the component subscribes.

import type { Editor, EditorState, Selection } from '../binding/types'
import type { Point } from '../design/elements'
import { LABEL_CHARS_MAX } from '../design/limits'
import { type CanvasEdge, FlowEdges } from './flow-edges'
import { type CanvasNode, FlowNodes } from './flow-nodes'
import { drawnPoint } from './geometry'
import { beginMove, isOrphaned, type Move, movesOf, OthersDrags, type RemoteDrags, type Resize } from './gestures'

export interface CanvasSnapshot {
  /** Nobody changes these lists; React Flow's types would have them changeable. */
  readonly nodes: CanvasNode[]
  readonly edges: CanvasEdge[]
  readonly canEdit: boolean
  /** The node whose label is being written, or null. */
  readonly editing: string | null
}

/** What others are told about a drag: relative to where the document has the nodes. */
export interface SharedDrag {
  readonly ids: readonly string[]
  readonly dx: number
  readonly dy: number
}

export interface CanvasStoreOptions {
  editor: Editor
  remoteDrags?: RemoteDrags | undefined
  onDrag?: ((drag: SharedDrag | null) => void) | undefined
  /** A message for the person. */
  say?: ((message: string) => void) | undefined
}

/** How long after the last arrow key a move is written, in milliseconds: one burst is one undo step. */
export const NUDGE_PAUSE_MS = 400

export class CanvasStore {
  readonly editor: Editor
  readonly #onDrag: (drag: SharedDrag | null) => void
  readonly #say: (message: string) => void
  readonly #others: OthersDrags
  readonly #flowNodes = new FlowNodes()
  readonly #flowEdges = new FlowEdges()
  readonly #listeners = new Set<() => void>()

  // The gestures of this screen. Written by the methods below, read by `#derive`.
  #move: Move | null = null
  #resize: Resize | null = null
  #editing: string | null = null
  /** What stands in the label's field, as soon as somebody typed there. */
  #typed: string | null = null

  /** What the arrow keys move: another selection begins another move. */
  #nudged: Selection | null = null
  #nudgeTimer: ReturnType<typeof setTimeout> | undefined
  #stops: (() => void)[] = []
  #snapshot: CanvasSnapshot | null = null
  #selectionOf: Selection | null = null
  #selectedNodes: ReadonlySet<string> = new Set()
  #selectedEdges: ReadonlySet<string> = new Set()

  constructor({ editor, remoteDrags, onDrag, say }: CanvasStoreOptions) {
    this.editor = editor
    this.#onDrag = onDrag ?? (() => {})
    this.#say = say ?? (() => {})
    this.#others = new OthersDrags(remoteDrags ?? null)
  }

  get state(): EditorState {
    return this.editor.state
  }

  /** With the first listener the canvas lives; with the last one gone a drag is undone, and what arrow keys moved is written. */
  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.#listeners.size === 0) {
      this.#stops = [this.editor.subscribe(this.#edited), this.#others.subscribe(this.#changed)]
      // Something may have happened between the first drawing and now.
      this.#snapshot = null
    }
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#leave()
    }
  }

  readonly snapshot = (): CanvasSnapshot => {
    this.#snapshot ??= this.#derive()
    return this.#snapshot
  }

  // Moves.

  /** Where the pointer grabbed nodes. `alone`: boxes without what stands in them. */
  beginDrag(grabbed: string, ids: readonly string[], alone: boolean): void {
    this.settle()
    if (!this.state.canEdit) return
    this.#move = beginMove(this.state.view, { by: 'pointer', grabbed, ids, alone, generation: this.#generation })
  }

  /** How far one of the grabbed nodes was taken: all of them go as far. False if it is not among them, or the drag was given up. */
  dragTo(id: string, position: Point): boolean {
    const from = this.#move?.by === 'pointer' ? this.#move.from.get(id) : undefined
    if (from !== undefined) this.#moveBy(position.x - from.x, position.y - from.y)
    return from !== undefined
  }

  endDrag(): void {
    if (this.#move?.by === 'pointer') this.#writeMove()
  }

  get dragging(): boolean {
    return this.#move?.by === 'pointer' || this.#resize !== null
  }

  /** Moves what is selected, with what stands in it; written when no further key follows. False if nothing is selected that may be moved. */
  nudge(dx: number, dy: number): boolean {
    const { canEdit, selection, view } = this.state
    if (!canEdit || this.dragging) return false
    if (this.#nudged !== selection) this.settle()
    this.#nudged = selection
    const ids = selection.nodes
    this.#move ??= beginMove(view, { by: 'keys', grabbed: '', ids, alone: false, generation: this.#generation })
    if (this.#move === null) return false
    clearTimeout(this.#nudgeTimer)
    this.#nudgeTimer = setTimeout(() => this.settle(), NUDGE_PAUSE_MS)
    this.#moveBy(this.#move.dx + dx, this.#move.dy + dy)
    return true
  }

  /** Writes what the arrow keys moved, before something else happens. */
  readonly settle = (): void => {
    if (this.#move?.by === 'keys') this.#writeMove()
  }

  /** Undoes a drag or a resize that has not ended. */
  giveUp(): void {
    this.#resize = null
    this.#dropMove()
    this.#changed()
  }

  giveUpDrag(): void {
    if (this.#move?.by === 'pointer') this.giveUp()
  }

  #moveBy(dx: number, dy: number): void {
    if (this.#move === null || !Number.isFinite(dx) || !Number.isFinite(dy)) return
    this.#move = { ...this.#move, dx: Math.round(dx), dy: Math.round(dy) }
    this.#onDrag({ ids: [...this.#move.from.keys()], dx: this.#move.dx, dy: this.#move.dy })
    this.#changed()
  }

  #writeMove(): void {
    const move = this.#move
    if (move === null) return
    const moves = move.generation === this.#generation ? movesOf(move, this.state.view) : []
    // Not laid over the document any more when the document has it, and in the same drawing.
    this.#dropMove(() => {
      if (0 < moves.length) this.editor.moveNodes(moves)
    })
    this.#changed()
  }

  /** Others hear of the edit before they hear that the drag is over: the other way round the node would jump back for a moment. */
  #dropMove(write: () => void = () => {}): void {
    if (this.#move === null) return
    clearTimeout(this.#nudgeTimer)
    this.#move = null
    write()
    this.#onDrag(null)
  }

  // Sizes.

  beginResize(id: string): void {
    this.settle()
    const node = this.state.view.nodes.get(id)
    if (!this.state.canEdit || node === undefined) return
    const [shown] = this.snapshot().nodes.filter(each => each.id === id)
    if (shown?.width === undefined || shown.height === undefined) return
    const { width, height } = shown
    this.#resize = { id, position: drawnPoint(node.position), width, height, generation: this.#generation }
  }

  resizeTo(id: string, box: { x: number; y: number; width: number; height: number }): void {
    if (this.#resize?.id !== id) return
    const position = { x: Math.round(box.x), y: Math.round(box.y) }
    this.#resize = { ...this.#resize, position, width: Math.round(box.width), height: Math.round(box.height) }
    this.#changed()
  }

  endResize(id: string): void {
    const resize = this.#resize
    if (resize?.id !== id) return
    this.#resize = null
    const { position, width, height } = resize
    if (resize.generation === this.#generation) this.editor.resizeNode(id, { position, width, height })
    this.#changed()
  }

  // The label.

  edit(id: string): void {
    if (!this.state.canEdit || !this.state.view.nodes.has(id)) return
    this.#editing = id
    this.#typed = null
    this.#changed()
  }

  /** Told at each key, so that the text is still known when the field is taken away. */
  typed(id: string, label: string): void {
    if (this.#editing === id) this.#typed = label
  }

  /** Null: left as it was. */
  endEdit(id: string, label: string | null): void {
    if (this.#editing !== id) return
    this.#editing = null
    this.#typed = null
    const before = this.state.view.nodes.get(id)?.data.label
    const after = label === null ? '' : label.trim().slice(0, LABEL_CHARS_MAX)
    if (after !== '' && after !== before) this.editor.patchData([id], { label: after })
    this.#changed()
  }

  /** The field goes while somebody types there: the text is given back to whoever typed it, once. */
  #loseLabel(id: string): void {
    const text = this.#typed?.trim() ?? ''
    this.#editing = null
    this.#typed = null
    const { canEdit, view } = this.state
    if (text === '' || text === view.nodes.get(id)?.data.label) return
    const why = canEdit ? 'the component is not there any more' : 'this design cannot be edited any more'
    this.#say(`Not written, since ${why}: “${text}”`)
  }

  // Following the editor.

  get #generation(): number {
    return this.editor.session.state.generation
  }

  readonly #edited = (): void => {
    const { canEdit, view } = this.state
    const lost = (generation: number) => !canEdit || generation !== this.#generation
    if (this.#move !== null && (lost(this.#move.generation) || isOrphaned(this.#move, view))) this.#dropMove()
    if (this.#resize !== null && (lost(this.#resize.generation) || !view.nodes.has(this.#resize.id)))
      this.#resize = null
    if (this.#editing !== null && (!canEdit || !view.nodes.has(this.#editing))) this.#loseLabel(this.#editing)
    this.#changed()
  }

  readonly #changed = (): void => {
    this.#snapshot = null
    for (const listener of [...this.#listeners]) listener()
  }

  #leave(): void {
    this.settle()
    this.#dropMove()
    this.#resize = null
    // The browser's way back takes the field away without a blur: what was typed is written, as when the field is left.
    if (this.#editing !== null) this.endEdit(this.#editing, this.#typed)
    for (const stop of this.#stops) stop()
    this.#stops = []
  }

  #derive(): CanvasSnapshot {
    const { view, selection, canEdit } = this.state
    if (this.#selectionOf !== selection) {
      this.#selectionOf = selection
      this.#selectedNodes = new Set(selection.nodes)
      this.#selectedEdges = new Set(selection.edges)
    }
    const positions = this.#others.positions(view)
    if (this.#move !== null) {
      const { from, dx, dy } = this.#move
      for (const [id, { x, y }] of from) positions.set(id, { x: x + dx, y: y + dy })
    }
    if (this.#resize !== null) positions.set(this.#resize.id, this.#resize.position)
    const nodes = this.#flowNodes.derive({
      view,
      selected: this.#selectedNodes,
      alone: selection.nodes.length + selection.edges.length === 1,
      positions,
      sizes: this.#resize === null ? NO_SIZES : new Map([[this.#resize.id, this.#resize]])
    })
    const edges = this.#flowEdges.derive({ view, selected: this.#selectedEdges, nodes })
    return { nodes, edges, canEdit, editing: this.#editing }
  }
}

const NO_SIZES: ReadonlyMap<string, Resize> = new Map()
