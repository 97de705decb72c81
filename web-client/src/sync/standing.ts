// What a session knows of its design apart from the document: the facts that this device keeps, the newest word of the server, and why the connection stopped.

import type { Final } from './endings'
import { Listeners } from './listeners'
import type { Notice } from './notices'
import type { Cause } from './rebuild'
import { type Facts, NEW_FACTS } from './records'
import { maySave } from './saving-state'
import type { Refusal } from './types'

/** Those of the session: the lineage is the document's. */
export type SessionFacts = Omit<Facts, 'lineage'>

export class Standing {
  /** Writes changed facts into the database, where they are this document's. */
  readonly #keep: (changed: Partial<SessionFacts>) => void
  facts: SessionFacts = { ...NEW_FACTS, openedAt: Date.now() }
  /** The server said hello on the newest socket. */
  #wasWelcome = false
  isDegraded = false
  final: Final | null = null
  refusal: Refusal | null = null
  readonly notices = new Listeners<Notice>()

  constructor(keep: (changed: Partial<SessionFacts>) => void) {
    this.#keep = keep
  }

  /** By the newest word of the server. */
  get mayEdit(): boolean {
    return maySave(this.facts)
  }

  /** What the page is told of it. */
  get told(): Pick<Standing, 'facts' | 'isDegraded' | 'final' | 'refusal'> {
    const { facts, isDegraded, final, refusal } = this
    return { facts, isDegraded, final, refusal }
  }

  /** Trying again by itself makes sense: the login may have come back, what is deleted does not. */
  get mayGoOn(): boolean {
    return this.final === null || this.final.kind === 'signed-out'
  }

  /** What this device has stored; when it was opened is this session's own. */
  recall(stored: Facts): void {
    this.facts = { ...stored, openedAt: this.facts.openedAt }
  }

  learn(changed: Partial<SessionFacts>): void {
    this.facts = { ...this.facts, ...changed }
    this.#keep(changed)
  }

  /** What the server may have said while the document was being replaced is stored with neither the old one nor the new: once more, then. */
  keepAgain(): void {
    const { role, epoch, readOnly } = this.facts
    this.learn({ role, epoch, readOnly })
  }

  nameIs(name: unknown): void {
    if (typeof name === 'string' && name !== this.facts.name) this.learn({ name })
  }

  /** The whole document is here; that it is stored, too, was seen to. */
  isComplete(): void {
    this.facts = { ...this.facts, isSynced: true }
  }

  /** A socket has opened: nothing was said on it yet. */
  opened(): void {
    this.isDegraded = false
    this.#wasWelcome = false
  }

  heard(notice: Notice): void {
    switch (notice.type) {
      case 'hello':
        this.#wasWelcome = true
        this.final = null
        this.learn({ role: notice.role, epoch: notice.epoch, readOnly: notice.read_only ?? null })
        return
      case 'role.changed':
        this.learn({ role: notice.role })
        return
      case 'store.degraded':
      case 'store.healthy':
        this.isDegraded = notice.type === 'store.degraded'
        return
    }
  }

  /** What 4409 means: before `hello` the epoch was an old one. */
  causeOfReset(reason: string): Cause {
    return {
      code: this.#wasWelcome ? 'closed' : 'epoch',
      message: reason === '' ? 'The design was reset.' : reason
    }
  }

  refused({ code, message }: Cause, reset: boolean): void {
    this.refusal = { code, message, reset, at: Date.now() }
  }

  ended(final: Final): void {
    this.final = final
    // Offline, too, nobody edits a design that is not theirs any more.
    if (final.kind === 'removed') this.learn({ role: null })
  }
}
