// What one person has selected: of this page alone, never in the document.

import type { DesignView } from '../design/elements'
import type { Selection } from './types'

export const NOTHING_SELECTED: Selection = { nodes: [], edges: [] }

/** Without ids that are not drawn and without repetitions. The same object where it says the same as `now`. */
export function selectable(wanted: Selection, view: DesignView, now: Selection): Selection {
  const nodes = [...new Set(wanted.nodes)].filter(id => view.nodes.has(id))
  const edges = [...new Set(wanted.edges)].filter(id => view.edges.has(id))
  return sameIds(nodes, now.nodes) && sameIds(edges, now.edges) ? now : { nodes, edges }
}

const sameIds = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at])
