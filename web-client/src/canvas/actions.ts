// What nodes ask of the canvas. The value never changes while the canvas lives, so that no node is drawn again because of it.

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
