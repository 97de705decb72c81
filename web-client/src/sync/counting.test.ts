import { describe, expect, it } from 'vitest'
import { ProtocolError, SentMessages } from './counting'

describe('what Saved counts', () => {
  // R-COUNT-1, R-COUNT-3
  it('covers everything up to n, once', () => {
    const sent = new SentMessages<string>()
    for (const each of ['a', 'b', 'c']) sent.add(each)
    expect(sent.isSettled).toBe(false)
    expect(sent.covered(2)).toEqual(['a', 'b'])
    sent.add('d')
    expect(sent.covered(4)).toEqual(['c', 'd'])
    expect(sent.isSettled).toBe(true)
  })

  it.each([0, 1, 3])('does not believe Saved(%i) after Saved(1) with 2 sent', n => {
    const sent = new SentMessages<string>()
    sent.add('a')
    sent.add('b')
    sent.covered(1)
    expect(() => sent.covered(n)).toThrow(ProtocolError)
    expect(sent.isSettled).toBe(false)
  })
})
