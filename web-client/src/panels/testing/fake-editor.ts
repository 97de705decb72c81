// An editor for tests of what stands above it: a drawing in memory that answers as the real one does, and remembers what was asked.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { CanvasEditor, EditorState, FixOutcome, Patch, Selection } from '../../binding/types'
import {
  type DesignEdge,
  type DesignNode,
  type DesignView,
  EMPTY_VIEW,
  flagsOf,
  type Json,
  type JsonObject,
  type Point
} from '../../design/elements'
import type { Fix } from '../../design/fix'
import { kindOf } from '../../design/kinds'
import { Listeners } from '../../sync/listeners'
import type { Notice } from '../../sync/notices'
import type { DesignSession, SessionState } from '../../sync/types'

export function node(id: string, data: JsonObject = {}, more: Partial<DesignNode> = {}): DesignNode {
  return { id, type: 'custom', position: { x: 0, y: 0 }, data, rest: {}, ...more }
}

export function edge(id: string, source: string, target: string, more: Partial<DesignEdge> = {}): DesignEdge {
  return { id, source, target, data: {}, rest: {}, ...more }
}

export function drawing(
  nodes: readonly DesignNode[],
  edges: readonly DesignEdge[] = [],
  meta: JsonObject = {}
): DesignView {
  return {
    ...EMPTY_VIEW,
    nodes: new Map(nodes.map(each => [each.id, each])),
    edges: new Map(edges.map(each => [each.id, each])),
    meta
  }
}

const SESSION_STATE: SessionState = {
  generation: 0,
  ready: true,
  saving: { kind: 'saved' },
  role: 'editor',
  canEdit: true,
  refusal: null,
  recoveries: 0,
  isWriting: false,
  localTrouble: null
}

function fakeSession(): DesignSession {
  const doc = new Y.Doc()
  return {
    design: 'design',
    doc,
    awareness: new Awareness(doc),
    state: SESSION_STATE,
    subscribe: () => () => {},
    notices: new Listeners<Notice>(),
    retry: () => {},
    dismissRefusal: () => {},
    recoveries: async () => [],
    discardRecovery: async () => {},
    close: async () => {}
  }
}

const NOTHING: Selection = { nodes: [], edges: [] }

export class FakeEditor implements CanvasEditor {
  readonly session = fakeSession()
  /** Every act that was asked for, in order: its name and what it was given. */
  readonly asked: [act: string, ...args: unknown[]][] = []
  state: EditorState
  /** What applying a fix answers. */
  fixOutcome: FixOutcome = { kind: 'done', made: NOTHING }
  readonly #listeners = new Set<() => void>()

  constructor(view: DesignView = EMPTY_VIEW, selection: Selection = NOTHING) {
    this.state = { view, selection, canEdit: true, canUndo: false, canRedo: false, canPaste: false }
  }

