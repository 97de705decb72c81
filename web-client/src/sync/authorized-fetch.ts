// `fetch` in the name of the person who is signed in: it adds the token, gets another one when the server turned it down, and tells "no answer" from "no".

import type { Account } from './account'
import { problemOf, Unreachable } from './problems'

/** Milliseconds. Above what the server gives a handler (30 s), so that its own answer comes first. */
const ANSWER_MS_MAX = 40_000

/** Resolves with good answers only. Throws `SignedOut`, `Unreachable`, or an `ApiProblem`. */
export function authorizedFetch(
  account: Account,
  fetch: typeof globalThis.fetch
): (request: Request) => Promise<Response> {
  const send = async (request: Request, token: string): Promise<Response> => {
    const headers = new Headers(request.headers)
    headers.set('Authorization', `Bearer ${token}`)
    try {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_MS_MAX)])
      return await fetch(new Request(request, { headers, signal }))
    } catch (error) {
      if (request.signal.aborted) throw error
      account.heard(false)
      throw new Unreachable()
    }
  }

  return async request => {
    // The body can be read once: the second attempt, if there is one, has its own.
    const again = request.clone()
    const token = await account.accessToken()
    let response = await send(request, token)
    if (response.status === 401) {
      account.discard(token)
      response = await send(again, await account.accessToken())
    }
    // 304 is a good answer to whoever asked with an ETag.
    if (!response.ok && response.status !== 304) {
      const problem = await problemOf(response)
      account.heard(!(problem instanceof Unreachable))
      throw problem
    }
    account.heard(true)
    return response
  }
}
