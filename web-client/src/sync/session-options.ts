// What it takes to open a design.

import type { Credentials } from './credentials'
import { browserEvents, type PageEvents } from './page-events'
import { type OpenSocket, openBrowserSocket } from './socket'

export interface OpenDesign {
  /** Origin of the server: `https://atlas.example.org`. */
  server: string
  /** Id of the person who is signed in (or was, when this device was last online). */
  user: string
  design: string
  credentials: Credentials
  /** The world outside, which tests bring along. */
  outside?: Partial<Outside>
}

export interface Outside {
  /** Null: this browser has none. */
  indexedDB: IDBFactory | null
  openSocket: OpenSocket
  page: PageEvents
  /** In [0, 1). */
  random: () => number
  /** How often other tabs' edits are looked for, in milliseconds. */
  pollMs: number
}

export const POLL_MS = 1_000

/** The world as a browser has it. */
export function browser(): Outside {
  return {
    indexedDB: typeof indexedDB === 'undefined' ? null : indexedDB,
    openSocket: openBrowserSocket,
    page: browserEvents,
    random: Math.random,
    pollMs: POLL_MS
  }
}
