// Which designs this device has, of whom and from where: for the start page, and for signing out. A small database of its own lists them; what is told about
// each is read from the design's database itself, so that the number of unsaved edits is never a guess.

import { committed, done, openDatabase, trouble } from './idb'
import { databaseName } from './records'
import { DesignStore } from './store'
import type { LocalDesign } from './types'

const DESIGNS = 'designs'

function openIndex(factory: IDBFactory): Promise<IDBDatabase> {
  return openDatabase({
    factory,
    name: 'atlas designs of this device',
    version: 1,
    upgrade: database => void database.createObjectStore(DESIGNS),
    patienceMs: 4_000
  })
}

async function inIndex<T>(
  factory: IDBFactory,
  mode: IDBTransactionMode,
  work: (designs: IDBObjectStore) => Promise<T>
): Promise<T> {
  const database = await openIndex(factory)
  database.onversionchange = () => database.close()
  try {
    const transaction = database.transaction([DESIGNS], mode)
    const end = committed(transaction)
    const result = await work(transaction.objectStore(DESIGNS))
    await end
    return result
  } catch (error) {
    throw trouble(error)
  } finally {
    database.close()
  }
}

/** Lists a design as one that this device has. */
export function remember(server: string, user: string, design: string, factory = indexedDB): Promise<void> {
  return inIndex(factory, 'readwrite', async designs => {
    await done(designs.put(true, [new URL(server).origin, user, design]))
  })
}

/** The designs of this person on this device, the one opened last first. Rejects with `StorageTrouble`. */
export async function localDesigns(server: string, user: string, factory = indexedDB): Promise<LocalDesign[]> {
  const origin = new URL(server).origin
  const keys = await inIndex(factory, 'readonly', designs => done(designs.getAllKeys()))
  const found: LocalDesign[] = []
  for (const key of keys) {
    if (!Array.isArray(key) || key[0] !== origin || key[1] !== user) continue
    // One that cannot be read takes none of the others along. What is in it is not known: it counts as something that is only here.
    const design = String(key[2])
    const local = await read(factory, server, user, design).catch(() => unreadable(design))
    if (local !== null) found.push(local)
  }
  return found.sort((a, b) => b.openedAt - a.openedAt)
}

const unreadable = (design: string): LocalDesign => ({
  design,
  name: 'A design that this device cannot read',
  role: null,
  unsaved: 0,
  recoveries: 0,
  isUnreadable: true,
  openedAt: 0
})

async function read(factory: IDBFactory, server: string, user: string, design: string): Promise<LocalDesign | null> {
  const store = await DesignStore.open(factory, databaseName(server, user, design), () => {})
  try {
    const { facts, unsaved, recoveries } = await store.summary()
    // Listed, and never seen: it cannot be opened here without the server.
    if (!facts.isSynced && unsaved === 0 && recoveries === 0) return null
    return {
      design,
      name: facts.name,
      role: facts.role,
      unsaved,
      recoveries,
      isUnreadable: false,
      openedAt: facts.openedAt
    }
  } finally {
    await store.close()
  }
}

/**
 * Removes a design from this device, unless something of it is only here: an edit that is not saved, a recovery file. Then everything stays, and the answer is
 * false. What remains is an empty database, still listed: a tab that has the design open goes on, and what it writes later is kept and found like any edit
 * (its base comes from the server). Deleting the database would take such an edit along.
 */
export async function forget(server: string, user: string, design: string, factory = indexedDB): Promise<boolean> {
  const store = await DesignStore.open(factory, databaseName(server, user, design), () => {})
  try {
    return await store.empty()
  } finally {
    await store.close()
  }
}
