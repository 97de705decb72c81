// The first page of the list as it was last seen, so that the Designs page has something to show without the server. Names and roles, no content.

import type { DesignInfo } from '../../sync/api'
import { entry } from '../../sync/problems'

const key = (user: string) => `atlas.designs.${user}`
const ROLES = ['owner', 'editor', 'commenter', 'viewer'] as const

export type ListedDesign = Pick<DesignInfo, 'id' | 'name' | 'role' | 'updated_at'>

export function cachedDesigns(user: string): ListedDesign[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(key(user)) ?? '[]')
    return Array.isArray(kept) ? kept.flatMap(read) : []
  } catch {
    return []
  }
}

export function cacheDesigns(user: string, designs: readonly ListedDesign[]): void {
  try {
    const kept = designs.map(({ id, name, role, updated_at }) => ({ id, name, role, updated_at }))
    localStorage.setItem(key(user), JSON.stringify(kept))
  } catch {
    // Without storage there is no list offline; the designs themselves are elsewhere.
  }
}

export function forgetCachedDesigns(user: string): void {
  try {
    localStorage.removeItem(key(user))
  } catch {
    // Nothing was kept.
  }
}

function read(value: unknown): ListedDesign[] {
  const [id, name, updated] = [entry(value, 'id'), entry(value, 'name'), entry(value, 'updated_at')]
  const role = ROLES.find(each => each === entry(value, 'role'))
  if (typeof id !== 'string' || typeof name !== 'string' || typeof updated !== 'string' || role === undefined) return []
  return [{ id, name, role, updated_at: updated }]
}
