// What others have selected, with their names: a ring around the box of a node, a glow along an edge.

import { useInternalNode, useStore } from '@xyflow/react'
import { Fragment, useLayoutEffect, useRef } from 'react'
import { NameTag } from './Cursors'
import type { Peer, PeersStore } from './peers'
import { usePeers } from './use-peers'

/** Rings drawn around one element; more would only be a blur. */
const RINGS_MAX = 3
/** Elements with rings; each asks the canvas where it is whenever anything moves. */
const ELEMENTS_MAX = 300
/** Somebody who has more than this selected is named at the first of them only. */
const NAMED_MAX = 5

/** Mount in a `PresenceLayer`. Not mounted: others' selections are hidden. */
export function PeerRings({ peers }: { peers: PeersStore }) {
  const selected = usePeers(peers, state => state.selected)
  return (
    <>
      {[...selected].slice(0, ELEMENTS_MAX).map(([element, others]) => (
        <Fragment key={element}>
          <NodeRings id={element} others={others} />
          <EdgeRing id={element} others={others} />
        </Fragment>
      ))}
    </>
  )
}

const namedAt = (peer: Peer, id: string): boolean => peer.selection.length <= NAMED_MAX || peer.selection[0] === id

interface RingProps {
  id: string
  others: readonly Peer[]
}

/** Nothing where no such node is drawn. */
function NodeRings({ id, others }: RingProps) {
  const node = useInternalNode(id)
  const { width, height } = node?.measured ?? {}
  if (node === undefined || width === undefined || height === undefined) return null
  const { x, y } = node.internals.positionAbsolute
  return (
    <div className="absolute top-0 left-0" style={{ transform: `translate(${x}px, ${y}px)`, width, height }}>
      {others.slice(0, RINGS_MAX).map((peer, at) => (
        <div
          key={peer.clientId}
          data-testid="peer-ring"
          data-element={id}
          data-user={peer.userId}
          className="absolute rounded-[10px] border-solid"
          style={{ borderColor: peer.colour, ...ringSize(at) }}
        />
      ))}
      <Names id={id} others={others} className="absolute -top-1.5 left-0 origin-bottom-left -translate-y-full" />
    </div>
  )
}

/** Each ring lies around the one before it; two pixels of the screen wide at every zoom. */
function ringSize(at: number): { inset: string; borderWidth: string } {
  return {
    inset: `calc(var(--unzoom, 1) * ${-3 - at * 3}px)`,
    borderWidth: 'calc(var(--unzoom, 1) * 2px)'
  }
}

/** Readable when zoomed out a little; further out the names become small with everything else, or they would cover it. */
function Names({ id, others, className }: RingProps & { className: string }) {
  const named = others.filter(peer => namedAt(peer, id))
  const [first] = named
  if (first === undefined) return null
  const name = named.length === 1 ? first.name : `${first.name} +${named.length - 1}`
  return (
    <div className={className} style={{ scale: 'clamp(0.5, var(--unzoom, 1), 1.8)' }}>
      <NameTag name={name} colour={first.colour} />
    </div>
  )
}

/** A glow along the edge. Nothing where no such edge is drawn. Only the drawn path knows its way, so it is asked whenever an end moved. */
function EdgeRing({ id, others }: RingProps) {
  const glow = useRef<SVGPathElement>(null)
  const name = useRef<HTMLDivElement>(null)
  const flow = useStore(state => state.domNode)
  const ends = useStore(state => {
    const edge = state.edgeLookup.get(id)
    if (edge === undefined) return null
    const corners = [edge.source, edge.target].map(end => {
      const node = state.nodeLookup.get(end)
      const { x, y } = node?.internals.positionAbsolute ?? {}
      return `${x},${y},${node?.measured.width},${node?.measured.height}`
    })
    return corners.join(' ')
  })
  useLayoutEffect(() => {
    if (ends === null) return
    const follow = () => {
      const path = flow?.querySelector(`.react-flow__edge[data-id="${CSS.escape(id)}"] .react-flow__edge-path`)
      if (!(path instanceof SVGPathElement) || glow.current === null || name.current === null) return
      glow.current.setAttribute('d', path.getAttribute('d') ?? '')
      const { x, y } = path.getPointAtLength(path.getTotalLength() / 2)
      name.current.style.transform = `translate(${x}px, ${y}px)`
    }
    // The edge itself is drawn again in the same frame, perhaps after this.
    const frame = requestAnimationFrame(follow)
    return () => cancelAnimationFrame(frame)
  }, [flow, id, ends])

  const [first] = others
  if (ends === null || first === undefined) return null
  return (
    <>
      <svg className="absolute top-0 left-0 size-px overflow-visible" aria-hidden="true">
        <path
          ref={glow}
          data-testid="peer-ring"
          data-element={id}
          data-user={first.userId}
          fill="none"
          stroke={first.colour}
          strokeLinecap="round"
          strokeOpacity={0.4}
          style={{ strokeWidth: 'calc(var(--unzoom, 1) * 7px)' }}
        />
      </svg>
      <div ref={name} className="absolute top-0 left-0">
        <Names id={id} others={others} className="absolute bottom-3.5 left-2 origin-bottom-left" />
      </div>
    </>
  )
}
