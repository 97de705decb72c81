// Which parts of the editor are open, as a small store. Panels are remembered on this device; dialogs are not.

import { z } from '../design/zod'
import type { EditorUi, PageActs, UiState } from './types'

const KEY = 'atlas.panels'

const remembered = z.object({
  hideOthers: z.boolean().catch(false),
  minimap: z.boolean().catch(true),
  palette: z.boolean().catch(true),
  inspector: z.boolean().catch(true)
})

export class UiStore implements EditorUi {
  readonly acts: PageActs
  #state: UiState
  readonly #listeners = new Set<() => void>()

  constructor(acts: PageActs) {
    this.acts = acts
    this.#state = { dialog: null, searching: false, renaming: false, ...recall() }
  }

  get state(): UiState {
    return this.#state
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  set(change: Partial<UiState>): void {
    this.#state = { ...this.#state, ...change }
    remember(this.#state)
    for (const listener of [...this.#listeners]) listener()
  }
}

function recall(): z.infer<typeof remembered> {
  try {
    return remembered.parse(JSON.parse(localStorage.getItem(KEY) ?? '{}'))
  } catch {
    // Nothing is kept here, or nothing that can be read.
    return remembered.parse({})
  }
}

function remember({ hideOthers, minimap, palette, inspector }: UiState): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ hideOthers, minimap, palette, inspector }))
  } catch {
    // A browser that keeps nothing: the panels last as long as the page.
  }
}
