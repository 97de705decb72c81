// The WebSocket as the connection uses it, and the browser's. Tests bring their own.

export const SUBPROTOCOL = 'atlas.v1'

export interface RawSocket {
  send(message: Uint8Array): void
  /** Ends it politely. Nothing is heard of it afterwards: not its close either. */
  close(): void
}

export interface RawSocketEvents {
  opened(): void
  /** Null: a text message, which no server of ours sends. */
  message(bytes: Uint8Array | null): void
  closed(code: number, reason: string): void
}

/** Opens a socket. Calls no event before it has returned. */
export type OpenSocket = (address: string, events: RawSocketEvents) => RawSocket

export const openBrowserSocket: OpenSocket = (address, events) => {
  const socket = new WebSocket(address, [SUBPROTOCOL])
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => events.opened()
  socket.onmessage = event => {
    const data: unknown = event.data
    events.message(data instanceof ArrayBuffer ? new Uint8Array(data) : null)
  }
  socket.onclose = event => events.closed(event.code, event.reason)
  return {
    send: message => socket.send(new Uint8Array(message)),
    close() {
      // A dead network keeps the closing socket for a minute: whoever closes does not wait for it.
      socket.onopen = null
      socket.onmessage = null
      socket.onclose = null
      socket.close(1000)
    }
  }
}

/** `https://host/…` and a design -> the address of its socket. `epoch`: what this device has, if it has anything. */
export function socketAddress(server: string, design: string, ticket: string, epoch: number | null): string {
  const address = new URL(`/ws/${encodeURIComponent(design)}`, server)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  address.searchParams.set('token', ticket)
  if (epoch !== null) address.searchParams.set('epoch', String(epoch))
  return address.href
}
