// Many updates as one.

import * as Y from 'yjs'

/** One update that says what all of them say, in this order, with what is deleted collected. */
export function merged(updates: readonly Uint8Array[]): Uint8Array {
  const doc = new Y.Doc()
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update)
  })
  const state = Y.encodeStateAsUpdate(doc)
  doc.destroy()
  return state
}
