// Five people on one design at once, with the clients that the world already has; one of them loses the network.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import {
  assertSameElements, contentOf, contentOfUpdate, danglingDesign, elementsOfSnapshot, kohGrid, moveNode, putNode,
  randomEdit, sameContent, setFlag
} from './lib/drawing.mjs'
import { Proxy } from './lib/proxy.mjs'
import { Server } from './lib/server.mjs'
import { StockClient } from './lib/stock-client.mjs'
import { say, seeded, sleep, until } from './lib/wait.mjs'

let server
let owner

before(async () => {
  server = await Server.start()
  owner = await new Api(server.url).register('owner')
})

after(async () => server.down())

// R-SYNC-8
// R-SYNC-7, R-SYNC-8, R-SYNC-9
test('a hand-written design with one dangling edge', async () => {
  await story(danglingDesign())
})

test('a real Koh Atlas design', async (t) => {
  const text = kohGrid()
  if (text === null) {
    say('skipped: ../shared/data/kohatlas/kohGrid.json is not beside the repository')
    t.skip('no sample folder')
    return
  }
  await story(text)
})

async function story (text) {
  const random = seeded()
  const source = JSON.parse(text)
  const { id: design, report } = await owner.import(text)
  say(`imported ${report.kept.nodes} nodes and ${report.kept.edges} edges`)
  assert.equal(report.kept.nodes, source.nodes.length)
  assert.equal(report.kept.edges, source.edges.length)

  const imported = await owner.snapshot(design)
  const known = new Set(source.nodes.map(({ id }) => id))
  const dangling = source.edges.filter((edge) => !known.has(edge.source) || !known.has(edge.target))
  assert.equal(imported.integrity.hidden_edges.length, dangling.length)
  assert.equal(imported.edges.length, source.edges.length - dangling.length)
  say(`${dangling.length} edge leads nowhere: kept, hidden, reported`)

  // Each client has a proxy of its own, so that its bytes can be counted and its network cut.
  const clients = []
  for (const [name, Client] of [
    ['ann', StockClient], ['ben', StockClient], ['cem', StockClient], ['dua', AtlasClient], ['eve', AtlasClient]
  ]) {
    const proxy = await Proxy.start(server.port)
    clients.push(Object.assign(new Client({ name, url: proxy.url, design, token: owner.token }), { proxy }))
  }
  try {
    await Promise.all(clients.map((client) => client.synced()))
    say(`5 clients joined: ${clients.map(({ name, kind }) => `${name} (${kind})`).join(', ')}`)

    let n = 0
    const everybodyEdits = async (who, rounds) => {
      for (let round = 0; round < rounds; round += 1) {
        for (const client of who) randomEdit(client, random, n += 1)
        await sleep(random() * 6)
      }
    }
    await everybodyEdits(clients, 30)
    await settled(clients)
    say(`${n} edits at once; all agree`)

    await cutOff(clients, clients[0], everybodyEdits)
    await cutOff(clients, clients[4], everybodyEdits)

    for (const client of clients.filter(({ kind }) => kind === 'atlas.v1')) {
      assert.deepEqual(client.faults, [])
      assert.equal(client.notices[0].type, 'hello')
    }
    await compareEverything(clients, design)
  } finally {
    for (const client of clients) {
      client.leave()
      await client.proxy.stop()
    }
  }
}

/** One client loses the network; it and the others go on editing, the same elements among them; it returns. */
async function cutOff (clients, lost, everybodyEdits) {
  const others = clients.filter((client) => client !== lost)
  lost.edit((doc) => putNode(doc, `shared-${lost.name}`, 'before the cut', 0, 0))
  await settled(clients)

  await lost.proxy.cut()
  await until(`${lost.name} notices`, () => !lost.isOpen)
  const passed = lost.proxy.passed
  lost.edit((doc) => {
    putNode(doc, `island-${lost.name}`, 'drawn offline', 10, 10)
    moveNode(doc, `shared-${lost.name}`, 111, 222)
    setFlag(doc, `shared-${lost.name}`, 'setOffline', true)
  })
  others[0].edit((doc) => {
    putNode(doc, `mainland-${lost.name}`, 'drawn online', 20, 20)
    moveNode(doc, `shared-${lost.name}`, 333, 444)
    setFlag(doc, `shared-${lost.name}`, 'setOnline', true)
  })
  await Promise.all([everybodyEdits([lost], 12), everybodyEdits(others, 12)])
  await settled(others)
  assert.ok(!others[0].doc.getMap('nodes').has(`island-${lost.name}`), 'what was drawn offline is not out yet')
  assert.ok(!lost.doc.getMap('nodes').has(`mainland-${lost.name}`), 'what was drawn online has not come in')
  assert.equal(lost.proxy.passed, passed, 'bytes passed through a cut cable')
  say(`${lost.name} (${lost.kind}) cut off after ${passed} bytes; the count stood still while both sides edited`)

  lost.proxy.restore()
  await until(`${lost.name} is back`, () => lost.isSynced)
  await settled(clients)
  for (const { doc, name } of clients) {
    const nodes = doc.getMap('nodes')
    assert.ok(nodes.has(`island-${lost.name}`) && nodes.has(`mainland-${lost.name}`), `${name} has both sides`)
    const flags = nodes.get(`shared-${lost.name}`).get('data').get('securityFlags')
    assert.deepEqual([flags.get('setOffline'), flags.get('setOnline')], [true, true], `${name} has both flags`)
  }
  say(`${lost.name} is back with ${lost.proxy.passed - passed} bytes; all agree`)
}

async function settled (clients) {
  for (const client of clients) {
    if (client.kind === 'atlas.v1') await client.allSaved()
  }
  const [first, ...rest] = clients
  await until('all clients agree', () => rest.every(({ doc }) => sameContent(doc, first.doc)), {
    seen: () => clients.map(({ name, isSynced, doc }) =>
      `${name} synced ${isSynced}, ${doc.getMap('nodes').size} nodes, ${doc.getMap('edges').size} edges`).join('; ')
  })
}

/** All clients, the JSON snapshot and the Yjs snapshot are equal, element by element. */
async function compareEverything (clients, design) {
  const expected = contentOf(clients[0].doc)
  let compared = 0
  for (const { doc, name } of clients) compared += assertSameElements(contentOf(doc), expected, name)

  compared += assertSameElements(contentOfUpdate(await owner.snapshotYjs(design)), expected, 'the yjs snapshot')

  const snapshot = await owner.snapshot(design)
  compared += assertSameElements(elementsOfSnapshot(snapshot), expected, 'the json snapshot', ['nodes', 'edges'])
  for (const [key, value] of Object.entries(expected.meta)) {
    if (key in snapshot.meta) assert.deepEqual(snapshot.meta[key], value, `the json snapshot: meta ${key}`)
    else assert.deepEqual(snapshot[key], value, `the json snapshot: ${key}`)
  }
  const nodes = new Set(snapshot.nodes.map(({ id }) => id))
  for (const { id, source, target } of snapshot.edges) {
    assert.ok(nodes.has(source) && nodes.has(target), `edge ${id} of the snapshot has both its nodes`)
  }
  for (const { edge, missing } of snapshot.integrity.hidden_edges) {
    assert.ok(missing.length > 0 && missing.every((id) => !nodes.has(id)), `edge ${edge.id} is hidden for a reason`)
  }
  say(`5 clients, json and yjs snapshot: ${compared} elements compared, all equal`)
}
