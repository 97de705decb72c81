// Security flags of one or several elements: each is yes, no, or not said.

import { type ElementData, flagsOf, type Json } from '../design/elements'
import { type Common, common } from './common'
import { wrongKey } from './json-value'

export interface Flag {
  readonly name: string
  readonly value: Common
}

/** `other`: neither yes nor no, as other programs may write it. It is shown, and kept until somebody chooses. */
export type FlagState = 'yes' | 'no' | 'unsaid' | 'several' | 'other'

/** The usual flags, then all others that any of the elements has, sorted. */
export function flagsIn(elements: readonly { data: ElementData }[], usual: readonly string[]): Flag[] {
  const names = new Set(usual)
  const more = new Set<string>()
  for (const { data } of elements) for (const name of Object.keys(flagsOf(data))) if (!names.has(name)) more.add(name)
  return [...usual, ...[...more].sort()].map(name => ({
    name,
    value: common(elements, ({ data }) => ownFlag(data, name))
  }))
}

/** Own keys only: a flag called 'constructor' that nobody set is not there. */
function ownFlag(data: ElementData, name: string): Json | undefined {
  const flags = flagsOf(data)
  return Object.hasOwn(flags, name) ? flags[name] : undefined
}

export function flagState({ value }: Flag): FlagState {
  if (value.several) return 'several'
  switch (value.value) {
    case true:
      return 'yes'
    case false:
      return 'no'
    case undefined:
      return 'unsaid'
    default:
      return 'other'
  }
}

/** What to write for a choice; undefined removes the flag. */
export function flagValue(choice: 'yes' | 'no' | 'unsaid'): boolean | undefined {
  return choice === 'unsaid' ? undefined : choice === 'yes'
}

/** Why no flag of that name can be added, or null. */
export function wrongFlag(name: string, flags: readonly Flag[]): string | null {
  return wrongKey(name) ?? (flags.some(flag => flag.name === name) ? 'This flag is in the list already.' : null)
}
