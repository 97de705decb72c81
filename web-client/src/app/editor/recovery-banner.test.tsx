// @vitest-environment happy-dom
import { act, cleanup, render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RecoveryFile } from '../../sync/types'
import { FakeSession } from '../testing/fake-session'
import { download } from './download'
import { RecoveryBanner } from './RecoveryBanner'
import { recoveryDocument } from './recovery-document'

vi.mock('./download', async original => ({ ...(await original<object>()), download: vi.fn() }))

function file(id: string, at: number, nodes: object[] = []): RecoveryFile {
  const json = JSON.stringify({ name: `Recovered ${id}`, nodes, edges: [], recovery: { reason: 'refused' } })
  return { id, design: 'd', at, reason: 'refused', json, update: new Uint8Array() }
}

let session: FakeSession

function show(...files: RecoveryFile[]) {
  session = new FakeSession('d')
  session.files = files
  const banner = () => <RecoveryBanner session={session} name="Shop" recoveries={session.files.length} />
  const { rerender } = render(banner())
  return {
    comes: (...more: RecoveryFile[]) => {
      session.files = [...session.files, ...more]
      act(() => rerender(banner()))
    }
  }
}

const press = (name: string) => userEvent.click(screen.getByRole('button', { name }))
const left = () => session.files.map(each => each.id)

async function confirmDiscard(): Promise<string> {
  const dialog = await screen.findByRole('dialog')
  const told = dialog.textContent ?? ''
  await userEvent.click(within(dialog).getByRole('button', { name: 'Discard' }))
  return told
}

beforeEach(() => void vi.mocked(download).mockClear())
afterEach(cleanup)

describe('discarding', () => {
  it('takes what was downloaded, and not what came after', async () => {
    const { comes } = show(file('a', 1))
    await press('Download what could not be kept')
    comes(file('b', 2))
    await press('Discard')
    const told = await confirmDiscard()
    expect(told).toContain(
      'The recovery file that you downloaded is deleted from this device. 1 file that came later stays.'
    )
    expect(left()).toEqual(['b'])
    // What was never downloaded is asked about in other words.
    await press('Discard')
    expect(await confirmDiscard()).toContain('Download first')
    expect(left()).toEqual([])
  })

  it('takes what the question was about, and not what came while it stood', async () => {
    const { comes } = show(file('a', 1), file('b', 2))
    await press('Discard')
    expect((await screen.findByRole('dialog')).textContent).toContain('All 2 recovery files are')
    comes(file('c', 3))
    await confirmDiscard()
    expect(left()).toEqual(['c'])
  })
})

describe('downloading', () => {
  it('hands over one file, also of several', async () => {
    show(file('b', 2_000), file('a', 1_000))
    await press('Download what could not be kept')
    expect(vi.mocked(download)).toHaveBeenCalledOnce()
    const [text, name] = vi.mocked(download).mock.calls[0] ?? []
    expect(name).toBe('Shop-recovery-1970-01-01T00-00-02.json')
    expect(JSON.parse(text ?? '').recovery.files.map((each: { name: string }) => each.name)).toEqual([
      'Recovered a',
      'Recovered b'
    ])
  })

  it('of one is that one as it is', () => {
    const only = file('a', 1, [{ id: 'n' }])
    expect(recoveryDocument([only])).toBe(only.json)
  })

  it('of several is a design with the newest of each element, and has every file whole', () => {
    const old = file('a', 1, [{ id: 'n', data: { label: 'old' } }, { id: 'm' }])
    const recent = file('b', 2, [{ id: 'n', data: { label: 'new' } }])
    const document = JSON.parse(recoveryDocument([old, recent]))
    expect(document).toMatchObject({ name: 'Recovered b', edges: [] })
    expect(document.nodes).toEqual([{ id: 'n', data: { label: 'new' } }, { id: 'm' }])
    expect(document.recovery.files).toEqual([JSON.parse(old.json), JSON.parse(recent.json)])
  })
})
