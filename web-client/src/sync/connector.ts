// Keeps one socket to one design open: a fresh ticket for every attempt, pauses that grow, silence heard. It knows endings, and nothing of documents.

import { backoff, OVERLOADED_ATTEMPT } from './backoff'
import { ProtocolError } from './counting'
import { CredentialError, type Credentials } from './credentials'
import { type Ending, endingOf, type Final } from './endings'
import { Renewal } from './renewal'
import type { OpenSocket, RawSocket } from './socket'
import { decode, type Incoming, MalformedMessage } from './wire'

/** Nothing heard for so long: the socket is dead. The server speaks every 20 s at least (R-TIME-4). */
export const SILENCE_MAX_MS = 45_000
/** A ticket that takes longer than this is as good as none. */
export const TICKET_MAX_MS = 30_000

export interface ConnectorOptions {
  credentials: Credentials
  /** Asked anew for each attempt: it may depend on what the document has become. */
  address(ticket: string): string
  openSocket: OpenSocket
  /** In [0, 1). */
  random: () => number
  events: ConnectorEvents
}

/** Between `opened` and `lost` there is one socket. */
export interface ConnectorEvents {
  opened(): void
  /** Throws what `decode` may throw, or a `ProtocolError`: the server speaks another language, and the page says so. */
  received(message: Incoming): void
  lost(): void
  /** 4409. The connection is stopped; the owner prepares a new document and calls `restart`. */
  reset(reason: string): void
  final(final: Final): void
}

type Phase =
  | { name: 'stopped' }
  | { name: 'buying-ticket' }
  | { name: 'socket'; socket: RawSocket; isOpen: boolean; heardAt: number; watch: ReturnType<typeof setTimeout> }
  | { name: 'pausing'; timer: ReturnType<typeof setTimeout> }

export class Connector {
  readonly #options: ConnectorOptions
  readonly #renewal: Renewal
  #phase: Phase = { name: 'stopped' }
  /** Attempts in a row that did not lead to a synced document. */
  #failed = 0
  /** The last socket ended with 4401, and none has been welcomed since. */
  #wasTurnedAway = false
  /** The server said how long it will be gone. */
  #awayMs: number | null = null

  constructor(options: ConnectorOptions) {
    this.#options = options
    this.#renewal = new Renewal(options.credentials, message => this.send(message))
  }

  get isOpen(): boolean {
    return this.#phase.name === 'socket' && this.#phase.isOpen
  }

