// Stories of what the server refuses, against the real server: the document is made anew, what can be kept is kept, and the rest is in a file.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { insert, patchData } from '../design/edits'
import { committed, done, openDatabase } from './idb'
import { createStores, databaseName, FACTS, readFacts, SCHEMA_VERSION, THE_FACTS } from './records'
import { addNode, Desk, nodeIds, reaches, told } from './testing/desk'
import { openNodeSocket } from './testing/node-socket'
import { Person } from './testing/person'
import { hasBinary, RealServer } from './testing/real-server'
import { until } from './testing/wait'
import type { DesignSession } from './types'

describe.skipIf(!hasBinary())('what the real server refuses', { timeout: 120_000 }, () => {
  let server: RealServer
  let ann: Person
  let bob: Person
  const desks: Desk[] = []

  beforeAll(async () => {
    server = await RealServer.start({ ATLAS_ACCESS_TOKEN_SECS: '900' })
    ann = await Person.register(server.url, 'ann')
    bob = await Person.register(server.url, 'bob')
  }, 40_000)
  afterEach(async () => {
    await Promise.all(desks.splice(0).map(desk => desk.leave()))
  })
  afterAll(() => server.stop())

  const desk = async (person: Person, design: string): Promise<Desk> => {
    const at = await Desk.at(server, person, design)
    desks.push(at)
    return at
  }
  const stored = async (design: string): Promise<string[]> => (await ann.snapshot(design)).nodes.map(({ id }) => id)
  const filesOf = async (tab: DesignSession): Promise<unknown[]> =>
    (await tab.recoveries()).map(({ json }): unknown => JSON.parse(json))

  it('makes everything again under a new client id when the old one turns out to be somebody else’s', async () => {
    const design = await ann.create('Foreign')
    await ann.share(design, bob, 'editor')
    const place = await desk(ann, design)
    const [tab, other] = [place.open(), (await desk(bob, design)).open()]
    await Promise.all([reaches(tab, 'saved'), reaches(other, 'saved')])
    addNode(other, 'of-bob')
    await until('ann sees it', () => nodeIds(tab.doc).includes('of-bob'))
    const old = tab.doc
    old.clientID = other.doc.clientID
    addNode(tab, 'of-ann')
    patchData(old, ['of-bob'], { label: 'seen by ann' })
    await until('the document was made anew', () => tab.state.generation === 1, { seen: told(tab) })
    await reaches(tab, 'saved')
    expect(tab.doc).not.toBe(old)
    expect(tab.doc.clientID).not.toBe(other.doc.clientID)
    expect(tab.state).toMatchObject({ recoveries: 0, refusal: { code: 'foreign_client', reset: true } })
    expect(await stored(design)).toEqual(['of-ann', 'of-bob'])
    expect(tab.doc.getMap('nodes').toJSON()).toMatchObject({ 'of-bob': { data: { label: 'seen by ann' } } })
    // Whoever still holds the old document loses nothing either.
    insert(old, { nodes: [{ id: 'late', fields: { type: 'custom', position: { x: 0, y: 0 } } }], edges: [] })
    await reaches(tab, 'saved')
    expect(await stored(design)).toEqual(['late', 'of-ann', 'of-bob'])
    // And it is the new document that this device keeps.
    await tab.close()
    await place.line.cut()
    const again = place.open()
    await reaches(again, 'offline', 0)
    expect(nodeIds(again.doc)).toEqual(['late', 'of-ann', 'of-bob'])
  })

  it('keeps of many offline edits all that fit, and has a file for each that does not', async () => {
    const nodes = Array.from({ length: 9_999 }, (_, n) => ({
      id: `n${n}`,
      type: 'custom',
      position: { x: n, y: 0 },
      data: {}
    }))
    const design = await ann.create('Full', { nodes })
    const place = await desk(ann, design)
    const tab = place.open()
    await reaches(tab, 'saved')
    await place.line.cut()
    await reaches(tab, 'offline')
    addNode(tab, 'fits')
    addNode(tab, 'too-many')
    patchData(tab.doc, ['n7', 'too-many'], { label: 'seven' })
    addNode(tab, 'too-many-again')
    await reaches(tab, 'offline', 4)
    place.line.restore()
    place.wake()
    await until('it came to rest', () => tab.state.saving.kind === 'saved' && tab.state.generation === 3, {
      withinMs: 100_000,
      seen: told(tab)
    })
    expect(nodeIds(tab.doc)).toHaveLength(10_000)
    expect(nodeIds(tab.doc)).toContain('fits')
    expect(tab.doc.getMap('nodes').toJSON()).toMatchObject({ n7: { data: { label: 'seven' } } })
    expect(tab.state.recoveries).toBe(2)
    const files = await filesOf(tab)
    expect(files).toMatchObject([
      { nodes: [{ id: 'too-many', data: { label: 'seven' } }] },
      { nodes: [{ id: 'too-many-again' }] }
    ])
    // The whole document as it was is there too.
    const whole = new Y.Doc()
    Y.applyUpdate(whole, (await tab.recoveries())[0]?.update ?? new Uint8Array())
    expect(nodeIds(whole)).toContain('too-many-again')
    await tab.close()
    const again = place.open()
    await reaches(again, 'saved')
    expect(again.state.recoveries).toBe(2)
    await again.discardRecovery((await again.recoveries())[0]?.id ?? '')
    expect(again.state.recoveries).toBe(1)
  })

  it('throws out an edit that no design can hold, and keeps those around it', async () => {
    const design = await ann.create('Strange')
    const tab = (await desk(ann, design)).open()
    await reaches(tab, 'saved')
    addNode(tab, 'before')
    tab.doc.getMap('elsewhere').set('key', 'value')
    addNode(tab, 'after')
    await until('it came to rest', () => tab.state.saving.kind === 'saved' && 0 < tab.state.generation, {
      seen: told(tab)
    })
    expect(await stored(design)).toEqual(['after', 'before'])
  })

  it('starts anew when the design was reset, with what was not saved', async () => {
    const design = await ann.create('Reset', {
      nodes: [{ id: 'web', type: 'custom', position: { x: 1, y: 2 }, data: {} }]
    })
    const place = await desk(ann, design)
    const before = place.open()
    await reaches(before, 'saved')
    await place.line.cut()
    addNode(before, 'mine')
    await reaches(before, 'offline', 1)
    await before.close()
    await pretendEpoch(place, server, 99)
    const tab = place.open()
    await reaches(tab, 'offline', 1)
    place.line.restore()
    place.wake()
    await reaches(tab, 'saved')
    expect(tab.state).toMatchObject({ generation: 1, recoveries: 0, refusal: { code: 'epoch' } })
    expect(await stored(design)).toEqual(['mine', 'web'])
  })

  it('lets the other tab follow when one has made the document anew', async () => {
    const design = await ann.create('Followed')
    await ann.share(design, bob, 'editor')
    const place = await desk(ann, design)
    const [one, two] = [place.open(), place.open()]
    const other = (await desk(bob, design)).open()
    await Promise.all([one, two, other].map(tab => reaches(tab, 'saved')))
    addNode(other, 'of-bob')
    await until('all see it', () => [one, two].every(tab => nodeIds(tab.doc).includes('of-bob')))
    await place.line.cut()
    addNode(two, 'of-two')
    one.doc.clientID = other.doc.clientID
    addNode(one, 'of-one')
    await Promise.all([reaches(one, 'offline', 2), reaches(two, 'offline', 2)])
    place.line.restore()
    place.wake()
    await until('both were made anew', () => 0 < one.state.generation && 0 < two.state.generation, {
      seen: () => told(one)() + told(two)()
    })
    await Promise.all([reaches(one, 'saved'), reaches(two, 'saved')])
    expect(await stored(design)).toEqual(['of-bob', 'of-one', 'of-two'])
    await until('both show it', () => [one, two].every(tab => nodeIds(tab.doc).length === 3))
    expect([one.state.recoveries, two.state.recoveries]).toEqual([0, 0])
  })

  it('brings an edit above a mebibyte, and what follows it', async () => {
    const design = await ann.create('Large')
    const tab = (await desk(ann, design)).open()
    await reaches(tab, 'saved')
    const nodes = ['x', 'y', 'z'].map(id => ({
      id,
      fields: { type: 'custom', position: { x: 0, y: 0 }, data: { notes: id.repeat(500_000) } }
    }))
    insert(tab.doc, { nodes, edges: [] })
    addNode(tab, 'small')
    await reaches(tab, 'saved')
    expect(tab.state).toMatchObject({ generation: 0, refusal: null })
    expect(await stored(design)).toEqual(['small', 'x', 'y', 'z'])
  })

  it('renews the credential of an open socket, again and again', async () => {
    const hasty = await RealServer.start({ ATLAS_ACCESS_TOKEN_SECS: '3' })
    try {
      const cat = await Person.register(hasty.url, 'cat')
      const design = await cat.create('Renewed')
      const place = await Desk.at(hasty, cat, design)
      let sockets = 0
      const tab = place.open({
        outside: {
          openSocket: (address, events) => {
            sockets += 1
            return openNodeSocket(address, events)
          }
        }
      })
      await reaches(tab, 'saved')
      await until('three renewals', () => place.person.renewals.filter(({ fresh }) => fresh).length === 3, {
        withinMs: 20_000
      })
      addNode(tab, 'later')
      await reaches(tab, 'saved')
      expect(sockets).toBe(1)
      await place.leave()
    } finally {
      await hasty.stop()
    }
  })
})

/** Writes into a device's database that it knew another epoch. */
async function pretendEpoch(place: Desk, server: RealServer, epoch: number): Promise<void> {
  const database = await openDatabase({
    factory: place.indexedDB,
    name: databaseName(server.url, place.person.id, place.design),
    version: SCHEMA_VERSION,
    upgrade: createStores,
    patienceMs: 10_000
  })
  const transaction = database.transaction([FACTS], 'readwrite')
  const end = committed(transaction)
  const facts = transaction.objectStore(FACTS)
  facts.put({ ...readFacts(await done(facts.get(THE_FACTS))), epoch }, THE_FACTS)
  await end
  database.close()
}
