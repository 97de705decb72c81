// The list of designs as one small machine: what was asked, what came, and what this device knows while the server is silent.

import type { Api, DesignPage } from '../../sync/api'
import { SignedOut, Unreachable } from '../../sync/problems'
import type { LocalDesign } from '../../sync/types'
import type { LocalDesigns } from '../services'
import { messageOf } from '../words'
import { cacheDesigns, cachedDesigns, type ListedDesign } from './list-cache'

export interface DesignRow extends ListedDesign {
  /** What this device keeps of it, or null. */
  local: LocalDesign | null
  /** The server does not list it any more, but this device has something of it that was never sent. */
  orphan: boolean
}

export interface ListState {
  rows: readonly DesignRow[]
  /** Something is being asked. */
  busy: boolean
  /** There are more than these. */
  more: boolean
  offline: boolean
  /** Why the list could not be had, where it is not the connection. */
  problem: string | null
  /** The list has been told at least once, by the server or by this device. */
  told: boolean
}

/** Milliseconds until the next attempt while the server is silent: twice as long after each, up to the most. */
const AGAIN_FIRST_MS = 5_000
const AGAIN_MAX_MS = 60_000

export class DesignList {
  #state: ListState = { rows: [], busy: true, more: false, offline: false, problem: null, told: false }
  #listeners = new Set<() => void>()
  #query = ''
  #items: readonly ListedDesign[] = []
  #local: readonly LocalDesign[] = []
  #cursor: string | null = null
  /** The whole list is here: what is not in it is not on the server. */
  #whole = false
  #asking: AbortController | null = null
  #again: ReturnType<typeof setTimeout> | undefined
  /** Attempts in a row that the server did not answer. */
  #unanswered = 0
  readonly #user: string
  readonly #api: Pick<Api, 'listDesigns'>
  readonly #localDesigns: LocalDesigns

  constructor(user: string, api: Pick<Api, 'listDesigns'>, local: LocalDesigns) {
    this.#user = user
    this.#api = api
    this.#localDesigns = local
  }

  get state(): ListState {
    return this.#state
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks for the first page of what fits `query`. */
  async load(query = this.#query): Promise<void> {
    this.#query = query.trim()
    await this.#ask(null)
  }

  async more(): Promise<void> {
    if (this.#cursor !== null) await this.#ask(this.#cursor)
  }

  /** The network came back, or somebody looks at the list again: what waits for its next attempt makes it now. */
  wake(): void {
    if (!this.#state.offline) return
    this.#unanswered = 0
    void this.load()
  }

  stop(): void {
    this.#asking?.abort()
    clearTimeout(this.#again)
  }

  async #ask(cursor: string | null): Promise<void> {
    this.stop()
    const asking = new AbortController()
    this.#asking = asking
    this.#set({ busy: true })
    this.#local = await this.#localDesigns.list(this.#user).catch(() => this.#local)
    if (asking.signal.aborted) return
    try {
      const page = await this.#api.listDesigns({
        ...(this.#query === '' ? {} : { q: this.#query }),
        ...(cursor === null ? {} : { cursor }),
        signal: asking.signal
      })
      if (!asking.signal.aborted) this.#take(page, cursor)
    } catch (error) {
      if (!asking.signal.aborted) this.#failed(error)
    }
  }

  #take(page: DesignPage, cursor: string | null): void {
    const known = new Set(this.#items.map(each => each.id))
    // A design that changed meanwhile may come again on a later page.
    const fresh = cursor === null ? page.items : page.items.filter(each => !known.has(each.id))
    this.#unanswered = 0
    this.#items = cursor === null ? fresh : [...this.#items, ...fresh]
    this.#cursor = page.next_cursor
    this.#whole = this.#query === '' && page.next_cursor === null
    if (this.#query === '' && cursor === null) cacheDesigns(this.#user, page.items)
    this.#set({
      rows: this.#rows(),
      busy: false,
      more: this.#cursor !== null,
      offline: false,
      problem: null,
      told: true
    })
  }

  #failed(error: unknown): void {
    if (error instanceof SignedOut) return
    if (!(error instanceof Unreachable)) {
      this.#set({ busy: false, problem: messageOf(error), told: true })
      return
    }
    this.#items = cachedDesigns(this.#user)
    this.#cursor = null
    this.#whole = false
    this.#set({ rows: this.#offlineRows(), busy: false, more: false, offline: true, problem: null, told: true })
    const pause = Math.min(AGAIN_MAX_MS, AGAIN_FIRST_MS * 2 ** this.#unanswered)
    this.#unanswered += 1
    this.#again = setTimeout(() => void this.load(), pause)
  }

  #rows(): DesignRow[] {
    const local = new Map(this.#local.map(each => [each.design, each]))
    const rows = this.#items.map(each => ({ ...each, local: local.get(each.id) ?? null, orphan: false }))
    if (!this.#whole) return rows
    const listed = new Set(this.#items.map(each => each.id))
    const lost = this.#local.filter(each => !listed.has(each.design) && 0 < each.unsaved + each.recoveries)
    return [...rows, ...lost.map(each => rowOf(each, true))]
  }

  /** What was last listed, and what this device has opened: newest first, searched here. */
  #offlineRows(): DesignRow[] {
    const local = new Map(this.#local.map(each => [each.design, each]))
    const listed = new Set(this.#items.map(each => each.id))
    const rows = this.#items.map(each => ({ ...each, local: local.get(each.id) ?? null, orphan: false }))
    const others = this.#local.filter(each => !listed.has(each.design)).map(each => rowOf(each, false))
    const wanted = this.#query.toLowerCase()
    return [...rows, ...others]
      .filter(row => row.name.toLowerCase().includes(wanted))
      .sort((a, b) => Number(b.local !== null) - Number(a.local !== null))
  }

  #set(change: Partial<ListState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of [...this.#listeners]) listener()
  }
}

function rowOf(local: LocalDesign, orphan: boolean): DesignRow {
  const updated_at = new Date(local.openedAt).toISOString()
  return { id: local.design, name: local.name, role: local.role ?? 'viewer', updated_at, local, orphan }
}
