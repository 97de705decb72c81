// How components reach the commands: the context comes from the page that has the editor open.

import { createContext, type ReactNode, use, useCallback, useEffect, useMemo, useSyncExternalStore } from 'react'
import type { CanvasEditor } from '../binding/types'
import type { PeersStore } from '../presence/peers'
import { listenForClipboard } from './clipboard'
import { listenForShortcuts } from './shortcuts'
import { type Command, type CommandContext, type EditorUi, titleOf, type UiState } from './types'

const Context = createContext<CommandContext | null>(null)

export interface CommandsProps {
  editor: CanvasEditor
  presence: PeersStore
  ui: EditorUi
  children: ReactNode
}

/** Offers the commands to everything below, and listens to the keyboard and the clipboard. */
export function Commands({ editor, presence, ui, children }: CommandsProps) {
  const context = useMemo(() => ({ editor, presence, ui, at: null }), [editor, presence, ui])
  useEffect(() => listenForShortcuts(() => context), [context])
  useEffect(() => listenForClipboard(() => context), [context])
  return <Context value={context}>{children}</Context>
}

export function useCommandContext(): CommandContext {
  const context = use(Context)
  if (context === null) throw new Error('Commands are used outside of <Commands>.')
  return context
}

export function useUi(): UiState {
  const { ui } = useCommandContext()
  return useSyncExternalStore(ui.subscribe, () => ui.state)
}

/** Calls back whenever the answer of a command to anything may have changed. */
export function useSubscribe(context: CommandContext): (listener: () => void) => () => void {
  return useCallback(
    listener => {
      const stops = [
        context.editor.subscribe(listener),
        context.presence.subscribe(listener),
        context.ui.subscribe(listener)
      ]
      return () => {
        for (const stop of stops) stop()
      }
    },
    [context]
  )
}

export interface CommandLook {
  title: string
  enabled: boolean
  /** Undefined: it switches nothing. */
  checked: boolean | undefined
}

/** How a command looks now; the component draws again only when that changes. */
export function useCommandLook(command: Command, context: CommandContext): CommandLook {
  const subscribe = useSubscribe(context)
  const title = useSyncExternalStore(subscribe, () => titleOf(command, context))
  const enabled = useSyncExternalStore(subscribe, () => command.enabled(context))
  const checked = useSyncExternalStore(subscribe, () => command.checked?.(context))
  return { title, enabled, checked }
}
