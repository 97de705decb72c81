// A small honest client of the subprotocol atlas.v1 (docs/PROTOCOL.md), written from its rules.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { until } from './wait.mjs'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const SAVED = 120
const NOTICE = 121

const NAMES = {
  [SYNC]: 'sync', [AWARENESS]: 'awareness', [AUTH]: 'auth', [QUERY_AWARENESS]: 'query', [SAVED]: 'saved', [NOTICE]: 'notice'
}

const RETRY_MS = 50

export class AtlasClient {
  constructor ({ name, url, design, token, connect = true }) {
    this.name = name
    this.kind = 'atlas.v1'
    this.address = `${url.replace('http', 'ws')}/ws/${design}?token=${encodeURIComponent(token)}`
    this.doc = new Y.Doc()
    this.awareness = new awarenessProtocol.Awareness(this.doc)
    this.faults = []
    this.notices = []
    this.closes = []
    /** Own transactions so far, by number from 1. */
    this.edits = 0
    /** Numbers of own transactions that the server has acknowledged. */
    this.savedEdits = new Set()
    this.savedUpTo = 0
    /** When the newest Saved arrived (performance.now()). */
    this.savedAt = -Infinity
    /** Runs at once when a socket opens, before anything has arrived on it. */
    this.onOpen = () => {}
    this.wanted = connect
    this.socket = null
    this.sockets = 0
    this.doc.on('update', (update, origin) => {
      if (origin === this) return
      this.edits += 1
      this.#sendDocument(syncProtocol.messageYjsUpdate, update, { edit: this.edits })
    })
    // Own changes, and the own answer to hearing that one is gone.
    this.awareness.on('update', ({ added, updated, removed }) => {
      const changed = [...added, ...updated, ...removed].filter((id) => id === this.doc.clientID)
      if (changed.length > 0) this.#sendAwareness(changed)
    })
    if (connect) this.#open()
  }

  // --- what stories do

  edit (change) {
    this.doc.transact(() => change(this.doc))
  }

  connect () {
    this.wanted = true
    if (this.socket === null) this.#open()
  }

  /** Leaves politely and stays away until `connect`. */
  disconnect () {
    this.wanted = false
    this.socket?.close()
  }

  /** The TCP connection just ends, as when a process dies. */
  vanish () {
    this.wanted = false
    this.socket?.terminate()
  }

  leave () {
    this.wanted = false
    clearTimeout(this.retry)
    this.socket?.terminate()
    this.awareness.destroy()
    this.doc.destroy()
  }

  get isOpen () {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN
  }

  get isSynced () {
    return this.isOpen && this.caughtUp && this.answered
  }

  /** Everything that this client ever wrote is acknowledged. */
  get isSaved () {
    return this.isSynced && this.saved === this.sent.length && this.savedEdits.size === this.edits
  }

  async synced () {
    await until(`${this.name} is synced`, () => this.isSynced, { seen: () => this.told() })
  }

  async allSaved () {
    await until(`all of ${this.name} is saved`, () => this.isSaved, { seen: () => this.told() })
  }

  notice (type) {
    return this.notices.findLast((notice) => notice.type === type)
  }

  told () {
    return JSON.stringify({
      open: this.isOpen,
      caughtUp: this.caughtUp,
      answered: this.answered,
      sent: this.sent?.map(({ step, edit }) => edit ?? `step ${step}`).slice(-8),
      sentCount: this.sent?.length,
      saved: this.saved,
      edits: this.edits,
      savedEdits: this.savedEdits.size,
      notices: this.notices.slice(-3),
      closes: this.closes.slice(-5),
      faults: this.faults
    })
  }

  // --- the protocol

