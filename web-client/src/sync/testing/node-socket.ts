// The `ws` package as the page's socket, for stories outside of a browser.

import { WebSocket } from 'ws'
import { type OpenSocket, SUBPROTOCOL } from '../socket'

export const openNodeSocket: OpenSocket = (address, events) => {
  const socket = new WebSocket(address, [SUBPROTOCOL])
  socket.on('open', () => events.opened())
  socket.on('message', (data, isBinary) => {
    events.message(isBinary && Buffer.isBuffer(data) ? new Uint8Array(data) : null)
  })
  socket.on('close', (code, reason) => events.closed(code, reason.toString()))
  socket.on('error', () => {})
  return {
    send: message => socket.send(message),
    close() {
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close(1000)
    }
  }
}
