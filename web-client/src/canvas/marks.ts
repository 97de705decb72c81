// What is said about elements from outside, laid over the drawing: how many findings an element has, and its place on an attack path. Each element
// asks for its own marks and draws only those again; nodes and edges themselves are never drawn again because of a finding.

import { createContext } from 'react'
import type { Severity } from '../design/severity'

/** An equal mark is the same object. */
export interface Mark {
  readonly worst: Severity
  readonly count: number
}

export interface Marks {
  readonly subscribe: (listener: () => void) => () => void
  of(id: string): Mark | undefined
  /** Of a node: 0 is where the path begins. Of an edge: the number of the hop, from 1. */
  placeOnPath(id: string): number | undefined
  /** The last node of the path. */
  isTarget(id: string): boolean
  /** A path is shown: everything beside it steps back. */
  readonly isTracing: boolean
  /** Somebody wants to know more about what an element is marked with. */
  open(id: string): void
}

export const NO_MARKS: Marks = {
  subscribe: () => () => {},
  of: () => undefined,
  placeOnPath: () => undefined,
  isTarget: () => false,
  isTracing: false,
  open: () => {}
}

export const MarksContext = createContext<Marks>(NO_MARKS)
