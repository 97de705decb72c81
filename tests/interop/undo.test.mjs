// Undo and redo as the published Yjs does them: whatever its UndoManager writes is an edit like any other, and passes the gate.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import { contentOf, sameContent } from './lib/drawing.mjs'
import { Server } from './lib/server.mjs'
import { say, until } from './lib/wait.mjs'

const ROUNDS = Number(process.env.ATLAS_UNDO_ROUNDS ?? 40)
const STEPS_A_ROUND = 25

let server
let owner

before(async () => {
  server = await Server.start()
  owner = await new Api(server.url).register('owner')
})

after(async () => server.down())

/** Numbers from a seed: mulberry32. */
function numbers (seed) {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const shared = (entries) => new Y.Map(Object.entries(entries))
const element = (fields, data) =>
  shared({ type: 'custom', ...fields, data: shared({ ...data, securityFlags: shared({ encrypted: true }) }) })

/** One gesture of somebody with an undo manager. */
function gesture (person, pick) {
  const { client, undo, own } = person
  const nodes = client.doc.getMap('nodes')
  const edges = client.doc.getMap('edges')
  const ids = [...nodes.keys()]
  const id = ids[pick(Math.max(1, ids.length))]
  const act = (change) => client.doc.transact(change, own)
  switch (pick(9)) {
    case 0:
    case 1:
      return act(() => nodes.set(`${client.name}-${person.made += 1}`, element({ position: { x: pick(500), y: 0 } }, { label: 'new' })))
    case 2:
      return id !== undefined && act(() => nodes.get(id).set('position', { x: pick(500), y: pick(500) }))
    case 3:
      return id !== undefined && act(() => nodes.get(id).get('data').set('label', `label ${pick(100)}`))
    case 4:
      return id !== undefined && act(() => nodes.get(id).get('data').get('securityFlags').set('public', pick(2) === 1))
    case 5: {
      if (ids.length < 2) return
      const ends = { source: id, target: ids[pick(ids.length)] }
      return act(() => edges.set(`${client.name}-e${person.made += 1}`, element(ends, { protocol: 'HTTPS' })))
    }
    case 6:
      return id !== undefined && act(() => {
        for (const [edge, body] of [...edges]) if (body.get('source') === id || body.get('target') === id) edges.delete(edge)
        nodes.delete(id)
      })
    case 7:
      return undo.undo()
    case 8:
      return undo.redo()
  }
}

function join (name, design) {
  const client = new AtlasClient({ name, url: server.url, design, token: owner.token })
  const own = Symbol(name)
  const roots = ['nodes', 'edges', 'meta'].map((root) => client.doc.getMap(root))
  return { client, own, made: 0, undo: new Y.UndoManager(roots, { trackedOrigins: new Set([own]), captureTimeout: 0 }) }
}

test('random undo and redo of two people at work on the same elements is never refused', async () => {
  const seed = Number(process.env.ATLAS_UNDO_SEED ?? 2026)
  say(`seed ${seed}`)
  const pick = numbers(seed)
  const design = await owner.create('Undone')
  const people = [join('ann', design), join('ben', design)]
  await Promise.all(people.map(({ client }) => client.synced()))
  let undone = 0
  for (const { undo } of people) undo.on('stack-item-popped', () => { undone += 1 })
  for (let round = 0; round < ROUNDS; round += 1) {
    // In each round both work without hearing each other, and then hear everything.
    for (let step = 0; step < STEPS_A_ROUND; step += 1) gesture(people[pick(2)], pick)
    for (const { client } of people) await client.allSaved()
    await until('both hold the same', () => sameContent(people[0].client.doc, people[1].client.doc))
    for (const { client } of people) assert.deepEqual([client.faults, client.closes], [[], []], `${client.name} in round ${round}`)
  }
  assert.ok(100 < undone, `only ${undone} undos and redos happened`)
  const { nodes } = await owner.snapshot(design)
  assert.deepEqual(nodes.map(({ id }) => id).sort(), Object.keys(contentOf(people[0].client.doc).nodes).sort())
  say(`${undone} undos and redos among ${ROUNDS * STEPS_A_ROUND} gestures; ${nodes.length} nodes left`)
  for (const { client } of people) client.leave()
})
