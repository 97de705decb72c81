// The open design as something that can be acted upon: every act checks that the person may, writes one transaction, and is one undo step.

import type { NewElement } from '../design/edits'
import * as edits from '../design/edits'
import { type JsonObject, nodeTitle, type Point } from '../design/elements'
import { applyFix, type Fix, madeBy, missingFor } from '../design/fix'
import { newId } from '../design/ids'
import { type KindId, kindOf } from '../design/kinds'
import type { DesignSession } from '../sync/types'
import { Binding } from './binding'
import { type Clip, clipOf, clipText, middleOf, parseClip, renewed } from './clip'
import { whyNotFix, whyNotInsert, whyNotPatch } from './edit-checks'
import type { Outcome } from './history'
import { NOTHING_SELECTED } from './selection'
import type { CanvasEditor, EditorState, FixOutcome, Patch, Selection, ViewPort } from './types'

export interface EditorOptions {
  /** Short sentences for the person. */
  onMessage?: (text: string) => void
  /** Puts text on the system's clipboard, as far as the browser lets it. */
  writeClipboard?: (text: string) => void
}

/** How far a copy lies from what it was copied from, so that it does not cover it. */
const STEP = 20

type Ends = Parameters<CanvasEditor['reconnect']>[1]

export function createEditor(session: DesignSession, options: EditorOptions = {}): CanvasEditor {
  return new DesignEditor(session, options)
}

class DesignEditor implements CanvasEditor {
  readonly session: DesignSession
  readonly #binding: Binding
  readonly #say: (text: string) => void
  readonly #writeClipboard: (text: string) => void
  #copied: { clip: Clip; text: string; pastes: number } | null = null
  #port: ViewPort | null = null

  constructor(session: DesignSession, { onMessage, writeClipboard }: EditorOptions) {
    this.session = session
    this.#say = onMessage ?? (() => {})
    this.#writeClipboard = writeClipboard ?? (() => {})
    this.#binding = new Binding(session)
  }

  get state(): EditorState {
    return this.#binding.state
  }

  subscribe(listener: () => void): () => void {
    return this.#binding.subscribe(listener)
  }

  destroy(): void {
    this.#binding.destroy()
  }

  addNode(kindId: KindId, at: Point, { label }: { label?: string } = {}): string | null {
    const kind = kindOf(kindId)
    if (kind === null) return null
    const { width, height, container, title } = kind
    const position = this.#free({ x: Math.round(at.x - width / 2), y: Math.round(at.y - height / 2) })
    const id = newId()
    const fields: JsonObject = {
      type: 'custom',
      position: { x: position.x, y: position.y },
      ...(container && { width, height }),
      data: { type: kindId, label: label ?? title, securityFlags: {} }
    }
    return this.#insert({ nodes: [{ id, fields }], edges: [] }) ? id : null
  }

  /** A new edge says nothing about protocol, port and encryption: the architect has not said it yet. */
  connect: CanvasEditor['connect'] = (source, target, { sourceHandle, targetHandle } = {}) => {
    const ends = { source, target, sourceHandle: sourceHandle ?? null, targetHandle: targetHandle ?? null }
    if (!this.#mayConnect(ends)) return null
    const id = newId()
    const fields: JsonObject = {
      source,
      target,
      ...(ends.sourceHandle !== null && { sourceHandle: ends.sourceHandle }),
      ...(ends.targetHandle !== null && { targetHandle: ends.targetHandle }),
      type: 'smoothstep',
      data: { securityFlags: {} }
    }
    return this.#insert({ nodes: [], edges: [{ id, fields }] }) ? id : null
  }

  reconnect(id: string, ends: Ends): boolean {
    if (!this.state.view.edges.has(id) || !this.#mayConnect(ends, id)) return false
    const { source, target, sourceHandle, targetHandle } = ends
    const patch = { source, target, sourceHandle: sourceHandle ?? undefined, targetHandle: targetHandle ?? undefined }
    return this.#edit(doc => edits.patchElements(doc, [id], patch))
  }

  #mayConnect(ends: Ends, except?: string): boolean {
    const { nodes, edges } = this.state.view
    if (!this.state.canEdit || !nodes.has(ends.source) || !nodes.has(ends.target)) return false
    if (ends.source === ends.target) {
      this.#say('A node cannot be connected to itself.')
      return false
    }
    for (const edge of edges.values()) {
      const same =
        edge.source === ends.source &&
        edge.target === ends.target &&
        (edge.sourceHandle ?? null) === (ends.sourceHandle ?? null) &&
        (edge.targetHandle ?? null) === (ends.targetHandle ?? null)
      if (!same || edge.id === except) continue
      this.#say('These two are connected like that already. For a second connection, drag it to another side.')
      return false
    }
    return true
  }

  patchElements(ids: readonly string[], patch: Patch): boolean {
    return this.#patch('top', ids, patch, doc => edits.patchElements(doc, ids, patch))
  }

  patchData(ids: readonly string[], patch: Patch): boolean {
    return this.#patch('data', ids, patch, doc => edits.patchData(doc, ids, patch))
  }

  patchFlags(ids: readonly string[], patch: Patch): boolean {
    return this.#patch('flags', ids, patch, doc => edits.patchFlags(doc, ids, patch))
  }

  patchMeta(patch: Patch): boolean {
    return this.#patch('meta', ['meta'], patch, doc => edits.patchMeta(doc, patch))
  }

  #patch(where: string, ids: readonly string[], patch: Patch, write: (doc: DesignSession['doc']) => void): boolean {
    const why = whyNotPatch(patch, ids.length)
    if (why !== null && this.state.canEdit) this.#say(why)
    return why === null && this.#edit(write, JSON.stringify([where, ids, Object.keys(patch)]))
  }

