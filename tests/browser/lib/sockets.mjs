// The WebSocket messages of one page, told apart by their first two integers (docs/PROTOCOL.md, Messages).

const NAMES = new Map([['0,0', 'SyncStep1'], ['0,1', 'SyncStep2'], ['0,2', 'Update']])

function nameOf (payload) {
  const bytes = Buffer.from(payload)
  if (bytes[0] === 0) return NAMES.get(`0,${bytes[1]}`) ?? 'malformed'
  return { 1: 'Awareness', 3: 'QueryAwareness', 120: 'Saved', 121: 'Notice', 122: 'Renew' }[bytes[0]] ?? 'other'
}

export class Sockets {
  static #known = new WeakMap()

  static of (page) {
    if (!Sockets.#known.has(page)) Sockets.#known.set(page, new Sockets(page))
    return Sockets.#known.get(page)
  }

  /** All sockets of the page in the order of opening: `{up: [name], down: [name]}`. */
  constructor (page) {
    this.all = []
    page.on('websocket', (socket) => {
      const seen = { up: [], down: [] }
      this.all.push(seen)
      socket.on('framesent', ({ payload }) => seen.up.push(nameOf(payload)))
      socket.on('framereceived', ({ payload }) => seen.down.push(nameOf(payload)))
    })
  }

  get newest () {
    return this.all.at(-1)
  }
}

/** How often each document message stands in a list of names. */
export function counted (names) {
  const count = (name) => names.filter((each) => each === name).length
  return { SyncStep1: count('SyncStep1'), SyncStep2: count('SyncStep2'), Update: count('Update') }
}
