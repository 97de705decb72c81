// What stands across the page while something is wrong: what happened, what it means for one's work, and what to do.

import { CircleX, HardDrive, LogIn, RefreshCw, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import type { Person } from '../../sync/person'
import type { DesignSession, SavingState, SessionState } from '../../sync/types'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { Dialog } from '../../ui/Dialog'
import { navigate } from '../router'
import { SignInForm } from '../SignInForm'
import { useAccount } from '../services'
import { RecoveryBanner } from './RecoveryBanner'
import { savingWords, unsavedOf } from './saving-words'

export interface SessionBannersProps {
  session: DesignSession
  state: SessionState
  person: Person
  name: string
  /** The drawing, as a file; null while there is none. */
  onDownload: (() => void) | null
}

export function SessionBanners({ session, state, person, name, onDownload }: SessionBannersProps) {
  return (
    <>
      <SavingBanner session={session} saving={state.saving} person={person} onDownload={onDownload} />
      {state.localTrouble !== null && <LocalTroubleBanner why={state.localTrouble} onDownload={onDownload} />}
      <RecoveryBanner session={session} name={name} recoveries={state.recoveries} />
    </>
  )
}

interface SavingBannerProps {
  session: DesignSession
  saving: SavingState
  person: Person
  onDownload: (() => void) | null
}

function SavingBanner({ session, saving, person, onDownload }: SavingBannerProps) {
  const ended = useAccount().kind === 'signed-out'
  const keep = <Keep onDownload={onDownload} />
  const { means } = savingWords(saving)
  if (saving.kind === 'signed-out' || ended)
    return <SignedOutBanner session={session} person={person} saving={saving} />
  if (saving.kind === 'removed') {
    return (
      <Banner
        tone="danger"
        data-testid="removed"
        icon={<CircleX size={16} aria-hidden="true" />}
        actions={
          <>
            {keep}
            <Button size="small" onClick={() => navigate('/')}>
              To your designs
            </Button>
          </>
        }
      >
        {means} You can still look at it here and keep a copy.
      </Banner>
    )
  }
  if (saving.kind === 'broken') {
    return (
      <Banner
        tone="danger"
        data-testid="broken"
        icon={<TriangleAlert size={16} aria-hidden="true" />}
        actions={
          <>
            {keep}
            <Button size="small" icon={<RefreshCw size={14} aria-hidden="true" />} onClick={() => location.reload()}>
              Reload
            </Button>
          </>
        }
      >
        {means} A newer version of the page may mend it: reload.
      </Banner>
    )
  }
  return null
}

function SignedOutBanner({ session, person, saving }: { session: DesignSession; person: Person; saving: SavingState }) {
  const [asking, setAsking] = useState(false)
  const again = () => {
    setAsking(false)
    session.retry()
  }
  return (
    <Banner
      tone="danger"
      data-testid="signed-out"
      icon={<LogIn size={16} aria-hidden="true" />}
      actions={
        <Button size="small" tone="primary" onClick={() => setAsking(true)}>
          Sign in again
        </Button>
      }
    >
      {savingWords({ kind: 'signed-out', unsaved: unsavedOf(saving) }).means}
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Sign in again"
        description="The drawing stays as it is. What is unsent goes to the server then."
      >
        <SignInForm mode="signin" email={person.email} onlyThem onDone={again} />
      </Dialog>
    </Banner>
  )
}

function LocalTroubleBanner({ why, onDownload }: { why: string; onDownload: (() => void) | null }) {
  return (
    <Banner
      tone="warn"
      data-testid="local-trouble"
      icon={<HardDrive size={16} aria-hidden="true" />}
      actions={<Keep onDownload={onDownload} />}
    >
      Edits are not kept on this device: {why} Until the server has saved them, do not close this page.
    </Banner>
  )
}

function Keep({ onDownload }: { onDownload: (() => void) | null }) {
  if (onDownload === null) return null
  return (
    <Button size="small" onClick={onDownload}>
      Download the drawing
    </Button>
  )
}
