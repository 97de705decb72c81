// React Flow's view as commands know it, so that they need not know React Flow.

import { useReactFlow } from '@xyflow/react'
import { useMemo } from 'react'
import type { FlowView } from './types'

const GLIDE_MS = 250
/** Jumping to somebody who points at something never leaves one too far away to see it. */
const ZOOM_MIN = 0.6

/** The view of the canvas. Call it below React Flow's provider. */
export function useFlowView(): FlowView {
  const flow = useReactFlow()
  return useMemo(
    () => ({
      centreOn: ({ x, y }) =>
        void flow.setCenter(x, y, { zoom: Math.max(flow.getZoom(), ZOOM_MIN), duration: GLIDE_MS }),
      fit: nodes =>
        void flow.fitView({ nodes: nodes.map(id => ({ id })), duration: GLIDE_MS, padding: 0.2, maxZoom: 1.5 }),
      toFlow: pixel => flow.screenToFlowPosition(pixel)
    }),
    [flow]
  )
}
