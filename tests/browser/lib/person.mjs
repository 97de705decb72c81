// Somebody before a browser: what they do with the pages, and what they see there.

import assert from 'node:assert/strict'
import { PASSWORD } from '../../interop/lib/api.mjs'
import { say, until } from '../../interop/lib/wait.mjs'
import { Canvas } from './canvas.mjs'
import { Sockets } from './sockets.mjs'
import { Watch } from './watch.mjs'

/** How long a page may take to show what others did, or to come back by itself after the network did, in ms. */
const SOON = 20_000

/** Between two looks at a page, in ms: each look costs the browser some work. */
const LOOK_EVERY = 40

export class Person {
  static async sitsDown ({ name, api, cable, browser }) {
    const watch = new Watch(name)
    await watch.attach(browser.context, cable.url)
    const person = new Person({ name, api, cable, browser, watch })
    person.use(browser.context.pages()[0] ?? await browser.context.newPage())
    return person
  }

  constructor ({ name, api, cable, browser, watch }) {
    Object.assign(this, { name, api, cable, browser, watch })
    this.email = `${name}@example.org`
  }

  /** From now on this tab is meant. */
  use (page) {
    this.page = page
    this.canvas = new Canvas(this)
    this.sockets = Sockets.of(page)
  }

  /** A further tab of the same profile; the person goes on in the tab of before. */
  async secondTab () {
    const page = await this.browser.context.newPage()
    const tab = new Person(this)
    tab.name = `${this.name}'s second tab`
    tab.use(page)
    return tab
  }

  async leave () {
    await this.browser.stop()
    await this.cable.stop()
  }

  async waits (what, holds, within = SOON) {
    return until(`${this.name} sees ${what}`, holds, { within, every: LOOK_EVERY, seen: () => this.told() })
  }

  /** For the message of a story that failed. */
  async told () {
    try {
      return await this.page.evaluate(() => JSON.stringify({
        badge: document.querySelector('[data-testid=saving]')?.textContent ?? null,
        state: globalThis.atlas?.state() ?? null,
        alerts: [...document.querySelectorAll('[role=alert]')].map((each) => each.textContent)
      }))
    } catch (error) {
      return `nothing: ${error.message}`
    }
  }

  // --- getting in and out

  goto (path) {
    return this.page.goto(`${this.cable.url}${path}`)
  }

  async signIn () {
    await this.goto('/')
    await this.fillSignIn()
    await this.page.getByRole('heading', { name: 'Designs' }).waitFor()
  }

  async fillSignIn () {
    const { page } = this
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Email').fill(this.email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  /** The page's login ends without the page: as if the server's owner, or a thief of the cookie, had ended it. */
  async endLogin () {
    const [cookie] = (await this.browser.context.cookies(`${this.cable.url}/api/v1/auth/`)).filter(({ name }) => name === 'atlas_refresh')
    assert.ok(cookie !== undefined, 'the page has a login')
    await this.api.request('POST', '/api/v1/auth/logout', JSON.stringify({ refresh_token: cookie.value }), { 'content-type': 'application/json' })
  }

  /** The user menu with its items. */
  async openUserMenu () {
    await this.page.getByTestId('user-menu').click()
    await this.page.getByRole('menu').waitFor()
  }

  /** Opens a design by its address, and all of it in view. */
  async open (design) {
    this.design = design
    await this.goto(`/d/${design}`)
    await this.editorIsThere()
    await this.canvas.fit()
  }

  /** Back to the list of designs. */
  async leaveEditor () {
    await this.goto('/')
    await this.page.getByRole('heading', { name: 'Designs' }).waitFor()
  }

  async editorIsThere () {
    await this.page.getByTestId('canvas').waitFor()
    await this.waits('the design', () => this.page.evaluate(() => globalThis.atlas?.state().ready === true))
  }

  /** The service worker has all of the app: from here on it starts without the server. */
  async keptForOffline () {
    await this.page.evaluate(async () => { await navigator.serviceWorker.ready })
  }

  // --- what the page says

  /** `{kind, unsaved, text}` of the badge. */
  async saving () {
    return this.page.evaluate(() => {
      const badge = document.querySelector('[data-testid=saving]')
      return badge === null ? null : { kind: badge.dataset.kind, unsaved: Number(badge.dataset.unsaved), text: badge.textContent.trim() }
    })
  }

  async badge (kind, text) {
    await this.waits(`the badge ${kind} (${text})`, async () => {
      const saving = await this.saving()
      return saving !== null && saving.kind === kind && saving.text === text
    })
  }

  saved () {
    return this.badge('saved', 'Saved')
  }

  /** How many transactions are unsaved by the badge, which says Offline. */
  async offline (n) {
    await this.waits(`Offline (${n})`, async () => {
      const saving = await this.saving()
      return saving?.kind === 'offline' && saving.unsaved === n && saving.text === `Offline (${n})`
    })
  }

  // --- the cable

  /** Pulls the cable: from here to `plugIn` no byte passes. */
  async unplug () {
    this.watch.networkMayFail = true
    await this.cable.cut()
    this.passedWhenCut = this.cable.passed
    await this.waits('the badge Offline', async () => (await this.saving())?.kind === 'offline')
  }

  /** The cable is back. Everything since `unplug` happened without a byte. */
  plugIn () {
    assert.equal(this.cable.passed, this.passedWhenCut, 'no byte passed while the cable was out')
    say(`${this.name}: ${this.cable.passed - this.passedWhenCut} bytes passed while offline (${this.passedWhenCut} before), and the page said Offline`)
    this.cable.restore()
  }
}
