// One socket at a time, for ever: when the connection tries, waits, gives up, and hears that nobody is there any more. Time is the test's own.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Connector, type ConnectorEvents, SILENCE_MAX_MS, TICKET_MAX_MS } from './connector'
import { CredentialError, type CredentialProblem } from './credentials'
import type { RawSocketEvents } from './socket'

const hello = { type: 'hello', role: 'editor', epoch: 1, seq: 0, limits: {} }
const notice = (content: object): Uint8Array => {
  const text = new TextEncoder().encode(JSON.stringify(content))
  return new Uint8Array([121, text.length, ...text])
}

function line() {
  const sockets: (RawSocketEvents & { address: string; sent: Uint8Array[]; isClosed: boolean })[] = []
  const log: string[] = []
  let problem: CredentialProblem | 'hangs' | null = null
  let tickets = 0
  const events: ConnectorEvents = {
    opened: () => log.push('opened'),
    received: message => log.push(message.type),
    lost: () => log.push('lost'),
    reset: () => log.push('reset'),
    final: final => log.push(final.kind === 'removed' ? final.why : final.kind)
  }
  const connector = new Connector({
    credentials: {
      ticket: async () => {
        if (problem === 'hangs') return new Promise<string>(() => {})
        if (problem !== null) throw new CredentialError(problem, problem)
        tickets += 1
        return `ticket-${tickets}`
      },
      accessToken: async ({ fresh }) => (fresh ? 'fresh' : 'held')
    },
    address: ticket => ticket,
    openSocket: (address, socketEvents) => {
      const socket = { ...socketEvents, address, sent: [] as Uint8Array[], isClosed: false }
      sockets.push(socket)
      return {
        send: message => socket.sent.push(message),
        close: () => {
          socket.isClosed = true
        }
      }
    },
    random: () => 0.5,
    events
  })
  const last = () => {
    const socket = sockets.at(-1)
    if (socket === undefined) throw new Error('no socket yet')
    return socket
  }
  const begin = async (): Promise<void> => {
    connector.start()
    await vi.advanceTimersByTimeAsync(0)
    last().opened()
    last().message(notice(hello))
    connector.succeeded()
  }
  return {
    connector,
    sockets,
    log,
    last,
    begin,
    fail: (next: typeof problem) => {
      problem = next
    }
  }
}
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