  #open () {
    const socket = new WebSocket(this.address, ['atlas.v1'])
    socket.binaryType = 'arraybuffer'
    this.socket = socket
    this.sockets += 1
    /** Document messages of this socket, in order: what Saved counts. */
    this.sent = []
    this.saved = 0
    /** Every n of this socket, in order. */
    this.savedLog = []
    /** What arrived on this socket, by name, in order; the first few. */
    this.heard = []
    this.caughtUp = false
    this.answered = false
    this.questions = 0
    socket.on('open', () => {
      this.onOpen()
      this.#send((encoder) => {
        encoding.writeVarUint(encoder, SYNC)
        syncProtocol.writeSyncStep1(encoder, this.doc)
      })
      if (this.awareness.getLocalState() !== null) this.#sendAwareness([this.doc.clientID])
    })
    socket.on('message', (data) => {
      if (this.socket === socket) this.#receive(new Uint8Array(data))
    })
    socket.on('error', () => {})
    socket.on('close', (code, reason) => {
      if (this.socket !== socket) return
      this.socket = null
      this.closes.push(code)
      const others = [...this.awareness.getStates().keys()].filter((id) => id !== this.doc.clientID)
      awarenessProtocol.removeAwarenessStates(this.awareness, others, this)
      if (4400 <= code && code < 4500) {
        this.wanted = false
        this.faults.push(`closed for good with ${code} ${reason}`)
      }
      this.retry = setTimeout(() => { if (this.wanted && this.socket === null) this.#open() }, RETRY_MS)
    })
  }

  #send (write) {
    if (!this.isOpen) return false
    const encoder = encoding.createEncoder()
    write(encoder)
    this.socket.send(encoding.toUint8Array(encoder))
    return true
  }

  /** `covers`: which own transactions are safe once this message is. */
  #sendDocument (step, update, covers) {
    const sent = this.#send((encoder) => {
      encoding.writeVarUint(encoder, SYNC)
      encoding.writeVarUint(encoder, step)
      encoding.writeVarUint8Array(encoder, update)
    })
    if (sent) this.sent.push({ step, ...covers })
  }

  #sendAwareness (ids) {
    this.#send((encoder) => {
      encoding.writeVarUint(encoder, AWARENESS)
      encoding.writeVarUint8Array(encoder, awarenessProtocol.encodeAwarenessUpdate(this.awareness, ids))
    })
  }

  #receive (bytes) {
    const decoder = decoding.createDecoder(bytes)
    const type = decoding.readVarUint(decoder)
    if (this.heard.length < 8) this.heard.push(NAMES[type] ?? String(type))
    switch (type) {
      case SYNC:
        this.#receiveSync(decoding.readVarUint(decoder), decoding.readVarUint8Array(decoder))
        break
      case AWARENESS:
        awarenessProtocol.applyAwarenessUpdate(this.awareness, decoding.readVarUint8Array(decoder), this)
        break
      case QUERY_AWARENESS:
        this.#sendAwareness([this.doc.clientID])
        break
      case AUTH:
        this.faults.push('a permission-denied message, though this client speaks atlas.v1')
        break
      case SAVED:
        this.#receiveSaved(decoding.readVarUint(decoder))
        break
      case NOTICE:
        this.#receiveNotice(JSON.parse(decoding.readVarString(decoder)))
        break
    }
  }

  #receiveSync (step, payload) {
    if (step === syncProtocol.messageYjsSyncStep1) {
      this.questions += 1
      const update = Y.encodeStateAsUpdate(this.doc, payload)
      this.#sendDocument(syncProtocol.messageYjsSyncStep2, update, { everythingUpTo: this.edits })
      this.answered = true
    } else {
      Y.applyUpdate(this.doc, payload, this)
      if (step === syncProtocol.messageYjsSyncStep2) this.caughtUp = true
      if (this.caughtUp && this.doc.store.pendingStructs !== null) {
        this.faults.push('an update arrived before what it builds on')
      }
    }
  }

  #receiveSaved (n) {
    if (n < this.saved || this.sent.length < n) {
      this.faults.push(`Saved(${n}) after Saved(${this.saved}), with ${this.sent.length} sent`)
      return
    }
    for (const { edit, everythingUpTo } of this.sent.slice(this.saved, n)) {
      if (edit !== undefined) this.savedEdits.add(edit)
      if (everythingUpTo !== undefined) {
        for (let each = this.savedUpTo + 1; each <= everythingUpTo; each += 1) this.savedEdits.add(each)
        this.savedUpTo = Math.max(this.savedUpTo, everythingUpTo)
      }
    }
    this.saved = n
    this.savedLog.push(n)
    this.savedAt = performance.now()
  }

  #receiveNotice (notice) {
    this.notices.push(notice)
    if (notice.type === 'refused') this.faults.push(`refused: ${JSON.stringify(notice)}`)
  }
}
