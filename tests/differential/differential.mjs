// Yjs, pycrdt and yrs are asked about the same updates as the gate, and what they call valid and the limits of a design
// allow must pass and show the same document; everything else must be refused.
//
//   node tests/differential/differential.mjs
//
// DIFF_SEED the first seed (default 1), DIFF_SECS how long for each library (default 12), DIFF_STORIES instead: how many
// stories. DIFF_ORACLE and DIFF_PYTHON name the two programs. Exit code 1: something differs that is not on purpose.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { HOLES, QUIRKS } from './known_differences.mjs'
import { Judgement } from './lib/judgement.mjs'
import { Died, Oracle, Pycrdt } from './lib/processes.mjs'
import { Rng } from './lib/rng.mjs'
import { MUTATIONS, mutated } from './lib/update.mjs'
import { Pycrdts, Yjs } from './lib/libraries.mjs'

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const ORACLE = process.env.DIFF_ORACLE ?? at('target/debug/examples/gate_oracle')
const PYTHON = process.env.DIFF_PYTHON ?? at('target/differential-venv/bin/python')
const FIRST = Number(process.env.DIFF_SEED ?? 1)
const SECS = Number(process.env.DIFF_SECS ?? 12)
const STORIES = Number(process.env.DIFF_STORIES ?? Infinity)
/** Spoilt updates for each that is whole: so many that neither kind drowns the other. */
const SPOILT_PER_WHOLE = 2

for (const path of [ORACLE, PYTHON]) {
  if (!existsSync(path)) throw new Error(`${path} is missing: scripts/differential makes it`)
}

/** One story: its updates in order, then what is left of it in one piece, and all of that spoilt. */
async function tell (library, oracle, judgement, seed) {
  const rng = new Rng(seed)
  const story = await library.story(rng, seed)
  await oracle.request('N')
  const base = []
  const cut = rng.below(story.length)
  for (const update of story.slice(0, cut)) {
    const answer = await oracle.request('A', update)
    judgement.compare(answer, await library.judge(base, update), { seed, what: 'whole', base, update })
    // What was refused is not in the base; what builds upon it is a gap from here on.
    if (answer.gate === 'clean' && answer.yrs === 'ok') base.push(update)
  }
  const wholes = [...story.slice(cut), ...library.together(story.slice(base.length), base)]
  for (const [index, update] of wholes.entries()) {
    if (index < 6) await one(library, oracle, judgement, { seed, what: 'whole', base, update })
    for (let left = SPOILT_PER_WHOLE; left > 0; left -= 1) {
      const what = rng.pick(MUTATIONS)
      const spoilt = mutated(rng, what, update)
      if (spoilt !== null) await one(library, oracle, judgement, { seed, what, base, update: spoilt })
    }
  }
}

async function one (library, oracle, judgement, input) {
  let answer
  // Once may be bad luck with the machine.
  for (let tries = 2; answer === undefined; tries -= 1) {
    try {
      answer = await oracle.request('U', input.update)
    } catch (error) {
      if (!(error instanceof Died)) throw error
      oracle.start()
      for (const update of input.base) await oracle.request('A', update)
      // yrs alone may die of what the gate refuses: that is what it is for.
      if (tries === 1) answer = { ...await oracle.request('G', input.update), yrs: error.message }
    }
  }
  judgement.compare(answer, await library.judge(input.base, input.update), input)
}

/** What the fuzzer keeps of updates to an empty document: those begin with a 1 (crdt/fuzz/src/gate.rs). */
async function kept (library, oracle, judgement) {
  await oracle.request('N')
  for (const folder of ['corpus', 'regressions'].map((name) => at(`crdt/fuzz/${name}/gate`))) {
    for (const name of readdirSync(folder)) {
      const bytes = new Uint8Array(readFileSync(join(folder, name)))
      if (bytes[0] === 1) await one(library, oracle, judgement, { seed: name, what: 'kept', base: [], update: bytes.slice(1) })
    }
  }
}

async function run (library, oracle) {
  const judgement = new Judgement(library.name, HOLES, QUIRKS)
  await kept(library, oracle, judgement)
  const until = Date.now() + SECS * 1000
  let seed = FIRST
  for (; seed - FIRST < STORIES && (STORIES < Infinity || Date.now() < until); seed += 1) {
    await tell(library, oracle, judgement, seed)
  }
  console.log(`\n${library.name}: seeds ${FIRST} to ${seed - 1}`)
  return judgement.report()
}

const oracle = new Oracle(ORACLE)
const pycrdt = new Pycrdt(PYTHON, at('tests/differential/pycrdt_side.py'))
const fine = [await run(new Yjs(), oracle), await run(new Pycrdts(pycrdt), oracle)]
await oracle.close()
await pycrdt.close()
process.exit(fine.every(Boolean) ? 0 : 1)
