// Undo and redo of one person: each act of theirs is one step, and nobody else's work is ever touched.
//
// Yjs' `UndoManager` remembers which items a step inserted and which it deleted; undoing deletes the former and makes the latter anew. What
// follows from that, and what this file adds:
//
// - **Somebody moved the node that I moved, or wrote into the key that I wrote:** theirs is the newer value; undoing mine changes nothing,
//   and the step before it is undone instead. Other keys of the element are other items and stay as they are.
// - **Somebody deleted the node that I changed:** there is nothing to undo in it; the step before it is undone instead.
// - **I deleted a node:** undoing makes fresh items with what was in it, `data` and `securityFlags` as shared maps again, and its edges in the
//   same step. What others wrote into it while it was being deleted is gone (docs/DOCUMENT.md): the element comes back as I saw it. By
//   itself Yjs would leave out just the keys that others wrote, a position even, since for those it knows a newer value; so for a step that
//   deletes whole elements it is told not to look for newer values (`ignoreRemoteMapChanges`). An element that somebody else has brought
//   back before is theirs, and left out of the step.
// - **I made a node or an edge and others have built on it since** (wrote into it, connected an edge to it, hung a node on it): by itself Yjs
//   would delete it with everything in it, and hide their edges. Here the whole element stays, with the ends of an edge that stays; the step
//   counts as undone as far as it could be, and `kept` names what stayed. The same holds when redoing a deletion.
//
// A history belongs to one document: after a reset there is a new one, and nothing to undo.

import * as Y from 'yjs'
import { edgesOf, metaOf, nodesOf, OWN } from '../design/document'
import { builtOnByOthers } from './others'
import { leaveOut, removedElements } from './removals'
import type { Selection } from './types'

/** Acts of one kind on the same elements and keys that come faster than this are one step: typing. */
const MERGE_MS = 500

const SELECTION = 'selection'

export interface Outcome {
  /** Something was undone, or kept back. */
  readonly done: boolean
  /** Elements of the step that stayed because others have built on them. */
  readonly kept: readonly string[]
}

type Step = Y.UndoManager['undoStack'][number]
type Kept = { readonly items: ReadonlySet<Y.Item>; readonly ids: readonly string[]; readonly whole: boolean }

export class History {
  readonly #doc: Y.Doc
  readonly #manager: Y.UndoManager
  readonly #selection: () => Selection
  readonly #now: () => number
  /** Client ids of this page: Yjs draws another when it meets its own. Written by every act. */
  readonly #own: Set<number>
  #lastKey: string | null = null
  #lastAt = 0
  /** The steps that are being undone, newest last, and what is kept of each; set while `undo` or `redo` runs. */
  #undoing: { steps: readonly Step[]; stack: readonly Step[]; kept: Map<Step, Kept> } | null = null
  #selectionBefore: Selection | null = null

  /** `selection` tells the present selection; `now` is in milliseconds. */
  constructor(doc: Y.Doc, selection: () => Selection, now: () => number = Date.now) {
    this.#doc = doc
    this.#selection = selection
    this.#now = now
    this.#own = new Set([doc.clientID])
    this.#manager = new Y.UndoManager([nodesOf(doc), edgesOf(doc), metaOf(doc), doc.getMap('comments')], {
      trackedOrigins: new Set([OWN]),
      captureTimeout: 0,
      deleteFilter: item => !this.#keeps(item)
    })
    this.#manager.on('stack-item-added', ({ stackItem }) => {
      stackItem.meta.set(SELECTION, this.#selectionBefore ?? this.#selection())
    })
  }

  get canUndo(): boolean {
    return this.#manager.canUndo()
  }

  get canRedo(): boolean {
    return this.#manager.canRedo()
  }

  /** Runs an act that writes under `OWN`. Acts with an equal `key` that follow each other quickly are one step. */
  act<T>(run: () => T, key: string | null = null): T {
    const at = this.#now()
    const merges = key !== null && key === this.#lastKey && at - this.#lastAt < MERGE_MS
    this.#lastKey = key
    this.#lastAt = at
    this.#own.add(this.#doc.clientID)
    this.#selectionBefore = this.#selection()
    // Whoever writes under `OWN` without this function gets a step of their own.
    this.#manager.captureTimeout = merges ? Number.POSITIVE_INFINITY : 0
    try {
      return run()
    } finally {
      this.#manager.captureTimeout = 0
      this.#selectionBefore = null
    }
  }

  /** Calls `restore` with the selection of that moment, if something changed. */
  undo(restore: (selection: Selection) => void): Outcome {
    return this.#pop('undo', restore)
  }

  redo(restore: (selection: Selection) => void): Outcome {
    return this.#pop('redo', restore)
  }

  destroy(): void {
    this.#manager.destroy()
  }

  #pop(way: 'undo' | 'redo', restore: (selection: Selection) => void): Outcome {
    const stack = way === 'undo' ? this.#manager.undoStack : this.#manager.redoStack
    const top = stack.at(-1)
    if (top === undefined) return { done: false, kept: [] }
    this.#lastKey = null
    this.#own.add(this.#doc.clientID)
    const kept = builtOnByOthers(this.#doc, top.insertions, this.#own)
    if (kept.whole && top.deletions.clients.size === 0) {
      // All of it stays. Yjs would go on to the step before, which nobody asked for.
      stack.pop()
      return { done: true, kept: kept.ids }
    }
    const removed = removedElements(this.#doc, top)
    leaveOut(this.#doc, top, removed.broughtBack)
    this.#manager.ignoreRemoteMapChanges = removed.all.size > 0
    this.#undoing = { steps: [...stack], stack, kept: new Map([[top, kept]]) }
    try {
      const step = way === 'undo' ? this.#manager.undo() : this.#manager.redo()
      const ids = step === null ? [] : (this.#undoing.kept.get(step)?.ids ?? [])
      const selection: unknown = step?.meta.get(SELECTION)
      if (isSelection(selection)) restore(selection)
      return { done: step !== null, kept: ids }
    } finally {
      this.#undoing = null
      this.#manager.ignoreRemoteMapChanges = false
    }
  }

  /** Asked for every item that Yjs is about to delete. Steps that change nothing any more are popped on the way: each is judged by itself. */
  #keeps(item: Y.Item): boolean {
    if (this.#undoing === null) return false
    const { steps, stack, kept } = this.#undoing
    const step = steps[stack.length]
    if (step === undefined) return false
    let judged = kept.get(step)
    if (judged === undefined) {
      judged = builtOnByOthers(this.#doc, step.insertions, this.#own)
      kept.set(step, judged)
    }
    return judged.items.has(item)
  }
}

function isSelection(value: unknown): value is Selection {
  return typeof value === 'object' && value !== null && 'nodes' in value && 'edges' in value
}
