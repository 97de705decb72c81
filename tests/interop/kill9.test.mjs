// The server is killed with SIGKILL under typing, again and again.
//
// After each restart, before any author can reconnect: every edit that was acknowledged is there, and so is every
// edit that anybody but its author ever saw. At the end no two clients differ.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { Api } from './lib/api.mjs'
import { AtlasClient } from './lib/atlas-client.mjs'
import { assertSameElements, contentOf, contentOfUpdate, elementsOfSnapshot, putNode, sameContent } from './lib/drawing.mjs'
import { Proxy } from './lib/proxy.mjs'
import { Server } from './lib/server.mjs'
import { StockClient } from './lib/stock-client.mjs'
import { say, seeded, sleep, until } from './lib/wait.mjs'

const KILLS = Number(process.env.ATLAS_STOCK_KILLS ?? 20)
const ATTEMPTS_MAX = 3 * KILLS
/** A kill counts only if something was acknowledged this shortly before. */
const FRESH_MS = 100
const TYPING_MS = 6

// R-COUNT-2, R-SYNC-6
// R-COUNT-2, R-COUNT-7, R-SYNC-6, R-SYNC-8
test('kill -9 under typing: saved edits stay, and nobody saw an edit that is gone', async () => {
  const random = seeded()
  const server = await Server.start()
  const proxy = await Proxy.start(server.port)
  const owner = await new Api(server.url).register('owner')
  const design = await owner.create('Killed often')
  const typists = [['ann', StockClient], ['ben', StockClient], ['cem', AtlasClient], ['dua', AtlasClient]]
    .map(([name, Client]) => new Typist(new Client({ name, url: proxy.url, design, token: owner.token })))
  const saved = () => Math.max(...typists.map(({ client }) => client.savedAt ?? -Infinity))
  try {
    await Promise.all(typists.map(({ client }) => client.synced()))
    typists[2].client.edit((doc) => putNode(doc, 'board', 'Board', 0, 0))
    await until('everybody sees the board', () => typists.every((typist) => typist.board !== undefined))
    for (const typist of typists) typist.start(random)

    let counted = 0
    let stale = 0
    let checked = 0
    const upMs = []
    while (counted < KILLS) {
      assert.ok(counted + stale < ATTEMPTS_MAX, `only ${counted} of ${counted + stale} kills came right after a Saved`)
      await until('everybody is synced and typing', () => typists.every(({ client }) => client.isSynced))
      await sleep(60 + random() * 200)
      const sinceSaved = performance.now() - saved()
      proxy.refuse()
      await server.kill()
      if (sinceSaved <= FRESH_MS) counted += 1
      else stale += 1

      // What the dead server had sent is still on its way through the proxy: let it arrive, and count it.
      await until('the last bytes have arrived', () => proxy.pairs.size === 0)
      await until('everybody noticed', () => typists.every(({ client }) => !client.isOpen))
      upMs.push(await server.up())

      const there = boardOf(elementsOfSnapshot(await owner.snapshot(design)))
      const thereYjs = boardOf(contentOfUpdate(await owner.snapshotYjs(design)))
      for (const typist of typists) {
        for (const key of typist.savedKeys()) {
          assert.ok(key in there && key in thereYjs, `${typist.name} was told that ${key} is saved`)
          checked += 1
        }
        for (const key of typist.sawOfOthers) {
          assert.ok(key in there && key in thereYjs, `${typist.name} saw ${key}, and it is gone`)
          checked += 1
        }
      }
      proxy.restore()
    }
    upMs.sort((a, b) => a - b)
    say(`${counted} kills counted, ${stale} not (no Saved within ${FRESH_MS} ms before); ` +
      `ready again after ${Math.round(upMs[upMs.length >> 1])} ms (median)`)
    say(`${checked} times an edit was looked for that was saved or seen: all there`)

    for (const typist of typists) typist.stop()
    await until('everybody is synced', () => typists.every(({ client }) => client.isSynced))
    for (const { client } of typists) if (client.kind === 'atlas.v1') await client.allSaved()
    const first = typists[0].client.doc
    await until('no two clients differ', () => typists.every(({ client }) => sameContent(client.doc, first)))

    const reader = new AtlasClient({ name: 'reader', url: server.url, design, token: owner.token })
    await reader.synced()
    await until('a fresh reader has it all', () => sameContent(reader.doc, first))
    reader.leave()
    const content = contentOf(first)
    assertSameElements(elementsOfSnapshot(await owner.snapshot(design)), content, 'the json snapshot', ['nodes', 'edges'])
    assertSameElements(contentOfUpdate(await owner.snapshotYjs(design)), content, 'the yjs snapshot')
    const board = boardOf(content)
    for (const typist of typists) {
      for (let n = 1; n <= typist.typed; n += 1) assert.ok(typist.key(n) in board, `${typist.key(n)} was typed`)
      assert.deepEqual(typist.client.faults ?? [], [])
    }
    const sum = (count) => typists.reduce((total, typist) => total + count(typist), 0)
    say(`${sum(({ typed }) => typed)} edits typed, ${sum(({ savedCount }) => savedCount)} acknowledged one by one, ` +
      `${sum(({ sawOfOthers }) => sawOfOthers.size)} sightings: nothing is missing`)
  } catch (error) {
    say(`the end of the server's log:\n${server.tail()}`)
    throw error
  } finally {
    for (const typist of typists) typist.leave()
    await proxy.stop()
    await server.down()
  }
})

const boardOf = ({ nodes }) => nodes.board?.data ?? {}

/** Somebody who adds one key after the other to the board, and remembers every key of others that came in. */
class Typist {
  constructor (client) {
    this.client = client
    this.name = client.name
    this.typed = 0
    this.sawOfOthers = new Set()
    /** Which of this client's transactions wrote which key. */
    this.editOfKey = new Map()
    client.doc.getMap('nodes').observeDeep((events, transaction) => {
      if (transaction.local) return
      for (const event of events) {
        if (!(event.target instanceof Y.Map)) continue
        for (const [key, { action }] of event.changes.keys) {
          if (action !== 'delete' && /^[a-z]+-\d+$/.test(key) && !key.startsWith(`${this.name}-`)) {
            this.sawOfOthers.add(key)
          }
        }
      }
    })
  }

  get board () {
    return this.client.doc.getMap('nodes').get('board')?.get('data')
  }

  key (n) {
    return `${this.name}-${n}`
  }

  start (random) {
    const next = () => {
      this.typed += 1
      this.client.edit(() => this.board.set(this.key(this.typed), true))
      this.editOfKey.set(this.key(this.typed), this.client.edits)
      this.timer = setTimeout(next, TYPING_MS * (0.5 + random()))
    }
    next()
  }

  stop () {
    clearTimeout(this.timer)
  }

  /** The keys that the server acknowledged. Stock clients are never told. */
  savedKeys () {
    if (this.client.savedEdits === undefined) return []
    return [...this.editOfKey].filter(([, edit]) => this.client.savedEdits.has(edit)).map(([key]) => key)
  }

  get savedCount () {
    return this.savedKeys().length
  }

  leave () {
    this.stop()
    this.client.leave()
  }
}
