// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { KIND_MIME, KINDS } from '../design/kinds'
import { DesignName } from './DesignName'
import { Palette } from './Palette'
import { SearchBox } from './SearchBox'
import { drawing, FakeEditor, node } from './testing/fake-editor'

afterEach(cleanup)

describe('the palette', () => {
  it('offers every kind, and adds by Enter and double click but not by one click', async () => {
    const editor = new FakeEditor()
    render(<Palette editor={editor} />)
    for (const { id } of KINDS) expect(screen.getByTestId(`palette-${id}`)).toBeTruthy()
    const item = screen.getByTestId('palette-cache')
    await userEvent.click(item)
    expect(editor.asked).toEqual([])
    await userEvent.dblClick(item)
    act(() => item.focus())
    await userEvent.keyboard('{Enter}')
    expect(editor.acts('addNode')).toEqual([
      ['cache', { x: 500, y: 300 }],
      // Not upon the first one.
      ['cache', { x: 500, y: 396 }]
    ])
  })

  it('gives a drag the kind', () => {
    render(<Palette editor={new FakeEditor()} />)
    const given: Record<string, string> = {}
    const dataTransfer = { setData: (type: string, data: string) => (given[type] = data), effectAllowed: '' }
    fireEvent.dragStart(screen.getByTestId('palette-waf'), { dataTransfer })
    expect(given).toEqual({ [KIND_MIME]: 'waf' })
  })

  it('is one stop of the Tab key, with arrows inside', async () => {
    render(<Palette editor={new FakeEditor()} />)
    const stops = KINDS.filter(({ id }) => screen.getByTestId(`palette-${id}`).tabIndex === 0)
    expect(stops.map(({ id }) => id)).toEqual(['vpc-vnet'])
    act(() => screen.getByTestId('palette-vpc-vnet').focus())
    await userEvent.keyboard('{ArrowDown}')
    expect(document.activeElement).toBe(screen.getByTestId('palette-subnet'))
    await userEvent.keyboard('{End}')
    expect(document.activeElement).toBe(screen.getByTestId('palette-monitoring'))
  })

  it('searches, and Enter in the field adds the first that was found', async () => {
    const editor = new FakeEditor()
    render(<Palette editor={editor} />)
    await userEvent.type(screen.getByLabelText('Search components'), 'kafka{Enter}')
    expect(screen.queryByTestId('palette-cache')).toBeNull()
    expect(editor.acts('addNode')).toEqual([['message-queue', { x: 500, y: 300 }]])
    await userEvent.type(screen.getByLabelText('Search components'), ' nonsense')
    expect(screen.getByText('No component is called that.')).toBeTruthy()
  })

  it('adds nothing for somebody who may only look', async () => {
    const editor = new FakeEditor()
    editor.set({ canEdit: false })
    render(<Palette editor={editor} />)
    await userEvent.dblClick(screen.getByTestId('palette-cache'))
    expect(editor.asked).toEqual([])
    expect(screen.getByTestId('palette-cache').getAttribute('draggable')).toBe('false')
  })
})

describe('the search box', () => {
  it('counts, goes up and down, reveals, and closes', async () => {
    const editor = new FakeEditor(drawing([node('a', { label: 'Cache one' }), node('b', { label: 'Cache two' })]))
    const close = vi.fn()
    render(<SearchBox editor={editor} onClose={close} />)
    const field = screen.getByRole('combobox')
    expect(document.activeElement).toBe(field)
    await userEvent.type(field, 'cache')
    expect(screen.getByRole('status').textContent).toBe('1 of 2')
    await userEvent.keyboard('{ArrowDown}{Enter}{ArrowDown}{Enter}')
    expect(editor.acts('reveal')).toEqual([['b'], ['a']])
    const active = field.getAttribute('aria-activedescendant')
    expect(document.getElementById(active ?? '')?.textContent).toContain('Cache one')
    await userEvent.type(field, ' nothing')
    expect(screen.getByRole('status').textContent).toBe('Nothing found')
    await userEvent.keyboard('{Enter}{Escape}')
    expect(close).toHaveBeenCalledOnce()
  })
})

describe('the name of the design', () => {
  it('is renamed where it stands', async () => {
    const editor = new FakeEditor(drawing([], [], { name: 'Shop' }))
    render(<DesignName editor={editor} renaming={true} onRenaming={() => {}} />)
    const field = screen.getByLabelText<HTMLInputElement>('Design name')
    expect(document.activeElement).toBe(field)
    await userEvent.clear(field)
    expect(screen.getByRole('alert').textContent).toBe('A design needs a name.')
    await userEvent.type(field, 'Market{Enter}')
    expect(editor.acts('patchMeta').at(-1)).toEqual([{ name: 'Market' }])
    expect(document.activeElement).not.toBe(field)
  })

  it('can be read and not changed by a viewer', () => {
    const editor = new FakeEditor(drawing([], [], { name: 'Shop' }))
    editor.set({ canEdit: false })
    render(<DesignName editor={editor} renaming={false} onRenaming={() => {}} />)
    expect(screen.getByLabelText<HTMLInputElement>('Design name').readOnly).toBe(true)
  })
})
