import { beforeEach, describe, expect, it, vi } from 'vitest'
import type * as Y from 'yjs'
import { createEditor } from './editor'
import { docOf, type TestSession, testSession } from './testing/people'
import type { CanvasEditor, Selection } from './types'

let session: TestSession
let editor: CanvasEditor
let messages: string[]
const clipboard = vi.fn<(text: string) => void>()

function open(doc: Y.Doc, state = {}): void {
  session = testSession(doc, state)
  messages = []
  editor = createEditor(session, { onMessage: text => messages.push(text), writeClipboard: clipboard })
}

beforeEach(() => {
  clipboard.mockReset()
  open(docOf(1))
})

const nodes = (...ids: string[]): Selection => ({ nodes: ids, edges: [] })
const view = () => editor.state.view
const positionOf = (id: string | undefined) => view().nodes.get(id ?? '')?.position

function add(kind: Parameters<CanvasEditor['addNode']>[0] = 'web-server', x = 0, y = 0): string {
  const id = editor.addNode(kind, { x, y })
  if (id === null) throw new Error('The node was not added.')
  return id
}

describe('copying', () => {
  let a: string
  let b: string
  beforeEach(() => {
    a = add('web-server', 0, 0)
    b = add('database', 300, 0)
    editor.patchData([a], { label: 'Shop', cost: { eur: 5 } })
    editor.patchFlags([a], { mfaRequired: true })
    editor.connect(a, b, { sourceHandle: 'right', targetHandle: 'left' })
  })

  it('takes nodes with the edges between them, under new ids, a little further each time', () => {
    editor.copy(nodes(a, b))
    const first = editor.paste()
    const second = editor.paste()
    expect(first?.nodes).toHaveLength(2)
    expect(editor.state.selection).toEqual(second)
    expect(new Set(view().nodes.keys()).size).toBe(6)
    const [copy] = (first?.nodes ?? []).map(id => view().nodes.get(id)).filter(node => node?.data.label === 'Shop')
    expect(copy?.data).toEqual({
      type: 'web-server',
      label: 'Shop',
      cost: { eur: 5 },
      securityFlags: { mfaRequired: true }
    })
    expect(copy?.position).toEqual({ x: -55, y: -20 })
    const edge = view().edges.get(first?.edges[0] ?? '')
    expect(edge).toMatchObject({ sourceHandle: 'right', targetHandle: 'left' })
    expect(first?.nodes).toContain(edge?.source)
    editor.undo()
    editor.undo()
    expect([...view().nodes.keys()].sort()).toEqual([a, b].sort())
  })

  it('leaves out edges to nodes that are not copied', () => {
    editor.copy(nodes(a))
    expect(editor.paste()?.edges).toEqual([])
  })

  it('pastes where it was asked for', () => {
    editor.copy(nodes(a, b))
    const pasted = editor.paste({ x: 1000, y: 1000 })
    const xs = pasted?.nodes.map(id => positionOf(id)?.x).sort()
    expect(xs).toEqual([1075, 775])
  })

  it('into another design, by the text on the clipboard', () => {
    editor.copy(nodes(a, b))
    const text = clipboard.mock.calls[0]?.[0] ?? ''
    expect(text).toBe(editor.copiedText())
    open(docOf(9))
    const pasted = editor.pasteText(text)
    expect(pasted?.nodes).toHaveLength(2)
    expect(pasted?.edges).toHaveLength(1)
    expect([...view().nodes.keys()]).not.toContain(a)
    expect([...view().nodes.values()].map(({ data }) => data.label).sort()).toEqual(['Database', 'Shop'])
    expect(editor.state.canPaste).toBe(true)
  })

  it('keeps a child where it was when its parent is not copied', () => {
    editor.moveNodes([{ id: a, position: { x: 100, y: 100 } }])
    editor.patchElements([b], { parentId: a, position: { x: 10, y: 10 } })
    const alone = editor.duplicate(nodes(b))
    expect(positionOf(alone?.nodes[0])).toEqual({ x: 130, y: 130 })
    const both = editor.duplicate(nodes(a, b))
    const child = both?.nodes.map(id => view().nodes.get(id)).find(node => node?.parentId !== undefined)
    expect(child?.position).toEqual({ x: 10, y: 10 })
    expect(both?.nodes).toContain(child?.parentId)
  })

  it('text that is not ours does nothing, and that is told', () => {
    editor.copy(nodes(a))
    const ours = editor.copiedText() ?? ''
    const strange = [
      'Hello',
      '{"nodes":[]}',
      ours.slice(0, -1),
      ours.replace('"version":1', '"version":2'),
      ours.replace('"label":"Shop"', '"__proto__":{"label":1}'),
      ours.replace('"eur":5', '"eur":1e999'),
      ours.replace('"eur":5', `"eur":${'['.repeat(40)}${']'.repeat(40)}`),
      ours.replace(`"id":"${a}"`, '"id":""')
    ]
    const before = editor.state.view
    for (const text of strange) expect(editor.pasteText(text)).toBeNull()
    expect(messages).toHaveLength(strange.length)
    expect(editor.state.view).toBe(before)
  })

  it('never makes an update that the server would refuse for its size', () => {
    editor.patchData([a], { notes: 'x'.repeat(600_000) })
    editor.copy(nodes(a))
    expect(editor.paste()).not.toBeNull()
    editor.patchData([a], { more: 'x'.repeat(600_000) })
    editor.copy(nodes(a))
    expect(editor.paste()).toBeNull()
    expect(editor.patchData([a], { notes: 'x'.repeat(2_000_000) })).toBe(false)
    expect(messages).toHaveLength(2)
  })
})
