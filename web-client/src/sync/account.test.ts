// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Account, type AccountSeams, createAccount } from './account'
import { ACCOUNT_KEY } from './person'
import { ApiProblem, SignedOut, Unreachable } from './problems'

const ADA = { id: 'u-ada', email: 'ada@example.org', name: 'Ada', role: 'architect' }
const BOB = { id: 'u-bob', email: 'bob@example.org', name: 'Bob', role: 'architect' }

/** A server with one browser's cookie: each refresh spends it, and using a spent one would end the session. */
class Server {
  now = 1_000_000
  up = true
  /** What the next request is answered with, whatever it asks. */
  nextAnswer: Response | null = null
  person: typeof ADA | null = null
  readonly asked: string[] = []
  #cookie = 0
  #issued = 0

  readonly fetch: typeof fetch = async (input, init) => {
    const path = String(input).replace('/api/v1/auth/', '')
    this.asked.push(path)
    // The cookie is read when the request leaves, and replaced when the answer arrives.
    const presented = this.#cookie
    await new Promise(resolve => setTimeout(resolve, 1))
    if (!this.up) throw new TypeError('Failed to fetch')
    if (this.nextAnswer !== null) {
      const answer = this.nextAnswer
      this.nextAnswer = null
      return answer
    }
    switch (path) {
      case 'login':
      case 'register':
        this.person = String(init?.body).includes(BOB.email) ? BOB : ADA
        return this.#grant()
      case 'refresh':
        if (this.person === null || presented !== this.#cookie) {
          this.person = null
          return problem(401, 'invalid_refresh_token')
        }
        return this.#grant()
      default:
        this.person = null
        return new Response(null, { status: 204 })
    }
  }

  #grant(): Response {
    this.#cookie += 1
    this.#issued += 1
    const body = { access_token: `token-${this.#issued}`, expires_in: 900, user: this.person, token_type: 'Bearer' }
    return new Response(JSON.stringify(body), { status: 200 })
  }
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ code, detail: 'As the server says.', details: [] }), { status, headers })
}

/** One holder at a time, as the browser's locks are among tabs of one origin. */
function sharedLocks(): AccountSeams['locks'] {
  let last: Promise<unknown> = Promise.resolve()
  const request = (_name: string, act: unknown) => {
    const turn = last.then(() => (typeof act === 'function' ? act() : undefined))
    last = turn.catch(() => undefined)
    return turn
  }
  return { request: request as LockManager['request'] }
}

let server: Server
let locks: AccountSeams['locks']
const tabs: Account[] = []

function openTab(): Account {
  const tab = createAccount({
    fetch: server.fetch,
    storage: localStorage,
    locks,
    now: () => server.now,
    events: window
  })
  tabs.push(tab)
  return tab
}

async function signedIn(): Promise<Account> {
  const tab = openTab()
  await tab.login({ email: ADA.email, password: 'correct horse' })
  return tab
}

beforeEach(() => {
  server = new Server()
  locks = sharedLocks()
})
afterEach(() => {
  for (const tab of tabs.splice(0)) tab.stop()
  localStorage.clear()
})

describe('a login', () => {
  it('is remembered as a person, never as a token', async () => {
    await signedIn()
    expect(JSON.parse(localStorage.getItem(ACCOUNT_KEY) ?? '')).toEqual({ person: ADA, ended: false })
    expect(JSON.stringify({ ...localStorage })).not.toContain('token')
  })

  it('starts again from what is remembered, with the server gone', async () => {
    await signedIn()
    server.up = false
    const reloaded = openTab()
    expect(reloaded.state).toEqual({ kind: 'signed-in', person: ADA, reachable: true })
    await expect(reloaded.accessToken()).rejects.toBeInstanceOf(Unreachable)
    expect(reloaded.state).toEqual({ kind: 'signed-in', person: ADA, reachable: false })
  })

  it('that fails says why, and changes nothing', async () => {
    const tab = openTab()
    server.nextAnswer = problem(401, 'bad_credentials')
    await expect(tab.login({ email: ADA.email, password: 'wrong' })).rejects.toThrow('Email or password is wrong.')
    server.nextAnswer = problem(429, 'too_many_attempts', { 'Retry-After': '600' })
    await expect(tab.login({ email: ADA.email, password: 'wrong' })).rejects.toThrow('Try again in 10 minutes.')
    expect(tab.state).toEqual({ kind: 'signed-out', ended: null })
  })
})

