// Stands before the server and answers some paths itself: the server of tomorrow, with another build of the web client.

import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'

export class Front {
  static async start (port) {
    const front = new Front(port)
    front.listener.listen(0, '127.0.0.1')
    await once(front.listener, 'listening')
    front.port = front.listener.address().port
    return front
  }

  constructor (target) {
    this.target = target
    /** path -> `{body, type, headers}`; everything else is the server's answer. */
    this.replaced = new Map()
    this.listener = createServer((incoming, answer) => this.#answer(incoming, answer))
    this.listener.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head))
  }

  #answer (incoming, answer) {
    const { pathname } = new URL(incoming.url, 'http://front')
    const replaced = this.replaced.get(pathname)
    if (replaced !== undefined) {
      answer.writeHead(200, { ...replaced.headers, 'content-type': replaced.type })
      answer.end(replaced.body)
      return
    }
    const onward = request({ port: this.target, host: '127.0.0.1', path: incoming.url, method: incoming.method, headers: incoming.headers })
    onward.on('response', (response) => {
      answer.writeHead(response.statusCode, response.rawHeaders)
      response.pipe(answer)
    })
    onward.on('error', () => answer.destroy())
    incoming.pipe(onward)
  }

  #upgrade (incoming, socket, head) {
    const server = connect(this.target, '127.0.0.1')
    const lines = [`GET ${incoming.url} HTTP/1.1`]
    for (let at = 0; at < incoming.rawHeaders.length; at += 2) lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`)
    server.write(`${lines.join('\r\n')}\r\n\r\n`)
    server.write(head)
    server.pipe(socket).pipe(server)
    for (const [one, other] of [[server, socket], [socket, server]]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  }

  async stop () {
    this.listener.closeAllConnections()
    this.listener.close()
    await once(this.listener, 'close')
  }
}
