// Where the pointer is, told at most once a frame: mice report up to a thousand times a second.

import type { PointerEvent } from 'react'
import type { Point } from '../design/elements'

export interface PointerReports {
  onPointerMove(event: PointerEvent): void
  onPointerLeave(): void
  /** The view moved under a pointer that did not. */
  viewMoved(): void
  /** Nobody points any more. */
  stop(): void
}

export function pointerReports(
  toFlow: (pixel: Point) => Point | null,
  report: ((at: Point | null) => void) | undefined
): PointerReports {
  let pixel: Point | null = null
  let frame = 0
  const tell = () => {
    frame = 0
    const at = pixel === null ? null : toFlow(pixel)
    if (at !== null) report?.(at)
  }
  const soon = () => {
    if (frame === 0 && pixel !== null && report !== undefined) frame = requestAnimationFrame(tell)
  }
  const leave = () => {
    cancelAnimationFrame(frame)
    frame = 0
    if (pixel !== null) report?.(null)
    pixel = null
  }
  return {
    onPointerMove: ({ clientX, clientY }) => {
      pixel = { x: clientX, y: clientY }
      soon()
    },
    onPointerLeave: leave,
    viewMoved: soon,
    stop: leave
  }
}
