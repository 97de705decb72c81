// One person with two tabs, and the question before signing out.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame, sameCanvas } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

let ann

const here = world({}, async (world) => {
  [ann] = await world.signedIn('ann')
})

story(here, 'two tabs of one person, with the network and without', async () => {
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.open(design)
  const tab = await ann.secondTab()
  await tab.open(design)
  await Promise.all([ann.saved(), tab.saved()])
  const first = await ann.canvas.enterIn('cache')
  await tab.waits('the first tab\'s node', async () => (await tab.canvas.ids()).nodes.includes(first))
  await tab.canvas.enterIn('database')
  await Promise.all([ann.saved(), tab.saved()])
  await sameCanvas(ann, tab)
  say('online, each tab shows what the other did')

  await ann.unplug()
  const added = await ann.canvas.enterIn('firewall')
  await ann.offline(1)
  await tab.waits('what was added in the first tab', async () => (await tab.canvas.ids()).nodes.includes(added))
  await tab.offline(1)
  await tab.canvas.select(added)
  await tab.canvas.write('Label', 'From the second tab')
  await ann.waits('the label from the second tab', async () => (await ann.canvas.view()).nodes[added].data.label === 'From the second tab')
  await Promise.all([ann.offline(2), tab.offline(2)])
  await sameCanvas(ann, tab)
  say('offline, too; both badges count both tabs\' edits')

  ann.plugIn()
  await Promise.all([ann.saved(), tab.saved()])
  const view = await everywhereTheSame([ann, tab], ann.api, design)
  assert.equal(view.nodes[added].data.label, 'From the second tab')
  await tab.page.close()
})

story(here, 'signing out with unsent work asks first', async () => {
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.open(design)
  await ann.saved()
  await ann.unplug()
  await ann.canvas.enterIn('cache')
  await ann.offline(1)
  const { page } = ann
  await ann.leaveEditor()
  await page.getByTestId('offline-banner').waitFor()
  await ann.openUserMenu()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  const question = page.getByRole('alertdialog').or(page.getByRole('dialog'))
  await question.waitFor()
  say(`asked: ${(await question.textContent()).trim()}`)
  await question.getByRole('button', { name: 'Cancel' }).click()

  await page.getByTestId('design-row').getByRole('link', { name: 'Ticket shop in the cloud' }).first().click()
  await ann.editorIsThere()
  await ann.offline(1)
  ann.plugIn()
  await ann.saved()
  await everywhereTheSame([ann], ann.api, design)
  say('cancelled: the edit is still there, and reaches the server')

  await ann.leaveEditor()
  await ann.openUserMenu()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  say('with nothing unsent nobody is asked')
})
