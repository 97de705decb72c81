import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Unreachable } from '../sync/problems'
import { AnalysisStore } from './store'
import { answer, FakeServer, issue } from './testing/fakes'

let server: FakeServer
let store: AnalysisStore

beforeEach(() => {
  vi.useFakeTimers()
  server = new FakeServer()
  store = new AnalysisStore(server.session, server)
})
afterEach(() => {
  store.stop()
  vi.useRealTimers()
})

const settled = () => vi.advanceTimersByTimeAsync(0)
const completed = () => server.notices.tell({ type: 'analysis.completed', seq: 1 })
const scoreNow = () => store.state.analysis?.security_score

describe('the analysis of a design', () => {
  it('is fetched at once, and again whenever the server has a new one', async () => {
    server.says(answer([], { id: 'a1', security_score: 9 }))
    store.start()
    expect(store.state.kind).toBe('loading')
    await settled()
    expect(store.state).toMatchObject({ kind: 'ready', trouble: null })
    expect(scoreNow()).toBe(9)
    server.says(answer([issue('ATL-T01')], { id: 'a2', security_score: 4.2 }))
    completed()
    await settled()
    expect(scoreNow()).toBe(4.2)
    expect(server.asked.filter(([act]) => act === 'latest')).toEqual([
      ['latest', 'design', null],
      ['latest', 'design', '"a1"']
    ])
  })

  it('is nothing to draw again when the server has the same one', async () => {
    server.says(answer([]))
    store.start()
    await settled()
    const before = store.state.analysis
    completed()
    await settled()
    expect(store.state.analysis).toBe(before)
    expect(server.count('scores')).toBe(2)
  })

  it('may not be there yet', async () => {
    store.start()
    await settled()
    expect(store.state).toMatchObject({ kind: 'none', analysis: null, trouble: null })
    // It would be answered with an error.
    expect(server.count('latest')).toBe(0)
  })

  it('is asked for once more, however often the server speaks while a question is under way', async () => {
    let open = () => {}
    server.gate = new Promise(resolve => {
      open = resolve
    })
    server.says(answer([], { id: 'old', security_score: 1 }))
    store.start()
    server.says(answer([], { id: 'new', security_score: 8 }))
    for (let each = 0; each < 20; each += 1) completed()
    await settled()
    expect(server.count('latest')).toBe(1)
    open()
    await settled()
    expect(server.count('latest')).toBe(2)
    expect(scoreNow()).toBe(8)
  })

  it('stays while the server cannot be reached, and is asked for again ever more rarely', async () => {
    server.says(answer([], { security_score: 7 }))
    store.start()
    await settled()
    server.latest = new Unreachable()
    completed()
    await settled()
    expect(scoreNow()).toBe(7)
    expect(store.state.trouble).toMatch(/cannot be reached/)
    expect(server.count('latest')).toBe(2)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(server.count('latest')).toBe(3)
    await vi.advanceTimersByTimeAsync(9_000)
    expect(server.count('latest')).toBe(3)
    server.says(answer([], { id: 'a2', security_score: 3 }))
    // The socket is back.
    server.notices.tell({
      type: 'hello',
      role: 'editor',
      epoch: 1,
      seq: 1,
      limits: { update_bytes_max: 1, document_bytes_max: 1 }
    })
    await settled()
    expect(scoreNow()).toBe(3)
    expect(store.state.trouble).toBeNull()
  })

  it('says that the server is at work, and not for ever', async () => {
    store.start()
    await settled()
    server.notices.tell({ type: 'analysis.started', seq: 1 })
    expect(store.state.isWorking).toBe(true)
    completed()
    expect(store.state.isWorking).toBe(false)
    server.notices.tell({ type: 'analysis.started', seq: 2 })
    await vi.advanceTimersByTimeAsync(30_000)
    expect(store.state.isWorking).toBe(false)
  })

  it('keeps the line of scores where that alone cannot be had', async () => {
    const point = (id: string, security_score: number) => ({ id, security_score, grade: 'B', created_at: '', at: null })
    server.points = [point('b', 8), point('a', 6)]
    server.says(answer([]))
    store.start()
    await settled()
    expect(store.state.scores.map(({ id }) => id)).toEqual(['a', 'b'])
    server.points = new Unreachable()
    server.says(answer([], { id: 'a2' }))
    completed()
    await settled()
    expect(store.state.scores).toHaveLength(2)
    expect(store.state.trouble).toBeNull()
  })

  it('is made at once when somebody asks for it', async () => {
    store.start()
    await settled()
    server.jobs = [{ status: 'queued' }, { status: 'running' }, { status: 'completed' }]
    server.says(answer([], { security_score: 6 }))
    const done = store.analyse()
    expect(store.state.isWorking).toBe(true)
    await vi.advanceTimersByTimeAsync(3_000)
    await done
    expect(server.count('job')).toBe(3)
    expect(store.state.isWorking).toBe(false)
    expect(scoreNow()).toBe(6)
    server.jobs = [{ status: 'failed', error: 'The rules are broken.' }]
    const failed = expect(store.analyse()).rejects.toThrow('The rules are broken.')
    await vi.advanceTimersByTimeAsync(3_000)
    await failed
    expect(store.state.isWorking).toBe(false)
  })

  it('is fetched again after a judgement, which may be turned down', async () => {
    server.says(answer([issue('ATL-T01')]))
    store.start()
    await settled()
    const [finding] = store.state.analysis?.issues ?? []
    if (finding === undefined) throw new Error('There is a finding.')
    server.says(answer([issue('ATL-T01', { triage: { state: 'accepted', reason: 'ok' } })]), '"a1-2"')
    await store.judge(finding, { state: 'accepted', reason: 'ok' })
    expect(server.asked).toContainEqual(['judge', 'design', finding.fingerprint, { state: 'accepted', reason: 'ok' }])
    expect(store.state.analysis?.issues[0]?.triage.state).toBe('accepted')
    server.judging = new Error('not now')
    await expect(store.judge(finding, { state: 'open' })).rejects.toThrow('not now')
  })

  it('hears nothing any more when the page has gone', async () => {
    store.start()
    await settled()
    store.stop()
    completed()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(server.count('scores')).toBe(1)
  })
})