  moveNodes(moves: readonly { id: string; position: Point }[]): boolean {
    return this.#edit(doc => edits.moveNodes(doc, moves))
  }

  resizeNode(id: string, { position, width, height }: { position: Point; width: number; height: number }): boolean {
    return this.#edit(doc => edits.patchElements(doc, [id], { position: { ...position }, width, height }))
  }

  remove(selection: Selection): boolean {
    return this.#edit(doc => edits.remove(doc, selection))
  }

  applyFix(fix: Fix): FixOutcome {
    const { view, canEdit } = this.state
    if (!canEdit) return { kind: 'refused', why: 'You can look at this design, but not change it.' }
    const missing = missingFor(fix, view)
    if (0 < missing.length) return { kind: 'gone', missing }
    const why = whyNotFix(fix, view)
    if (why !== null) return { kind: 'refused', why }
    const made = madeBy(fix, view)
    this.#edit(doc => applyFix(doc, fix, view))
    if (this.state.view === view) return { kind: 'nothing' }
    if (0 < made.nodes.length + made.edges.length) this.select(made)
    return { kind: 'done', made }
  }

  copy({ nodes }: Selection): boolean {
    const clip = clipOf(this.state.view, nodes)
    if (clip === null) return false
    const text = clipText(clip)
    this.#copied = { clip, text, pastes: 0 }
    this.#binding.setCanPaste()
    this.#writeClipboard(text)
    return true
  }

  copiedText(): string | null {
    return this.#copied?.text ?? null
  }

  paste(at?: Point): Selection | null {
    if (this.#copied === null || !this.state.canEdit) return null
    const { clip, pastes } = this.#copied
    const from = middleOf(clip)
    const by =
      at === undefined ? { x: STEP * (pastes + 1), y: STEP * (pastes + 1) } : { x: at.x - from.x, y: at.y - from.y }
    const pasted = this.#insertAnew(clip, by)
    if (pasted !== null && at === undefined) this.#copied = { ...this.#copied, pastes: pastes + 1 }
    return pasted
  }

  pasteText(text: string, at?: Point): Selection | null {
    if (!this.state.canEdit) return null
    if (text === this.#copied?.text) return this.paste(at)
    const clip = parseClip(text)
    if (clip === null) {
      this.#say('What is on the clipboard was not copied from a design.')
      return null
    }
    this.#copied = { clip, text, pastes: 0 }
    this.#binding.setCanPaste()
    return this.paste(at ?? this.centre())
  }

  duplicate({ nodes }: Selection): Selection | null {
    const clip = clipOf(this.state.view, nodes)
    return clip === null ? null : this.#insertAnew(clip, { x: STEP, y: STEP })
  }

  #insertAnew(clip: Clip, by: Point): Selection | null {
    const added = renewed(clip, by)
    return this.#insert(added) ? { nodes: idsOf(added.nodes), edges: idsOf(added.edges) } : null
  }

  /** Adds and selects. */
  #insert(added: Clip): boolean {
    if (!this.state.canEdit) return false
    const { nodes, edges, hidden } = this.state.view
    const why = whyNotInsert(added, { nodes: nodes.size, edges: edges.size + hidden.size })
    if (why !== null) {
      this.#say(why)
      return false
    }
    const done = this.#edit(doc => edits.insert(doc, added))
    if (done) this.select({ nodes: idsOf(added.nodes), edges: idsOf(added.edges) })
    return done
  }

  /** A place that does not hide a node which was added at the same point. */
  #free(position: Point): Point {
    const taken = new Set([...this.state.view.nodes.values()].map(({ position: { x, y } }) => `${x},${y}`))
    let { x, y } = position
    for (; taken.has(`${x},${y}`); x += STEP) y += STEP
    return { x, y }
  }

  #edit(write: (doc: DesignSession['doc']) => void, key: string | null = null): boolean {
    return this.#binding.act(write, key)
  }

  select(selection: Selection): void {
    this.#binding.select(selection)
  }

  undo(): void {
    this.#tell(this.#binding.undo())
  }

  redo(): void {
    this.#tell(this.#binding.redo())
  }

  #tell({ kept: [first, ...others] }: Outcome): void {
    if (first === undefined) return
    const node = this.state.view.nodes.get(first)
    const title = node === undefined ? 'A connection' : `“${nodeTitle(node)}”`
    const rest = others.length === 0 ? ' stays' : ` and ${others.length} more stay`
    this.#say(`${title}${rest}: others have worked on it since.`)
  }

  attach(port: ViewPort): () => void {
    this.#port = port
    return () => {
      if (this.#port === port) this.#port = null
    }
  }

  reveal(id: string): void {
    const { nodes, edges } = this.state.view
    const edge = edges.get(id)
    if (edge !== undefined) {
      this.select({ ...NOTHING_SELECTED, edges: [id] })
      this.#port?.reveal([edge.source, edge.target])
    } else if (nodes.has(id)) {
      this.select({ ...NOTHING_SELECTED, nodes: [id] })
      this.#port?.reveal([id])
    }
  }

  zoomToFit(): void {
    this.#port?.fit()
  }

  zoomBy(factor: number): void {
    this.#port?.zoomBy(factor)
  }

  centre(): Point {
    return this.#port?.centre() ?? { x: 0, y: 0 }
  }
}

const idsOf = (elements: readonly NewElement[]): string[] => elements.map(({ id }) => id)
