// One open design: its document on this device, its socket, and what is true about saving. Everything above knows only `DesignSession`.

import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { metaOf } from '../design/document'
import { Connector } from './connector'
import type { Final } from './endings'
import { trouble } from './idb'
import { LocalCopy } from './local-copy'
import type { Notice } from './notices'
import { Observable } from './observable'
import { watchPage } from './page-watch'
import type { Cause } from './rebuild'
import { Rebuilder, takeOver } from './rebuilder'
import { type Facts, NEW_FACTS } from './records'
import { Replica, type ReplicaHost } from './replica'
import { maySave } from './saving-state'
import { browser, type OpenDesign, type Outside } from './session-options'
import { sessionState } from './session-state'
import { socketAddress } from './socket'
import type { DesignSession, RecoveryFile, Refusal, SessionState } from './types'

export function openDesign(options: OpenDesign): DesignSession {
  return new Session(options)
}

class Session implements DesignSession {
  readonly design: string
  readonly #options: OpenDesign
  readonly #outside: Outside
  readonly #connector: Connector
  readonly #rebuilder: Rebuilder
  readonly #host: ReplicaHost
  #replica: Replica
  #generation = 0
  #facts: Omit<Facts, 'lineage'> = { ...NEW_FACTS, openedAt: Date.now() }
  /** The server said hello on the newest socket. */
  #wasWelcome = false
  #isDegraded = false
  #final: Final | null = null
  #refusal: Refusal | null = null
  readonly #local = new LocalCopy(() => this.#changed())
  #stopWatching: () => void = () => {}
  readonly #started: Promise<void>
  #closed: Promise<void> | null = null
  #isQuiet = false
  readonly #shown: Observable<SessionState>

  constructor(options: OpenDesign) {
    this.design = options.design
    this.#options = options
    this.#outside = { ...browser(), ...options.outside }
    this.#host = this.#makeHost()
    this.#replica = new Replica(this.#host)
    this.#connector = this.#makeConnector()
    this.#rebuilder = this.#makeRebuilder()
    this.#shown = new Observable(this.#read())
    this.#started = this.#start()
  }

  // --- what the page sees

  get doc(): Y.Doc {
    return this.#replica.doc
  }

  get awareness(): Awareness {
    return this.#replica.awareness
  }

  get state(): SessionState {
    return this.#shown.state
  }

  subscribe(listener: () => void): () => void {
    return this.#shown.subscribe(listener)
  }

