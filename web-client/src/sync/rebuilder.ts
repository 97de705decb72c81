// Makes the document anew from the server (design after `refused`, after 4409, or after damage on this device): a fresh document under a fresh client id takes
// the server's state, unsaved edits are made again in it, what cannot be goes into a recovery file, and all of it replaces the old rows in one database
// transaction. Only then does the page see the new document. Whatever fails before that leaves the old one, on the screen and on this device.

import * as Y from 'yjs'
import { makeAgain } from './gestures'
import type { Edit, StoredEdit } from './ledger'
import {
  blameless,
  type Candidate,
  type Cause,
  MADE_AGAIN,
  makeEditsAgain,
  REBUILD_WINDOW_MS,
  REBUILDS_MAX
} from './rebuild'
import type { Facts } from './records'
import { type Lost, recoveryFile } from './recovery'
import type { Replica } from './replica'
import { type DesignStore, type Loaded, type Replacement, StaleLineage } from './store'
import type { RecoveryFile } from './types'

export interface RebuilderOwner {
  readonly design: string
  make(): Replica
  /** Ends the socket and opens a new one, which then asks `opened`. */
  reconnect(): void
  /** By the newest word of the server. */
  mayEdit(): boolean
  facts(): Omit<Facts, 'lineage'>
  /** From now on this is the document. `recovery`: what could not be kept; `keys`: rows of what was made again. */
  swapped(fresh: Replica, recovery: RecoveryFile | null, keys: readonly number[]): void
  /** What came too late for the replacement and could not be made again: to be kept. */
  lost(file: RecoveryFile): void
  /** Another tab was faster: its document is the one. */
  stale(): void
  failed(reason: string): void
}

/** Why an edit that was made during or after a replacement is in a recovery file. */
const TOO_LATE = 'The design was just made anew from the server, and what you edited is not in it.'

/** It has come and is being written. The socket stays with it, or comes back to it. */
interface Replacing {
  readonly name: 'replacing'
  readonly fresh: Replica
  /** Why this one, too, cannot go on: heard meanwhile. */
  next: Cause | null
}

type Phase =
  | { name: 'idle' }
  /** The server's document is on its way, or will be when there is a socket. */
  | { name: 'fetching'; cause: Cause; isLastTry: boolean; fresh: Replica | null }
  | Replacing

export class Rebuilder {
  readonly #owner: RebuilderOwner
  #phase: Phase = { name: 'idle' }
  /** When the last ones began, in milliseconds since 1970. */
  #times: number[] = []

  /** Resolves when no replacement is under way. */
  settled: Promise<void> = Promise.resolve()

  constructor(owner: RebuilderOwner) {
    this.#owner = owner
  }

  get isActive(): boolean {
    return this.#phase.name !== 'idle'
  }

  /** The document that the socket talks for; null: the one on the screen. */
  get replica(): Replica | null {
    return this.#phase.name === 'idle' ? null : this.#phase.fresh
  }

