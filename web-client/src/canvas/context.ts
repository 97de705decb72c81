// What nodes and edges of the canvas may do, without a property of their own for it: one object that never changes while the canvas is there.

import { createContext, useContext } from 'react'

export interface CanvasActs {
  /** Ends editing in place. Null: as it was. */
  label(id: string, label: string | null): void
  resizeStart(id: string): void
  resizeEnd(): void
  selectEdge(id: string, add: boolean): void
}

const NOTHING: CanvasActs = { label() {}, resizeStart() {}, resizeEnd() {}, selectEdge() {} }

export const CanvasContext = createContext<CanvasActs>(NOTHING)

export const useCanvasActs = (): CanvasActs => useContext(CanvasContext)
