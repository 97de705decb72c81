// Edits that are not accepted, as the published clients live through them: a viewer goes on looking, an editor whose
// client id is spent begins anew, and nobody else notices.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import { contentOf, contentOfUpdate, moveNode, putNode, removeNode, sameContent, setFlag } from './lib/drawing.mjs'
import { Server } from './lib/server.mjs'
import { StockClient } from './lib/stock-client.mjs'
import { say, sleep, until } from './lib/wait.mjs'

const SPENT = 4409
/** Longer than y-websocket waits before it comes back, if it does. */
const COMES_BACK_MS = 1_000

let server
let owner
let guest

before(async () => {
  server = await Server.start()
  owner = await new Api(server.url).register('owner')
  guest = await new Api(server.url).register('guest')
})

after(async () => server.down())

/** A design with two people at work: one atlas.v1 client, one stock client. */
async function atWork (name, role) {
  const design = await owner.create(name)
  await owner.share(design, 'guest', role)
  const open = (name, Client, token) => new Client({ name, url: server.url, design, token })
  const ann = open('ann', AtlasClient, owner.token)
  const ben = open('ben', StockClient, owner.token)
  await Promise.all([ann.synced(), ben.synced()])
  ann.edit((doc) => putNode(doc, 'vpc', 'before', 0, 0))
  await ann.allSaved()
  await until('ben has it', () => sameContent(ann.doc, ben.doc))
  return { design, ann, ben, join: (name) => open(name, StockClient, guest.token) }
}

/** Both edit, each gets the other's edit, and the one who can hear it hears that it is saved. */
async function workOn (ann, ben, id) {
  ann.edit((doc) => putNode(doc, `ann-${id}`, 'fine', 1, 1))
  ben.edit((doc) => putNode(doc, `ben-${id}`, 'fine', 2, 2))
  await ann.allSaved()
  await until('both have both', () => sameContent(ann.doc, ben.doc) && ann.doc.getMap('nodes').has(`ben-${id}`))
  assert.deepEqual([ann.faults, ann.closes, ben.closes], [[], [], []], 'they notice nothing')
}

// R-REFUSE-2, R-SYNC-9
test('a stock viewer whose edits are refused stays connected and goes on receiving', async () => {
  const { design, ann, ben, join } = await atWork('Viewed', 'viewer')
  const viewer = join('viewer')
  let denials = 0
  const tell = console.warn
  // What y-websocket does with a permission-denied message is to print it.
  console.warn = () => { denials += 1 }
  try {
    await viewer.synced()
    for (const edit of [
      (doc) => putNode(doc, 'forbidden', 'forbidden', 0, 0),
      (doc) => moveNode(doc, 'vpc', 666, 666),
      (doc) => setFlag(doc, 'vpc', 'public', true),
      (doc) => removeNode(doc, 'vpc')
    ]) {
      const before = denials
      viewer.edit(edit)
      await until('the viewer is told', () => before < denials)
    }
    await workOn(ann, ben, 'one')
    await until('the viewer has it', () => viewer.doc.getMap('nodes').has('ann-one') && viewer.doc.getMap('nodes').has('ben-one'))
    assert.ok(viewer.isOpen)
    assert.deepEqual(viewer.closes, [])
    say(`${denials} edits of a viewer were refused; it kept its socket and heard everything since`)
    // A viewer that begins anew sees the design as it is.
    const again = join('viewer again')
    await again.synced()
    assert.deepEqual(contentOf(again.doc), contentOf(ann.doc))
    again.leave()
    const stored = contentOfUpdate(await owner.snapshotYjs(design))
    assert.deepEqual(stored, contentOf(ann.doc))
    assert.deepEqual(stored.nodes.vpc.position, { x: 0, y: 0 })
    assert.ok(!('forbidden' in stored.nodes))
  } finally {
    console.warn = tell
    for (const client of [ann, ben, viewer]) client.leave()
  }
})

// R-REFUSE-1, R-REFUSE-3, R-ID-1, R-LIMIT-4, R-CLOSE-2
for (const [what, spend] of [
  ['an edit under the client id of a colleague', (client, { ben }) => {
    const own = client.doc.clientID
    client.doc.clientID = ben.doc.clientID
    client.edit((doc) => putNode(doc, 'refused', 'refused', 0, 0))
    client.doc.clientID = own
  }],
  ['an edit in a root that designs do not have', (client) => client.edit((doc) => doc.getMap('others').set('refused', 1))],
  ['a subdocument', (client) => client.edit((doc) => doc.getMap('meta').set('refused', new Y.Doc()))]
]) {
  test(`a stock editor whose client id is spent begins anew: ${what}`, async () => {
    const { design, ann, ben, join } = await atWork(what, 'editor')
    const spent = join('guest')
    let anew
    try {
      await spent.synced()
      spent.edit((doc) => putNode(doc, 'guest-before', 'fine', 3, 3))
      await until('ann has it', () => ann.doc.getMap('nodes').has('guest-before'))
      spend(spent, { ben })
      await until('the guest is closed', () => spent.closes.length > 0)
      assert.deepEqual(spent.closes, [SPENT])
      await workOn(ann, ben, 'one')
      await sleep(COMES_BACK_MS)
      assert.deepEqual(spent.closes, [SPENT], 'y-websocket takes it as final')
      assert.ok(!spent.isOpen)

      anew = join('guest anew')
      await anew.synced()
      assert.deepEqual(contentOf(anew.doc), contentOf(ann.doc))
      anew.edit((doc) => putNode(doc, 'guest-anew', 'fine', 4, 4))
      await until('everybody has it', () => [ann, ben].every(({ doc }) => doc.getMap('nodes').has('guest-anew')))
      await workOn(ann, ben, 'two')
      await until('the guest has it', () => sameContent(anew.doc, ann.doc))
      assert.deepEqual(anew.closes, [])

      const stored = contentOfUpdate(await owner.snapshotYjs(design))
      assert.deepEqual(stored, contentOf(ann.doc))
      assert.ok(!JSON.stringify(stored).includes('refused'), 'nothing of it is stored')
      say(`closed with ${spent.closes}, begun anew with a fresh document: ${Object.keys(stored.nodes).length} nodes, and edits on`)
    } finally {
      for (const client of [ann, ben, spent, anew]) client?.leave()
    }
  })
}
