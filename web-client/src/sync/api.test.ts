// @vitest-environment happy-dom
import { describe, expect, it } from 'vitest'
import type { Account } from './account'
import { createApi } from './api'
import { ApiProblem, SignedOut, Unreachable } from './problems'

/** An account that hands out one token after the other, and notes what it hears. */
function fakeAccount() {
  const heard: boolean[] = []
  let tokens = 1
  const account: Account = {
    state: { kind: 'signed-out', ended: null },
    subscribe: () => () => {},
    accessToken: async () => {
      if (3 < tokens) throw new SignedOut()
      return `token-${tokens}`
    },
    discard: () => {
      tokens += 1
    },
    login: () => Promise.reject(new Error('not here')),
    register: () => Promise.reject(new Error('not here')),
    logout: () => Promise.resolve(true),
    heard: reachable => heard.push(reachable),
    stop: () => {}
  }
  return { account, heard }
}

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' }, ...init })

function asking(answer: (request: Request) => Response | Promise<Response>) {
  const { account, heard } = fakeAccount()
  const asked: Request[] = []
  const api = createApi(account, async (input, init) => {
    const request = new Request(input, init)
    asked.push(request)
    return answer(request)
  })
  return { api, asked, heard }
}

describe('a question', () => {
  it('goes in the name of the person, with what was searched for', async () => {
    const { api, asked, heard } = asking(() => json({ items: [], next_cursor: null }))
    await api.listDesigns({ q: 'pay & go', cursor: 'c1' })
    expect(asked[0]?.headers.get('Authorization')).toBe('Bearer token-1')
    expect(new URL(asked[0]?.url ?? '').search).toBe('?q=pay%20%26%20go&cursor=c1')
    expect(heard).toEqual([true])
  })

  it('is asked once more with another token when the server turned the first one down, body and all', async () => {
    const { api, asked } = asking(request =>
      request.headers.get('Authorization') === 'Bearer token-1'
        ? json({ code: 'token_expired', detail: '' }, { status: 401 })
        : json({ id: 'd1', name: 'Shop' }, { status: 201 })
    )
    expect((await api.createDesign('Shop')).id).toBe('d1')
    expect(await Promise.all(asked.map(each => each.clone().text()))).toEqual(['{"name":"Shop"}', '{"name":"Shop"}'])
  })

  it('with a file sends the file as it is', async () => {
    const { api, asked } = asking(() => json({ id: 'd1', report: {} }, { status: 201 }))
    await api.importDesign(new Blob(['{"nodes":[]}']))
    expect(await asked[0]?.clone().text()).toBe('{"nodes":[]}')
  })

  it('that nobody answers is told as unreachable', async () => {
    const { api, heard } = asking(() => Promise.reject(new TypeError('Failed to fetch')))
    await expect(api.members('d1')).rejects.toBeInstanceOf(Unreachable)
    expect(heard).toEqual([false])
  })

  it('that is refused tells the code, the words and the fields', async () => {
    const detail = { code: 'validation_failed', detail: 'name: has 1 to 255 characters' }
    const details = [{ field: 'name', message: 'has 1 to 255 characters' }]
    const { api } = asking(() => json({ ...detail, details }, { status: 400 }))
    const problem = await api.createDesign('').catch(error => error)
    expect(problem).toBeInstanceOf(ApiProblem)
    expect([problem.status, problem.code, problem.of('name')]).toEqual([400, 'validation_failed', details[0]?.message])
  })

  it('that has to wait says how long', async () => {
    const { api } = asking(() =>
      json({ code: 'busy', detail: 'The server is busy.' }, { status: 503, headers: { 'Retry-After': '1' } })
    )
    await expect(api.deleteDesign('d1')).rejects.toThrow('The server is busy. Try again in 1 second.')
  })
})
