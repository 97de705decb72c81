// Items of Yjs' store by the ranges in which an undo step remembers them.

import * as Y from 'yjs'

/** What an undo step remembers: its insertions, or its deletions. */
export type Ranges = Y.UndoManager['undoStack'][number]['insertions']

/** Every struct that lies in one of the ranges. */
export function* structsIn(doc: Y.Doc, ranges: Ranges): Generator<Y.Item | Y.GC> {
  for (const [client, all] of ranges.clients) {
    for (const { clock, len } of all) {
      let at = clock
      while (at < clock + len) {
        const struct = Y.getItem(doc.store, Y.createID(client, at))
        yield struct
        at = struct.id.clock + struct.length
      }
    }
  }
}

/** Is the item one of these, or anywhere inside one of them? */
export function isWithin(item: Y.Item, elements: ReadonlySet<Y.Item>): boolean {
  let at: Y.Item | null = item
  while (at !== null) {
    if (elements.has(at)) return true
    at = at.parent instanceof Y.AbstractType ? at.parent._item : null
  }
  return false
}
