// JSON that a person typed, held to what a document can hold: bad JSON changes nothing, and the person reads why.

import type { Json } from '../design/elements'
import { KEY_BYTES_MAX, UPDATE_BYTES_MAX, VALUE_DEPTH_MAX } from '../design/limits'

export type JsonRead = { ok: true; value: Json } | { ok: false; message: string }

/** An update carries more than the value: half of its bound is room enough for both. */
const VALUE_BYTES_MAX = UPDATE_BYTES_MAX / 2

export function readJson(text: string): JsonRead {
  if (text.trim() === '') return bad('This is empty. Write null for "nothing", or remove the key.')
  if (VALUE_BYTES_MAX < bytesOf(text)) return bad(`This is longer than ${VALUE_BYTES_MAX / 1024} KiB.`)
  let value: Json
  try {
    value = JSON.parse(text)
  } catch (error) {
    return bad(`This is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const wrong = wrongIn(value, 1)
  return wrong === null ? { ok: true, value } : bad(wrong)
}

export function showJson(value: Json): string {
  return JSON.stringify(value, null, 2)
}

/** Why something is no key of a document, or null. */
export function wrongKey(key: string): string | null {
  if (key === '') return 'A key has at least one character.'
  if (key === '__proto__') return 'The key __proto__ cannot be kept.'
  return KEY_BYTES_MAX < bytesOf(key) ? `A key has at most ${KEY_BYTES_MAX} bytes.` : null
}

const bad = (message: string): JsonRead => ({ ok: false, message })
const bytesOf = (text: string): number => new TextEncoder().encode(text).length

function wrongIn(value: Json, depth: number): string | null {
  if (typeof value === 'number' && !Number.isFinite(value)) return 'A number in it is too large.'
  if (typeof value !== 'object' || value === null) return null
  if (VALUE_DEPTH_MAX < depth) return `It is nested more than ${VALUE_DEPTH_MAX} levels deep.`
  for (const [key, each] of Object.entries(value)) {
    const wrong = (Array.isArray(value) ? null : key === '' ? null : wrongKey(key)) ?? wrongIn(each, depth + 1)
    if (wrong !== null) return wrong
  }
  return null
}
