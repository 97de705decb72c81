// One document's life on this device: under one client id, from the rows of one lineage, until it is closed or made anew. It joins the live document with the
// database (journal), the unsaved edits (ledger) and the socket (exchange).

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Exchange, FROM_SERVER } from './exchange'
import { readGesture } from './gestures'
import { trouble } from './idb'
import { Journal } from './journal'
import { type Edit, Ledger } from './ledger'
import type { Notice } from './notices'
import type { Cause } from './rebuild'
import { type DesignStore, type Item, type Loaded, type Polled, StaleLineage } from './store'

/** The origin of what the database of this device brought: from an earlier visit, or from another tab. */
export const FROM_DEVICE = Symbol('from this device')

export interface ReplicaHost {
  send(message: Uint8Array): void
  notice(notice: Notice, replica: Replica): void
  /** The server's whole document has arrived here. */
  synced(replica: Replica): void
  /** By the newest word of the server. */
  mayEdit(): boolean
  needsNewSocket(): void
  /** The document cannot go on and has to be made anew. */
  refused(cause: Cause): void
  /** Another tab has made the document anew. */
  stale(replica: Replica): void
  /** What does not work with this device's storage; null: it does again. */
  trouble(doing: 'reading' | 'writing', why: string | null): void
  /** A transaction of this person's ended in `replica`. */
  edited(replica: Replica): void
  changed(): void
}

export class Replica {
  readonly doc = new Y.Doc()
  readonly awareness = new Awareness(this.doc)
  readonly ledger = new Ledger()
  readonly journal: Journal
  exchange: Exchange<Edit> | null = null
  /** Edits that went to the server together in one message, on the last socket. */
  together: ReadonlySet<Edit> = new Set()
  readonly #host: ReplicaHost
  #store: DesignStore | null = null
  /** While edits are made again for a replacement, they are gathered here: they are sent once they are stored. */
  #gathering: { edit: Edit; update: Uint8Array }[] | null = null
  /** Updates that the rows of another tab brought, while they are applied. */
  #fromDevice: Uint8Array[] = []
  /** Unsaved edits of the last look: who is still there at the next has nobody else to bring them. */
  #seenUnsaved: ReadonlySet<number> = new Set()
  #erasing = new Set<number>()
  #erased: Promise<void> = Promise.resolve()

  constructor(host: ReplicaHost) {
    this.#host = host
    this.journal = new Journal({
      stored: (edit, key) => {
        this.ledger.stored(edit, key)
        if (edit.isCovered) this.#erase([key])
        host.changed()
      },
      stale: () => host.stale(this),
      trouble: why => host.trouble('writing', why)
    })
    this.doc.on('update', this.#updated)
  }

  // --- the database

  /** Brings in what this device has, and writes from now on. */
  load(store: DesignStore, loaded: Loaded): void {
    this.#apply(loaded.updates)
    this.ledger.reconcile(
      loaded.own.map(({ key }) => key),
      loaded.own
    )
    this.attach(store, loaded.facts.lineage, loaded.top, loaded.updates.length)
  }

  attach(store: DesignStore, lineage: number, top: number, rows: number): void {
    this.#store = store
    this.journal.attach(store, lineage, top, rows)
  }

  /** Takes over what other tabs wrote, and resolves with what they know. Null: it could not be read. */
  async poll(): Promise<Pick<Polled, 'facts' | 'recoveries'> | null> {
    const store = this.#store
    if (store === null) return null
    let polled: Polled
    try {
      polled = await store.poll(this.journal.lineage, this.journal.top, this.ledger.keys())
    } catch (error) {
      if (error instanceof StaleLineage) this.#host.stale(this)
      else this.#host.trouble('reading', trouble(error).message)
      return null
    }
    this.#host.trouble('reading', null)
    if (polled.ownKeys !== null) {
      this.journal.top = Math.max(this.journal.top, polled.top)
      this.ledger.reconcile(polled.ownKeys, polled.others)
      const brought = this.#apply(polled.updates)
      // What is new here may be new to the server too: whoever wrote it may have no socket.
      const others = new Set(polled.others.map(({ key }) => key))
      const edits = this.ledger.uncovered().filter(({ key }) => key !== null && others.has(key))
      for (const update of brought) this.exchange?.edited(update, edits)
    }
    this.#bringForgotten()
    this.#host.changed()
    return polled
  }

  /** Edits that stay unsaved though no message with them is on its way: their tab was closed, or its `Saved` was lost. */
  #bringForgotten(): void {
    const unsaved = new Set(this.ledger.uncovered().flatMap(({ key }) => (key === null ? [] : [key])))
    const isForgotten = [...unsaved].some(key => this.#seenUnsaved.has(key))
    this.#seenUnsaved = unsaved
    if (isForgotten && this.exchange?.isSettled === true) this.exchange.bringEverything()
  }

  #apply(updates: readonly Uint8Array[]): Uint8Array[] {
    this.#fromDevice = []
    this.doc.transact(() => {
      for (const update of updates) Y.applyUpdate(this.doc, update, FROM_DEVICE)
    }, FROM_DEVICE)
    return this.#fromDevice
  }

