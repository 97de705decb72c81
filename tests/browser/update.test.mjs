// A new version of the app appears while somebody draws: they are told, nothing reloads by itself, and no edit is lost.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { releaseNewVersion } from './lib/release.mjs'
import { story, world } from './lib/world.mjs'

let ann

const here = world({ withFront: true }, async (world) => {
  [ann] = await world.signedIn('ann')
})

story(here, 'a new version while drawing offline', async (world) => {
  const { page } = ann
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.open(design)
  await ann.saved()
  await ann.keptForOffline()
  const script = () => page.evaluate(() => document.querySelector('script[type=module][src]').getAttribute('src'))
  const old = await script()
  let loads = 0
  page.on('load', () => { loads += 1 })

  const fresh = await releaseNewVersion(world.front)
  assert.notEqual(fresh, old)
  // What the page does by itself now and then.
  await page.evaluate(async () => { await (await navigator.serviceWorker.getRegistration()).update() })
  await page.getByTestId('update-ready').waitFor()
  say('the toast says that a new version is ready')

  await ann.unplug()
  const added = await ann.canvas.enterIn('firewall')
  await ann.canvas.select(added)
  await ann.canvas.write('Label', 'Drawn on the old version')
  await ann.offline(2)
  assert.equal(loads, 0, 'nothing reloaded under Ann\'s hands')
  assert.equal(await script(), old)

  await page.getByTestId('update-ready').getByRole('button', { name: 'Reload' }).click()
  await page.waitForEvent('load')
  await ann.editorIsThere()
  assert.equal(await script(), fresh, 'the new version runs')
  assert.equal((await ann.canvas.view()).nodes[added].data.label, 'Drawn on the old version')
  await ann.offline(2)
  say('after Reload, still offline, the new version runs and has both unsent edits')

  ann.plugIn()
  await ann.saved()
  await everywhereTheSame([ann], ann.api, design)
})
