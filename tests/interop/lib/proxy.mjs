// A TCP proxy between a client and the server: it counts the bytes that pass, and can be cut or frozen.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { until } from './wait.mjs'

export class Proxy {
  static async start (port) {
    const proxy = new Proxy(port)
    proxy.listener.listen(0, '127.0.0.1')
    await once(proxy.listener, 'listening')
    proxy.port = proxy.listener.address().port
    proxy.url = `http://127.0.0.1:${proxy.port}`
    return proxy
  }

  constructor (target) {
    this.target = target
    this.bytes = { up: 0, down: 0 }
    this.pairs = new Set()
    this.refusing = false
    this.frozen = false
    this.listener = createServer((client) => this.#accept(client))
  }

  #accept (client) {
    client.on('error', () => {})
    if (this.refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect(this.target, '127.0.0.1')
    server.on('error', () => {})
    const pair = { client, server }
    this.pairs.add(pair)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      if (this.frozen) socket.pause()
    }
    this.#pump(client, server, 'up')
    this.#pump(server, client, 'down')
    const end = () => {
      this.pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    client.on('close', end)
    server.on('close', () => {
      // What the server said before it ended still reaches the client.
      client.end()
      if (client.destroyed || client.writableFinished) end()
      else client.once('finish', end)
    })
  }

  #pump (from, to, way) {
    from.on('data', (chunk) => {
      this.bytes[way] += chunk.length
      if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => { if (!this.frozen) from.resume() })
      }
    })
  }

  /** All bytes so far, both ways. */
  get passed () {
    return this.bytes.up + this.bytes.down
  }

  /** New connections are reset; those that stand go on. */
  refuse () {
    this.refusing = true
  }

  /** Every connection is reset, new ones too: a cable pulled, noticed by both ends. */
  async cut () {
    this.refusing = true
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
    await until('the cut connections are gone', () => this.pairs.size === 0)
  }

  /** Connections stay open and nothing passes: a cable pulled, noticed by nobody. */
  freeze () {
    this.frozen = true
    for (const { client, server } of this.pairs) {
      client.pause()
      server.pause()
    }
  }

  restore () {
    this.refusing = false
    this.frozen = false
    for (const { client, server } of this.pairs) {
      client.resume()
      server.resume()
    }
  }

  async stop () {
    await this.cut()
    this.listener.close()
    await once(this.listener, 'close')
  }
}
