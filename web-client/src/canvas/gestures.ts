// Gestures of this screen that are not in the document yet, and the drags of others. Plain data and the functions that read it.

import type { DesignView, Point } from '../design/elements'
import { drawnPoint, movedWith } from './geometry'

/** Nodes on their way, by pointer or by arrow keys. Written to the document once, at the end. */
export interface Move {
  readonly by: 'pointer' | 'keys'
  /** The node under the pointer; '' where a whole selection or the keyboard moves. Without it the gesture has nothing to hold on to. */
  readonly grabbed: string
  /** Where each of them was drawn when the gesture began: where the document has it, if that can be drawn. */
  readonly from: ReadonlyMap<string, Point>
  /** Whole canvas units, so that no file fills with fractions. */
  readonly dx: number
  readonly dy: number
  /** Of the document that it began in. */
  readonly generation: number
}

export interface Resize {
  readonly id: string
  readonly position: Point
  readonly width: number
  readonly height: number
  readonly generation: number
}

/** How far others have dragged nodes from where the document has them (`presence/`). */
export interface RemoteDrags {
  subscribe(listener: () => void): () => void
  get(): ReadonlyMap<string, { readonly dx: number; readonly dy: number }>
}

interface MoveStart {
  by: Move['by']
  grabbed: string
  ids: readonly string[]
  /** The boxes alone, without what stands inside of them. */
  alone: boolean
  generation: number
}

/** Null where there is nothing to move. */
export function beginMove(view: DesignView, { by, grabbed, ids, alone, generation }: MoveStart): Move | null {
  const from = new Map<string, Point>()
  for (const id of alone ? ids : movedWith(view, ids)) {
    const node = view.nodes.get(id)
    if (node !== undefined) from.set(id, drawnPoint(node.position))
  }
  return from.size === 0 ? null : { by, grabbed, from, dx: 0, dy: 0, generation }
}

/** The moves to write: nothing for nodes that are gone, nothing at all where nothing moved. */
export function movesOf({ from, dx, dy }: Move, view: DesignView): { id: string; position: Point }[] {
  if (dx === 0 && dy === 0) return []
  return [...from]
    .filter(([id]) => view.nodes.has(id))
    .map(([id, { x, y }]) => ({ id, position: { x: x + dx, y: y + dy } }))
}

/** Whether the gesture has lost what it holds. */
export const isOrphaned = ({ grabbed, from }: Move, view: DesignView): boolean =>
  grabbed === '' ? [...from.keys()].every(id => !view.nodes.has(id)) : !view.nodes.has(grabbed)

/**
 * Where others' drags show nodes. A drop arrives as an edit of the document and as a word of presence, in either order: as soon as the
 * document moves a node, its drag is over, or it would stand twice as far away for a moment.
 */
export class OthersDrags {
  readonly #drags: RemoteDrags | null
  /** Where the document had each node when its drag was first heard of. */
  readonly #from = new Map<string, Point>()

  constructor(drags: RemoteDrags | null) {
    this.#drags = drags
  }

  subscribe(listener: () => void): () => void {
    return this.#drags?.subscribe(listener) ?? (() => {})
  }

  /** Node id -> position. */
  positions(view: DesignView): Map<string, Point> {
    const drags = this.#drags?.get() ?? NO_DRAGS
    const positions = new Map<string, Point>()
    for (const id of [...this.#from.keys()]) if (!drags.has(id)) this.#from.delete(id)
    for (const [id, { dx, dy }] of drags) {
      const now = view.nodes.get(id)?.position
      if (now === undefined) continue
      const from = this.#from.get(id) ?? now
      this.#from.set(id, from)
      if (from.x === now.x && from.y === now.y) positions.set(id, { x: now.x + dx, y: now.y + dy })
    }
    return positions
  }
}

const NO_DRAGS: ReadonlyMap<string, { dx: number; dy: number }> = new Map()
