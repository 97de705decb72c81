// axe finds nothing serious or critical on any screen, in both themes.

import { readFileSync } from 'node:fs'
import { PASSWORD } from '../interop/lib/api.mjs'
import { say } from '../interop/lib/wait.mjs'
import { assertAccessible } from './lib/axe.mjs'
import { SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

const THEMES = ['light', 'dark']

let eve

const here = world({}, async (world) => {
  eve = await world.person('eve')
})

/** Looks at one screen in both themes. */
async function look (screen) {
  const passed = []
  for (const theme of THEMES) {
    await eve.page.evaluate((name) => { document.documentElement.dataset.theme = name }, theme)
    passed.push(await assertAccessible(eve.page, `${screen}, ${theme}`))
  }
  say(`${screen}: nothing serious in either theme (${passed.join(' and ')} rules passed)`)
}

async function inDialog (open, screen) {
  await open()
  const dialog = eve.page.getByRole('dialog').or(eve.page.getByRole('alertdialog'))
  await dialog.waitFor()
  await look(screen)
  await eve.page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
}

story(here, 'the way in', async () => {
  const { page, watch } = eve
  await eve.goto('/')
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await look('sign in')
  watch.expect(/status of 401 .*\/auth\/login$/, 'a wrong password')
  await page.getByLabel('Email').fill('nobody@example.org')
  await page.getByLabel('Password').fill('not the password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').waitFor()
  await look('sign in, refused')
  await page.getByText('Create an account').click()
  await page.getByRole('heading', { name: 'Create an account' }).waitFor()
  await look('create an account')
  await page.getByLabel('Name').fill('Newcomer')
  await page.getByLabel('Email').fill('newcomer@example.org')
  await page.getByLabel('Password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('heading', { name: 'Designs' }).waitFor()
  await look('no designs yet')
  await eve.openUserMenu()
  await look('user menu')
  // The page goes before the server was told; the next story would cut that off.
  const told = page.waitForResponse(/\/auth\/logout$/)
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await (await told).finished()
  await page.waitForFunction(() => localStorage.getItem('atlas.logout-due') === null)
})

story(here, 'the designs', async () => {
  const { page } = eve
  await eve.signIn()
  await inDialog(() => page.getByRole('button', { name: 'New design' }).first().click(), 'new design')
  for (const name of ['First', 'Second']) await eve.api.create(name)
  await eve.goto('/')
  await page.getByTestId('design-row').first().waitFor()
  await look('designs')
  const more = () => page.getByRole('button', { name: 'More about Second' }).click()
  await more()
  await page.getByRole('menu').waitFor()
  await look('menu of a design')
  await page.keyboard.press('Escape')
  for (const item of ['Rename', 'Members', 'Delete']) {
    await inDialog(async () => {
      await more()
      await page.getByRole('menuitem', { name: item }).click()
    }, `dialog ${item}`)
  }
  await page.getByTestId('import-file').setInputFiles(SHOP)
  await page.getByRole('heading', { name: 'Imported' }).waitFor()
  await look('report of an import')
})

story(here, 'the editor', async () => {
  const { page } = eve
  const { id: design } = await eve.api.import(readFileSync(SHOP, 'utf8'))
  await eve.open(design)
  await eve.saved()
  await look('editor')
  await eve.canvas.select('orders')
  await look('inspector of a node')
  await eve.canvas.selectEdge('orders-to-ledger')
  await look('inspector of an edge')
  await eve.canvas.clearSelection()
  for (const name of ['Members', 'Keyboard shortcuts', 'Command palette']) {
    await inDialog(() => page.getByRole('button', { name, exact: true }).click(), name)
  }
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  await page.keyboard.type('ledger')
  await look('search')
  await page.keyboard.press('Escape')
  await eve.unplug()
  await eve.canvas.enterIn('cache')
  await eve.offline(1)
  await look('editor, offline')
  await eve.leaveEditor()
  await page.getByTestId('offline-banner').waitFor()
  await look('designs, offline')
  eve.plugIn()
})

story(here, 'the page of no such design', async () => {
  eve.watch.expect(/status of 40[34] /, 'there is no such design')
  await eve.goto('/d/00000000-0000-4000-8000-000000000000')
  await eve.page.getByRole('heading').first().waitFor()
  await look('no such design')
})
