// Updates v1 taken apart into tokens and put together again, and the many ways to spoil them.
//
// Reading is as lenient as lib0 is: integers may be longer than needed, bytes may follow the end.

export class Unreadable extends Error {}

class Reader {
  constructor (bytes) {
    this.bytes = bytes
    this.at = 0
    this.tokens = []
  }

  byte () {
    if (this.bytes.length <= this.at) throw new Unreadable('end')
    return this.bytes[this.at++]
  }

  /** A number up to 2^53, else it is of no use to anybody. */
  number () {
    let value = 0
    let weight = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * weight
      weight *= 128
      if (Number.MAX_SAFE_INTEGER < value) throw new Unreadable('a large number')
      if (byte < 0x80) return value
    }
  }

  token (role, from, value) {
    this.tokens.push({ role, bytes: this.bytes.slice(from, this.at), value })
    return value
  }

  uint (role) {
    const from = this.at
    return this.token(role, from, this.number())
  }

  raw (role, read) {
    const from = this.at
    return this.token(role, from, read())
  }

  blob (role) {
    return this.raw(role, () => {
      const len = this.number()
      if (this.bytes.length - this.at < len) throw new Unreadable('end')
      this.at += len
      return this.bytes.subarray(this.at - len, this.at)
    })
  }

  text (role) {
    return Buffer.from(this.blob(role)).toString('utf8')
  }

  any () {
    const kind = this.byte()
    if (kind === 125) this.number()
    else if (kind === 124) this.skip(4)
    else if (kind === 123 || kind === 122) this.skip(8)
    else if (kind === 119 || kind === 116) this.skip(this.number())
    else if (kind === 118 || kind === 117) {
      for (let left = this.number(); left > 0; left -= 1) {
        if (kind === 118) this.skip(this.number())
        this.any()
      }
    }
  }

  skip (len) {
    if (this.bytes.length - this.at < len) throw new Unreadable('end')
    this.at += len
  }

  /** Returns how many clocks the content takes. */
  content (kind) {
    switch (kind) {
      case 1: return this.uint('length')
      case 2: {
        const len = this.uint('count')
        for (let at = 0; at < len; at += 1) this.blob('content')
        return len
      }
      case 3: this.blob('content'); return 1
      case 4: return this.text('text').length
      case 5: this.blob('content'); return 1
      case 6: this.blob('content'); this.blob('content'); return 1
      case 7: {
        const of = this.uint('type')
        if (of === 3 || of === 5) this.blob('content')
        return 1
      }
      case 8: {
        const len = this.uint('count')
        for (let at = 0; at < len; at += 1) this.raw('value', () => this.any())
        return len
      }
      case 9: this.blob('content'); this.raw('value', () => this.any()); return 1
      default: throw new Unreadable('content')
    }
  }
}

/**
 * `{tokens, sections, end, ranges, items, deletes, rest}`; throws `Unreadable`. Sections are pairs of token indices, `end` is
 * the token behind them. Of items: where they are, how long, and what they say about their place.
 */
export function read (bytes) {
  const reader = new Reader(bytes)
  const sections = []
  const ranges = []
  const items = []
  const id = () => [reader.uint('client'), reader.uint('origin')]
  for (let left = reader.uint('sections'); left > 0; left -= 1) {
    const first = reader.tokens.length
    const structs = reader.uint('structs')
    const client = reader.uint('client')
    const start = reader.uint('clock')
    let clock = start
    for (let at = 0; at < structs; at += 1) {
      const info = reader.raw('info', () => reader.byte())
      const kind = info & 31
      if (kind === 0 || kind === 10) {
        clock += reader.uint('length')
        continue
      }
      const item = { client, clock, kind }
      if (info & 0x80) item.left = id()
      if (info & 0x40) item.right = id()
      if ((info & 0xc0) === 0) {
        item.parent = reader.uint('parent') === 1 ? reader.text('root') : id()
        if (info & 0x20) item.key = reader.text('key')
      }
      item.length = reader.content(kind)
      clock += item.length
      items.push(item)
    }
    ranges.push({ client, start, end: clock })
    sections.push([first, reader.tokens.length])
  }
  const end = reader.tokens.length
  const deletes = []
  for (let left = reader.uint('delete clients'); left > 0; left -= 1) {
    const client = reader.uint('client')
    for (let count = reader.uint('ranges'); count > 0; count -= 1) {
      const start = reader.uint('clock')
      deletes.push({ client, start, end: start + reader.uint('length') })
    }
  }
  return { tokens: reader.tokens, sections, end, ranges, items, deletes, rest: bytes.slice(reader.at) }
}

/** A state vector as Map(client -> clock). */
export function readState (bytes) {
  const reader = new Reader(bytes)
  const clocks = new Map()
  for (let left = reader.number(); left > 0; left -= 1) clocks.set(reader.number(), reader.number())
  return clocks
}

export const joined = (tokens) => Buffer.concat(tokens.map((token) => token.bytes))

export function uint (value) {
  const bytes = []
  while (value > 127) {
    bytes.push((value % 128) | 0x80)
    value = Math.floor(value / 128)
  }
  return Uint8Array.of(...bytes, value)
}

const WILD = [0, 1, 2, 5, 127, 128, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]

