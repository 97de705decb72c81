// The session of the page: opened when the page is shown, closed when it goes.

import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Person } from '../../sync/person'
import { openDesign } from '../../sync/session'
import type { DesignSession, SessionState } from '../../sync/types'
import { credentialsFor } from '../credentials'
import { closeSession, sessionOpened } from '../open-sessions'
import { useServices } from '../services'

export function useDesignSession(design: string, person: Person): DesignSession | null {
  const { account, api } = useServices()
  const [session, setSession] = useState<DesignSession | null>(null)
  useEffect(() => {
    const credentials = credentialsFor(account, api, person.id, design)
    const opened = openDesign({ server: location.origin, user: person.id, design, credentials })
    sessionOpened(opened)
    setSession(opened)
    return () => {
      setSession(null)
      void closeSession(opened)
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
