// The published yjs: what people write with it, and what it says of an update.

import { createRequire } from 'node:module'

// The very package that the interop stories use.
const require = createRequire(new URL('../../interop/package.json', import.meta.url))
export const Y = require('yjs')
export const { version } = require('yjs/package.json')

const ROOTS = ['nodes', 'edges', 'meta', 'comments']
const TEXTS = ['', 'x', 'web', 'Größe', '🔑', 'a🔑b𝄞c', '日本語', '\u0000', '\ufeffmark', 'lone \ud800 half', 'x'.repeat(40)]

function newDoc (clientID, options = {}) {
  const doc = new Y.Doc(options)
  doc.clientID = clientID
  for (const root of ROOTS) doc.getMap(root)
  return doc
}

// --- content, in the form that crdt/examples/gate_oracle.rs describes

function number (value) {
  if (Number.isNaN(value)) return 'n:nan'
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value === 0 ? 0 : value)
  return `n:${view.getBigUint64(0).toString(16).padStart(16, '0')}`
}

function plain (value) {
  switch (typeof value) {
    case 'undefined': return 'u:'
    case 'string': return `s:${Buffer.from(value).toString('utf8')}`
    case 'number': return number(value)
    case 'boolean': return value
    case 'bigint': return BigInt(Number(value)) === value ? number(Number(value)) : `i:${value}`
  }
  if (value === null) return null
  if (value instanceof Uint8Array) return `b:${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  return entries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

/** An object whose keys are all its own, `__proto__` included. */
function entries (pairs) {
  const object = Object.create(null)
  for (const [key, value] of pairs) object[Buffer.from(key).toString('utf8')] = value
  return object
}

function shared (value) {
  if (value instanceof Y.Map) return { $map: entries([...value.entries()].map(([key, inner]) => [key, shared(inner)])) }
  if (value instanceof Y.XmlFragment || value instanceof Y.XmlText || value instanceof Y.Doc) return { $other: {} }
  if (value instanceof Y.Text) return { $text: Buffer.from(value.toString()).toString('utf8') }
  if (value instanceof Y.Array) return { $array: holdsText(value) ? ['text'] : value.toArray().map(shared) }
  return plain(value)
}

/** Text that stands in a list of its own right, as no client writes it: the libraries show it each in their way. */
function holdsText (array) {
  for (let item = array._start; item !== null; item = item.right) if (!item.deleted && item.content instanceof Y.ContentString) return true
  return false
}

function content (doc) {
  const clocks = {}
  for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(doc))) clocks[client] = clock
  const deleted = {}
  for (const [client, ranges] of Y.createDeleteSetFromStructStore(doc.store).clients) {
    const joined = []
    for (const { clock, len } of [...ranges].sort((a, b) => a.clock - b.clock)) {
      const last = joined.at(-1)
      if (last !== undefined && clock <= last[1]) last[1] = Math.max(last[1], clock + len)
      else joined.push([clock, clock + len])
    }
    deleted[client] = joined
  }
  return { roots: entries(ROOTS.map((root) => [root, shared(doc.getMap(root))])), clocks, deleted }
}

/** `{valid, why, content}`: whether yjs takes the update upon these and waits for nothing. */
export function judge (base, update) {
  const doc = newDoc(99)
  for (const one of base) Y.applyUpdate(doc, one)
  try {
    Y.applyUpdate(doc, update)
    if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) return { valid: false, why: 'pending' }
    return { valid: true, why: '', content: content(doc) }
  } catch (error) {
    return { valid: false, why: `${error.message}`.slice(0, 80) }
  }
}

// --- people

class Person {
  constructor (clientID, rng, isWild) {
    this.rng = rng
    this.isWild = isWild
    this.doc = newDoc(clientID, { gc: rng.chance(0.8) })
    this.sent = []
    this.doc.on('update', (update, origin) => { if (origin !== 'remote') this.sent.push(update) })
    const scope = ROOTS.map((root) => this.doc.getMap(root))
    this.undo = new Y.UndoManager(scope, { captureTimeout: 0, trackedOrigins: new Set(['edit']) })
  }

  receive (update) {
    Y.applyUpdate(this.doc, update, 'remote')
  }

  value (depth = 0) {
    const { rng } = this
    switch (rng.below(depth < 3 ? 13 : 9)) {
      case 0: return null
      case 1: return rng.chance(0.5)
      case 2: return rng.pick([0, -0, 1, -1, 63, 64, 127, 128, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 60])
      case 3: return rng.pick([0.5, -0.1, 1e300, 5e-324, NaN, Infinity, 16777216.5])
      case 4: return rng.chance(0.3) ? rng.pick([5n, -(2n ** 62n), 2n ** 62n + 1n, rng.chance(0.1) ? 2n ** 63n - 1n : 6n]) : undefined
      case 5: return Uint8Array.from({ length: rng.below(4) }, () => rng.below(256))
      case 9: case 10: return Array.from({ length: rng.below(3) }, () => this.value(depth + 1))
      case 11: case 12: return Object.fromEntries(Array.from({ length: rng.below(3) }, () => [rng.pick('abcd'), this.value(depth + 1)]))
      default: return rng.pick(TEXTS)
    }
  }

  /** Lists take no big integers and nothing undefined of their own. */
  values (count) {
    return Array.from({ length: count }, () => this.value()).map((value) => ['bigint', 'undefined'].includes(typeof value) ? [value] : value)
  }

  shared (depth) {
    const { rng } = this
    if (this.isWild && rng.chance(0.15)) {
      return rng.pick([() => new Y.XmlElement('p'), () => new Y.XmlFragment(), () => new Y.XmlText('x'), () => new Y.Doc()])()
    }
    switch (rng.below(depth < 3 ? 5 : 2)) {
      case 0: return new Y.Text(rng.pick(TEXTS))
      case 1: return Y.Array.from(this.values(rng.below(4)))
      case 2: return new Y.Map([[rng.pick('abc'), this.value()]])
      default: return new Y.Map([['type', 'custom'], ['position', { x: 1, y: 2.5 }], ['data', new Y.Map([['securityFlags', new Y.Map()]])]])
    }
  }

  editIn (target, depth = 0) {
    const { rng } = this
    if (target instanceof Y.XmlFragment || target instanceof Y.XmlText || target instanceof Y.Doc) return
    if (target instanceof Y.Text) {
      const at = rng.below(target.length + 1)
      if (this.isWild && rng.chance(0.2)) target.format(0, target.length, { bold: true })
      else if (this.isWild && rng.chance(0.2)) target.insertEmbed(at, { image: 1 })
      else if (at < target.length && rng.chance(0.45)) target.delete(at, Math.min(1 + rng.below(3), target.length - at))
      else target.insert(at, rng.pick(['a', 'bc', 'é', '🔑', '𝄞d', 'efg']))
    } else if (target instanceof Y.Array) {
      if (target.length > 0 && rng.chance(0.4)) target.delete(rng.below(target.length), 1)
      else target.insert(rng.below(target.length + 1), rng.chance(0.25) ? [this.shared(depth)] : this.values(1 + rng.below(3)))
    } else {
      const keys = [...target.keys()]
      const nested = keys.filter((key) => target.get(key) instanceof Y.AbstractType)
      const chance = rng.next()
      if (nested.length > 0 && chance < 0.5) this.editIn(target.get(rng.pick(nested)), depth + 1)
      else if (keys.length > 0 && chance < 0.6) target.delete(rng.pick(keys))
      else if (chance < 0.8) target.set(rng.pick('abcdef'), this.shared(depth))
      else target.set(rng.pick(['name', 'width', 'position', 'label']), this.value())
    }
  }

  edit () {
    const chance = this.rng.next()
    if (chance < 0.1) this.undo.undo()
    else if (chance < 0.15) this.undo.redo()
    else {
      this.doc.transact(() => {
        for (let left = 1 + this.rng.below(4); left > 0; left -= 1) {
          const root = this.isWild && this.rng.chance(0.1) ? this.doc.getMap('other') : this.doc.getMap(this.rng.pick(ROOTS))
          this.editIn(root)
        }
      }, 'edit')
    }
  }
}

/** What a few people wrote, in the order in which a server could get it, each closed under those before it. */
export function story (rng) {
  const isWild = rng.chance(0.15)
  const people = Array.from({ length: 1 + rng.below(3) }, (_, at) =>
    new Person(rng.pick([at + 1, 2 ** 31 + at, 2 ** 53 - 1 - at]), rng, isWild))
  const server = newDoc(98)
  const log = []
  const take = (update) => {
    Y.applyUpdate(server, update)
    log.push(update)
  }
  for (let left = 2 + rng.below(8); left > 0; left -= 1) {
    const person = rng.pick(people)
    for (let edits = 1 + rng.below(4); edits > 0; edits -= 1) person.edit()
    const chance = rng.next()
    if (chance < 0.35) person.sent.splice(0).forEach(take)
    else if (chance < 0.55 && person.sent.length > 0) take(Y.mergeUpdates(person.sent.splice(0)))
    else if (chance < 0.8) {
      take(Y.encodeStateAsUpdate(person.doc, Y.encodeStateVector(server)))
      person.sent = []
    }
    if (rng.chance(0.6)) {
      const reader = rng.pick(people)
      reader.receive(Y.encodeStateAsUpdate(server, Y.encodeStateVector(reader.doc)))
    }
  }
  for (const person of people) take(Y.encodeStateAsUpdate(person.doc, Y.encodeStateVector(server)))
  return log
}

/** The rest of a story in one piece, in each way that a client has. */
export function together (rest, before) {
  const doc = newDoc(97)
  for (const update of [...before, ...rest]) Y.applyUpdate(doc, update)
  const merged = Y.mergeUpdates([...before, ...rest])
  const vector = before.length === 0 ? undefined : Y.encodeStateVectorFromUpdate(Y.mergeUpdates(before))
  return [
    Y.encodeStateAsUpdate(doc),
    Y.encodeStateAsUpdate(doc, vector),
    Y.diffUpdate(merged, vector ?? Uint8Array.of(0)),
    merged
  ]
}

/** What yjs makes of the update upon these, for a look at its insides; null where it does not take it. */
export function documentOf (base, update) {
  const doc = newDoc(96, { gc: false })
  try {
    for (const one of [...base, update]) Y.applyUpdate(doc, one)
    return doc
  } catch {
    return null
  }
}
