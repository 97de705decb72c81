// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Selection } from '../binding/types'
import type { DesignView } from '../design/elements'
import { Inspector } from './Inspector'
import { drawing, edge, FakeEditor, node } from './testing/fake-editor'
import { PAUSE_MS } from './use-draft'

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true })
})
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const on = (nodes: string[], edges: string[] = []): Selection => ({ nodes, edges })

function inspect(view: DesignView, selection: Selection, change: Parameters<FakeEditor['set']>[0] = {}) {
  const editor = new FakeEditor(view, selection)
  editor.set(change)
  render(<Inspector editor={editor} />)
  return editor
}

const field = (name: string) => screen.getByLabelText<HTMLInputElement>(name)
const pause = () => act(() => vi.advanceTimersByTime(PAUSE_MS))
const shop = (label = 'Shop') => node('a', { label, type: 'web-server', owner: { team: 'web' } })

describe('one component', () => {
  it('a burst of keys is one write, of the changed key only', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    const label = field('Label')
    fireEvent.focus(label)
    for (const text of ['Shop f', 'Shop fr', 'Shop front']) fireEvent.change(label, { target: { value: text } })
    expect(editor.asked).toEqual([])
    pause()
    fireEvent.blur(label)
    expect(editor.asked).toEqual([['patchData', ['a'], { label: 'Shop front' }]])
  })

  it('leaving a field and Enter write at once, and nothing is written when nothing changed', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Zone'))
    fireEvent.blur(field('Zone'))
    expect(editor.asked).toEqual([])
    fireEvent.focus(field('Zone'))
    fireEvent.change(field('Zone'), { target: { value: 'dmz' } })
    fireEvent.keyDown(field('Zone'), { key: 'Enter' })
    expect(editor.acts('patchData')).toEqual([[['a'], { zone: 'dmz' }]])
    fireEvent.change(field('Zone'), { target: { value: '' } })
    fireEvent.blur(field('Zone'))
    expect(editor.acts('patchData').at(-1)).toEqual([['a'], { zone: undefined }])
  })

  it.each(['beforeunload', 'pagehide'])('what is unwritten when the page goes is written (%s)', event => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Label'))
    fireEvent.change(field('Label'), { target: { value: 'Typed' } })
    act(() => void window.dispatchEvent(new Event(event)))
    expect(editor.acts('patchData')).toEqual([[['a'], { label: 'Typed' }]])
  })

  it('what is unwritten when something else is selected goes where it was typed', () => {
    const editor = inspect(drawing([shop(), node('b', { label: 'Other' })]), on(['a']))
    fireEvent.focus(field('Label'))
    fireEvent.change(field('Label'), { target: { value: 'Typed' } })
    act(() => editor.select(on(['b'])))
    expect(editor.acts('patchData')).toEqual([[['a'], { label: 'Typed' }]])
    expect(field('Label').value).toBe('Other')
  })

  it('a label that is too long is told in words and not written, and Escape brings the old one back', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Label'))
    fireEvent.change(field('Label'), { target: { value: 'x'.repeat(201) } })
    pause()
    expect(screen.getByRole('alert').textContent).toContain('at most 200 characters')
    fireEvent.blur(field('Label'))
    expect(editor.asked).toEqual([])
    expect(field('Label').value).toHaveLength(201)
    fireEvent.keyDown(field('Label'), { key: 'Escape' })
    expect(field('Label').value).toBe('Shop')
  })

  it('keeps my text while somebody else changes the same key, and says so', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Label'))
    fireEvent.change(field('Label'), { target: { value: 'Mine' } })
    pause()
    act(() => editor.set({ view: drawing([shop('Theirs')]) }))
    expect(field('Label').value).toBe('Mine')
    expect(screen.getByRole('status').textContent).toContain('“Theirs”')
    fireEvent.blur(field('Label'))
    expect(field('Label').value).toBe('Theirs')
    expect(editor.acts('patchData')).toHaveLength(1)
  })

  it('shows at once what somebody else changes in a field that I am not in', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Zone'))
    act(() => editor.set({ view: drawing([shop('Theirs')]) }))
    expect(field('Label').value).toBe('Theirs')
    expect(screen.queryByRole('status')).toBeNull()
  })

  it('says so when somebody deletes it under my hands, with what I had typed', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    act(() => field('Label').focus())
    fireEvent.change(field('Label'), { target: { value: 'Half a thou' } })
    act(() => editor.losesElement('a'))
    const alert = screen.getByRole('alert')
    expect(alert.textContent).toContain('“Shop” was deleted while you were editing it')
    expect(alert.textContent).toContain('Half a thou')
    fireEvent.click(within(alert).getByRole('button', { name: 'Close' }))
    expect(screen.queryByRole('alert')).toBeNull()
  })

  it('says nothing when it goes while nobody edits it', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    act(() => editor.losesElement('a'))
    expect(screen.queryByRole('alert')).toBeNull()
    expect(screen.getByRole('heading', { name: 'Design' })).toBeTruthy()
  })

  it('keeps and shows a kind that the palette does not have', () => {
    const editor = inspect(drawing([node('a', { type: 'mainframe' })]), on(['a']))
    const kind = screen.getByLabelText<HTMLSelectElement>('Kind')
    expect(kind.selectedOptions[0]?.textContent).toBe('mainframe (not in the palette)')
    expect(editor.asked).toEqual([])
    fireEvent.change(kind, { target: { value: 'database' } })
    expect(editor.asked).toEqual([['patchData', ['a'], { type: 'database' }]])
  })

  it('sets, denies, forgets and adds flags', async () => {
    const editor = inspect(drawing([node('a', { securityFlags: { custom: true } })]), on(['a']))
    const flag = (name: string) => within(screen.getByRole('group', { name }))
    expect(flag('Custom').getByRole<HTMLInputElement>('radio', { name: 'Yes' }).checked).toBe(true)
    expect(flag('MFA required').getByRole<HTMLInputElement>('radio', { name: 'Not said' }).checked).toBe(true)
    fireEvent.click(flag('MFA required').getByRole('radio', { name: 'No' }))
    fireEvent.click(flag('Custom').getByRole('radio', { name: 'Not said' }))
    fireEvent.change(field('New flag'), { target: { value: 'wafEnabled' } })
    fireEvent.click(screen.getByRole('button', { name: 'Add' }))
    expect(editor.acts('patchFlags')).toEqual([
      [['a'], { mfaRequired: false }],
      [['a'], { custom: undefined }],
      [['a'], { wafEnabled: true }]
    ])
  })
})

