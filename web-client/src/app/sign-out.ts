// Signing out: nothing that is only on this device may go unasked, and nothing that is saved elsewhere needs to stay.

import type { LocalDesign } from '../sync/types'
import { forgetCachedDesigns } from './designs/list-cache'
import { closeSessionsOf, type WindowOnly, windowOnlyOf } from './open-sessions'
import { navigate } from './router'
import type { Services } from './services'

/** Something of it is on this device only, or nobody knows. */
const isPending = (design: LocalDesign): boolean => design.isUnreadable || 0 < design.unsaved + design.recoveries

/** What is asked about before signing out. */
export interface Pending {
  /** Stays on this device. */
  kept: readonly LocalDesign[]
  /** Is in this window only, and would be lost. */
  lost: readonly WindowOnly[]
}

export async function pendingDesigns({ local }: Services, user: string): Promise<Pending> {
  const listed = await local.list(user)
  const lost = windowOnlyOf(user)
  return { kept: listed.filter(each => isPending(each) && !lost.some(({ design }) => design === each.design)), lost }
}

/**
 * Closes what is open, removes the copies of which everything is saved, and ends the login. False: the server could not be told yet.
 * What is unsent stays, for when the same person signs in again here.
 */
export async function signOut(services: Services, user: string): Promise<boolean> {
  await closeSessionsOf(user)
  // What another tab edits until the last moment stays: `forget` looks by itself.
  for (const { design } of await services.local.list(user).catch(() => [])) {
    await services.local.forget(user, design).catch(() => undefined)
  }
  forgetCachedDesigns(user)
  const told = await services.account.logout()
  navigate('/signin', { replace: true })
  return told
}
