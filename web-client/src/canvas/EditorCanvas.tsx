// The drawing: React Flow over the editor's state. The document is the only truth; what this screen adds (selection frames, drags that
// have not ended, sizes while they change) is laid over it by `CanvasStore` and never written but once, at the end of a gesture.

import {
  Background,
  BackgroundVariant,
  ConnectionLineType,
  ConnectionMode,
  ReactFlow,
  type ReactFlowInstance,
  SelectionMode,
  ViewportPortal
} from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import { type ReactNode, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { Editor } from '../binding/types'
import type { Point } from '../design/elements'
import { toast } from '../ui/toasts'
import { CanvasActionsContext, ChipLayerContext } from './actions'
import './canvas.css'
import { CanvasMiniMap } from './CanvasMiniMap'
import { CanvasStore, type CanvasStoreOptions } from './canvas-store'
import { DesignNodeView } from './DesignNodeView'
import { Arrows, ElementEdge } from './ElementEdge'
import type { CanvasEdge } from './flow-edges'
import { dropHandlers, flowHandlers } from './flow-handlers'
import type { CanvasNode } from './flow-nodes'
import type { RemoteDrags } from './gestures'
import { listenForCanvasKeys } from './keyboard'
import { LabelEditor } from './LabelEditor'
import { type Marks, MarksContext, NO_MARKS } from './marks'
import { pointerReports } from './pointer'
import { type Attach, View } from './View'
import { recallViewport, rememberViewport } from './viewport-memory'

export type { CanvasApi } from './View'

export interface EditorCanvasProps {
  editor: Editor
  /** `presence/` has them. Shown without touching the document. */
  remoteDrags?: RemoteDrags
  /** Flow coordinates, at most once a frame; null: the pointer left the canvas. */
  onPointer?: (at: Point | null) => void
  onDrag?: CanvasStoreOptions['onDrag']
  /** Laid over the drawing, inside of React Flow: cursors, rings. */
  children?: ReactNode
  showMiniMap?: boolean
  /** Under which the view is remembered on this device: the design's id. */
  viewportKey: string
  /** Gets what moves the view, as soon as there is a canvas. */
  attach?: Attach
  /** What is said about elements: badges, rings, a trace. It changes without drawing the canvas again. */
  marks?: Marks | null
}

const NODE_TYPES = { atlas: DesignNodeView }
const EDGE_TYPES = { atlas: ElementEdge }
const ADD_TO_SELECTION = ['Meta', 'Control', 'Shift']
/** Pixels: a click with an unsteady hand moves nothing. */
const DRAG_THRESHOLD = 3
/** Below it chips and zones are too small to be read, and are not drawn. Written past React. */
const FAR_ZOOM = 0.4
/**
 * From this many nodes on, only what is in view is in the page. Measured with 1,000 nodes and 1,500 edges of which a tenth is in view: a
 * step of a drag takes half of the script (41 ms for 85 ms, two loaded cores) and a tenth of the layout. Smaller designs stay whole, so
 * that Tab reaches every node.
 */
const VISIBLE_ONLY_FROM = 300
/**
 * Below it a large design is whole, too: nearly all of it is in view, and to find out what is costs more than it saves (half of the frames
 * while panning).
 */
const WHOLE_ZOOM = 0.2
const ZOOM_MIN = 0.05
const ZOOM_MAX = 3

/** Stays until it is closed: it holds a text that stands nowhere else. */
const say = (message: string) => void toast(message, { tone: 'warn', lastsMs: null })

/** Another design gets another canvas. */
export function EditorCanvas(props: EditorCanvasProps) {
  return <Canvas key={props.viewportKey} {...props} />
}

function Canvas({
  editor,
  remoteDrags,
  onPointer,
  onDrag,
  children,
  showMiniMap = true,
  viewportKey,
  attach,
  marks = null
}: EditorCanvasProps) {
  const canvas = useRef<HTMLDivElement>(null)
  const store = useMemo(() => new CanvasStore({ editor, remoteDrags, onDrag, say }), [editor, remoteDrags, onDrag])
  const { nodes, edges, canEdit, editing } = useSyncExternalStore(store.subscribe, store.snapshot)
  const shownMarks = marks ?? NO_MARKS
  const isTracing = useSyncExternalStore(shownMarks.subscribe, () => shownMarks.isTracing)
  const handlers = useMemo(() => flowHandlers(store), [store])
  const flow = useRef<ReactFlowInstance<CanvasNode, CanvasEdge> | null>(null)
  const drop = useMemo(() => dropHandlers(store, pixel => flow.current?.screenToFlowPosition(pixel) ?? pixel), [store])
  const pointer = useMemo(
    () => pointerReports(pixel => flow.current?.screenToFlowPosition(pixel) ?? null, onPointer),
    [onPointer]
  )
  const [chips, setChips] = useState<HTMLElement | null>(null)
  const [remembered] = useState(() => recallViewport(viewportKey))
  const [isClose, setClose] = useState(remembered !== null && WHOLE_ZOOM <= remembered.zoom)

  useEffect(() => (canvas.current === null ? undefined : listenForCanvasKeys(store, canvas.current)), [store])

  useEffect(() => pointer.stop, [pointer])

  return (
    <div
      ref={canvas}
      data-testid="canvas"
      className="atlas-canvas size-full"
      data-editable={canEdit || undefined}
      data-tracing={isTracing || undefined}
      data-overview={!isClose || undefined}
      onPointerMove={pointer.onPointerMove}
      onPointerLeave={pointer.onPointerLeave}
      {...drop}
    >
      <CanvasActionsContext value={store}>
        <Arrows />
        <MarksContext value={shownMarks}>
          <ChipLayerContext value={chips}>
            <ReactFlow<CanvasNode, CanvasEdge>
              nodes={nodes}
              edges={edges}
              nodeTypes={NODE_TYPES}
              edgeTypes={EDGE_TYPES}
              {...handlers}
              nodesDraggable={canEdit}
              nodesConnectable={canEdit}
              edgesReconnectable={canEdit}
              connectionMode={ConnectionMode.Loose}
              connectionLineType={ConnectionLineType.SmoothStep}
              connectOnClick={false}
              reconnectRadius={12}
              deleteKeyCode={null}
              multiSelectionKeyCode={ADD_TO_SELECTION}
              selectionKeyCode="Shift"
              selectionMode={SelectionMode.Full}
              nodeDragThreshold={DRAG_THRESHOLD}
              zIndexMode="manual"
              onlyRenderVisibleElements={isClose && VISIBLE_ONLY_FROM <= nodes.length}
              zoomOnDoubleClick={false}
              minZoom={ZOOM_MIN}
              maxZoom={ZOOM_MAX}
              {...(remembered === null ? {} : { defaultViewport: remembered })}
              onInit={instance => {
                flow.current = instance
              }}
              onMove={(_, { zoom }) => {
                pointer.viewMoved()
                canvas.current?.toggleAttribute('data-far', zoom < FAR_ZOOM)
                setClose(WHOLE_ZOOM <= zoom)
              }}
              onMoveEnd={(_, viewport) => rememberViewport(viewportKey, viewport)}
            >
              <Background variant={BackgroundVariant.Dots} gap={24} size={1.5} />
              <ViewportPortal>
                <div ref={setChips} className="atlas-chips" />
              </ViewportPortal>
              <View attach={attach} fitFirst={remembered === null} />
              {showMiniMap && <CanvasMiniMap />}
              {editing !== null && <LabelEditor key={editing} id={editing} store={store} />}
              {children}
            </ReactFlow>
          </ChipLayerContext>
        </MarksContext>
      </CanvasActionsContext>
    </div>
  )
}
