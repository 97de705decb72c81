// What several elements say together.

import { same } from '../design/edits'
import type { Json } from '../design/elements'

export type Common =
  /** All say the same; undefined: none says anything. */
  { several: false; value: Json | undefined } | { several: true }

export function common<T>(items: readonly T[], pick: (item: T) => Json | undefined): Common {
  const [first] = items
  if (first === undefined) return { several: false, value: undefined }
  const value = pick(first)
  return items.every(item => same(pick(item), value)) ? { several: false, value } : { several: true }
}

/** Whether a text field can show it: everything else is shown as JSON. */
export function isText(value: Json | undefined): value is string | number | undefined {
  return value === undefined || typeof value === 'string' || typeof value === 'number'
}

/** Keys that only these elements have beyond `known`, sorted; a known key whose value no text field can show is among them. */
export function rawKeys(
  objects: readonly Readonly<Record<string, Json | undefined>>[],
  known: readonly string[]
): string[] {
  const keys = new Set<string>()
  for (const object of objects) {
    for (const [key, value] of Object.entries(object)) if (!known.includes(key) || !isText(value)) keys.add(key)
  }
  return [...keys].sort()
}
