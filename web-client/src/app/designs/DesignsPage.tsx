// The list of designs: find one, open one, make one, bring one from a file.

import { CloudOff, FolderOpen, Plus, Search, SearchX } from 'lucide-react'
import { useDeferredValue, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import type { Person } from '../../sync/person'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { EmptyState } from '../../ui/EmptyState'
import { TextField } from '../../ui/fields'
import { Spinner } from '../../ui/Spinner'
import { Logo } from '../Logo'
import { useServices } from '../services'
import { useTitle } from '../title'
import { UserMenu } from '../UserMenu'
import { DesignRowView } from './DesignRowView'
import { DesignList, type ListState } from './design-list'
import { ImportButton } from './ImportButton'
import { NewDesignDialog } from './NewDesignDialog'
import { sendUnsent } from './send-unsent'

export function DesignsPage({ person }: { person: Person }) {
  const services = useServices()
  const { api, local } = services
  const [query, setQuery] = useState('')
  const [creating, setCreating] = useState(false)
  const list = useMemo(() => new DesignList(person.id, api, local), [person.id, api, local])
  const state = useSyncExternalStore(list.subscribe, () => list.state)
  const searched = useDeferredValue(query)
  useTitle('Designs')
  useEffect(() => {
    const timer = setTimeout(() => void list.load(searched), searched === '' ? 0 : 200)
    return () => clearTimeout(timer)
  }, [list, searched])
  useEffect(() => {
    const wake = () => list.wake()
    for (const name of ['online', 'focus']) window.addEventListener(name, wake)
    return () => {
      for (const name of ['online', 'focus']) window.removeEventListener(name, wake)
      list.stop()
    }
  }, [list])

  const { rows, offline } = state
  useEffect(() => {
    if (offline) return
    const kept = rows.flatMap(row => (row.local === null || row.orphan ? [] : [row.local]))
    void sendUnsent(services, person.id, kept, () => void list.load()).catch(() => undefined)
  }, [rows, offline, services, person.id, list])

  const mayCreate = person.role === 'admin' || person.role === 'architect'
  return (
    <div className="flex min-h-full flex-col bg-canvas">
      <header className="flex h-14 items-center gap-3 border-b border-line bg-panel px-4">
        <Logo />
        <span className="font-semibold">Atlas Collab</span>
        <span className="flex-1" />
        <UserMenu person={person} />
      </header>
      {state.offline && <OfflineBanner onRetry={() => void list.load()} busy={state.busy} />}
      <main className="mx-auto w-full max-w-4xl flex-1 px-4 py-6">
        <div className="mb-4 flex flex-wrap items-center gap-3">
          <h1 className="mr-auto text-2xl font-semibold">Designs</h1>
          {mayCreate && (
            <>
              <ImportButton disabled={state.offline} onImported={() => void list.load()} />
              <Button
                tone="primary"
                icon={<Plus size={16} aria-hidden="true" />}
                disabled={state.offline}
                onClick={() => setCreating(true)}
              >
                New design
              </Button>
            </>
          )}
        </div>
        <div className="relative mb-4">
          <Search size={16} aria-hidden="true" className="pointer-events-none absolute top-2.5 left-3 text-faint" />
          <TextField
            label="Search designs"
            hideLabel
            type="search"
            placeholder="Search designs"
            className="pl-9"
            value={query}
            onChange={event => setQuery(event.target.value)}
          />
        </div>
        <Rows state={state} query={searched} mayCreate={mayCreate} list={list} person={person} />
      </main>
      <NewDesignDialog open={creating} onClose={() => setCreating(false)} />
    </div>
  )
}

function OfflineBanner({ onRetry, busy }: { onRetry: () => void; busy: boolean }) {
  return (
    <Banner
      tone="warn"
      data-testid="offline-banner"
      icon={<CloudOff size={16} aria-hidden="true" />}
      actions={
        <Button size="small" busy={busy} onClick={onRetry}>
          Try again
        </Button>
      }
    >
      The server cannot be reached. Designs that this device has opened before can be opened and edited; the edits are
      kept here and sent when it is back.
    </Banner>
  )
}

interface RowsProps {
  state: ListState
  query: string
  mayCreate: boolean
  list: DesignList
  person: Person
}

function Rows({ state, query, mayCreate, list, person }: RowsProps) {
  if (!state.told) {
    return (
      <div className="flex justify-center py-16">
        <Spinner label="Loading designs" />
      </div>
    )
  }
  return (
    <>
      {state.problem !== null && (
        <p role="alert" className="mb-4 rounded-md bg-danger-soft px-3 py-2 text-sm text-danger">
          {state.problem}
        </p>
      )}
      {state.rows.length === 0 && state.problem === null ? (
        <Empty query={query} mayCreate={mayCreate} offline={state.offline} />
      ) : (
        <ul
          aria-label="Designs"
          aria-busy={state.busy}
          className="divide-y divide-line rounded-lg border border-line bg-panel"
        >
          {state.rows.map(row => (
            <DesignRowView
              key={row.id}
              row={row}
              offline={state.offline}
              person={person}
              onChanged={() => void list.load()}
            />
          ))}
        </ul>
      )}
      {state.more && (
        <div className="mt-4 flex justify-center">
          <Button busy={state.busy} onClick={() => void list.more()}>
            Show more
          </Button>
        </div>
      )}
    </>
  )
}

function Empty({ query, mayCreate, offline }: { query: string; mayCreate: boolean; offline: boolean }) {
  if (query.trim() !== '') {
    return (
      <EmptyState icon={<SearchX size={36} aria-hidden="true" />} title={`No design is called “${query.trim()}”`}>
        The search looks at names only. Part of a name is enough.
      </EmptyState>
    )
  }
  return (
    <EmptyState icon={<FolderOpen size={36} aria-hidden="true" />} title="No designs yet">
      {offline
        ? 'This device has not opened a design before, so there is nothing to show until the server is back.'
        : mayCreate
          ? 'Make a new one, import a file, or ask a colleague to add you to theirs.'
          : 'Ask a colleague to add you to one of theirs.'}
    </EmptyState>
  )
}
