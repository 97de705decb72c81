import { describe, expect, it } from 'vitest'
import { readPresence } from '../sync/presence-state'
import { createReporter, type PresenceSink } from './reporter'

function reporter() {
  const sent: Parameters<PresenceSink['set']>[0][] = []
  return { sent, report: createReporter({ set: partial => sent.push(partial) }) }
}

describe('what is told to the others', () => {
  it('is told once, and again only when it changed', () => {
    const { sent, report } = reporter()
    report.pointer({ x: 1.04, y: 2 })
    report.pointer({ x: 1.01, y: 2 })
    report.selection({ nodes: ['a'], edges: ['e'] })
    report.selection({ nodes: ['a'], edges: ['e'] })
    report.drag({ ids: ['a'], dx: 3, dy: 4 })
    report.drag({ ids: ['a'], dx: 3, dy: 4 })
    report.drag(null)
    report.drag(null)
    expect(sent).toEqual([
      { cursor: { x: 1, y: 2 } },
      { selection: ['a', 'e'] },
      { drag: { ids: ['a'], dx: 3, dy: 4 } },
      { drag: null }
    ])
  })

  it('can always be read by the others, whatever was reported', () => {
    const { sent, report } = reporter()
    report.pointer({ x: 5, y: 5 })
    report.pointer({ x: Number.NaN, y: 5 })
    report.selection({ nodes: ['', 'x'.repeat(129), ...Array.from({ length: 500 }, (_, at) => `n${at}`)], edges: [] })
    report.drag({ ids: ['n1'], dx: Number.POSITIVE_INFINITY, dy: 0 })
    expect(sent.at(1)).toEqual({ cursor: null })
    for (const partial of sent) {
      const user = { id: 'u', name: 'U', color: 1 }
      expect(readPresence({ user, cursor: null, selection: [], drag: null, ...partial })).toMatchObject(partial)
    }
    expect(sent.at(2)?.selection).toHaveLength(100)
  })

  it('is taken back when this person leaves', () => {
    const { sent, report } = reporter()
    report.pointer({ x: 5, y: 5 })
    report.selection({ nodes: ['a'], edges: [] })
    report.leave()
    expect(sent.slice(2)).toEqual([{ cursor: null }, { selection: [] }])
  })
})
