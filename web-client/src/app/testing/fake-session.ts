// A session for tests of the pages: what it says is set from outside.

import { vi } from 'vitest'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Listeners } from '../../sync/listeners'
import type { Notice } from '../../sync/notices'
import type { DesignSession, RecoveryFile, SessionState } from '../../sync/types'

export class FakeSession implements DesignSession {
  readonly doc = new Y.Doc()
  readonly awareness = {} as Awareness
  readonly notices = new Listeners<Notice>()
  files: RecoveryFile[] = []
  state: SessionState
  readonly retry = vi.fn()
  readonly dismissRefusal = vi.fn()
  readonly close = vi.fn(() => Promise.resolve())
  readonly #listeners = new Set<() => void>()

  constructor(
    readonly design: string,
    some: Partial<SessionState> = {}
  ) {
    this.doc.getMap('meta').set('name', `Design ${design}`)
    this.state = {
      generation: 0,
      ready: true,
      saving: { kind: 'saved' },
      role: 'editor',
      canEdit: true,
      refusal: null,
      recoveries: 0,
      isWriting: false,
      localTrouble: null,
      ...some
    }
  }

  set(change: Partial<SessionState>): void {
    this.state = { ...this.state, ...change }
    for (const listener of [...this.#listeners]) listener()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  recoveries(): Promise<RecoveryFile[]> {
    return Promise.resolve(this.files)
  }

  discardRecovery(id: string): Promise<void> {
    this.files = this.files.filter(file => file.id !== id)
    return Promise.resolve()
  }
}
