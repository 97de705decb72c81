// Which parts of the editor are open, as a small store. Panels are remembered on this device; dialogs are not.

import { z } from '../design/zod'
import type { EditorUi, PageActs, UiState } from './types'

const KEY = 'atlas.panels'

const remembered = z.object({
  hideOthers: z.boolean().catch(false),
  minimap: z.boolean().catch(true),
  palette: z.boolean().catch(true),
  inspector: z.boolean().catch(true),
  findings: z.boolean().catch(false),
  marks: z.boolean().catch(true)
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
    this.#state = { ...this.#state, ...change, ...sharing(change) }
    remember(this.#state)
    for (const listener of [...this.#listeners]) listener()
  }
}

/** What opens on the right takes the place of what was there. */
function sharing({ inspector, findings }: Partial<UiState>): Partial<UiState> {
  if (findings === true) return { inspector: false }
  return inspector === true ? { findings: false } : {}
}

function recall(): z.infer<typeof remembered> {
  try {
    return remembered.parse(JSON.parse(localStorage.getItem(KEY) ?? '{}'))
  } catch {
    // Nothing is kept here, or nothing that can be read.
    return remembered.parse({})
  }
}

function remember({ hideOthers, minimap, palette, inspector, findings, marks }: UiState): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ hideOthers, minimap, palette, inspector, findings, marks }))
  } catch {
    // A browser that keeps nothing: the panels last as long as the page.
  }
}
