// What the pages work with, made once in main.tsx. Tests give their own.

import { createContext, use, useSyncExternalStore } from 'react'
import type { Account, AccountState } from '../sync/account'
import type { Api } from '../sync/api'
import type { LocalDesign } from '../sync/types'

/** What this device keeps of designs, for one person. */
export interface LocalDesigns {
  list(user: string): Promise<LocalDesign[]>
  /** Removes the local copy, unless something of it is only on this device: then it answers false. */
  forget(user: string, design: string): Promise<boolean>
}

export interface Services {
  account: Account
  api: Api
  local: LocalDesigns
}

const Context = createContext<Services | null>(null)

export const ServicesProvider = Context

export function useServices(): Services {
  const services = use(Context)
  if (services === null) throw new Error('Services are missing above this component.')
  return services
}

export function useAccount(): AccountState {
  const { account } = useServices()
  return useSyncExternalStore(
    listener => account.subscribe(listener),
    () => account.state
  )
}
