// @vitest-environment happy-dom
import { cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, expect, it, vi } from 'vitest'
import type { SavingState } from '../../sync/types'
import { currentToasts, dismissToast } from '../../ui/toasts'
import { SavingBadge } from './SavingBadge'

afterEach(() => {
  cleanup()
  for (const { id } of currentToasts()) dismissToast(id)
})

const STATES: readonly [SavingState, string, number][] = [
  [{ kind: 'loading' }, 'Loading', 0],
  [{ kind: 'saved' }, 'Saved', 0],
  [{ kind: 'saving', unsaved: 2 }, 'Saving', 2],
  [{ kind: 'offline', unsaved: 3 }, 'Offline (3)', 3],
  [{ kind: 'trouble', unsaved: 1 }, 'Server storage in trouble (edits kept here)', 1],
  [{ kind: 'read-only', reason: 'You can view this design.' }, 'Read-only', 0],
  [{ kind: 'removed', why: 'deleted', unsaved: 1 }, 'Removed', 1],
  [{ kind: 'signed-out', unsaved: 4 }, 'Signed out', 4],
  [{ kind: 'broken', reason: 'malformed', unsaved: 1 }, 'Cannot save', 1]
]

it.each(STATES)('%o is shown as “%s”', (saving, text, unsaved) => {
  render(<SavingBadge saving={saving} onRetry={() => {}} />)
  const badge = screen.getByTestId('saving')
  expect([badge.textContent, badge.dataset.kind, badge.dataset.unsaved]).toEqual([text, saving.kind, String(unsaved)])
  expect(badge.querySelector('svg')).not.toBeNull()
})

it('says on a press what it means for one’s work, and offers to try again while offline', async () => {
  const retry = vi.fn()
  render(<SavingBadge saving={{ kind: 'offline', unsaved: 1 }} onRetry={retry} />)
  await userEvent.click(screen.getByTestId('saving'))
  const [told] = currentToasts()
  expect(told?.message).toContain('1 edit of this device is kept here.')
  told?.action?.run()
  expect(retry).toHaveBeenCalledOnce()
})

it('tells screen readers of trouble, not of every stroke', () => {
  const { rerender } = render(<SavingBadge saving={{ kind: 'saving', unsaved: 1 }} onRetry={() => {}} />)
  expect(screen.getByRole('status').textContent).toBe('')
  rerender(<SavingBadge saving={{ kind: 'offline', unsaved: 1 }} onRetry={() => {}} />)
  expect(screen.getByRole('status').textContent).toContain('The server cannot be reached.')
})
