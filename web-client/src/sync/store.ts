// One design on this device: the updates it is made of, which of them are edits that the server has not acknowledged, and what could not be kept.
//
// The invariant, on which `Offline (n)` and `Saved` rest:
//
//   An own edit's row and its entry in `own` are written in one transaction. The entry goes only when a `Saved` covered a message that contained the edit.
//
// So whatever happens in between (a crash, a reload, a lost socket, another tab), the edit is either still counted, or at the server for good. The other half is
// the exchange's: a message's contents are noted when it is sent, from what the document held then, and a refused message ends the socket before a `Saved` for
// it is believed. There is no counter that could run ahead of a set: two tabs whose sockets cover different edits each take away exactly what they covered.
//
// Tabs share the database. Transactions are the only meeting place: rows have ascending keys that are never used twice, so "everything above the highest key I
// have read" misses nothing; and each write names the `lineage` that it belongs to, so that a tab whose document was made anew by another tab cannot write rows
// of the old document among those of the new one (`StaleLineage`).

import type { Gesture } from './gestures'
import { abort, committed, done, openDatabase, StorageTrouble, trouble } from './idb'
import type { StoredEdit } from './ledger'
import { merged } from './merged'
import * as records from './records'
import { FACTS, type Facts, OWN, RECOVERIES, ROWS, THE_FACTS } from './records'
import type { RecoveryFile } from './types'

/** Another tab has made the document anew: what was to be written belongs to the old one. */
export class StaleLineage extends Error {
  override readonly name = 'StaleLineage'
}

/** An update to be stored; `gesture`: it is an own edit, and unsaved. */
export interface Item {
  readonly update: Uint8Array
  readonly gesture: Gesture | null
}

export interface Loaded {
  facts: Facts
  updates: Uint8Array[]
  /** The highest key so far; 0: none. */
  top: number
  own: StoredEdit[]
  recoveries: number
}

export interface Polled {
  facts: Facts
  updates: Uint8Array[]
  top: number
  /** All unsaved edits, of all tabs. Null: as they were. */
  ownKeys: number[] | null
  /** Those of them that the caller did not know. */
  others: StoredEdit[]
  recoveries: number
}

export interface Replacement {
  state: Uint8Array
  /** Own edits made again on top of it. */
  edits: Item[]
  recovery: RecoveryFile | null
  facts: Facts
}

const ALL = [ROWS, OWN, FACTS, RECOVERIES]
const PATIENCE_MS = 4_000

export class DesignStore {
  readonly #database: IDBDatabase
  #turn: Promise<unknown> = Promise.resolve()
  /** Why the database is not usable any more. */
  #gone: StorageTrouble | null = null

  /** Rejects with `StorageTrouble`. `lost` is told when the database is taken away later. */
  static async open(factory: IDBFactory, name: string, lost: (why: StorageTrouble) => void): Promise<DesignStore> {
    const database = await openDatabase({
      factory,
      name,
      version: records.SCHEMA_VERSION,
      upgrade: records.createStores,
      patienceMs: PATIENCE_MS
    })
    return new DesignStore(database, lost)
  }

