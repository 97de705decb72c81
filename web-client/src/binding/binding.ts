// What holds a session, its view, this person's history and their selection together, as one state that changes as one. After a reset of the
// session (`generation`) the view and the history are those of the new document; the selection stays as far as its elements came back.

import type * as Y from 'yjs'
import type { DesignSession } from '../sync/types'
import { History, type Outcome } from './history'
import { NOTHING_SELECTED, selectable } from './selection'
import type { EditorState, Selection } from './types'
import { type LiveView, liveView } from './view'

export class Binding {
  readonly #session: DesignSession
  readonly #listeners = new Set<() => void>()
  readonly #unsubscribe: () => void
  #generation: number
  #history: History
  #view: LiveView
  /** As the person chose it. Of what is not there now, `state` shows nothing; after a reset it may come back. */
  #selection: Selection = NOTHING_SELECTED
  /** Until the new document shows anything, what was selected in the old one. */
  #selectionToRestore: Selection | null = null
  #canPaste = false
  #state: EditorState

  constructor(session: DesignSession) {
    this.#session = session
    this.#generation = session.state.generation
    this.#history = this.#newHistory()
    this.#view = this.#newView()
    this.#state = this.#read()
    this.#unsubscribe = session.subscribe(this.#sessionChanged)
  }

  get state(): EditorState {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  destroy(): void {
    this.#unsubscribe()
    this.#view.destroy()
    this.#history.destroy()
    this.#listeners.clear()
  }

  /** False, and nothing written, while the person may not edit. */
  act(write: (doc: Y.Doc) => void, key: string | null): boolean {
    if (!this.#state.canEdit) return false
    this.#history.act(() => write(this.#session.doc), key)
    this.#changed()
    return true
  }

  undo(): Outcome {
    return this.#travel(restore => this.#history.undo(restore))
  }

  redo(): Outcome {
    return this.#travel(restore => this.#history.redo(restore))
  }

  #travel(go: (restore: (selection: Selection) => void) => Outcome): Outcome {
    if (!this.#state.canEdit) return { done: false, kept: [] }
    const outcome = go(selection => {
      this.#selection = selectable(selection, this.#view.view, this.#selection)
    })
    this.#changed()
    return outcome
  }

  select(selection: Selection): void {
    this.#selectionToRestore = null
    this.#selection = selectable(selection, this.#view.view, this.#selection)
    this.#changed()
  }

  setCanPaste(): void {
    this.#canPaste = true
    this.#changed()
  }

  readonly #sessionChanged = () => {
    if (this.#session.state.generation !== this.#generation) {
      this.#generation = this.#session.state.generation
      this.#selectionToRestore = this.#selection
      this.#view.destroy()
      this.#history.destroy()
      this.#history = this.#newHistory()
      this.#view = this.#newView()
    }
    this.#changed()
  }

  // The history is made before the view: after a transaction it then knows its new step when the view tells of the change.
  #newHistory(): History {
    return new History(this.#session.doc, () => this.#selection)
  }

  #newView(): LiveView {
    return liveView(this.#session.doc, () => this.#changed())
  }

  #read(): EditorState {
    const { view } = this.#view
    if (this.#selectionToRestore !== null && view.nodes.size > 0) {
      this.#selection = this.#selectionToRestore
      this.#selectionToRestore = null
    }
    this.#selection = selectable(this.#selection, view, this.#selection)
    const { canEdit, ready } = this.#session.state
    return {
      view,
      selection: this.#selection,
      canEdit: canEdit && ready,
      canUndo: this.#history.canUndo,
      canRedo: this.#history.canRedo,
      canPaste: this.#canPaste
    }
  }

  /** Tells the listeners only if something is different. */
  #changed(): void {
    const next = this.#read()
    const now = this.#state
    const same =
      next.view === now.view &&
      next.selection === now.selection &&
      next.canEdit === now.canEdit &&
      next.canUndo === now.canUndo &&
      next.canRedo === now.canRedo &&
      next.canPaste === now.canPaste
    if (same) return
    this.#state = next
    for (const listener of [...this.#listeners]) listener()
  }
}
