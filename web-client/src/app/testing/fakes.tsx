// An account, a server and a device for the stories of the pages.

import type { ReactNode } from 'react'
import { vi } from 'vitest'
import type { Account, AccountState } from '../../sync/account'
import type { Api, DesignInfo, Member } from '../../sync/api'
import type { Person } from '../../sync/person'
import type { LocalDesign } from '../../sync/types'
import { type LocalDesigns, type Services, ServicesProvider } from '../services'

export const ADA: Person = { id: 'u-ada', email: 'ada@example.org', name: 'Ada Lovelace', role: 'architect' }

export function fakeAccount(initial: AccountState = { kind: 'signed-in', person: ADA, reachable: true }) {
  let state = initial
  const listeners = new Set<() => void>()
  const set = (next: AccountState) => {
    state = next
    for (const listener of [...listeners]) listener()
  }
  const account: Account = {
    get state() {
      return state
    },
    subscribe: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    accessToken: () => Promise.resolve('token'),
    discard: () => {},
    login: vi.fn(async () => {
      set({ kind: 'signed-in', person: ADA, reachable: true })
      return ADA
    }),
    register: vi.fn(async () => ADA),
    logout: vi.fn(async () => {
      set({ kind: 'signed-out', ended: null })
      return true
    }),
    heard: () => {},
    stop: () => {}
  }
  return { account, set }
}

const refuse = () => Promise.reject(new Error('This story does not ask that.'))

export function fakeApi(some: Partial<Api> = {}): Api {
  return {
    listDesigns: refuse,
    createDesign: refuse,
    importDesign: refuse,
    renameDesign: refuse,
    deleteDesign: refuse,
    members: refuse,
    setMember: refuse,
    removeMember: refuse,
    ticket: refuse,
    latestAnalysis: refuse,
    scores: refuse,
    judgeFinding: refuse,
    analyseNow: refuse,
    analysisJob: refuse,
    ...some
  }
}

export function fakeLocal(designs: LocalDesign[] = []): LocalDesigns & { forgotten: string[] } {
  const forgotten: string[] = []
  return {
    forgotten,
    list: () => Promise.resolve(designs),
    forget: (_user, design) => {
      const isPending = designs.some(each => each.design === design && 0 < each.unsaved + each.recoveries)
      if (!isPending) forgotten.push(design)
      return Promise.resolve(!isPending)
    }
  }
}

export const localDesign = (design: string, some: Partial<LocalDesign> = {}): LocalDesign => ({
  design,
  name: `Design ${design}`,
  isUnreadable: false,
  role: 'editor',
  unsaved: 0,
  recoveries: 0,
  openedAt: 0,
  ...some
})

export const listed = (id: string, some: Partial<DesignInfo> = {}): DesignInfo => ({
  id,
  name: `Design ${id}`,
  description: null,
  owner: ADA.id,
  role: 'owner',
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:00Z',
  seq: 1,
  ...some
})

export const member = (user: string, role: Member['role']): Member => ({
  user,
  email: `${user.replace('u-', '')}@example.org`,
  name: null,
  role
})

export function With({ services, children }: { services: Partial<Services>; children: ReactNode }) {
  const all = { account: fakeAccount().account, api: fakeApi(), local: fakeLocal(), ...services }
  return <ServicesProvider value={all}>{children}</ServicesProvider>
}
