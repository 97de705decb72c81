// Writes what happens to one document into the database, in order: own edits at once, others' gathered for a moment. What cannot be written waits and is tried
// again; meanwhile the person is told.

import * as Y from 'yjs'
import { StorageTrouble } from './idb'
import type { Edit } from './ledger'
import type { Facts } from './records'
import { type DesignStore, type Item, StaleLineage } from './store'

/** How long others' edits are gathered, in milliseconds. */
const GATHER_MS = 250
/** After a write that failed. */
const AGAIN_MS = 5_000
/** Rows after which they are made into one. */
const COMPACT_ROWS = 500

export interface JournalOwner {
  /** The edit has a row, and an entry among the unsaved ones. It may have been covered meanwhile. */
  stored(edit: Edit, key: number): void
  /** Another tab made the document anew: this journal writes nothing any more. */
  stale(): void
  trouble(why: string | null): void
}

interface Entry {
  readonly update: Uint8Array
  readonly edit: Edit | null
}

export class Journal {
  readonly #owner: JournalOwner
  #store: DesignStore | null = null
  #lineage = 0
  /** Every row up to this key is in the document. */
  top = 0
  /** In order; not written yet. */
  #waiting: Entry[] = []
  #facts: Partial<Facts> = {}
  #timer: ReturnType<typeof setTimeout> | undefined
  #writing: Promise<void> | null = null
  #rows = 0
  #isHeld = true
  #isOff = false

  constructor(owner: JournalOwner) {
    this.#owner = owner
  }

  /** What was noted before is written now. */
  attach(store: DesignStore, lineage: number, top: number, rows: number): void {
    this.#store = store
    this.#lineage = lineage
    this.top = top
    this.#rows = rows
    this.release()
  }

  get lineage(): number {
    return this.#lineage
  }

  /** Keeps what comes, and writes nothing until `release`. */
  hold(): void {
    this.#isHeld = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  release(): void {
    this.#isHeld = false
    if (0 < this.#waiting.length || 0 < Object.keys(this.#facts).length) this.#soon(0)
  }

  /** There is no database: own edits wait in the ledger, others' come again from the server. */
  switchOff(): void {
    this.#isOff = true
    this.clear()
  }

  /** Forgets what waits: it has become part of something that is written otherwise. */
  clear(): void {
    this.#waiting = []
  }

  own(update: Uint8Array, edit: Edit): void {
    if (this.#isOff) return
    this.#waiting.push({ update, edit })
    void this.#write()
  }

  others(update: Uint8Array): void {
    if (this.#isOff) return
    this.#waiting.push({ update, edit: null })
    this.#soon(GATHER_MS)
  }

  facts(changed: Partial<Facts>): void {
    this.#facts = { ...this.#facts, ...changed }
    this.#soon(GATHER_MS)
  }

  /** Resolves when all that was noted so far is written, or could not be (which was told then). */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#writing
    await this.#write()
  }

  #soon(ms: number): void {
    if (this.#isHeld) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#write()
    }, ms)
  }

  /** One write at a time; what comes meanwhile goes with the next. */
  #write(): Promise<void> {
    if (this.#isHeld || this.#store === null) return Promise.resolve()
    if (this.#writing !== null) return this.#writing
    if (this.#waiting.length === 0 && Object.keys(this.#facts).length === 0) return Promise.resolve()
    const writing = this.#writeAll(this.#store).then(again => {
      this.#writing = null
      return again ? this.#write() : undefined
    })
    this.#writing = writing
    return writing
  }

  /** Whether there is more to write now. */
  async #writeAll(store: DesignStore): Promise<boolean> {
    const [entries, facts] = [gathered(this.#waiting.splice(0)), this.#facts]
    this.#facts = {}
    try {
      const items = entries.map(item)
      const keys = await store.append(this.#lineage, items, facts)
      this.#owner.trouble(null)
      this.#written(entries, items, keys)
    } catch (error) {
      // What was not written stays in front of what came later: rows build on those before them.
      this.#waiting.unshift(...entries)
      this.#facts = { ...facts, ...this.#facts }
      if (error instanceof StaleLineage) {
        this.hold()
        this.#owner.stale()
      } else {
        this.#owner.trouble(error instanceof StorageTrouble ? error.message : String(error))
        this.#soon(AGAIN_MS)
      }
      return false
    }
    await this.#compactIfLong(store)
    return 0 < this.#waiting.length
  }

  #written(entries: readonly Entry[], items: readonly Item[], keys: readonly number[]): void {
    // If no other tab wrote in between, there is nothing to read up to here.
    if (keys[0] === this.top + 1) this.top += keys.length
    this.#rows += keys.length
    for (const [index, { edit }] of entries.entries()) {
      const key = keys[index]
      if (edit !== null && key !== undefined && items[index]?.gesture != null) this.#owner.stored(edit, key)
    }
  }

  async #compactIfLong(store: DesignStore): Promise<void> {
    if (this.#rows < COMPACT_ROWS) return
    this.#rows = 1
    try {
      await store.compact(this.#lineage)
    } catch {
      // Everything is written; it only takes more room. The next write tells what is wrong with the storage, if it still is.
    }
  }
}

/** A `Saved` that came before the write: a row like others'. */
const item = ({ update, edit }: Entry): Item => ({
  update,
  gesture: edit === null || edit.isCovered ? null : edit.gesture
})

/** Others' edits that follow each other become one row. */
function gathered(entries: readonly Entry[]): Entry[] {
  const rows: Entry[] = []
  let others: Uint8Array[] = []
  const close = (): void => {
    if (0 < others.length) rows.push({ update: Y.mergeUpdates(others), edit: null })
    others = []
  }
  for (const entry of entries) {
    if (entry.edit === null) others.push(entry.update)
    else {
      close()
      rows.push(entry)
    }
  }
  close()
  return rows
}
