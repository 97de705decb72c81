import { KindIcon } from '../ui/kind-icon'
import type { Command } from './types'

export function CommandIcon({ command, size }: { command: Command; size: number }) {
  const { icon: Icon, kind } = command
  if (kind !== undefined) return <KindIcon kind={kind} size={size} />
  return Icon === undefined ? null : <Icon size={size} aria-hidden="true" />
}
