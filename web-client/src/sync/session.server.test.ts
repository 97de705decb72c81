// Stories of one design on real devices, against the real server: what people do, what the network does to them, and that no edit is lost or called saved too early.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { moveNodes, remove } from '../design/edits'
import { addNode, Desk, nodeIds, reaches, told } from './testing/desk'
import { Person } from './testing/person'
import { hasBinary, RealServer } from './testing/real-server'
import { until } from './testing/wait'

describe.skipIf(!hasBinary())('a design, with the real server', { timeout: 120_000 }, () => {
  let server: RealServer
  let ann: Person
  let bob: Person
  const desks: Desk[] = []

  beforeAll(async () => {
    server = await RealServer.start()
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

  it('is not shown before anybody knows it, then an edit is saved', async () => {
    const design = await ann.create('Shop', {
      nodes: [{ id: 'web', type: 'custom', position: { x: 1, y: 2 }, data: { label: 'Web' } }]
    })
    const tab = (await desk(ann, design)).open()
    expect(tab.state).toMatchObject({ ready: false, canEdit: false, saving: { kind: 'loading' } })
    await reaches(tab, 'saved')
    expect(tab.state).toMatchObject({ ready: true, canEdit: true, role: 'owner' })
    expect(nodeIds(tab.doc)).toEqual(['web'])
    addNode(tab, 'db')
    expect(tab.state.saving.kind).toBe('saving')
    await reaches(tab, 'saved')
    expect(await stored(design)).toEqual(['db', 'web'])
  })

  it('counts what was edited offline, over a reload, and brings it in one round trip', async () => {
    const design = await ann.create('Offline')
    const place = await desk(ann, design)
    const before = place.open()
    await reaches(before, 'saved')
    await place.line.cut()
    await reaches(before, 'offline', 0)
    const passed = place.line.passed
    for (const id of ['a', 'b', 'c']) addNode(before, id)
    await reaches(before, 'offline', 3)
    await before.close()

    const after = place.open()
    await reaches(after, 'offline', 3)
    expect(after.state).toMatchObject({ ready: true, canEdit: true, role: 'owner' })
    expect(nodeIds(after.doc)).toEqual(['a', 'b', 'c'])
    moveNodes(after.doc, [{ id: 'a', position: { x: 5, y: 5 } }])
    await reaches(after, 'offline', 4)
    expect(await stored(design)).toEqual([])
    expect(place.line.passed).toBe(passed)

    place.line.restore()
    place.wake()
    await reaches(after, 'saved')
    const snapshot = await ann.snapshot(design)
    expect(snapshot.nodes.map(({ id, position }) => [id, position])).toEqual([
      ['a', { x: 5, y: 5 }],
      ['b', { x: 0, y: 0 }],
      ['c', { x: 0, y: 0 }]
    ])
    await after.close()
    await place.line.cut()
    await reaches(place.open(), 'offline', 0)
  })

  it('survives a server that is killed and started again', async () => {
    const design = await ann.create('Killed')
    const [one, two] = [(await desk(ann, design)).open(), (await desk(ann, design)).open()]
    await Promise.all([reaches(one, 'saved'), reaches(two, 'saved')])
    addNode(one, 'before')
    await server.kill()
    await reaches(one, 'offline')
    addNode(one, 'meanwhile')
    addNode(two, 'elsewhere')
    await server.up()
    await Promise.all([reaches(one, 'saved'), reaches(two, 'saved')])
    await until('both see everything', () => [one, two].every(tab => nodeIds(tab.doc).length === 3), {
      seen: told(two)
    })
    expect(await stored(design)).toEqual(['before', 'elsewhere', 'meanwhile'])
  })

  it('lets two tabs of one device meet while both are offline, and counts for both', async () => {
    const design = await ann.create('Tabs')
    const place = await desk(ann, design)
    const [one, two] = [place.open(), place.open()]
    await Promise.all([reaches(one, 'saved'), reaches(two, 'saved')])
    expect(one.doc.clientID).not.toBe(two.doc.clientID)
    await place.line.cut()
    addNode(one, 'of-one')
    await until('two sees the edit of one', () => nodeIds(two.doc).includes('of-one'))
    addNode(two, 'of-two')
    await Promise.all([reaches(one, 'offline', 2), reaches(two, 'offline', 2)])
    expect(nodeIds(one.doc)).toEqual(['of-one', 'of-two'])
    // One of them is closed: the other brings what both did.
    await one.close()
    place.line.restore()
    place.wake()
    await reaches(two, 'saved')
    expect(await stored(design)).toEqual(['of-one', 'of-two'])
    await place.line.cut()
    await reaches(place.open(), 'offline', 0)
  })

  it('shows a viewer, who cannot edit', async () => {
    const design = await ann.create('Looking')
    await ann.share(design, bob, 'viewer')
    const owner = (await desk(ann, design)).open()
    const viewer = (await desk(bob, design)).open()
    await reaches(viewer, 'read-only')
    expect(viewer.state).toMatchObject({ ready: true, canEdit: false, role: 'viewer' })
    await reaches(owner, 'saved')
    addNode(owner, 'seen')
    await until('the viewer sees it', () => nodeIds(viewer.doc).includes('seen'))
    // An edit that gets past the page's own rules: never sent, not lost, and not left on the canvas.
    addNode(viewer, 'forbidden')
    await until('the canvas shows the truth', () => viewer.state.generation === 1, { seen: told(viewer) })
    await reaches(viewer, 'read-only')
    expect(nodeIds(viewer.doc)).toEqual(['seen'])
    const [file] = await viewer.recoveries()
    expect(JSON.parse(file?.json ?? '')).toMatchObject({ nodes: [{ id: 'forbidden', data: { label: 'forbidden' } }] })
    expect(await stored(design)).toEqual(['seen'])
  })

  it('hears of a role that changes while it is open', async () => {
    const design = await ann.create('Roles')
    await ann.share(design, bob, 'editor')
    const tab = (await desk(bob, design)).open()
    await reaches(tab, 'saved')
    await ann.share(design, bob, 'viewer')
    await reaches(tab, 'read-only')
    expect(tab.state.canEdit).toBe(false)
    await ann.share(design, bob, 'editor')
    await reaches(tab, 'saved')
    expect(tab.state.canEdit).toBe(true)
  })

  it('keeps in a recovery file what was edited offline by somebody who became a viewer', async () => {
    const design = await ann.create('Demoted', {
      nodes: [{ id: 'web', type: 'custom', position: { x: 1, y: 2 }, data: { label: 'Web' } }]
    })
    await ann.share(design, bob, 'editor')
    const place = await desk(bob, design)
    const tab = place.open()
    await reaches(tab, 'saved')
    await place.line.cut()
    await reaches(tab, 'offline')
    addNode(tab, 'mine')
    moveNodes(tab.doc, [{ id: 'web', position: { x: 9, y: 9 } }])
    await reaches(tab, 'offline', 2)
    await ann.share(design, bob, 'viewer')
    place.line.restore()
    place.wake()
    await reaches(tab, 'read-only')
    expect(tab.state).toMatchObject({ generation: 1, recoveries: 1, refusal: { code: 'not_permitted' } })
    expect(tab.doc.getMap('nodes').toJSON()).toMatchObject({ web: { position: { x: 1, y: 2 } } })
    expect(nodeIds(tab.doc)).toEqual(['web'])
    const [file] = await tab.recoveries()
    expect(JSON.parse(file?.json ?? '')).toMatchObject({
      nodes: [{ id: 'mine' }, { id: 'web', position: { x: 9, y: 9 } }],
      recovery: { changes: [{ path: 'nodes / mine' }, { path: 'nodes / web / position', value: { x: 9, y: 9 } }] }
    })
    // The server takes the file back as a design.
    const response = await bob.send('POST', '/designs/import?format=auto', JSON.parse(file?.json ?? ''))
    expect(response.status).toBe(201)
  })

  it('tells a person who is no longer a member, and one whose design was deleted', async () => {
    const design = await ann.create('Going')
    await ann.share(design, bob, 'editor')
    const [owner, member] = [(await desk(ann, design)).open(), (await desk(bob, design)).open()]
    await Promise.all([reaches(owner, 'saved'), reaches(member, 'saved')])
    await ann.remove(design, bob)
    await reaches(member, 'removed')
    expect(member.state).toMatchObject({ canEdit: false, saving: { why: 'not-a-member', unsaved: 0 } })
    await ann.json('DELETE', `/designs/${design}`)
    await reaches(owner, 'removed')
    expect(owner.state).toMatchObject({ canEdit: false, saving: { why: 'deleted' } })
  })

  it('tells a person who signed out, keeps the edits, and goes on after the next login', async () => {
    const cat = await Person.register(server.url, `cat${Date.now()}`)
    const design = await cat.create('Leaving')
    const place = await desk(cat, design)
    const tab = place.open()
    await reaches(tab, 'saved')
    await place.line.cut()
    addNode(tab, 'kept')
    await reaches(tab, 'offline', 1)
    await cat.logout()
    place.line.restore()
    place.wake()
    await reaches(tab, 'signed-out', 1)
    expect(nodeIds(tab.doc)).toEqual(['kept'])
    await tab.close()
    await reaches(place.open(), 'signed-out', 1)
  })

  it('removes with a node its edges, and the count comes back to nothing', async () => {
    const design = await ann.create('Deleting', {
      nodes: [{ id: 'web', type: 'custom', position: { x: 1, y: 2 }, data: {} }]
    })
    const tab = (await desk(ann, design)).open()
    await reaches(tab, 'saved')
    remove(tab.doc, { nodes: ['web'], edges: [] })
    await reaches(tab, 'saved')
    expect(await stored(design)).toEqual([])
  })
})
