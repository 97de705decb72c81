// Where others are dragging nodes right now: shown on top of the document, never written into it. Framework-free; whoever hears presence
// writes it, the canvas reads it.

/** Relative to where the document has the node, in canvas units. */
export interface RemoteDrag {
  readonly dx: number
  readonly dy: number
  /** Who drags: any text that is the same for one person's page. */
  readonly by: string
}

/**
 * A drop comes by two ways, the end of the drag as presence and the new position in the document, in either order. A drag that ended is shown
 * this much longer, in milliseconds, so that the node does not jump back in between; the new position ends it at once.
 */
export const LINGER_MS = 250

export class RemoteDrags {
  #drags: ReadonlyMap<string, RemoteDrag> = new Map()
  readonly #leaving = new Map<string, ReturnType<typeof setTimeout>>()
  readonly #listeners = new Set<() => void>()

  /** Node id -> drag. A new map whenever anything changed; a drag that stayed the same is the same object. */
  get drags(): ReadonlyMap<string, RemoteDrag> {
    return this.#drags
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** All drags of others as they are now. */
  set(next: ReadonlyMap<string, RemoteDrag>): void {
    const drags = new Map<string, RemoteDrag>()
    for (const [id, drag] of next) {
      this.#stay(id)
      const now = this.#drags.get(id)
      drags.set(id, now !== undefined && same(now, drag) ? now : drag)
    }
    for (const [id, drag] of this.#drags) {
      if (drags.has(id)) continue
      drags.set(id, drag)
      if (!this.#leaving.has(id)) this.#leaving.set(id, setTimeout(() => this.#leave(id), LINGER_MS))
    }
    this.#change(drags)
  }

  /** Nothing lingers: for a page that is closed. */
  clear(): void {
    for (const id of [...this.#leaving.keys()]) this.#stay(id)
    this.#change(new Map())
  }

  #stay(id: string): void {
    clearTimeout(this.#leaving.get(id))
    this.#leaving.delete(id)
  }

  #leave(id: string): void {
    this.#leaving.delete(id)
    const drags = new Map(this.#drags)
    drags.delete(id)
    this.#change(drags)
  }

  #change(drags: ReadonlyMap<string, RemoteDrag>): void {
    const unchanged = drags.size === this.#drags.size && [...drags].every(([id, drag]) => this.#drags.get(id) === drag)
    if (unchanged) return
    this.#drags = drags
    for (const listener of [...this.#listeners]) listener()
  }
}

const same = (a: RemoteDrag, b: RemoteDrag): boolean => a.dx === b.dx && a.dy === b.dy && a.by === b.by