  retry(): void {
    if (this.#closed === null) this.#connector.retry()
  }

  dismissRefusal(): void {
    this.#refusal = null
    this.#changed()
  }

  recoveries(): Promise<RecoveryFile[]> {
    return this.#local.shelf.all()
  }

  async discardRecovery(id: string): Promise<void> {
    await this.#local.shelf.discard(id)
    this.#changed()
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  // --- beginning and end

  async #start(): Promise<void> {
    const loaded = await this.#local.open(this.#options, this.#outside.indexedDB)
    if (loaded === null || this.#local.store === null) {
      this.#replica.journal.switchOff()
    } else {
      this.#facts = { ...loaded.facts, openedAt: Date.now() }
      this.#replica.load(this.#local.store, loaded)
      this.#replica.journal.facts({ openedAt: this.#facts.openedAt })
    }
    if (this.#closed !== null) return
    const { page, pollMs } = this.#outside
    const woke = (): void => {
      if (this.#final === null || this.#final.kind === 'signed-out') this.retry()
    }
    this.#stopWatching = watchPage(page, pollMs, () => this.#look(), woke)
    this.#changed()
    this.#connector.start()
  }

  async #end(): Promise<void> {
    this.#connector.stop()
    await this.#started
    this.#stopWatching()
    await this.#replica.flush()
    this.#replica.retire()
    await this.#local.store?.close()
    this.#shown.clear()
  }

  /** Looks for what other tabs wrote. */
  async #look(): Promise<void> {
    if (this.#rebuilder.isActive || this.#closed !== null) return
    const polled = await this.#replica.poll()
    if (polled === null) return
    this.#local.shelf.stored = polled.recoveries
    // Another tab has got the document: it has come with its rows.
    if (!this.#facts.isSynced && polled.facts.isSynced)
      this.#facts = { ...polled.facts, openedAt: this.#facts.openedAt }
    this.#changed()
  }

  // --- the parts

  #makeConnector(): Connector {
    const { server, design, credentials } = this.#options
    return new Connector({
      credentials,
      // A document that is made anew has no epoch yet.
      address: ticket => socketAddress(server, design, ticket, this.#rebuilder.isActive ? null : this.#facts.epoch),
      openSocket: this.#outside.openSocket,
      random: this.#outside.random,
      events: {
        opened: () => {
          this.#isDegraded = false
          this.#wasWelcome = false
          this.#rebuilder.opened(this.#replica).connect()
        },
        received: message => this.#talking.exchange?.receive(message),
        lost: () => {
          this.#talking.disconnect()
          this.#changed()
        },
        reset: reason => {
          const message = reason === '' ? 'The design was reset.' : reason
          this.#refused({ code: this.#wasWelcome ? 'closed' : 'epoch', message })
        },
        final: final => this.#ended(final)
      }
    })
  }

  #makeRebuilder(): Rebuilder {
    return new Rebuilder({
      design: this.design,
      make: () => new Replica(this.#host),
      reconnect: () => this.#connector.restart(),
      mayEdit: () => maySave(this.#facts),
      facts: () => ({ ...this.#facts, isSynced: true }),
      swapped: (fresh, recovery, keys) => {
        if (recovery !== null) this.#local.shelf.put(recovery)
        // What was made again leaves before anybody can edit on top of it.
        this.#show(fresh, () => fresh.adopt(keys))
      },
      stale: () => void this.#follow(),
      failed: reason => {
        this.#connector.stop()
        this.#ended({ kind: 'broken', reason })
      }
    })
  }

  #makeHost(): ReplicaHost {
    return {
      send: message => this.#connector.send(message),
      notice: notice => this.#noticed(notice),
      synced: replica => this.#synced(replica),
      mayEdit: () => maySave(this.#facts),
      needsNewSocket: () => this.#connector.restart(),
      refused: cause => this.#refused(cause),
      stale: replica => {
        if (replica === this.#replica) void this.#follow()
      },
      trouble: (doing, why) => this.#local.note(doing, why),
      edited: () => this.#edited(),
      changed: () => this.#changed()
    }
  }

  get #talking(): Replica {
    return this.#rebuilder.replica ?? this.#replica
  }

  // --- what happens

  #noticed(notice: Notice): void {
    switch (notice.type) {
      case 'hello':
        this.#wasWelcome = true
        this.#final = null
        this.#learn({ role: notice.role, epoch: notice.epoch, readOnly: notice.read_only ?? null })
        return
      case 'role.changed':
        this.#learn({ role: notice.role })
        return
      case 'store.degraded':
      case 'store.healthy':
        this.#isDegraded = notice.type === 'store.degraded'
        this.#changed()
        return
      case 'refused':
        // A bad credential is the renewal's affair; the rest is about a document message.
        if (notice.code !== 'bad_credential') this.#refused(notice, notice.reset)
        return
    }
  }

  #learn(facts: Partial<Facts>): void {
    this.#facts = { ...this.#facts, ...facts }
    // While the document is made anew this belongs to the new one, and is stored with it.
    if (!this.#rebuilder.isActive) this.#replica.journal.facts(facts)
    this.#changed()
  }

  #synced(replica: Replica): void {
    this.#connector.succeeded()
    if (replica !== this.#replica) return void this.#rebuilder.synced(this.#replica, this.#local.store)
    if (this.#facts.isSynced) return
    this.#learn({ isSynced: true })
    // From now on this device can show the design by itself.
    void replica.journal.flush()
  }

  /** Whatever the reason, the document on this device is not what the server can take: it is made anew, and nothing more is sent of it. */
  #refused({ code, message }: Cause, reset = true): void {
    if (this.#closed !== null) return
    this.#refusal = { code, message, reset, at: Date.now() }
    this.#rebuilder.begin({ code, message })
    this.#changed()
  }

  #edited(): void {
    this.#local.askToPersist()
    this.#changed()
  }

  #ended(final: Final): void {
    this.#final = final
    // Offline, too, nobody edits a design that is not theirs any more.
    if (final.kind === 'removed') this.#learn({ role: null })
    this.#changed()
  }

  /** Another tab has made the document anew: takes that one. */
  async #follow(): Promise<void> {
    const store = this.#local.store
    if (store === null || this.#closed !== null) return
    const old = this.#replica
    try {
      const followed = await this.#rebuilder.follow(old, store, () => old === this.#replica && this.#closed === null)
      if (followed === null) return
      const { fresh, loaded } = followed
      this.#facts = { ...loaded.facts, openedAt: this.#facts.openedAt }
      this.#local.shelf.stored = loaded.recoveries
      this.#show(fresh, () => takeOver(old, fresh, new Set()))
      this.#connector.restart()
    } catch (error) {
      this.#local.note('reading', trouble(error).message)
    }
  }

  #show(fresh: Replica, first: () => void): void {
    this.#replica = fresh
    this.#generation += 1
    this.#facts = { ...this.#facts, isSynced: true }
    this.#isQuiet = true
    first()
    this.#isQuiet = false
    this.#changed()
  }

  // --- the state

  #changed(): void {
    if (this.#isQuiet) return
    this.#noteName()
    this.#shown.set(this.#read())
  }

  #noteName(): void {
    const name = metaOf(this.#replica.doc).get('name')
    if (typeof name === 'string' && name !== this.#facts.name && !this.#rebuilder.isActive) {
      this.#facts = { ...this.#facts, name }
      this.#replica.journal.facts({ name })
    }
  }

  #read(): SessionState {
    const { exchange } = this.#talking
    return sessionState({
      ...this.#replica.ledger.count(),
      generation: this.#generation,
      facts: this.#facts,
      final: this.#final,
      isConnected: exchange?.isWelcome === true && exchange.isCaughtUp,
      isSettled: exchange?.isSettled === true,
      isRebuilding: this.#rebuilder.isActive,
      isDegraded: this.#isDegraded,
      refusal: this.#refusal,
      recoveries: this.#local.shelf.count,
      localTrouble: this.#local.trouble
    })
  }
}
