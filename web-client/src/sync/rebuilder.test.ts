// The document is made anew, and something happens in the middle of it: no edit vanishes, and the page comes to rest.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { patchData } from '../design/edits'
import { StorageTrouble } from './idb'
import { databaseName } from './records'
import { DesignStore } from './store'
import { addNode, nodeIds, reaches } from './testing/desk'
import { ModelDevice, SERVER } from './testing/model-device'
import { sleep } from './testing/wait'
import type { DesignSession } from './types'

const REFUSED = { type: 'refused', code: 'limit', message: 'Too many elements.', reset: true }

describe('a document that is made anew', { timeout: 60_000 }, () => {
  const tabs: DesignSession[] = []
  afterEach(async () => {
    vi.restoreAllMocks()
    await Promise.all(tabs.splice(0).map(tab => tab.close()))
  })

  const device = (): ModelDevice => new ModelDevice(tabs)

  /** `happens` when the next replacement is stored, and nobody knows yet. */
  function whenStored(happens: () => void | Promise<void>): void {
    const real = DesignStore.prototype.replace
    vi.spyOn(DesignStore.prototype, 'replace').mockImplementationOnce(async function (this: DesignStore, ...args) {
      const stored = await real.apply(this, args)
      await happens()
      return stored
    })
  }

  const filesOf = async (tab: DesignSession): Promise<unknown[]> =>
    (await tab.recoveries()).map(({ json }): unknown => JSON.parse(json))

  it('has a file for each edit of what was refused, also for those during the replacement and after it', async () => {
    const { server, open, settled, moving } = device()
    const tab = open()
    await settled(tab)
    const old = tab.doc
    addNode(tab, 'refused')
    await reaches(tab, 'saving', 1)
    whenStored(() => {
      patchData(old, ['refused'], { label: 'meanwhile' })
      addNode(tab, 'kept')
    })
    server.tell(REFUSED)
    await moving('it was made anew', tab, () => tab.state.generation === 1)
    patchData(old, ['refused'], { label: 'late' })
    expect(tab.state.recoveries).toBe(3)
    await settled(tab)
    expect(nodeIds(server.doc)).toEqual(['kept'])
    const labels = ['refused', 'meanwhile', 'late'].map(label => ({ nodes: [{ id: 'refused', data: { label } }] }))
    expect(await filesOf(tab)).toMatchObject(labels)
    await tab.close()
    const again = open()
    await settled(again)
    expect(again.state.recoveries).toBe(3)
    expect(await filesOf(again)).toMatchObject(labels)
  })

  it('has the file in memory where there is no database', async () => {
    const { server, open, settled, moving } = device()
    const tab = open({ indexedDB: null })
    await settled(tab)
    const old = tab.doc
    addNode(tab, 'refused')
    server.tell(REFUSED)
    await moving('it was made anew', tab, () => tab.state.generation === 1)
    patchData(old, ['refused'], { label: 'late' })
    expect(tab.state.recoveries).toBe(2)
    expect(await filesOf(tab)).toMatchObject([{}, { nodes: [{ id: 'refused', data: { label: 'late' } }] }])
  })

  it('by another tab has a file for what this one had not stored and cannot make again', async () => {
    const { indexedDB, open, alone, settled, moving } = device()
    const first = open()
    await settled(first)
    addNode(first, 'gone')
    await settled(first)
    await first.close()
    const tab = alone()
    await reaches(tab, 'offline', 0)
    const store = await DesignStore.open(indexedDB, databaseName(SERVER, 'ann', 'd'), () => {})
    const { facts } = await store.load()
    const replaced = store.replace(facts.lineage, () => ({
      state: new Uint8Array([0, 0]),
      edits: [],
      recovery: null,
      facts: { ...facts, lineage: facts.lineage + 1 }
    }))
    patchData(tab.doc, ['gone'], { label: 'lost' })
    await replaced
    await moving('it follows', tab, () => tab.state.generation === 1)
    expect(tab.state.recoveries).toBe(1)
    expect(await filesOf(tab)).toMatchObject([{ nodes: [{ id: 'gone', data: { label: 'lost' } }] }])
    await store.close()
  })

  it('is made anew once more when the design is reset in the middle of it', async () => {
    const { server, open, settled } = device()
    const tab = open()
    await settled(tab)
    addNode(tab, 'mine')
    whenStored(() => server.reset())
    server.tell({ ...REFUSED, code: 'gap' })
    await settled(tab)
    expect(tab.state).toMatchObject({ generation: 2, recoveries: 0 })
    expect(nodeIds(server.doc)).toEqual(['mine'])
  })

  it('is made anew once more when the design is reset and the first time could not be stored', async () => {
    const { server, open, settled } = device()
    const tab = open()
    await settled(tab)
    addNode(tab, 'mine')
    vi.spyOn(DesignStore.prototype, 'replace').mockImplementationOnce(async () => {
      server.reset()
      throw new StorageTrouble('full')
    })
    server.tell({ ...REFUSED, code: 'gap' })
    await settled(tab)
    expect(tab.state).toMatchObject({ generation: 1, recoveries: 0 })
    expect(nodeIds(server.doc)).toEqual(['mine'])
  })

  it('remembers the role that was told in the middle of it', async () => {
    const { server, open, alone, settled, moving } = device()
    const tab = open()
    await settled(tab)
    whenStored(() => server.tell({ type: 'role.changed', role: 'viewer' }))
    server.tell({ ...REFUSED, code: 'gap' })
    await moving('it was made anew', tab, () => tab.state.generation === 1)
    expect(tab.state.role).toBe('viewer')
    await tab.close()
    const later = alone()
    await reaches(later, 'offline', 0)
    expect(later.state).toMatchObject({ role: 'viewer', canEdit: false })
  })

  it('is closed only after it, with what was edited meanwhile', async () => {
    const { server, open, alone, settled, moving } = device()
    const tab = open()
    await settled(tab)
    let closed: Promise<void> | null = null
    whenStored(async () => {
      closed = tab.close()
      addNode(tab, 'meanwhile')
      await sleep(20)
    })
    server.tell({ ...REFUSED, code: 'gap' })
    await moving('it is being closed', tab, () => closed !== null)
    await closed
    const later = alone()
    await reaches(later, 'offline', 1)
    expect(nodeIds(later.doc)).toEqual(['meanwhile'])
  })
})
