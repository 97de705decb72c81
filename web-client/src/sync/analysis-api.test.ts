// @vitest-environment happy-dom
import { describe, expect, it } from 'vitest'
import type { Account } from './account'
import { createApi } from './api'
import { ApiProblem, Unreachable } from './problems'

const account: Account = {
  state: { kind: 'signed-out', ended: null },
  subscribe: () => () => {},
  accessToken: () => Promise.resolve('token'),
  discard: () => {},
  login: () => Promise.reject(new Error('not here')),
  register: () => Promise.reject(new Error('not here')),
  logout: () => Promise.resolve(true),
  heard: () => {},
  stop: () => {}
}

function asking(answer: () => Response | Promise<Response>) {
  const asked: Request[] = []
  const api = createApi(account, async (input, init) => {
    asked.push(new Request(input, init))
    return answer()
  })
  return { api, asked }
}

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), { ...init, headers: { 'Content-Type': 'application/json', ...init.headers } })

const ANALYSIS = {
  id: 'a1',
  security_score: 3.9,
  grade: 'F',
  severity: 'critical',
  coverage: 0.62,
  seq: 17,
  is_stale: false,
  created_at: '2026-01-01T00:00:00Z',
  issues: [],
  a_key_of_tomorrow: true
}

describe('the newest analysis', () => {
  it('comes with its ETag, and is not sent again while it is the newest', async () => {
    const { api, asked } = asking(() => json(ANALYSIS, { headers: { ETag: '"a1-0"' } }))
    expect(await api.latestAnalysis('d/1', null)).toMatchObject({
      kind: 'new',
      etag: '"a1-0"',
      analysis: { security_score: 3.9, explanation: [], omitted: [] }
    })
    expect(new URL(asked[0]?.url ?? '').pathname).toBe('/api/v1/designs/d%2F1/analyses/latest')
    expect(asked[0]?.headers.get('If-None-Match')).toBeNull()
    expect(asked[0]?.headers.get('Authorization')).toBe('Bearer token')

    const later = asking(() => new Response(null, { status: 304 }))
    expect(await later.api.latestAnalysis('d', '"a1-0"')).toEqual({ kind: 'same' })
    expect(later.asked[0]?.headers.get('If-None-Match')).toBe('"a1-0"')
  })

  it('may be none, which is no problem', async () => {
    const { api } = asking(() => json({ code: 'no_analysis_yet', detail: 'x' }, { status: 404 }))
    expect(await api.latestAnalysis('d', null)).toEqual({ kind: 'none' })
  })

  it('that cannot be read, or had, is one', async () => {
    await expect(asking(() => json({ id: 1 })).api.latestAnalysis('d', null)).rejects.toMatchObject({
      code: 'unreadable'
    })
    await expect(
      asking(() => json({ code: 'no_such_design' }, { status: 404 })).api.latestAnalysis('d', null)
    ).rejects.toBeInstanceOf(ApiProblem)
    await expect(
      asking(() => Promise.reject(new TypeError('no line'))).api.latestAnalysis('d', null)
    ).rejects.toBeInstanceOf(Unreachable)
  })
})

describe('judging and asking', () => {
  it('sends what was judged', async () => {
    const { api, asked } = asking(() => json({ state: 'accepted' }))
    await api.judgeFinding('d', 'ff', { state: 'accepted', reason: 'ok', expires_at: '2027-01-01T00:00:00Z' })
    const [request] = asked
    expect([request?.method, new URL(request?.url ?? '').pathname]).toEqual(['PUT', '/api/v1/designs/d/findings/ff'])
    expect(await request?.json()).toEqual({ state: 'accepted', reason: 'ok', expires_at: '2027-01-01T00:00:00Z' })
  })

  it('names the job, and says how long to wait when there were too many', async () => {
    const body = { job_id: 'j1', design_id: 'd', status: 'queued', status_url: '', results_url: '' }
    const { api, asked } = asking(() => json(body, { status: 202 }))
    expect(await api.analyseNow('d')).toBe('j1')
    expect(await asked[0]?.json()).toEqual({ design_id: 'd' })
    const busy = asking(() =>
      json({ code: 'rate_limited', detail: 'Too many.' }, { status: 429, headers: { 'Retry-After': '12' } })
    )
    await expect(busy.api.analyseNow('d')).rejects.toThrow('Too many. Try again in 12 seconds.')
  })

  it('reads scores and jobs, with what it does not know left out', async () => {
    const point = {
      id: 'a1',
      security_score: 7,
      grade: 'C',
      at: '2026-01-01T00:00:00Z',
      created_at: '2026-01-01T00:00:00Z'
    }
    expect(await asking(() => json({ items: [{ ...point, seq: 4 }], next: null })).api.scores('d')).toEqual([point])
    const status = { job_id: 'j', status: 'failed', progress: 10, error: 'dead' }
    expect(await asking(() => json(status)).api.analysisJob('j')).toEqual({ status: 'failed', error: 'dead' })
  })
})
