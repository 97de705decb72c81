// What the page asks of the server over HTTP (docs/API.md). Every function throws `SignedOut`, `Unreachable` or `ApiProblem`, and nothing else.
// The types are the server's own: api-types.d.ts is generated from openapi.json (`npm run api`), and a test checks that it still is.

import createClient from 'openapi-fetch'
import type { Account } from './account'
import { type AnalysisApi, analysisApi } from './analysis-api'
import type { components, paths } from './api-types'
import { authorizedFetch } from './authorized-fetch'
import { ApiProblem } from './problems'
import type { Role } from './types'

type Schemas = components['schemas']
export type DesignInfo = Schemas['Design']
export type DesignPage = Schemas['DesignPage']
export type Member = Schemas['Member']
/** What an import did with a file. Paths are those of the file. */
export type ImportReport = Schemas['ImportReport']

export interface Api extends AnalysisApi {
  listDesigns(query: { q?: string; cursor?: string; signal?: AbortSignal }): Promise<DesignPage>
  createDesign(name: string): Promise<DesignInfo>
  importDesign(file: Blob): Promise<{ id: string; report: ImportReport }>
  renameDesign(design: string, name: string): Promise<void>
  deleteDesign(design: string): Promise<void>
  members(design: string): Promise<Member[]>
  /** `who` is a user id or an email address. */
  setMember(design: string, who: string, role: Role): Promise<Member>
  removeMember(design: string, user: string): Promise<void>
  /** Opens one socket, within a minute. */
  ticket(design: string): Promise<string>
}

export function createApi(account: Account, fetch: typeof globalThis.fetch = globalThis.fetch.bind(globalThis)): Api {
  const send = authorizedFetch(account, fetch)
  const client = createClient<paths>({ baseUrl: location.origin, fetch: send })
  const of = (design: string) => ({ params: { path: { design } } })
  return {
    ...analysisApi(send),
    async listDesigns({ q, cursor, signal }) {
      const query = { ...(q ? { q } : {}), ...(cursor ? { cursor } : {}) }
      return good(
        await client.GET('/api/v1/designs', { params: { query }, ...(signal === undefined ? {} : { signal }) })
      )
    },
    async createDesign(name) {
      return good(await client.POST('/api/v1/designs', { body: { name } }))
    },
    async importDesign(file) {
      // The file goes as it is: the server finds out what it is.
      return good(await client.POST('/api/v1/designs/import', { body: file, bodySerializer: () => file }))
    },
    async renameDesign(design, name) {
      await client.PATCH('/api/v1/designs/{design}', { ...of(design), body: { meta: { name } } })
    },
    async deleteDesign(design) {
      await client.DELETE('/api/v1/designs/{design}', of(design))
    },
    async members(design) {
      return good(await client.GET('/api/v1/designs/{design}/members', of(design))).items
    },
    async setMember(design, who, role) {
      const params = { path: { design, user: who } }
      return good(await client.PUT('/api/v1/designs/{design}/members/{user}', { params, body: { role } }))
    },
    async removeMember(design, user) {
      await client.DELETE('/api/v1/designs/{design}/members/{user}', { params: { path: { design, user } } })
    },
    async ticket(design) {
      return good(await client.POST('/api/v1/designs/{design}/tickets', of(design))).ticket
    }
  }
}

/** `send` lets only good answers through; one without the promised body is a bug of one side or the other. */
function good<T>(answer: { data?: T; response: Response }): T {
  if (answer.data !== undefined) return answer.data
  throw new ApiProblem(
    answer.response.status,
    'unreadable',
    'The server answered in a way that this page does not understand.'
  )
}
