// What the page asks of the server over HTTP (docs/API.md). Every function throws `SignedOut`, `Unreachable` or `ApiProblem`, and nothing else.

import type { Account } from './account'
import { authorizedFetch } from './authorized-fetch'
import type { Role } from './types'

export interface DesignInfo {
  id: string
  name: string
  /** What the caller may do with it. */
  role: Role
  /** A user id. */
  owner: string
  /** RFC 3339. */
  updated_at: string
}

export interface DesignPage {
  items: DesignInfo[]
  next_cursor: string | null
}

export interface Member {
  /** A user id. */
  user: string
  email: string
  name: string | null
  role: Role
}

/** What an import did with a file. Paths are those of the file. */
export interface ImportReport {
  format: string
  kept: { nodes: number; edges: number }
  changed: { path: string; rule: string; from?: unknown; to?: unknown }[]
  guessed: { path: string; as?: unknown; confidence: number }[]
  dropped: { path: string; reason: string }[]
  warnings: { code: string; element: string; message: string }[]
}

export interface Api {
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
  const ask = async <T>(method: string, path: string, body?: object | Blob, signal?: AbortSignal): Promise<T> => {
    const json = body !== undefined && !(body instanceof Blob)
    const response = await send(
      new Request(new URL(`/api/v1/designs${path}`, location.origin), {
        method,
        ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : body }),
        ...(signal === undefined ? {} : { signal }),
        headers: json ? { 'Content-Type': 'application/json' } : {}
      })
    )
    return (response.status === 204 ? undefined : await response.json()) as T
  }
  const at = encodeURIComponent
  return {
    listDesigns: ({ q, cursor, signal }) => {
      const query = new URLSearchParams({ ...(q ? { q } : {}), ...(cursor ? { cursor } : {}) })
      return ask('GET', `?${query}`, undefined, signal)
    },
    createDesign: name => ask('POST', '', { name }),
    importDesign: file => ask('POST', '/import', file),
    renameDesign: (design, name) => ask('PATCH', `/${at(design)}`, { meta: { name } }),
    deleteDesign: design => ask('DELETE', `/${at(design)}`),
    members: async design => (await ask<{ items: Member[] }>('GET', `/${at(design)}/members`)).items,
    setMember: (design, who, role) => ask('PUT', `/${at(design)}/members/${at(who)}`, { role }),
    removeMember: (design, user) => ask('DELETE', `/${at(design)}/members/${at(user)}`),
    ticket: async design => (await ask<{ ticket: string }>('POST', `/${at(design)}/tickets`)).ticket
  }
}
