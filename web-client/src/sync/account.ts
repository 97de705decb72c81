// The person at this page. The access token lives in memory only; the refresh token is a cookie that scripts cannot read. Each use of it yields the next
// one and spends it, so tabs take turns (a Web Lock), and the result is not shared between them: every tab holds a token of its own.

import { ACCOUNT_KEY, type Person, readPerson, recall, remember } from './person'
import { ApiProblem, entry, problemOf, SignedOut, Unreachable } from './problems'

export type AccountState =
  /** `ended`: whose login ended without their doing; their work is still on this device. Null: signed out, or never signed in. */
  | { readonly kind: 'signed-out'; readonly ended: Person | null }
  /** `reachable`: whether the server answered when it was last asked. */
  | { readonly kind: 'signed-in'; readonly person: Person; readonly reachable: boolean }

export interface Account {
  /** A new object whenever anything in it changed. */
  readonly state: AccountState
  subscribe(listener: () => void): () => void
  /**
   * A token that is good for at least a minute. Throws `SignedOut` when the server refused to renew the login (or nobody is signed in), and
   * `Unreachable` when it could not be asked: that never signs anybody out. `fresh`: one made just now, which lives as long as one can.
   */
  accessToken(wanted?: { fresh: boolean }): Promise<string>
  /** The server turned this token down: the next call of `accessToken` gets another one. */
  discard(token: string): void
  login(credentials: { email: string; password: string }): Promise<Person>
  register(account: { email: string; password: string; name?: string }): Promise<Person>
  /** Ends the login. False: the server could not be told now, and will be at the next opportunity. */
  logout(): Promise<boolean>
  /** Others who talk to the server say here whether it answered. */
  heard(reachable: boolean): void
  stop(): void
}

export interface AccountSeams {
  fetch: typeof fetch
  storage: Storage
  /** Missing where the page has no secure context: tabs then cannot take turns. */
  locks: Pick<LockManager, 'request'> | undefined
  /** Milliseconds since 1970. */
  now: () => number
  /** Where `storage` events of other tabs, and `online`, arrive. */
  events: Pick<Window, 'addEventListener' | 'removeEventListener'>
}

/** A token is renewed this long before it expires, in milliseconds. */
const EARLY_MS = 60_000
/** Milliseconds. A little above what the server gives a request: giving up before it answered would throw away the next refresh token. */
const ANSWER_MS_MAX = 35_000
const LOCK = 'atlas-refresh'
/** A login that could not be ended at the server is ended at the next opportunity. */
const LOGOUT_DUE_KEY = 'atlas.logout-due'

interface Token {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export function createAccount(seams: AccountSeams): Account {
  return new BrowserAccount(seams)
}

class BrowserAccount implements Account {
  readonly #seams: AccountSeams
  readonly #listeners = new Set<() => void>()
  #state: AccountState
  #token: Token | null = null
  /** The refresh that is under way, and whose login it renews: everybody in this tab waits for the same one. */
  #renewing: { person: string; token: Promise<string> } | null = null

