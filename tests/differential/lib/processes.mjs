// The two programs that answer questions over their standard input: the oracle (crdt/examples/gate_oracle.rs) and pycrdt.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Milliseconds: far beyond anything that is only slow. */
const ANSWER_MS_MAX = 8_000

/** The other side ended, or did not answer: the message says which. */
export class Died extends Error {}

class Lines {
  constructor (name, command, args, options = {}) {
    this.name = name
    this.start = () => this.spawn(command, args, options)
    this.start()
  }

  spawn (command, args, options) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    this.child.stdin.on('error', () => {})
  }

  async ask (bytes) {
    let hangs = false
    const timer = setTimeout(() => {
      hangs = true
      this.child.kill('SIGKILL')
    }, ANSWER_MS_MAX)
    this.child.stdin.write(bytes)
    const { value, done } = await this.lines.next()
    clearTimeout(timer)
    if (done) throw new Died(hangs ? 'it hangs' : 'it died')
    return JSON.parse(value)
  }

  async close () {
    const gone = once(this.child, 'exit')
    this.child.stdin.end()
    await gone
  }
}

export class Oracle extends Lines {
  constructor (path) {
    super('the oracle', path, [])
  }

  request (kind, bytes = new Uint8Array()) {
    const head = Buffer.alloc(5)
    head.write(kind, 'latin1')
    head.writeUInt32LE(bytes.length, 1)
    return this.ask(Buffer.concat([head, bytes]))
  }
}

export class Pycrdt extends Lines {
  constructor (python, script) {
    super('pycrdt', python, [script], { env: { ...process.env, PYTHONUTF8: '1', RUST_BACKTRACE: '0' }, stdio: ['pipe', 'pipe', 'ignore'] })
  }

  request (object) {
    return this.ask(JSON.stringify(object) + '\n')
  }
}