describe('the connection', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('buys a fresh ticket for every attempt, and waits longer each time in vain', async () => {
    const { sockets, begin, last } = line()
    await begin()
    const waited: number[] = []
    for (let each = 0; each < 9; each += 1) {
      const before = sockets.length
      last().closed(1006, '')
      let ms = 0
      while (sockets.length === before) {
        await pass(50)
        ms += 50
      }
      waited.push(ms)
    }
    expect(waited).toEqual([150, 300, 600, 1_200, 2_400, 4_800, 7_500, 7_500, 7_500])
    expect(new Set(sockets.map(({ address }) => address)).size).toBe(sockets.length)
  })

  it('waits as long as a restarting server says, unless somebody wants it now', async () => {
    const { connector, sockets, begin, last } = line()
    await begin()
    last().closed(1012, '{"retry_after_ms": 5000}')
    await pass(4_999)
    expect(sockets).toHaveLength(1)
    await pass(1)
    expect(sockets).toHaveLength(2)
    last().opened()
    last().message(notice({ type: 'restarting', retry_after_ms: 9000 }))
    last().closed(1006, '')
    await pass(8_000)
    expect(sockets).toHaveLength(2)
    connector.retry()
    await pass(0)
    expect(sockets).toHaveLength(3)
  })

  it('does not come back within a moment to a server that has too much to do', async () => {
    const { sockets, begin, last } = line()
    await begin()
    last().closed(1013, 'too much')
    await pass(1_000)
    expect(sockets).toHaveLength(1)
    await pass(500)
    expect(sockets).toHaveLength(2)
  })

  it('comes back at once with a new ticket when the credential expired', async () => {
    const { sockets, begin, last } = line()
    await begin()
    last().closed(4408, '')
    await pass(0)
    expect(sockets).toHaveLength(2)
    // Not in a loop, though.
    last().closed(4408, '')
    await pass(100)
    expect(sockets).toHaveLength(2)
  })

  it.each([
    ['forbidden', 'not-a-member'],
    ['not-found', 'deleted'],
    ['signed-out', 'signed-out']
  ] as const)('ends for good when the ticket is refused: %s', async (problem, told) => {
    const { connector, sockets, log, fail } = line()
    fail(problem)
    connector.start()
    await pass(60_000)
    expect([log, sockets.length]).toEqual([[told], 0])
    fail(null)
    connector.retry()
    await pass(0)
    expect(sockets).toHaveLength(1)
  })

  it('goes on trying while the server cannot be reached, and when a ticket never comes', async () => {
    const { connector, sockets, log, fail } = line()
    fail('unreachable')
    connector.start()
    await pass(60_000)
    fail('hangs')
    await pass(TICKET_MAX_MS)
    fail(null)
    await pass(TICKET_MAX_MS + 15_000)
    expect([log, sockets.length]).toEqual([[], 1])
  })

  it('believes 4401 only when a fresh ticket meets it too', async () => {
    const { sockets, log, begin, last } = line()
    await begin()
    last().closed(4401, '')
    await pass(0)
    expect(sockets).toHaveLength(2)
    last().closed(4401, '')
    await pass(60_000)
    expect([sockets.length, log.at(-1)]).toEqual([2, 'signed-out'])
  })

  it.each([
    [4400, 'broken'],
    [4403, 'not-a-member'],
    [4404, 'deleted'],
    [4409, 'reset'],
    [4413, 'broken']
  ])('%i ends it: %s', async (code, told) => {
    const { sockets, log, begin, last } = line()
    await begin()
    last().closed(code, '')
    await pass(60_000)
    expect([sockets.length, log.slice(-2)]).toEqual([1, ['lost', told]])
  })

  it('hears silence', async () => {
    const { sockets, log, begin, last } = line()
    await begin()
    await pass(SILENCE_MAX_MS - 1)
    last().message(new Uint8Array([1, 1, 0]))
    await pass(SILENCE_MAX_MS - 1)
    expect(sockets).toHaveLength(1)
    await pass(1_000)
    expect(sockets).toHaveLength(2)
    expect(sockets[0]?.isClosed).toBe(true)
    expect(log.at(-1)).toBe('lost')
    // One that never opens is given up too; what an old one still says is nobody's.
    await pass(SILENCE_MAX_MS + 1_000)
    expect(sockets).toHaveLength(3)
    const count = log.length
    sockets[0]?.opened()
    sockets[0]?.message(new Uint8Array([1, 1, 0]))
    sockets[0]?.closed(4404, '')
    expect(log).toHaveLength(count)
  })

  it('hears silence also after the clock was put back', async () => {
    const { sockets, begin } = line()
    await begin()
    vi.setSystemTime(Date.now() - 7_200_000)
    await pass(2 * SILENCE_MAX_MS + 1_000)
    expect(sockets).toHaveLength(2)
  })

  it('says that it is broken when the server speaks another language', async () => {
    const { sockets, log, begin, last } = line()
    await begin()
    last().message(new Uint8Array([0, 9]))
    await pass(60_000)
    expect([sockets.length, log.slice(-2)]).toEqual([1, ['lost', 'broken']])
  })

  // R-TIME-2, R-TIME-3
  it('renews at hello, then well before each expiry, and tries again when a renewal is refused', async () => {
    const { begin, last } = line()
    const renewals = (): string[] => last().sent.map(message => new TextDecoder().decode(message.slice(2)))
    await begin()
    await pass(0)
    expect(renewals()).toEqual(['held'])
    last().message(notice({ type: 'renewed', expires_in: 20 }))
    await pass(13_999)
    last().message(new Uint8Array([1, 1, 0]))
    expect(renewals()).toHaveLength(1)
    await pass(1)
    expect(renewals()).toEqual(['held', 'fresh'])
    last().message(notice({ type: 'refused', code: 'bad_credential', message: 'no', reset: false }))
    await pass(2_000)
    expect(renewals()).toEqual(['held', 'fresh', 'fresh'])
  })
})
