// What `Saved` counts (docs/PROTOCOL.md, COUNT): the document messages of one socket, in the order sent, and what each of them contained.

/** The server broke a rule of the protocol: the page says so rather than believe any of it. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

export class SentMessages<Content> {
  /** Of the messages that are not covered yet, in order. */
  #waiting: Content[] = []
  #saved = 0

  /** One more document message was sent, empty, repeated or not (R-COUNT-1). */
  add(content: Content): void {
    this.#waiting.push(content)
  }

  /** The contents that `Saved(n)` covers and none before it did. Throws `ProtocolError` if n breaks R-COUNT-3. */
  covered(n: number): Content[] {
    const sent = this.#saved + this.#waiting.length
    if (n <= this.#saved || sent < n) {
      throw new ProtocolError(`Saved(${n}) after Saved(${this.#saved}) with ${sent} messages sent`)
    }
    const covered = this.#waiting.splice(0, n - this.#saved)
    this.#saved = n
    return covered
  }

  /** Every message sent so far is covered. */
  get isSettled(): boolean {
    return this.#waiting.length === 0
  }
}
