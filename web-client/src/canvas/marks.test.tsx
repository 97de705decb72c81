// @vitest-environment happy-dom
import { act, cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { Profiler } from 'react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Mark, type Marks, MarksContext } from './marks'
import { NodeMark } from './marks-view'

afterEach(cleanup)

function fakeMarks() {
  const listeners = new Set<() => void>()
  const marks = new Map<string, Mark>()
  const path = new Map<string, number>()
  const open = vi.fn()
  const of: Marks = {
    subscribe: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    of: id => marks.get(id),
    placeOnPath: id => path.get(id),
    isTarget: id => id === 'b',
    get isTracing() {
      return 0 < path.size
    },
    open
  }
  const set = (change: () => void) =>
    act(() => {
      change()
      for (const listener of [...listeners]) listener()
    })
  return { of, marks, path, open, set }
}

function drawn(fake: ReturnType<typeof fakeMarks>) {
  const times = new Map<string, number>()
  render(
    <MarksContext value={fake.of}>
      {['a', 'b', 'c'].map(id => (
        <Profiler key={id} id={id} onRender={each => times.set(each, (times.get(each) ?? 0) + 1)}>
          <NodeMark id={id} />
        </Profiler>
      ))}
    </MarksContext>
  )
  times.clear()
  return times
}

describe('marks on nodes', () => {
  it('are drawn where something changed, and nowhere else', () => {
    const fake = fakeMarks()
    const times = drawn(fake)
    fake.set(() => fake.marks.set('a', { worst: 'high', count: 2 }))
    expect([...times]).toEqual([['a', 1]])
    fake.set(() => {})
    expect([...times]).toEqual([['a', 1]])
    const badge = screen.getByTestId('finding-mark')
    expect(badge.dataset).toMatchObject({ element: 'a', severity: 'high', count: '2' })
    expect(badge.textContent).toBe('H2 findings, the worst high: show')
    fake.set(() => fake.marks.clear())
    expect(screen.queryByTestId('finding-mark')).toBeNull()
  })

  it('lead to what they mean', async () => {
    const fake = fakeMarks()
    drawn(fake)
    fake.set(() => fake.marks.set('b', { worst: 'low', count: 1 }))
    await userEvent.click(screen.getByRole('button', { name: '1 finding, low: show' }))
    expect(fake.open).toHaveBeenCalledWith('b')
  })

  it('say where a path begins and ends', () => {
    const fake = fakeMarks()
    drawn(fake)
    fake.set(() => {
      fake.path.set('a', 0).set('b', 1)
    })
    expect(screen.getAllByTestId('path-stop').map(each => [each.dataset.element, each.textContent])).toEqual([
      ['a', 'Attack begins'],
      ['b', 'Target']
    ])
  })
})
