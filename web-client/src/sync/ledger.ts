// The own edits that are not known to be saved, as one tab knows them: pure bookkeeping.
//
// An edit leaves the ledger in two ways only: a `Saved` covered a message that contained it and the database was told so, or another tab told the
// database the same.

import type { Gesture } from './gestures'

export interface Edit {
  readonly gesture: Gesture
  /** Its row in the database; null: not written there yet. */
  key: number | null
  /** A `Saved` has covered a message that contained it. */
  isCovered: boolean
}

export class Ledger {
  readonly #edits = new Set<Edit>()

  /** A transaction of this tab, at the moment it happens. */
  made(gesture: Gesture): Edit {
    const edit: Edit = { gesture, key: null, isCovered: false }
    this.#edits.add(edit)
    return edit
  }

  stored(edit: Edit, key: number): void {
    edit.key = key
  }

  /** The keys of what is covered now and stands in the database as unsaved. */
  cover(edits: readonly Edit[]): number[] {
    const keys: number[] = []
    for (const edit of edits) {
      edit.isCovered = true
      if (edit.key !== null) keys.push(edit.key)
      else this.#edits.delete(edit)
    }
    return keys
  }

  /** The database knows that these are saved. */
  erased(keys: readonly number[]): void {
    const gone = new Set(keys)
    for (const edit of this.#edits) if (edit.key !== null && gone.has(edit.key)) this.#edits.delete(edit)
  }

  /** Keys of the database that this tab knows of, also those that it is just telling to be saved. */
  keys(): Set<number> {
    const keys = new Set<number>()
    for (const { key } of this.#edits) if (key !== null) keys.add(key)
    return keys
  }

  /** A `Saved` has covered it, and the database is just being told. */
  isCovered(key: number): boolean {
    return [...this.#edits].some(edit => edit.key === key && edit.isCovered)
  }

  /** What the database holds as unsaved, of all tabs: `keys` is all of it, `others` what this tab did not know. Its document holds it by now. */
  reconcile(keys: readonly number[], others: readonly StoredEdit[]): void {
    const stored = new Set(keys)
    // What is gone was covered on another tab's socket.
    for (const edit of this.#edits) if (edit.key !== null && !stored.has(edit.key)) this.#edits.delete(edit)
    const known = this.keys()
    for (const { key, gesture } of others) if (!known.has(key)) this.#edits.add({ gesture, key, isCovered: false })
  }

  /** In the order they were made: stored ones by key, then those on their way. */
  uncovered(): Edit[] {
    const place = ({ key }: Edit): number => key ?? Number.POSITIVE_INFINITY
    // Infinity minus infinity is no number; the sort is stable, so equal places keep their order.
    return [...this.#edits]
      .filter(edit => !edit.isCovered)
      .sort((a, b) => (place(a) < place(b) ? -1 : place(b) < place(a) ? 1 : 0))
  }

  /** How many are in the database, and how many are still on their way there. */
  count(): { stored: number; writing: number } {
    let [stored, writing] = [0, 0]
    for (const edit of this.#edits) {
      if (edit.isCovered) continue
      if (edit.key === null) writing += 1
      else stored += 1
    }
    return { stored, writing }
  }
}

export interface StoredEdit {
  readonly key: number
  readonly gesture: Gesture
}
