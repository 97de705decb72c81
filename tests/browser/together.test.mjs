// Two architects, each with a browser of their own, draw on one imported design.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { say } from '../interop/lib/wait.mjs'
import { everywhereTheSame, sameCanvas } from './lib/compare.mjs'
import { DANGLING, KOH_GRID, SHOP } from './lib/designs.mjs'
import { story, world } from './lib/world.mjs'

let ann, ben

const here = world({}, async (world) => {
  [ann, ben] = await world.signedIn('ann', 'ben')
})

/** Ann imports a file through the page and shares it with Ben; both have it open. Returns its id. */
async function imported (file) {
  await ann.goto('/')
  await ann.page.getByTestId('import-file').setInputFiles(file)
  const dialog = ann.page.getByRole('dialog')
  await dialog.getByRole('heading', { name: 'Imported' }).waitFor()
  const told = await dialog.textContent()
  await dialog.getByRole('button', { name: 'Open design' }).click()
  await ann.page.waitForURL(/\/d\/[0-9a-f-]{36}/)
  const design = new URL(ann.page.url()).pathname.split('/').at(-1)
  ann.design = design
  await ann.editorIsThere()
  await ann.canvas.fit()
  await ann.api.share(design, 'ben', 'editor')
  await ben.open(design)
  await Promise.all([ann.saved(), ben.saved()])
  return { design, told }
}

/** `act` on one page, until the other page's canvas is equal to it; exactly `edits` document edits came of it. */
async function seenBy (other, design, what, act, edits = 1) {
  const actor = other === ben ? ann : ben
  await actor.saved()
  const { seq } = await ann.api.snapshot(design)
  const before = await actor.canvas.view()
  const result = await act(actor.canvas)
  await actor.saved()
  const after = await actor.canvas.view()
  assert.notDeepEqual(after, before, `${what}: something changed for ${actor.name}`)
  await sameCanvas(other, actor)
  const appended = (await ann.api.snapshot(design)).seq - seq
  assert.equal(appended, edits, `${what}: document edits in the log`)
  say(`${actor.name}: ${what}; seen by ${other.name}`)
  return result
}

story(here, 'every kind of edit is seen by the other', async () => {
  const { design } = await imported(SHOP)
  const value = async (id, root = 'nodes') => (await ben.canvas.view())[root][id]

  const fresh = await seenBy(ben, design, 'a firewall dragged in from the palette', (canvas) => canvas.dragIn('firewall'))
  assert.equal((await value(fresh)).data.type, 'firewall')

  await seenBy(ben, design, 'moved', (canvas) => canvas.drag(fresh, 45, 30))

  await seenBy(ben, design, 'relabelled', async (canvas) => {
    await canvas.select(fresh)
    await canvas.write('Label', 'Edge firewall')
  })
  assert.equal((await value(fresh)).data.label, 'Edge firewall')
  await ben.canvas.node(fresh).getByText('Edge firewall').waitFor()

  const edge = await seenBy(ann, design, 'connected', (canvas) => canvas.connect('phone', fresh))
  assert.deepEqual([(await value(edge, 'edges')).source, (await value(edge, 'edges')).target], ['phone', fresh])

  await seenBy(ann, design, 'the edge\'s protocol', async (canvas) => {
    await canvas.selectEdge(edge)
    await canvas.write('Protocol', 'gRPC')
  })
  assert.equal((await value(edge, 'edges')).data.protocol, 'gRPC')

  await seenBy(ann, design, 'the edge\'s port', (canvas) => canvas.write('Port', '8443'))
  assert.equal(String((await value(edge, 'edges')).data.port), '8443')

  await seenBy(ann, design, 'the edge\'s encryption', (canvas) => canvas.write('Encryption', 'mTLS'))
  assert.equal((await value(edge, 'edges')).data.encryption, 'mTLS')

  await seenBy(ben, design, 'a security flag', async (canvas) => {
    await canvas.select('cdn')
    await canvas.setFlag('MFA required', 'Yes')
  })
  assert.equal((await value('cdn')).data.securityFlags.mfaRequired, true)
  assert.equal((await value('cdn')).data.securityFlags.loggingEnabled, true, 'the flags of before stay')

  const [dns, cdn] = [await value('dns'), await value('cdn')]
  await seenBy(ben, design, 'two moved together', async (canvas) => {
    await canvas.select('dns', 'cdn')
    await canvas.drag('cdn', 0, -24)
  })
  const moved = { dns: await value('dns'), cdn: await value('cdn') }
  assert.notDeepEqual(moved.dns.position, dns.position)
  assert.equal(moved.dns.position.y - dns.position.y, moved.cdn.position.y - cdn.position.y)

  await seenBy(ann, design, 'two nodes and the edge between them copied and pasted', async (canvas) => {
    const before = await canvas.ids()
    await canvas.select('orders', 'ledger')
    await canvas.press('ControlOrMeta+c')
    await canvas.press('ControlOrMeta+v')
    await ben.waits('two more nodes and one more edge', async () => {
      const { nodes, edges } = await canvas.ids()
      return nodes.length === before.nodes.length + 2 && edges.length === before.edges.length + 1
    })
  })

  const storage = await value('storage')
  await seenBy(ben, design, 'a subnet made larger', (canvas) => canvas.resize('storage', 40, 30))
  assert.ok(storage.width < (await value('storage')).width)

  await seenBy(ann, design, 'a node deleted, with its edges', async (canvas) => {
    await canvas.select('waf')
    await canvas.press('Delete')
    await ben.waits('the node gone', async () => !(await canvas.ids()).nodes.includes('waf'))
  })
  const left = await ann.canvas.view()
  assert.deepEqual(Object.values(left.edges).filter(({ source, target }) => source === 'waf' || target === 'waf'), [])

  await seenBy(ben, design, 'the design\'s name', async () => {
    await ann.page.getByLabel('Design name').fill('Ticket shop, reviewed')
    await ann.page.getByLabel('Design name').press('Enter')
  })
  await everywhereTheSame([ann, ben], ann.api, design)
})

