// The few REST calls that the stories need.

import assert from 'node:assert/strict'

/** Everybody's in the stories. */
export const PASSWORD = 'correct horse battery staple 7'

export class Api {
  constructor (url, token = null) {
    this.url = url
    this.token = token
  }

  async request (method, path, body, headers = {}) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      body,
      headers: { ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }), ...headers }
    })
    assert.ok(response.ok, `${method} ${path} answered ${response.status}: ${response.ok ? '' : await response.text()}`)
    return response
  }

  async json (method, path, body) {
    const response = await this.request(method, path, JSON.stringify(body), { 'content-type': 'application/json' })
    return response.json()
  }

  /** Registers somebody and returns the same server as seen by them. The first one is the administrator. */
  async register (name) {
    const body = { email: `${name}@example.org`, password: PASSWORD, name }
    const { access_token: token } = await this.json('POST', '/api/v1/auth/register', body)
    return new Api(this.url, token)
  }

  async create (name) {
    return (await this.json('POST', '/api/v1/designs', { name })).id
  }

  /** Gives somebody who registered under this name a role on the design. */
  async share (design, name, role) {
    await this.json('PUT', `/api/v1/designs/${design}/members/${name}@example.org`, { role })
  }

  /** Imports a file (text) and returns `{id, report}`. */
  async import (text) {
    const type = { 'content-type': 'application/json' }
    return (await this.request('POST', '/api/v1/designs/import?format=auto', text, type)).json()
  }

  async snapshot (design) {
    return (await this.request('GET', `/api/v1/designs/${design}/snapshot?format=json`)).json()
  }

  async snapshotYjs (design) {
    const response = await this.request('GET', `/api/v1/designs/${design}/snapshot?format=yjs`)
    return new Uint8Array(await response.arrayBuffer())
  }
}
