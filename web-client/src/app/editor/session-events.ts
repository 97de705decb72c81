// What changed in a session and is worth a word: refusals, and a role that is another one now.

import { useEffect, useRef } from 'react'
import type { DesignSession, Role, SessionState } from '../../sync/types'
import { toast } from '../../ui/toasts'
import { ROLE_HELP, ROLE_WORDS } from '../words'

export function useSessionToasts(session: DesignSession, { refusal, role }: SessionState): void {
  useEffect(() => {
    if (refusal === null) return
    toast(`The server did not take an edit: ${refusal.message}`, {
      tone: 'danger',
      id: 'refusal',
      testId: 'refusal',
      lastsMs: 15_000
    })
    session.dismissRefusal()
  }, [session, refusal])

  const before = useRef<Role | null>(null)
  useEffect(() => {
    if (before.current !== null && role !== null && role !== before.current) {
      toast(`Your role is now ${ROLE_WORDS[role]}: ${ROLE_HELP[role].toLowerCase()}.`, {
        id: 'role',
        testId: 'role-changed'
      })
    }
    if (role !== null) before.current = role
  }, [role])
}
