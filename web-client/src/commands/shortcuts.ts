// The keyboard: one listener on the window that finds the command of a key.
//
// A shortcut is modifiers and a key joined by '+': 'Mod+Shift+Z', 'Delete', '?'. Mod is Command on Macs and Control elsewhere. The key
// is compared with `event.key`, which is what the person's layout says, in lower case. On layouts without Latin letters the key's
// place stands in for them. Where a sign needs Shift depends on the layout, so Shift counts only with letters and named keys.

import { inField, inModal } from './places'
import { COMMANDS, perform } from './registry'
import type { Command, CommandContext } from './types'

export interface KeyPress {
  readonly key: string
  readonly code: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly shiftKey: boolean
  readonly altKey: boolean
}

interface Shortcut {
  mod: boolean
  shift: boolean
  key: string
}

export const onMac = (): boolean => /mac|iphone|ipad/i.test(navigator.platform)

export function parseShortcut(text: string): Shortcut {
  // '+' itself may be the key: 'Mod++'.
  const parts = text.split(/\+(?!$)/)
  const key = parts.at(-1) ?? ''
  const modifiers = parts.slice(0, -1)
  const strange = modifiers.find(modifier => modifier !== 'Mod' && modifier !== 'Shift')
  if (key === '' || strange !== undefined) throw new Error(`'${text}' is no shortcut.`)
  return { mod: modifiers.includes('Mod'), shift: modifiers.includes('Shift'), key: key.toLowerCase() }
}

const isSign = (key: string): boolean => key.length === 1 && !/\p{L}/u.test(key)

export function matches(text: string, press: KeyPress, mac: boolean): boolean {
  const { mod, shift, key } = parseShortcut(text)
  const [wanted, other] = mac ? [press.metaKey, press.ctrlKey] : [press.ctrlKey, press.metaKey]
  if (wanted !== mod || other || press.altKey) return false
  return keyOf(press) === key && (isSign(key) || press.shiftKey === shift)
}

/** The letter on the key, or where the layout has none of the Latin alphabet, the one at its place. */
function keyOf({ key, code }: KeyPress): string {
  const lower = key.toLowerCase()
  const foreign = lower.length === 1 && /\p{L}/u.test(lower) && !/[a-z]/.test(lower)
  const place = /^Key([A-Z])$/.exec(code)?.[1]
  return foreign && place !== undefined ? place.toLowerCase() : lower
}

const NAMES: Readonly<Record<string, string>> = { delete: 'Del', backspace: 'Backspace', escape: 'Esc' }

/** As people read it, for `Kbd`: 'Ctrl+Shift+Z', on Macs '⇧+⌘+Z'. */
export function shownShortcut(text: string, mac = onMac()): string {
  const { mod, shift, key } = parseShortcut(text)
  const name = NAMES[key] ?? key.toUpperCase()
  const modifiers = mac ? [shift && '⇧', mod && '⌘'] : [mod && 'Ctrl', shift && 'Shift']
  return [...modifiers.filter(modifier => modifier !== false), name].join('+')
}

/** Every shortcut with two commands: 'Mod+Z: undo, other'. A test wants none. */
export function conflicts(commands: readonly Command[]): string[] {
  const owners = new Map<string, string[]>()
  for (const { id, shortcuts } of commands) {
    for (const text of shortcuts) {
      const { mod, shift, key } = parseShortcut(text)
      const same = `${mod}/${shift && !isSign(key)}/${key}`
      owners.set(same, [...(owners.get(same) ?? []), `${text}: ${id}`])
    }
  }
  return [...owners.values()].filter(ids => 1 < ids.length).map(ids => ids.join(', '))
}

/** Listens until the returned function is called. `context` is asked at each key. */
export function listenForShortcuts(context: () => CommandContext, mac = onMac()): () => void {
  const listen = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return
    const now = context()
    // Dialogs and menus have the keyboard for themselves: Delete in one never deletes what is selected behind it.
    if (now.ui.state.dialog !== null || inModal(event.target)) return
    const command = COMMANDS.find(({ shortcuts }) => shortcuts.some(text => matches(text, event, mac)))
    if (command === undefined || (command.inFields !== true && inField(event.target))) return
    if (command.byBrowser === true) return
    const performed = event.repeat && command.repeats !== true ? true : perform(command, now)
    // The browser's own meaning of the key (search, bookmark, zoom) would only confuse, also when there is nothing to do just now.
    if (performed || command.shortcuts.some(text => text.startsWith('Mod+'))) event.preventDefault()
  }
  window.addEventListener('keydown', listen)
  return () => window.removeEventListener('keydown', listen)
}
