// @vitest-environment happy-dom
import { cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfirmDialog } from './Dialog'
import { TextField } from './fields'
import { IconButton } from './IconButton'
import { Menu, MenuChoice, MenuItem } from './Menu'
import { Toasts } from './Toasts'
import { chooseTheme, theme, themeChoice } from './theme'
import { currentToasts, dismissToast, toast } from './toasts'

afterEach(() => {
  cleanup()
  for (const { id } of currentToasts()) dismissToast(id)
  localStorage.clear()
})

describe('a dialog that asks', () => {
  function Asking({ act }: { act: () => Promise<void> }) {
    const [open, setOpen] = useState(false)
    return (
      <>
        <button type="button" onClick={() => setOpen(true)}>
          Ask
        </button>
        <ConfirmDialog
          open={open}
          title="Delete it?"
          confirm="Delete"
          onConfirm={() => act().then(() => setOpen(false))}
          onClose={() => setOpen(false)}
        >
          It goes for everybody.
        </ConfirmDialog>
      </>
    )
  }

  it('stays open and says why when what it should do failed', async () => {
    render(<Asking act={() => Promise.reject(new Error('The server did not answer.'))} />)
    await userEvent.click(screen.getByRole('button', { name: 'Ask' }))
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }))
    expect((await screen.findByRole('alert')).textContent).toBe('The server did not answer.')
    expect(screen.getByRole('dialog', { name: 'Delete it?' })).toBeTruthy()
  })

  it('closes with Escape, does nothing, and gives the focus back', async () => {
    const act = vi.fn(() => Promise.resolve())
    render(<Asking act={act} />)
    await userEvent.click(screen.getByRole('button', { name: 'Ask' }))
    await userEvent.keyboard('{Escape}')
    expect(screen.queryByRole('dialog')).toBeNull()
    expect(act).not.toHaveBeenCalled()
    await vi.waitFor(() => expect(document.activeElement).toBe(screen.getByRole('button', { name: 'Ask' })))
  })
})

it('a dialog that a menu opened gives the focus back to the button of the menu', async () => {
  function FromMenu() {
    const [open, setOpen] = useState(false)
    return (
      <>
        <Menu trigger={<IconButton name="More" icon="…" />}>
          <MenuItem onSelect={() => setOpen(true)}>Rename</MenuItem>
        </Menu>
        <ConfirmDialog open={open} title="Rename" confirm="Rename" onConfirm={() => {}} onClose={() => setOpen(false)}>
          How?
        </ConfirmDialog>
      </>
    )
  }
  render(<FromMenu />)
  await userEvent.click(screen.getByRole('button', { name: 'More' }))
  await userEvent.click(screen.getByRole('menuitem', { name: 'Rename' }))
  await screen.findByRole('dialog')
  await userEvent.keyboard('{Escape}')
  await vi.waitFor(() => expect(document.activeElement).toBe(screen.getByRole('button', { name: 'More' })))
})

it('a field ties its label and its error to the input', () => {
  render(<TextField label="Email" error="This is no address." hint="Only you see it." />)
  const field = screen.getByRole('textbox', { name: 'Email' })
  expect(field.getAttribute('aria-invalid')).toBe('true')
  const described = (field.getAttribute('aria-describedby') ?? '').split(' ').map(id => document.getElementById(id))
  expect(described.map(each => each?.textContent)).toEqual(['This is no address.', 'Only you see it.'])
})

it('a menu opens from an icon button, and its items act', async () => {
  const renamed = vi.fn()
  const chosen = vi.fn()
  render(
    <Menu trigger={<IconButton name="More about Shop" icon="…" />}>
      <MenuItem onSelect={renamed}>Rename</MenuItem>
      <MenuChoice
        value="a"
        onChange={chosen}
        choices={[
          { value: 'a', label: 'A' },
          { value: 'b', label: 'B' }
        ]}
      />
    </Menu>
  )
  await userEvent.click(screen.getByRole('button', { name: 'More about Shop' }))
  expect(screen.getByRole('menuitemradio', { name: 'A' }).getAttribute('aria-checked')).toBe('true')
  await userEvent.click(screen.getByRole('menuitem', { name: 'Rename' }))
  expect(renamed).toHaveBeenCalledOnce()
  await userEvent.click(screen.getByRole('button', { name: 'More about Shop' }))
  await userEvent.click(screen.getByRole('menuitemradio', { name: 'B' }))
  expect(chosen).toHaveBeenCalledWith('b')
})

describe('toasts', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('go by themselves, unless they offer something to do', () => {
    toast('Copied')
    toast('A new version is ready.', { action: { label: 'Reload', run: () => {} } })
    vi.advanceTimersByTime(60_000)
    expect(currentToasts().map(each => each.message)).toEqual(['A new version is ready.'])
  })

  it('with the same id replace each other', () => {
    toast('1 edit refused', { id: 'refused' })
    toast('2 edits refused', { id: 'refused' })
    expect(currentToasts().map(each => each.message)).toEqual(['2 edits refused'])
  })

  it('are told to screen readers', () => {
    toast('Copied')
    render(<Toasts />)
    expect(screen.getByText('Copied').closest('[aria-live="polite"]')).toBeTruthy()
  })
})

it('the theme is remembered, and set on the page', () => {
  chooseTheme('dark')
  expect([theme(), themeChoice(), document.documentElement.dataset.theme]).toEqual(['dark', 'dark', 'dark'])
  chooseTheme('system')
  expect(themeChoice()).toBe('system')
})
