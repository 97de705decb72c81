// What the document's connection needs to know of who is signed in. The account implements it; nothing in here knows about cookies or refreshing.

export type CredentialProblem =
  /** Nobody is signed in, or the login has ended. */
  | 'signed-out'
  /** This person may not (or no longer) read the design. */
  | 'forbidden'
  /** There is no such design, or it was deleted. */
  | 'not-found'
  /** The server did not answer, or said that it cannot for now. Passes by itself. */
  | 'unreachable'

export class CredentialError extends Error {
  override readonly name = 'CredentialError'

  constructor(
    readonly problem: CredentialProblem,
    message: string,
    options?: ErrorOptions
  ) {
    super(message, options)
  }
}

export interface Credentials {
  /**
   * Buys a ticket for one attempt to connect (POST `/designs/{id}/tickets`), with an access token that was refreshed if it was about to expire.
   * Throws `CredentialError`.
   */
  ticket(): Promise<string>
  /**
   * An access token, to renew the open socket with. `fresh`: one that was made just now, so that it lives as long as one can.
   * Throws `CredentialError`.
   */
  accessToken(wanted: { fresh: boolean }): Promise<string>
}
