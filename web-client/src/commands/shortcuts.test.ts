// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { drawing, FakeEditor, node } from '../panels/testing/fake-editor'
import { listenForClipboard } from './clipboard'
import { type KeyPress, listenForShortcuts, matches, parseShortcut, shownShortcut } from './shortcuts'
import { fakeContext } from './testing/fake-context'

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  code: '',
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  ...more
})

describe('a shortcut and a key', () => {
  it('Mod is Control on most machines and Command on Macs, never both', () => {
    expect(matches('Mod+Z', press('z', { ctrlKey: true }), false)).toBe(true)
    expect(matches('Mod+Z', press('z', { metaKey: true }), true)).toBe(true)
    expect(matches('Mod+Z', press('z', { metaKey: true }), false)).toBe(false)
    expect(matches('Mod+Z', press('z', { ctrlKey: true }), true)).toBe(false)
    expect(matches('Mod+Z', press('z', { ctrlKey: true, metaKey: true }), false)).toBe(false)
  })

  it('Shift tells letters apart', () => {
    expect(matches('Mod+Z', press('Z', { ctrlKey: true, shiftKey: true }), false)).toBe(false)
    expect(matches('Mod+Shift+Z', press('Z', { ctrlKey: true, shiftKey: true }), false)).toBe(true)
  })

  it('signs count by what the layout says, with or without Shift', () => {
    expect(matches('?', press('?', { shiftKey: true }), false)).toBe(true)
    expect(matches('Mod++', press('+', { ctrlKey: true, shiftKey: true }), false)).toBe(true)
    expect(matches('Mod++', press('+', { ctrlKey: true }), false)).toBe(true)
  })

  it('a layout without Latin letters answers by the place of the key, one with them by the letter', () => {
    expect(matches('Mod+Z', press('я', { code: 'KeyZ', ctrlKey: true }), false)).toBe(true)
    // On a German keyboard the key at the place of Y says z.
    expect(matches('Mod+Z', press('z', { code: 'KeyY', ctrlKey: true }), false)).toBe(true)
    expect(matches('Mod+Y', press('z', { code: 'KeyY', ctrlKey: true }), false)).toBe(false)
  })

  it('Alt belongs to nobody here', () => {
    expect(matches('F', press('f', { altKey: true }), false)).toBe(false)
  })

  it('is refused when it is written wrongly', () => {
    for (const text of ['', 'Ctrl+Z', 'Z+Mod']) expect(() => parseShortcut(text)).toThrow()
  })

  it('is shown as people know it', () => {
    expect(shownShortcut('Mod+Shift+Z', false)).toBe('Ctrl+Shift+Z')
    expect(shownShortcut('Mod+Shift+Z', true)).toBe('⇧+⌘+Z')
    expect(shownShortcut('Mod++', false)).toBe('Ctrl++')
    expect(shownShortcut('Escape', false)).toBe('Esc')
  })
})

describe('the keyboard of the page', () => {
  let stop = () => {}
  beforeEach(() => localStorage.clear())
  afterEach(() => {
    stop()
    document.body.innerHTML = ''
  })

  function page() {
    const fake = fakeContext(new FakeEditor(drawing([node('a')]), { nodes: ['a'], edges: [] }))
    stop = listenForShortcuts(() => fake.context, false)
    const key = (name: string, init: KeyboardEventInit = {}, on: Element = document.body) => {
      const event = new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true, ...init })
      on.dispatchEvent(event)
      return event
    }
    const put = (html: string): Element => {
      document.body.innerHTML = html
      const element = document.body.querySelector('[data-here]')
      if (element === null) throw new Error('No element is marked.')
      return element
    }
    return { ...fake, key, put }
  }

  it('performs commands and keeps the browser from its own', () => {
    const { editor, key } = page()
    const event = key('d', { ctrlKey: true })
    expect(editor.acts('duplicate')).toHaveLength(1)
    expect(event.defaultPrevented).toBe(true)
  })

  it.each([
    '<input data-here>',
    '<textarea data-here></textarea>',
    '<div contenteditable="true"><b data-here>x</b></div>'
  ])('leaves %s to whoever types in it, except for the command palette', html => {
    const { editor, ui, key, put } = page()
    const field = put(html)
    for (const name of ['Delete', 'Backspace', 'f', 'm', '?', 'Escape']) key(name, {}, field)
    for (const name of ['z', 'a', 'v', 'x', 'f']) key(name, { ctrlKey: true }, field)
    expect(editor.asked).toEqual([])
    expect(ui.state).toMatchObject({ minimap: true, searching: false, dialog: null })
    key('k', { ctrlKey: true }, field)
    expect(ui.state.dialog).toBe('commands')
  })

  it('leaves dialogs and menus the keyboard: Delete in one deletes nothing behind it', () => {
    const { editor, ui, key, put } = page()
    key('Delete', {}, put('<div role="dialog"><button data-here>x</button></div>'))
    key('Delete', {}, put('<div role="menu"><div role="menuitem" data-here>x</div></div>'))
    ui.set({ dialog: 'members' })
    key('Delete')
    expect(editor.asked).toEqual([])
  })

  it('works from a button or a check box that has the focus', () => {
    const { editor, key, put } = page()
    key('Delete', {}, put('<button data-here>x</button>'))
    key('Delete', {}, put('<input type="checkbox" data-here>'))
    expect(editor.acts('remove')).toHaveLength(2)
  })

  it('does nothing while letters are being composed, or when somebody has dealt with the key', () => {
    const { editor, key } = page()
    key('Delete', { isComposing: true })
    const deal = (event: Event) => event.preventDefault()
    document.body.addEventListener('keydown', deal)
    key('Delete')
    document.body.removeEventListener('keydown', deal)
    expect(editor.asked).toEqual([])
  })

  it('a key that is held down undoes again and again, but switches only once', () => {
    const { editor, ui, key } = page()
    editor.set({ canUndo: true })
    key('z', { ctrlKey: true, repeat: true })
    expect(editor.acts('undo')).toHaveLength(1)
    key('m', { repeat: true })
    expect(ui.state.minimap).toBe(true)
  })

  it('does not search in the browser when there is nothing to do, and lets other keys pass', () => {
    const { editor, key } = page()
    editor.set({ canEdit: false })
    expect(key('d', { ctrlKey: true }).defaultPrevented).toBe(true)
    expect(key('Delete').defaultPrevented).toBe(false)
    expect(key('Tab').defaultPrevented).toBe(false)
  })
})

