// Who is signed in, the theme, and the way out.

import { LogOut } from 'lucide-react'
import { useState, useSyncExternalStore } from 'react'
import type { Person } from '../sync/person'
import type { LocalDesign } from '../sync/types'
import { ConfirmDialog } from '../ui/Dialog'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuSeparator } from '../ui/Menu'
import { chooseTheme, subscribeTheme, type ThemeChoice, themeChoice } from '../ui/theme'
import { toast } from '../ui/toasts'
import { useServices } from './services'
import { pendingDesigns, signOut } from './sign-out'
import { count, messageOf } from './words'

const THEMES: readonly { value: ThemeChoice; label: string }[] = [
  { value: 'light', label: 'Light theme' },
  { value: 'dark', label: 'Dark theme' },
  { value: 'system', label: 'System theme' }
]

export function UserMenu({ person }: { person: Person }) {
  const services = useServices()
  const choice = useSyncExternalStore(subscribeTheme, themeChoice)
  const [pending, setPending] = useState<readonly LocalDesign[]>([])

  const leave = async () => {
    if (!(await signOut(services, person.id))) {
      toast(
        'You are signed out on this device. The server could not be told yet; it will be as soon as it can be reached.',
        {
          tone: 'warn'
        }
      )
    }
  }
  const ask = async () => {
    try {
      const unsent = await pendingDesigns(services, person.id)
      if (unsent.length === 0) await leave()
      else setPending(unsent)
    } catch (error) {
      toast(`Not signed out: what is on this device could not be read. ${messageOf(error)}`, { tone: 'danger' })
    }
  }
  return (
    <>
      <Menu
        trigger={
          <button
            type="button"
            data-testid="user-menu"
            aria-label={`Account of ${person.name}`}
            className="inline-flex size-8 shrink-0 cursor-pointer items-center justify-center rounded-full bg-accent-soft text-xs font-semibold text-accent hover:ring-2 hover:ring-line"
          >
            {initials(person.name)}
          </button>
        }
      >
        <MenuLabel>
          <span className="block text-sm font-medium text-ink">{person.name}</span>
          {person.email}
        </MenuLabel>
        <MenuSeparator />
        <MenuChoice value={choice} onChange={chooseTheme} choices={THEMES} />
        <MenuSeparator />
        <MenuItem icon={<LogOut size={14} />} onSelect={() => void ask()}>
          Sign out
        </MenuItem>
      </Menu>
      <ConfirmDialog
        open={0 < pending.length}
        title="Some of your work is only on this device"
        confirm="Keep and sign out"
        onConfirm={leave}
        onClose={() => setPending([])}
      >
        <p>These designs have something that the server does not have yet:</p>
        <ul className="my-2 list-disc pl-5">
          {pending.map(each => (
            <li key={each.design}>
              <strong>{each.name}</strong>: {whatIsPending(each)}
            </li>
          ))}
        </ul>
        <p>
          If you sign out now it is kept here, in this browser, and sent when you sign in here again. Others who use
          this browser could find it.
        </p>
      </ConfirmDialog>
    </>
  )
}

function whatIsPending({ unsaved, recoveries }: LocalDesign): string {
  const parts = [
    ...(0 < unsaved ? [count(unsaved, 'unsent edit')] : []),
    ...(0 < recoveries ? [count(recoveries, 'recovery file')] : [])
  ]
  return parts.join(', ')
}

/** 'Ada Lovelace' -> 'AL'. By characters as people see them, not by code units. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/)
  const first = [...(words[0] ?? '')][0] ?? '?'
  const last = 1 < words.length ? ([...(words.at(-1) ?? '')][0] ?? '') : ''
  return (first + last).toUpperCase()
}
