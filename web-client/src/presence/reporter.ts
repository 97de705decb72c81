// Tells the others what this person does: pointer, selection, drag. It sends only what changed and can be read by everybody;
// how often that travels is the writer's business.

import type { Point } from '../design/elements'
import { PRESENCE_IDS_MAX, type PresenceState } from '../sync/presence-state'

/** Where reports go: `PresenceWriter` of `sync/`. */
export interface PresenceSink {
  set(partial: Partial<Pick<PresenceState, 'cursor' | 'selection' | 'drag'>>): void
}

export interface Reporter {
  /** Flow coordinates; null: the pointer left the canvas. */
  pointer(at: Point | null): void
  selection(selection: { nodes: readonly string[]; edges: readonly string[] }): void
  /** Relative to where the document has the nodes; null: dropped or given up. */
  drag(drag: { ids: readonly string[]; dx: number; dy: number } | null): void
  /** The pointer, the selection and the drag are nobody's any more. */
  leave(): void
}

const BOUND = 1e9

export function createReporter(sink: PresenceSink): Reporter {
  let cursor: PresenceState['cursor'] = null
  let selection: PresenceState['selection'] = []
  let drag: PresenceState['drag'] = null

  const reporter: Reporter = {
    pointer(at) {
      const next = at === null ? null : pointOf(at.x, at.y)
      if (next?.x === cursor?.x && next?.y === cursor?.y) return
      cursor = next
      sink.set({ cursor })
    },
    selection({ nodes, edges }) {
      const next = idsOf([...nodes, ...edges])
      if (sameIds(next, selection)) return
      selection = next
      sink.set({ selection })
    },
    drag(dragged) {
      const by = dragged === null ? null : pointOf(dragged.dx, dragged.dy)
      const next = dragged === null || by === null ? null : { ids: idsOf(dragged.ids), dx: by.x, dy: by.y }
      const same = next?.dx === drag?.dx && next?.dy === drag?.dy && sameIds(next?.ids ?? [], drag?.ids ?? [])
      if (same) return
      drag = next
      sink.set({ drag })
    },
    leave() {
      reporter.pointer(null)
      reporter.selection({ nodes: [], edges: [] })
      reporter.drag(null)
    }
  }
  return reporter
}

/** A tenth of a unit is finer than a pixel at any zoom that shows a cursor; what is no number is no point. */
function pointOf(x: number, y: number): Point | null {
  if (!(Math.abs(x) <= BOUND && Math.abs(y) <= BOUND)) return null
  return { x: Math.round(x * 10) / 10, y: Math.round(y * 10) / 10 }
}

const idsOf = (ids: readonly string[]): string[] =>
  ids.filter(id => 0 < id.length && id.length <= 128).slice(0, PRESENCE_IDS_MAX)

const sameIds = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at])
