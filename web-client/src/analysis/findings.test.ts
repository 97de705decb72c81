import { describe, expect, it } from 'vitest'
import { drawing, edge, node } from '../panels/testing/fake-editor'
import { ALL_OPEN, elementName, type Filter, findingsFor } from './findings'
import { Focus } from './focus'
import { freshness } from './freshness'
import { FindingMarks, marksOf } from './marks'
import { AnalysisStore } from './store'
import { answer, FakeServer, issue } from './testing/fakes'
import { confidenceWords, pointsText, safeLink, trendWords } from './words'

const view = drawing(
  [node('web', { label: 'Shop front' }), node('db', { label: 'Ledger' })],
  [edge('e', 'web', 'db', { data: { protocol: 'Redis' } })]
)

const { issues } = answer([
  issue('ATL-T03', { severity: 'high', points: 2, elements: ['e', 'db'] }),
  issue('ATL-X01', { severity: 'critical', points: 1, elements: ['db'] }),
  issue('ATL-D02', { severity: 'medium', points: 3, elements: ['db'], cwe: ['CWE-999'] }),
  issue('ATL-M05', { severity: 'info', points: 0, elements: ['web'] }),
  issue('ATL-D01', { severity: 'high', elements: ['db'], triage: { state: 'accepted', reason: 'provider' } })
])
const rules = (some: Partial<Filter>) =>
  findingsFor(issues, { ...ALL_OPEN, ...some }, view).map(({ rule_id }) => rule_id.slice(4))

describe('the list of findings', () => {
  it('has the open ones first to last in three orders', () => {
    expect(rules({})).toEqual(['X01', 'T03', 'D02', 'M05'])
    expect(rules({ sort: 'points' })).toEqual(['D02', 'T03', 'X01', 'M05'])
    expect(rules({ sort: 'rule' })).toEqual(['D02', 'M05', 'T03', 'X01'])
  })

  it('is narrowed by severity, state, element and words', () => {
    expect(rules({ severities: ['critical', 'info'] })).toEqual(['X01', 'M05'])
    expect(rules({ state: 'settled' })).toEqual(['D01'])
    expect(rules({ state: 'all' })).toHaveLength(5)
    expect(rules({ element: 'e' })).toEqual(['T03'])
    expect(rules({ query: 'ledger mend' })).toEqual(['X01', 'T03', 'D02'])
    expect(rules({ query: 'cwe-999' })).toEqual(['D02'])
    expect(rules({ query: 'no such words' })).toEqual([])
  })

  it('names a connection by what it joins', () => {
    expect(elementName('e', view)).toBe('Shop front → Ledger (Redis)')
    expect(elementName('gone', view)).toBe('gone')
  })
})

describe('an analysis of a server that says more than this page knows', () => {
  it('loses only what cannot be read', () => {
    const read = answer([
      issue('ATL-A01', { severity: 'apocalyptic' }),
      { ...issue('ATL-A02', { autofix: { title: 'x' }, evidence: 'none' }), future: [1] },
      'nonsense'
    ])
    expect(read.issues.map(({ rule_id }) => rule_id)).toEqual(['ATL-A02'])
    expect(read.issues[0]).toMatchObject({ autofix: null, evidence: [] })
  })
})

describe('marks', () => {
  it('count what is open and costs something, by its worst', () => {
    expect(Object.fromEntries(marksOf(issues))).toEqual({
      e: { worst: 'high', count: 1 },
      db: { worst: 'critical', count: 3 }
    })
  })

  it('stay the same objects where they say the same', () => {
    const before = marksOf(issues)
    const after = marksOf(issues.slice(1), before)
    expect(marksOf([...issues], before).get('db')).toBe(before.get('db'))
    expect(after.get('db')).not.toBe(before.get('db'))
  })

  it('number the hops of the traced path while its finding is there', async () => {
    const server = new FakeServer()
    const path = ['web', 'e', 'db']
    server.says(answer([issue('ATL-X01', { severity: 'critical', elements: ['db'], path })]))
    const store = new AnalysisStore(server.session, server)
    store.start()
    await store.refresh()
    const focus = new Focus()
    const marks = new FindingMarks(store, focus, () => {})
    let told = 0
    const stop = marks.subscribe(() => {
      told += 1
    })
    expect([marks.isTracing, marks.placeOnPath('e')]).toEqual([false, undefined])
    focus.trace('print-ATL-X01')
    expect(told).toBe(1)
    expect(path.map(id => marks.placeOnPath(id))).toEqual([0, 1, 1])
    expect([marks.isTracing, marks.isTarget('db'), marks.isTarget('web')]).toEqual([true, true, false])
    server.says(answer([], { id: 'a2' }))
    await store.refresh()
    expect([marks.isTracing, marks.of('db')]).toEqual([false, undefined])
    stop()
    store.stop()
  })
})

describe('words', () => {
  const state = {
    kind: 'ready',
    analysis: answer([], { created_at: '2026-01-01T00:00:00Z' }),
    scores: [],
    isWorking: false,
    trouble: null,
    checkedAt: Date.parse('2026-01-01T00:10:00Z')
  } as const
  const now = Date.parse('2026-01-01T00:15:00Z')

  it('say how fresh what is shown is', () => {
    const saved = { kind: 'saved' } as const
    expect(freshness(state, saved, now)).toEqual({ words: 'Looked at 15 minutes ago.', tone: 'muted' })
    expect(freshness({ ...state, isWorking: true }, saved, now).words).toMatch(/Looking/)
    expect(freshness(state, { kind: 'offline', unsaved: 2 }, now)).toEqual({
      words: 'Offline. These findings are as of 5 minutes ago.',
      tone: 'warn'
    })
    expect(freshness({ ...state, trouble: 'No answer.' }, saved, now).words).toMatch(
      /^No answer\. These findings are as of/
    )
    const stale = { ...state, analysis: answer([], { is_stale: true }) }
    expect(freshness(stale, saved, now).words).toMatch(/changed since/)
  })

  it('say how sure a rule is, what it costs, and how the score moves', () => {
    expect([1, 0.7, 0.6, 0.4].map(each => confidenceWords(each).word)).toEqual([
      'Certain',
      'Likely',
      'Possible',
      'Unsure'
    ])
    expect([3.456, 0.01, 0].map(pointsText)).toEqual(['3.5', '<0.1', '0'])
    const point = (security_score: number) => ({ id: '', security_score, grade: '', created_at: '' })
    expect(trendWords([point(5)])).toBeNull()
    expect(trendWords([point(5), point(6.2)])?.words).toBe('up 1.2')
    expect(trendWords([point(5), point(5)])?.words).toBe('as before')
  })

  it('link to the web only', () => {
    expect(safeLink('https://example.org')).toBe('https://example.org')
    expect(safeLink('javascript:alert(1)')).toBeNull()
    expect(safeLink(null)).toBeNull()
  })
})
