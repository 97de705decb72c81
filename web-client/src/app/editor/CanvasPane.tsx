// The canvas, with what others do laid over it.

import { useCallback, useMemo } from 'react'
import type { CanvasEditor } from '../../binding/types'
import { type CanvasApi, EditorCanvas } from '../../canvas/EditorCanvas'
import type { Marks } from '../../canvas/marks'
import { useCommandContext, useUi } from '../../commands/context'
import { Cursors } from '../../presence/Cursors'
import { PeerRings } from '../../presence/PeerRings'
import { PresenceLayer } from '../../presence/PresenceLayer'
import type { PeersStore } from '../../presence/peers'
import type { Reporter } from '../../presence/reporter'

export interface CanvasPaneProps {
  editor: CanvasEditor
  reporter: Reporter
  /** Null: nothing is marked. */
  marks: Marks | null
}

export function CanvasPane({ editor, reporter, marks }: CanvasPaneProps) {
  const { presence, ui } = useCommandContext()
  const { hideOthers, minimap } = useUi()
  const drags = useMemo(() => (hideOthers ? undefined : dragsOf(presence)), [presence, hideOthers])
  const attach = useCallback(
    (api: CanvasApi) =>
      editor.attach({
        reveal: nodes => {
          const [first] = nodes
          if (nodes.length === 1 && first !== undefined) api.reveal(first)
          else ui.acts.view.fit(nodes)
        },
        fit: api.zoomToFit,
        zoomBy: api.zoomBy,
        centre: api.centre
      }),
    [editor, ui]
  )
  return (
    <EditorCanvas
      editor={editor}
      viewportKey={editor.session.design}
      onPointer={reporter.pointer}
      onDrag={reporter.drag}
      showMiniMap={minimap}
      attach={attach}
      marks={marks}
      {...(drags === undefined ? {} : { remoteDrags: drags })}
    >
      {!hideOthers && (
        <PresenceLayer>
          <PeerRings peers={presence} />
          <Cursors peers={presence} />
        </PresenceLayer>
      )}
    </EditorCanvas>
  )
}

const dragsOf = (peers: PeersStore) => ({ subscribe: peers.subscribe, get: () => peers.state.remoteDrags })
