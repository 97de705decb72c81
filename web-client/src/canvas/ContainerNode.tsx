// A box that contains by geometry. Only its border and its title are solid: inside, the pointer reaches the canvas, so that people can
// pan there and draw a selection around what lies in it.

import { NodeResizer } from '@xyflow/react'
import { nodeTitle, text } from '../design/elements'
import { KindIcon } from '../ui/kind-icon'
import { useCanvasActions } from './actions'
import { ConnectHandles } from './ConnectHandles'
import type { CanvasNodeData } from './flow-nodes'
import { kindName } from './geometry'

interface ContainerNodeProps {
  element: CanvasNodeData['element']
  selected: boolean
  connectable: boolean
  resizable: boolean
}

/** Canvas units: the title and a card still fit. */
const WIDTH_MIN = 120
const HEIGHT_MIN = 80

const EDGES = ['top', 'right', 'bottom', 'left'] as const

export function ContainerNode({ element, selected, connectable, resizable }: ContainerNodeProps) {
  const { id } = element
  const title = nodeTitle(element)
  const zone = text(element.data.zone)
  const actions = useCanvasActions()
  return (
    <div className="atlas-box" data-kind={kindName(element)} data-selected={selected || undefined}>
      {EDGES.map(edge => (
        <div key={edge} className={`atlas-box-border atlas-box-${edge}`} />
      ))}
      <div className="atlas-box-title" title={zone === '' ? title : `${title}\n${zone}`}>
        <KindIcon kind={kindName(element)} size={16} />
        <span className="truncate text-[12px] font-semibold text-ink">{title}</span>
        {zone !== '' && <span className="min-w-0 truncate text-[11px] text-muted">{zone}</span>}
      </div>
      {resizable && (
        <NodeResizer
          minWidth={WIDTH_MIN}
          minHeight={HEIGHT_MIN}
          onResizeStart={() => actions.beginResize(id)}
          onResize={(_, box) => actions.resizeTo(id, box)}
          onResizeEnd={() => actions.endResize(id)}
        />
      )}
      {connectable && <ConnectHandles />}
    </div>
  )
}
