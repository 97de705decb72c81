// One document on one socket: who is here, what each side lacks, edits both ways, and what `Saved` has covered (docs/PROTOCOL.md, SYNC and COUNT).
//
// Before the first `SyncStep1` of the server is answered no edit is sent by itself: the answer holds them all. While the document waits for something missing
// (a hole in what this device stored), nothing of it is sent: the server would refuse it as a gap, and with it the client id.

import {
  type Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates
} from 'y-protocols/awareness'
import * as Y from 'yjs'
import { UPDATE_BYTES_MAX } from '../design/limits'
import { SentMessages } from './counting'
import type { Notice } from './notices'
import { encodeAwareness, encodeStep1, encodeStep2, encodeUpdate, type Incoming } from './wire'

/** The origin of everything that came from the server. */
export const FROM_SERVER = Symbol('from the server')

export interface ExchangeOwner<Edit> {
  send(message: Uint8Array): void
  /** Every edit of this device that the document holds and that is not known to be saved. */
  unsaved(): Edit[]
  /** A `Saved` covered a message that contained these. */
  covered(edits: readonly Edit[]): void
  /** The server's whole document has arrived. */
  synced(): void
  notice(notice: Notice): void
  /** An edit is larger than an `Update` may be: only the answer to a new socket's `SyncStep1` can carry it (R-LIMIT-1). */
  needsNewSocket(): void
  /** What the document builds on is missing here and at the server. */
  damaged(): void
  /** The document is larger than the server takes at all. */
  tooLarge(bytes: number): void
  /** `isSettled` or `isWelcome` may have changed. */
  changed(): void
}

interface Sent<Edit> {
  edits: readonly Edit[]
  /** What the server has for certain once this message is covered; only of messages that hold everything. */
  everything: Uint8Array | null
}

export class Exchange<Edit> {
  readonly #doc: Y.Doc
  readonly #awareness: Awareness
  readonly #owner: ExchangeOwner<Edit>
  readonly #sent = new SentMessages<Sent<Edit>>()
  #limits = { update: UPDATE_BYTES_MAX, document: 32 << 20 }
  /** The server said hello: this person may be here. */
  isWelcome = false
  /** The server's answer to our `SyncStep1` has been applied. */
  isCaughtUp = false
  /** What the server had when it last asked, or more; null: it has not asked yet, or not been answered. */
  #serverHas: Uint8Array | null = null
  /** Questions of the server that wait until the document is whole. */
  #unanswered: Uint8Array[] = []
  /** Something was held back: the next message has to hold everything. */
  #owesEverything = false
  #isClosed = false

  constructor(doc: Y.Doc, awareness: Awareness, owner: ExchangeOwner<Edit>) {
    this.#doc = doc
    this.#awareness = awareness
    this.#owner = owner
  }

  /** Announces this person before anything of theirs (R-ID-3), then asks for what is missing here. */
  open(): void {
    this.#awareness.on('update', this.#presenceChanged)
    // At a higher clock than before: the server may have taken the last state away (R-PRES-5).
    const state = this.#awareness.getLocalState()
    if (state !== null) this.#awareness.setLocalState(state)
    this.#owner.send(encodeStep1(Y.encodeStateVector(this.#doc)))
  }

