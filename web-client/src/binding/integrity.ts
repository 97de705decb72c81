// How a merged but odd graph is read, as the server reads it (docs/DOCUMENT.md): decided at reading, never written back.

import type { DesignEdge, DesignNode, DesignView } from '../design/elements'

type Nodes = ReadonlyMap<string, DesignNode>
type Edges = ReadonlyMap<string, DesignEdge>

/** For each node that has to lose its parent: itself without. Kept, so that an unchanged node stays the same object. */
const orphans = new WeakMap<DesignNode, DesignNode>()

/** A parent that is no node, or leads back to the node itself, reads as none. The same map where nothing is odd. */
export function settleParents(nodes: Nodes): Nodes {
  const cyclic = onACycle(nodes)
  let settled: Map<string, DesignNode> | null = null
  for (const [id, node] of nodes) {
    if (node.parentId === undefined || (nodes.has(node.parentId) && !cyclic.has(id))) continue
    settled ??= new Map(nodes)
    settled.set(id, withoutParent(node))
  }
  return settled ?? nodes
}

/** Nodes whose parents lead back to them; not those that merely hang from such a cycle. Each node is passed a few times at most. */
function onACycle(nodes: Nodes): ReadonlySet<string> {
  const cyclic = new Set<string>()
  // Every walk marks what it passes with its start; a walk that meets its own mark has closed a cycle.
  const walkOf = new Map<string, string>()
  for (const [start, { parentId }] of nodes) {
    if (parentId === undefined) continue
    let at: string | undefined = start
    while (at !== undefined && !walkOf.has(at)) {
      walkOf.set(at, start)
      at = nodes.get(at)?.parentId
    }
    if (at === undefined || walkOf.get(at) !== start) continue
    for (; at !== undefined && nodes.has(at) && !cyclic.has(at); at = nodes.get(at)?.parentId) cyclic.add(at)
  }
  return cyclic
}

function withoutParent(node: DesignNode): DesignNode {
  const known = orphans.get(node)
  if (known !== undefined) return known
  const { parentId: _, ...orphan } = node
  orphans.set(node, orphan)
  return orphan
}

const NONE: DesignView['hidden'] = new Map()

/** Edges that can be drawn, and those that cannot with the ids of the nodes that they miss: source, then target. */
export function settleEdges(nodes: Nodes, edges: Edges): Pick<DesignView, 'edges' | 'hidden'> {
  let shown: Map<string, DesignEdge> | null = null
  const hidden = new Map<string, readonly string[]>()
  for (const [id, { source, target }] of edges) {
    if (source !== '' && target !== '' && nodes.has(source) && nodes.has(target)) continue
    const ends = source === target ? [source] : [source, target]
    hidden.set(
      id,
      ends.filter(end => end !== '' && !nodes.has(end))
    )
    shown ??= new Map(edges)
    shown.delete(id)
  }
  return { edges: shown ?? edges, hidden: hidden.size === 0 ? NONE : hidden }
}
