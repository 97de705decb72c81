// The session of the page: opened when the page is shown; when it goes, closed as soon as that loses nothing.

import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Person } from '../../sync/person'
import { openDesign } from '../../sync/session'
import type { DesignSession, SessionState } from '../../sync/types'
import { credentialsFor } from '../credentials'
import { enterSession, leaveSession } from '../open-sessions'
import { useServices } from '../services'

export function useDesignSession(design: string, person: Person): DesignSession | null {
  const { account, api } = useServices()
  const [session, setSession] = useState<DesignSession | null>(null)
  useEffect(() => {
    const credentials = credentialsFor(account, api, person.id, design)
    const opened = enterSession(person.id, design, () =>
      openDesign({ server: location.origin, user: person.id, design, credentials })
    )
    setSession(opened)
    return () => {
      setSession(null)
      leaveSession(opened)
    }
  }, [account, api, design, person.id])
  return session
}

export function useSessionState(session: DesignSession): SessionState {
  return useSyncExternalStore(
    listener => session.subscribe(listener),
    () => session.state
  )
}
