// The whole drawing in a corner, in the colours of the kinds.

import { MiniMap } from '@xyflow/react'
import type { KindGroup } from '../design/kinds'
import type { CanvasNode } from './flow-nodes'
import { nodeKind } from './geometry'

const CLASSES: Readonly<Record<KindGroup, string>> = {
  Boundaries: 'atlas-mini-boundary',
  Clients: 'atlas-mini-client',
  'Edge and network': 'atlas-mini-network',
  Compute: 'atlas-mini-compute',
  Data: 'atlas-mini-data',
  Operations: 'atlas-mini-ops'
}

function classOf({ data }: CanvasNode): string {
  const kind = nodeKind(data.element)
  return kind === null ? 'atlas-mini-unknown' : CLASSES[kind.group]
}

export function CanvasMiniMap() {
  return (
    <MiniMap<CanvasNode>
      nodeClassName={classOf}
      nodeBorderRadius={6}
      pannable
      zoomable
      ariaLabel="Overview"
      style={{ width: 168, height: 112 }}
    />
  )
}
