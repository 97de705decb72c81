// The findings of a design on everybody's canvas: they come when the drawing settles, go when they are mended, and keep what people judge.

import assert from 'node:assert/strict'
import { say } from '../interop/lib/wait.mjs'
import { assertAccessible } from './lib/axe.mjs'
import { everywhereTheSame, sameCanvas } from './lib/compare.mjs'
import { story, world } from './lib/world.mjs'

/** Milliseconds from the last edit until findings stand on every canvas; a bound for what hangs. */
const SETTLED = 15_000

const node = (id, x, y, type, zone, securityFlags = {}) => ({
  id, type: 'custom', position: { x, y }, data: { type, label: id, zone, securityFlags }
})
const edge = (source, target, protocol, port) => ({
  id: `${source}-to-${target}`, source, target, type: 'smoothstep',
  data: { protocol, port, encryption: 'TLS 1.3', authentication: 'oauth', securityFlags: { encrypted: true, authenticated: true, authorizationEnabled: true, rateLimited: true } }
})

/** Everything that travels is encrypted, from the visitors to the ledger. */
const DESIGN = JSON.stringify({
  projectName: 'Findings',
  nodes: [
    node('visitors', 0, 0, 'web-browser', 'external'),
    node('guard', 0, 160, 'waf', 'dmz'),
    node('front', 0, 320, 'web-server', 'dmz', { rateLimiting: true }),
    node('orders', 320, 320, 'app-server', 'internal'),
    node('ledger', 640, 320, 'database', 'data', { encryptionAtRest: true, backupEnabled: true, loggingEnabled: true, activityMonitoring: true })
  ],
  edges: [
    edge('visitors', 'guard', 'HTTPS', 443),
    edge('guard', 'front', 'HTTPS', 443),
    edge('front', 'orders', 'HTTPS', 443),
    edge('orders', 'ledger', 'PostgreSQL', 5432)
  ]
})

const PLAINTEXT = 'ATL-T01'
const EDGE = 'front-to-orders'

let ann, ben

const here = world({}, async (world) => {
  [ann, ben] = await world.signedIn('ann', 'ben')
})

async function openFindings (role = 'editor') {
  const { id } = await ann.api.import(DESIGN)
  await ann.api.share(id, 'ben', role)
  await Promise.all([ann.open(id), ben.open(id)])
  await ann.saved()
  for (const person of [ann, ben]) {
    await person.waits('a score', () => person.page.locator('[data-testid=score][data-score]').isVisible(), SETTLED)
  }
  return id
}

const score = async ({ page }) => Number(await page.getByTestId('score').getAttribute('data-score'))
const tab = ({ page }, name) => page.getByRole('tab', { name }).click()
const line = ({ page }, rule) => page.locator(`[data-testid=finding][data-rule=${rule}]`)
const mark = ({ page }, id) => page.locator(`[data-testid=finding-mark][data-element="${id}"]`)
const unfold = async (person, rule) => {
  const button = line(person, rule).locator('[data-finding]')
  if (await button.getAttribute('aria-expanded') === 'false') await button.click()
}

/** How many open findings of the rule are listed. The panel is open. */
const listed = (person, rule, count) =>
  person.waits(`${count} of ${rule}`, async () => await line(person, rule).count() === count, SETTLED)

const both = (act) => Promise.all([ann, ben].map(act))

/** The encrypted connection becomes a plain one, in the inspector. */
async function makePlain (person) {
  await tab(person, 'Inspector')
  await person.canvas.selectEdge(EDGE)
  await person.canvas.write('Protocol', 'HTTP')
  await person.canvas.write('Port', '80')
  await person.canvas.write('Encryption', 'None')
  await person.saved()
}

async function openTab (person) {
  if (await person.page.getByRole('tab', { name: 'Findings' }).count() === 0) await person.page.getByTestId('score').click()
  else await tab(person, 'Findings')
}

