// A TCP proxy between the page and the server: it counts the bytes that pass, and can be cut.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { portOf } from './port'
import { until } from './wait'

export class Line {
  /** Bytes so far, both ways. */
  passed = 0
  /** Connections that reached the server. */
  connections = 0
  #isCut = false
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #listener: Server

  static async start(port: number): Promise<Line> {
    const proxy = new Line(port)
    proxy.#listener.listen(0, '127.0.0.1')
    await once(proxy.#listener, 'listening')
    return proxy
  }

  private constructor(port: number) {
    this.#listener = createServer(client => this.#accept(client, port))
  }

  get url(): string {
    return `http://127.0.0.1:${portOf(this.#listener)}`
  }

  #accept(client: Socket, port: number): void {
    client.on('error', () => {})
    if (this.#isCut) {
      client.resetAndDestroy()
      return
    }
    this.connections += 1
    const server = connect(port, '127.0.0.1')
    server.on('error', () => {})
    const pair = [client, server] as const
    this.#pairs.add(pair)
    client.on('data', chunk => this.#pass(chunk, server))
    server.on('data', chunk => this.#pass(chunk, client))
    client.on('close', () => {
      this.#pairs.delete(pair)
      server.destroy()
    })
    server.on('close', () => client.end())
  }

  #pass(chunk: string | Buffer, to: Socket): void {
    this.passed += chunk.length
    to.write(chunk)
  }

  /** Every connection is reset, new ones too. */
  async cut(): Promise<void> {
    this.#isCut = true
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
    await until('the cut connections are gone', () => this.#pairs.size === 0)
  }

  restore(): void {
    this.#isCut = false
  }

  async stop(): Promise<void> {
    await this.cut()
    this.#listener.close()
    await once(this.#listener, 'close')
  }
}
