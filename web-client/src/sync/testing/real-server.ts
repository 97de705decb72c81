// The real server binary on a free port with a data folder of its own; it can be killed and started again.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './port'
import { sleep } from './wait'

/** The binary under test: ATLAS_BIN, or what a debug build leaves behind. */
export const BINARY = path.resolve(process.env.ATLAS_BIN ?? '../target/debug/atlas-collab')

/** Says loudly why the stories with the real server did not run. */
export function hasBinary(): boolean {
  const is = existsSync(BINARY)
  if (!is) process.stderr.write(`\n!!! SKIPPED: no server at ${BINARY}: build it, or name it with ATLAS_BIN !!!\n\n`)
  return is
}

export class RealServer {
  readonly url: string
  #process: ChildProcess | null = null
  #log: string[] = []

  static async start(settings: Record<string, string> = {}): Promise<RealServer> {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-web-'))
    const server = new RealServer(await freePort(), folder, settings)
    await server.up()
    return server
  }

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly settings: Record<string, string>
  ) {
    this.url = `http://127.0.0.1:${port}`
  }

  /** Starts the process on the same port and the same data as before. */
  async up(): Promise<void> {
    const child = spawn(BINARY, ['serve'], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        ATLAS_LISTEN: `127.0.0.1:${this.port}`,
        ATLAS_DATA_DIR: path.join(this.folder, 'data'),
        ...this.settings
      },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        this.#log = [...this.#log, ...text.toString().split('\n')].slice(-60)
      })
    }
    const end = performance.now() + 30_000
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || end < performance.now())
        throw new Error(`the server did not start:\n${this.#log.join('\n')}`)
      await sleep(10)
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/ready`)).ok
    } catch {
      return false
    }
  }

  /** SIGKILL: no goodbye. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === null) return
    this.#process = null
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}