story(here, 'what somebody makes vulnerable is told to both, and goes in both when one of them mends it', async () => {
  const design = await openFindings()
  await both(openTab)
  await both((person) => listed(person, PLAINTEXT, 0))
  const safe = await score(ann)

  await makePlain(ann)
  await ann.waits('a mark on the connection', () => mark(ann, EDGE).isVisible(), SETTLED)
  await ben.waits('a mark on the connection', () => mark(ben, EDGE).isVisible(), SETTLED)
  await openTab(ann)
  await both((person) => listed(person, PLAINTEXT, 1))
  const plain = await score(ann)
  assert.ok(plain < safe, `the score fell: ${safe} to ${plain}`)
  assert.equal(await score(ben), plain)
  say(`HTTP across a boundary: ${PLAINTEXT} on both canvases, and the score went from ${safe} to ${plain}`)

  await unfold(ben, PLAINTEXT)
  await assertAccessible(ben.page, 'the findings')
  const drawn = await ben.canvas.view()
  await line(ben, PLAINTEXT).getByTestId('apply-fix').click()
  await both((person) => listed(person, PLAINTEXT, 0))
  await ben.saved()
  assert.equal((await ann.canvas.view()).edges[EDGE].data.protocol, 'HTTPS')
  assert.ok(plain < await score(ann), 'the score rose')
  say('Ben\'s press mended it, and it went from both')

  await ben.page.getByRole('button', { name: 'Undo' }).click()
  await both((person) => listed(person, PLAINTEXT, 1))
  await ben.saved()
  assert.deepEqual((await ben.canvas.view()).edges, drawn.edges, 'one step back is all of it')
  assert.equal(await score(ann), plain, 'what was known before has the score of before')
  assert.ok(await ann.page.getByRole('button', { name: 'Undo' }).isEnabled(), 'Ann\'s own edits are hers to undo')
  say('Ben undid it in one step, and it came back to both')
  await sameCanvas(ann, ben)
  await everywhereTheSame([ann, ben], ann.api, design)
})

story(here, 'what somebody accepts is known to the other, with the reason, and no longer counts', async () => {
  await openFindings()
  await makePlain(ann)
  await both(openTab)
  await both((person) => listed(person, PLAINTEXT, 1))
  const before = await score(ann)
  await unfold(ben, PLAINTEXT)
  await line(ben, PLAINTEXT).getByRole('button', { name: 'Accept the risk…' }).click()
  await ben.page.getByLabel('Why is the risk acceptable?').fill('Both stand in one locked rack.')
  await ben.page.getByRole('button', { name: 'Accept the risk', exact: true }).click()
  await both((person) => listed(person, PLAINTEXT, 0))
  await ann.waits('a better score', async () => before < await score(ann))

  await ann.page.getByLabel('State').selectOption('settled')
  await listed(ann, PLAINTEXT, 1)
  await unfold(ann, PLAINTEXT)
  const judged = await line(ann, PLAINTEXT).getByTestId('judged').textContent()
  assert.match(judged, /^ben accepted the risk.*Both stand in one locked rack\.$/)
  say(`Ann reads: ${judged}`)

  await line(ann, PLAINTEXT).getByRole('button', { name: 'Reopen' }).click()
  await listed(ben, PLAINTEXT, 1)
  await ben.waits('the score of before', async () => await score(ben) === before)
  say('Ann reopened it, and Ben has it again')
})

story(here, 'who may only look sees the findings, and no button that changes anything', async () => {
  await openFindings('viewer')
  await makePlain(ann)
  await openTab(ben)
  await listed(ben, PLAINTEXT, 1)
  await unfold(ben, PLAINTEXT)
  for (const name of [/Analyse now/, /Accept the risk/, /Not a problem/]) {
    assert.equal(await ben.page.getByRole('button', { name }).count(), 0, `no button ${name}`)
  }
  assert.equal(await ben.page.getByTestId('apply-fix').count(), 0)
  await mark(ben, EDGE).click()
  await ben.page.getByText('Only about').waitFor()
  say('Read-only: findings, marks and reasons, nothing to press')
})

story(here, 'without a connection the last findings stay, are called old, and can be mended', async () => {
  await openFindings()
  await makePlain(ann)
  await both(openTab)
  await both((person) => listed(person, PLAINTEXT, 1))
  await unfold(ann, PLAINTEXT)
  await ann.unplug()
  await ann.waits('that they are old', async () => (await ann.page.getByTestId('freshness').textContent()).startsWith('Offline.'))
  assert.ok(await line(ann, PLAINTEXT).getByRole('button', { name: 'Accept the risk…' }).isDisabled())
  await line(ann, PLAINTEXT).getByTestId('apply-fix').click()
  await ann.offline(1)
  assert.equal(await line(ann, PLAINTEXT).count(), 1, 'nobody has looked at it yet')
  ann.plugIn()
  await ann.saved()
  await both((person) => listed(person, PLAINTEXT, 0))
  say('mended offline; with the cable back it went from both')
})
