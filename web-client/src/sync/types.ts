// What the rest of the page knows of a design that is open: the shapes that `sync/` keeps and everybody above reads.

import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import type { Listeners } from './listeners'
import type { Notice } from './notices'

/** Roles on a design (docs/PROTOCOL.md, ROLE). */
export type Role = 'owner' | 'editor' | 'commenter' | 'viewer'

/**
 * What is true about the edits of this device. `unsaved` counts this device's transactions (of all its tabs) that the
 * server has not covered by `Saved`, after they were committed to IndexedDB.
 */
export type SavingState =
  /** Nothing can be shown yet: neither this device nor the server has told the document. */
  | { kind: 'loading' }
  /** Connected, and everything of this device is covered by `Saved`. */
  | { kind: 'saved' }
  /** Connected and healthy; `Saved` has not covered everything yet. */
  | { kind: 'saving'; unsaved: number }
  /** No socket. The edits are on this device. */
  | { kind: 'offline'; unsaved: number }
  /** Connected, and the server said `store.degraded`: it acknowledges nothing for now. */
  | { kind: 'trouble'; unsaved: number }
  /** Connected, and this person may not edit (role), or nobody may (`hello.read_only`). */
  | { kind: 'read-only'; reason: string }
  /** The design was deleted (4404), or this person is no longer a member (4403). */
  | { kind: 'removed'; why: 'deleted' | 'not-a-member'; unsaved: number }
  /** The login ended (4401, or a refresh that was refused). */
  | { kind: 'signed-out'; unsaved: number }
  /** This page cannot talk to the server any more (4400, 4413, a protocol that it does not know): a bug, told as one. */
  | { kind: 'broken'; reason: string; unsaved: number }

export interface Refusal {
  code: string
  message: string
  reset: boolean
  /** When it was heard, in milliseconds since 1970. */
  at: number
}

export interface SessionState {
  /** Grows by one whenever `doc` and `awareness` were replaced by new ones (after a reset). */
  generation: number
  /** The document may be shown: it came from this device or from the server. */
  ready: boolean
  saving: SavingState
  /** From the server; offline, the last that it told. Null: never heard. */
  role: Role | null
  /** What the page lets the person do: the role permits it, and nothing else speaks against it. */
  canEdit: boolean
  /** The newest refusal, until it is dismissed. */
  refusal: Refusal | null
  /** How many recovery files of this design this device keeps. */
  recoveries: number
  /** Edits of this tab are on their way to this device's storage: for some milliseconds they are in memory only. */
  isWriting: boolean
  /** Why edits are not kept on this device (private window, quota, a newer version of the page), or null. */
  localTrouble: string | null
}

/** What could not be kept after a reset: everything needed to bring it back by hand. */
export interface RecoveryFile {
  id: string
  design: string
  /** Milliseconds since 1970. */
  at: number
  /** Why, in words for people. */
  reason: string
  /** The elements and keys that were lost, as JSON that people can read and an import takes back. */
  json: string
  /** The Yjs update v1 of the whole document as it was on this device. */
  update: Uint8Array
}

/** One open design. Everything above asks it, nothing above talks to the server or to IndexedDB about a document. */
export interface DesignSession {
  readonly design: string
  /** The live document. After `state.generation` grew this is another object. */
  readonly doc: Y.Doc
  readonly awareness: Awareness
  /** A new object whenever anything in it changed. */
  readonly state: SessionState
  subscribe(listener: () => void): () => void
  /** What the server says on the socket, after `state` took it in. */
  readonly notices: Pick<Listeners<Notice>, 'subscribe'>
  /** Tries to connect now, not after the current pause. */
  retry(): void
  dismissRefusal(): void
  recoveries(): Promise<RecoveryFile[]>
  discardRecovery(id: string): Promise<void>
  /** Resolves when what was edited is on this device; the socket is closed then. */
  close(): Promise<void>
}

/** A design that this device has opened before, for lists and for signing out. */
export interface LocalDesign {
  design: string
  /** The name when it was last seen here. */
  name: string
  role: Role | null
  unsaved: number
  recoveries: number
  /** Its storage failed just now: what it holds is not known. */
  isUnreadable: boolean
  /** Milliseconds since 1970. */
  openedAt: number
}