  /** What happens from outside: somebody else edits, a role changes. */
  set(change: Partial<EditorState>): void {
    this.state = { ...this.state, ...change }
    for (const listener of [...this.#listeners]) listener()
  }

  /** Somebody else removes an element; as in the real editor it is no longer selected then. */
  losesElement(id: string): void {
    const nodes = new Map(this.state.view.nodes)
    const edges = new Map(this.state.view.edges)
    nodes.delete(id)
    edges.delete(id)
    const { selection } = this.state
    this.set({
      view: { ...this.state.view, nodes, edges },
      selection: {
        nodes: selection.nodes.filter(each => nodes.has(each)),
        edges: selection.edges.filter(each => edges.has(each))
      }
    })
  }

  acts(name: string): unknown[][] {
    return this.asked.filter(([act]) => act === name).map(([, ...args]) => args)
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  addNode(kind: string, at: Point): string | null {
    if (!this.#ask('addNode', kind, at)) return null
    const id = `new-${this.state.view.nodes.size}`
    const { width, height } = kindOf(kind) ?? { width: 0, height: 0 }
    this.#setNode(node(id, { type: kind }, { position: { x: at.x - width / 2, y: at.y - height / 2 } }))
    return id
  }

  connect(): string | null {
    throw new Error('The fake does not connect.')
  }

  reconnect(): boolean {
    throw new Error('The fake does not reconnect.')
  }

  patchElements(ids: readonly string[], patch: Patch): boolean {
    if (!this.#ask('patchElements', ids, patch)) return false
    for (const id of ids) {
      const found = this.state.view.nodes.get(id)
      if (found !== undefined) this.#setNode({ ...found, rest: patched(found.rest, patch) })
      const connection = this.state.view.edges.get(id)
      if (connection !== undefined) this.#setEdge(patchedEdge(connection, patch))
    }
    return true
  }

  patchData(ids: readonly string[], patch: Patch): boolean {
    if (!this.#ask('patchData', ids, patch)) return false
    this.#patchEach(ids, data => patched(data, patch))
    return true
  }

  patchFlags(ids: readonly string[], patch: Patch): boolean {
    if (!this.#ask('patchFlags', ids, patch)) return false
    this.#patchEach(ids, data => ({ ...data, securityFlags: patched(flagsOf(data), patch) }))
    return true
  }

  patchMeta(patch: Patch): boolean {
    if (!this.#ask('patchMeta', patch)) return false
    this.set({ view: { ...this.state.view, meta: patched(this.state.view.meta, patch) } })
    return true
  }

  moveNodes(): boolean {
    throw new Error('The fake does not move.')
  }

  resizeNode(): boolean {
    throw new Error('The fake does not resize.')
  }

  remove(selection: Selection): boolean {
    return this.#ask('remove', selection)
  }

  applyFix(fix: Fix): FixOutcome {
    return this.#ask('applyFix', fix) ? this.fixOutcome : { kind: 'refused', why: 'You may only look.' }
  }

  copy(selection: Selection): boolean {
    this.asked.push(['copy', selection])
    return true
  }

  paste(at?: Point): Selection | null {
    return this.#ask('paste', at) ? NOTHING : null
  }

  copiedText(): string | null {
    return 'what was copied'
  }

  pasteText(text: string): Selection | null {
    return this.#ask('pasteText', text) ? NOTHING : null
  }

  attach(): () => void {
    throw new Error('The fake has no canvas.')
  }

  duplicate(selection: Selection): Selection | null {
    return this.#ask('duplicate', selection) ? NOTHING : null
  }

  select(selection: Selection): void {
    this.asked.push(['select', selection])
    this.set({ selection })
  }

  undo(): void {
    this.asked.push(['undo'])
  }

  redo(): void {
    this.asked.push(['redo'])
  }

  reveal(id: string): void {
    this.asked.push(['reveal', id])
  }

  zoomToFit(): void {
    this.asked.push(['zoomToFit'])
  }

  zoomBy(factor: number): void {
    this.asked.push(['zoomBy', factor])
  }

  centre(): Point {
    return { x: 500, y: 300 }
  }

  destroy(): void {
    this.#listeners.clear()
  }

  #ask(...asked: [act: string, ...args: unknown[]]): boolean {
    this.asked.push(asked)
    return this.state.canEdit
  }

  #setNode(changed: DesignNode): void {
    const nodes = new Map(this.state.view.nodes).set(changed.id, changed)
    this.set({ view: { ...this.state.view, nodes } })
  }

  #setEdge(changed: DesignEdge): void {
    const edges = new Map(this.state.view.edges).set(changed.id, changed)
    this.set({ view: { ...this.state.view, edges } })
  }

  #patchEach(ids: readonly string[], change: (data: JsonObject) => JsonObject): void {
    for (const id of ids) {
      const found = this.state.view.nodes.get(id)
      if (found !== undefined) this.#setNode({ ...found, data: change(present(found.data)) })
      const connection = this.state.view.edges.get(id)
      if (connection !== undefined) this.#setEdge({ ...connection, data: change(present(connection.data)) })
    }
  }
}

function patched(object: JsonObject, patch: Patch): JsonObject {
  return present({ ...object, ...patch })
}

function present(object: Readonly<Record<string, Json | undefined>>): JsonObject {
  const kept: Record<string, Json> = {}
  for (const [key, value] of Object.entries(object)) if (value !== undefined) kept[key] = value
  return kept
}

function patchedEdge(connection: DesignEdge, patch: Patch): DesignEdge {
  const { label: before, ...others } = connection
  const { label = before, ...rest } = patch
  const next = { ...others, rest: patched(connection.rest, rest) }
  return typeof label === 'string' ? { ...next, label } : next
}
