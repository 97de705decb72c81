// For tests: sessions without a network, and documents that meet by updates.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Listeners } from '../../sync/listeners'
import type { Notice } from '../../sync/notices'
import type { DesignSession, SessionState } from '../../sync/types'

const OPEN: SessionState = {
  generation: 1,
  ready: true,
  saving: { kind: 'saved' },
  role: 'editor',
  canEdit: true,
  refusal: null,
  recoveries: 0,
  isWriting: false,
  localTrouble: null
}

export interface TestSession extends DesignSession {
  change(state: Partial<SessionState>): void
  /** What a reset does: another document, and the generation grows. */
  replace(doc: Y.Doc): void
}

export function testSession(doc = new Y.Doc(), state: Partial<SessionState> = {}): TestSession {
  const listeners = new Set<() => void>()
  let now: SessionState = { ...OPEN, ...state }
  let live = { doc, awareness: new Awareness(doc) }
  const change = (next: Partial<SessionState>) => {
    now = { ...now, ...next }
    for (const listener of [...listeners]) listener()
  }
  return {
    design: 'design-1',
    get doc() {
      return live.doc
    },
    get awareness() {
      return live.awareness
    },
    get state() {
      return now
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    notices: new Listeners<Notice>(),
    change,
    replace(next) {
      live.awareness.destroy()
      live = { doc: next, awareness: new Awareness(next) }
      change({ generation: now.generation + 1 })
    },
    retry() {},
    dismissRefusal() {},
    recoveries: async () => [],
    discardRecovery: async () => {},
    close: async () => live.awareness.destroy()
  }
}

/** Everything that one of them has and the other lacks goes over, both ways. */
export function sync(a: Y.Doc, b: Y.Doc): void {
  const fromA = Y.encodeStateAsUpdate(a, Y.encodeStateVector(b))
  const fromB = Y.encodeStateAsUpdate(b, Y.encodeStateVector(a))
  Y.applyUpdate(a, fromB, 'remote')
  Y.applyUpdate(b, fromA, 'remote')
}

/** Documents with fixed client ids: which of two concurrent values wins depends on them. */
export function docOf(clientId: number): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = clientId
  return doc
}
