// Which designs this device has, of whom and from where: for the start page, and for signing out. A small database of its own lists them; what is told about
// each is read from the design's database itself, so that the number of unsaved edits is never a guess.

import { committed, done, openDatabase, trouble } from './idb'
import { databaseName, OWN, RECOVERIES, REMOVED_VERSION } from './records'
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
    const local = await read(factory, server, user, String(key[2]))
    if (local !== null) found.push(local)
  }
  return found.sort((a, b) => b.openedAt - a.openedAt)
}

async function read(factory: IDBFactory, server: string, user: string, design: string): Promise<LocalDesign | null> {
  const store = await DesignStore.open(factory, databaseName(server, user, design), () => {})
  try {
    const { facts, unsaved, recoveries } = await store.summary()
    // Listed, and never seen: it cannot be opened here without the server.
    if (!facts.isSynced && unsaved === 0 && recoveries === 0) return null
    return { design, name: facts.name, role: facts.role, unsaved, recoveries, openedAt: facts.openedAt }
  } finally {
    await store.close()
  }
}

/**
 * Removes a design from this device, unless something of it is only here: an edit that is not saved, a recovery file. Then everything stays, and the answer is
 * false. Looking and removing are one step: no other tab has the database open between the two. Tabs that had it open go on without a local copy and say so.
 */
export async function forget(server: string, user: string, design: string, factory = indexedDB): Promise<boolean> {
  const name = databaseName(server, user, design)
  // Most often this is enough to know, and disturbs nobody.
  if (await holdsMore(factory, name)) return false
  if (!(await retire(factory, name))) return false
  await new Promise<void>((resolve, reject) => {
    const request = factory.deleteDatabase(name)
    request.onsuccess = () => resolve()
    request.onerror = () => reject(trouble(request.error))
  })
  await inIndex(factory, 'readwrite', async designs => {
    await done(designs.delete([new URL(server).origin, user, design]))
  })
  return true
}

/** Something that the server does not have. */
async function holdsMore(factory: IDBFactory, name: string): Promise<boolean> {
  const store = await DesignStore.open(factory, name, () => {})
  try {
    const { unsaved, recoveries } = await store.summary()
    return 0 < unsaved + recoveries
  } finally {
    await store.close()
  }
}

/** Takes the database from all tabs for good, unless it holds more than the server: what was written until now counts, and nothing is written after. */
async function retire(factory: IDBFactory, name: string): Promise<boolean> {
  let holdsMore = false
  const upgrade = (_: IDBDatabase, from: number, transaction: IDBTransaction): void => {
    if (from === 0) return
    for (const kept of [OWN, RECOVERIES]) {
      const count = transaction.objectStore(kept).count()
      count.onsuccess = () => {
        if (count.result === 0) return
        holdsMore = true
        transaction.abort()
      }
    }
  }
  try {
    const database = await openDatabase({ factory, name, version: REMOVED_VERSION, upgrade, patienceMs: 4_000 })
    database.close()
    return true
  } catch (error) {
    if (holdsMore) return false
    throw error
  }
}
