// The libraries that are asked, all in one form: `story`, `together`, and `judge(base, update) -> {valid, why, content}`.

import { Died } from './processes.mjs'
import { Unreadable, read, readState } from './update.mjs'
import * as yjs from './yjs.mjs'

export class Yjs {
  name = `yjs ${yjs.version}`

  story (rng) {
    return yjs.story(rng)
  }

  together (rest, before) {
    return yjs.together(rest, before)
  }

  judge (base, update) {
    return yjs.judge(base, update)
  }
}

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'))

export class Pycrdts {
  name = 'pycrdt'

  constructor (process) {
    this.process = process
  }

  async story (_rng, seed) {
    const { updates } = await this.process.request({ op: 'story', seed })
    return updates.map(unhex)
  }

  together (rest, before) {
    // Merging and cutting is Yjs's here: it works on bytes alone.
    return yjs.together(rest, before)
  }

  /** pycrdt does not tell whether it waits for something: its clocks and what it has deleted do. */
  async judge (base, update) {
    let answer
    try {
      answer = await this.process.request({ op: 'judge', base: base.map(hex), update: hex(update) })
    } catch (error) {
      // It may: that is what the gate is for.
      if (!(error instanceof Died)) throw error
      this.process.start()
      return { valid: false, why: error.message }
    }
    if (answer.error !== undefined) return { valid: false, why: answer.error }
    let wanted
    try {
      wanted = read(update)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      return { valid: true, why: 'and nobody can say what it holds', content: null }
    }
    const clocks = readState(unhex(answer.state))
    const has = ({ client, end }) => end <= (clocks.get(client) ?? 0)
    if (![...wanted.ranges, ...wanted.deletes].every(has)) return { valid: false, why: 'pending' }
    const deleted = {}
    for (const { client, start, end } of read(unhex(answer.update)).deletes) {
      const ranges = (deleted[client] ??= [])
      if (ranges.at(-1)?.[1] === start) ranges.at(-1)[1] = end
      else ranges.push([start, end])
    }
    return { valid: true, why: '', content: { roots: answer.content, clocks: Object.fromEntries(clocks), deleted } }
  }
}
