// What the socket of a design needs of the person: tickets and tokens, with failures in the words that the connection understands.

import type { Account } from '../sync/account'
import type { Api } from '../sync/api'
import { CredentialError, type CredentialProblem, type Credentials } from '../sync/credentials'
import { ApiProblem, SignedOut } from '../sync/problems'
import { messageOf } from './words'

/** Credentials of one person for one design: once somebody else is signed in, they are good for nothing. */
export function credentialsFor(account: Account, api: Api, user: string, design: string): Credentials {
  const asTheSame = async <T>(what: () => Promise<T>): Promise<T> => {
    try {
      const { state } = account
      if (state.kind === 'signed-in' && state.person.id !== user) throw new SignedOut('Somebody else signed in.')
      return await what()
    } catch (error) {
      throw new CredentialError(problemOf(error), messageOf(error), { cause: error })
    }
  }
  return {
    ticket: () => asTheSame(() => api.ticket(design)),
    accessToken: wanted => asTheSame(() => account.accessToken(wanted))
  }
}

/** Only what the server said in so many words ends anything; everything else passes. */
function problemOf(error: unknown): CredentialProblem {
  if (error instanceof SignedOut) return 'signed-out'
  if (!(error instanceof ApiProblem)) return 'unreachable'
  if (error.status === 401) return 'signed-out'
  if (error.code === 'forbidden') return 'forbidden'
  return error.code === 'no_such_design' ? 'not-found' : 'unreachable'
}
