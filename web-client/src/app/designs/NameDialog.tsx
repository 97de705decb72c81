// The question for a name, which a new design and a renamed one have in common.

import { type FormEvent, useId, useState } from 'react'
import { NAME_CHARS_MAX } from '../../design/limits'
import { Button } from '../../ui/Button'
import { Dialog } from '../../ui/Dialog'
import { TextField } from '../../ui/fields'
import { messageOf } from '../words'

export interface NameDialogProps {
  open: boolean
  title: string
  /** The word on the button. */
  act: string
  name: string
  /** What it rejects with is shown under the field. */
  onName: (name: string) => Promise<void>
  onClose: () => void
}

/** Asks for a design's name. */
export function NameDialog({ open, title, act, name, onName, onClose }: NameDialogProps) {
  const form = useId()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)
  const close = () => {
    setError(null)
    onClose()
  }
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const given = String(new FormData(event.currentTarget).get('name') ?? '').trim()
    if (given === '') {
      setError('Give it a name.')
      return
    }
    setBusy(true)
    setError(null)
    try {
      await onName(given)
    } catch (problem) {
      setError(messageOf(problem))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog
      open={open}
      onClose={close}
      title={title}
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" form={form} tone="primary" busy={busy}>
            {act}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={event => void submit(event)} noValidate>
        <TextField
          label="Name"
          name="name"
          defaultValue={name}
          maxLength={NAME_CHARS_MAX}
          autoComplete="off"
          error={error}
        />
      </form>
    </Dialog>
  )
}
