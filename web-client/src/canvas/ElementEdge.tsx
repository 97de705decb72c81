// A connection: its colour says how safe its traffic is said to be, its chip what travels there.

import { BaseEdge, type EdgeProps, getSmoothStepPath } from '@xyflow/react'
import { memo, use } from 'react'
import { createPortal } from 'react-dom'
import { ChipLayerContext } from './actions'
import type { CanvasEdge, EdgeLook } from './flow-edges'
import { EdgeMark } from './marks-view'

const CORNER = 8

export const ElementEdge = memo(function ElementEdge(props: EdgeProps<CanvasEdge>) {
  const { sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, selected = false, data } = props
  const [path, labelX, labelY] = getSmoothStepPath({
    sourceX,
    sourceY,
    targetX,
    targetY,
    sourcePosition,
    targetPosition,
    borderRadius: CORNER
  })
  const chips = use(ChipLayerContext)
  const look: EdgeLook = data?.look ?? 'unknown'
  const words = data?.words ?? ''
  return (
    <>
      <BaseEdge
        path={path}
        className={`atlas-edge atlas-edge-${look}`}
        markerEnd={`url(#${selected ? 'atlas-arrow-selected' : `atlas-arrow-${look}`})`}
        interactionWidth={16}
      />
      {words !== '' &&
        chips !== null &&
        createPortal(
          <div
            className={`atlas-chip atlas-chip-${look}`}
            data-selected={selected || undefined}
            style={{ transform: `translate(-50%, -50%) translate(${labelX}px, ${labelY}px)` }}
          >
            {words}
          </div>,
          chips
        )}
      <EdgeMark id={props.id} path={path} x={labelX} y={labelY} words={words} />
    </>
  )
})

const ARROWS = ['encrypted', 'plain', 'unknown', 'selected'] as const

/** The heads of the arrows, one for each colour. Once on the page. */
export const Arrows = memo(function Arrows() {
  return (
    <svg className="absolute size-0" aria-hidden="true" focusable="false">
      <defs>
        {ARROWS.map(look => (
          <marker
            key={look}
            id={`atlas-arrow-${look}`}
            viewBox="0 0 10 10"
            refX="9"
            refY="5"
            markerWidth="11"
            markerHeight="11"
            markerUnits="userSpaceOnUse"
            orient="auto-start-reverse"
          >
            <path d="M0.5 1 L9 5 L0.5 9 z" className={`atlas-arrow-${look}`} />
          </marker>
        ))}
      </defs>
    </svg>
  )
})
