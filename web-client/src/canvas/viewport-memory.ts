// Where this person was looking in each design, on this device. Never in the document.

import type { Viewport } from '@xyflow/react'
import { z } from 'zod'

const viewport = z.object({ x: z.number(), y: z.number(), zoom: z.number().positive() })

const key = (design: string): string => `atlas.viewport.${design}`

/** Null: never opened here, or the browser keeps nothing. */
export function rememberedViewport(design: string): Viewport | null {
  try {
    const text = localStorage.getItem(key(design))
    const read = viewport.safeParse(text === null ? null : JSON.parse(text))
    return read.success ? read.data : null
  } catch {
    return null
  }
}

export function rememberViewport(design: string, { x, y, zoom }: Viewport): void {
  try {
    localStorage.setItem(key(design), JSON.stringify({ x, y, zoom }))
  } catch {
    // A full or forbidden storage costs nothing but the place where one was looking.
  }
}
