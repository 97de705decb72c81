import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { edgesOf, flagsMapOf, nodesOf } from '../design/document'
import * as edits from '../design/edits'
import type { JsonObject } from '../design/elements'
import { type Fix, type FixElement, missingFor } from '../design/fix'
import { absolutePosition, holds, sizeOf } from '../design/geometry'
import { createEditor } from './editor'
import { docOf, sync, testSession } from './testing/people'
import type { CanvasEditor } from './types'

interface Parts {
  nodes?: FixElement[]
  edges?: FixElement[]
  removeNodes?: string[]
  removeEdges?: string[]
  near?: Record<string, string[]>
  labels?: Record<string, string>
}

const fixOf = ({ nodes = [], edges = [], removeNodes = [], removeEdges = [], near = {}, labels = {} }: Parts): Fix => ({
  title: 'Mend it',
  patch: { nodes: { upsert: nodes, remove: removeNodes }, edges: { upsert: edges, remove: removeEdges } },
  place: Object.fromEntries(Object.entries(near).map(([id, of]) => [id, { near: of }])),
  labels
})

const node = (id: string, x: number, y: number, data: JsonObject = {}, more: JsonObject = {}) => ({
  id,
  fields: { type: 'custom', position: { x, y }, data: { type: 'app-server', label: id, ...data }, ...more }
})

/** A server and a database in a network, and the plain connection between them. */
function drawn() {
  const doc = docOf(1)
  edits.insert(doc, {
    nodes: [
      node('net', -100, -100, { type: 'vpc-vnet', zone: 'internal' }, { width: 900, height: 400 }),
      node('app', 0, 0, { securityFlags: { mfaRequired: false, loggingEnabled: true } }),
      node('db', 400, 0, { type: 'database' })
    ],
    edges: [
      {
        id: 'e',
        fields: {
          source: 'app',
          target: 'db',
          data: { protocol: 'HTTP', port: 80, note: 'keep', securityFlags: { encrypted: false } }
        }
      }
    ]
  })
  return doc
}

function open(doc = drawn(), state = {}): CanvasEditor {
  return createEditor(testSession(doc, state))
}

const https: FixElement = {
  id: 'e',
  data: { protocol: 'HTTPS', port: 443, encryption: 'TLS 1.3', securityFlags: { encrypted: true } }
}
const vault: FixElement = { id: 'vault', data: { type: 'secrets-manager', label: 'Vault', zone: 'management' } }

