// What to do first, in the middle of a canvas on which nothing stands yet.

import type { Editor } from '../../binding/types'
import { useUi } from '../../commands/context'
import { commandById } from '../../commands/registry'
import { shownShortcut } from '../../commands/shortcuts'
import { useEditorState } from '../../panels/use-editor'
import { Kbd } from '../../ui/Kbd'

/** Gone with the first component. The pointer goes through it, so that components can be dropped there. */
export function BlankHint({ editor }: { editor: Editor }) {
  const { view, canEdit } = useEditorState(editor)
  const { palette } = useUi()
  if (!canEdit || 0 < view.nodes.size) return null
  const [shortcut] = commandById('command-palette').shortcuts
  return (
    <div
      data-testid="blank-hint"
      className="pointer-events-none absolute inset-0 flex select-none items-center justify-center p-6"
    >
      <p className="max-w-sm text-center text-sm leading-relaxed text-muted">
        {palette ? 'Drag a component from the left onto the canvas, or press' : 'Press'}{' '}
        {shortcut !== undefined && <Kbd keys={shownShortcut(shortcut)} />} for everything that can be done.
      </p>
    </div>
  )
}
