// What moves the view from outside: commands, search, the first visit.

import { type FitViewOptions, useReactFlow, useStore, useStoreApi } from '@xyflow/react'
import { useEffect, useRef } from 'react'
import type { Point } from '../design/elements'

/** What `Editor` asks of the canvas that shows its design. */
export interface CanvasApi {
  /** Moves the view so that the node, or the middle between the ends of the edge, is in its middle. */
  reveal(id: string): void
  zoomToFit(): void
  zoomBy(factor: number): void
  /** The middle of what is visible, in flow coordinates. */
  centre(): Point
}

/** Hands over what moves the view, and gets the way to take it back when the canvas goes. */
export type Attach = (api: CanvasApi) => () => void

interface ViewProps {
  attach: Attach | undefined
  /** Nobody has looked at this design here before: everything is shown as soon as there is something. */
  fitFirst: boolean
}

const GLIDE_MS = 250
/** Small designs are not blown up. */
const FIT: FitViewOptions = { padding: 0.12, maxZoom: 1.1 }
/** What is revealed can be read. */
const REVEAL_ZOOM_MIN = 0.7

export function View({ attach, fitFirst }: ViewProps) {
  const flow = useReactFlow()
  const store = useStoreApi()
  const shown = useStore(state => 0 < state.nodeLookup.size && 0 < state.width && 0 < state.height)
  const fitted = useRef(!fitFirst)

  useEffect(() => {
    if (!shown || fitted.current) return
    fitted.current = true
    void flow.fitView(FIT)
  }, [shown, flow])

  useEffect(() => {
    const centreOn = (points: readonly Point[]) => {
      if (points.length === 0) return
      const x = points.reduce((sum, each) => sum + each.x, 0) / points.length
      const y = points.reduce((sum, each) => sum + each.y, 0) / points.length
      void flow.setCenter(x, y, { zoom: Math.max(flow.getZoom(), REVEAL_ZOOM_MIN), duration: GLIDE_MS })
    }
    const middleOf = (id: string): Point[] => {
      const node = flow.getInternalNode(id)
      if (node === undefined) return []
      const { x, y } = node.internals.positionAbsolute
      return [{ x: x + (node.measured.width ?? 0) / 2, y: y + (node.measured.height ?? 0) / 2 }]
    }
    return attach?.({
      reveal: id => {
        const edge = flow.getEdge(id)
        centreOn(edge === undefined ? middleOf(id) : [...middleOf(edge.source), ...middleOf(edge.target)])
      },
      zoomToFit: () => void flow.fitView({ ...FIT, duration: GLIDE_MS }),
      zoomBy: factor => void flow.zoomTo(flow.getZoom() * factor, { duration: GLIDE_MS / 2 }),
      centre: () => {
        const { width, height, transform } = store.getState()
        const [x, y, zoom] = transform
        return { x: (width / 2 - x) / zoom, y: (height / 2 - y) / zoom }
      }
    })
  }, [attach, flow, store])
  return null
}
