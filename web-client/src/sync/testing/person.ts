// Somebody with an account on the real server: the REST calls that stories need, and the credentials of their page.

import { z } from '../../design/zod'
import { CredentialError, type Credentials } from '../credentials'

const grant = z.object({ access_token: z.string(), refresh_token: z.string(), user: z.object({ id: z.string() }) })
const created = z.object({ id: z.string() })
const ticketAnswer = z.object({ ticket: z.string() })
export const snapshot = z.object({
  nodes: z.array(z.looseObject({ id: z.string() })),
  edges: z.array(z.looseObject({ id: z.string() })),
  meta: z.record(z.string(), z.unknown())
})

export class Person implements Credentials {
  design = ''
  /** Access tokens that renewals were asked for. */
  renewals: { fresh: boolean }[] = []
  tickets = 0
  #grant: z.infer<typeof grant> | null = null

  private constructor(
    readonly url: string,
    readonly name: string
  ) {}

  static async register(url: string, name: string): Promise<Person> {
    const person = new Person(url, name)
    const body = { email: `${name}@example.org`, password: 'correct horse battery staple 7', name }
    person.#grant = grant.parse(await person.json('POST', '/auth/register', body))
    return person
  }

  /** The same account, as seen through another address. */
  via(url: string, design: string): Person {
    const other = new Person(url, this.name)
    other.#grant = this.#grant
    other.design = design
    return other
  }

  get id(): string {
    return this.#grant?.user.id ?? ''
  }

  async send(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (this.#grant !== null) headers.authorization = `Bearer ${this.#grant.access_token}`
    return fetch(`${this.url}/api/v1${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
  }

  async json(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await this.send(method, path, body)
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
    return response.status === 204 ? null : response.json()
  }

  async create(name: string, body: object = {}): Promise<string> {
    return created.parse(await this.json('POST', '/designs', { name, ...body })).id
  }

  async snapshot(design: string): Promise<z.infer<typeof snapshot>> {
    return snapshot.parse(await this.json('GET', `/designs/${design}/snapshot?format=json`))
  }

  share(design: string, person: Person, role: string): Promise<unknown> {
    return this.json('PUT', `/designs/${design}/members/${person.id}`, { role })
  }

  remove(design: string, person: Person): Promise<unknown> {
    return this.json('DELETE', `/designs/${design}/members/${person.id}`)
  }

  logout(): Promise<unknown> {
    return this.json('POST', '/auth/logout', { refresh_token: this.#grant?.refresh_token })
  }

  async refresh(): Promise<void> {
    const response = await this.send('POST', '/auth/refresh', { refresh_token: this.#grant?.refresh_token })
    if (!response.ok) throw new CredentialError('signed-out', 'the login has ended')
    this.#grant = grant.parse(await response.json())
  }

  async ticket(): Promise<string> {
    this.tickets += 1
    const response = await this.#reach(() => this.send('POST', `/designs/${this.design}/tickets`, {}))
    if (response.status === 401) throw new CredentialError('signed-out', 'the login has ended')
    if (response.status === 403) throw new CredentialError('forbidden', 'not a member')
    if (response.status === 404) throw new CredentialError('not-found', 'no such design')
    if (!response.ok) throw new CredentialError('unreachable', `the server answered ${response.status}`)
    return ticketAnswer.parse(await response.json()).ticket
  }

  async accessToken(wanted: { fresh: boolean }): Promise<string> {
    this.renewals.push(wanted)
    if (wanted.fresh) await this.#reach(() => this.refresh())
    return this.#grant?.access_token ?? ''
  }

  async #reach<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof CredentialError) throw error
      throw new CredentialError('unreachable', 'no connection', { cause: error })
    }
  }
}