describe('a fix', () => {
  it('merges into what is there, key by key, and is one step for its author', () => {
    const editor = open()
    const before = JSON.stringify([...editor.state.view.edges])
    expect(editor.applyFix(fixOf({ edges: [https], nodes: [{ id: 'app', data: { zone: 'dmz' } }] })).kind).toBe('done')
    expect(editor.state.view.edges.get('e')?.data).toEqual({
      protocol: 'HTTPS',
      port: 443,
      note: 'keep',
      encryption: 'TLS 1.3',
      securityFlags: { encrypted: true }
    })
    expect(editor.state.view.nodes.get('app')?.data).toMatchObject({
      zone: 'dmz',
      securityFlags: { loggingEnabled: true }
    })
    editor.undo()
    expect(JSON.stringify([...editor.state.view.edges])).toBe(before)
    expect(editor.state.view.nodes.get('app')?.data.zone).toBeUndefined()
    expect(editor.state.canUndo).toBe(false)
    editor.redo()
    expect(editor.state.view.edges.get('e')?.data.protocol).toBe('HTTPS')
  })

  it('takes keys away where it says null', () => {
    const editor = open()
    editor.applyFix(
      fixOf({ edges: [{ id: 'e', label: null, data: { port: null, securityFlags: { encrypted: null } } }] })
    )
    expect(editor.state.view.edges.get('e')?.data).toEqual({ protocol: 'HTTP', note: 'keep', securityFlags: {} })
  })

  it('keeps the maps that others write into', () => {
    const [doc, other] = [drawn(), docOf(2)]
    sync(doc, other)
    const editor = open(doc)
    edits.patchFlags(other, ['e'], { authenticated: true })
    edits.patchData(other, ['e'], { note: 'theirs' })
    editor.applyFix(fixOf({ edges: [https] }))
    sync(doc, other)
    expect(editor.state.view.edges.get('e')?.data).toMatchObject({
      protocol: 'HTTPS',
      note: 'theirs',
      securityFlags: { encrypted: true, authenticated: true }
    })
    editor.undo()
    expect(editor.state.view.edges.get('e')?.data).toMatchObject({
      protocol: 'HTTP',
      note: 'theirs',
      securityFlags: { encrypted: false, authenticated: true }
    })
  })

  it('adds nodes and edges, selects them, and takes all of it back in one step', () => {
    const editor = open()
    const edge = { id: 'to-vault', source: 'app', target: 'vault', data: { protocol: 'HTTPS', label: null } }
    const outcome = editor.applyFix(fixOf({ nodes: [vault], edges: [edge], near: { vault: ['app', 'db'] } }))
    expect(outcome).toEqual({ kind: 'done', made: { nodes: ['vault'], edges: ['to-vault'] } })
    expect(editor.state.selection).toEqual({ nodes: ['vault'], edges: ['to-vault'] })
    const doc = editor.session.doc
    const made = nodesOf(doc).get('vault')
    expect(made && flagsMapOf(made)).toBeInstanceOf(Y.Map)
    expect(edgesOf(doc).get('to-vault')?.get('type')).toBe('smoothstep')
    editor.undo()
    expect([...editor.state.view.nodes.keys()]).toEqual(['app', 'db', 'net'])
    expect([...editor.state.view.edges.keys()]).toEqual(['e'])
  })

  it('redirects a connection through what it adds, and back', () => {
    const editor = open()
    const waf: FixElement = { id: 'waf', data: { type: 'waf', label: 'WAF' } }
    const edges: FixElement[] = [
      { id: 'e', target: 'waf' },
      { id: 'e2', source: 'waf', target: 'db', data: {} }
    ]
    editor.applyFix(fixOf({ nodes: [waf], edges, near: { waf: ['app', 'db'] } }))
    expect(editor.state.view.edges.get('e')?.target).toBe('waf')
    // Between the two, where there is room.
    expect(editor.state.view.nodes.get('waf')?.position).toEqual({ x: 200, y: 0 })
    editor.undo()
    expect(editor.state.view.edges.get('e')?.target).toBe('db')
    expect(editor.state.view.hidden.size).toBe(0)
  })

  it('renames a connection that is called by its protocol, and no other', () => {
    const labels = { e: 'HTTPS:443' }
    const called = (label: string) => {
      const doc = drawn()
      edits.patchElements(doc, ['e'], { label })
      const editor = open(doc)
      editor.applyFix(fixOf({ edges: [https], labels }))
      const after = editor.state.view.edges.get('e')?.label
      editor.undo()
      expect(editor.state.view.edges.get('e')?.label).toBe(label)
      return after
    }
    expect(['HTTP:80', 'http 8080', 'HTTP', 'WS:80'].map(called)).toEqual(Array(4).fill('HTTPS:443'))
    expect(['fetch orders', 'HTTP to the shop', '8080'].map(called)).toEqual([
      'fetch orders',
      'HTTP to the shop',
      '8080'
    ])
    const editor = open()
    editor.applyFix(fixOf({ edges: [https], labels }))
    expect(editor.state.view.edges.get('e')?.label).toBeUndefined()
  })

  it('removes elements, with the edges of a node', () => {
    const editor = open()
    editor.applyFix(fixOf({ removeNodes: ['db'] }))
    expect(editor.state.view.edges.size).toBe(0)
    editor.undo()
    expect(editor.state.view.edges.has('e')).toBe(true)
  })

  it('is refused as a whole when something that it needs is gone', () => {
    const editor = open()
    editor.remove({ nodes: [], edges: ['e'] })
    expect(editor.applyFix(fixOf({ edges: [https], nodes: [{ id: 'app', data: { zone: 'x' } }] }))).toEqual({
      kind: 'gone',
      missing: ['e']
    })
    expect(editor.state.view.nodes.get('app')?.data.zone).toBeUndefined()
    const { view } = editor.state
    expect(missingFor(fixOf({ nodes: [{ id: 'old', data: {} }] }), view)).toEqual(['old'])
    expect(missingFor(fixOf({ edges: [{ id: 'n', source: 'app', target: 'old', data: {} }] }), view)).toEqual(['old'])
    expect(missingFor(fixOf({ nodes: [vault], near: { vault: ['old'] } }), view)).toEqual(['old'])
    expect(missingFor(fixOf({ nodes: [vault], near: { vault: ['old', 'app'] } }), view)).toEqual([])
  })

  it('does nothing twice, and nothing for those who may only look', () => {
    const editor = open()
    editor.applyFix(fixOf({ edges: [https] }))
    expect(editor.applyFix(fixOf({ edges: [https] }))).toEqual({ kind: 'nothing' })
    editor.undo()
    expect(editor.state.canUndo).toBe(false)
    const viewer = open(drawn(), { canEdit: false })
    expect(viewer.applyFix(fixOf({ edges: [https] })).kind).toBe('refused')
    expect(viewer.state.view.edges.get('e')?.data.protocol).toBe('HTTP')
  })

  it('of two people at once is one', () => {
    const [doc, other] = [drawn(), docOf(2)]
    sync(doc, other)
    const fix = fixOf({ nodes: [vault], near: { vault: ['app'] } })
    const [mine, theirs] = [open(doc), open(other)]
    mine.applyFix(fix)
    theirs.applyFix(fix)
    sync(doc, other)
    expect([...mine.state.view.nodes.keys()]).toEqual(['app', 'db', 'net', 'vault'])
    expect(mine.state.view.nodes.get('vault')).toEqual(theirs.state.view.nodes.get('vault'))
  })
})