  begin(cause: Cause): void {
    if (this.#phase.name === 'replacing') {
      // What has begun is finished first. The first cause tells most: the end of the socket follows.
      this.#phase.next ??= cause
      return
    }
    const now = Date.now()
    this.#times = [...this.#times.filter(time => now - time < REBUILD_WINDOW_MS), now]
    this.cancel()
    if (REBUILDS_MAX < this.#times.length) {
      this.#owner.failed(
        `The server refuses again and again what this device sends: ${cause.message} Your edits are kept on this device.`
      )
      return
    }
    this.#phase = { name: 'fetching', cause, isLastTry: this.#times.length === REBUILDS_MAX, fresh: null }
    this.#owner.reconnect()
  }

  cancel(): void {
    if (this.#phase.name === 'fetching') this.#phase.fresh?.retire()
    this.#phase = { name: 'idle' }
  }

  /** A socket has opened: the document that it is for. What an earlier one brought half is thrown away. */
  opened(old: Replica): Replica {
    if (this.#phase.name === 'replacing') return this.#phase.fresh
    if (this.#phase.name === 'idle') return old
    this.#phase.fresh?.retire()
    const fresh = this.#owner.make()
    // Others go on seeing this person where they were.
    fresh.awareness.setLocalState(old.awareness.getLocalState())
    this.#phase.fresh = fresh
    return fresh
  }

  /** The server's document has arrived in the fresh replica. */
  synced(old: Replica, store: DesignStore | null): Promise<void> {
    this.settled = Promise.all([this.settled, this.#replace(old, store)]).then(() => {})
    return this.settled
  }

  async #replace(old: Replica, store: DesignStore | null): Promise<void> {
    const phase = this.#phase
    if (phase.name !== 'fetching' || phase.fresh === null) return
    const { cause, isLastTry, fresh } = phase
    // What is on its way into the database gets there first; what comes after waits, and is taken from the ledger.
    await old.journal.flush()
    // The socket may have ended meanwhile, or another tab been faster.
    if (this.#phase !== phase || phase.fresh !== fresh) return
    old.journal.hold()
    const replacing: Replacing = { name: 'replacing', fresh, next: null }
    this.#phase = replacing

    const lineage = old.journal.lineage + 1
    const planned = new Set<Edit>()
    let recovery: RecoveryFile | null = null
    const plan = (own: StoredEdit[]): Replacement => {
      const state = Y.encodeStateAsUpdate(fresh.doc)
      fresh.journal.clear()
      let lost: Lost[] = []
      const edits = fresh.gather(() => {
        const circumstances = { cause, isLastTry, mayEdit: this.#owner.mayEdit() }
        lost = makeEditsAgain(fresh.doc, candidates(old, own, planned), circumstances)
      })
      if (0 < lost.length) recovery = recoveryFile(this.#owner.design, old.doc, lost, cause.message, Date.now())
      return { state, edits, recovery, facts: { ...this.#owner.facts(), lineage } }
    }
    try {
      if (store === null) {
        plan([])
        this.#swap(old, replacing, planned, recovery, [])
      } else {
        const { keys, top } = await store.replace(lineage - 1, plan)
        fresh.attach(store, lineage, top, keys.length + 1)
        this.#swap(old, replacing, planned, recovery, keys)
      }
    } catch (error) {
      this.#phase = { name: 'idle' }
      fresh.retire()
      if (error instanceof StaleLineage) return this.#owner.stale()
      old.journal.release()
      if (replacing.next !== null) return this.begin(cause)
      const why = error instanceof Error ? error.message : String(error)
      this.#owner.failed(
        `The design has to be made anew from the server, and this device could not store it: ${why} Your edits are kept as they are.`
      )
    }
  }

  /** Another tab has made the document anew: takes that one. Null: there is nothing to do any more. */
  async follow(
    old: Replica,
    store: DesignStore,
    isCurrent: () => boolean
  ): Promise<{ fresh: Replica; loaded: Loaded } | null> {
    this.cancel()
    old.journal.hold()
    const loaded = await store.load()
    if (!isCurrent()) return null
    const fresh = this.#owner.make()
    fresh.awareness.setLocalState(old.awareness.getLocalState())
    fresh.load(store, loaded)
    return { fresh, loaded }
  }

  #swap(
    old: Replica,
    { fresh, next }: Replacing,
    planned: ReadonlySet<Edit>,
    recovery: RecoveryFile | null,
    keys: readonly number[]
  ): void {
    this.#phase = { name: 'idle' }
    this.#owner.swapped(fresh, recovery, keys)
    this.takeOver(old, fresh, planned)
    // What was made again may have begun it already.
    if (next !== null && !this.isActive) this.begin(blameless(next))
  }

  /**
   * Ends the old document's life. What was edited in it while it was being replaced (all but `done`), and what somebody who has not noticed yet still edits in it, is
   * made again in the new one; what cannot be goes into a recovery file.
   */
  takeOver(old: Replica, fresh: Replica, done: ReadonlySet<Edit> = new Set()): void {
    const again = (edits: readonly Edit[]): void => {
      const lost: Lost[] = []
      for (const { gesture } of edits) {
        const changes = fresh.doc.transact(() => makeAgain(fresh.doc, gesture.changes), MADE_AGAIN)
        if (0 < changes.length) lost.push({ gesture, changes })
      }
      if (0 < lost.length) this.#owner.lost(recoveryFile(this.#owner.design, old.doc, lost, TOO_LATE, Date.now()))
    }
    again(old.ledger.uncovered().filter(edit => edit.key === null && !done.has(edit)))
    old.retire(edit => again([edit]))
  }
}

/** The unsaved edits of all tabs; of this one also those that are not stored. */
function candidates(old: Replica, own: readonly StoredEdit[], planned: Set<Edit>): Candidate[] {
  const together = new Set([...old.together].map(({ key }) => key))
  const found: Candidate[] = own
    .filter(({ key }) => !old.ledger.isCovered(key))
    .map(({ key, gesture }) => ({ gesture, cameTogether: together.has(key) }))
  for (const edit of old.ledger.uncovered()) {
    if (edit.key !== null) continue
    planned.add(edit)
    found.push({ gesture: edit.gesture, cameTogether: old.together.has(edit) })
  }
  return found
}