  private constructor(database: IDBDatabase, lost: (why: StorageTrouble) => void) {
    this.#database = database
    const gone = (why: string): void => {
      this.#gone = new StorageTrouble(why)
      database.close()
      lost(this.#gone)
    }
    database.onversionchange = event =>
      gone(
        event.newVersion === null
          ? 'This design was removed from this device by another tab.'
          : 'A newer version of this page is open in another tab. Reload to go on with it.'
      )
    database.onclose = () => gone('The browser has cleared the storage of this device. Reload the page.')
  }

  load(): Promise<Loaded> {
    return this.#run('readonly', ALL, async transaction => {
      const rows = transaction.objectStore(ROWS)
      return {
        facts: await theFacts(transaction),
        updates: (await done(rows.getAll())).map(records.readRow),
        top: await topKey(rows),
        own: await ownEdits(transaction),
        recoveries: await done(transaction.objectStore(RECOVERIES).count())
      }
    })
  }

  /** What lists tell of the design. */
  summary(): Promise<{ facts: Facts; unsaved: number; recoveries: number }> {
    return this.#run('readonly', ALL, async transaction => ({
      facts: await theFacts(transaction),
      unsaved: await done(transaction.objectStore(OWN).count()),
      recoveries: await done(transaction.objectStore(RECOVERIES).count())
    }))
  }

  /** Writes rows in this order, in one transaction, and returns their keys. Rejects with `StaleLineage` and changes nothing if the document was made anew. */
  append(lineage: number, items: readonly Item[], changed: Partial<Facts> = {}): Promise<number[]> {
    return this.#run('readwrite', [ROWS, OWN, FACTS], async transaction => {
      const facts = await factsOf(transaction, lineage)
      const keys: number[] = []
      for (const { update, gesture } of items) keys.push(await addRow(transaction, update, gesture))
      if (0 < Object.keys(changed).length) {
        transaction.objectStore(FACTS).put({ ...facts, ...changed }, THE_FACTS)
      }
      return keys
    })
  }

  /** What has changed since `seen` was the highest key and `known` the unsaved edits. Cheap if nothing did. */
  poll(lineage: number, seen: number, known: ReadonlySet<number>): Promise<Polled> {
    return this.#run('readonly', ALL, async transaction => {
      const facts = await factsOf(transaction, lineage)
      const rows = transaction.objectStore(ROWS)
      const own = transaction.objectStore(OWN)
      const recoveries = await done(transaction.objectStore(RECOVERIES).count())
      const top = await topKey(rows)
      const isSame = top === seen && (await done(own.count())) === known.size
      if (isSame) return { facts, updates: [], top, ownKeys: null, others: [], recoveries }
      const updates = await done(rows.getAll(IDBKeyRange.lowerBound(seen, true)))
      const ownKeys = (await done(own.getAllKeys())).map(Number)
      const others: StoredEdit[] = []
      for (const key of ownKeys) {
        if (!known.has(key)) others.push({ key, gesture: records.readGestureRecord(await done(own.get(key))) })
      }
      return { facts, updates: updates.map(records.readRow), top: Math.max(top, seen), ownKeys, others, recoveries }
    })
  }

  /** A `Saved` covered these own edits. Their rows stay: they are part of the document. */
  erase(keys: readonly number[]): Promise<void> {
    return this.#run('readwrite', [OWN], async transaction => {
      for (const key of keys) transaction.objectStore(OWN).delete(key)
    })
  }

  /**
   * Puts a new document in place of the old one, all or nothing. `plan` gets every unsaved edit of all tabs and decides, at once, what becomes of each; what it
   * leaves out of `edits` must be in `recovery`. Returns the keys of `edits` and the highest key.
   */
  replace(lineage: number, plan: (own: StoredEdit[]) => Replacement): Promise<{ keys: number[]; top: number }> {
    return this.#run('readwrite', ALL, async transaction => {
      await factsOf(transaction, lineage)
      const { state, edits, recovery, facts } = plan(await ownEdits(transaction))
      if (recovery !== null) transaction.objectStore(RECOVERIES).put(recovery)
      transaction.objectStore(ROWS).clear()
      transaction.objectStore(OWN).clear()
      let top = await addRow(transaction, state, null)
      const keys: number[] = []
      for (const { update, gesture } of edits) {
        top = await addRow(transaction, update, gesture)
        keys.push(top)
      }
      transaction.objectStore(FACTS).put(facts, THE_FACTS)
      return { keys, top }
    })
  }

  /**
   * Makes one row of all. It takes the highest key of those that it replaces: a tab that has read them does not read it again, a tab that has not reads all of it.
   * What is unsaved stays noted as unsaved.
   */
  compact(lineage: number): Promise<void> {
    return this.#run('readwrite', [ROWS, FACTS], async transaction => {
      await factsOf(transaction, lineage)
      const rows = transaction.objectStore(ROWS)
      const updates = (await done(rows.getAll())).map(records.readRow)
      const top = await topKey(rows)
      if (updates.length < 2) return
      rows.delete(IDBKeyRange.upperBound(top))
      rows.put(merged(updates), top)
    })
  }

  /** Empties the store, unless something is only here: then nothing happens, and the answer is false. Keys go on from where they were. */
  empty(): Promise<boolean> {
    return this.#run('readwrite', ALL, async transaction => {
      const kept = [OWN, RECOVERIES].map(name => done(transaction.objectStore(name).count()))
      if ((await Promise.all(kept)).some(count => 0 < count)) return false
      const { lineage } = await theFacts(transaction)
      transaction.objectStore(ROWS).clear()
      transaction.objectStore(FACTS).put({ ...records.NEW_FACTS, lineage }, THE_FACTS)
      return true
    })
  }

  async recoveries(): Promise<RecoveryFile[]> {
    const files = await this.#run('readonly', [RECOVERIES], transaction =>
      done(transaction.objectStore(RECOVERIES).getAll())
    )
    return files.map(records.readRecovery).sort((a, b) => a.at - b.at)
  }

  keepRecovery(file: RecoveryFile): Promise<void> {
    return this.#run('readwrite', [RECOVERIES], async transaction => {
      transaction.objectStore(RECOVERIES).put(file)
    })
  }

  discardRecovery(id: string): Promise<void> {
    return this.#run('readwrite', [RECOVERIES], async transaction => {
      transaction.objectStore(RECOVERIES).delete(id)
    })
  }

  /** After everything asked for before is done. */
  async close(): Promise<void> {
    await this.#turn.catch(() => {})
    this.#database.close()
  }

  /** One at a time, in the order asked for: what a poll tells is never older than what this tab has just written. */
  #run<T>(mode: IDBTransactionMode, stores: string[], work: (transaction: IDBTransaction) => Promise<T>): Promise<T> {
    const turn = this.#turn
      .catch(() => {})
      .then(async () => {
        if (this.#gone !== null) throw this.#gone
        let transaction: IDBTransaction
        try {
          // "Strict": on the disk, not only with the operating system, before it counts.
          transaction = this.#database.transaction(stores, mode, {
            durability: mode === 'readwrite' ? 'strict' : 'default'
          })
        } catch (error) {
          throw trouble(error)
        }
        const end = committed(transaction)
        try {
          const result = await work(transaction)
          await end
          return result
        } catch (error) {
          end.catch(() => {})
          if (transaction.error === null) abort(transaction)
          throw error instanceof StaleLineage ? error : trouble(transaction.error ?? error)
        }
      })
    this.#turn = turn
    return turn
  }
}

async function theFacts(transaction: IDBTransaction): Promise<Facts> {
  return records.readFacts(await done(transaction.objectStore(FACTS).get(THE_FACTS)))
}

async function factsOf(transaction: IDBTransaction, lineage: number): Promise<Facts> {
  const facts = await theFacts(transaction)
  if (facts.lineage !== lineage) throw new StaleLineage(`lineage ${lineage}, and now it is ${facts.lineage}`)
  return facts
}

async function ownEdits(transaction: IDBTransaction): Promise<StoredEdit[]> {
  const own = transaction.objectStore(OWN)
  const keys = await done(own.getAllKeys())
  const gestures = await done(own.getAll())
  return keys.map((key, index) => ({ key: Number(key), gesture: records.readGestureRecord(gestures[index]) }))
}

async function topKey(rows: IDBObjectStore): Promise<number> {
  const cursor = await done(rows.openKeyCursor(null, 'prev'))
  return cursor === null ? 0 : Number(cursor.key)
}

async function addRow(transaction: IDBTransaction, update: Uint8Array, gesture: Gesture | null): Promise<number> {
  const key = Number(await done(transaction.objectStore(ROWS).add(update)))
  if (gesture !== null) transaction.objectStore(OWN).put(gesture, key)
  return key
}
