// The pointers of the others, gliding. React draws one element for each pointer that comes or goes; where they are is written by the
// glider, and never passes through React.

import { useCallback, useEffect, useRef, useState } from 'react'
import { PEER_INK } from './colours'
import { Glider } from './glide'
import type { Peer, PeersState, PeersStore } from './peers'
import { usePeers } from './use-peers'

/** Mount in a `PresenceLayer`. Not mounted: others' cursors are hidden. */
export function Cursors({ peers }: { peers: PeersStore }) {
  const [glider] = useState(() => new Glider())
  const pointing = usePointing(peers)

  useEffect(() => {
    const follow = () => {
      for (const { clientId, cursor } of peers.state.peers) if (cursor !== null) glider.aim(clientId, cursor)
    }
    follow()
    return peers.subscribe(follow)
  }, [peers, glider])
  useEffect(() => () => glider.stop(), [glider])

  return (
    <>
      {pointing.map(peer => (
        <Cursor key={peer.clientId} peer={peer} peers={peers} glider={glider} />
      ))}
    </>
  )
}

/** Those with a pointer on the canvas: the same list until somebody's pointer comes, goes or changes its looks. */
function usePointing(peers: PeersStore): readonly Peer[] {
  const last = useRef<readonly Peer[]>([])
  return usePeers(peers, (state: PeersState) => {
    const now = state.peers.filter(peer => peer.cursor !== null)
    const before = last.current
    const same =
      now.length === before.length && now.every((peer, at) => before[at] !== undefined && looksLike(peer, before[at]))
    if (!same) last.current = now
    return last.current
  })
}

const looksLike = (a: Peer, b: Peer): boolean =>
  a.clientId === b.clientId && a.name === b.name && a.colour === b.colour && a.userId === b.userId

function Cursor({ peer, peers, glider }: { peer: Peer; peers: PeersStore; glider: Glider }) {
  const { clientId } = peer
  const mount = useCallback(
    (element: HTMLDivElement | null) => {
      const cursor = peers.state.peers.find(each => each.clientId === clientId)?.cursor
      if (element === null || cursor === null || cursor === undefined) return
      glider.add(clientId, element, cursor)
      return () => glider.remove(clientId)
    },
    [clientId, peers, glider]
  )
  return (
    <div
      ref={mount}
      data-testid="cursor"
      data-user={peer.userId}
      className="absolute top-0 left-0 origin-top-left opacity-100 transition-opacity duration-700 will-change-transform data-still:opacity-0"
    >
      <svg width="22" height="24" viewBox="0 0 18 20" aria-hidden="true" className="drop-shadow-sm">
        <path
          d="M1.5 1.2l13.8 8.1-6.2 1.4-3.3 5.6z"
          fill={peer.colour}
          stroke={PEER_INK}
          strokeWidth="1.2"
          strokeLinejoin="round"
        />
      </svg>
      <NameTag name={peer.name} colour={peer.colour} className="absolute top-5 left-3.5" />
    </div>
  )
}

export function NameTag({ name, colour, className = '' }: { name: string; colour: string; className?: string }) {
  return (
    <bdi
      className={`block max-w-44 truncate rounded-md px-1.5 py-0.5 text-[11px] leading-4 font-medium whitespace-nowrap ${className}`}
      style={{ backgroundColor: colour, color: PEER_INK }}
    >
      {name}
    </bdi>
  )
}
