// What stands on this device, by itself: several tabs, an old page, a full disk.

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import { afterEach, describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import type { Gesture } from './gestures'
import { openDatabase, type StorageTrouble } from './idb'
import { merged } from './merged'
import { SCHEMA_VERSION } from './records'
import { DesignStore, type Item, StaleLineage } from './store'

globalThis.IDBKeyRange = IDBKeyRange

const gesture = (at: number): Gesture => ({
  client: 1,
  from: 0,
  to: 1,
  deletes: [[1, 0, 1]],
  changes: [{ path: ['meta', 'a'], value: { map: { x: { plain: [1, null] } } } }],
  at
})

/** Edits of one document, one update each. */
function updates(count: number): Uint8Array[] {
  const doc = new Y.Doc()
  const found: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => found.push(update))
  for (let n = 0; n < count; n += 1) doc.getMap('meta').set(`k${n % 7}`, n)
  return found
}
const others = (list: Uint8Array[]): Item[] => list.map(update => ({ update, gesture: null }))
const contentOf = (list: Uint8Array[]): unknown => {
  const doc = new Y.Doc()
  for (const update of list) Y.applyUpdate(doc, update)
  expect(doc.store.pendingStructs).toBeNull()
  return doc.getMap('meta').toJSON()
}

describe('the storage of one design', () => {
  const factory = new IDBFactory()
  const opened: DesignStore[] = []
  let names = 0
  let name = ''
  const open = async (lost: (why: StorageTrouble) => void = () => {}): Promise<DesignStore> => {
    const store = await DesignStore.open(factory, name, lost)
    opened.push(store)
    return store
  }
  const fresh = (): Promise<DesignStore> => {
    name = `design ${names++}`
    return open()
  }
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(store => store.close()))
  })

  it('begins with nothing, and keeps rows in order with what is unsaved among them', async () => {
    const store = await fresh()
    expect(await store.load()).toMatchObject({
      updates: [],
      top: 0,
      own: [],
      recoveries: 0,
      facts: { lineage: 1, isSynced: false, role: null }
    })
    const [a, b, c] = updates(3)
    if (a === undefined || b === undefined || c === undefined) throw new Error('three updates')
    expect(
      await store.append(
        1,
        [
          { update: a, gesture: null },
          { update: b, gesture: gesture(1) },
          { update: c, gesture: gesture(2) }
        ],
        { role: 'editor' }
      )
    ).toEqual([1, 2, 3])
    await store.erase([2])
    expect(await (await open()).load()).toMatchObject({
      updates: [a, b, c],
      top: 3,
      own: [{ key: 3, gesture: gesture(2) }],
      facts: { role: 'editor' }
    })
  })

  it('lets a tab read what another wrote, once', async () => {
    const one = await fresh()
    const two = await open()
    const [a, b] = updates(2)
    if (a === undefined || b === undefined) throw new Error('two updates')
    await one.append(1, [{ update: a, gesture: gesture(1) }])
    expect(await two.poll(1, 0, new Set())).toMatchObject({ updates: [a], top: 1, ownKeys: [1], others: [{ key: 1 }] })
    expect(await two.poll(1, 1, new Set([1]))).toMatchObject({ updates: [], ownKeys: null })
    await one.erase([1])
    expect(await two.poll(1, 1, new Set([1]))).toMatchObject({ updates: [], ownKeys: [] })
    await one.append(1, [{ update: b, gesture: null }])
    expect(await two.poll(1, 1, new Set())).toMatchObject({ updates: [b], top: 2, ownKeys: [] })
  })

  it('makes one row of many, says the same, forgets nothing that is unsaved, and costs nobody a row', async () => {
    const store = await fresh()
    const tab = await open()
    const list = updates(40)
    await store.append(1, others(list.slice(0, 20)))
    await store.append(
      1,
      list.slice(20, 30).map((update, n) => ({ update, gesture: gesture(n) }))
    )
    const compacting = store.compact(1)
    const meanwhile = tab.append(1, others(list.slice(30)))
    await Promise.all([compacting, meanwhile])
    const loaded = await store.load()
    expect(loaded.updates).toHaveLength(11)
    expect(contentOf(loaded.updates)).toEqual(contentOf(list))
    expect(loaded.own).toHaveLength(10)
    // Who had read half of it reads the whole; who had read all of it reads only what is new.
    expect(contentOf([...list.slice(0, 9), ...(await tab.poll(1, 9, new Set())).updates])).toEqual(contentOf(list))
    expect((await tab.poll(1, 30, new Set())).updates).toHaveLength(10)
  })

  it('replaces all or nothing, and turns away who still writes for the old document', async () => {
    const store = await fresh()
    const tab = await open()
    const list = updates(4)
    await store.append(
      1,
      list.map((update, at) => ({ update, gesture: gesture(at) }))
    )
    const { facts } = await store.load()
    const boom = store.replace(1, () => {
      throw new Error('boom')
    })
    await expect(boom).rejects.toThrow('boom')
    expect((await store.load()).own).toHaveLength(4)

    const file = { id: 'r', design: 'd', at: 1, reason: 'because', json: '{}', update: new Uint8Array([0, 0]) }
    const result = await store.replace(1, own => {
      expect(own.map(({ key }) => key)).toEqual([1, 2, 3, 4])
      return {
        state: merged(list),
        edits: [{ update: new Uint8Array([0, 0]), gesture: gesture(9) }],
        recovery: file,
        facts: { ...facts, lineage: 2 }
      }
    })
    // Keys are never used twice.
    expect(result).toEqual({ keys: [6], top: 6 })
    expect(await store.recoveries()).toEqual([file])
    await expect(tab.append(1, others(list))).rejects.toThrow(StaleLineage)
    await expect(tab.poll(1, 4, new Set())).rejects.toThrow(StaleLineage)
    await expect(tab.compact(1)).rejects.toThrow(StaleLineage)
    await expect(
      tab.replace(1, () => {
        throw new Error('never asked')
      })
    ).rejects.toThrow(StaleLineage)
    expect(await tab.load()).toMatchObject({
      top: 6,
      own: [{ key: 6, gesture: gesture(9) }],
      recoveries: 1,
      facts: { lineage: 2 }
    })
    await store.discardRecovery('r')
    expect(await store.recoveries()).toEqual([])
  })

  it('makes way for a newer page, says so, and does not pretend to write', async () => {
    let why = ''
    name = `design ${names++}`
    const store = await open(trouble => {
      why = trouble.message
    })
    const newer = await openDatabase({
      factory,
      name,
      version: SCHEMA_VERSION + 1,
      upgrade: () => {},
      patienceMs: 1_000
    })
    expect(why).toContain('newer version')
    await expect(store.append(1, others(updates(1)))).rejects.toThrow('newer version')
    newer.close()
    await expect(DesignStore.open(factory, name, () => {})).rejects.toThrow('newer version')
  })

  it('gives up an opening that an older page blocks, and says which', async () => {
    name = `design ${names++}`
    const older = await openDatabase({ factory, name, version: 1, upgrade: () => {}, patienceMs: 1_000 })
    const blocked = openDatabase({ factory, name, version: 2, upgrade: () => {}, patienceMs: 20 })
    await expect(blocked).rejects.toThrow('older version')
    older.close()
  })
})
