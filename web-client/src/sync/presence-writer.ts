// The one writer of this person's presence. Whatever changes goes out at most every 40 ms, and the last word always goes out.

import type { Awareness } from 'y-protocols/awareness'
import { browserEvents, type PageEvents } from './page-events'
import { PRESENCE_IDS_MAX, type PresenceState } from './presence-state'

export const PRESENCE_PAUSE_MS = 40

/** Of a session, what is needed here: the awareness changes when the document is made anew. */
export interface PresenceSession {
  readonly awareness: Awareness
  subscribe(listener: () => void): () => void
}

export class PresenceWriter {
  readonly #session: PresenceSession
  #awareness: Awareness
  #state: PresenceState
  #timer: ReturnType<typeof setTimeout> | undefined
  #isDirty = false
  #isHidden = false
  readonly #stops: (() => void)[]

  constructor(session: PresenceSession, user: PresenceState['user'], page: PageEvents = browserEvents) {
    this.#session = session
    this.#awareness = session.awareness
    this.#state = { user, cursor: null, selection: [], drag: null }
    this.#stops = [
      session.subscribe(() => this.#follow()),
      page.onHide(() => this.#hide()),
      page.onWake(() => this.#show())
    ]
    this.#write()
  }

  /** Changes some of it. What is longer than a state may be is cut. */
  set(changed: Partial<PresenceState>): void {
    this.#state = { ...this.#state, ...changed }
    this.#isDirty = true
    if (this.#timer === undefined) this.#write()
  }

  destroy(): void {
    clearTimeout(this.#timer)
    for (const stop of this.#stops) stop()
    this.#isHidden = true
    this.#awareness.setLocalState(null)
  }

  /** At once if the last was 40 ms ago, else when it will have been. */
  #write(): void {
    this.#isDirty = false
    if (this.#isHidden) return
    const { selection, drag } = this.#state
    this.#awareness.setLocalState({
      ...this.#state,
      selection: selection.slice(0, PRESENCE_IDS_MAX),
      drag: drag === null ? null : { ...drag, ids: drag.ids.slice(0, PRESENCE_IDS_MAX) }
    })
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#isDirty) this.#write()
    }, PRESENCE_PAUSE_MS)
  }

  #follow(): void {
    if (this.#session.awareness === this.#awareness) return
    this.#awareness = this.#session.awareness
    clearTimeout(this.#timer)
    this.#write()
  }

  /** Others see at once that this person has gone. */
  #hide(): void {
    this.#isHidden = true
    this.#awareness.setLocalState(null)
  }

  #show(): void {
    if (!this.#isHidden) return
    this.#isHidden = false
    clearTimeout(this.#timer)
    this.#write()
  }
}
