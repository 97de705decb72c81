// Coming back with unsent work and typing at once: the first Update then builds on edits that the server has never
// seen. It is a gap, not a mistake: nothing is lost, and Saved does not count it before it is safe.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import { contentOf, contentOfUpdate, putNode, sameContent } from './lib/drawing.mjs'
import { Server } from './lib/server.mjs'
import { StockClient } from './lib/stock-client.mjs'
import { say, until } from './lib/wait.mjs'

let server
let owner

before(async () => {
  server = await Server.start()
  owner = await new Api(server.url).register('owner')
})

after(async () => server.down())

// R-SYNC-7, R-SYNC-10, R-COUNT-5, R-COUNT-7
test('atlas.v1: an Update typed on open, above edits that were made offline', async () => {
  const design = await owner.create('Gap')
  const at = { url: server.url, design, token: owner.token }
  const ann = new AtlasClient({ name: 'ann', ...at })
  const ben = new AtlasClient({ name: 'ben', ...at })
  try {
    await Promise.all([ann.synced(), ben.synced()])
    ann.edit((doc) => putNode(doc, 'online', 'before', 0, 0))
    await ann.allSaved()

    ann.disconnect()
    await until('ann is offline', () => ann.socket === null)
    for (let n = 1; n <= 5; n += 1) ann.edit((doc) => putNode(doc, `offline-${n}`, 'offline', n, n))
    assert.equal(ann.savedEdits.size, 1, 'edits made offline are not saved')

    ann.onOpen = () => {
      ann.edit((doc) => putNode(doc, 'on-open', 'typed at once', 9, 9))
      assert.deepEqual(ann.sent.map(({ step }) => step), [2], 'the Update is the first document message')
      ann.onOpen = () => {}
    }
    ann.connect()
    await ann.allSaved()
    assert.equal(ann.savedEdits.size, 7, 'all seven edits are acknowledged')
    assert.deepEqual(ann.faults, [])
    // Message 1 is the Update with the gap: it may count only together with the SyncStep2 that covers it.
    const covered = 1 + ann.sent.findIndex(({ step }) => step === 1)
    assert.ok(ann.savedLog.every((n) => covered <= n), `Saved(${ann.savedLog}), with the gap filled by message ${covered}`)
    say(`sent on the new socket: ${ann.sent.map(({ step }) => (step === 1 ? 'SyncStep2' : 'Update')).join(', ')}; ` +
      `asked ${ann.questions} times; Saved(${ann.savedLog.join('), Saved(')})`)

    await until('ben has it all', () => sameContent(ann.doc, ben.doc))
    const stored = contentOfUpdate(await owner.snapshotYjs(design))
    assert.deepEqual(stored, contentOf(ann.doc))
    assert.equal(Object.keys(stored.nodes).length, 7)
  } finally {
    ann.leave()
    ben.leave()
  }
})

// R-SYNC-10, R-COUNT-6
test('y-websocket: an edit typed in the moment of reconnecting, above edits that were made offline', async () => {
  const design = await owner.create('Gap, stock')
  const at = { url: server.url, design, token: owner.token }
  const ann = new StockClient({ name: 'ann', ...at })
  const ben = new AtlasClient({ name: 'ben', ...at })
  try {
    await Promise.all([ann.synced(), ben.synced()])
    ann.provider.disconnect()
    for (let n = 1; n <= 5; n += 1) ann.edit((doc) => putNode(doc, `offline-${n}`, 'offline', n, n))
    const typeOnConnect = ({ status }) => {
      if (status !== 'connected') return
      ann.provider.off('status', typeOnConnect)
      ann.edit((doc) => putNode(doc, 'on-open', 'typed at once', 9, 9))
    }
    ann.provider.on('status', typeOnConnect)
    ann.provider.connect()
    await until('ben has all six', () => ben.doc.getMap('nodes').size === 6)
    await until('both are equal', () => sameContent(ann.doc, ben.doc))
    assert.deepEqual(ann.closes, [])
    assert.deepEqual(contentOfUpdate(await owner.snapshotYjs(design)), contentOf(ann.doc))
    say('six edits arrived over a gap, on the first socket')
  } finally {
    ann.leave()
    ben.leave()
  }
})
