// A small server that keeps the rules of counting (docs/PROTOCOL.md, SYNC and COUNT) and does nothing by itself: a test moves each message, commits, and cuts lines.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { OpenSocket, RawSocketEvents } from '../socket'

interface Line {
  readonly events: RawSocketEvents
  readonly up: Uint8Array[]
  readonly down: Uint8Array[]
  isSynced: boolean
  /** Document messages that arrived. */
  counted: number
  /** The first with a gap, until a SyncStep2 behind it is committed. */
  gap: number | null
  saved: number
  isOpen: boolean
}

interface Waiting {
  readonly line: Line
  readonly n: number
  readonly isStep2: boolean
  readonly update: Uint8Array
}

export class ModelServer {
  /** What is durable. */
  readonly doc = new Y.Doc()
  readonly #lines: Line[] = []
  /** Arrived, and not committed. */
  #waiting: Waiting[] = []

  readonly open: OpenSocket = (_address, events) => {
    const line: Line = { events, up: [], down: [], isSynced: false, counted: 0, gap: null, saved: 0, isOpen: true }
    this.#lines.push(line)
    queueMicrotask(() => {
      if (line.isOpen) events.opened()
    })
    line.down.push(
      notice({ type: 'hello', role: 'editor', epoch: 1, seq: 0, limits: {} }),
      sync(0, Y.encodeStateVector(this.doc))
    )
    return {
      send: message => line.up.push(message),
      close: () => {
        line.isOpen = false
      }
    }
  }

  get #open(): Line[] {
    return this.#lines.filter(line => line.isOpen)
  }

  get isQuiet(): boolean {
    return this.#waiting.length === 0 && this.#open.every(line => line.up.length + line.down.length === 0)
  }

  /** Brings the next message of a line to the server. `which` picks the line. */
  up(which: number): void {
    const line = this.#open[which % this.#open.length]
    const message = line?.up.shift()
    if (line === undefined || message === undefined) return
    const decoder = decoding.createDecoder(message)
    if (decoding.readVarUint(decoder) !== 0) return
    const step = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (step === 0) {
      line.down.push(sync(1, Y.encodeStateAsUpdate(this.doc, payload)))
      line.isSynced = true
    } else {
      line.counted += 1
      this.#waiting.push({ line, n: line.counted, isStep2: step === 1, update: payload })
    }
  }

  /** Brings the next message of the server to a page. */
  down(which: number): void {
    const line = this.#open[which % this.#open.length]
    const message = line?.down.shift()
    if (line !== undefined && message !== undefined) line.events.message(message)
  }

  /** What has arrived becomes durable, then others see it, then it is acknowledged. */
  commit(): void {
    for (const { line, n, isStep2, update } of this.#waiting.splice(0)) {
      const before = Y.encodeStateVector(this.doc)
      if (hasGap(this.doc, update)) {
        line.gap ??= n
        line.down.push(sync(0, before))
        continue
      }
      Y.applyUpdate(this.doc, update)
      if (isStep2) line.gap = null
      for (const other of this.#open) if (other !== line && other.isSynced) other.down.push(sync(2, update))
      const saved = line.gap === null ? n : line.gap - 1
      if (line.saved < saved) {
        line.saved = saved
        line.down.push(savedUpTo(saved))
      }
    }
  }

  /** The process dies: what was not committed is gone, and so are all lines. */
  crash(): void {
    this.#waiting = []
    for (const line of this.#open) this.#end(line)
  }

  /** One line breaks, with everything on its way. */
  cut(which: number): void {
    const line = this.#open[which % this.#open.length]
    if (line !== undefined) this.#end(line)
  }

  /** A notice reaches every page now, before all that is on its way. */
  tell(content: object): void {
    for (const line of this.#open) line.events.message(notice(content))
  }

  /** The design is reset: every line ends with 4409. */
  reset(): void {
    for (const line of this.#open) this.#end(line, 4409, 'The design was reset.')
  }

  #end(line: Line, code = 1006, reason = ''): void {
    line.isOpen = false
    line.events.closed(code, reason)
  }
}

function hasGap(doc: Y.Doc, update: Uint8Array): boolean {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  Y.applyUpdate(copy, update)
  return copy.store.pendingStructs !== null || copy.store.pendingDs !== null
}

const sync = (step: number, payload: Uint8Array): Uint8Array =>
  encoding.encode(encoder => {
    encoding.writeVarUint(encoder, 0)
    encoding.writeVarUint(encoder, step)
    encoding.writeVarUint8Array(encoder, payload)
  })

const savedUpTo = (n: number): Uint8Array =>
  encoding.encode(encoder => {
    encoding.writeVarUint(encoder, 120)
    encoding.writeVarUint(encoder, n)
  })

const notice = (content: object): Uint8Array =>
  encoding.encode(encoder => {
    encoding.writeVarUint(encoder, 121)
    encoding.writeVarString(encoder, JSON.stringify(content))
  })