  constructor(seams: AccountSeams) {
    this.#seams = seams
    this.#state = this.#recalled()
    seams.events.addEventListener('storage', this.#onStorage)
    seams.events.addEventListener('online', this.#onOnline)
    this.#onOnline()
  }

  get state(): AccountState {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async accessToken({ fresh }: { fresh: boolean } = { fresh: false }): Promise<string> {
    if (this.#state.kind === 'signed-out') throw new SignedOut()
    const lasts = this.#token !== null && this.#seams.now() < this.#token.expiresAt - EARLY_MS
    if (this.#token !== null && lasts && !fresh) return this.#token.text
    const { person } = this.#state
    if (this.#renewing?.person === person.id) return this.#renewing.token
    const token = this.#renew(person).finally(() => {
      if (this.#renewing?.token === token) this.#renewing = null
    })
    this.#renewing = { person: person.id, token }
    return token
  }

  discard(token: string): void {
    if (this.#token?.text === token) this.#token = null
  }

  login(credentials: { email: string; password: string }): Promise<Person> {
    return this.#enter('login', credentials)
  }

  register(account: { email: string; password: string; name?: string }): Promise<Person> {
    return this.#enter('register', account)
  }

  async logout(): Promise<boolean> {
    this.#token = null
    this.#setDue(true)
    remember(this.#seams.storage, null)
    this.#set({ kind: 'signed-out', ended: null })
    return this.#payLogout()
  }

  heard(reachable: boolean): void {
    if (this.#state.kind === 'signed-in' && this.#state.reachable !== reachable)
      this.#set({ ...this.#state, reachable })
  }

  stop(): void {
    this.#seams.events.removeEventListener('storage', this.#onStorage)
    this.#seams.events.removeEventListener('online', this.#onOnline)
  }

  /** Asks for a new token by the cookie, one tab at a time. */
  async #renew(person: Person): Promise<string> {
    const response = await this.#inTurn(() => this.#post('refresh'))
    if (this.#state.kind !== 'signed-in' || this.#state.person.id !== person.id) throw new SignedOut()
    if (response.status === 401) {
      this.#token = null
      remember(this.#seams.storage, { person, ended: true })
      this.#set({ kind: 'signed-out', ended: person })
      throw new SignedOut()
    }
    if (!response.ok) throw await this.#failed(response)
    const renewed = await this.#accept(response)
    // The cookie is the browser's: in another tab somebody else may have signed in with it. What was asked for is not theirs.
    if (renewed.id !== person.id) throw new SignedOut('Somebody else signed in with this browser.')
    return this.#token?.text ?? ''
  }

  async #enter(path: 'login' | 'register', body: object): Promise<Person> {
    if (this.#logoutIsDue()) await this.#payLogout()
    const response = await this.#inTurn(() => this.#post(path, body))
    if (!response.ok) throw await problemOf(response)
    this.#setDue(false)
    return this.#accept(response)
  }

  /** Takes over what a grant says. */
  async #accept(response: Response): Promise<Person> {
    const grant: unknown = await response.json().catch(() => null)
    const [text, seconds] = [entry(grant, 'access_token'), entry(grant, 'expires_in')]
    const person = readPerson(entry(grant, 'user'))
    if (typeof text !== 'string' || typeof seconds !== 'number' || person === null) {
      throw new ApiProblem(
        response.status,
        'unreadable',
        'The server answered in a way that this page does not understand.'
      )
    }
    this.#token = { text, expiresAt: this.#seams.now() + seconds * 1000 }
    remember(this.#seams.storage, { person, ended: false })
    this.#set({ kind: 'signed-in', person, reachable: true })
    return person
  }

  /** An error that is not the end of the login. */
  async #failed(response: Response): Promise<ApiProblem | Unreachable> {
    const problem = await problemOf(response)
    if (500 <= response.status) this.heard(false)
    return 500 <= response.status ? new Unreachable(problem.message) : problem
  }

  async #post(path: string, body?: object): Promise<Response> {
    try {
      return await this.#seams.fetch(`/api/v1/auth/${path}`, {
        method: 'POST',
        credentials: 'same-origin',
        headers: { 'Content-Type': 'application/json' },
        // The endpoints take a JSON object; the cookie says the rest.
        body: JSON.stringify(body ?? {}),
        signal: AbortSignal.timeout(ANSWER_MS_MAX)
      })
    } catch {
      this.heard(false)
      throw new Unreachable()
    }
  }

  async #inTurn(act: () => Promise<Response>): Promise<Response> {
    const { locks } = this.#seams
    return locks === undefined ? act() : await locks.request(LOCK, act)
  }

  async #payLogout(): Promise<boolean> {
    try {
      const response = await this.#inTurn(() => this.#post('logout'))
      if (!response.ok && response.status !== 401) return false
    } catch {
      return false
    }
    this.#setDue(false)
    return true
  }

  #logoutIsDue(): boolean {
    try {
      return this.#seams.storage.getItem(LOGOUT_DUE_KEY) !== null
    } catch {
      return false
    }
  }

  #setDue(due: boolean): void {
    try {
      if (due) this.#seams.storage.setItem(LOGOUT_DUE_KEY, '1')
      else this.#seams.storage.removeItem(LOGOUT_DUE_KEY)
    } catch {
      // Without storage there is nothing that could remember it.
    }
  }

  readonly #onOnline = (): void => {
    if (this.#logoutIsDue() && this.#state.kind === 'signed-out') void this.#payLogout()
  }

  /** Another tab signed somebody in or out. */
  readonly #onStorage = (event: StorageEvent): void => {
    if (event.key !== ACCOUNT_KEY && event.key !== null) return
    const next = this.#recalled()
    const [mine, theirs] = [personOf(this.#state), personOf(next)]
    if (mine?.id === theirs?.id && this.#state.kind === next.kind) return
    this.#token = null
    this.#set(next)
  }

  #recalled(): AccountState {
    const kept = recall(this.#seams.storage)
    if (kept === null) return { kind: 'signed-out', ended: null }
    return kept.ended
      ? { kind: 'signed-out', ended: kept.person }
      : { kind: 'signed-in', person: kept.person, reachable: true }
  }

  #set(state: AccountState): void {
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}

function personOf(state: AccountState): Person | null {
  return state.kind === 'signed-in' ? state.person : state.ended
}
