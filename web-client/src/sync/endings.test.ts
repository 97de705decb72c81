import { describe, expect, it } from 'vitest'
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, backoff } from './backoff'
import { endingOf } from './endings'
import { socketAddress } from './socket'

describe('how a socket ends', () => {
  // CLOSE
  it.each([
    [1000, '', { next: 'again', afterMs: null, overloaded: false }],
    [1006, '', { next: 'again', afterMs: null, overloaded: false }],
    [1012, '{"retry_after_ms": 700}', { next: 'again', afterMs: 700, overloaded: false }],
    [1012, 'soon', { next: 'again', afterMs: null, overloaded: false }],
    [1012, '{"retry_after_ms": -1}', { next: 'again', afterMs: null, overloaded: false }],
    [1013, 'busy', { next: 'again', afterMs: null, overloaded: true }],
    [4401, '', { next: 'ask-who' }],
    [4403, '', { next: 'final', final: { kind: 'removed', why: 'not-a-member' } }],
    [4404, '', { next: 'final', final: { kind: 'removed', why: 'deleted' } }],
    [4408, '', { next: 'renew' }],
    [4409, '', { next: 'reset' }]
  ])('%i %s', (code, reason, ending) => {
    expect(endingOf(code, reason)).toEqual(ending)
  })

  it.each([4400, 4413, 4499])('%i is a bug, and says so', code => {
    expect(endingOf(code, 'why')).toMatchObject({
      next: 'final',
      final: { kind: 'broken', reason: expect.stringContaining('why') }
    })
  })
})

describe('the pause before the next attempt', () => {
  it('lies between nothing and a bound that doubles up to a quarter of a minute', () => {
    expect(backoff(1, 0)).toBe(0)
    expect([1, 2, 3].map(failed => backoff(failed, 1))).toEqual([1, 2, 4].map(times => times * BACKOFF_FIRST_MS))
    expect([7, 100, 100_000].map(failed => backoff(failed, 1))).toEqual([
      BACKOFF_MAX_MS,
      BACKOFF_MAX_MS,
      BACKOFF_MAX_MS
    ])
  })
})

describe('the address of the socket', () => {
  it('is the server’s own, with the ticket and the epoch', () => {
    expect(socketAddress('https://atlas.test', 'd-1', 'a+b/c', 3)).toBe(
      'wss://atlas.test/ws/d-1?token=a%2Bb%2Fc&epoch=3'
    )
    expect(socketAddress('http://atlas.test:3000', 'd-1', 't', null)).toBe('ws://atlas.test:3000/ws/d-1?token=t')
  })
})
