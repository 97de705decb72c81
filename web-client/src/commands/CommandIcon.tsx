// The picture of a command, the same in toolbars, menus and the command palette.

import { KindIcon } from '../ui/kind-icon'
import type { Command } from './types'

export function CommandIcon({
  command,
  size,
  on = true
}: {
  command: Command
  size: number
  on?: boolean | undefined
}) {
  const { icon, iconOff, kind } = command
  const Icon = on ? icon : (iconOff ?? icon)
  if (kind !== undefined) return <KindIcon kind={kind} size={size} />
  return Icon === undefined ? null : <Icon size={size} aria-hidden="true" />
}
