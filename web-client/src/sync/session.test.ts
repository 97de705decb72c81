// One design with a server that moves only when the story says so: the moments that a real server passes through too fast to be seen.

import { IDBObjectStore } from 'fake-indexeddb'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { forget, localDesigns } from './local-designs'
import { databaseName } from './records'
import { DesignStore } from './store'
import { addNode, nodeIds, reaches } from './testing/desk'
import { ModelDevice, SERVER } from './testing/model-device'
import { until } from './testing/wait'
import type { DesignSession } from './types'

/** Another tab of this device is just putting an empty document in place of the old one: `replaced`, not yet done. */
async function madeAnew(indexedDB: IDBFactory) {
  const store = await DesignStore.open(indexedDB, databaseName(SERVER, 'ann', 'd'), () => {})
  const { facts } = await store.load()
  const next = { ...facts, lineage: facts.lineage + 1 }
  const plan = () => ({ state: new Uint8Array([0, 0]), edits: [], recovery: null, facts: next })
  return { store, replaced: store.replace(facts.lineage, plan) }
}

describe('one design', { timeout: 60_000 }, () => {
  const tabs: DesignSession[] = []
  afterEach(async () => {
    await Promise.all(tabs.splice(0).map(tab => tab.close()))
  })

  const device = () => new ModelDevice(tabs)

  it('takes a Saved for what was sent before it, and for nothing else', async () => {
    const { server, open, settled, unsavedHere } = device()
    const tab = open()
    await settled(tab)
    addNode(tab, 'first')
    await reaches(tab, 'saving', 1)
    for (let each = 0; each < 3; each += 1) server.up(0)
    server.commit()
    addNode(tab, 'second')
    await reaches(tab, 'saving', 2)
    server.down(0)
    await reaches(tab, 'saving', 1)
    await until('the device knows the first to be saved', async () => (await unsavedHere()) === 1)
    server.crash()
    await tab.close()
    expect(await unsavedHere()).toBe(1)
  })

  it('says while the server cannot store that nothing is saved now, and how many edits wait', async () => {
    const { server, open, move, settled } = device()
    const [tab, beside] = [open(), open()]
    const elsewhere = new ModelDevice(tabs, server).open()
    for (const each of [tab, beside, elsewhere]) await settled(each)
    server.tell({ type: 'store.degraded' })
    for (const each of [tab, beside, elsewhere]) expect(each.state.saving).toEqual({ kind: 'trouble', unsaved: 0 })
    addNode(tab, 'first')
    addNode(tab, 'second')
    // What waits on this device is what all of its tabs tell, and nobody else's device.
    for (const each of [tab, beside]) await reaches(each, 'trouble', 2)
    expect(elsewhere.state.saving).toEqual({ kind: 'trouble', unsaved: 0 })
    expect(tab.state.canEdit).toBe(true)
    server.tell({ type: 'store.healthy' })
    expect(tab.state.saving).toEqual({ kind: 'saving', unsaved: 2 })
    await until('all is saved', () => {
      move()
      return [tab, beside, elsewhere].every(each => each.state.saving.kind === 'saved')
    })
    expect(nodeIds(elsewhere.doc)).toEqual(['first', 'second'])
  })

  it('forgets with the socket that the server could not store', async () => {
    const { server, open, settled } = device()
    const tab = open()
    await settled(tab)
    server.tell({ type: 'store.degraded' })
    addNode(tab, 'waits')
    await reaches(tab, 'trouble', 1)
    server.crash()
    expect(tab.state.saving).toEqual({ kind: 'offline', unsaved: 1 })
    await settled(tab)
  })

  it('sends an edit at once', async () => {
    const { server, open, settled } = device()
    const tab = open()
    await settled(tab)
    addNode(tab, 'now')
    for (let each = 0; each < 3; each += 1) server.up(0)
    server.commit()
    expect(nodeIds(server.doc)).toEqual(['now'])
  })

  it('takes edits until it is closed, and says then that it takes no more', async () => {
    const { server, open, settled, unsavedHere } = device()
    const tab = open()
    await settled(tab)
    server.crash()
    const shown: boolean[] = []
    tab.subscribe(() => shown.push(tab.state.canEdit))
    const closed = tab.close()
    expect(tab.state.canEdit).toBe(true)
    addNode(tab, 'draft')
    await closed
    expect(tab.state.canEdit).toBe(false)
    expect(shown.at(-1)).toBe(false)
    expect(await unsavedHere()).toBe(1)
  })

  it('brings what a tab left unsaved that is gone, though this one has seen the edit already', async () => {
    const { server, open, move, settled, unsavedHere } = device()
    let look = (): void => {}
    const onWake = (listener: () => void) => {
      look = listener
      return () => {}
    }
    const one = open({ pollMs: 1e6, page: { isVisible: () => true, onWake, onHide: () => () => {} } })
    await settled(one)
    const two = open()
    await settled(two)
    addNode(two, 'left')
    await reaches(two, 'saving', 1)
    // It arrives, and everybody sees it; its author's Saved never comes.
    for (const line of [0, 1, 1, 1]) server.up(line)
    server.commit()
    await two.close()
    await until('the other saw it', () => {
      server.down(0)
      return nodeIds(one.doc).includes('left')
    })
    await until('nothing is left', async () => {
      look()
      move()
      return (await unsavedHere()) === 0
    })
    await reaches(one, 'saved')
  })

  it('brings what a tab without a socket wrote', async () => {
    const { server, open, alone, move, settled } = device()
    const one = open()
    await settled(one)
    const two = alone()
    await reaches(two, 'offline', 0)
    addNode(two, 'quiet')
    await until('it reached the server', () => {
      move()
      return nodeIds(server.doc).includes('quiet')
    })
    await until('both know', () => {
      move()
      return one.state.saving.kind === 'saved' && two.state.saving.kind === 'offline' && two.state.saving.unsaved === 0
    })
  })

  it('follows another tab that made the document anew, and takes along what it had not stored', async () => {
    const { indexedDB, open, alone, settled } = device()
    const first = open()
    await settled(first)
    addNode(first, 'old')
    await settled(first)
    await first.close()
    const tab = alone()
    await reaches(tab, 'offline', 0)
    const { store, replaced } = await madeAnew(indexedDB)
    const old = tab.doc
    addNode(tab, 'late')
    await replaced
    await until('it follows', () => tab.state.generation === 1)
    await reaches(tab, 'offline', 1)
    expect(tab.doc).not.toBe(old)
    expect(nodeIds(tab.doc)).toEqual(['late'])
    await store.close()
  })

  it('follows another tab also while it closes: what it had not stored is there for the next one', async () => {
    const { indexedDB, open, alone, settled } = device()
    const first = open()
    await settled(first)
    await first.close()
    const tab = alone()
    await reaches(tab, 'offline', 0)
    const { store, replaced } = await madeAnew(indexedDB)
    addNode(tab, 'late')
    await Promise.all([tab.close(), replaced, store.close()])
    const next = alone()
    await reaches(next, 'offline', 1)
    expect(nodeIds(next.doc)).toEqual(['late'])
  })

  it('is not ready offline on a device that never had it, and shows nothing', async () => {
    const { alone } = device()
    const tab = alone()
    await until('it has tried', () => tab.state.localTrouble === null)
    expect(tab.state).toMatchObject({ ready: false, canEdit: false, role: null, saving: { kind: 'loading' } })
  })

  it('goes on without a database, says so, and counts what is only in memory', async () => {
    const { server, open, settled } = device()
    const tab = open({ indexedDB: null })
    await settled(tab)
    expect(tab.state).toMatchObject({ canEdit: true, localTrouble: expect.stringContaining('keeps nothing') })
    server.crash()
    addNode(tab, 'in memory')
    await reaches(tab, 'offline', 1)
    await settled(tab)
    expect(nodeIds(server.doc)).toEqual(['in memory'])
  })

  it('uses what is here though the list of what is here does not work, and says so', async () => {
    const { indexedDB, server, open, alone, settled } = device()
    const before = open()
    await settled(before)
    server.crash()
    addNode(before, 'unsaved')
    await before.close()
    const real = indexedDB.open.bind(indexedDB)
    vi.spyOn(indexedDB, 'open').mockImplementation((name, version) => {
      if (name.includes('designs of this device')) throw new DOMException('broken', 'UnknownError')
      return real(name, version)
    })
    const tab = alone()
    await reaches(tab, 'offline', 1)
    expect(nodeIds(tab.doc)).toEqual(['unsaved'])
    expect(tab.state).toMatchObject({ canEdit: true, localTrouble: expect.stringContaining('list of designs') })
    addNode(tab, 'another')
    await reaches(tab, 'offline', 2)
    await tab.close()
    const again = alone()
    await reaches(again, 'offline', 2)
  })

  it('says that the device is full, keeps what it cannot write, and writes it in order when there is room', async () => {
    const { server, open, settled, unsavedHere } = device()
    const tab = open()
    await settled(tab)
    server.crash()
    const full = vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    addNode(tab, 'first')
    await until('it says so', () => tab.state.localTrouble?.includes('no more room') === true)
    await reaches(tab, 'offline', 1)
    expect(await unsavedHere()).toBe(0)
    full.mockRestore()
    addNode(tab, 'second')
    await until('there is room', () => tab.state.localTrouble === null)
    expect(await unsavedHere()).toBe(2)
    await tab.close()
    const again = open()
    await settled(again)
    expect(nodeIds(again.doc)).toEqual(['first', 'second'])
  })

  it('lets a tab go on whose design another tab removed from this device, and keeps what it writes', async () => {
    const { server, indexedDB, open, settled } = device()
    const tab = open()
    addNode(tab, 'before')
    await settled(tab)
    // A moment after `Saved` this device has noted it, too.
    await expect.poll(() => forget(SERVER, 'ann', 'd', indexedDB), { timeout: 20_000 }).toBe(true)
    expect(await localDesigns(SERVER, 'ann', indexedDB)).toEqual([])
    server.crash()
    addNode(tab, 'after')
    await tab.close()
    expect(await localDesigns(SERVER, 'ann', indexedDB)).toMatchObject([{ design: 'd', unsaved: 1 }])
    const again = open()
    await settled(again)
    expect(nodeIds(again.doc)).toEqual(['after', 'before'])
    expect(nodeIds(server.doc)).toEqual(['after', 'before'])
  })

  it('removes nothing from this device that only this device has', async () => {
    const { server, indexedDB, open, settled } = device()
    const tab = open()
    await settled(tab)
    server.crash()
    addNode(tab, 'unsaved')
    await tab.close()
    expect(await forget(SERVER, 'ann', 'd', indexedDB)).toBe(false)
    expect(await localDesigns(SERVER, 'ann', indexedDB)).toMatchObject([{ design: 'd', unsaved: 1 }])
    const again = open()
    await settled(again)
    expect(nodeIds(server.doc)).toEqual(['unsaved'])
  })

  it('lists designs with the name, role and edits they were left with', async () => {
    const { server, indexedDB, open, settled } = device()
    const tab = open()
    await settled(tab)
    tab.doc.getMap('meta').set('name', 'Shop')
    await settled(tab)
    server.crash()
    addNode(tab, 'x')
    await tab.close()
    expect(await localDesigns(SERVER, 'ann', indexedDB)).toMatchObject([
      { design: 'd', name: 'Shop', role: 'editor', unsaved: 1, recoveries: 0 }
    ])
    expect(await localDesigns(SERVER, 'bob', indexedDB)).toEqual([])
    expect(await localDesigns('http://elsewhere.test', 'ann', indexedDB)).toEqual([])
  })
})
