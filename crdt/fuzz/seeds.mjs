// Writes the named seeds of the kept corpus: what the published yjs writes (the fixtures), and what an attacker would.
//
//   node crdt/fuzz/seeds.mjs
//
// The other files of the corpus were grown by the fuzzer and reduced by `scripts/fuzz keep`; they are left alone.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const stories = join(here, '../tests/fixtures/yjs/stories')
/** Longer ones cost the fuzzer more than they teach it. */
const BYTES_MAX = 6000

const KNOWN = 0
const EMPTY = 1
const VECTOR = 2
const FROM_CLIENT = 0
const FROM_SERVER = 1

function seed (target, name, mode, bytes) {
  if (BYTES_MAX < bytes.length) return
  mkdirSync(join(here, 'corpus', target), { recursive: true })
  writeFileSync(join(here, 'corpus', target, name), Buffer.concat([Buffer.of(mode), Buffer.from(bytes)]))
}

// --- writing updates by hand

function n (...numbers) {
  const bytes = []
  for (let number of numbers.map(BigInt)) {
    for (; number > 127n; number >>= 7n) bytes.push(Number(number & 127n) | 128)
    bytes.push(Number(number))
  }
  return Buffer.from(bytes)
}

const s = (text) => Buffer.concat([n(Buffer.byteLength(text)), Buffer.from(text)])
const cat = (...parts) => Buffer.concat(parts)
const times = (count, part) => Buffer.concat(Array(count).fill(part))
/** A section of client 7 from clock 0 on, and nothing deleted. */
const update = (structs, ...parts) => cat(n(1, structs, 7, 0), ...parts, n(0))
/** An item of this kind below a key of a root. */
const item = (kind, root = 'meta', key = 'k') => cat(n(0x20 | kind, 1), s(root), s(key))
/** An item of this kind below a key of the type at (client, clock). */
const inside = (kind, client, clock) => cat(n(0x20 | kind, 0, client, clock), s('k'))
const NULL = Buffer.of(1, 126)

const attacks = {
  'nested-any': update(1, item(8), n(1), times(5000, Buffer.of(117, 1)), Buffer.of(126)),
  'nested-maps': update(500, item(7, 'nodes'), n(1), ...Array.from({ length: 499 }, (_, at) => cat(inside(7, 7, at), n(1)))),
  'nested-any-at-the-bound': update(1, item(8), n(1), times(32, Buffer.of(117, 1)), Buffer.of(126)),
  'nested-types-at-the-bound': update(8, item(7, 'nodes'), n(1), ...Array.from({ length: 7 }, (_, at) => cat(inside(7, 7, at), n(1)))),
  'half-a-gigabyte-of-sections': n(0x07ffffff),
  'half-a-gigabyte-of-structs': cat(n(1, 0x07ffffff, 7, 0), Buffer.alloc(5)),
  'half-a-gigabyte-of-deletes': n(0, 1, 7, 0x07ffffff),
  'half-a-gigabyte-of-values': update(1, item(8), n(0x07ffffff)),
  'half-a-gigabyte-in-a-value': update(1, item(8), n(1), Buffer.of(117), n(0x07ffffff)),
  'a-clock-at-the-end': cat(n(1, 1, 1, 2 ** 32 - 2, 0, 1, 0)),
  'a-length-to-the-end': cat(n(1, 1, 1, 12, 0, 2 ** 32 - 13, 0)),
  'a-client-beyond-javascript': cat(n(1, 1, 2n ** 53n, 0, 0, 1, 0)),
  'a-client-that-wraps': cat(n(1, 1, 2n ** 64n - 1n, 0, 0, 1, 0)),
  'an-unknown-parent': update(1, inside(8, 4242, 1), NULL),
  'an-unknown-origin': update(1, n(0x88, 4242, 1), NULL),
  'a-parent-that-is-a-value': update(2, item(8), NULL, inside(8, 7, 0), NULL),
  'a-parent-in-the-document-that-is-a-value': cat(n(1, 1, 1, 7), inside(8, 1, 4), NULL, n(0)),
  'a-circle': cat(n(2, 1, 1, 7, 0x88, 2, 12), NULL, n(1, 2, 12, 0x88, 1, 7), NULL, n(0)),
  'an-item-upon-itself': update(1, n(0x88, 7, 0), NULL),
  'a-skip': update(2, n(10, 3), item(8), NULL),
  'a-hole': cat(n(1, 1, 7, 5), item(8), NULL, n(0)),
  'somebody-twice': cat(n(2, 1, 7, 0), item(8), NULL, n(1, 7, 1), item(8), NULL, n(0)),
  'deletes-of-everything': n(0, 3, 1, 1, 0, 7, 2, 1, 0, 12, 2 ** 53 - 1, 1, 0, 4),
  'deletes-that-overlap': n(0, 1, 1, 2, 0, 4, 2, 3),
  'deletes-of-the-unknown': n(0, 1, 1, 1, 0, 2 ** 31 - 1),
  'a-long-number': cat(n(1, 1, 7, 0), Buffer.of(0x28, 0x81, 0), s('meta'), s('k'), NULL, n(0)),
  'flags-on-collected': cat(n(1, 1, 7, 0), Buffer.of(0x80), n(1, 0)),
  'old-json': update(1, item(2), n(1), s('1')),
  'an-embed': update(1, item(5), s('{}')),
  'a-format': update(1, item(6), s('bold'), s('true')),
  'a-subdocument': update(1, item(9), s('guid'), Buffer.of(118, 0)),
  'an-xml-element': update(1, item(7), n(3), s('p')),
  'a-weak-link': update(1, item(7), n(7, 0, 1, 0)),
  'another-root': update(1, item(8, 'prosemirror'), NULL),
  'half-a-character-deleted': n(0, 1, 2, 1, 3, 1),
  'text-between-halves': cat(n(1, 1, 2, 12, 0xc4, 2, 3, 2, 4), s('x'), n(0)),
  'a-text-below-a-key': update(1, item(4), s('abc')),
  'values-below-a-key': update(1, item(8), n(3), Buffer.of(126, 126, 126)),
  'the-largest-integer': update(1, item(8), n(1), Buffer.of(122, 0x7f, 255, 255, 255, 255, 255, 255, 255)),
  'a-prototype': update(1, item(8), n(1), Buffer.of(118), n(1), s('__proto__'), Buffer.of(118, 0)),
  'an-item-between-the-wrong-two': cat(n(1, 1, 1, 7, 0xc8, 2, 2, 1, 1), NULL, n(0)),
  'known-in-part-elsewhere': cat(n(1, 1, 2, 10, 0x24, 0, 1, 0), s('width'), s('abcdef'), n(0))
}
for (const [name, bytes] of Object.entries(attacks)) {
  seed('gate', `attack-${name}-known`, KNOWN, bytes)
  seed('gate', `attack-${name}-empty`, EMPTY, bytes)
}

