// The promise behind the badge, for whatever order things happen in: edits in two tabs of one device, messages that arrive one by one or are lost, commits, a
// server that dies, tabs that are reloaded. "Saved" is never said while an own edit is not durable, and everything is saved in the end.

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { CredentialError } from './credentials'
import { localDesigns } from './local-designs'
import { databaseName } from './records'
import { openDesign } from './session'
import type { OpenDesign } from './session-options'
import { DesignStore } from './store'
import { ModelServer } from './testing/model-server'
import { sleep, until } from './testing/wait'
import type { DesignSession } from './types'

globalThis.IDBKeyRange = IDBKeyRange

const SERVER = 'http://atlas.test'
const TABS = 2

type Step =
  | { do: 'edit'; tab: number }
  | { do: 'up' | 'down'; line: number; count: number }
  | { do: 'cut'; line: number }
  | { do: 'commit' | 'crash' | 'wait' | 'audit' | 'leave' | 'return' }
  | { do: 'reload'; tab: number }

const tab = fc.nat(TABS - 1)
const line = fc.nat(TABS - 1)
/** Messages that move at once. */
const count = fc.integer({ min: 1, max: 6 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: tab.map((tab): Step => ({ do: 'edit', tab })) },
  { weight: 8, arbitrary: fc.tuple(line, count).map(([line, count]): Step => ({ do: 'up', line, count })) },
  { weight: 8, arbitrary: fc.tuple(line, count).map(([line, count]): Step => ({ do: 'down', line, count })) },
  { weight: 1, arbitrary: line.map((line): Step => ({ do: 'cut', line })) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: 'commit' }) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: 'wait' }, { do: 'audit' }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'crash' }, { do: 'leave' }, { do: 'return' }) },
  { weight: 1, arbitrary: tab.map((tab): Step => ({ do: 'reload', tab })) }
)

class World {
  readonly server = new ModelServer()
  readonly indexedDB = new IDBFactory()
  readonly tabs: DesignSession[] = []
  /** Names of the edits made in each tab, over all of its reloads. */
  readonly made: Set<string>[] = []
  #isAway = false
  #edits = 0

  #options(): OpenDesign {
    return {
      server: SERVER,
      user: 'ann',
      design: 'd',
      credentials: {
        ticket: async () => {
          if (this.#isAway) throw new CredentialError('unreachable', 'away')
          return 'ticket'
        },
        accessToken: async () => 'token'
      },
      outside: {
        indexedDB: this.indexedDB,
        openSocket: this.server.open,
        page: { isVisible: () => true, onWake: () => () => {}, onHide: () => () => {} },
        random: () => 0.004,
        pollMs: 4
      }
    }
  }

  async begin(): Promise<void> {
    for (let each = 0; each < TABS; each += 1) {
      this.tabs.push(openDesign(this.#options()))
      this.made.push(new Set())
    }
    await this.settle()
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'edit': {
        const session = this.tabs[step.tab]
        if (session === undefined || !session.state.ready) return
        const name = `edit-${this.#edits++}`
        this.made[step.tab]?.add(name)
        // Every other one builds on what is there already.
        session.doc.getMap('meta').set(this.#edits % 2 === 0 ? name : 'same', name)
        session.doc.getMap('meta').set(name, true)
        return
      }
      case 'up':
        for (let each = 0; each < step.count; each += 1) this.server.up(step.line)
        return
      case 'down':
        for (let each = 0; each < step.count; each += 1) this.server.down(step.line)
        return
      case 'cut':
        return this.server.cut(step.line)
      case 'commit':
        return this.server.commit()
      case 'crash':
        return this.server.crash()
      case 'leave':
        this.#isAway = true
        return this.server.crash()
      case 'return':
        this.#isAway = false
        return
      case 'wait':
        return sleep(6)
      case 'audit':
        return this.#audit()
      case 'reload':
        return this.#reload(step.tab)
    }
  }

  async #reload(which: number): Promise<void> {
    const lost = (): number => this.missing(which).length
    await this.tabs[which]?.close()
    // Nothing moves in here: what is not durable now must be known to this device as unsaved.
    const [local] = await localDesigns(SERVER, 'ann', this.indexedDB)
    expect(local?.unsaved ?? 0).toBeGreaterThanOrEqual(lost())
    this.tabs[which] = openDesign(this.#options())
  }

  /** Whatever stands in the database and is not durable is noted there as unsaved. */
  async #audit(): Promise<void> {
    await sleep(4)
    const store = await DesignStore.open(this.indexedDB, databaseName(SERVER, 'ann', 'd'), () => {})
    const { updates, own } = await store.load()
    const here = new Y.Doc()
    for (const update of updates) Y.applyUpdate(here, update)
    await store.close()
    const noted = new Set(own.flatMap(({ gesture }) => gesture.changes.map(({ path }) => path[1])))
    const durable = this.server.doc.getMap('meta')
    const forgotten = [...here.getMap('meta').keys()].filter(name => !durable.has(name) && !noted.has(name))
    expect(forgotten).toEqual([])
  }

  /** Edits of a tab that are not durable. */
  missing(which: number): string[] {
    const durable = this.server.doc.getMap('meta')
    return [...(this.made[which] ?? [])].filter(name => !durable.has(name))
  }

  check(): void {
    for (const [which, session] of this.tabs.entries()) {
      if (session.state.saving.kind === 'saved') expect(this.missing(which)).toEqual([])
      expect(session.state.refusal).toBeNull()
    }
  }

  /** Everything moves until nothing is left to move and all is saved. */
  async settle(): Promise<void> {
    this.#isAway = false
    const seen = (): string => JSON.stringify(this.tabs.map(session => session.state.saving))
    await until(
      'all is saved',
      () => {
        for (let line = 0; line < TABS; line += 1) {
          this.server.up(line)
          this.server.commit()
          this.server.down(line)
        }
        this.check()
        return this.server.isQuiet && this.tabs.every(session => session.state.saving.kind === 'saved')
      },
      { seen, withinMs: 8_000 }
    )
  }

  async end(): Promise<void> {
    await Promise.all(this.tabs.map(session => session.close()))
    this.server.crash()
  }
}

describe('counting, whatever happens', () => {
  it('never says saved too early, and always in the end', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async steps => {
        const world = new World()
        try {
          await world.begin()
          for (const each of steps) {
            await world.take(each)
            world.check()
          }
          await world.settle()
          for (let each = 0; each < TABS; each += 1) expect(world.missing(each)).toEqual([])
          for (const session of world.tabs) expect(session.state.localTrouble).toBeNull()
          const device = async (): Promise<number> =>
            (await localDesigns(SERVER, 'ann', world.indexedDB))[0]?.unsaved ?? -1
          await until('the device knows it too', async () => (await device()) === 0)
        } finally {
          await world.end()
        }
      }),
      { numRuns: Number(process.env.ATLAS_RUNS ?? 60) }
    )
  })
})
