// The server's notices (docs/PROTOCOL.md, NOTE). Keys and types that this page does not know are left out (R-NOTE-1).

import { UPDATE_BYTES_MAX } from '../design/limits'
import { z } from '../design/zod'

/** The least right of all stands for a role that this page does not know. */
const role = z.enum(['owner', 'editor', 'commenter', 'viewer']).catch('viewer')
const count = z.number().int().min(0)

const limits = z
  .object({
    /** Bytes of one `Update`. */
    update_bytes_max: count.catch(UPDATE_BYTES_MAX),
    /** Bytes of a `SyncStep2` that answers the server's `SyncStep1`. */
    document_bytes_max: count.catch(32 << 20)
  })
  .catch({ update_bytes_max: UPDATE_BYTES_MAX, document_bytes_max: 32 << 20 })

const known = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    role,
    epoch: count,
    seq: count,
    limits,
    /** Why nobody may change this design; absent: whoever has the role may. */
    read_only: z.string().optional()
  }),
  z.object({ type: z.literal('refused'), message: z.string(), code: z.string(), reset: z.boolean() }),
  z.object({ type: z.literal('role.changed'), role }),
  z.object({ type: z.literal('store.degraded') }),
  z.object({ type: z.literal('store.healthy') }),
  z.object({ type: z.literal('restarting'), retry_after_ms: count }),
  z.object({ type: z.literal('deleted') }),
  z.object({ type: z.literal('renewed'), expires_in: count }),
  // Only that there is something to fetch: what it says is read from the analysis itself.
  z.object({ type: z.literal('analysis.started'), seq: count.catch(0) }),
  z.object({ type: z.literal('analysis.completed'), seq: count.catch(0) })
])

export type Notice = z.infer<typeof known> | { type: 'unknown' }
export type Hello = Extract<Notice, { type: 'hello' }>
export type Refused = Extract<Notice, { type: 'refused' }>

const KNOWN = new Set<string>(known.options.map(option => option.shape.type.value))
const anyNotice = z.looseObject({ type: z.string() })

/** Null: not a notice at all, or a known one without what belongs to it. */
export function readNotice(value: unknown): Notice | null {
  const any = anyNotice.safeParse(value)
  if (!any.success) return null
  if (!KNOWN.has(any.data.type)) return { type: 'unknown' }
  const notice = known.safeParse(value)
  return notice.success ? notice.data : null
}
