// Words for what the pages show again and again.

import type { Role } from '../sync/types'

export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  owner: 'Owner',
  editor: 'Editor',
  commenter: 'Commenter',
  viewer: 'Viewer'
}

/** What a role permits, for the members dialog. */
export const ROLE_HELP: Readonly<Record<Role, string>> = {
  owner: 'Can edit, share and delete',
  editor: 'Can edit',
  commenter: 'Can view and comment',
  viewer: 'Can view'
}

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

/** 'just now', '5 minutes ago', 'yesterday', or the date. `now` in milliseconds since 1970. */
export function ago(time: string | number, now: number): string {
  const at = typeof time === 'number' ? time : Date.parse(time)
  if (Number.isNaN(at)) return ''
  const minutes = Math.floor((now - at) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${count(minutes, 'minute')} ago`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${count(hours, 'hour')} ago`
  if (hours < 48) return 'yesterday'
  return new Date(at).toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
