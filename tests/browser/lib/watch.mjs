// What must never happen on any page, whatever the story: errors, breaches of the content security policy, requests to others.

import { once } from 'node:events'
import { createServer } from 'node:net'

/** What a browser says by itself about requests that the harness lets fail. Counts only from a cut (or a kill) to the end of its story. */
const FAILED_LOADS = [
  /^Failed to load resource: net::ERR_/,
  /^WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/ws\/[^']*' failed/,
  // The proxy stands while the server is down: an upgrade that ends, or an answer that never comes.
  /^Failed to load resource: the server responded with a status of 50[234]/
]

/** Says who is signed in at the start of every page; with nobody the answer is 401, which the browser logs. */
const NOBODY_SIGNED_IN = /^Failed to load resource: the server responded with a status of 401 .*\/api\/v1\/auth\/refresh$/

export class Watch {
  constructor (name) {
    this.name = name
    this.faults = []
    this.requests = 0
    this.networkMayFail = false
    this.expected = []
  }

  /** Begins a new story: nothing is forgiven any more. */
  begin () {
    this.faults = []
    this.networkMayFail = false
    this.expected = []
  }

  /** Console errors of this form belong to the story. `why` is for the reader. */
  expect (pattern, why) {
    this.expected.push({ pattern, why })
  }

  async attach (context, origin) {
    await context.exposeBinding('reportPolicyViolation', (_, told) => this.#fault(`policy violation: ${told}`))
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        window.reportPolicyViolation(`${event.effectiveDirective} refused ${event.blockedURI} in ${event.sourceFile}:${event.lineNumber}`)
      })
    })
    context.on('weberror', (error) => this.#fault(`page error: ${error.error().stack ?? error.error()}`))
    context.on('console', (message) => {
      if (message.type() === 'error') this.#console(`${message.text()} ${message.location().url}`.trim())
    })
    context.on('request', (request) => this.#request(request.url(), origin))
    const watchSockets = (page) => page.on('websocket', (socket) => this.#request(socket.url().replace(/^ws/, 'http'), origin))
    context.pages().forEach(watchSockets)
    context.on('page', watchSockets)
  }

  #request (url, origin) {
    this.requests += 1
    if (url.startsWith('blob:') || url.startsWith('about:')) return
    if (!url.startsWith(`${origin}/`)) this.#fault(`a request to another origin: ${url}`)
  }

  #console (text) {
    if (NOBODY_SIGNED_IN.test(text)) return
    if (this.networkMayFail && FAILED_LOADS.some((pattern) => pattern.test(text))) return
    if (this.expected.some(({ pattern }) => pattern.test(text))) return
    this.#fault(`console error: ${text}`)
  }

  #fault (what) {
    this.faults.push(`${this.name}: ${what}`)
  }
}

/** Chromium's own errands, which no page can start: its updater, its list of accounts, its lists of bad addresses. */
const OWN_HOSTS = '(update|optimizationguide-pa|content-autofill|passwordsleakcheck-pa|safebrowsing)\\.googleapis\\.com|(accounts|clients\\d|www)\\.google\\.com|redirector\\.gvt1\\.com'
const BROWSERS_OWN = new RegExp(`^(CONNECT |POST http://|GET http://)(${OWN_HOSTS})[:/]`)

/**
 * Where a browser sends whatever does not go to this machine: nothing may arrive. Unlike the pages' own reports this
 * covers workers and prefetches.
 */
export class Sink {
  static async start () {
    const sink = new Sink()
    sink.listener.listen(0, '127.0.0.1')
    await once(sink.listener, 'listening')
    sink.port = sink.listener.address().port
    return sink
  }

  constructor () {
    this.arrived = []
    this.listener = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        const [line] = bytes.toString('latin1').split('\r\n')
        if (!BROWSERS_OWN.test(line)) this.arrived.push(line)
        socket.destroy()
      })
    })
  }

  stop () {
    this.listener.close()
  }
}
