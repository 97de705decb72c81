// For tests: people with a document, a history, and gestures that are acts of theirs.

import type * as Y from 'yjs'
import * as edits from '../../design/edits'
import type { JsonObject } from '../../design/elements'
import { History } from '../history'
import type { Selection } from '../types'
import { readView } from '../view'

export const node = (id: string, fields: JsonObject = {}) => ({ id, fields: { position: { x: 0, y: 0 }, ...fields } })
export const edge = (id: string, source: string, target: string) => ({ id, fields: { source, target } })

export class Person {
  selected: Selection = { nodes: [], edges: [] }
  now = 1_000_000
  readonly history: History

  constructor(readonly doc: Y.Doc) {
    this.history = new History(
      doc,
      () => this.selected,
      () => this.now
    )
  }

  get view() {
    return readView(this.doc)
  }

  act(run: (doc: Y.Doc) => void, key?: string): void {
    this.history.act(() => run(this.doc), key)
  }

  draw(...nodes: { id: string; fields: JsonObject }[]): void {
    this.act(doc => edits.insert(doc, { nodes, edges: [] }))
  }

  connect(id: string, source: string, target: string): void {
    this.act(doc => edits.insert(doc, { nodes: [], edges: [edge(id, source, target)] }))
  }

  move(id: string, x: number, y: number): void {
    this.act(doc => edits.moveNodes(doc, [{ id, position: { x, y } }]))
  }

  label(id: string, label: string, key?: string): void {
    this.act(doc => edits.patchData(doc, [id], { label }), key)
  }

  remove(...nodes: string[]): void {
    this.act(doc => edits.remove(doc, { nodes, edges: [] }))
  }

  undo() {
    return this.history.undo(selection => {
      this.selected = selection
    })
  }

  redo() {
    return this.history.redo(selection => {
      this.selected = selection
    })
  }
}
