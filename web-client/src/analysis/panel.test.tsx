// @vitest-environment happy-dom
import { act, cleanup, render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { drawing, edge, FakeEditor, node } from '../panels/testing/fake-editor'
import { currentToasts, dismissToast } from '../ui/toasts'
import { FindingsPanel } from './FindingsPanel'
import { Focus } from './focus'
import { ScoreButton } from './ScoreButton'
import { AnalysisStore } from './store'
import { TraceBar } from './TraceBar'
import { answer, FakeServer, issue } from './testing/fakes'

afterEach(() => {
  cleanup()
  for (const { id } of currentToasts()) dismissToast(id)
})

const autofix = {
  title: 'Use HTTPS',
  patch: {
    nodes: { upsert: [], remove: [] },
    edges: { upsert: [{ id: 'e', data: { protocol: 'HTTPS' } }], remove: [] }
  },
  place: {}
}
const ISSUES = [
  issue('ATL-X01', { severity: 'critical', elements: ['db'], path: ['web', 'e', 'db'], points: 9 }),
  issue('ATL-T01', { elements: ['e'], autofix, points: 5 }),
  issue('ATL-D02', { severity: 'medium', elements: ['db'], points: 2 })
]

async function shown(issues: readonly unknown[] | null = ISSUES, some: Record<string, unknown> = {}) {
  const server = new FakeServer()
  if (issues !== null) server.says(answer(issues, some))
  const store = new AnalysisStore(server.session, server)
  const focus = new Focus()
  const editor = new FakeEditor(
    drawing([node('web', { label: 'Front' }), node('db', { label: 'Ledger' })], [edge('e', 'web', 'db')])
  )
  const showNodes = vi.fn()
  store.start()
  await act(() => store.refresh())
  render(
    <>
      <ScoreButton store={store} pressed={true} onPress={() => {}} />
      <FindingsPanel editor={editor} store={store} focus={focus} showNodes={showNodes} onLook={() => {}} />
      <TraceBar editor={editor} store={store} focus={focus} />
    </>
  )
  return { server, store, focus, editor, showNodes }
}

const line = (name: RegExp) => screen.getByRole('button', { name })
const said = () => currentToasts().map(({ message }) => message)

describe('the findings', () => {
  it('are listed with their score, and unfold', async () => {
    await shown()
    expect(screen.getByTestId('score').dataset).toMatchObject({ score: '5', grade: 'F', findings: '3' })
    expect(screen.getByTestId('panel-score').textContent).toBe('5.0')
    expect(screen.getAllByTestId('finding').map(each => each.dataset.rule)).toEqual(['ATL-X01', 'ATL-T01', 'ATL-D02'])
    expect(screen.queryByText('Why ATL-T01')).toBeNull()
    await userEvent.click(line(/^High: Title of ATL-T01/))
    expect(line(/^High: Title of ATL-T01/).getAttribute('aria-expanded')).toBe('true')
    expect(screen.getByText('Why ATL-T01')).toBeTruthy()
    expect(screen.getByRole('link', { name: /CWE-319/ }).getAttribute('href')).toContain('/319.html')
  })

  it('lead to what they are about', async () => {
    const { editor } = await shown()
    await userEvent.click(line(/Title of ATL-D02/))
    await userEvent.click(screen.getByRole('button', { name: 'Ledger' }))
    expect(editor.acts('reveal')).toEqual([['db']])
    act(() => editor.losesElement('db'))
    expect(screen.queryByRole('button', { name: 'Ledger' })).toBeNull()
    expect(screen.getByText('db (deleted)')).toBeTruthy()
  })

  it('are walked through with the arrow keys', async () => {
    await shown()
    line(/Title of ATL-X01/).focus()
    await userEvent.keyboard('{ArrowDown}{ArrowDown}')
    expect(document.activeElement).toBe(line(/Title of ATL-D02/))
    await userEvent.keyboard('{ArrowUp}{Enter}')
    expect(line(/Title of ATL-T01/).getAttribute('aria-expanded')).toBe('true')
  })

  it('keep the focus in the list when the one that had it has gone', async () => {
    const { server, store } = await shown()
    line(/Title of ATL-T01/).focus()
    server.says(answer(ISSUES.slice(0, 1), { id: 'a2' }))
    await act(() => store.refresh())
    expect(document.activeElement).toBe(screen.getByRole('list', { name: 'Findings' }))
  })

  it('are narrowed by severity', async () => {
    await shown()
    await userEvent.click(line(/^Critical, 1 open/))
    expect(screen.getAllByTestId('finding')).toHaveLength(1)
    await userEvent.type(screen.getByLabelText('Search findings'), 'nothing like it')
    await userEvent.click(line(/^Show all open findings/))
    expect(screen.getAllByTestId('finding')).toHaveLength(3)
  })
})

describe('a fix', () => {
  it('is one act of the editor, and says what it will do', async () => {
    const { editor } = await shown()
    await userEvent.click(line(/Title of ATL-T01/))
    expect(screen.getByText(/^Changes Front → Ledger\./)).toBeTruthy()
    await userEvent.click(line(/^Use HTTPS/))
    expect(editor.acts('applyFix')).toHaveLength(1)
    expect(said()).toEqual(['Use HTTPS: done. Undo takes it back.'])
  })

  it('is refused kindly when its element is gone', async () => {
    const { editor } = await shown()
    await userEvent.click(line(/Title of ATL-T01/))
    const button = screen.getByTestId('apply-fix')
    act(() => editor.losesElement('e'))
    await userEvent.click(button)
    expect(editor.acts('applyFix')).toEqual([])
    expect(said()[0]).toMatch(/deleted it/)
  })
})

describe('a judgement', () => {
  it('needs a reason, and is sent with it', async () => {
    const { server } = await shown()
    await userEvent.click(line(/Title of ATL-D02/))
    await userEvent.click(line(/^Accept the risk…/))
    const form = within(screen.getByRole('form', { name: 'Accept the risk' }))
    await userEvent.click(form.getByRole('button', { name: 'Accept the risk' }))
    expect(form.getByRole('alert').textContent).toMatch(/Say why/)
    await userEvent.type(form.getByLabelText('Why is the risk acceptable?'), '  Backed up elsewhere ')
    await userEvent.click(form.getByRole('button', { name: 'Accept the risk' }))
    expect(server.asked).toContainEqual([
      'judge',
      'design',
      'print-ATL-D02',
      { state: 'accepted', reason: 'Backed up elsewhere' }
    ])
    expect(screen.queryByRole('form')).toBeNull()
  })

  it('that is turned down keeps what was typed', async () => {
    const { server } = await shown()
    server.judging = new Error('Not while the store is in trouble.')
    await userEvent.click(line(/Title of ATL-D02/))
    await userEvent.click(line(/^Not a problem…/))
    await userEvent.type(screen.getByLabelText('Why is this no problem?'), 'Test data')
    await userEvent.click(line(/^Not a problem$/))
    expect(screen.getByRole('alert').textContent).toBe('Not while the store is in trouble.')
    expect(screen.getByLabelText<HTMLTextAreaElement>('Why is this no problem?').value).toBe('Test data')
  })

  it('is shown with who, when and why, and can be taken back', async () => {
    const triage = {
      state: 'accepted',
      reason: 'Disks are encrypted',
      by: { id: 'u', name: 'Ben' },
      at: '2026-01-01T00:00:00Z'
    }
    const { server } = await shown([issue('ATL-D01', { triage })])
    expect(screen.queryAllByTestId('finding')).toHaveLength(0)
    await userEvent.selectOptions(screen.getByLabelText('State'), 'settled')
    await userEvent.click(line(/Title of ATL-D01/))
    expect(screen.getByTestId('judged').textContent).toMatch(/Ben accepted the risk.*Disks are encrypted/)
    await userEvent.click(line(/^Reopen/))
    expect(server.asked).toContainEqual(['judge', 'design', 'print-ATL-D01', { state: 'open' }])
  })
})

describe('an attack path', () => {
  it('is drawn on demand and left with Escape', async () => {
    const { focus, showNodes } = await shown()
    await userEvent.click(line(/Title of ATL-X01/))
    await userEvent.click(line(/^Show the attack path/))
    expect(focus.state.traced).toBe('print-ATL-X01')
    expect(showNodes).toHaveBeenCalledWith(['web', 'db'])
    expect(screen.getByTestId('trace-bar').textContent).toMatch(/1 hop: from Front to Ledger/)
    await userEvent.keyboard('{Escape}')
    expect(focus.state.traced).toBeNull()
    expect(screen.queryByTestId('trace-bar')).toBeNull()
  })

  it('ends by itself when its finding is gone', async () => {
    const { focus, server, store } = await shown()
    act(() => focus.trace('print-ATL-X01'))
    server.says(answer([], { id: 'a2', security_score: 9 }))
    await act(() => store.refresh())
    expect(focus.state.traced).toBeNull()
  })
})

describe('without an analysis', () => {
  it('says that nobody has looked yet, and offers to', async () => {
    const { server, store } = await shown(null)
    expect(screen.getByText('Not looked at yet')).toBeTruthy()
    server.says(answer(ISSUES))
    await userEvent.click(line(/^Analyse now/))
    await act(() => store.refresh())
    expect(server.asked).toContainEqual(['analyse', 'design'])
    expect(await screen.findAllByTestId('finding')).toHaveLength(3)
  })

  it('says why there is none', async () => {
    const server = new FakeServer()
    server.latest = new Error('No answer.')
    const store = new AnalysisStore(server.session, server)
    render(
      <FindingsPanel
        editor={new FakeEditor()}
        store={store}
        focus={new Focus()}
        showNodes={() => {}}
        onLook={() => {}}
      />
    )
    expect(screen.getByText('Fetching the findings')).toBeTruthy()
    await act(() => store.refresh())
    expect(screen.getByText('No answer.')).toBeTruthy()
    store.stop()
  })

  it('offers nothing to change to those who may only look', async () => {
    const { editor } = await shown()
    act(() => editor.set({ canEdit: false }))
    await userEvent.click(line(/Title of ATL-T01/))
    for (const name of [/^Use HTTPS/, /^Accept/, /^Not a problem/, /^Analyse now/]) {
      expect(screen.queryByRole('button', { name })).toBeNull()
    }
  })
})
