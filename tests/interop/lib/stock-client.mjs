// An architect with the published y-websocket, unmodified.

import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { until } from './wait.mjs'

export class StockClient {
  constructor ({ name, url, design, token }) {
    this.name = name
    this.kind = 'stock'
    this.doc = new Y.Doc()
    this.closes = []
    this.provider = new WebsocketProvider(`${url.replace('http', 'ws')}/ws`, design, this.doc, {
      WebSocketPolyfill: WebSocket,
      disableBc: true,
      params: { token },
      // An option of the published provider: the stories need not wait for its full back-off.
      maxBackoffTime: 200
    })
    this.awareness = this.provider.awareness
    this.provider.on('connection-close', (event) => {
      if (event !== null) this.closes.push(event.code)
    })
  }

  edit (change) {
    this.doc.transact(() => change(this.doc))
  }

  get isOpen () {
    return this.provider.wsconnected
  }

  get isSynced () {
    return this.provider.synced
  }

  async synced () {
    await until(`${this.name} is synced`, () => this.isSynced, { seen: () => `closes ${this.closes}` })
  }

  /** The TCP connection just ends, as when a process dies. */
  vanish () {
    this.provider.shouldConnect = false
    this.provider.ws?.terminate()
  }

  leave () {
    this.provider.destroy()
    this.doc.destroy()
  }
}
