// What one person tells the others about themselves, many times a second: never logged, and never trusted.

import { z } from '../design/zod'

/** Ids in a selection or a drag at most: a state stays far below the server's 16 KiB. */
export const PRESENCE_IDS_MAX = 100

const ids = z.array(z.string().min(1).max(128)).max(PRESENCE_IDS_MAX)
const finite = z.number().min(-1e9).max(1e9)
/** Farther than any screen shows, and near enough that nobody's components can be flung away. */
const dragged = z.number().min(-20_000).max(20_000)

export const presenceState = z.object({
  user: z.object({
    id: z.string().min(1).max(64),
    name: z.string().min(1).max(100),
    /** One of the palette in `presence/colours.ts`, by place: no colour from outside reaches a style. */
    color: z.number().int().min(0).max(63)
  }),
  /** Flow coordinates; null: the pointer is not over the canvas. */
  cursor: z.object({ x: finite, y: finite }).nullable().catch(null),
  /** Nodes and edges. */
  selection: ids.catch([]),
  /** Nodes being dragged, and how far from where the document has them. */
  drag: z.object({ ids, dx: dragged, dy: dragged }).nullable().catch(null)
})

export type PresenceState = z.infer<typeof presenceState>

/** Null for whatever does not fit. */
export function readPresence(value: unknown): PresenceState | null {
  const read = presenceState.safeParse(value)
  return read.success ? read.data : null
}