describe('the clipboard', () => {
  let stop = () => {}
  beforeEach(() => localStorage.clear())
  afterEach(() => {
    stop()
    document.getSelection()?.removeAllRanges()
    document.body.innerHTML = ''
  })

  function page(selected = ['a']) {
    const fake = fakeContext(new FakeEditor(drawing([node('a')]), { nodes: selected, edges: [] }))
    const stops = [listenForShortcuts(() => fake.context, false), listenForClipboard(() => fake.context)]
    stop = () => {
      for (const each of stops) each()
    }
    const happens = (type: 'copy' | 'cut' | 'paste', text = '', on: Element = document.body) => {
      const clipboardData = new DataTransfer()
      if (text !== '') clipboardData.setData('text/plain', text)
      const event = new ClipboardEvent(type, { bubbles: true, cancelable: true, clipboardData })
      on.dispatchEvent(event)
      return { event, text: clipboardData.getData('text/plain') }
    }
    return { ...fake, happens }
  }

  it('is reached by the browser: its keys are left alone, its events act', () => {
    const { editor, happens } = page()
    for (const key of ['c', 'x', 'v']) {
      const event = new KeyboardEvent('keydown', { key, ctrlKey: true, bubbles: true, cancelable: true })
      document.body.dispatchEvent(event)
      expect(event.defaultPrevented).toBe(false)
    }
    expect(editor.asked).toEqual([])
    const copied = happens('copy')
    expect([copied.text, copied.event.defaultPrevented]).toEqual(['what was copied', true])
    happens('cut')
    happens('paste', 'from another tab')
    happens('paste')
    expect(editor.asked.map(([act]) => act)).toEqual(['copy', 'copy', 'remove', 'pasteText', 'paste'])
    expect(editor.acts('pasteText')).toEqual([['from another tab']])
  })

  it('belongs to fields, dialogs, and words that are selected on the page', () => {
    const { editor, happens } = page()
    document.body.innerHTML = '<input><div role="dialog"><p>words</p></div><p id="words">words</p>'
    const at = (selector: string) => document.querySelector(selector) ?? document.body
    for (const selector of ['input', '[role=dialog] p'])
      for (const type of ['copy', 'cut', 'paste'] as const)
        expect(happens(type, 'x', at(selector)).event.defaultPrevented).toBe(false)
    document.getSelection()?.selectAllChildren(at('#words'))
    happens('copy')
    expect(editor.asked).toEqual([])
  })

  it('lets a viewer copy, and neither cut nor paste', () => {
    const { editor, happens } = page()
    editor.set({ canEdit: false })
    for (const type of ['copy', 'cut', 'paste'] as const) happens(type, 'x')
    expect(editor.asked.map(([act]) => act)).toEqual(['copy'])
  })

  it('keeps what was in it when nothing is selected', () => {
    const { happens } = page([])
    expect(happens('copy', 'before')).toMatchObject({ text: 'before', event: { defaultPrevented: false } })
  })
})
