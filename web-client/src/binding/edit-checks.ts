// What an act may not do to a document, and what the person is told about it. The server would refuse the update, and with it everything that
// this page writes afterwards: better not to write it.

import type { DesignView } from '../design/elements'
import { type Fix, madeBy } from '../design/fix'
import { EDGES_MAX, LABEL_CHARS_MAX, NODES_MAX, UPDATE_BYTES_MAX } from '../design/limits'
import { type Clip, updateBytes } from './clip'
import type { Patch } from './types'

/** Room for what one update holds beside its values. */
const BYTES_MAX = UPDATE_BYTES_MAX - (64 << 10)

const number = (value: number): string => value.toLocaleString('en')

/** Why these elements cannot be added, or null. Counts are those of the document, hidden edges included. */
export function whyNotInsert(added: Clip, now: { nodes: number; edges: number }): string | null {
  if (now.nodes + added.nodes.length > NODES_MAX) return `A design holds ${number(NODES_MAX)} nodes at most.`
  if (now.edges + added.edges.length > EDGES_MAX) return `A design holds ${number(EDGES_MAX)} connections at most.`
  if (updateBytes(added) > BYTES_MAX) return 'This is too much to add at once. Add it in smaller parts.'
  return null
}

/** Why these keys cannot be written into `elements` elements at once, or null. */
export function whyNotPatch(patch: Patch, elements: number): string | null {
  if (typeof patch.label === 'string' && patch.label.length > LABEL_CHARS_MAX)
    return `A label has ${LABEL_CHARS_MAX} characters at most.`
  const bytes = new TextEncoder().encode(JSON.stringify(patch)).length
  if (bytes * elements > BYTES_MAX) return 'This is too much text to keep at once.'
  return null
}

/** Why this fix cannot be applied as a whole, or null. */
export function whyNotFix(fix: Fix, view: DesignView): string | null {
  const made = madeBy(fix, view)
  const empty = (id: string) => ({ id, fields: {} })
  const added = { nodes: made.nodes.map(empty), edges: made.edges.map(empty) }
  const now = { nodes: view.nodes.size, edges: view.edges.size + view.hidden.size }
  const bytes = new TextEncoder().encode(JSON.stringify(fix.patch)).length
  return whyNotInsert(added, now) ?? (bytes <= BYTES_MAX ? null : 'This fix changes too much to be applied at once.')
}
