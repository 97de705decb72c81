// Signing out: nothing that is only on this device may go, and nothing that is saved elsewhere needs to stay.

import type { LocalDesign } from '../sync/types'
import { forgetCachedDesigns } from './designs/list-cache'
import { closeAllSessions } from './open-sessions'
import { navigate } from './router'
import type { Services } from './services'

/** Something of it is on this device only. */
const isPending = (design: LocalDesign): boolean => 0 < design.unsaved + design.recoveries

/** What would be asked about before signing out. */
export async function pendingDesigns({ local }: Services, user: string): Promise<LocalDesign[]> {
  return (await local.list(user)).filter(isPending)
}

/**
 * Closes what is open, removes the copies of which everything is saved, and ends the login. False: the server could not be told yet.
 * What is unsent stays, for when the same person signs in again here.
 */
export async function signOut(services: Services, user: string): Promise<boolean> {
  await closeAllSessions()
  // What another tab edits until the last moment stays: `forget` looks by itself.
  for (const { design } of await services.local.list(user).catch(() => [])) {
    await services.local.forget(user, design).catch(() => undefined)
  }
  forgetCachedDesigns(user)
  const told = await services.account.logout()
  navigate('/signin', { replace: true })
  return told
}
