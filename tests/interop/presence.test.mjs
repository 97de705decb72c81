// Who is here: shown at once, and gone within a second when a connection is.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import { Proxy } from './lib/proxy.mjs'
import { Server } from './lib/server.mjs'
import { StockClient } from './lib/stock-client.mjs'
import { say, sleep, until } from './lib/wait.mjs'

const GONE_WITHIN_MS = 1_000

let server
let owner

before(async () => {
  server = await Server.start()
  owner = await new Api(server.url).register('owner')
})

after(async () => server.down())

// R-PRES-4
for (const cutKind of ['stock', 'atlas.v1']) {
  test(`presence of a cut ${cutKind} client is gone within a second`, async () => {
    const design = await owner.create(`Presence ${cutKind}`)
    const proxy = await Proxy.start(server.port)
    const clients = [['ann', StockClient], ['ben', AtlasClient], ['cem', StockClient], ['dua', AtlasClient]]
      .map(([name, Client]) => [name, Client, name < 'c' ? server.url : proxy.url])
      .map(([name, Client, url]) => new Client({ name, url, design, token: owner.token }))
    const lost = clients.slice(2).find(({ kind }) => kind === cutKind)
    const stay = clients.slice(0, 2)
    try {
      // Only one of the two behind the proxy takes part in this round.
      for (const client of clients.slice(2)) if (client !== lost) client.leave()
      const here = [...stay, lost]
      await Promise.all(here.map((client) => client.synced()))
      for (const client of here) client.awareness.setLocalStateField('user', { name: client.name })
      await until('everybody sees everybody', () => here.every((client) => sees(client, here)))

      const cutAt = performance.now()
      await proxy.cut()
      for (const client of stay) {
        await until(`${client.name} no longer sees ${lost.name}`, () => !sees(client, [lost]))
        const ms = performance.now() - cutAt
        assert.ok(ms < GONE_WITHIN_MS, `${client.name} (${client.kind}) saw a ghost for ${Math.round(ms)} ms`)
        say(`${lost.name} (${lost.kind}) was gone at ${client.name} (${client.kind}) after ${Math.round(ms)} ms`)
      }
      // Stock clients echo what they hear: no echo may bring the ghost back.
      while (performance.now() - cutAt < 2_000) {
        assert.ok(stay.every((client) => !sees(client, [lost])), `${lost.name} came back as a ghost`)
        await sleep(20)
      }
      assert.ok(stay.every((client) => sees(client, stay)), 'those who stayed still see each other')

      proxy.restore()
      await lost.synced()
      // y-websocket comes back under its old clock, which nobody believes after a removal, and hears that it is gone.
      await until(`${lost.name} is seen again`, () => stay.every((client) => sees(client, [lost])))
      say(`${lost.name} came back and is seen again`)
    } finally {
      for (const client of clients) client.leave()
      await proxy.stop()
    }
  })
}

// R-HAND-7
test('somebody who joins sees who is here, without waiting for their next move', async () => {
  const design = await owner.create('Presence for a joiner')
  const open = (name, Client) => new Client({ name, url: server.url, design, token: owner.token })
  const ann = open('ann', StockClient)
  const ben = open('ben', AtlasClient)
  let cem
  try {
    await Promise.all([ann.synced(), ben.synced()])
    for (const client of [ann, ben]) client.awareness.setLocalStateField('user', { name: client.name })
    await until('they see each other', () => sees(ann, [ben]) && sees(ben, [ann]))
    cem = open('cem', AtlasClient)
    const ms = await until('the joiner sees both', () => sees(cem, [ann, ben]))
    assert.deepEqual(cem.heard.slice(0, 3), ['notice', 'sync', 'awareness'], 'what the server says first')
    say(`a joiner saw both after ${Math.round(ms)} ms`)
  } finally {
    for (const client of [ann, ben, cem]) client?.leave()
  }
})

function sees (client, whom) {
  const names = [...client.awareness.getStates().values()].map((state) => state.user?.name)
  return whom.every(({ name }) => names.includes(name))
}
