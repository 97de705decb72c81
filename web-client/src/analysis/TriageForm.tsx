// A person's judgement about a finding: the risk is accepted, perhaps until a day, or it is no problem at all. Both need a reason that others can read.

import { type FormEvent, useState } from 'react'
import type { Finding } from '../sync/analysis'
import type { Judgement } from '../sync/analysis-api'
import { Button } from '../ui/Button'
import { TextArea, TextField } from '../ui/fields'
import { dayText, since } from './words'

/** Characters, as the server takes them. */
const REASON_CHARS_MAX = 500

export interface TriageFormProps {
  state: 'accepted' | 'false_positive'
  /** Why it was not taken, or null when it was. */
  save: (judgement: Judgement) => Promise<string | null>
  cancel: () => void
}

export function TriageForm({ state, save, cancel }: TriageFormProps) {
  const [reason, setReason] = useState('')
  const [day, setDay] = useState('')
  const [error, setError] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const said = reason.trim()
    if (said === '') return setError('Say why, so that others can follow.')
    setBusy(true)
    const expires_at = endOf(day)
    const trouble = await save({ state, reason: said, ...(expires_at === null ? {} : { expires_at }) })
    setBusy(false)
    setError(trouble)
  }
  return (
    <form
      aria-label={state === 'accepted' ? 'Accept the risk' : 'Not a problem'}
      onSubmit={event => void submit(event)}
      onKeyDown={event => {
        if (event.key !== 'Escape') return
        event.preventDefault()
        event.stopPropagation()
        cancel()
      }}
      className="flex flex-col gap-2 rounded-md border border-line bg-canvas p-2.5"
    >
      <TextArea
        label={state === 'accepted' ? 'Why is the risk acceptable?' : 'Why is this no problem?'}
        rows={3}
        maxLength={REASON_CHARS_MAX}
        value={reason}
        error={error}
        autoFocus
        onChange={event => {
          setReason(event.target.value)
          setError(null)
        }}
      />
      {state === 'accepted' && (
        <TextField
          label="Until (leave empty: for good)"
          type="date"
          min={tomorrow()}
          value={day}
          className="h-8!"
          onChange={event => setDay(event.target.value)}
        />
      )}
      <div className="flex justify-end gap-2">
        <Button size="small" onClick={cancel}>
          Cancel
        </Button>
        <Button size="small" tone="primary" type="submit" busy={busy}>
          {state === 'accepted' ? 'Accept the risk' : 'Not a problem'}
        </Button>
      </div>
    </form>
  )
}

/** The end of that day here, as an instant; null for no day. */
function endOf(day: string): string | null {
  if (day === '') return null
  const end = new Date(`${day}T23:59:59`)
  return Number.isNaN(end.getTime()) ? null : end.toISOString()
}

function tomorrow(): string {
  const day = new Date(Date.now() + 24 * 60 * 60 * 1_000)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`
}

/** Who judged what, when and why. */
export function Judged({ finding }: { finding: Finding }) {
  const { state, by, at, reason, expires_at } = finding.triage
  if (state === 'open') return null
  const who = by?.name || 'Somebody'
  return (
    <div data-testid="judged" className="rounded-md bg-hover px-2.5 py-2 text-xs">
      <p className="font-medium">
        {state === 'accepted' ? `${who} accepted the risk` : `${who} says that this is no problem`}
        {at && <span className="font-normal text-muted"> · {since(at, Date.now())}</span>}
        {expires_at && <span className="font-normal text-muted"> · until {dayText(expires_at)}</span>}
      </p>
      {reason && <p className="mt-1 break-words whitespace-pre-wrap text-muted">{reason}</p>}
    </div>
  )
}