describe('keys that have no field', () => {
  it('are edited as JSON; bad JSON says why and changes nothing', async () => {
    const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime })
    const editor = inspect(drawing([shop()]), on(['a']))
    await user.click(screen.getByRole('button', { name: 'Edit data.owner as JSON' }))
    const json = field('data.owner as JSON')
    expect(JSON.parse(json.value)).toEqual({ team: 'web' })
    fireEvent.change(json, { target: { value: '{"team": ' } })
    await user.click(screen.getByRole('button', { name: 'Save' }))
    expect(screen.getByRole('alert').textContent).toContain('not JSON')
    expect(editor.asked).toEqual([])
    fireEvent.change(json, { target: { value: '{"team": ["a", "b"]}' } })
    await user.click(screen.getByRole('button', { name: 'Save' }))
    expect(editor.asked).toEqual([['patchData', ['a'], { owner: { team: ['a', 'b'] } }]])
    expect(screen.queryByLabelText('data.owner as JSON')).toBeNull()
  })

  it('says so when somebody else changes one while I edit it', async () => {
    const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime })
    const editor = inspect(drawing([shop()]), on(['a']))
    await user.click(screen.getByRole('button', { name: 'Edit data.owner as JSON' }))
    act(() => editor.set({ view: drawing([node('a', { label: 'Shop', owner: 'new' })]) }))
    expect(JSON.parse(field('data.owner as JSON').value)).toEqual({ team: 'web' })
    expect(screen.getByRole('status').textContent).toContain('Somebody else changed this')
  })

  it('shows markup as text', () => {
    inspect(drawing([node('a', { note: '<img src=x onerror=alert(1)>' })]), on(['a']))
    expect(screen.getByText('"<img src=x onerror=alert(1)>"')).toBeTruthy()
    expect(document.querySelector('img')).toBeNull()
  })
})