  start(): void {
    if (this.#phase.name === 'stopped') void this.#attempt()
  }

  /** Tries now rather than after the pause, also after a final end. A socket that has been silent for too long is given up. */
  retry(): void {
    const phase = this.#phase
    if (phase.name === 'socket') {
      if (SILENCE_MAX_MS <= Date.now() - phase.heardAt) this.restart()
    } else if (phase.name !== 'buying-ticket') {
      this.stop()
      void this.#attempt()
    }
  }

  /** Ends the socket, if there is one, and opens another at once. */
  restart(): void {
    this.stop()
    void this.#attempt()
  }

  stop(): void {
    const phase = this.#phase
    this.#phase = { name: 'stopped' }
    if (phase.name === 'pausing') clearTimeout(phase.timer)
    if (phase.name !== 'socket') return
    clearTimeout(phase.watch)
    this.#renewal.stop()
    phase.socket.close()
    if (phase.isOpen) this.#options.events.lost()
  }

  send(message: Uint8Array): void {
    if (this.#phase.name === 'socket' && this.#phase.isOpen) this.#phase.socket.send(message)
  }

  /** The document is synced: whatever went wrong before is over. */
  succeeded(): void {
    this.#failed = 0
  }

  async #attempt(): Promise<void> {
    const phase: Phase = { name: 'buying-ticket' }
    this.#phase = phase
    let ticket: string
    try {
      ticket = await within(TICKET_MAX_MS, this.#options.credentials.ticket())
    } catch (error) {
      if (this.#phase === phase) this.#noTicket(error)
      return
    }
    if (this.#phase === phase) this.#open(ticket)
  }

  #noTicket(error: unknown): void {
    switch (error instanceof CredentialError ? error.problem : 'unreachable') {
      case 'signed-out':
        this.#end({ next: 'final', final: { kind: 'signed-out' } })
        return
      case 'forbidden':
        this.#end({ next: 'final', final: { kind: 'removed', why: 'not-a-member' } })
        return
      case 'not-found':
        this.#end({ next: 'final', final: { kind: 'removed', why: 'deleted' } })
        return
      case 'unreachable':
        this.#end({ next: 'again', afterMs: null, overloaded: false })
        return
    }
  }

  #open(ticket: string): void {
    const socket = this.#options.openSocket(this.#options.address(ticket), {
      opened: () => {
        if (this.#phase !== phase) return
        phase.isOpen = true
        phase.heardAt = Date.now()
        this.#options.events.opened()
      },
      message: bytes => {
        if (this.#phase === phase) this.#receive(phase, bytes)
      },
      closed: (code, reason) => {
        if (this.#phase === phase) this.#closed(code, reason)
      }
    })
    const watch = setTimeout(() => this.#listen(phase), SILENCE_MAX_MS)
    const phase: Extract<Phase, { name: 'socket' }> = {
      name: 'socket',
      socket,
      isOpen: false,
      heardAt: Date.now(),
      watch
    }
    this.#phase = phase
  }

  #receive(phase: Extract<Phase, { name: 'socket' }>, bytes: Uint8Array | null): void {
    phase.heardAt = Date.now()
    try {
      if (bytes === null) throw new MalformedMessage('a text message')
      const message = decode(bytes)
      if (message.type === 'notice') {
        if (message.notice.type === 'hello') this.#wasTurnedAway = false
        if (message.notice.type === 'restarting') this.#awayMs = message.notice.retry_after_ms
        this.#renewal.heard(message.notice)
      }
      this.#options.events.received(message)
    } catch (error) {
      if (!(error instanceof MalformedMessage || error instanceof ProtocolError)) {
        // Somebody who watches the document failed, not the connection.
        queueMicrotask(() => {
          throw error
        })
        return
      }
      const reason = `This page does not understand the server: ${error.message}`
      this.stop()
      this.#options.events.final({ kind: 'broken', reason })
    }
  }

  /** Looks at the clock rather than counting: timers stand still while a laptop sleeps. */
  #listen(phase: Extract<Phase, { name: 'socket' }>): void {
    if (this.#phase !== phase) return
    // Somebody put the clock back: what was heard in its future would keep a dead socket alive for as long.
    phase.heardAt = Math.min(phase.heardAt, Date.now())
    const left = phase.heardAt + SILENCE_MAX_MS - Date.now()
    if (0 < left) phase.watch = setTimeout(() => this.#listen(phase), left)
    else this.#closed(1006, '')
  }

  #closed(code: number, reason: string): void {
    this.stop()
    this.#end(endingOf(code, reason), reason)
  }

  #end(ending: Ending, reason = ''): void {
    switch (ending.next) {
      case 'again':
        this.#pause(ending.afterMs, ending.overloaded)
        return
      case 'renew':
        // At once the first time; if it goes on like this, with pauses.
        this.#failed === 0 ? this.#again() : this.#pause(null, false)
        return
      case 'ask-who':
        if (this.#wasTurnedAway) {
          this.#finish({ kind: 'signed-out' })
          return
        }
        this.#wasTurnedAway = true
        this.#again()
        return
      case 'reset':
        // The owner prepares a new document and starts again, or does not.
        this.#options.events.reset(reason)
        return
      case 'final':
        this.#finish(ending.final)
        return
    }
  }

  #finish(final: Final): void {
    this.#wasTurnedAway = false
    this.#phase = { name: 'stopped' }
    this.#options.events.final(final)
  }

  #again(): void {
    this.#failed += 1
    void this.#attempt()
  }

  #pause(afterMs: number | null, overloaded: boolean): void {
    this.#failed = Math.max(this.#failed + 1, overloaded ? OVERLOADED_ATTEMPT : 0)
    const ms = afterMs ?? this.#awayMs ?? backoff(this.#failed, this.#options.random())
    this.#awayMs = null
    this.#phase = { name: 'pausing', timer: setTimeout(() => void this.#attempt(), ms) }
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CredentialError('unreachable', 'no answer in time')), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