describe('the place of what a fix adds', () => {
  const rectOf = (editor: CanvasEditor, id: string) => {
    const { nodes } = editor.state.view
    const found = nodes.get(id)
    if (found === undefined) throw new Error(`${id} is not there.`)
    return { ...absolutePosition(found, nodes), ...sizeOf(found) }
  }
  const corners = ({ x, y, width, height }: ReturnType<typeof rectOf>) => [
    { x, y },
    { x: x + width, y },
    { x, y: y + height },
    { x: x + width, y: y + height }
  ]

  it('is outside of boxes of another zone, with no corner in them', () => {
    const editor = open()
    editor.applyFix(fixOf({ nodes: [vault], near: { vault: ['app', 'db'] } }))
    const net = rectOf(editor, 'net')
    expect(corners(rectOf(editor, 'vault')).some(corner => holds(net, corner))).toBe(false)
  })

  it('is inside of a box that holds all of its neighbours and says no other zone', () => {
    const editor = open()
    const inside: FixElement = { id: 'vault', data: { type: 'secrets-manager', zone: 'Internal' } }
    editor.applyFix(fixOf({ nodes: [inside], near: { vault: ['app', 'db'] } }))
    expect(corners(rectOf(editor, 'vault')).every(corner => holds(rectOf(editor, 'net'), corner))).toBe(true)
  })

  it('is found beside a box that is too large to be left in a few steps', () => {
    const doc = docOf(1)
    edits.insert(doc, {
      nodes: [
        node('net', -5000, -5000, { type: 'vpc-vnet', zone: 'data' }, { width: 10_000, height: 10_000 }),
        node('app', 0, 0)
      ],
      edges: []
    })
    const editor = open(doc)
    editor.applyFix(fixOf({ nodes: [vault], near: { vault: ['app'] } }))
    expect(holds(rectOf(editor, 'net'), rectOf(editor, 'vault'))).toBe(false)
  })

  it('is another one for each of several', () => {
    const editor = open()
    const more = { ...vault, id: 'more' }
    editor.applyFix(fixOf({ nodes: [vault, more], near: { vault: ['app'], more: ['app'] } }))
    const [a, b] = [rectOf(editor, 'vault'), rectOf(editor, 'more')]
    expect(corners(a).some(corner => holds(b, corner))).toBe(false)
  })
})
