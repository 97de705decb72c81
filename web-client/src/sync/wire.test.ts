// The messages of docs/PROTOCOL.md, byte by byte.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decode,
  encodeAwareness,
  encodeQueryAwareness,
  encodeRenew,
  encodeStep1,
  encodeStep2,
  encodeUpdate,
  MalformedMessage
} from './wire'

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values)
const notice = (content: unknown): Uint8Array => {
  const text = new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content))
  return new Uint8Array([
    121,
    ...(text.length < 128 ? [text.length] : [(text.length % 128) + 128, Math.floor(text.length / 128)]),
    ...text
  ])
}

describe('the wire', () => {
  it('writes what the table of messages says', () => {
    expect(encodeStep1(bytes(7))).toEqual(bytes(0, 0, 1, 7))
    expect(encodeStep2(bytes(7, 8))).toEqual(bytes(0, 1, 2, 7, 8))
    expect(encodeUpdate(bytes())).toEqual(bytes(0, 2, 0))
    expect(encodeAwareness(bytes(1))).toEqual(bytes(1, 1, 1))
    expect(encodeQueryAwareness()).toEqual(bytes(3))
    expect(encodeRenew('ab')).toEqual(bytes(122, 2, 97, 98))
  })

  it('reads what the server says', () => {
    expect(decode(bytes(0, 0, 1, 7))).toEqual({ type: 'step1', stateVector: bytes(7) })
    expect(decode(bytes(0, 1, 0))).toEqual({ type: 'step2', update: bytes() })
    expect(decode(bytes(0, 2, 1, 9))).toEqual({ type: 'update', update: bytes(9) })
    expect(decode(bytes(1, 1, 0))).toEqual({ type: 'awareness', update: bytes(0) })
    expect(decode(bytes(120, 0x80, 1))).toEqual({ type: 'saved', n: 128 })
    expect(decode(notice({ type: 'role.changed', role: 'viewer', more: 1 }))).toEqual({
      type: 'notice',
      notice: { type: 'role.changed', role: 'viewer' }
    })
  })

  it('gives the least rights to a role that it does not know, and has limits where none are named', () => {
    expect(decode(notice({ type: 'hello', role: 'emperor', epoch: 1, seq: 2 }))).toMatchObject({
      notice: { role: 'viewer', limits: { update_bytes_max: 1 << 20, document_bytes_max: 32 << 20 } }
    })
  })

  // R-SYNC-2, R-NOTE-1
  it('ignores messages and notices of types that it does not know', () => {
    for (const type of [2, 4, 99, 122]) expect(decode(bytes(type, 1, 2, 3))).toEqual({ type: 'unknown' })
    expect(decode(notice({ type: 'comment.added', by: 'ann' }))).toEqual({
      type: 'notice',
      notice: { type: 'unknown' }
    })
  })

  // R-SYNC-1
  it.each([
    ['nothing', bytes()],
    ['cut short', bytes(0, 2, 5, 1)],
    ['bytes behind it', bytes(120, 1, 0)],
    ['a fourth step', bytes(0, 3, 0)],
    ['an integer that never ends', bytes(120, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['an integer in more bytes than it needs', bytes(120, 0x81, 0x00)],
    ['text that is not UTF-8', bytes(121, 2, 0xc3, 0x28)],
    ['a notice that is not JSON', notice('{')],
    ['a notice without a type', notice({})],
    ['a notice without what belongs to it', notice({ type: 'refused', message: 'no' })]
  ])('says of %s that it is malformed', (_, message) => {
    expect(() => decode(message)).toThrow(MalformedMessage)
  })

  it('makes a message or a MalformedMessage of any bytes', () => {
    const first = fc.constantFrom(0, 1, 2, 3, 120, 121, 122)
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 40 }), (type, rest) => {
        try {
          decode(bytes(type, ...rest))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage)
        }
      })
    )
  })
})