const vectors = {
  empty: n(0),
  known: n(3, 1, 4, 2, 5, 2 ** 53 - 1, 1),
  'between-halves': n(1, 2, 4),
  'half-a-gigabyte': cat(n(0x07ffffff), Buffer.alloc(8)),
  'far-ahead': n(2, 1, 2 ** 31 - 1, 77, 3),
  twice: n(2, 5, 1, 5, 6)
}
for (const [name, bytes] of Object.entries(vectors)) seed('gate', `vector-${name}`, VECTOR, bytes)

for (const file of readdirSync(stories).filter((name) => name.endsWith('.json'))) {
  const story = JSON.parse(readFileSync(join(stories, file)))
  const name = file.slice(0, -5)
  const unhex = (text) => Buffer.from(text, 'hex')
  story.updates.slice(0, 2).forEach((bytes, at) => seed('gate', `yjs-${name}-${at}`, EMPTY, unhex(bytes)))
  seed('gate', `yjs-${name}-state`, EMPTY, unhex(story.state))
  seed('gate', `yjs-${name}-vector`, VECTOR, unhex(story.vector))
}

// --- messages

const blob = (bytes) => cat(n(bytes.length), bytes)
const awareness = (...entries) => cat(n(entries.length), ...entries.map(([id, clock, state]) => cat(n(id, clock), s(state))))
const messages = {
  step1: cat(n(0, 0), blob(vectors.known)),
  step2: cat(n(0, 1), blob(n(0, 0))),
  update: cat(n(0, 2), blob(attacks['a-text-below-a-key'])),
  'an-unknown-step': cat(n(0, 3), blob(n(0))),
  awareness: cat(n(1), blob(awareness([5, 1, '{"cursor":[1,2]}'], [6, 2, 'null']))),
  'awareness-of-nobody': cat(n(1), blob(n(0))),
  'awareness-of-half-a-gigabyte': cat(n(1), blob(n(0x07ffffff))),
  'awareness-that-is-deep': cat(n(1), blob(awareness([5, 1, '{"a":' + '['.repeat(500) + ']'.repeat(500) + '}']))),
  denied: cat(n(2, 0), s('no')),
  query: n(3),
  saved: n(120, 77),
  notice: cat(n(121), s('{"type":"hello","role":"viewer"}')),
  renew: cat(n(122), s('a.b.c')),
  'a-kind-of-the-future': n(123, 1, 2, 3),
  'a-payload-that-is-cut': n(0, 2, 100, 1),
  'a-payload-of-half-a-gigabyte': n(0, 2, 0x1fffffff),
  'a-kind-that-is-long': Buffer.of(0x80, 0x00, 0x00),
  'something-behind-it': cat(n(0, 0), blob(n(0)), n(0))
}
for (const [name, bytes] of Object.entries(messages)) {
  seed('wire', `client-${name}`, FROM_CLIENT, bytes)
  seed('wire', `server-${name}`, FROM_SERVER, bytes)
}
