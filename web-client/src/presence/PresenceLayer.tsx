// A layer in flow coordinates above the drawing, through which the pointer goes. It knows the zoom as `--unzoom` (1 / zoom), written
// straight into its style: a wheel that turns draws nothing again in React.

import { useStoreApi, ViewportPortal } from '@xyflow/react'
import { type ReactNode, useCallback } from 'react'

/** Above selected nodes, which React Flow lifts by 1,000. */
const ABOVE_NODES = 3_000

/** Mount once inside of React Flow, around `PeerRings` and `Cursors`. */
export function PresenceLayer({ children }: { children: ReactNode }) {
  const flow = useStoreApi()
  // On the element and not in an effect: the portal draws nothing until React Flow stands, which is after the first effects.
  const mount = useCallback(
    (layer: HTMLDivElement | null) => {
      if (layer === null) return
      let shown: number | null = null
      const show = () => {
        const zoom = flow.getState().transform[2]
        if (zoom !== shown) layer.style.setProperty('--unzoom', String(1 / zoom))
        shown = zoom
      }
      show()
      return flow.subscribe(show)
    },
    [flow]
  )
  return (
    <ViewportPortal>
      <div
        ref={mount}
        aria-hidden="true"
        className="pointer-events-none absolute top-0 left-0 select-none"
        style={{ zIndex: ABOVE_NODES }}
      >
        {children}
      </div>
    </ViewportPortal>
  )
}
