// The real server binary on a free port with a data folder of its own. It can be killed and started again.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { sleep } from './wait.mjs'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Lines of the server's log that are kept for a failed test. */
const LOG_LINES_MAX = 400

/** The binary under test: ATLAS_BIN, or what a debug build leaves behind. */
function binary () {
  const given = process.env.ATLAS_BIN ?? 'target/debug/atlas-collab'
  const file = path.resolve(root, given)
  assert.ok(existsSync(file), `no server at ${file}: build it, or name it with ATLAS_BIN`)
  return file
}

async function freePort () {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address()
  listener.close()
  await once(listener, 'close')
  return port
}

export class Server {
  /** Starts a server and waits until it is ready. `settings` are environment variables. */
  static async start (settings = {}) {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-interop-'))
    const server = new Server(await freePort(), folder, settings)
    await server.up()
    return server
  }

  constructor (port, folder, settings) {
    this.port = port
    this.folder = folder
    this.settings = settings
    this.url = `http://127.0.0.1:${port}`
    this.log = []
    this.process = null
  }

  /** Starts the process on the same port and the same data as before. Returns after how many ms it was ready. */
  async up () {
    const started = performance.now()
    // Nothing of this shell's settings reaches the server.
    const child = spawn(binary(), ['serve'], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        ATLAS_LISTEN: `127.0.0.1:${this.port}`,
        ATLAS_DATA_DIR: path.join(this.folder, 'data'),
        LOG_LEVEL: 'info',
        ...this.settings
      },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.process = child
    this.ended = once(child, 'exit')
    child.stdout.on('data', (text) => this.#keep(text))
    child.stderr.on('data', (text) => this.#keep(text))
    while (!(await this.#isReady())) {
      assert.equal(child.exitCode, null, `the server ended with ${child.exitCode}:\n${this.tail()}`)
      assert.ok(performance.now() - started < 20_000, `the server is not ready after 20 s:\n${this.tail()}`)
      await sleep(10)
    }
    return performance.now() - started
  }

  async #isReady () {
    try {
      return (await fetch(`${this.url}/ready`)).ok
    } catch {
      return false
    }
  }

  /** SIGKILL: no goodbye, no flush. Resolves when the process is gone. */
  async kill () {
    this.process.kill('SIGKILL')
    await this.ended
  }

  /** SIGTERM, then SIGKILL after 10 s; removes the data. */
  async down () {
    if (this.process !== null && this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGTERM')
      const slow = setTimeout(() => this.process.kill('SIGKILL'), 10_000)
      await this.ended
      clearTimeout(slow)
    }
    await rm(this.folder, { recursive: true, force: true })
  }

  #keep (text) {
    this.log.push(...text.toString().split('\n').filter((line) => line !== ''))
    this.log.splice(0, this.log.length - LOG_LINES_MAX)
  }

  /** The end of the server's log, for a failed test. */
  tail (lines = 40) {
    return this.log.slice(-lines).join('\n')
  }
}
