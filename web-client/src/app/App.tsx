// Which page is shown, and to whom. The editor, with the canvas and everything that it needs, is a chunk of its own.

import { lazy, Suspense, useEffect, useState } from 'react'
import type { Person } from '../sync/person'
import { Spinner } from '../ui/Spinner'
import { Toasts } from '../ui/Toasts'
import { DesignsPage } from './designs/DesignsPage'
import { ErrorBoundary } from './ErrorBoundary'
import { useLeaveWarning } from './leave-warning'
import { NotFoundPage } from './NotFoundPage'
import { retrySessionsOf } from './open-sessions'
import { navigate, signInPath, useRoute } from './router'
import { SignInPage } from './SignInPage'
import { useAccount } from './services'

const EditorPage = lazy(() => import('./editor/EditorPage'))

export function App() {
  return (
    <ErrorBoundary>
      <Suspense fallback={<Waiting />}>
        <Page />
      </Suspense>
      <Toasts />
    </ErrorBoundary>
  )
}

function Page() {
  const route = useRoute()
  const person = usePerson()
  const signedIn = person.now?.id ?? null
  useLeaveWarning()
  // Signed in again: what waits behind the pages goes on.
  useEffect(() => {
    if (signedIn !== null) retrySessionsOf(signedIn)
  }, [signedIn])
  if (route.page === 'not-found') return <NotFoundPage />
  if (route.page === 'signin')
    return person.now === null ? <SignInPage next={route.next} /> : <Redirect to={route.next} />
  const shown = route.page === 'design' ? person.here : person.now
  if (shown === null) return <Redirect to={signInPath(location.pathname + location.search)} />
  // Another design or another person is another editor: nothing of the one may reach the other.
  if (route.page === 'design')
    return <EditorPage key={`${shown.id} ${route.design}`} design={route.design} person={shown} />
  return <DesignsPage key={shown.id} person={shown} />
}

/**
 * `now`: who is signed in. `here`: the same, or the person whose login ended while this page was open: an open canvas stays with them, so that they can
 * go on after signing in again.
 */
function usePerson(): { now: Person | null; here: Person | null } {
  const state = useAccount()
  const [seen, setSeen] = useState<Person | null>(null)
  const now = state.kind === 'signed-in' ? state.person : null
  if (now !== null && now.id !== seen?.id) setSeen(now)
  const ended = state.kind === 'signed-out' && state.ended !== null && state.ended.id === seen?.id ? state.ended : null
  return { now, here: now ?? ended }
}

function Redirect({ to }: { to: string }) {
  useEffect(() => navigate(to, { replace: true }), [to])
  return null
}

function Waiting() {
  return (
    <div className="flex min-h-full items-center justify-center">
      <Spinner label="Loading" />
    </div>
  )
}
