// @vitest-environment happy-dom
import { cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { KINDS } from '../design/kinds'
import { drawing, edge, FakeEditor, node } from '../panels/testing/fake-editor'
import { CommandButton } from './CommandButton'
import { CommandPalette } from './CommandPalette'
import { Commands } from './context'
import { fit } from './match'
import { COMMANDS, commandById, commandsFor, perform } from './registry'
import { ShortcutSheet } from './ShortcutSheet'
import { conflicts } from './shortcuts'
import { fakeContext } from './testing/fake-context'
import { titleOf } from './types'

const two = () => drawing([node('a'), node('b')], [edge('e', 'a', 'b')])
const onA = { nodes: ['a'], edges: [] }

beforeEach(() => localStorage.clear())
afterEach(cleanup)

function enters(awareness: Awareness, userId: string, name: string, cursor: { x: number; y: number } | null) {
  const theirs = new Awareness(new Y.Doc())
  theirs.setLocalState({ user: { id: userId, name, color: 1 }, cursor, selection: [], drag: null })
  applyAwarenessUpdate(awareness, encodeAwarenessUpdate(theirs, [theirs.clientID]), 'network')
  theirs.destroy()
}

describe('the registry', () => {
  it('has no two commands with one id, and no two with one shortcut', () => {
    expect(new Set(COMMANDS.map(({ id }) => id)).size).toBe(COMMANDS.length)
    expect(conflicts(COMMANDS)).toEqual([])
  })

  it('would notice a conflict', () => {
    const undo = commandById('undo')
    expect(conflicts([undo, { ...undo, id: 'other', shortcuts: ['Mod+Z'] }])).toEqual(['Mod+Z: undo, Mod+Z: other'])
  })

  it('adds each of the kinds, in the middle of the view or where the menu was opened', () => {
    const { context, editor } = fakeContext()
    for (const { id } of KINDS) expect(COMMANDS.some(command => command.id === `add-${id}`)).toBe(true)
    const add = COMMANDS.find(({ id }) => id === 'add-database')
    if (add === undefined) throw new Error('unreachable')
    perform(add, context)
    perform(add, context)
    perform(add, { ...context, at: { x: 7, y: 8 } })
    expect(editor.acts('addNode')).toEqual([
      ['database', { x: 500, y: 300 }],
      // Not upon the first one.
      ['database', { x: 500, y: 396 }],
      ['database', { x: 7, y: 8 }]
    ])
  })

  it('lets a viewer look and copy, and change nothing', () => {
    const { context, editor } = fakeContext(new FakeEditor(two(), onA))
    editor.set({ canEdit: false, canPaste: true, canUndo: true, canRedo: true })
    for (const command of COMMANDS) perform(command, context)
    const asked = new Set(editor.asked.map(([act]) => act))
    expect([...asked].sort()).toEqual(['copy', 'select', 'zoomBy', 'zoomToFit'])
  })

  it('cuts only what was copied', () => {
    const { context, editor } = fakeContext(new FakeEditor(two(), onA))
    editor.copy = () => false
    perform(commandById('cut'), context)
    expect(editor.acts('remove')).toEqual([])
  })

  it('zooms to what is selected, edges by their ends', () => {
    const { context, done } = fakeContext(new FakeEditor(two(), { nodes: ['a'], edges: ['e'] }))
    perform(commandById('zoom-to-selection'), context)
    expect(done).toEqual([['fit', ['a', 'b']]])
  })

  it('jumps to where somebody points, and says so when they point nowhere', () => {
    const { context, awareness, done } = fakeContext()
    enters(awareness, 'ada', 'Ada', { x: 3, y: 4 })
    enters(awareness, 'bob', 'Bob', null)
    const jump = (id: string) => commandsFor(context).find(command => command.id === `jump-to-${id}`)
    for (const id of ['ada', 'bob']) jump(id)?.perform(context)
    expect(done).toEqual([
      ['centreOn', { x: 3, y: 4 }],
      ['say', 'Bob is not pointing at the canvas right now.']
    ])
  })
})

describe('what was typed and a command', () => {
  it('fit by the beginnings of words, the title before the further words', () => {
    expect(fit('add', 'Add Database', ['sql'])).toBe(1)
    expect(fit('data', 'Add Database', ['sql'])).toBe(0.8)
    expect(fit('sql add', 'Add Database', ['sql'])).toBe(0.4)
    expect(fit('add', 'Duplicate', ['clone'])).toBe(0)
    expect(fit('idsips', 'Add IDS / IPS', ['ids-ips'])).toBe(0)
    expect(fit('ips', 'Add IDS / IPS', ['ids-ips'])).toBe(0.8)
  })
})

describe('the command palette', () => {
  it('reaches every command, people who are here included', async () => {
    const { context, awareness, ui } = fakeContext()
    enters(awareness, 'ada', 'Ada', null)
    ui.set({ dialog: 'commands' })
    render(
      <Commands {...context}>
        <CommandPalette />
      </Commands>
    )
    const shown = screen.getAllByRole('option').map(option => option.textContent)
    for (const command of commandsFor(context)) {
      if (command.id === 'command-palette') continue
      const title = titleOf(command, context)
      expect(shown.some(words => words?.startsWith(title))).toBe(true)
    }
  })

  it('performs what was typed and closes', async () => {
    const { context, editor, ui } = fakeContext()
    ui.set({ dialog: 'commands' })
    render(
      <Commands {...context}>
        <CommandPalette />
      </Commands>
    )
    await userEvent.type(screen.getByRole('combobox'), 'postgres{Enter}')
    expect(editor.acts('addNode')).toEqual([['database', { x: 500, y: 300 }]])
    expect(ui.state.dialog).toBeNull()
  })
})

describe('buttons and sheet', () => {
  it('a button is its command: name, state and act', async () => {
    const { context, editor, ui } = fakeContext()
    render(
      <Commands {...context}>
        <CommandButton id="undo" />
        <CommandButton id="toggle-others" />
      </Commands>
    )
    const undo = screen.getByRole<HTMLButtonElement>('button', { name: 'Undo' })
    expect(undo.disabled).toBe(true)
    editor.set({ canUndo: true })
    await expect.poll(() => undo.disabled).toBe(false)
    await userEvent.click(undo)
    expect(editor.acts('undo')).toHaveLength(1)
    await userEvent.click(screen.getByRole('button', { name: 'Hide others' }))
    expect(ui.state.hideOthers).toBe(true)
    expect(screen.getByRole('button', { name: 'Show others' })).toBeTruthy()
  })

  it('the sheet names every command that has a shortcut', () => {
    const { context, ui } = fakeContext()
    ui.set({ dialog: 'shortcuts' })
    render(
      <Commands {...context}>
        <ShortcutSheet />
      </Commands>
    )
    for (const command of COMMANDS.filter(({ shortcuts }) => 0 < shortcuts.length))
      expect(screen.getByText(titleOf(command, context), { selector: 'dt' })).toBeTruthy()
  })
})

describe('what is open', () => {
  it('panels are remembered on this device, dialogs are not', () => {
    const { ui } = fakeContext()
    ui.set({ minimap: false, dialog: 'members' })
    expect(fakeContext().ui.state).toMatchObject({ minimap: false, palette: true, dialog: null })
  })

  it('what was remembered and makes no sense is forgotten', () => {
    localStorage.setItem('atlas.panels', '{"minimap": "perhaps", "palette": false}')
    expect(fakeContext().ui.state).toMatchObject({ minimap: true, palette: false })
    localStorage.setItem('atlas.panels', '{')
    expect(fakeContext().ui.state).toMatchObject({ palette: true })
  })
})
