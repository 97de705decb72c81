// Edits that a design was left with reach the server also when nobody opens it again: the list of designs sends them.

import type { Account } from '../../sync/account'
import type { Api } from '../../sync/api'
import type { LocalDesign } from '../../sync/types'
import { credentialsFor } from '../credentials'
import { sendBehind } from '../open-sessions'

interface Seams {
  account: Account
  api: Api
}

/** `covered` is called for each design of which the server has everything then. */
export async function sendUnsent(
  { account, api }: Seams,
  user: string,
  designs: readonly LocalDesign[],
  covered: () => void
): Promise<void> {
  const unsent = designs.filter(each => 0 < each.unsaved)
  if (unsent.length === 0) return
  // With the parts of the page that only an open design needs.
  const { openDesign } = await import('../../sync/session')
  for (const { design } of unsent) {
    const credentials = credentialsFor(account, api, user, design)
    const make = () => openDesign({ server: location.origin, user, design, credentials })
    sendBehind(user, design, make, covered)
  }
}
