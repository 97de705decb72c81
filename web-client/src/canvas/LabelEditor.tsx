// The field in which a node's label is written, above the node. Enter and leaving it keep what was written, Escape does not.

import { useInternalNode, useStore, ViewportPortal } from '@xyflow/react'
import { type KeyboardEvent, useCallback, useLayoutEffect, useRef } from 'react'
import { text } from '../design/elements'
import { LABEL_CHARS_MAX } from '../design/limits'
import { useLeaving } from '../ui/use-leaving'
import type { CanvasStore } from './canvas-store'
import type { CanvasNode } from './flow-nodes'
import { isContainer } from './geometry'

/** Never smaller on the screen than at this zoom, however far away the drawing is. */
const ZOOM_MIN = 0.85
/** Above selected nodes, below dialogs. */
const ABOVE_NODES = 3_500
const TITLE_HEIGHT = 28

export function LabelEditor({ id, store }: { id: string; store: CanvasStore }) {
  const node = useInternalNode<CanvasNode>(id)
  const zoom = useStore(state => state.transform[2])
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    field.current?.focus({ preventScroll: true })
    field.current?.select()
  }, [])
  useLeaving(useCallback(() => store.endEdit(id, field.current?.value ?? null), [store, id]))
  if (node === undefined) return null

  const finish = (label: string | null) => {
    store.endEdit(id, label)
    // The keyboard stays where it was: arrows, Delete and Tab go on from this node.
    document
      .querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)
      ?.focus({ preventScroll: true })
  }
  const press = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation()
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter') finish(event.currentTarget.value)
    if (event.key === 'Escape') finish(null)
  }
  const { x, y } = node.internals.positionAbsolute
  const { element } = node.data
  const { width = 0, height = 0 } = node.measured
  return (
    <ViewportPortal>
      <div
        className="pointer-events-auto absolute top-0 left-0 flex items-center justify-center"
        style={{
          transform: `translate(${x}px, ${y}px)`,
          width,
          height: isContainer(element) ? TITLE_HEIGHT : height,
          zIndex: ABOVE_NODES
        }}
      >
        <input
          ref={field}
          aria-label="Label"
          data-testid="label-editor"
          className="atlas-label-editor nodrag nopan nowheel nokey"
          style={{ width: Math.max(width - 12, 160), scale: Math.max(1, ZOOM_MIN / zoom) }}
          defaultValue={text(element.data.label)}
          maxLength={LABEL_CHARS_MAX}
          onInput={event => store.typed(id, event.currentTarget.value)}
          onKeyDown={press}
          onBlur={event => store.endEdit(id, event.currentTarget.value)}
        />
      </div>
    </ViewportPortal>
  )
}
