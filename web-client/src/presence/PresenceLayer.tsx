// A layer in flow coordinates above the drawing, through which the pointer goes. It knows the zoom as `--unzoom` (1 / zoom), written
// straight into its style: a wheel that turns draws nothing again in React.

import { useStoreApi, ViewportPortal } from '@xyflow/react'
import { type ReactNode, useLayoutEffect, useRef } from 'react'

/** Above selected nodes, which React Flow lifts by 1,000. */
const ABOVE_NODES = 3_000

export function PresenceLayer({ children }: { children: ReactNode }) {
  const layer = useRef<HTMLDivElement>(null)
  const flow = useStoreApi()
  useLayoutEffect(() => {
    let shown: number | null = null
    const show = () => {
      const zoom = flow.getState().transform[2]
      if (zoom === shown) return
      shown = zoom
      layer.current?.style.setProperty('--unzoom', String(1 / zoom))
    }
    show()
    return flow.subscribe(show)
  }, [flow])
  return (
    <ViewportPortal>
      <div
        ref={layer}
        aria-hidden="true"
        className="pointer-events-none absolute top-0 left-0 select-none"
        style={{ zIndex: ABOVE_NODES }}
      >
        {children}
      </div>
    </ViewportPortal>
  )
}
