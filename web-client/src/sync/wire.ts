// The messages of the protocol (docs/PROTOCOL.md, Messages) as values, and back. Total: whatever arrives becomes a message or a `MalformedMessage`.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { type Notice, readNotice } from './notices'

const SYNC = 0
const AWARENESS = 1
const QUERY_AWARENESS = 3
const SAVED = 120
const NOTICE = 121
const RENEW = 122

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

/** What the server says. */
export type Incoming =
  | { type: 'step1'; stateVector: Uint8Array }
  | { type: 'step2'; update: Uint8Array }
  | { type: 'update'; update: Uint8Array }
  | { type: 'awareness'; update: Uint8Array }
  | { type: 'saved'; n: number }
  | { type: 'notice'; notice: Notice }
  /** A type that this page does not know: ignored (R-SYNC-2). */
  | { type: 'unknown' }

/** Bytes that are no message of the protocol: a bug of one of the two sides. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

/** Reads one message, which must be complete, with nothing behind it (R-SYNC-1). Throws `MalformedMessage`. */
export function decode(bytes: Uint8Array): Incoming {
  const decoder = decoding.createDecoder(bytes)
  try {
    const message = read(decoder)
    if (message.type !== 'unknown' && decoding.hasContent(decoder))
      throw new MalformedMessage('bytes behind the message')
    return message
  } catch (error) {
    if (error instanceof MalformedMessage) throw error
    throw new MalformedMessage(error instanceof Error ? error.message : 'unreadable', { cause: error })
  }
}

function read(decoder: decoding.Decoder): Incoming {
  switch (readInteger(decoder)) {
    case SYNC:
      return readSync(decoder)
    case AWARENESS:
      return { type: 'awareness', update: readBytes(decoder) }
    case SAVED:
      return { type: 'saved', n: readInteger(decoder) }
    case NOTICE:
      return { type: 'notice', notice: readNoticeText(readBytes(decoder)) }
    default:
      return { type: 'unknown' }
  }
}

function readSync(decoder: decoding.Decoder): Incoming {
  const step = readInteger(decoder)
  switch (step) {
    case STEP_1:
      return { type: 'step1', stateVector: readBytes(decoder) }
    case STEP_2:
      return { type: 'step2', update: readBytes(decoder) }
    case UPDATE:
      return { type: 'update', update: readBytes(decoder) }
    default:
      throw new MalformedMessage(`a step ${step} of the sync protocol`)
  }
}

function readNoticeText(bytes: Uint8Array): Notice {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  const notice = readNotice(JSON.parse(text))
  if (notice === null) throw new MalformedMessage('a notice that is not as it should be')
  return notice
}

/** An unsigned integer up to 2^53 - 1 in as few bytes as it needs. */
function readInteger(decoder: decoding.Decoder): number {
  const start = decoder.pos
  const value = decoding.readVarUint(decoder)
  if (!Number.isSafeInteger(value)) throw new MalformedMessage('an integer above 2^53 - 1')
  if (start + 1 < decoder.pos && value < 128 ** (decoder.pos - start - 1)) {
    throw new MalformedMessage('an integer in more bytes than it needs')
  }
  return value
}

/** A copy: what is kept of a message must not keep the whole message. */
function readBytes(decoder: decoding.Decoder): Uint8Array {
  const length = readInteger(decoder)
  if (decoder.arr.length - decoder.pos < length) throw new MalformedMessage('cut short')
  return decoding.readUint8Array(decoder, length).slice()
}

const sync =
  (step: number) =>
  (payload: Uint8Array): Uint8Array =>
    encoding.encode(encoder => {
      encoding.writeVarUint(encoder, SYNC)
      encoding.writeVarUint(encoder, step)
      encoding.writeVarUint8Array(encoder, payload)
    })

export const encodeStep1 = sync(STEP_1)
export const encodeStep2 = sync(STEP_2)
export const encodeUpdate = sync(UPDATE)

export const encodeAwareness = (update: Uint8Array): Uint8Array =>
  encoding.encode(encoder => {
    encoding.writeVarUint(encoder, AWARENESS)
    encoding.writeVarUint8Array(encoder, update)
  })

export const encodeQueryAwareness = (): Uint8Array =>
  encoding.encode(encoder => encoding.writeVarUint(encoder, QUERY_AWARENESS))

export const encodeRenew = (accessToken: string): Uint8Array =>
  encoding.encode(encoder => {
    encoding.writeVarUint(encoder, RENEW)
    encoding.writeVarString(encoder, accessToken)
  })
