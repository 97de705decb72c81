// The journal beside a storage that fails at chosen moments: what is written is written once, and what waits is tried again.

import { expect, it, vi } from 'vitest'
import type { Gesture } from './gestures'
import { StorageTrouble } from './idb'
import { Journal } from './journal'
import type { Edit } from './ledger'
import type { DesignStore, Item } from './store'
import { until } from './testing/wait'

const gesture: Gesture = { client: 1, from: 0, to: 1, deletes: [], changes: [], at: 0 }
const edit = (): Edit => ({ gesture, key: null, isCovered: false })
const update = new Uint8Array([0, 0])

/** `room()` says whether there is any. */
function shelf(room: () => boolean = () => true) {
  const rows: Item[] = []
  const append = async (_lineage: number, items: readonly Item[]): Promise<number[]> => {
    if (!room()) throw new StorageTrouble('full')
    return items.map(item => rows.push(item))
  }
  const compact = vi.fn(async (): Promise<void> => {
    throw new StorageTrouble('full')
  })
  const store: Pick<DesignStore, 'append' | 'compact'> = { append, compact }
  const stored: [Edit, number][] = []
  const journal = new Journal({
    stored: (edit, key) => void stored.push([edit, key]),
    stale: () => {},
    trouble: () => {}
  })
  return { journal, store: store as DesignStore, rows, stored, compact }
}

it('writes nothing twice when making one row of many fails', async () => {
  const { journal, store, rows, stored, compact } = shelf()
  journal.attach(store, 1, 0, 500)
  const mine = edit()
  journal.own(update, mine)
  await journal.flush()
  journal.own(update, edit())
  await journal.flush()
  expect(compact).toHaveBeenCalledOnce()
  expect(rows).toHaveLength(2)
  expect(stored.filter(([edit]) => edit === mine)).toEqual([[mine, 1]])
})

it('tries again after it was held while a write had just failed', async () => {
  let hasRoom = false
  const { journal, store, rows } = shelf(() => hasRoom)
  journal.attach(store, 1, 0, 0)
  journal.own(update, edit())
  await journal.flush()
  journal.hold()
  hasRoom = true
  journal.release()
  await until('it is written', () => rows.length === 1)
})
