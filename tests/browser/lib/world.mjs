// A server, the people around it, each with a browser, a profile and a cable of their own, and what is asserted after every story.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Api } from '../../interop/lib/api.mjs'
import { Proxy } from '../../interop/lib/proxy.mjs'
import { Server } from '../../interop/lib/server.mjs'
import { say } from '../../interop/lib/wait.mjs'
import { Browser } from './browser.mjs'
import { Front } from './front.mjs'
import { Person } from './person.mjs'
import { Sink } from './watch.mjs'

const FAILURES = fileURLToPath(new URL('../../../target/browser-failures/', import.meta.url))

/** Longest time of one story, in ms: it waits on conditions that have their own, shorter limits. */
const STORY_MS = 150_000

export class World {
  /** `withFront`: a `Front` stands between the cables and the server. `keeper` is the administrator, and nobody of the stories. */
  static async start ({ settings = {}, withFront = false } = {}) {
    const world = new World()
    world.sink = await Sink.start()
    world.server = await Server.start(settings)
    world.front = withFront ? await Front.start(world.server.port) : null
    world.keeper = await new Api(world.server.url).register('keeper')
    return world
  }

  constructor () {
    this.people = []
  }

  /** Somebody with an account, a browser and a cable, who has not signed in yet. */
  async person (name, browserOptions = {}) {
    const api = await new Api(this.server.url).register(name)
    const cable = await Proxy.start((this.front ?? this.server).port)
    const browser = await Browser.start(this.sink.port, browserOptions)
    const person = await Person.sitsDown({ name, api, cable, browser })
    this.people.push(person)
    return person
  }

  /** People who have signed in through the page. */
  async signedIn (...names) {
    const people = await Promise.all(names.map((name) => this.person(name)))
    await Promise.all(people.map((person) => person.signIn()))
    return people
  }

  /** SIGKILL. What the browsers then say about lost connections belongs to the story. */
  async kill () {
    for (const { watch } of this.people) watch.networkMayFail = true
    await this.server.kill()
  }

  faults () {
    return [
      ...this.people.flatMap(({ watch }) => watch.faults),
      ...this.sink.arrived.map((line) => `a browser asked for something outside of this machine: ${line}`)
    ]
  }

  /** Pictures of all pages, what they said, and the end of the server's log. */
  async keepEvidence (title) {
    const folder = path.join(FAILURES, title.replace(/[^A-Za-z0-9]+/g, '-').slice(0, 80))
    await mkdir(folder, { recursive: true })
    for (const { name, browser } of this.people) {
      for (const [n, page] of browser.context.pages().entries()) {
        await page.screenshot({ path: path.join(folder, `${name}-${n}.png`), timeout: 5_000 }).catch(() => {})
      }
    }
    const said = await Promise.all(this.people.map(async (person) => `${person.name} at ${person.page.url()}: ${await person.told()}`))
    await writeFile(path.join(folder, 'told.txt'), [...said, '', ...this.faults(), '', 'The server said last:', this.server.tail(100)].join('\n'))
    return path.relative(process.cwd(), folder)
  }

  async stop () {
    await Promise.all(this.people.map((person) => person.leave()))
    await this.front?.stop()
    await this.server.down()
    this.sink.stop()
  }
}

/** The world of one file of stories; `prepare` runs once, before the first. */
export function world (options, prepare) {
  const holder = { world: null }
  before(async () => {
    holder.world = await World.start(options)
    try {
      await prepare(holder.world)
    } catch (error) {
      error.message += `\n(evidence: ${await holder.world.keepEvidence('before')})\n${holder.world.faults().join('\n')}`
      throw error
    }
  })
  after(async () => {
    const requests = holder.world.people.reduce((sum, { watch }) => sum + watch.requests, 0)
    await holder.world.stop()
    say(`${requests} requests and sockets of ${holder.world.people.length} browsers, all to their own origin`)
  })
  return holder
}

/** One story: `body(world)`, and then no page may have said anything bad. */
export function story (holder, title, body) {
  test(title, { timeout: STORY_MS }, async (t) => {
    const { world } = holder
    for (const { watch } of world.people) watch.begin()
    try {
      await body(world, t)
      assert.deepEqual(world.faults(), [], 'no page error, console error, policy violation, or request to another origin')
    } catch (error) {
      error.message += `\n(evidence: ${await world.keepEvidence(title)})\n${world.faults().join('\n')}`
      throw error
    }
  })
}
