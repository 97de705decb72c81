// All shortcuts on one sheet (?).

import { Dialog } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import { useCommandContext, useUi } from './context'
import { COMMANDS } from './registry'
import { shownShortcut } from './shortcuts'
import { COMMAND_GROUPS, titleOf } from './types'

/** What the canvas itself does with keys and pointer, for which there is no command. */
const GESTURES: readonly (readonly [what: string, how: string])[] = [
  ['Move the view', 'Drag the canvas'],
  ['Zoom', 'Scroll, or pinch'],
  ['Select several', 'Shift and drag, or Shift and click'],
  ['Connect', 'Drag from a handle to another component'],
  ['Write a label', 'Double click, or F2'],
  ['Move what is selected', 'Arrow keys; Shift for larger steps']
]

/** Mount once below `Commands`; it is open while `ui.state.dialog` is 'shortcuts'. */
export function ShortcutSheet() {
  const context = useCommandContext()
  const { dialog } = useUi()
  return (
    <Dialog
      open={dialog === 'shortcuts'}
      onClose={() => context.ui.set({ dialog: null })}
      title="Keyboard shortcuts"
      size="wide"
    >
      {/* Low enough for the dialog on any window, so that its own edge shows where the list goes on. */}
      <section
        aria-label="Shortcuts"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: with the focus here the arrow keys scroll it, in every browser.
        tabIndex={0}
        className="max-h-[65vh] overflow-y-auto rounded-lg border border-line px-4 py-3"
      >
        <div className="gap-8 sm:columns-2">
          {COMMAND_GROUPS.map(group => {
            const commands = COMMANDS.filter(command => command.group === group && 0 < command.shortcuts.length)
            if (commands.length === 0) return null
            return (
              <section key={group} className="mb-5 break-inside-avoid">
                <h3 className="mb-1 text-xs font-semibold text-muted">{group}</h3>
                <dl>
                  {commands.map(command => (
                    <div key={command.id} className="flex items-center justify-between gap-3 py-1 text-sm">
                      <dt>{titleOf(command, context)}</dt>
                      <dd className="flex gap-1.5">
                        {command.shortcuts.map(shortcut => (
                          <Kbd key={shortcut} keys={shownShortcut(shortcut)} />
                        ))}
                      </dd>
                    </div>
                  ))}
                </dl>
              </section>
            )
          })}
          <section className="break-inside-avoid">
            <h3 className="mb-1 text-xs font-semibold text-muted">On the canvas</h3>
            <dl>
              {GESTURES.map(([what, how]) => (
                <div key={what} className="flex justify-between gap-3 py-1 text-sm">
                  <dt>{what}</dt>
                  <dd className="text-right text-muted">{how}</dd>
                </div>
              ))}
            </dl>
          </section>
        </div>
      </section>
    </Dialog>
  )
}