  /** Several at once become one transaction. */
  #erase(keys: readonly number[]): void {
    const store = this.#store
    if (store === null) return
    const isUnderWay = 0 < this.#erasing.size
    for (const key of keys) this.#erasing.add(key)
    if (isUnderWay || keys.length === 0) return
    this.#erased = this.#erased.then(async () => {
      const gone = [...this.#erasing]
      this.#erasing.clear()
      try {
        await store.erase(gone)
        this.ledger.erased(gone)
      } catch {
        // They stay noted as unsaved, and are brought and covered once more: the next visit costs a little, nothing is lost.
      }
    })
  }

  // --- the document

  readonly #updated = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction): void => {
    if (origin === FROM_SERVER) {
      this.journal.others(update)
      return
    }
    if (origin === FROM_DEVICE) {
      this.#fromDevice.push(update)
      return
    }
    const edit = this.ledger.made(readGesture(transaction, Date.now()))
    if (this.#gathering !== null) {
      this.#gathering.push({ edit, update })
      return
    }
    this.journal.own(update, edit)
    // Nobody who may not edit sends an edit. One that was made all the same is not left standing as if it were in the design.
    if (this.exchange?.isWelcome === true && !this.#host.mayEdit()) {
      this.#host.refused({ code: 'not_permitted', message: 'Your role on this design does not permit this edit.' })
    } else {
      this.exchange?.edited(update, [edit])
    }
    this.#host.edited(this)
  }

  /** Runs `work`, which makes edits, and returns them; they are neither stored nor sent until `adopt`. */
  gather(work: () => void): Item[] {
    const gathered: { edit: Edit; update: Uint8Array }[] = []
    this.#gathering = gathered
    try {
      work()
    } finally {
      this.#gathering = null
    }
    this.#made = gathered
    return gathered.map(({ edit, update }) => ({ update, gesture: edit.gesture }))
  }

  #made: { edit: Edit; update: Uint8Array }[] = []

  /** What was gathered is stored under these keys (none: nothing can be stored), and may be sent. */
  adopt(keys: readonly number[]): void {
    for (const [index, { edit, update }] of this.#made.splice(0).entries()) {
      const key = keys[index]
      if (key !== undefined) this.ledger.stored(edit, key)
      this.exchange?.edited(update, [edit])
    }
  }

  // --- the socket

  connect(): Exchange<Edit> {
    const host = this.#host
    const exchange = new Exchange<Edit>(this.doc, this.awareness, {
      send: message => host.send(message),
      unsaved: () => this.ledger.uncovered(),
      covered: edits => this.#erase(this.ledger.cover(edits)),
      synced: () => host.synced(this),
      notice: notice => host.notice(notice, this),
      needsNewSocket: () => host.needsNewSocket(),
      damaged: () =>
        host.refused({ code: 'gap', message: 'What this device has stored of the design is not complete.' }),
      tooLarge: bytes =>
        host.refused({
          code: 'too_large',
          message: `With your edits the design would have ${bytes} bytes, more than a design may have.`
        }),
      changed: () => host.changed()
    })
    this.exchange = exchange
    exchange.open()
    return exchange
  }

  disconnect(): void {
    if (this.exchange === null) return
    this.together = this.exchange.together
    this.exchange.close()
    this.exchange = null
  }

  /** Resolves when all is written that can be. */
  async flush(): Promise<void> {
    await this.journal.flush()
    await this.#erased
  }

  /** Ends this document's life. It stays readable for whoever still holds it; `late` is told what they still edit in it. */
  retire(late?: (edit: Edit) => void): void {
    this.disconnect()
    this.journal.hold()
    this.doc.off('update', this.#updated)
    this.awareness.destroy()
    if (late === undefined) return
    this.doc.on('update', (_update: Uint8Array, _origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
      late({ gesture: readGesture(transaction, Date.now()), key: null, isCovered: false })
    })
  }
}
