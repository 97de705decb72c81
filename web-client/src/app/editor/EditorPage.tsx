// The page of one design: its session, the editor on it, and the screen around it. What any of these parts does is written in its own layer.

import { ReactFlowProvider } from '@xyflow/react'
import { useEffect } from 'react'
import type { Person } from '../../sync/person'
import type { DesignSession } from '../../sync/types'
import { useAccount } from '../services'
import { useTitle } from '../title'
import { UserMenu } from '../UserMenu'
import { OpenDesign } from './OpenDesign'
import { Opening } from './Opening'
import { useOpenEditor } from './open-editor'
import { SavingBadge } from './SavingBadge'
import { SessionBanners } from './SessionBanners'
import { useDesignSession, useSessionState } from './session'
import { useSessionToasts } from './session-events'
import { TopBar } from './TopBar'

export interface EditorPageProps {
  design: string
  person: Person
}

export default function EditorPage({ design, person }: EditorPageProps) {
  const session = useDesignSession(design, person)
  useTitle('Design')
  if (session === null) return <Waiting person={person} session={null} />
  return <WithSession session={session} person={person} />
}

function WithSession({ session, person }: { session: DesignSession; person: Person }) {
  const state = useSessionState(session)
  const open = useOpenEditor(session, person)
  const account = useAccount()
  const isSignedIn = account.kind === 'signed-in'
  useSessionToasts(session, state)
  // Signed in again, here or in another tab: what waited for it goes on.
  useEffect(() => {
    if (isSignedIn && state.saving.kind === 'signed-out') session.retry()
  }, [session, isSignedIn, state.saving.kind])

  if (!state.ready || open === null) return <Waiting person={person} session={session} />
  return (
    <ReactFlowProvider>
      <OpenDesign {...open} state={state} person={person} />
    </ReactFlowProvider>
  )
}

function Waiting({ person, session }: { person: Person; session: DesignSession | null }) {
  return (
    <div className="flex h-full flex-col bg-canvas">
      <TopBar
        name={<h1 className="truncate px-2 text-sm font-semibold text-muted">Design</h1>}
        saving={session === null ? null : <WaitingBadge session={session} />}
        account={<UserMenu person={person} />}
      />
      {session !== null && <WaitingBanners session={session} person={person} />}
      <main className="min-h-0 flex-1">
        <Opening session={session} saving={session?.state.saving ?? null} />
      </main>
    </div>
  )
}

function WaitingBadge({ session }: { session: DesignSession }) {
  const { saving } = useSessionState(session)
  return <SavingBadge saving={saving} onRetry={() => session.retry()} />
}

/** Only what can be acted upon without a drawing: signing in again, and recovery files. */
function WaitingBanners({ session, person }: { session: DesignSession; person: Person }) {
  const state = useSessionState(session)
  if (state.saving.kind === 'removed' || state.saving.kind === 'broken') return null
  return <SessionBanners session={session} state={state} person={person} name="design" onDownload={null} />
}
