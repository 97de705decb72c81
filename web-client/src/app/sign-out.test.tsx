// @vitest-environment happy-dom
import { cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, expect, it, vi } from 'vitest'
import type { LocalDesign } from '../sync/types'
import { closeAllSessions, enterSession, leaveSession } from './open-sessions'
import { FakeSession } from './testing/fake-session'
import { ADA, fakeAccount, fakeLocal, localDesign, With } from './testing/fakes'
import { UserMenu } from './UserMenu'

afterEach(async () => {
  cleanup()
  await closeAllSessions()
})

async function askToSignOut(designs: LocalDesign[]) {
  const { account } = fakeAccount()
  const local = fakeLocal(designs)
  render(
    <With services={{ account, local }}>
      <UserMenu person={ADA} />
    </With>
  )
  await userEvent.click(screen.getByTestId('user-menu'))
  await userEvent.click(screen.getByRole('menuitem', { name: 'Sign out' }))
  return { account, local }
}

it('signing out with everything saved asks nothing, and removes the copies', async () => {
  const { account, local } = await askToSignOut([localDesign('d1'), localDesign('d2')])
  await vi.waitFor(() => expect(account.logout).toHaveBeenCalledOnce())
  expect(local.forgotten).toEqual(['d1', 'd2'])
})

it('signing out with unsent work names it, and keeps it', async () => {
  const shop = localDesign('d1', { name: 'Shop', unsaved: 3 })
  const bank = localDesign('d2', { name: 'Bank', recoveries: 1 })
  const { account, local } = await askToSignOut([shop, bank, localDesign('d3')])
  const dialog = await screen.findByRole('dialog')
  expect(dialog.textContent).toContain('Shop: 3 unsent edits')
  expect(dialog.textContent).toContain('Bank: 1 recovery file')
  expect(account.logout).not.toHaveBeenCalled()
  await userEvent.click(screen.getByRole('button', { name: 'Keep and sign out' }))
  await vi.waitFor(() => expect(account.logout).toHaveBeenCalledOnce())
  expect(local.forgotten).toEqual(['d3'])
})

it('signing out tells of a design whose storage failed', async () => {
  const { account } = await askToSignOut([localDesign('d1', { name: 'Lost', isUnreadable: true })])
  expect((await screen.findByRole('dialog')).textContent).toContain('Lost: its storage on this device failed')
  expect(account.logout).not.toHaveBeenCalled()
})

it('signing out can be thought over', async () => {
  const { account, local } = await askToSignOut([localDesign('d1', { unsaved: 1 })])
  await userEvent.click(await screen.findByRole('button', { name: 'Cancel' }))
  expect(account.logout).not.toHaveBeenCalled()
  expect(local.forgotten).toEqual([])
})

it('signing out never silently loses what is in this window only', async () => {
  const session = new FakeSession('d1', { saving: { kind: 'offline', unsaved: 2 }, localTrouble: 'The disk is full.' })
  leaveSession(enterSession(ADA.id, 'd1', () => session))
  const { account } = await askToSignOut([localDesign('d1', { unsaved: 1 }), localDesign('d2', { unsaved: 3 })])
  const dialog = await screen.findByRole('dialog', { name: 'Some of your work is in this window only' })
  expect([...dialog.querySelectorAll('li')].map(each => each.textContent)).toEqual([
    'Design d1: 2 unsent edits',
    'Design d2: 3 unsent edits'
  ])
  await userEvent.click(screen.getByRole('button', { name: 'Cancel' }))
  expect([session.close.mock.calls.length, screen.queryByRole('dialog')]).toEqual([0, null])

  await userEvent.click(screen.getByTestId('user-menu'))
  await userEvent.click(screen.getByRole('menuitem', { name: 'Sign out' }))
  await userEvent.click(await screen.findByRole('button', { name: 'Lose them and sign out' }))
  await vi.waitFor(() => expect(account.logout).toHaveBeenCalledOnce())
  expect(session.close).toHaveBeenCalledOnce()
})