const ofBytes = {
  'a bit flipped' (rng, bytes) {
    const copy = Uint8Array.from(bytes)
    for (let left = 1 + rng.below(2); left > 0; left -= 1) copy[rng.below(copy.length)] ^= 1 << rng.below(8)
    return copy
  },
  'a byte changed' (rng, bytes) {
    const copy = Uint8Array.from(bytes)
    copy[rng.below(copy.length)] = rng.below(256)
    return copy
  },
  'cut short' (rng, bytes) {
    return bytes.slice(0, rng.below(bytes.length))
  },
  'cut out of the middle' (rng, bytes) {
    const from = rng.below(bytes.length)
    return Buffer.concat([bytes.slice(0, from), bytes.slice(from + 1 + rng.below(4))])
  },
  'something behind it' (rng, bytes) {
    return Buffer.concat([bytes, Uint8Array.of(rng.below(256))])
  }
}

/** These get the tokens of a readable update and change them in place, or return false. */
const ofTokens = {
  'a number changed' (rng, { tokens }) {
    return change(rng, tokens, (token) => typeof token.value === 'number' && token.role !== 'info', (value) =>
      rng.chance(0.7) ? Math.max(0, value + rng.pick([-2, -1, 1, 1, 2])) : rng.pick(WILD))
  },
  'a clock changed' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'clock' || token.role === 'origin', (value) =>
      Math.max(0, value + rng.pick([-3, -1, 1, 3])))
  },
  'a client changed' (rng, { tokens }) {
    const clients = tokens.filter((token) => token.role === 'client').map((token) => token.value)
    return change(rng, tokens, (token) => token.role === 'client', () => rng.pick([...clients, 7, 2 ** 32]))
  },
  'all of a client renamed' (rng, { tokens }) {
    const clients = tokens.filter((token) => token.role === 'client').map((token) => token.value)
    if (clients.length === 0) return false
    const [from, to] = [rng.pick(clients), 777]
    for (const token of tokens) {
      if (token.role === 'client' && token.value === from) token.bytes = uint(to)
    }
  },
  'a length changed' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'length' || token.role === 'count', (value) =>
      Math.max(0, value + rng.pick([-1, 1, 2, 100])))
  },
  'another kind' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'info', (value) => (value & 0xe0) | rng.below(12), true)
  },
  'another flag' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'info', (value) => value ^ (0x20 << rng.below(3)), true)
  },
  'another type' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'type', () => rng.below(10))
  },
  'another key' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'key', () => rng.pick(['a', 'data', '', '__proto__', 'x'.repeat(2000)]))
  },
  'another root' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'root', () => rng.pick(['nodes', 'comments', 'meta', 'other', '']))
  },
  'another text' (rng, { tokens }) {
    return change(rng, tokens, (token) => token.role === 'text', () => rng.pick(['', 'x', '🔑', 'a𝄞b', 'twelve words']))
  },
  'sections swapped' (rng, update) {
    const { tokens, sections } = update
    if (sections.length < 2) return false
    const order = sections.map(([from, to]) => tokens.slice(from, to)).sort(() => rng.next() - 0.5)
    tokens.splice(sections[0][0], update.end - sections[0][0], ...order.flat())
  },
  'a section twice' (rng, { tokens, sections, end }) {
    if (sections.length === 0) return false
    const [from, to] = rng.pick(sections)
    tokens[0].bytes = uint(sections.length + 1)
    tokens.splice(end, 0, ...tokens.slice(from, to))
  },
  'a section left out' (rng, { tokens, sections }) {
    if (sections.length < 2) return false
    const [from, to] = rng.pick(sections)
    tokens[0].bytes = uint(sections.length - 1)
    tokens.splice(from, to - from)
  },
  'nothing deleted' (rng, { tokens, end }) {
    tokens.splice(end, tokens.length - end, { role: 'delete clients', bytes: Uint8Array.of(0), value: 0 })
  },
  'something deleted' (rng, { tokens, ranges, end }) {
    if (ranges.length === 0) return false
    const { client, end: after } = rng.pick(ranges)
    const start = rng.below(after + 1)
    const bytes = [1, client, 1, start, 1 + rng.below(3)].map(uint)
    tokens.splice(end, tokens.length - end, { role: 'deletes', bytes: Buffer.concat(bytes) })
  },
  'a number written long' (rng, { tokens }) {
    const numbers = tokens.filter((token) => typeof token.value === 'number' && token.role !== 'info')
    const token = rng.pick(numbers)
    const last = token.bytes.length - 1
    token.bytes = Uint8Array.of(...token.bytes.slice(0, last), token.bytes[last] | 0x80, 0)
  }
}

function change (rng, tokens, which, how, isByte = false) {
  const found = tokens.filter(which)
  if (found.length === 0) return false
  const token = rng.pick(found)
  const value = how(token.value)
  if (typeof value === 'string') token.bytes = Buffer.concat([uint(Buffer.byteLength(value)), Buffer.from(value)])
  else token.bytes = isByte ? Uint8Array.of(value) : uint(value)
}

export const MUTATIONS = [...Object.keys(ofBytes), ...Object.keys(ofTokens), ...Object.keys(ofTokens)]

/** The update spoilt in this way; null where there is nothing to spoil. */
export function mutated (rng, name, bytes) {
  if (bytes.length === 0) return null
  if (name in ofBytes) return ofBytes[name](rng, bytes)
  let update
  try {
    update = read(bytes)
  } catch {
    return null
  }
  update.tokens = update.tokens.map((token) => ({ ...token }))
  if (ofTokens[name](rng, update) === false) return null
  return Buffer.concat([joined(update.tokens), update.rest])
}
