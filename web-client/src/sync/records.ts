// What is stored on this device of one design, and how it is checked when it is read back.

import { z } from '../design/zod'
import type { Gesture, Value } from './gestures'
import type { RecoveryFile } from './types'

/** Names of the object stores, and of the one record of `facts`. */
export const ROWS = 'rows'
export const OWN = 'own'
export const FACTS = 'facts'
export const RECOVERIES = 'recoveries'
export const THE_FACTS = 'facts'

export const SCHEMA_VERSION = 1

/** Databases are named by server, user and design: people who share a browser share nothing else. */
export function databaseName(server: string, user: string, design: string): string {
  return `atlas design ${new URL(server).origin} ${user} ${design}`
}

export function createStores(database: IDBDatabase, from: number): void {
  if (from < 1) {
    // Updates, by ascending key; applied in this order each builds only on those before it.
    database.createObjectStore(ROWS, { autoIncrement: true })
    // For each row that is an own edit without a `Saved`: its gesture, under the key of the row.
    database.createObjectStore(OWN)
    database.createObjectStore(FACTS)
    database.createObjectStore(RECOVERIES, { keyPath: 'id' })
  }
}

export const facts = z.object({
  /** Grows whenever the document was made anew: rows of an older one are not for this one. */
  lineage: z.number().int().min(1),
  /** The server's whole document has been stored once: what is here may be shown. */
  isSynced: z.boolean(),
  epoch: z.number().int().nullable(),
  role: z.enum(['owner', 'editor', 'commenter', 'viewer']).nullable(),
  readOnly: z.string().nullable(),
  name: z.string(),
  openedAt: z.number()
})

export type Facts = z.infer<typeof facts>

export const NEW_FACTS: Facts = {
  lineage: 1,
  isSynced: false,
  epoch: null,
  role: null,
  readOnly: null,
  name: '',
  openedAt: 0
}

export const readFacts = (value: unknown): Facts => (value === undefined ? NEW_FACTS : facts.parse(value))

const json = z.json()
const value: z.ZodType<Value> = z.lazy(() =>
  z.union([z.object({ plain: json }), z.object({ map: z.record(z.string(), value) })])
)
const gesture: z.ZodType<Gesture> = z.object({
  client: z.number(),
  from: z.number(),
  to: z.number(),
  deletes: z.array(z.tuple([z.number(), z.number(), z.number()])),
  changes: z.array(z.object({ path: z.array(z.string()), value: value.nullable() })),
  at: z.number()
})

export const readGestureRecord = (record: unknown): Gesture => gesture.parse(record)

const update = z.instanceof(Uint8Array)
export const readRow = (record: unknown): Uint8Array => update.parse(record)

const recovery: z.ZodType<RecoveryFile> = z.object({
  id: z.string(),
  design: z.string(),
  at: z.number(),
  reason: z.string(),
  json: z.string(),
  update
})
export const readRecovery = (record: unknown): RecoveryFile => recovery.parse(record)
