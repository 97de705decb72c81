// A component of the drawing as a card: what it is, what it is called, where it belongs.

import { nodeTitle, text } from '../design/elements'
import { KindIcon } from '../ui/kind-icon'
import { ConnectHandles } from './ConnectHandles'
import type { CanvasNodeData } from './flow-nodes'
import { kindName } from './geometry'

interface ElementNodeProps {
  element: CanvasNodeData['element']
  selected: boolean
  /** It may be connected, and the pointer is over it or it alone is selected. */
  connectable: boolean
}

export function ElementNode({ element, selected, connectable }: ElementNodeProps) {
  const title = nodeTitle(element)
  const zone = text(element.data.zone)
  return (
    <div className="atlas-card" data-selected={selected || undefined} title={zone === '' ? title : `${title}\n${zone}`}>
      <KindIcon kind={kindName(element)} size={22} />
      <div className="min-w-0 flex-1">
        <div className="line-clamp-2 text-[12px] leading-[15px] font-semibold break-words text-ink">{title}</div>
        {zone !== '' && <div className="mt-0.5 truncate text-[10.5px] leading-[14px] text-muted">{zone}</div>}
      </div>
      {connectable && <ConnectHandles />}
    </div>
  )
}
