// Who else is here, from what they tell about themselves: parsed, bounded, and cut into parts that keep their identity while they
// say the same, so that a cursor that moves draws no avatar again. No framework: components subscribe, and so do frames.

import type { Awareness } from 'y-protocols/awareness'
import type { Point } from '../design/elements'
import { type PresenceState, readPresence } from '../sync/presence-state'
import { peerColour } from './colours'
import { initials, shownName } from './names'

/** Others that are shown at once. The rest are only counted. */
export const PEERS_MAX = 100

/** One window of one person. */
export interface Peer {
  readonly clientId: number
  readonly userId: string
  /** Fit to be shown. */
  readonly name: string
  readonly initials: string
  readonly colour: string
  /** The same person as here, in another window. */
  readonly own: boolean
  readonly cursor: Point | null
  readonly selection: readonly string[]
  readonly drag: PresenceState['drag']
}

/** Somebody with all their windows. */
export interface Person {
  readonly userId: string
  readonly name: string
  readonly initials: string
  readonly colour: string
  readonly own: boolean
  /** Ascending. */
  readonly clientIds: readonly number[]
}

/** How far a node is from where the document has it, while somebody else drags it. */
export interface RemoteDrag {
  readonly dx: number
  readonly dy: number
  readonly color: string
  readonly name: string
  /** The user's id. */
  readonly by: string
}

export interface PeersState {
  /** Ascending by client id, at most `PEERS_MAX`. */
  readonly peers: readonly Peer[]
  /** This person's other windows first, then by client id. Changes only when somebody comes, goes or is renamed. */
  readonly people: readonly Person[]
  /** Element id -> who has it selected. Changes only when a selection does. */
  readonly selected: ReadonlyMap<string, readonly Peer[]>
  /** Node id -> its drag. Changes only when a drag does. */
  readonly remoteDrags: ReadonlyMap<string, RemoteDrag>
  /** Windows beyond `PEERS_MAX`. */
  readonly more: number
}

const NOBODY: PeersState = { peers: [], people: [], selected: new Map(), remoteDrags: new Map(), more: 0 }

interface AwarenessChange {
  added: number[]
  updated: number[]
  removed: number[]
}

/** Where somebody points, in whichever of their windows; null while they point nowhere. */
export function cursorOf(state: PeersState, userId: string): Point | null {
  return state.peers.find(peer => peer.userId === userId && peer.cursor !== null)?.cursor ?? null
}

/** Listens to the awareness while somebody listens to it; read at any other time, it looks anew. */
export class PeersStore {
  #state: PeersState = NOBODY
  readonly #awareness: Awareness
  readonly #ownUserId: string
  /** Everybody whose state could be read, by client id, with what they said: a state that is replaced is another object. */
  readonly #known = new Map<number, { said: unknown; peer: Peer }>()
  readonly #listeners = new Set<() => void>()

  constructor(awareness: Awareness, ownUserId: string) {
    this.#awareness = awareness
    this.#ownUserId = ownUserId
  }

  get state(): PeersState {
    if (this.#listeners.size === 0) this.#readAll()
    return this.#state
  }

  subscribe = (listener: () => void): (() => void) => {
    if (this.#listeners.size === 0) {
      this.#awareness.on('change', this.#changed)
      this.#readAll()
    }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#awareness.off('change', this.#changed)
    }
  }

  destroy(): void {
    this.#awareness.off('change', this.#changed)
    this.#listeners.clear()
  }

  readonly #changed = ({ added, updated, removed }: AwarenessChange): void => {
    for (const clientId of [...added, ...updated, ...removed]) this.#read(clientId)
    if (this.#derive()) for (const listener of [...this.#listeners]) listener()
  }

  #readAll(): void {
    for (const clientId of new Set([...this.#known.keys(), ...this.#awareness.getStates().keys()])) this.#read(clientId)
    this.#derive()
  }

  #read(clientId: number): void {
    const said = this.#awareness.getStates().get(clientId)
    if (said !== undefined && this.#known.get(clientId)?.said === said) return
    const state = clientId === this.#awareness.clientID ? null : readPresence(said)
    if (state === null) this.#known.delete(clientId)
    else this.#known.set(clientId, { said, peer: peerOf(clientId, state, this.#ownUserId) })
  }

  /** Whether anything changed that can be seen. */
  #derive(): boolean {
    const before = this.#state
    const all = [...this.#known.values()].map(({ peer }) => peer).sort((a, b) => a.clientId - b.clientId)
    const peers = all.slice(0, PEERS_MAX)
    const more = all.length - peers.length
    const gone = peers.length !== before.peers.length || peers.some((peer, at) => peer !== before.peers[at])
    if (!gone && more === before.more) return false
    const same = (part: (peer: Peer) => unknown) => sameBy(before.peers, peers, part)
    this.#state = {
      peers,
      more,
      people: same(identity) ? before.people : peopleOf(peers),
      selected: same(peer => `${identity(peer)}\n${peer.selection.join('\n')}`) ? before.selected : selectedOf(peers),
      remoteDrags: same(peer => peer.drag && `${identity(peer)}\n${JSON.stringify(peer.drag)}`)
        ? before.remoteDrags
        : dragsOf(peers)
    }
    return true
  }
}

const identity = (peer: Peer): string => JSON.stringify([peer.clientId, peer.userId, peer.name, peer.colour])

function sameBy(before: readonly Peer[], after: readonly Peer[], part: (peer: Peer) => unknown): boolean {
  if (before.length !== after.length) return false
  return after.every((peer, at) => {
    const old = before[at]
    return old !== undefined && (old === peer || part(old) === part(peer))
  })
}

function peerOf(clientId: number, state: PresenceState, ownUserId: string): Peer {
  const { user, cursor, selection, drag } = state
  const own = user.id === ownUserId
  const name = shownName(user.name)
  return {
    clientId,
    userId: user.id,
    name: own ? `${name} (you, other window)` : name,
    initials: initials(name),
    colour: peerColour(user.color),
    own,
    cursor,
    selection: [...new Set(selection)],
    drag
  }
}

function peopleOf(peers: readonly Peer[]): Person[] {
  const people = new Map<string, Person>()
  for (const { clientId, userId, name, initials, colour, own } of peers) {
    const known = people.get(userId)
    people.set(
      userId,
      known === undefined
        ? { userId, name, initials, colour, own, clientIds: [clientId] }
        : { ...known, clientIds: [...known.clientIds, clientId] }
    )
  }
  return [...people.values()].sort((a, b) => Number(b.own) - Number(a.own))
}

function selectedOf(peers: readonly Peer[]): Map<string, Peer[]> {
  const selected = new Map<string, Peer[]>()
  for (const peer of peers) {
    for (const element of peer.selection) {
      const others = selected.get(element)
      if (others === undefined) selected.set(element, [peer])
      else others.push(peer)
    }
  }
  return selected
}

/** Of two who drag one node, the one with the lower client id shows: on every screen the same. */
function dragsOf(peers: readonly Peer[]): Map<string, RemoteDrag> {
  const drags = new Map<string, RemoteDrag>()
  for (const { drag, colour, name, userId } of peers) {
    for (const id of drag?.ids ?? []) {
      if (drag !== null && !drags.has(id)) drags.set(id, { dx: drag.dx, dy: drag.dy, color: colour, name, by: userId })
    }
  }
  return drags
}
