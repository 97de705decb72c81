// Finding elements by what people remember of them.

import { type DesignEdge, type DesignNode, type DesignView, edgeTitle, nodeTitle, text } from '../design/elements'
import { kindOf } from '../design/kinds'

export interface Hit {
  readonly id: string
  readonly title: string
  /** What else helps to tell it from others. */
  readonly detail: string
  /** `data.type` of a node; null: it is a connection. */
  readonly kind: string | null
}

export interface Found {
  /** Best first, at most `HITS_MAX`. */
  readonly hits: readonly Hit[]
  readonly total: number
}

export const HITS_MAX = 50

/** Every word of the query must occur somewhere: in label, id, kind, zone or protocol. An empty query finds nothing. */
export function searchDesign(view: DesignView, query: string): Found {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  if (words.length === 0) return { hits: [], total: 0 }
  const ranked: { hit: Hit; rank: number }[] = []
  const look = (hit: Hit, fields: readonly string[]) => {
    const all = fields.join('\n').toLowerCase()
    if (words.every(word => all.includes(word))) ranked.push({ hit, rank: rankOf(hit.title.toLowerCase(), words) })
  }
  for (const node of view.nodes.values()) look(nodeHit(node), nodeWords(node))
  for (const edge of view.edges.values()) look(edgeHit(edge, view), edgeWords(edge))
  // Sorting is stable: within one rank the order is the view's.
  ranked.sort((a, b) => a.rank - b.rank)
  return { hits: ranked.slice(0, HITS_MAX).map(({ hit }) => hit), total: ranked.length }
}

/** 0: the title begins with it; 1: it holds every word; 2: only something else does. */
function rankOf(title: string, words: readonly string[]): number {
  if (title.startsWith(words.join(' '))) return 0
  return words.every(word => title.includes(word)) ? 1 : 2
}

const kindTitle = (node: DesignNode): string => kindOf(node.data.type)?.title ?? text(node.data.type)

function nodeHit(node: DesignNode): Hit {
  const detail = [kindTitle(node), text(node.data.zone)].filter(part => part !== '').join(' · ')
  return { id: node.id, title: nodeTitle(node), detail, kind: text(node.data.type) }
}

function nodeWords(node: DesignNode): string[] {
  return [node.id, text(node.data.label), text(node.data.type), kindTitle(node), text(node.data.zone)]
}

function edgeHit(edge: DesignEdge, view: DesignView): Hit {
  const [source, target] = [edge.source, edge.target].map(end => {
    const node = view.nodes.get(end)
    return node === undefined ? end : nodeTitle(node)
  })
  return { id: edge.id, title: edgeTitle(edge), detail: `${source} → ${target}`, kind: null }
}

function edgeWords(edge: DesignEdge): string[] {
  return [edge.id, edge.label ?? '', text(edge.data.protocol), text(edge.data.port), text(edge.data.zone)]
}
