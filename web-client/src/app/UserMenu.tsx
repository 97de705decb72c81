// Who is signed in, the theme, and the way out.

import { LogOut } from 'lucide-react'
import { useState, useSyncExternalStore } from 'react'
import type { Person } from '../sync/person'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuSeparator } from '../ui/Menu'
import { chooseTheme, subscribeTheme, type ThemeChoice, themeChoice } from '../ui/theme'
import { toast } from '../ui/toasts'
import { SignOutDialog } from './SignOutDialog'
import { useServices } from './services'
import { type Pending, pendingDesigns, signOut } from './sign-out'
import { messageOf } from './words'

const THEMES: readonly { value: ThemeChoice; label: string }[] = [
  { value: 'light', label: 'Light theme' },
  { value: 'dark', label: 'Dark theme' },
  { value: 'system', label: 'System theme' }
]

export function UserMenu({ person }: { person: Person }) {
  const services = useServices()
  const choice = useSyncExternalStore(subscribeTheme, themeChoice)
  const [pending, setPending] = useState<Pending | null>(null)

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
      if (unsent.kept.length + unsent.lost.length === 0) await leave()
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
      {pending !== null && <SignOutDialog pending={pending} onConfirm={leave} onClose={() => setPending(null)} />}
    </>
  )
}

/** 'Ada Lovelace' -> 'AL'. By characters as people see them, not by code units. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/)
  const first = [...(words[0] ?? '')][0] ?? '?'
  const last = 1 < words.length ? ([...(words.at(-1) ?? '')][0] ?? '') : ''
  return (first + last).toUpperCase()
}
