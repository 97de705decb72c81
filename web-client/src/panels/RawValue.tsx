// One key that the page has no field for: its value as a tree, and on request as JSON that can be edited.

import { Pencil, Trash2 } from 'lucide-react'
import { type KeyboardEvent, useId, useState } from 'react'
import type { Json } from '../design/elements'
import { Button } from '../ui/Button'
import { TextArea } from '../ui/fields'
import { IconButton } from '../ui/IconButton'
import type { Common } from './common'
import { JsonTree } from './JsonTree'
import { readJson, showJson } from './json-value'

export interface RawValueProps {
  name: string
  value: Common
  /** Undefined removes the key. False: it was not permitted. */
  write: (value: Json | undefined) => boolean
  disabled: boolean
}

export function RawValue({ name, value, write, disabled }: RawValueProps) {
  const [editing, setEditing] = useState(false)
  const label = useId()
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would be announced as a form of its own for every key.
    <div role="group" aria-labelledby={label} className="border-t border-line py-1.5 first:border-t-0">
      <div className="flex items-center gap-1">
        <span id={label} className="min-w-0 flex-1 font-mono text-xs font-medium break-all text-ink">
          {name}
        </span>
        {!disabled && !editing && (
          <>
            <IconButton
              name={`Edit ${name} as JSON`}
              icon={<Pencil size={13} aria-hidden="true" />}
              className="size-6!"
              onClick={() => setEditing(true)}
            />
            <IconButton
              name={`Remove ${name}`}
              icon={<Trash2 size={13} aria-hidden="true" />}
              className="size-6!"
              onClick={() => write(undefined)}
            />
          </>
        )}
      </div>
      {editing ? (
        <JsonEditor name={name} value={value} write={write} disabled={disabled} close={() => setEditing(false)} />
      ) : value.several ? (
        <p className="text-xs text-muted italic">Several values</p>
      ) : (
        value.value !== undefined && <JsonTree value={value.value} />
      )}
    </div>
  )
}

/** Nothing is written before it is JSON that a document can hold, and the person says so. */
function JsonEditor({ name, value, write, disabled, close }: RawValueProps & { close: () => void }) {
  const now = value.several || value.value === undefined ? '' : showJson(value.value)
  const [begun] = useState(now)
  const [text, setText] = useState(now)
  const [error, setError] = useState<string | null>(null)

  const save = () => {
    const read = readJson(text)
    if (!read.ok) setError(read.message)
    else if (write(read.value)) close()
    else setError('This was not written: the design cannot be edited right now.')
  }
  const keys = (event: KeyboardEvent<HTMLElement>) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) save()
    if (event.key === 'Escape') {
      event.preventDefault()
      close()
    }
  }
  return (
    <div className="mt-1 flex flex-col gap-1.5">
      <TextArea
        label={`${name} as JSON`}
        hideLabel
        value={text}
        error={error}
        autoFocus
        spellCheck={false}
        rows={Math.min(14, Math.max(3, text.split('\n').length))}
        className="font-mono text-xs"
        onChange={event => {
          setText(event.target.value)
          setError(null)
        }}
        onKeyDown={keys}
      />
      {now !== begun && (
        <p role="status" className="rounded bg-warn-soft px-2 py-1 text-xs text-warn">
          Somebody else changed this meanwhile. Your text stays here; saving it replaces theirs, cancelling keeps
          theirs.
        </p>
      )}
      <div className="flex justify-end gap-1.5">
        <Button size="small" onClick={close}>
          Cancel
        </Button>
        <Button size="small" tone="primary" disabled={disabled} onClick={save}>
          Save
        </Button>
      </div>
    </div>
  )
}
