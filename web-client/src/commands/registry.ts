// All commands, and the two ways to ask for them.

import { ADD_COMMANDS } from './add-commands'
import { DESIGN_COMMANDS } from './design-commands'
import { EDIT_COMMANDS } from './edit-commands'
import { peopleCommands } from './people-commands'
import type { Command, CommandContext } from './types'
import { VIEW_COMMANDS } from './view-commands'

/** Those that are always there. */
export const COMMANDS: readonly Command[] = [...EDIT_COMMANDS, ...VIEW_COMMANDS, ...DESIGN_COMMANDS, ...ADD_COMMANDS]

/** Those, and one for each person who is here. */
export function commandsFor(context: CommandContext): readonly Command[] {
  return [...COMMANDS, ...peopleCommands(context)]
}

/** The ids that buttons and menus name in the code. */
export type CommandId =
  | 'undo'
  | 'redo'
  | 'cut'
  | 'copy'
  | 'paste'
  | 'duplicate'
  | 'delete'
  | 'select-all'
  | 'deselect'
  | 'command-palette'
  | 'search'
  | 'zoom-in'
  | 'zoom-out'
  | 'zoom-to-fit'
  | 'zoom-to-selection'
  | 'toggle-theme'
  | 'toggle-others'
  | 'toggle-minimap'
  | 'toggle-palette'
  | 'toggle-inspector'
  | 'toggle-findings'
  | 'toggle-marks'
  | 'shortcuts'
  | 'members'
  | 'rename'
  | 'download-json'
  | 'back-to-designs'

const byId: ReadonlyMap<string, Command> = new Map(COMMANDS.map(command => [command.id, command]))

export function commandById(id: CommandId): Command {
  const command = byId.get(id)
  if (command === undefined) throw new Error(`There is no command ${id}.`)
  return command
}

/** Performs a command where it is enabled; says whether it was. */
export function perform(command: Command, context: CommandContext): boolean {
  if (!command.enabled(context)) return false
  command.perform(context)
  return true
}
