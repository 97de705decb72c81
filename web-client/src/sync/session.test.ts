// One design with a server that moves only when the story says so: the moments that a real server passes through too fast to be seen.

import { IDBFactory, IDBKeyRange, IDBObjectStore } from 'fake-indexeddb'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { CredentialError } from './credentials'
import { forget, localDesigns } from './local-designs'
import { databaseName } from './records'
import { openDesign } from './session'
import type { OpenDesign, Outside } from './session-options'
import { DesignStore } from './store'
import { addNode, nodeIds, reaches } from './testing/desk'
import { ModelServer } from './testing/model-server'
import { until } from './testing/wait'
import type { DesignSession } from './types'

globalThis.IDBKeyRange = IDBKeyRange
const SERVER = 'http://atlas.test'

describe('one design', { timeout: 60_000 }, () => {
  const tabs: DesignSession[] = []
  afterEach(async () => {
    await Promise.all(tabs.splice(0).map(tab => tab.close()))
  })

  function device() {
    const server = new ModelServer()
    const indexedDB = new IDBFactory()
    const open = (
      outside: Partial<Outside> = {},
      ticket: OpenDesign['credentials']['ticket'] = async () => 't'
    ): DesignSession => {
      const tab = openDesign({
        server: SERVER,
        user: 'ann',
        design: 'd',
        credentials: { ticket, accessToken: async () => 'token' },
        outside: {
          indexedDB,
          openSocket: server.open,
          page: { isVisible: () => true, onWake: () => () => {}, onHide: () => () => {} },
          random: () => 0,
          pollMs: 5,
          ...outside
        }
      })
      tabs.push(tab)
      return tab
    }
    const alone = (): DesignSession =>
      open({}, async () => {
        throw new CredentialError('unreachable', 'away')
      })
    const move = (): void => {
      for (let each = 0; each < 8; each += 1) {
        for (const line of [0, 1, 2]) server.up(line)
        server.commit()
        for (const line of [0, 1, 2]) server.down(line)
      }
    }
    const settled = (tab: DesignSession): Promise<void> =>
      until(
        'saved',
        () => {
          move()
          return tab.state.saving.kind === 'saved'
        },
        { seen: () => JSON.stringify(tab.state) }
      )
    const unsavedHere = async (): Promise<number> => (await localDesigns(SERVER, 'ann', indexedDB))[0]?.unsaved ?? 0
    return { server, indexedDB, open, alone, move, settled, unsavedHere }
  }

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

  it('sends an edit at once', async () => {
    const { server, open, settled } = device()
    const tab = open()
    await settled(tab)
    addNode(tab, 'now')
    for (let each = 0; each < 3; each += 1) server.up(0)
    server.commit()
    expect(nodeIds(server.doc)).toEqual(['now'])
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
    const store = await DesignStore.open(indexedDB, databaseName(SERVER, 'ann', 'd'), () => {})
    const { facts } = await store.load()
    const replaced = store.replace(facts.lineage, () => ({
      state: new Uint8Array([0, 0]),
      edits: [],
      recovery: null,
      facts: { ...facts, lineage: facts.lineage + 1 }
    }))
    const old = tab.doc
    addNode(tab, 'late')
    await replaced
    await until('it follows', () => tab.state.generation === 1)
    await reaches(tab, 'offline', 1)
    expect(tab.doc).not.toBe(old)
    expect(nodeIds(tab.doc)).toEqual(['late'])
    await store.close()
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