story(here, 'a real design with all its elements', async (_, t) => {
  if (KOH_GRID === null) {
    say('skipped: ../shared/data/kohatlas/kohGrid.json is not beside the repository')
    t.skip('no sample folder')
    return
  }
  const source = JSON.parse(readFileSync(KOH_GRID, 'utf8'))
  const { design, told } = await imported(KOH_GRID)
  assert.match(told, new RegExp(`\\b${source.nodes.length}\\b`), 'the report says how many nodes were kept')
  assert.match(told, new RegExp(`\\b${source.edges.length}\\b`), 'the report says how many edges were kept')
  const first = await ann.canvas.enterIn('cache')
  // What comes to Ben after this is his own.
  await ben.waits('what Ann added', async () => (await ben.canvas.ids()).nodes.includes(first))
  await ben.canvas.enterIn('database')
  await Promise.all([ann.saved(), ben.saved()])
  const view = await everywhereTheSame([ann, ben], ann.api, design)
  assert.equal(Object.keys(view.nodes).length, source.nodes.length + 2)
})

story(here, 'an edge that leads nowhere is hidden, kept and reported', async () => {
  const { design, told } = await imported(DANGLING)
  assert.match(told, /mail-printer|printer/)
  const view = await everywhereTheSame([ann, ben], ann.api, design)
  assert.deepEqual(view.hidden, { 'mail-printer': ['printer'] })
})

story(here, 'they see each other: avatars, cursors, rings, and a drag while it happens', async () => {
  const { design } = await imported(SHOP)
  await ben.page.getByTestId('avatar').and(ben.page.getByLabel('ann')).first().waitFor()
  await ann.page.getByTestId('avatar').and(ann.page.getByLabel('ben')).first().waitFor()
  say('both see the other\'s avatar')

  // The cursor stands for Ben over the same place of the drawing as for Ann.
  const at = await ann.canvas.middleOf('orders')
  await ann.page.mouse.move(at.x, at.y, { steps: 4 })
  const cursor = ben.page.getByTestId('cursor').filter({ hasText: 'ann' })
  await cursor.waitFor()
  const target = await ben.canvas.boxOf('orders')
  await ben.waits('Ann\'s cursor over the same node', async () => {
    const box = await cursor.boundingBox()
    return box !== null && Math.abs(box.x - (target.x + target.width / 2)) < 30 && Math.abs(box.y - (target.y + target.height / 2)) < 30
  })
  say('Ann\'s cursor glides to the same node for Ben, with her name')

  await ann.canvas.select('payments')
  await ben.page.locator('[data-testid=peer-ring][data-element=payments]').waitFor()
  say('Ann\'s selection has a ring for Ben')

  await ann.saved()
  const { seq } = await ann.api.snapshot(design)
  const [before, stored] = [await ben.canvas.boxOf('payments'), (await ben.canvas.view()).nodes.payments.position]
  await ann.canvas.take('payments', 60, 40)
  await ben.waits('the node on its way', async () => {
    const box = await ben.canvas.boxOf('payments')
    return Math.abs(box.x - before.x - 60) < 12 && Math.abs(box.y - before.y - 40) < 12
  })
  assert.deepEqual((await ben.canvas.view()).nodes.payments.position, stored, 'the document does not know of it yet')
  assert.equal((await ann.api.snapshot(design)).seq, seq, 'nothing is in the log yet')
  await ann.canvas.drop()
  await ann.saved()
  await sameCanvas(ben, ann)
  assert.equal((await ann.api.snapshot(design)).seq, seq + 1)
  say('a drag was seen while it happened, and is one edit at its end')

  await ben.page.getByRole('button', { name: 'Hide others' }).click()
  await ben.waits('nobody any more', async () => await ben.page.getByTestId('cursor').count() === 0 && await ben.page.getByTestId('peer-ring').count() === 0)
  await ben.page.getByRole('button', { name: 'Show others' }).click()
  await ben.page.locator('[data-testid=peer-ring][data-element=payments]').waitFor()
  say('others can be hidden and shown')

  await ann.goto('/')
  await ben.waits('Ann gone', async () => await ben.page.getByTestId('avatar').and(ben.page.getByLabel('ann')).count() === 0)
  say('who leaves is gone at once')
})