  close(): void {
    this.#isClosed = true
    this.#awareness.off('update', this.#presenceChanged)
    const others = [...this.#awareness.getStates().keys()].filter(id => id !== this.#doc.clientID)
    removeAwarenessStates(this.#awareness, others, FROM_SERVER)
  }

  /** Both sides have told all they had, and `Saved` has covered everything that was sent. */
  get isSettled(): boolean {
    return this.isCaughtUp && this.#serverHas !== null && !this.#owesEverything && this.#sent.isSettled
  }

  /** Edits that were sent in one message with everything else: if one of them is refused, all of them are. */
  readonly together = new Set<Edit>()

  /** Throws `ProtocolError`. */
  receive(message: Incoming): void {
    switch (message.type) {
      case 'step1':
        this.#unanswered.push(message.stateVector)
        this.#answer()
        return
      case 'step2':
        Y.applyUpdate(this.#doc, message.update, FROM_SERVER)
        this.#arrived(true)
        return
      case 'update':
        Y.applyUpdate(this.#doc, message.update, FROM_SERVER)
        this.#arrived(false)
        return
      case 'awareness':
        applyAwarenessUpdate(this.#awareness, message.update, FROM_SERVER)
        return
      case 'saved':
        this.#saved(message.n)
        return
      case 'notice':
        if (message.notice.type === 'hello') this.#hello(message.notice)
        this.#owner.notice(message.notice)
        return
      case 'unknown':
        return
    }
  }

  /** An edit, or what another tab wrote, came into the document: the server is to have it. */
  edited(update: Uint8Array, edits: readonly Edit[]): void {
    if (this.#serverHas === null) return
    if (!this.#isWhole || this.#owesEverything) {
      this.#owesEverything = true
      this.bringEverything()
      return
    }
    this.#sendUpdate(update, { edits, everything: null })
  }

  /** Sends all that the server may lack as one message, which then contains every unsaved edit. */
  bringEverything(): void {
    if (this.#serverHas === null || !this.#isWhole) return
    this.#owesEverything = false
    const update = Y.encodeStateAsUpdate(this.#doc, this.#serverHas)
    this.#sendUpdate(update, this.#everything())
  }

  #everything(): Sent<Edit> {
    const edits = this.#owner.unsaved()
    for (const edit of edits) this.together.add(edit)
    return { edits, everything: Y.encodeStateVector(this.#doc) }
  }

  get #isWhole(): boolean {
    return this.#doc.store.pendingStructs === null && this.#doc.store.pendingDs === null
  }

  #hello(notice: Extract<Notice, { type: 'hello' }>): void {
    this.isWelcome = true
    this.#limits = { update: notice.limits.update_bytes_max, document: notice.limits.document_bytes_max }
    this.#owner.changed()
  }

  #arrived(isStep2: boolean): void {
    const isFirst = isStep2 && !this.isCaughtUp
    if (isStep2) this.isCaughtUp = true
    if (this.isCaughtUp && !this.#isWhole) {
      this.#owner.damaged()
      return
    }
    if (isFirst) this.#owner.synced()
    if (this.#isClosed) return
    this.#answer()
    if (this.#owesEverything) this.bringEverything()
    this.#owner.changed()
  }

  /** Answers every question of the server, with all that it lacks. */
  #answer(): void {
    if (!this.#isWhole) {
      // What is missing may be on its way: the server's own document is.
      if (this.isCaughtUp) this.#owner.damaged()
      return
    }
    for (const stateVector of this.#unanswered.splice(0)) {
      const update = Y.encodeStateAsUpdate(this.#doc, stateVector)
      if (this.#limits.document < update.length) {
        this.#owner.tooLarge(update.length)
        return
      }
      this.#serverHas = stateVector
      this.#owesEverything = false
      this.#sent.add(this.#everything())
      this.#owner.send(encodeStep2(update))
    }
    this.#owner.changed()
  }

  #sendUpdate(update: Uint8Array, sent: Sent<Edit>): void {
    if (this.#limits.update < update.length) {
      this.#owner.needsNewSocket()
      return
    }
    this.#sent.add(sent)
    this.#owner.send(encodeUpdate(update))
    this.#owner.changed()
  }

  #saved(n: number): void {
    const edits: Edit[] = []
    for (const sent of this.#sent.covered(n)) {
      edits.push(...sent.edits)
      if (sent.everything !== null) this.#serverHas = sent.everything
    }
    this.#owner.covered(edits)
    this.#owner.changed()
  }

  /** Own changes, and the own answer to hearing from the server that one is gone. */
  readonly #presenceChanged = (changes: { added: number[]; updated: number[]; removed: number[] }): void => {
    const own = this.#doc.clientID
    const ids = [...changes.added, ...changes.updated, ...changes.removed]
    if (ids.includes(own)) this.#owner.send(encodeAwareness(encodeAwarenessUpdate(this.#awareness, [own])))
  }
}
