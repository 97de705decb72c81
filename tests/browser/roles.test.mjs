// Who may not edit cannot, and what changes about a person takes effect on the canvas that is open.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { PASSWORD } from '../interop/lib/api.mjs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

let ann, vic

const here = world({}, async (world) => {
  [ann, vic] = await world.signedIn('ann', 'vic')
})

/** Ann's shop, open on both pages, with Vic in this role. */
async function openWith (role) {
  const { id } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.api.share(id, 'vic', role)
  await Promise.all([ann.open(id), vic.open(id)])
  await ann.saved()
  return id
}

async function cannotEdit (person, design) {
  const { canvas, page } = person
  const before = await canvas.view()
  const { seq } = await ann.api.snapshot(design)
  assert.equal(await page.locator('.react-flow__handle.connectable:visible').count(), 0, 'no handles to draw edges from')
  await canvas.select('orders')
  assert.ok(!(await canvas.field('Label').isEditable()), 'the fields of the inspector are closed')
  await canvas.press('Delete')
  await canvas.press('Backspace')
  await canvas.press('ControlOrMeta+d')
  await canvas.press('ControlOrMeta+c')
  await canvas.press('ControlOrMeta+v')
  await canvas.drag('orders', 60, 40)
  await page.getByTestId('palette-firewall').press('Enter')
  assert.ok(!(await page.getByLabel('Design name').isEditable()), 'the name is closed')
  // Something that is certainly later than whatever those gestures could have sent.
  await ann.canvas.enterIn('cache')
  await ann.saved()
  await person.waits('Ann\'s edit', async () => (await canvas.ids()).nodes.length === Object.keys(before.nodes).length + 1)
  const after = await canvas.view()
  for (const id of Object.keys(before.nodes)) assert.deepEqual(after.nodes[id], before.nodes[id])
  assert.equal((await ann.api.snapshot(design)).seq, seq + 1, 'Ann\'s edit is the only one in the log')
}

async function canEdit (person) {
  const added = await person.canvas.enterIn('database')
  await person.saved()
  await ann.waits('what was added', async () => (await ann.canvas.ids()).nodes.includes(added))
}

story(here, 'a viewer sees everything and can change nothing', async () => {
  const design = await openWith('viewer')
  await vic.badge('read-only', 'Read-only')
  await cannotEdit(vic, design)
  say('Read-only: no handles, closed fields; keyboard, mouse and palette change nothing')
  await everywhereTheSame([ann, vic], ann.api, design)
})

story(here, 'a role that changes takes effect on the open canvas', async () => {
  const design = await openWith('editor')
  await vic.saved()
  await canEdit(vic)
  await ann.api.share(design, 'vic', 'viewer')
  await vic.badge('read-only', 'Read-only')
  await cannotEdit(vic, design)
  await ann.api.share(design, 'vic', 'editor')
  await vic.saved()
  await canEdit(vic)
  say('editor, viewer, editor: on the open canvas, without a reload')
  await everywhereTheSame([ann, vic], ann.api, design)
})

story(here, 'who is removed sees it, and does not go on', async () => {
  const design = await openWith('editor')
  await vic.saved()
  await ann.api.request('DELETE', `/api/v1/designs/${design}/members/vic@example.org`)
  await vic.badge('removed', 'Removed')
  say('removed from the members: the badge says so')
})

story(here, 'a design that is deleted while it is open', async () => {
  const design = await openWith('editor')
  await vic.saved()
  await ann.api.request('DELETE', `/api/v1/designs/${design}`)
  await Promise.all([ann.badge('removed', 'Removed'), vic.badge('removed', 'Removed')])
  say('deleted: both badges say Removed')
})

story(here, 'a login that ends somewhere else', async () => {
  const design = await openWith('editor')
  await vic.saved()
  vic.watch.expect(/status of 401 .*\/api\/v1\//, 'the login is over')
  const added = await vic.canvas.enterIn('cache')
  await vic.saved()
  await vic.endLogin()
  await vic.badge('signed-out', 'Signed out')
  assert.ok(await vic.canvas.node(added).isVisible())
  say('the login ended behind the page\'s back: it says Signed out, and keeps the canvas')
  await vic.page.getByRole('button', { name: 'Sign in again' }).click()
  const dialog = vic.page.getByRole('dialog')
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Sign in' }).click()
  await vic.saved()
  await canEdit(vic)
  await everywhereTheSame([ann, vic], ann.api, design)
  say('signed in again above the canvas, without a reload: Saved, and drawing goes on')
})

story(here, 'signed out in another tab', async () => {
  const design = await openWith('editor')
  await vic.saved()
  // Who signs in while it is not sure that the other tab's sign-out arrived says it once more.
  vic.watch.expect(/status of 401 .*\/auth\/logout$/, 'the login is over already')
  const tab = await vic.secondTab()
  await tab.goto('/')
  await tab.page.getByRole('heading', { name: 'Designs' }).waitFor()
  await tab.openUserMenu()
  await tab.page.getByRole('menuitem', { name: 'Sign out' }).click()
  await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await tab.page.close()
  await vic.page.getByRole('heading', { name: 'Sign in' }).waitFor()
  assert.equal(await vic.page.getByTestId('canvas').count(), 0)
  await vic.fillSignIn()
  await vic.editorIsThere()
  assert.equal(new URL(vic.page.url()).pathname, `/d/${design}`)
  await vic.saved()
  say('signed out in the second tab on purpose: the first one shows nothing any more, and after signing in the same design')
})
