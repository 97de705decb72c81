// Figures of the page, not a test: what the first visit loads, how smooth a large drawing moves, how fast the app is back without the
// network. Run with `make figures`; needs the release binary, since a debug build serves the same bytes slower.

import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { say } from '../interop/lib/wait.mjs'
import { SHOP } from './lib/designs.mjs'
import { World } from './lib/world.mjs'

const NODES = 1_000
const EDGES = 1_500
const COLUMNS = 40
const PAN_MS = 6_000
const RELOADS = 7

const quantile = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))]

const KINDS = ['app-server', 'database', 'cache', 'api-gateway', 'microservice', 'message-queue', 'waf', 'web-server']

/** A grid of nodes, with edges to neighbours on the right and below. */
function largeDesign () {
  const nodes = Array.from({ length: NODES }, (_, n) => ({
    id: `n${n}`,
    type: 'custom',
    position: { x: (n % COLUMNS) * 240, y: Math.floor(n / COLUMNS) * 150 },
    width: 150,
    height: 80,
    data: { type: KINDS[n % KINDS.length], label: `Component ${n}`, zone: 'internal' }
  }))
  const edges = []
  for (let n = 0; edges.length < EDGES; n += 1) {
    const source = n % NODES
    const target = n < NODES ? (source + 1) % NODES : (source + COLUMNS) % NODES
    edges.push({ id: `e${n}`, source: `n${source}`, target: `n${target}`, label: 'HTTPS 443', data: { protocol: 'HTTPS', port: 443, encryption: 'TLS 1.3' } })
  }
  return { name: 'A thousand components', nodes, edges }
}

/** Bytes of a body as this server sends it to somebody who takes gzip. */
function gzipBytes (url) {
  return new Promise((resolve, reject) => {
    get(url, { headers: { 'accept-encoding': 'gzip', accept: 'text/html, */*' } }, (response) => {
      let bytes = 0
      response.on('data', (chunk) => { bytes += chunk.length })
      response.on('end', () => resolve({ bytes, encoding: response.headers['content-encoding'] ?? 'none' }))
    }).on('error', reject)
  })
}

async function firstLoad (person) {
  await person.goto('/')
  await person.page.getByRole('heading', { name: 'Sign in' }).waitFor()
  const urls = await person.page.evaluate(() => [location.href, ...performance.getEntriesByType('resource').map(({ name }) => name)])
  const wanted = [...new Set(urls)].filter((url) => !new URL(url).pathname.startsWith('/api/'))
  let sum = 0
  for (const url of wanted) {
    const { bytes, encoding } = await gzipBytes(url)
    sum += bytes
    say(`  ${String(bytes).padStart(8)} bytes ${encoding.padEnd(5)} ${new URL(url).pathname}`)
  }
  say(`first load, before the editor: ${(sum / 1000).toFixed(1)} kB in ${wanted.length} files (goal: below 300 kB)`)
}

/** Moves the drawing with the mouse in circles and returns the time between frames, in ms. */
async function pan (person) {
  const { page } = person
  const from = await person.canvas.emptyPlace()
  await page.evaluate(() => {
    window.frames_ms = []
    let last = performance.now()
    const frame = (now) => {
      window.frames_ms.push(now - last)
      last = now
      window.framesWanted && requestAnimationFrame(frame)
    }
    window.framesWanted = true
    requestAnimationFrame(frame)
  })
  await page.mouse.move(from.x, from.y)
  await page.mouse.down()
  const started = performance.now()
  let moves = 0
  while (performance.now() - started < PAN_MS) {
    const angle = (performance.now() - started) / 400
    await page.mouse.move(from.x + Math.sin(angle) * 260, from.y + (1 - Math.cos(angle)) * 160)
    moves += 1
  }
  // Back to where it began: what follows looks at the same part.
  await page.mouse.move(from.x, from.y, { steps: 4 })
  await page.mouse.up()
  const frames = await page.evaluate(() => {
    window.framesWanted = false
    return window.frames_ms.slice(2)
  })
  return { frames, moves }
}

async function panning (person, how) {
  const drawn = await person.page.locator('.react-flow__node').count()
  const { frames, moves } = await pan(person)
  const total = frames.reduce((sum, each) => sum + each, 0)
  const [p50, p95, longest] = [quantile(frames, 0.5), quantile(frames, 0.95), Math.max(...frames)].map((ms) => ms.toFixed(1))
  say(`panning ${how} (${drawn} of ${NODES} nodes drawn): ${(frames.length / total * 1000).toFixed(1)} frames/s`)
  say(`  frame p50 ${p50}, p95 ${p95}, longest ${longest} ms, under ${moves} moves of the pointer`)
}

/** From the start of a navigation, without network, to the first node on the screen of somebody who may edit. */
async function offlineReloads (person, what) {
  await person.page.addInitScript(() => {
    const look = () => {
      const node = document.querySelector('.react-flow__node')
      if (window.editableAfter_ms === undefined && node !== null && getComputedStyle(node).visibility === 'visible' && window.atlas?.state().canEdit) {
        window.editableAfter_ms = performance.now()
      } else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })
  const times = []
  for (let n = 0; n < RELOADS; n += 1) {
    await person.page.reload()
    await person.waits('a node that can be edited', () => person.page.evaluate(() => window.editableAfter_ms !== undefined))
    times.push(await person.page.evaluate(() => window.editableAfter_ms))
  }
  say(`offline reload to editable, ${what}: median ${quantile(times, 0.5).toFixed(0)} ms, longest ${Math.max(...times).toFixed(0)} ms of ${RELOADS}`)
}

const world = await World.start()
try {
  const person = await world.person('ann')
  await firstLoad(person)
  await person.signIn()

  const { id: large } = await person.api.json('POST', '/api/v1/designs', largeDesign())
  const opening = performance.now()
  await person.goto(`/d/${large}`)
  await person.editorIsThere()
  await person.page.locator('.react-flow__node').first().waitFor()
  say(`opening ${NODES} nodes and ${EDGES} edges over the network: first node after ${(performance.now() - opening).toFixed(0)} ms`)
  await person.saved()
  await person.canvas.fit()
  await panning(person, 'with everything in view')
  while (await person.canvas.zoom() < 0.9) await zoomIn(person)
  await panning(person, 'close by')

  await person.keptForOffline()
  await person.unplug()
  await offlineReloads(person, `${NODES} nodes`)
  person.plugIn()
  await person.saved()
  const { id: shop } = await person.api.import(readFileSync(SHOP, 'utf8'))
  await person.open(shop)
  await person.saved()
  await person.unplug()
  await offlineReloads(person, '20 nodes')
} finally {
  await world.stop()
}

/** Towards a node in the middle of what is seen. */
async function zoomIn (person) {
  const { x, y, width, height } = await person.page.getByTestId('canvas').boundingBox()
  await person.page.mouse.move(x + width / 2, y + height / 2)
  await person.page.keyboard.down('Control')
  await person.page.mouse.wheel(0, -100)
  await person.page.keyboard.up('Control')
  await person.canvas.stands()
}
