// The canvas, with what others do laid over it.

import type { CanvasEditor } from '../../binding/types'
import type { Reporter } from '../../presence/reporter'

export interface CanvasPaneProps {
  editor: CanvasEditor
  reporter: Reporter
}

export function CanvasPane({ editor }: CanvasPaneProps) {
  return <div data-testid="canvas">{editor.state.view.nodes.size}</div>
}
