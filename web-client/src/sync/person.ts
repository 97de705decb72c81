// Who is signed in, as it is remembered on this device: never a token, so that the page can start offline and nothing in storage opens anything.

import { entry } from './problems'

export interface Person {
  id: string
  email: string
  name: string
  /** The platform role: admin, architect, viewer or auditor; newer servers may know others. */
  role: string
}

/** What a device remembers. `ended`: the login ended by itself, and nobody signed out. */
export interface Remembered {
  person: Person
  ended: boolean
}

export const ACCOUNT_KEY = 'atlas.account'

export function readPerson(value: unknown): Person | null {
  const [id, email, name, role] = ['id', 'email', 'name', 'role'].map(key => entry(value, key))
  if (typeof id !== 'string' || id === '' || typeof email !== 'string' || typeof role !== 'string') return null
  return { id, email, name: typeof name === 'string' && name !== '' ? name : email, role }
}

export function recall(storage: Storage): Remembered | null {
  try {
    const kept: unknown = JSON.parse(storage.getItem(ACCOUNT_KEY) ?? 'null')
    const person = readPerson(entry(kept, 'person'))
    return person === null ? null : { person, ended: entry(kept, 'ended') === true }
  } catch {
    return null
  }
}

/** Without storage (a private window may refuse it) the person is known as long as the page is open. */
export function remember(storage: Storage, what: Remembered | null): void {
  try {
    if (what === null) storage.removeItem(ACCOUNT_KEY)
    else storage.setItem(ACCOUNT_KEY, JSON.stringify(what))
  } catch {
    // Nothing to do: the next start asks to sign in.
  }
}
