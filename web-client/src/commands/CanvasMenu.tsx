// What a right click on the canvas offers. A click on something that is not selected selects it first, as everywhere.

import { type MouseEvent, type ReactNode, useState } from 'react'
import type { Editor } from '../binding/types'
import type { Point } from '../design/elements'
import { ContextMenu, MenuItem, MenuSeparator } from '../ui/Menu'
import { CommandIcon } from './CommandIcon'
import { useCommandContext, useCommandLook } from './context'
import { type CommandId, commandById, perform } from './registry'
import { shownShortcut } from './shortcuts'
import type { CommandContext } from './types'

const ON_ELEMENTS: readonly (readonly CommandId[])[] = [
  ['cut', 'copy', 'paste', 'duplicate'],
  ['zoom-to-selection', 'toggle-inspector'],
  ['delete']
]
const ON_CANVAS: readonly (readonly CommandId[])[] = [
  ['undo', 'redo'],
  ['paste', 'select-all'],
  ['zoom-to-fit', 'search', 'command-palette']
]

/** Put it around the canvas. */
export function CanvasMenu({ children }: { children: ReactNode }) {
  const context = useCommandContext()
  const [opened, setOpened] = useState<{ at: Point; onElement: boolean }>({ at: { x: 0, y: 0 }, onElement: false })

  const open = (event: MouseEvent) => {
    const onElement = selectUnder(event.target, context.editor)
    setOpened({ at: context.ui.acts.view.toFlow({ x: event.clientX, y: event.clientY }), onElement })
  }
  const here: CommandContext = { ...context, at: opened.at }
  return (
    <ContextMenu
      target={
        // biome-ignore lint/a11y/noStaticElementInteractions: everything in the menu is reachable by the keyboard elsewhere.
        <div className="size-full" onContextMenu={open}>
          {children}
        </div>
      }
    >
      {(opened.onElement ? ON_ELEMENTS : ON_CANVAS).map((part, at) => (
        <div key={part[0]}>
          {0 < at && <MenuSeparator />}
          {part.map(id => (
            <Item key={id} id={id} context={here} />
          ))}
        </div>
      ))}
    </ContextMenu>
  )
}

function Item({ id, context }: { id: CommandId; context: CommandContext }) {
  const command = commandById(id)
  const { title, enabled } = useCommandLook(command, context)
  const [shortcut] = command.shortcuts
  return (
    <MenuItem
      onSelect={() => perform(command, context)}
      icon={<CommandIcon command={command} size={15} />}
      disabled={!enabled}
      danger={id === 'delete'}
      {...(shortcut === undefined ? {} : { shortcut: shownShortcut(shortcut) })}
    >
      {title}
    </MenuItem>
  )
}

/** Whether there is an element of the drawing under the pointer. */
function selectUnder(target: EventTarget, editor: Editor): boolean {
  if (!(target instanceof Element)) return false
  const node = target.closest('.react-flow__node')?.getAttribute('data-id')
  const edge = target.closest('.react-flow__edge')?.getAttribute('data-id')
  const { selection } = editor.state
  if (typeof node === 'string') {
    if (!selection.nodes.includes(node)) editor.select({ nodes: [node], edges: [] })
    return true
  }
  if (typeof edge === 'string') {
    if (!selection.edges.includes(edge)) editor.select({ nodes: [], edges: [edge] })
    return true
  }
  // The frame around several that are selected.
  return target.closest('.react-flow__nodesselection') !== null
}
