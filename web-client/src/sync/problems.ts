// What can go wrong between the page and the server, as types that the page can tell apart and words that people can read.

/** Nobody is signed in, or the login ended: only signing in helps. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut'
  constructor(message = 'You are signed out. Sign in to go on.') {
    super(message)
  }
}

/** The server did not answer, or what answered was not it. It passes; what was asked for may or may not have been done. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
  constructor(message = 'The server cannot be reached. Check your connection and try again.') {
    super(message)
  }
}

export interface FieldProblem {
  field: string
  message: string
}

/** An answer that says no (docs/API.md, Errors). */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly status: number
  /** A stable word for programs. */
  readonly code: string
  readonly fields: readonly FieldProblem[]

  constructor(status: number, code: string, message: string, fields: readonly FieldProblem[] = []) {
    super(message)
    this.status = status
    this.code = code
    this.fields = fields
  }

  /** What is said of one field of a form, or null. */
  of(field: string): string | null {
    return this.fields.find(each => each.field === field)?.message ?? null
  }
}

/** Codes for which the page has better words than the server, which does not know what the person was doing. */
const WORDS: Readonly<Record<string, string>> = {
  bad_credentials: 'Email or password is wrong.',
  email_taken: 'There is an account with this email already. Sign in instead.',
  registration_closed: 'New accounts cannot be created here. Ask an administrator for one.',
  accounts_elsewhere: 'Accounts of this server are kept elsewhere: sign in there.',
  last_owner: 'A design needs an owner. Make somebody else an owner first.',
  no_such_user: 'Nobody has an account with this email.',
  no_such_design: 'This design does not exist any more.',
  too_large: 'This file is too large.'
}

/** An error answer as a problem. Answers that are none of ours (of a proxy in between) become `Unreachable` where waiting helps. */
export async function problemOf(response: Response): Promise<ApiProblem | Unreachable> {
  const body = await readJson(response)
  const code = textOf(body, 'code')
  if (code === null && [502, 503, 504].includes(response.status)) return new Unreachable()
  const fields = fieldsOf(body)
  const told = textOf(body, 'detail') ?? textOf(body, 'error') ?? `The server answered ${response.status}.`
  const message = (code === null ? undefined : WORDS[code]) ?? told
  const wait =
    response.status === 429 || response.status === 503 ? waitInWords(response.headers.get('Retry-After')) : ''
  return new ApiProblem(response.status, code ?? 'unknown', message + wait, fields)
}

/** ' Try again in 3 minutes.' Retry-After is in seconds; anything else reads as not said. */
export function waitInWords(retryAfter: string | null): string {
  if (retryAfter === null || !/^\d+$/.test(retryAfter.trim())) return ''
  const seconds = Math.max(1, Number(retryAfter))
  const [count, unit] = seconds < 90 ? [seconds, 'second'] : [Math.ceil(seconds / 60), 'minute']
  return ` Try again in ${count} ${unit}${count === 1 ? '' : 's'}.`
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return null
  }
}

function textOf(body: unknown, key: string): string | null {
  const value = entry(body, key)
  return typeof value === 'string' && value !== '' ? value : null
}

function fieldsOf(body: unknown): FieldProblem[] {
  const details = entry(body, 'details')
  if (!Array.isArray(details)) return []
  return details.flatMap(each => {
    const [field, message] = [textOf(each, 'field'), textOf(each, 'message')]
    return field === null || message === null ? [] : [{ field, message }]
  })
}

/** One key of a value that may be anything. */
export function entry(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
