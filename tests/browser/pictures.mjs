// Takes the pictures of the README: `make pictures` writes docs/pictures/*.png.

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { say } from '../interop/lib/wait.mjs'
import { SHOP } from './lib/designs.mjs'
import { World } from './lib/world.mjs'

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))

/** A picture of the README is not larger, in bytes. */
const PICTURE_BYTES_MAX = 300_000

async function picture (person, name) {
  const { page } = person
  const file = path.join(FOLDER, `${name}.png`)
  // No tooltip, no half-way animation, and the pointer is where the story left it.
  await page.evaluate(() => {
    const ending = document.getAnimations().filter((each) => each.effect?.getTiming().iterations !== Infinity)
    return Promise.all(ending.map((each) => each.finished.catch(() => {})))
  })
  await writeFile(file, await page.screenshot())
  const { size } = await stat(file)
  say(`${path.relative(process.cwd(), file)}: ${Math.round(size / 1000)} kB`)
  if (PICTURE_BYTES_MAX < size) throw new Error(`${name}.png has ${size} bytes, more than ${PICTURE_BYTES_MAX}`)
}

const theme = async (person, name) => {
  await person.openUserMenu()
  await person.page.getByRole('menuitem', { name }).or(person.page.getByRole('menuitemradio', { name })).click()
  await person.page.keyboard.press('Escape')
  await person.page.mouse.move(720, 890)
}

await mkdir(FOLDER, { recursive: true })
const world = await World.start()
try {
  const [ada, ben] = await Promise.all(['Ada', 'Ben'].map((name) => world.person(name, { colorScheme: 'light' })))
  await Promise.all([ada.signIn(), ben.signIn()])
  const { id: design } = await ada.api.import(await readFile(SHOP, 'utf8'))
  await ada.api.share(design, 'Ben', 'editor')
  await ada.open(design)
  await ada.saved()
  // The overview would lie upon a corner of the drawing.
  await ada.canvas.press('m')
  await ada.page.locator('[data-testid=score][data-score]').waitFor()
  await ada.canvas.selectEdge('orders-to-ledger')
  await ada.page.mouse.move(720, 890)
  await picture(ada, 'canvas')

  await ada.page.getByRole('tab', { name: 'Findings' }).click()
  await ada.page.locator('[data-testid=finding] [data-finding]').first().click()
  await ada.page.mouse.move(720, 890)
  await picture(ada, 'findings')
  await ada.page.getByRole('tab', { name: 'Inspector' }).click()

  await ben.open(design)
  await ben.saved()
  await ada.canvas.select('orders')
  await ben.canvas.select('payments')
  await ben.canvas.take('payments', 24, 26)
  await ada.page.locator('[data-testid=peer-ring][data-element=payments]').waitFor()
  await ada.page.getByTestId('cursor').filter({ hasText: 'Ben' }).waitFor()
  await ada.canvas.stands()
  await picture(ada, 'together')
  await ben.canvas.drop()
  await ben.page.keyboard.press('ControlOrMeta+z')
  await ben.saved()

  // Without the inspector there is room for the overview.
  await ada.canvas.press('i')
  await ada.canvas.press('m')
  await theme(ada, 'Dark theme')
  await ada.canvas.fit()
  await ada.page.mouse.move(720, 890)
  await picture(ada, 'dark')
  await theme(ada, 'Light theme')
  await ada.canvas.press('i')
  await ada.canvas.press('m')
  await ada.canvas.fit()

  await ada.keptForOffline()
  await ada.unplug()
  await ada.canvas.drag('mailer', 0, 14)
  await ada.canvas.enterIn('cache')
  await ada.canvas.press('Delete')
  await ada.canvas.select('ledger')
  await ada.offline(3)
  await ada.page.mouse.move(720, 890)
  await picture(ada, 'offline')
} finally {
  await world.stop()
}
