// @vitest-environment happy-dom
import { act, cleanup, render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Unreachable } from '../../sync/problems'
import { ADA, fakeApi, fakeLocal, listed, localDesign, With } from '../testing/fakes'
import { DesignsPage } from './DesignsPage'
import { DesignList } from './design-list'
import { ImportReportView } from './ImportReportView'
import { cacheDesigns, cachedDesigns } from './list-cache'

beforeEach(() => localStorage.clear())
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

describe('the list', () => {
  it('shows page after page, and no design twice', async () => {
    const listDesigns = vi.fn(async ({ cursor }: { cursor?: string }) =>
      cursor === undefined
        ? { items: [listed('a'), listed('b')], next_cursor: 'c1' }
        : { items: [listed('b'), listed('c')], next_cursor: null }
    )
    const list = new DesignList(ADA.id, { listDesigns }, fakeLocal())
    await list.load()
    expect(list.state.more).toBe(true)
    await list.more()
    expect(list.state.rows.map(row => row.id)).toEqual(['a', 'b', 'c'])
    expect(list.state.more).toBe(false)
  })

  it('without the server is what was seen last, and what this device has', async () => {
    cacheDesigns(ADA.id, [listed('a'), listed('b')])
    const local = fakeLocal([localDesign('b', { unsaved: 2 }), localDesign('z')])
    const list = new DesignList(ADA.id, { listDesigns: () => Promise.reject(new Unreachable()) }, local)
    await list.load()
    list.stop()
    expect(list.state).toMatchObject({ offline: true, problem: null })
    // What can be opened comes first.
    expect(list.state.rows.map(row => [row.id, row.local?.unsaved ?? null])).toEqual([
      ['b', 2],
      ['z', 0],
      ['a', null]
    ])
  })

  it('asks a silent server less and less often, and at once when somebody comes back to it', async () => {
    vi.useFakeTimers()
    const listDesigns = vi.fn(() => Promise.reject(new Unreachable()))
    const view = render(
      <With services={{ api: fakeApi({ listDesigns }) }}>
        <DesignsPage person={ADA} />
      </With>
    )
    const asked = async (within: number) => {
      listDesigns.mockClear()
      await act(() => vi.advanceTimersByTimeAsync(within))
      return listDesigns.mock.calls.length
    }
    expect(await asked(1_000)).toBe(1)
    // After 5, 10, 20, 40 seconds, and then once a minute.
    expect(await asked(76_000)).toBe(4)
    expect(await asked(600_000)).toBe(10)
    for (const name of ['focus', 'online']) {
      window.dispatchEvent(new Event(name))
      expect(await asked(1_000)).toBe(1)
    }
    view.unmount()
    expect(await asked(600_000)).toBe(0)
  })

  it('never hides unsent work of a design that the server does not list any more', async () => {
    const local = fakeLocal([localDesign('gone', { unsaved: 1 }), localDesign('saved')])
    const list = new DesignList(ADA.id, { listDesigns: async () => ({ items: [], next_cursor: null }) }, local)
    await list.load()
    expect(list.state.rows.map(row => [row.id, row.orphan])).toEqual([['gone', true]])
  })

  it('is not taken from a cache that somebody wrote nonsense into', () => {
    localStorage.setItem(`atlas.designs.${ADA.id}`, '[{"id":1},{"id":"a","name":"A","role":"king","updated_at":""},7]')
    expect(cachedDesigns(ADA.id)).toEqual([])
  })
})

describe('the page', () => {
  it('deletes only after asking, by name', async () => {
    const deleteDesign = vi.fn(async () => {})
    const api = fakeApi({
      listDesigns: async () => ({ items: [listed('a', { name: 'Shop' })], next_cursor: null }),
      deleteDesign
    })
    render(
      <With services={{ api }}>
        <DesignsPage person={ADA} />
      </With>
    )
    await userEvent.click(await screen.findByRole('button', { name: 'More about Shop' }))
    await userEvent.click(screen.getByRole('menuitem', { name: 'Delete' }))
    expect(deleteDesign).not.toHaveBeenCalled()
    const dialog = screen.getByRole('dialog', { name: 'Delete “Shop”?' })
    await userEvent.click(within(dialog).getByRole('button', { name: 'Delete' }))
    expect(deleteDesign).toHaveBeenCalledWith('a')
  })

  it('imports a file and shows what became of it', async () => {
    const report = {
      format: 'kohatlas',
      kept: { nodes: 2, edges: 1 },
      changed: [],
      guessed: [],
      dropped: [],
      warnings: []
    }
    const importDesign = vi.fn(async () => ({ id: 'new', report }))
    const api = fakeApi({ listDesigns: async () => ({ items: [], next_cursor: null }), importDesign })
    render(
      <With services={{ api }}>
        <DesignsPage person={ADA} />
      </With>
    )
    await userEvent.upload(
      await screen.findByTestId('import-file'),
      new File(['{}'], 'shop.json', { type: 'application/json' })
    )
    const dialog = await screen.findByRole('dialog', { name: 'Imported' })
    expect(dialog.textContent).toContain('Kept: 2 nodes and 1 edge.')
    expect(within(dialog).getByRole('button', { name: 'Open design' })).toBeTruthy()
  })
})

it('an import’s report shows everything that is not as it was in the file', () => {
  render(
    <ImportReportView
      report={{
        format: 'kohatlas-legacy',
        kept: { nodes: 1, edges: 0 },
        changed: [{ path: 'nodes[0].id', rule: 'id-clash', from: 'a', to: 'a-2' }],
        guessed: [{ path: 'nodes[0].data.type', as: 'database', confidence: 0.7 }],
        dropped: [{ path: 'nodes[0].measured', reason: 'is measured anew' }],
        warnings: [{ code: 'hidden-edge', element: 'e1', message: 'leads to a node that does not exist' }]
      }}
    />
  )
  for (const told of [
    'nodes[0].measured',
    'is measured anew',
    'taken as “database” (70 % sure)',
    '“a” → “a-2” (id clash)',
    'leads to a node that does not exist'
  ]) {
    expect(screen.getByText(told)).toBeTruthy()
  }
})
