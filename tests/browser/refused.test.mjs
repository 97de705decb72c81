// The server refuses what was drawn offline: nothing is lost in silence, and the canvas goes on.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { putNode } from '../interop/lib/drawing.mjs'
import { StockClient } from '../interop/lib/stock-client.mjs'
import { say, until } from '../interop/lib/wait.mjs'
import { everywhereTheSame } from './lib/compare.mjs'
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
  await ben.keptForOffline()
  return id
}

/** What the recovery banner lets one download, as text. */
async function recoveryFile ({ page }) {
  const banner = page.getByTestId('recovery')
  await banner.waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    banner.getByRole('button', { name: 'Download what could not be kept' }).click()
  ])
  return readFile(await download.path(), 'utf8')
}

story(here, 'somebody may no longer edit by the time their offline work arrives', async () => {
  const design = await openShop()
  await ben.unplug()
  const added = await ben.canvas.enterIn('firewall')
  await ben.canvas.select(added)
  await ben.canvas.write('Label', 'Drawn in the train')
  await ben.offline(2)
  await ann.api.share(design, 'ben', 'commenter')
  const sent = await ann.canvas.enterIn('cache')
  await ann.saved()

  ben.plugIn()
  const file = await recoveryFile(ben)
  assert.match(file, /Drawn in the train/)
  say('the banner\'s file has the node that the server did not take')
  await ben.badge('read-only', 'Read-only')
  await ben.waits('Ann\'s node', async () => (await ben.canvas.ids()).nodes.includes(sent))
  await everywhereTheSame([ann, ben], ann.api, design)

  await ann.api.share(design, 'ben', 'editor')
  await ben.saved()
  await ben.canvas.enterIn('database')
  await ben.saved()
  await everywhereTheSame([ann, ben], ann.api, design)
  say('the canvas goes on: once an editor again, Ben draws under a new client id')
})

/** The client id that Ben's page will draw next: what a hostile colleague would have to guess. */
const GUESSED = 4_040_404_040

story(here, 'somebody else wrote under the page\'s client id', async () => {
  const design = await openShop()
  await ben.unplug()
  // Offline, so that it is not announced; afterwards the page draws random ones again.
  await ben.page.addInitScript((id) => {
    const original = crypto.getRandomValues.bind(crypto)
    let given = false
    crypto.getRandomValues = (array) => {
      original(array)
      if (!given && array instanceof Uint32Array && array.length === 1) {
        given = true
        array[0] = id
      }
      return array
    }
  }, GUESSED)
  await ben.page.reload()
  await ben.editorIsThere()
  await ben.canvas.fit()
  const added = await ben.canvas.enterIn('firewall')
  await ben.canvas.select(added)
  await ben.canvas.write('Label', 'Drawn under a stolen id')
  await ben.offline(2)

  const thief = new StockClient({ name: 'ann with a program', url: ann.cable.url, design, token: ann.api.token })
  try {
    await thief.synced()
    const own = thief.doc.clientID
    thief.doc.clientID = GUESSED
    thief.edit((doc) => putNode(doc, 'planted', 'Planted', 0, -200))
    thief.doc.clientID = own
    await until('the planted node is in the log', async () => (await ann.api.snapshot(design)).nodes.some(({ id }) => id === 'planted'), { every: 50 })
  } finally {
    thief.leave()
  }

  ben.plugIn()
  await ben.saved()
  const view = await everywhereTheSame([ann, ben], ann.api, design)
  assert.match(JSON.stringify(view.nodes[added] ?? null), /Drawn under a stolen id/)
  say('Ben\'s work came back under a new client id')
  await ben.canvas.enterIn('cache')
  await ben.saved()
  await everywhereTheSame([ann, ben], ann.api, design)
  say('and the canvas goes on')
})
