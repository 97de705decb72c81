// What one person looks at among the findings. It outlives the panel, so that whoever closes it and opens it again finds everything as it was.

import { Observable } from '../sync/observable'
import { ALL_OPEN, type Filter } from './findings'

export interface FocusState {
  readonly filter: Filter
  /** The finding that is unfolded, by fingerprint. */
  readonly opened: string | null
  /** The finding whose attack path is drawn. */
  readonly traced: string | null
}

export class Focus {
  readonly #shown = new Observable<FocusState>({ filter: ALL_OPEN, opened: null, traced: null })

  get state(): FocusState {
    return this.#shown.state
  }

  readonly subscribe = (listener: () => void): (() => void) => this.#shown.subscribe(listener)

  filter(change: Partial<Filter>): void {
    this.#set({ filter: { ...this.state.filter, ...change } })
  }

  open(fingerprint: string | null): void {
    this.#set({ opened: fingerprint })
  }

  trace(fingerprint: string | null): void {
    this.#set({ traced: fingerprint })
  }

  #set(change: Partial<FocusState>): void {
    this.#shown.set({ ...this.state, ...change })
  }
}
