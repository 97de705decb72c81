// Undo and redo belong to the person: they never touch what somebody else did.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame, sameCanvas } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

let ann, ben

const here = world({}, async (world) => {
  [ann, ben] = await world.signedIn('ann', 'ben')
})

async function openShop () {
  const { id } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.api.share(id, 'ben', 'editor')
  await Promise.all([ann.open(id), ben.open(id)])
  await Promise.all([ann.saved(), ben.saved()])
  return id
}

const undo = (person) => person.page.getByRole('button', { name: 'Undo' }).click()
const redo = (person) => person.page.getByRole('button', { name: 'Redo' }).click()

/** Both are saved and see the same, which is returned. */
async function settled () {
  await Promise.all([ann.saved(), ben.saved()])
  return sameCanvas(ann, ben)
}

story(here, 'one drag is one step, and the other\'s work stays', async () => {
  const design = await openShop()
  const start = await settled()

  await ann.canvas.drag('orders', 50, 30)
  await ann.canvas.drag('payments', 30, 20)
  await settled()
  await ben.canvas.drag('cdn', 0, 40)
  await ben.canvas.select('orders')
  await ben.canvas.write('Label', 'Orders and returns')
  const both = await settled()

  await undo(ann)
  let now = await settled()
  assert.deepEqual(now.nodes.payments.position, start.nodes.payments.position, 'the newest of Ann\'s drags is undone')
  assert.deepEqual(now.nodes.orders.position, both.nodes.orders.position, 'the one before is not')
  await undo(ann)
  now = await settled()
  assert.deepEqual(now.nodes.orders.position, start.nodes.orders.position)
  assert.equal(now.nodes.orders.data.label, 'Orders and returns', 'Ben\'s label on the same node stays')
  assert.deepEqual(now.nodes.cdn.position, both.nodes.cdn.position, 'Ben\'s drag stays')
  assert.ok(await ann.page.getByRole('button', { name: 'Undo' }).isDisabled(), 'Ann has nothing more to undo, though Ben has')
  say('Ann undid two drags; Ben\'s drag, and his label on one of her nodes, stayed')

  await redo(ann)
  await redo(ann)
  assert.deepEqual(await settled(), both)
  say('redone, everything is as it was')

  await ben.canvas.clearSelection()
  await ben.canvas.press('ControlOrMeta+z')
  now = await settled()
  assert.equal(now.nodes.orders.data.label, start.nodes.orders.data.label)
  assert.deepEqual(now.nodes.orders.position, both.nodes.orders.position, 'Ann\'s drag stays')
  await ben.canvas.press('ControlOrMeta+Shift+z')
  assert.deepEqual(await settled(), both)
  say('Ben undid and redid his label by the keyboard; Ann\'s drag stayed')
  await everywhereTheSame([ann, ben], ann.api, design)
})

story(here, 'a node deleted with its edges comes back with them, as one step', async () => {
  const design = await openShop()
  const start = await settled()
  await ann.canvas.select('gateway')
  await ann.canvas.press('Delete')
  await ann.waits('the gateway gone', async () => !(await ann.canvas.ids()).nodes.includes('gateway'))
  await settled()
  const added = await ben.canvas.enterIn('cache')
  await settled()
  await undo(ann)
  const now = await settled()
  assert.deepEqual(now.nodes.gateway, start.nodes.gateway)
  const hanging = Object.values(start.edges).filter(({ source, target }) => source === 'gateway' || target === 'gateway')
  assert.ok(3 < hanging.length)
  for (const edge of hanging) assert.deepEqual(now.edges[edge.id], edge)
  assert.ok(added in now.nodes, 'what Ben added meanwhile stays')
  say(`the node and its ${hanging.length} edges came back in one step; what Ben added meanwhile stayed`)
  await everywhereTheSame([ann, ben], ann.api, design)
})
