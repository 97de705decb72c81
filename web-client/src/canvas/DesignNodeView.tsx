// Every node of the drawing, whatever its `type` says: a box if its kind contains others, else a card.

import type { NodeProps } from '@xyflow/react'
import { memo, useState } from 'react'
import { Anchors } from './ConnectHandles'
import { ContainerNode } from './ContainerNode'
import { ElementNode } from './ElementNode'
import type { CanvasNode } from './flow-nodes'
import { isContainer } from './geometry'
import { NodeMark } from './marks-view'

/** Draws again for a change of its element, its selection or the right to edit. Where it stands is its wrapper's business. */
export const DesignNodeView = memo(
  function DesignNodeView({ data, selected, isConnectable }: NodeProps<CanvasNode>) {
    const { element, alone } = data
    const [hovered, setHovered] = useState(false)
    const connectable = isConnectable && (hovered || alone)
    return (
      <div className="size-full" onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)}>
        <Anchors />
        {isContainer(element) ? (
          <ContainerNode
            element={element}
            selected={selected}
            connectable={connectable}
            resizable={isConnectable && alone}
          />
        ) : (
          <ElementNode element={element} selected={selected} connectable={connectable} />
        )}
        <NodeMark id={element.id} />
      </div>
    )
  },
  (before, after) =>
    before.data === after.data && before.selected === after.selected && before.isConnectable === after.isConnectable
)
