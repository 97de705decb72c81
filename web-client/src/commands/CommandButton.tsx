// Buttons of toolbars, drawn from the command itself so that a button never says something else than its shortcut does.

import { IconButton, type IconButtonProps } from '../ui/IconButton'
import { CommandIcon } from './CommandIcon'
import { useCommandContext, useCommandLook } from './context'
import { type CommandId, commandById, perform } from './registry'
import { shownShortcut } from './shortcuts'

export interface CommandButtonProps extends Pick<IconButtonProps, 'side' | 'className'> {
  id: CommandId
}

/** A command as a button of a toolbar: name, picture, shortcut and state are the command's own. */
export function CommandButton({ id, ...rest }: CommandButtonProps) {
  const context = useCommandContext()
  const command = commandById(id)
  const { title, enabled, checked } = useCommandLook(command, context)
  const [shortcut] = command.shortcuts
  // A name that says what a press will do ('Hide others') must not also claim to be pressed: screen readers would say both.
  const pressed = checked === undefined || typeof command.title !== 'string' ? {} : { pressed: checked }
  return (
    <IconButton
      name={title}
      icon={<CommandIcon command={command} size={17} on={checked} />}
      disabled={!enabled}
      onClick={() => perform(command, context)}
      {...pressed}
      {...(shortcut === undefined ? {} : { shortcut: shownShortcut(shortcut) })}
      {...rest}
    />
  )
}
