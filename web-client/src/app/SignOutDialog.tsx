// The question before signing out while not everything is on the server: what stays on this device, and what would be lost.

import { ConfirmDialog } from '../ui/Dialog'
import type { Pending } from './sign-out'
import { count } from './words'

export interface SignOutDialogProps {
  pending: Pending
  onConfirm: () => Promise<void>
  onClose: () => void
}

export function SignOutDialog({ pending: { kept, lost }, onConfirm, onClose }: SignOutDialogProps) {
  const loses = 0 < lost.length
  return (
    <ConfirmDialog
      open
      title={loses ? 'Some of your work is in this window only' : 'Some of your work is only on this device'}
      confirm={loses ? 'Lose them and sign out' : 'Keep and sign out'}
      danger={loses}
      onConfirm={onConfirm}
      onClose={onClose}
    >
      {loses && (
        <>
          <p>These edits are neither on the server nor on this device, and are lost if you sign out now:</p>
          <Designs designs={lost} />
          <p>Wait until the server has them, or open the design and download the drawing first.</p>
        </>
      )}
      {0 < kept.length && (
        <>
          <p className={loses ? 'mt-4' : ''}>These designs have something that the server does not have yet:</p>
          <Designs designs={kept} />
          <p>
            If you sign out now it is kept here, in this browser, and sent when you sign in here again. Others who use
            this browser could find it.
          </p>
        </>
      )}
    </ConfirmDialog>
  )
}

interface Waiting {
  design: string
  name: string
  unsaved: number
  recoveries: number
  isUnreadable?: boolean
}

function Designs({ designs }: { designs: readonly Waiting[] }) {
  return (
    <ul className="my-2 list-disc pl-5">
      {designs.map(each => (
        <li key={each.design}>
          <strong>{each.name}</strong>: {whatIsPending(each)}
        </li>
      ))}
    </ul>
  )
}

function whatIsPending({ unsaved, recoveries, isUnreadable = false }: Waiting): string {
  const parts = [
    ...(isUnreadable ? ['its storage on this device failed; what it holds is not known'] : []),
    ...(0 < unsaved ? [count(unsaved, 'unsent edit')] : []),
    ...(0 < recoveries ? [count(recoveries, 'recovery file')] : [])
  ]
  return parts.join(', ')
}
