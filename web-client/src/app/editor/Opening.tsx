// What the editor shows until there is a drawing to show.

import { CloudOff, FileX2, LogIn, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { DesignSession, SavingState } from '../../sync/types'
import { Button } from '../../ui/Button'
import { EmptyState } from '../../ui/EmptyState'
import { Spinner } from '../../ui/Spinner'
import { navigate } from '../router'
import { savingWords } from './saving-words'

/** `saving` null: not even the session is there yet. */
export function Opening({ saving, session }: { saving: SavingState | null; session: DesignSession | null }) {
  const home = (
    <Button tone="primary" onClick={() => navigate('/')}>
      To your designs
    </Button>
  )
  if (saving?.kind === 'removed') {
    const deleted = saving.why === 'deleted'
    return (
      <Screen
        icon={<FileX2 size={40} aria-hidden="true" />}
        title={deleted ? 'There is no such design' : 'You cannot open this design'}
        action={home}
      >
        {deleted
          ? 'It was deleted, or the address is wrong.'
          : 'You are not one of its members. Ask an owner to add you.'}
      </Screen>
    )
  }
  if (saving?.kind === 'broken') {
    return (
      <Screen icon={<TriangleAlert size={40} aria-hidden="true" />} title="This design cannot be opened" action={home}>
        {savingWords(saving).means}
      </Screen>
    )
  }
  if (saving?.kind === 'signed-out') {
    return (
      <Screen icon={<LogIn size={40} aria-hidden="true" />} title="Your login ended">
        Sign in again to open this design.
      </Screen>
    )
  }
  if (saving?.kind === 'offline') {
    return (
      <Screen
        icon={<CloudOff size={40} aria-hidden="true" />}
        title="This design is not on this device"
        action={
          <>
            <Button onClick={() => session?.retry()}>Try now</Button>
            {home}
          </>
        }
      >
        The server cannot be reached, and the design was never opened here before. It opens by itself when the server is
        back.
      </Screen>
    )
  }
  return (
    <div className="flex h-full items-center justify-center">
      <Spinner label="Opening the design" />
    </div>
  )
}

function Screen({
  icon,
  title,
  action,
  children
}: {
  icon: ReactNode
  title: string
  action?: ReactNode
  children: ReactNode
}) {
  return (
    <div className="flex h-full items-center justify-center">
      <EmptyState icon={icon} title={title} {...(action === undefined ? {} : { action })}>
        {children}
      </EmptyState>
    </div>
  )
}
