// Keeps the credential of an open socket fresh (docs/PROTOCOL.md, TIME). The first `Renew` follows `hello` at once: its answer tells, by the server's own
// clock, how long the credential lives; each further one leaves well before that.

import { CredentialError, type Credentials } from './credentials'
import type { Notice } from './notices'
import { encodeRenew } from './wire'

/** Of a credential's life, when it is renewed. */
const RENEW_AT = 0.7
/** After a renewal that failed for a reason that may pass, in milliseconds at most. */
const AGAIN_MS_MAX = 20_000
/** Renewals refused in a row before the socket is left to its expiry: 4408 then asks for a new ticket. */
const REFUSED_MAX = 3

export class Renewal {
  readonly #credentials: Credentials
  readonly #send: (message: Uint8Array) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Grows with every socket: an answer that is late belongs to nobody. */
  #socket = 0
  #expiresInMs = AGAIN_MS_MAX
  #refused = 0

  constructor(credentials: Credentials, send: (message: Uint8Array) => void) {
    this.#credentials = credentials
    this.#send = send
  }

  heard(notice: Notice): void {
    switch (notice.type) {
      case 'hello':
        this.stop()
        this.#refused = 0
        return void this.#renew(false)
      case 'renewed':
        this.#refused = 0
        this.#expiresInMs = notice.expires_in * 1_000
        this.#later(this.#expiresInMs * RENEW_AT)
        return
      case 'refused':
        if (notice.code !== 'bad_credential') return
        this.#refused += 1
        if (this.#refused < REFUSED_MAX) this.#later(this.#pauseMs())
        return
    }
  }

  stop(): void {
    this.#socket += 1
    clearTimeout(this.#timer)
  }

  #pauseMs(): number {
    return Math.min(AGAIN_MS_MAX, this.#expiresInMs * 0.1)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#renew(true), ms)
  }

  async #renew(fresh: boolean): Promise<void> {
    const socket = this.#socket
    try {
      const token = await this.#credentials.accessToken({ fresh })
      if (socket === this.#socket) this.#send(encodeRenew(token))
    } catch (error) {
      // Signed out: the server closes this socket and says so itself. Everything else may pass.
      const isOver = error instanceof CredentialError && error.problem === 'signed-out'
      if (socket === this.#socket && !isOver) this.#later(this.#pauseMs())
    }
  }
}
