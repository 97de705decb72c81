// Where a listener listens.

import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

export function portOf(listener: Server): number {
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the listener has no port')
  return address.port
}

export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const port = portOf(listener)
  listener.close()
  await once(listener, 'close')
  return port
}
