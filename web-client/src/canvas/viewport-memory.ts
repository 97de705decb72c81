// Where somebody looked last in a design, on this device.

import type { Viewport } from '@xyflow/react'
import { z } from '../design/zod'

const keyOf = (viewportKey: string): string => `atlas.viewport.${viewportKey}`

const kept = z.object({
  x: z.number().min(-1e9).max(1e9),
  y: z.number().min(-1e9).max(1e9),
  zoom: z.number().min(0.01).max(10)
})

/** Null at the first visit, and wherever the browser keeps nothing. */
export function recallViewport(viewportKey: string): Viewport | null {
  try {
    const read = kept.safeParse(JSON.parse(localStorage.getItem(keyOf(viewportKey)) ?? 'null'))
    return read.success ? read.data : null
  } catch {
    return null
  }
}

export function rememberViewport(viewportKey: string, { x, y, zoom }: Viewport): void {
  try {
    localStorage.setItem(keyOf(viewportKey), JSON.stringify({ x, y, zoom }))
  } catch {
    // A browser that keeps nothing: the next visit begins with everything in view.
  }
}