describe('an access token', () => {
  it('serves until a minute before it expires', async () => {
    const tab = await signedIn()
    server.now += 839_000
    expect(await tab.accessToken()).toBe('token-1')
    server.now += 2_000
    expect(await tab.accessToken()).toBe('token-2')
  })

  it('is made anew when a fresh one is wanted', async () => {
    const tab = await signedIn()
    expect(await tab.accessToken({ fresh: true })).toBe('token-2')
    expect(await tab.accessToken()).toBe('token-2')
  })

  it('is renewed once, however many ask at the same time', async () => {
    const tab = await signedIn()
    tab.discard('token-1')
    expect(await Promise.all([tab.accessToken(), tab.accessToken(), tab.accessToken()])).toEqual(
      Array(3).fill('token-2')
    )
    expect(server.asked.filter(path => path === 'refresh')).toHaveLength(1)
  })

  it('of two tabs is renewed in turns: neither spends the other one’s cookie', async () => {
    const [first, second] = [await signedIn(), openTab()]
    server.now += 900_000
    const tokens = await Promise.all([first.accessToken(), second.accessToken()])
    expect(new Set(tokens).size).toBe(2)
    expect([first.state.kind, second.state.kind]).toEqual(['signed-in', 'signed-in'])
  })

  it('is asked for anew after a quick change of person: what was under way is not theirs', async () => {
    const tab = await signedIn()
    const adas = tab.accessToken({ fresh: true })
    adas.catch(() => undefined)
    // Another tab signs Bob in, before the server has answered.
    server.person = BOB
    localStorage.setItem(ACCOUNT_KEY, JSON.stringify({ person: BOB, ended: false }))
    window.dispatchEvent(new StorageEvent('storage', { key: ACCOUNT_KEY }))
    expect(await tab.accessToken()).toMatch(/^token-/)
    await expect(adas).rejects.toBeInstanceOf(SignedOut)
    expect(tab.state).toEqual({ kind: 'signed-in', person: BOB, reachable: true })
  })

  it('is not given out once somebody else signed in with the same cookie', async () => {
    const tab = await signedIn()
    server.person = BOB
    tab.discard('token-1')
    await expect(tab.accessToken()).rejects.toBeInstanceOf(SignedOut)
    expect(tab.state).toEqual({ kind: 'signed-in', person: BOB, reachable: true })
  })
})

describe('a refresh that fails', () => {
  it('by 401 ends the login, and remembers whose it was', async () => {
    const tab = await signedIn()
    server.person = null
    tab.discard('token-1')
    await expect(tab.accessToken()).rejects.toBeInstanceOf(SignedOut)
    expect(tab.state).toEqual({ kind: 'signed-out', ended: ADA })
    expect(openTab().state).toEqual({ kind: 'signed-out', ended: ADA })
  })

  it.each([
    [
      'a network error',
      () => {
        server.up = false
      }
    ],
    [
      '503',
      () => {
        server.nextAnswer = problem(503, 'draining', { 'Retry-After': '5' })
      }
    ],
    [
      '500',
      () => {
        server.nextAnswer = problem(500, 'internal')
      }
    ],
    [
      'a proxy’s 502',
      () => {
        server.nextAnswer = new Response('<h1>Bad gateway</h1>', { status: 502 })
      }
    ]
  ])('by %s never signs anybody out', async (_name, happens) => {
    const tab = await signedIn()
    tab.discard('token-1')
    happens()
    await expect(tab.accessToken()).rejects.toBeInstanceOf(Unreachable)
    expect(tab.state).toEqual({ kind: 'signed-in', person: ADA, reachable: false })
    server.up = true
    expect(await tab.accessToken()).toMatch(/^token-/)
    expect(tab.state).toEqual({ kind: 'signed-in', person: ADA, reachable: true })
  })
})

describe('signing out', () => {
  it('ends the login at the server and forgets the person', async () => {
    const tab = await signedIn()
    expect(await tab.logout()).toBe(true)
    expect(tab.state).toEqual({ kind: 'signed-out', ended: null })
    expect(localStorage.length).toBe(0)
    await expect(tab.accessToken()).rejects.toBeInstanceOf(SignedOut)
  })

  it('while the server is gone is made good as soon as it is back', async () => {
    const tab = await signedIn()
    server.up = false
    expect(await tab.logout()).toBe(false)
    expect(tab.state).toEqual({ kind: 'signed-out', ended: null })
    server.up = true
    window.dispatchEvent(new Event('online'))
    await expect.poll(() => server.person).toBeNull()
    await expect.poll(() => localStorage.length).toBe(0)
  })

  it('reaches the other tabs', async () => {
    const [first, second] = [await signedIn(), openTab()]
    await first.logout()
    window.dispatchEvent(new StorageEvent('storage', { key: ACCOUNT_KEY }))
    expect(second.state).toEqual({ kind: 'signed-out', ended: null })
  })
})

it('an answer that is no grant is told as a bug, not as a login', async () => {
  const tab = openTab()
  server.nextAnswer = new Response('{"hello":"world"}', { status: 200 })
  await expect(tab.login({ email: ADA.email, password: 'x' })).rejects.toBeInstanceOf(ApiProblem)
  expect(tab.state.kind).toBe('signed-out')
})
