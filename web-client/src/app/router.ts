// Which page the address shows. Three pages need no library: the history API, one match function, one hook.

import { useSyncExternalStore } from 'react'

export type Route =
  | { readonly page: 'designs' }
  /** `next`: where the person wanted to go. */
  | { readonly page: 'signin'; readonly next: string }
  | { readonly page: 'design'; readonly design: string }
  | { readonly page: 'not-found' }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function matchRoute(address: { pathname: string; search: string }): Route {
  const parts = address.pathname.split('/').filter(part => part !== '')
  if (parts.length === 0) return { page: 'designs' }
  if (parts.length === 1 && parts[0] === 'signin') {
    return { page: 'signin', next: safeNext(new URLSearchParams(address.search).get('next')) }
  }
  if (parts.length === 2 && parts[0] === 'd' && parts[1] !== undefined && UUID.test(parts[1])) {
    return { page: 'design', design: parts[1].toLowerCase() }
  }
  return { page: 'not-found' }
}

/** A path of this page, or the start: a link from outside must not lead away after signing in. */
export function safeNext(next: string | null): string {
  if (next === null || !next.startsWith('/')) return '/'
  const address = new URL(next, 'http://here.invalid')
  const inside = address.origin === 'http://here.invalid' && matchRoute(address).page !== 'signin'
  return inside ? address.pathname + address.search : '/'
}

export const designPath = (design: string): string => `/d/${design}`
export const signInPath = (next: string): string =>
  next === '/' ? '/signin' : `/signin?next=${encodeURIComponent(next)}`

const listeners = new Set<() => void>()

export function navigate(path: string, { replace = false }: { replace?: boolean } = {}): void {
  if (replace) history.replaceState(null, '', path)
  else history.pushState(null, '', path)
  tell()
}

function tell(): void {
  for (const listener of [...listeners]) listener()
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) window.addEventListener('popstate', tell)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) window.removeEventListener('popstate', tell)
  }
}

const currentPath = (): string => location.pathname + location.search

export function useRoute(): Route {
  const path = useSyncExternalStore(subscribe, currentPath)
  return matchRoute(new URL(path, location.origin))
}
