// One command for each person who is here now: to where they point.

import { Crosshair } from 'lucide-react'
import { cursorOf, type Person } from '../presence/peers'
import type { Command, CommandContext } from './types'

export function peopleCommands({ presence }: CommandContext): Command[] {
  return presence.state.people.map(person => ({
    id: `jump-to-${person.userId}`,
    title: `Jump to ${person.name}`,
    group: 'People',
    icon: Crosshair,
    words: ['follow', 'cursor', 'go to', 'find'],
    shortcuts: [],
    enabled: () => true,
    perform: context => jumpTo(context, person)
  }))
}

/** Once, not for ever: nobody loses their own view to somebody else's hand. */
export function jumpTo({ presence, ui }: Pick<CommandContext, 'presence' | 'ui'>, person: Person): void {
  const cursor = cursorOf(presence.state, person.userId)
  if (cursor === null) ui.acts.say(`${person.name} is not pointing at the canvas right now.`)
  else ui.acts.view.centreOn(cursor)
}
