// An editor for tests, over plain data instead of a document: it counts what is written.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { Editor, EditorState, Selection } from '../../binding/types'
import type { DesignEdge, DesignNode, DesignView, Point } from '../../design/elements'
import { Listeners } from '../../sync/listeners'
import type { Notice } from '../../sync/notices'
import type { DesignSession, SessionState } from '../../sync/types'

export function node(id: string, x: number, y: number, more: Partial<DesignNode> = {}): DesignNode {
  return { id, type: 'custom', position: { x, y }, data: { type: 'web-server', label: id }, rest: {}, ...more }
}

export function box(id: string, x: number, y: number, width: number, height: number): DesignNode {
  return node(id, x, y, { width, height, data: { type: 'subnet', label: id } })
}

export function edge(id: string, source: string, target: string, more: Partial<DesignEdge> = {}): DesignEdge {
  return { id, source, target, data: {}, rest: {}, ...more }
}

export function viewOf(nodes: readonly DesignNode[], edges: readonly DesignEdge[] = []): DesignView {
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
  return {
    nodes: new Map([...nodes].sort(byId).map(each => [each.id, each])),
    edges: new Map([...edges].sort(byId).map(each => [each.id, each])),
    hidden: new Map(),
    meta: {}
  }
}

export interface FakeEditor extends Editor {
  /** Every call that would write, in order: the name of the act and what it got. */
  readonly acts: { act: string; of: unknown }[]
  set(change: Partial<EditorState>): void
  /** As after a reset: another document. */
  reset(view: DesignView): void
}

export function fakeEditor(view: DesignView): FakeEditor {
  const listeners = new Set<() => void>()
  const acts: { act: string; of: unknown }[] = []
  let state: EditorState = {
    view,
    selection: { nodes: [], edges: [] },
    canEdit: true,
    canUndo: false,
    canRedo: false,
    canPaste: false
  }
  const session = fakeSession()
  const set = (change: Partial<EditorState>) => {
    state = { ...state, ...change }
    for (const listener of [...listeners]) listener()
  }
  const act = (name: string, of: unknown, change?: () => DesignView): boolean => {
    if (!state.canEdit) return false
    acts.push({ act: name, of })
    if (change !== undefined) set({ view: change() })
    return true
  }
  const withNodes = (changed: readonly DesignNode[]): DesignView => ({
    ...state.view,
    nodes: new Map([...state.view.nodes, ...changed.map(each => [each.id, each] as const)])
  })
  const changeNodes = (ids: readonly string[], change: (before: DesignNode) => DesignNode): DesignView =>
    withNodes(ids.flatMap(id => state.view.nodes.get(id) ?? []).map(change))

  return {
    session: session.session,
    acts,
    set,
    reset: next => {
      session.next()
      set({ view: next })
    },
    get state() {
      return state
    },
    subscribe: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    addNode: (kind, at) => (act('addNode', { kind, at }) ? 'new' : null),
    connect: (source, target, handles) => {
      const id = `${source}-${target}`
      const edges = () => ({ ...state.view, edges: new Map([...state.view.edges, [id, edge(id, source, target)]]) })
      return act('connect', { source, target, handles }, edges) ? id : null
    },
    reconnect: (id, ends) => act('reconnect', { id, ends }),
    patchElements: (ids, patch) => act('patchElements', { ids, patch }),
    patchData: (ids, patch) =>
      act('patchData', { ids, patch }, () =>
        changeNodes(ids, before => ({ ...before, data: { ...before.data, ...patch } }))
      ),
    patchFlags: (ids, patch) => act('patchFlags', { ids, patch }),
    patchMeta: patch => act('patchMeta', patch),
    moveNodes: moves => {
      const to = new Map<string, Point>(moves.map(({ id, position }) => [id, position]))
      return act('moveNodes', moves, () =>
        changeNodes([...to.keys()], before => ({ ...before, position: to.get(before.id) ?? before.position }))
      )
    },
    resizeNode: (id, to) => act('resizeNode', { id, ...to }, () => changeNodes([id], before => ({ ...before, ...to }))),
    remove: selection => act('remove', selection),
    applyFix: fix => (act('applyFix', fix) ? { kind: 'nothing' } : { kind: 'refused', why: 'You may only look.' }),
    copy: () => false,
    paste: () => null,
    duplicate: () => null,
    select: (selection: Selection) => set({ selection }),
    undo: () => {},
    redo: () => {},
    reveal: () => {},
    zoomToFit: () => {},
    zoomBy: () => {},
    centre: () => ({ x: 0, y: 0 }),
    destroy: () => {}
  }
}

function fakeSession(): { session: DesignSession; next(): void } {
  const doc = new Y.Doc()
  let state: SessionState = {
    generation: 1,
    ready: true,
    saving: { kind: 'saved' },
    role: 'editor',
    canEdit: true,
    refusal: null,
    recoveries: 0,
    isWriting: false,
    localTrouble: null
  }
  const session: DesignSession = {
    design: 'design',
    doc,
    awareness: new Awareness(doc),
    get state() {
      return state
    },
    subscribe: () => () => {},
    notices: new Listeners<Notice>(),
    retry: () => {},
    dismissRefusal: () => {},
    recoveries: async () => [],
    discardRecovery: async () => {},
    close: async () => {}
  }
  return {
    session,
    next: () => {
      state = { ...state, generation: state.generation + 1 }
    }
  }
}
