// Both lose the network for long, both go on drawing, one even starts the app anew without it; then the network returns.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { counted } from './lib/sockets.mjs'
import { story, world } from './lib/world.mjs'

let ann, ben

const here = world({}, async (world) => {
  [ann, ben] = await world.signedIn('ann', 'ben')
})

/** Every kind of edit, by one person; returns how many transactions they were. */
async function editsOfAllKinds ({ canvas }, { moves, links, deletes, enters, flags }) {
  const edits = [
    () => canvas.enterIn(enters),
    () => canvas.drag(moves, 35, 20),
    async () => { await canvas.select(moves); await canvas.write('Label', `${moves}, seen offline`) },
    () => canvas.connect(...links),
    async () => { await canvas.select(flags); await canvas.setFlag('MFA required', 'Yes') },
    async () => { await canvas.select(deletes); await canvas.press('Delete') }
  ]
  for (const edit of edits) await edit()
  return edits.length
}

story(here, 'long offline on both sides, a reload without network, and back in one round trip', async () => {
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.api.share(design, 'ben', 'editor')
  await Promise.all([ann.open(design), ben.open(design)])
  await Promise.all([ann.saved(), ben.saved()])
  await ann.keptForOffline()

  await Promise.all([ann.unplug(), ben.unplug()])
  await Promise.all([ann.offline(0), ben.offline(0)])

  let [annUnsaved, benUnsaved] = [0, 0]
  annUnsaved += await editsOfAllKinds(ann, { enters: 'firewall', moves: 'orders', links: ['customer', 'waf'], flags: 'cdn', deletes: 'dns' })
  await ann.offline(annUnsaved)
  benUnsaved += await editsOfAllKinds(ben, { enters: 'cache', moves: 'payments', links: ['phone', 'cdn'], flags: 'waf', deletes: 'mailer' })
  await ben.offline(benUnsaved)
  say(`offline, Ann made ${annUnsaved} edits and Ben ${benUnsaved}, of all kinds; both badges count them`)

  const before = await ann.canvas.view()
  await ann.page.reload()
  await ann.editorIsThere()
  await ann.offline(annUnsaved)
  assert.deepEqual(await ann.canvas.view(), before)
  say('Ann reloaded with the server out of reach: the app started, her design and her count are there')
  await ann.canvas.fit()
  await ann.canvas.enterIn('message-queue')
  annUnsaved += 1
  await ann.canvas.select('ledger')
  await ann.canvas.write('Label', 'Ledger')
  annUnsaved += 1
  await ann.offline(annUnsaved)
  say('and she can go on drawing')

  const sockets = { ann: ann.sockets.all.length, ben: ben.sockets.all.length }
  ann.plugIn()
  ben.plugIn()
  await Promise.all([ann.saved(), ben.saved()])
  await everywhereTheSame([ann, ben], ann.api, design)

  for (const person of [ann, ben]) {
    const opened = person.sockets.all.slice(sockets[person.name]).filter(({ down }) => down.length > 0)
    assert.equal(opened.length, 1, `${person.name} came back on one socket`)
    assert.deepEqual(counted(opened[0].up), { SyncStep1: 1, SyncStep2: 1, Update: 0 }, `${person.name}'s messages on the way back`)
    assert.deepEqual(opened[0].up.filter((name) => name === 'malformed'), [])
    say(`${person.name} came back with one SyncStep1 and one SyncStep2, and no Update`)
  }
})

story(here, 'a word typed a moment before the window goes', async () => {
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.open(design)
  await ann.saved()
  await ann.keptForOffline()
  await ann.unplug()
  await ann.canvas.select('orders')
  let asked = null
  ann.page.once('dialog', (dialog) => {
    asked = dialog.type()
    // Stay: a moment later nothing is in this window only.
    void dialog.dismiss()
  })
  const field = ann.page.getByTestId('inspector').getByLabel('Label', { exact: true })
  // Sooner than anybody's fingers could: the word is typed, seen, and the window goes.
  await field.evaluate((input, text) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, text)
    input.dispatchEvent(new Event('input', { bubbles: true }))
    requestAnimationFrame(() => requestAnimationFrame(() => location.reload()))
  }, 'Orders, at the last moment')
  await ann.waits('the question whether to leave, since the word is not on this device yet', async () => asked === 'beforeunload')
  await ann.offline(1)
  await ann.page.reload()
  await ann.offline(1)
  assert.equal((await ann.canvas.view()).nodes.orders.data.label, 'Orders, at the last moment')
  ann.plugIn()
  await ann.saved()
  say('asked once, stayed, reloaded: the word is there, and at the server')
})
