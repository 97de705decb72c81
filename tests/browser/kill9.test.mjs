// The server is killed and started again under two people who type. What a page once called Saved is never missing.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame } from './lib/compare.mjs'
import { SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

const KILLS = 3

let ann, ben

const here = world({}, async (world) => {
  [ann, ben] = await world.signedIn('ann', 'ben')
})

/** From now on the page remembers, frame by frame, which labels of a node it showed while the badge said Saved. */
function rememberWhatIsShownAsSaved (person, node) {
  return person.page.evaluate(({ id, name }) => {
    window.shownAsSaved = []
    const look = () => {
      const badge = document.querySelector('[data-testid=saving]')
      const drawn = document.querySelector(`.react-flow__node[data-id="${id}"]`)?.textContent ?? ''
      const label = new RegExp(`${name} \\d+`).exec(drawn)?.[0]
      if (badge?.dataset.kind === 'saved' && label !== undefined && window.shownAsSaved.at(-1) !== label) window.shownAsSaved.push(label)
      requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  }, { id: node, name: person.name })
}

/** Writes one label after the other into a node until `stop()`; numbers say which is newer. */
async function types (person, node, stop) {
  let n = 0
  while (!stop()) {
    n += 1
    await person.canvas.write('Label', `${person.name} ${n}`)
  }
  return n
}

const numberOf = (label) => Number(/ (\d+)$/.exec(label ?? '')?.[1] ?? 0)

story(here, 'kill -9 under both while both type', async (world) => {
  const { id: design } = await ann.api.import(readFileSync(SHOP, 'utf8'))
  await ann.api.share(design, 'ben', 'editor')
  await Promise.all([ann.open(design), ben.open(design)])
  await Promise.all([ann.saved(), ben.saved()])
  const nodes = new Map([[ann, 'orders'], [ben, 'payments']])
  for (const [person, node] of nodes) {
    await person.canvas.select(node)
    await rememberWhatIsShownAsSaved(person, node)
  }

  let stopped = false
  const typing = [...nodes].map(([person, node]) => types(person, node, () => stopped))
  const newestSaved = (person) => person.page.evaluate(() => window.shownAsSaved.at(-1))

  for (let kill = 1; kill <= KILLS; kill += 1) {
    // Something new was saved since the last kill, so that there is something to lose.
    const already = new Map()
    for (const person of [ann, ben]) already.set(person, numberOf(await newestSaved(person)))
    for (const person of [ann, ben]) {
      await person.waits('a newer label saved', async () => already.get(person) < numberOf(await newestSaved(person)))
    }
    await world.kill()
    const claimed = new Map()
    for (const person of [ann, ben]) {
      await person.waits('the badge Offline', async () => (await person.saving())?.kind === 'offline')
      claimed.set(person, await newestSaved(person))
    }
    const readyAfter = await world.server.up()
    const snapshot = await ann.api.snapshot(design)
    for (const [person, node] of nodes) {
      const stored = snapshot.nodes.find(({ id }) => id === node).data.label
      assert.ok(numberOf(claimed.get(person)) <= numberOf(stored), `${person.name} was shown ${claimed.get(person)} as Saved; the server has ${stored}`)
      say(`kill ${kill}: ${person.name} was shown '${claimed.get(person)}' as Saved, the log has '${stored}' (ready again after ${Math.round(readyAfter)} ms)`)
    }
    for (const person of [ann, ben]) await person.waits('the network again', async () => (await person.saving())?.kind !== 'offline', 40_000)
  }

  stopped = true
  const typed = await Promise.all(typing)
  await Promise.all([ann.saved(), ben.saved()])
  const view = await everywhereTheSame([ann, ben], ann.api, design)
  for (const [n, [person, node]] of [...nodes].entries()) assert.equal(view.nodes[node].data.label, `${person.name} ${typed[n]}`)
  say(`${typed[0]} and ${typed[1]} labels typed over ${KILLS} kills: both end Saved with their last one`)
})
