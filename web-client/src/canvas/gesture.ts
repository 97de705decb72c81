// A drag, a resize or a walk by arrow keys while it happens: shown on this screen and told to the others as presence; the document gets one
// write at its end. Framework-free. Whatever interrupts it (Escape, the right to edit is gone, the node is gone, the canvas closes) undoes it on
// this screen, and nothing was written.

import type { CanvasEditor } from '../binding/types'
import type { Point } from '../design/elements'
import type { FlowModel, LocalBox } from './flow-model'

/** Relative to where the document has the nodes; the shape of `drag` in presence. */
export interface OwnDrag {
  readonly ids: string[]
  readonly dx: number
  readonly dy: number
}

export interface Box extends Point {
  readonly width: number
  readonly height: number
}

/** A walk ends this long after its last key, in milliseconds. */
export const WALK_PAUSE_MS = 400

type Running = {
  readonly kind: 'drag' | 'resize' | 'walk'
  /** The one under the pointer: without it the gesture ends. */
  readonly held: string | null
  readonly ids: readonly string[]
  readonly stop: () => void
}

export class Gesture {
  readonly #editor: CanvasEditor
  readonly #model: FlowModel
  readonly #onDrag: (drag: OwnDrag | null) => void
  #running: Running | null = null
  #boxes = new Map<string, LocalBox>()
  #pause: ReturnType<typeof setTimeout> | undefined

  constructor(editor: CanvasEditor, model: FlowModel, onDrag: (drag: OwnDrag | null) => void) {
    this.#editor = editor
    this.#model = model
    this.#onDrag = onDrag
  }

  get running(): Running['kind'] | null {
    return this.#running?.kind ?? null
  }

  startDrag(held: string | null, ids: readonly string[]): void {
    this.#start('drag', held, ids)
  }

  startResize(id: string): void {
    this.#start('resize', id, [id])
  }

  #start(kind: Running['kind'], held: string | null, ids: readonly string[]): void {
    this.end()
    if (!this.#editor.state.canEdit) return
    this.#running = { kind, held, ids, stop: this.#editor.subscribe(this.#check) }
  }

  /** Where the pointer has them now. Nothing happens after the gesture was interrupted, although the pointer is still down. */
  move(moves: readonly { id: string; position: Point }[]): void {
    if (this.#running === null) return
    for (const { id, position } of moves) {
      if (this.#running.ids.includes(id)) this.#boxes.set(id, { ...this.#boxes.get(id), position: rounded(position) })
    }
    this.#show()
  }

  resize(id: string, size: { width: number; height: number }): void {
    if (this.#running?.kind !== 'resize' || this.#running.held !== id) return
    const { width, height } = size
    this.#boxes.set(id, { ...this.#boxes.get(id), width: Math.round(width), height: Math.round(height) })
    this.#show()
  }

  /** One step of an arrow key. A walk ends by itself; whoever acts otherwise meanwhile calls `end` first. */
  walk(ids: readonly string[], by: Point): void {
    if (this.#running?.kind !== 'walk') this.#start('walk', null, ids)
    if (this.#running === null) return
    const moves = this.#running.ids.flatMap(id => {
      const from = this.#boxes.get(id)?.position ?? this.#editor.state.view.nodes.get(id)?.position
      return from === undefined ? [] : [{ id, position: { x: from.x + by.x, y: from.y + by.y } }]
    })
    this.move(moves)
    clearTimeout(this.#pause)
    this.#pause = setTimeout(() => this.end(), WALK_PAUSE_MS)
  }

  /** What the gesture did becomes one edit. */
  end(): void {
    const boxes = this.#boxes
    const running = this.#finish()
    if (running === null) return
    if (running.kind === 'resize') this.#writeSize(running.held, boxes)
    else this.#writeMoves(boxes)
    // Only now: in between the node would jump back.
    this.#clear()
  }

  /** As if it had not happened. False: there was no gesture. */
  cancel(): boolean {
    if (this.#finish() === null) return false
    this.#clear()
    return true
  }

  #finish(): Running | null {
    clearTimeout(this.#pause)
    const running = this.#running
    running?.stop()
    this.#running = null
    this.#boxes = new Map()
    return running
  }

  #clear(): void {
    this.#model.setLocal(null)
    this.#onDrag(null)
  }

  #writeMoves(boxes: ReadonlyMap<string, LocalBox>): void {
    const moves = [...boxes].flatMap(([id, { position }]) => (position === undefined ? [] : [{ id, position }]))
    if (moves.length > 0) this.#editor.moveNodes(moves)
  }

  #writeSize(id: string | null, boxes: ReadonlyMap<string, LocalBox>): void {
    const node = id === null ? undefined : this.#editor.state.view.nodes.get(id)
    const box = node === undefined ? undefined : boxes.get(node.id)
    if (node === undefined || box?.width === undefined || box.height === undefined) return
    this.#editor.resizeNode(node.id, {
      position: box.position ?? node.position,
      width: box.width,
      height: box.height
    })
  }

  readonly #check = () => {
    if (this.#running === null) return
    const { canEdit, view } = this.#editor.state
    const { held, ids } = this.#running
    const heldIsGone = held !== null && !view.nodes.has(held)
    if (!canEdit || heldIsGone || !ids.some(id => view.nodes.has(id))) this.cancel()
  }

  #show(): void {
    this.#model.setLocal(new Map(this.#boxes))
    if (this.#running?.kind !== 'resize') this.#onDrag(this.#presence())
  }

  /** All dragged nodes move alike, so the first one tells how far. */
  #presence(): OwnDrag | null {
    for (const [id, { position }] of this.#boxes) {
      const from = this.#editor.state.view.nodes.get(id)?.position
      if (from === undefined || position === undefined) continue
      return { ids: [...this.#boxes.keys()], dx: position.x - from.x, dy: position.y - from.y }
    }
    return null
  }
}

/** Whole units: what people see is not finer, and the document stays small. */
const rounded = ({ x, y }: Point): Point => ({ x: Math.round(x), y: Math.round(y) })
