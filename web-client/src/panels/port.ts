// Ports as people write them: a number where it is one, else their own words ('8000-8100', 'https').

import { PROTOCOLS } from '../design/vocabulary'

const PORT_MAX = 65_535

/** What to write for a typed port; undefined removes the key. */
export function portValue(typed: string): number | string | undefined {
  const port = typed.trim()
  if (port === '') return undefined
  // '0443' is somebody's own spelling: a number would not give it back.
  return /^(0|[1-9]\d{0,4})$/.test(port) && Number(port) <= PORT_MAX ? Number(port) : port
}

/** The protocol as the vocabulary writes it, with its usual port; null for one that it does not have. */
export function usualPort(protocol: string): { name: string; port: number } | null {
  const wanted = protocol.trim().toLowerCase()
  return PROTOCOLS.find(({ name }) => name.toLowerCase() === wanted) ?? null
}
