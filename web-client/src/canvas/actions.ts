// What nodes and edges ask of the canvas. Neither value changes while the canvas lives, so that nothing is drawn again because of it.

import { createContext, use } from 'react'

export interface CanvasActions {
  beginResize(id: string): void
  resizeTo(id: string, box: { x: number; y: number; width: number; height: number }): void
  endResize(id: string): void
}

export const CanvasActionsContext = createContext<CanvasActions | null>(null)

export function useCanvasActions(): CanvasActions {
  const actions = use(CanvasActionsContext)
  if (actions === null) throw new Error('A node was drawn outside of the canvas.')
  return actions
}

/**
 * Where the chips of edges are drawn. React Flow's own layer for labels is looked up in the page by every edge at every change, which
 * makes each step of a drag among a thousand nodes take seconds.
 */
export const ChipLayerContext = createContext<HTMLElement | null>(null)