describe('one connection', () => {
  const view = drawing([shop(), node('b', { label: 'Db' })], [edge('e', 'a', 'b', { label: 'reads' })])

  it('leads to its ends', () => {
    const editor = inspect(view, on([], ['e']))
    fireEvent.click(screen.getByRole('button', { name: 'Go to the target, Db' }))
    expect(editor.acts('reveal')).toEqual([['b']])
  })

  it('writes its label on top, a port as a number, and takes the usual port only when asked', () => {
    const editor = inspect(view, on([], ['e']))
    const put = (name: string, value: string) => {
      fireEvent.focus(field(name))
      fireEvent.change(field(name), { target: { value } })
      fireEvent.blur(field(name))
    }
    put('Label', 'writes')
    put('Port', '15432')
    put('Protocol', 'PostgreSQL')
    expect(editor.asked).toEqual([
      ['patchElements', ['e'], { label: 'writes' }],
      ['patchData', ['e'], { port: 15_432 }],
      ['patchData', ['e'], { protocol: 'PostgreSQL' }]
    ])
    fireEvent.click(screen.getByRole('button', { name: 'Use port 5432' }))
    expect(editor.acts('patchData').at(-1)).toEqual([['e'], { port: 5432 }])
    expect(screen.queryByRole('button', { name: 'Use port 5432' })).toBeNull()
    expect(field('Port').value).toBe('5432')
  })
})

describe('several at once', () => {
  const view = drawing([node('a', { label: 'A', zone: 'dmz' }), node('b', { label: 'B', zone: 'dmz' })])

  it('shows what they share, and changes all of them in one act', () => {
    const editor = inspect(view, on(['a', 'b']))
    expect(screen.getByRole('heading', { name: '2 components' })).toBeTruthy()
    expect(field('Zone').value).toBe('dmz')
    expect(field('Label').value).toBe('')
    expect(field('Label').placeholder).toBe('Several values')
    fireEvent.focus(field('Label'))
    fireEvent.blur(field('Label'))
    expect(editor.asked).toEqual([])
    fireEvent.focus(field('Zone'))
    fireEvent.change(field('Zone'), { target: { value: 'internal' } })
    fireEvent.blur(field('Zone'))
    expect(editor.asked).toEqual([['patchData', ['a', 'b'], { zone: 'internal' }]])
  })
})

describe('the design', () => {
  const view = drawing([shop()], [], { schema_version: 1, name: 'Shop', theme: 'blue' })

  it('shows its name, its counts and every other key', () => {
    inspect(view, on([]))
    expect(field('Name').value).toBe('Shop')
    expect(screen.getByText('theme')).toBeTruthy()
    expect(screen.queryByText('schema_version')).toBeNull()
  })

  it("takes no blank at the end of a name for somebody else's doing", () => {
    const editor = inspect(view, on([]))
    fireEvent.focus(field('Name'))
    fireEvent.change(field('Name'), { target: { value: 'New ' } })
    pause()
    expect(editor.asked).toEqual([['patchMeta', { name: 'New' }]])
    expect(field('Name').value).toBe('New ')
    expect(screen.queryByRole('status')).toBeNull()
  })

  it('always has a name', () => {
    const editor = inspect(view, on([]))
    fireEvent.focus(field('Name'))
    fireEvent.change(field('Name'), { target: { value: '  ' } })
    fireEvent.blur(field('Name'))
    expect(screen.getByRole('alert').textContent).toBe('A design needs a name.')
    expect(editor.asked).toEqual([])
  })
})

describe('read-only', () => {
  it('everything can be read and nothing can be changed', () => {
    inspect(drawing([shop()]), on(['a']), { canEdit: false })
    for (const box of screen.getAllByRole<HTMLInputElement>('textbox')) expect(box.matches(':disabled')).toBe(true)
    for (const radio of screen.getAllByRole('radio')) expect(radio.matches(':disabled, fieldset:disabled *')).toBe(true)
    expect(field('Label').value).toBe('Shop')
    expect(screen.queryByRole('button', { name: /as JSON|Remove|Add/ })).toBeNull()
    expect(screen.getByText('Read-only')).toBeTruthy()
  })

  it('a text that was typed when the right to edit ended is not said to be written', () => {
    const editor = inspect(drawing([shop()]), on(['a']))
    fireEvent.focus(field('Label'))
    fireEvent.change(field('Label'), { target: { value: 'Late' } })
    act(() => editor.set({ canEdit: false }))
    pause()
    expect(screen.getByRole('alert').textContent).toContain('not written')
    expect(field('Label').value).toBe('Late')
  })
})
