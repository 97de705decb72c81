// Comparing what the gate says with what a library says, and counting it.

import { isDeepStrictEqual } from 'node:util'

/**
 * What a library takes and the gate refuses on purpose: the beginning of the reason, and why. Each makes bytes mean one
 * thing only, or keeps a bound.
 */
const ON_PURPOSE = [
  ['a design does not hold', 'features and roots that designs do not use'],
  ['malformed: an integer is written longer than needed', 'one form for each number'],
  ['malformed: an integer is out of range', 'numbers end at 2^53 - 1, as in JavaScript, lengths at 2^32'],
  ['malformed: a clock is out of range', 'yrs computes with 31 bits'],
  ['malformed: bytes after the end', 'an update ends where it ends'],
  ['malformed: flags on a struct that has none', 'yrs and Yjs read them differently'],
  ['malformed: a struct without length', 'nobody writes one'],
  ['malformed: an item without length', 'nobody writes one'],
  ['malformed: a delete range without length', 'nobody writes one'],
  ['malformed: a client without structs', 'nobody writes one'],
  ['malformed: a client stands twice', 'nobody writes it, and yrs does not expect it'],
  ['malformed: delete ranges that overlap or are out of order', 'nobody writes them'],
  ['malformed: an item inside of a value', 'yrs fails half-way through it'],
  ['malformed: neighbours in different places', 'nobody writes it, and replicas would differ'],
  ['malformed: an item whose two neighbours are one', 'nobody writes it, and replicas would differ'],
  ['malformed: an item that is known to stand in another place', 'nobody writes it, and copies would differ'],
  ['malformed: a value of several clocks under a key', 'nobody leaves more than its last alive'],
  ['malformed: an item builds on a later one of its own client', 'nobody writes it'],
  ['malformed: items that wait for each other', 'nobody writes it; the libraries may know all of it already'],
  ['malformed: a parent that is neither a root nor an id', 'one form for each number'],
  ['too large', 'keys have a largest size'],
  ['nested too deeply', 'depth is bounded'],
  ['content of an unknown kind', 'kinds that Yjs does not have'],
  ['gap', 'what it leaves out is not known']
]

export class Judgement {
  constructor (name, holes, quirks) {
    this.name = name
    this.holes = holes
    this.quirks = quirks
    this.inputs = 0
    this.ours = 0
    this.theirs = 0
    this.yrs = 0
    this.counts = new Map()
    this.findings = []
  }

  count (what) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  compare (answer, theirs, input) {
    this.inputs += 1
    const isClean = answer.gate === 'clean'
    if (isClean) this.ours += 1
    if (theirs.valid) this.theirs += 1
    if (answer.yrs === 'ok') this.yrs += 1
    const fault = this.fault(answer, theirs)
    if (fault === null) return
    const finding = { fault, input, answer, theirs, isPycrdt: this.name === 'pycrdt' }
    const hole = this.holes.find((one) => one.is(finding))
    const quirk = this.quirks.find((one) => one.is(finding))
    if (hole !== undefined) this.count(`A HOLE, to be closed: ${hole.name}`)
    else if (quirk !== undefined) this.count(`differs, and not of our making: ${quirk.name}`)
    else this.findings.push({ fault, answer, theirs, input })
  }

  /** What is wrong, in words; null: nothing. */
  fault (answer, theirs) {
    const why = answer.gate === 'gap' ? 'gap' : answer.why
    const purpose = ON_PURPOSE.find(([beginning]) => why.startsWith(beginning))
    if (answer.gate === 'clean') {
      if (answer.yrs !== 'ok') return `clean, and yrs: ${answer.yrs}`
      if (!theirs.valid) return `clean, and ${this.name} does not take it: ${theirs.why}`
      if (theirs.content === null) return `clean, and ${theirs.why}`
      if (!isDeepStrictEqual(plain(answer.content), plain(theirs.content))) return 'clean, and the documents differ'
      return null
    }
    for (const [who, takes] of [[this.name, theirs.valid], ['yrs', answer.yrs === 'ok']]) {
      if (!takes) continue
      if ((why.includes('a count is larger') || why.includes('the bytes end too early')) && theirs.content === null) {
        this.count(`${who} takes it, refused on purpose: a number beyond 32 bits (yrs wraps it)`)
        continue
      }
      if (purpose === undefined) return `${who} takes it, and the gate says: ${why}`
      this.count(`${who} takes it, refused on purpose: ${purpose[0]} (${purpose[1]})`)
    }
    if (answer.yrs === 'it hangs') console.log(`  yrs hangs, refused: seed ${input.seed} (${input.what}) ${Buffer.from(input.update).toString('hex')}`)
    if (['it died', 'it hangs', 'panicked'].includes(answer.yrs)) this.count(`refused, and yrs: ${answer.yrs}`)
    if (!theirs.valid) this.count(theirs.why.startsWith('it ') ? `refused, and of ${this.name}: ${theirs.why}` : 'refused by both')
    return null
  }

  report () {
    const share = (count) => `${count} (${(100 * count / this.inputs).toFixed(1)} %)`
    console.log(`  inputs ${this.inputs}; accepted by the gate ${share(this.ours)}, by ${this.name} ${share(this.theirs)}, by yrs ${share(this.yrs)}`)
    for (const [what, count] of [...this.counts].sort()) console.log(`  ${String(count).padStart(6)} ${what}`)
    const kinds = new Map()
    for (const finding of this.findings) {
      const { fault, input, answer, theirs } = finding
      const seen = kinds.get(fault) ?? 0
      kinds.set(fault, seen + 1)
      if (seen > Number(process.env.DIFF_SHOWN ?? 1)) continue
      console.log(`  FINDING seed ${input.seed} (${input.what}): ${fault}`)
      console.log(`    base   ${input.base.map((one) => Buffer.from(one).toString('hex')).join(' ')}`)
      console.log(`    update ${Buffer.from(input.update).toString('hex')}`)
      if (answer.content !== undefined) console.log(`    ours   ${JSON.stringify(answer.content)}`)
      if (theirs.content) console.log(`    theirs ${JSON.stringify(theirs.content)}`)
    }
    for (const [fault, count] of kinds) console.log(`  ${String(count).padStart(6)} FINDINGS: ${fault}`)
    const fair = 0.2 * this.inputs
    const isFair = fair <= this.ours && fair <= this.theirs
    if (!isFair) console.log('  one side accepts less than 20 %: the test proves too little')
    return isFair && this.findings.length === 0
  }
}

/** Without prototypes, so that only keys and values count. */
function plain (value) {
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  const object = Object.create(null)
  for (const key of Object.keys(value)) object[key] = plain(value[key])
  return object
}
