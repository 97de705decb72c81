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
import { Rebuilder } from './rebuilder'
import { Replica, type ReplicaHost } from './replica'
import { browser, type OpenDesign, type Outside } from './session-options'
import { sessionState } from './session-state'
import { socketAddress } from './socket'
import { Standing } from './standing'
import type { DesignSession, RecoveryFile, SessionState } from './types'

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
  readonly #standing = new Standing(changed => {
    // While the document is made anew this belongs to the new one, and is stored with it.
    if (!this.#rebuilder.isActive) this.#replica.journal.facts(changed)
  })
  readonly notices = this.#standing.notices
  readonly #local = new LocalCopy(() => this.#changed())
  #stopWatching: () => void = () => {}
  readonly #started: Promise<void>
  #closed: Promise<void> | null = null
  #following: Promise<unknown> = Promise.resolve()
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
    this.#standing.refusal = null
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

  async #start(): Promise<void> {
    const loaded = await this.#local.open(this.#options, this.#outside.indexedDB)
    if (loaded === null || this.#local.store === null) {
      this.#replica.journal.switchOff()
    } else {
      this.#standing.recall(loaded.facts)
      this.#replica.load(this.#local.store, loaded)
      this.#standing.learn({ openedAt: Date.now() })
    }
    if (this.#closed !== null) return
    const { page, pollMs } = this.#outside
    const woke = (): void => (this.#standing.mayGoOn ? this.retry() : undefined)
    this.#stopWatching = watchPage(page, pollMs, () => this.#look(), woke)
    this.#changed()
    this.#connector.start()
  }

  async #end(): Promise<void> {
    this.#connector.stop()
    await Promise.all([this.#started, this.#rebuilder.settled])
    this.#stopWatching()
    // Another tab may have made the document anew: what this one had not stored goes along, and is stored there.
    for (let flushed = null; flushed !== this.#replica; await this.#following) {
      flushed = this.#replica
      await flushed.flush()
    }
    this.#replica.retire()
    // Not earlier: drafts are kept while the page goes away. From here on an edit would go nowhere.
    this.#shown.end({ ...this.#read(), canEdit: false })
    await this.#local.store?.close()
  }

  /** Looks for what other tabs wrote. */
  async #look(): Promise<void> {
    if (this.#rebuilder.isActive || this.#closed !== null) return
    const polled = await this.#replica.poll()
    if (polled === null) return
    this.#local.shelf.stored = polled.recoveries
    // Another tab has got the document: it has come with its rows.
    if (!this.#standing.facts.isSynced && polled.facts.isSynced) this.#standing.recall(polled.facts)
    this.#changed()
  }

  #makeConnector(): Connector {
    const { server, design, credentials } = this.#options
    return new Connector({
      credentials,
      // A document that is made anew has no epoch yet.
      address: ticket =>
        socketAddress(server, design, ticket, this.#rebuilder.isActive ? null : this.#standing.facts.epoch),
      openSocket: this.#outside.openSocket,
      random: this.#outside.random,
      events: {
        opened: () => {
          this.#standing.opened()
          this.#rebuilder.opened(this.#replica).connect()
        },
        received: message => this.#talking.exchange?.receive(message),
        lost: () => {
          this.#talking.disconnect()
          this.#changed()
        },
        reset: reason => this.#refused(this.#standing.causeOfReset(reason)),
        final: final => this.#ended(final)
      }
    })
  }

  #makeRebuilder(): Rebuilder {
    return new Rebuilder({
      design: this.design,
      make: () => new Replica(this.#host),
      reconnect: () => {
        if (this.#closed === null) this.#connector.restart()
      },
      mayEdit: () => this.#standing.mayEdit,
      facts: () => ({ ...this.#standing.facts, isSynced: true }),
      swapped: (fresh, recovery, keys) => {
        if (recovery !== null) this.#local.shelf.put(recovery)
        // What was made again leaves before anybody can edit on top of it.
        this.#show(fresh, () => fresh.adopt(keys))
        this.#standing.keepAgain()
      },
      lost: file => void this.#local.keep(file),
      stale: () => this.#follow(),
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
      mayEdit: () => this.#standing.mayEdit,
      needsNewSocket: () => this.#connector.restart(),
      refused: cause => this.#refused(cause),
      stale: replica => {
        if (replica === this.#replica) this.#follow()
      },
      trouble: (doing, why) => this.#local.note(doing, why),
      edited: () => this.#edited(),
      changed: () => this.#changed()
    }
  }

  get #talking(): Replica {
    return this.#rebuilder.replica ?? this.#replica
  }

  #noticed(notice: Notice): void {
    this.#standing.heard(notice)
    // A bad credential is the renewal's affair; the rest is about a document message.
    if (notice.type === 'refused' && notice.code !== 'bad_credential') this.#refused(notice, notice.reset)
    this.#changed()
    this.notices.tell(notice)
  }

  #synced(replica: Replica): void {
    this.#connector.succeeded()
    if (replica !== this.#replica) return void this.#rebuilder.synced(this.#replica, this.#local.store)
    if (this.#standing.facts.isSynced) return
    this.#standing.learn({ isSynced: true })
    this.#changed()
    // From now on this device can show the design by itself.
    void replica.journal.flush()
  }

  /** Whatever the reason, the document on this device is not what the server can take: it is made anew, and nothing more is sent of it. */
  #refused({ code, message }: Cause, reset = true): void {
    if (this.#closed !== null) return
    this.#standing.refused({ code, message }, reset)
    this.#rebuilder.begin({ code, message })
    this.#changed()
  }

  #edited(): void {
    this.#local.askToPersist()
    this.#changed()
  }

  #ended(final: Final): void {
    this.#standing.ended(final)
    this.#changed()
  }

  /** Another tab has made the document anew: takes that one. */
  #follow(): void {
    this.#following = Promise.all([this.#following, this.#goAlong()])
  }

  async #goAlong(): Promise<void> {
    const store = this.#local.store
    if (store === null) return
    const old = this.#replica
    try {
      const followed = await this.#rebuilder.follow(old, store, () => old === this.#replica)
      if (followed === null) return
      const { fresh, loaded } = followed
      this.#standing.recall(loaded.facts)
      this.#local.shelf.stored = loaded.recoveries
      this.#show(fresh, () => this.#rebuilder.takeOver(old, fresh))
      if (this.#closed === null) this.#connector.restart()
    } catch (error) {
      this.#local.note('reading', trouble(error).message)
    }
  }

  #show(fresh: Replica, first: () => void): void {
    this.#replica = fresh
    this.#generation += 1
    this.#standing.isComplete()
    this.#isQuiet = true
    first()
    this.#isQuiet = false
    this.#changed()
  }

  #changed(): void {
    if (this.#isQuiet) return
    // While the document is made anew, the old one's name is no news.
    if (!this.#rebuilder.isActive) this.#standing.nameIs(metaOf(this.#replica.doc).get('name'))
    this.#shown.set(this.#read())
  }

  #read(): SessionState {
    const { exchange } = this.#talking
    return sessionState({
      ...this.#replica.ledger.count(),
      ...this.#standing.told,
      generation: this.#generation,
      isConnected: exchange?.isWelcome === true && exchange.isCaughtUp,
      isSettled: exchange?.isSettled === true,
      isRebuilding: this.#rebuilder.isActive,
      recoveries: this.#local.shelf.count,
      localTrouble: this.#local.trouble
    })
  }
}
