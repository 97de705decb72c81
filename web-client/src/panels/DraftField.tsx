// A text field or a text area over one value of the document.

import { type KeyboardEvent, useId } from 'react'
import { TextArea, TextField } from '../ui/fields'
import type { Common } from './common'
import { isText } from './common'
import { useDraft } from './use-draft'

export interface DraftFieldProps {
  label: string
  value: Common
  /** Writes; '' where the field was emptied. False: it was not permitted. */
  write: (text: string) => boolean
  disabled: boolean
  /** How the document will have what was typed (see `useDraft`). */
  kept?: (text: string) => string
  check?: (text: string) => string | null
  /** Offered while typing; anything else may be typed too. */
  suggestions?: readonly string[]
  lines?: number
  hint?: string
  placeholder?: string
}

export function DraftField(props: DraftFieldProps) {
  const { label, value, write, disabled, kept, check, suggestions, lines = 1, hint, placeholder } = props
  const shown = !value.several && isText(value.value) ? String(value.value ?? '') : ''
  const draft = useDraft({ value: shown, write, kept, check })
  const list = useId()

  const keys = (event: KeyboardEvent<HTMLElement>) => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter' && lines === 1) draft.flush()
    if (event.key === 'Escape') {
      // Escape means this field, not what is selected on the canvas.
      event.preventDefault()
      draft.giveUp()
      event.currentTarget.blur()
    }
  }
  const field = {
    label,
    value: draft.text,
    disabled,
    error: draft.error,
    placeholder: value.several ? 'Several values' : (placeholder ?? ''),
    onFocus: draft.begin,
    onBlur: draft.end,
    onKeyDown: keys,
    ...(hint === undefined ? {} : { hint })
  }
  return (
    <div className="flex flex-col gap-1">
      {lines === 1 ? (
        <TextField
          {...field}
          onChange={event => draft.type(event.target.value)}
          {...(suggestions === undefined ? {} : { list })}
          className="h-8! disabled:opacity-100!"
        />
      ) : (
        <TextArea
          {...field}
          rows={lines}
          onChange={event => draft.type(event.target.value)}
          className="disabled:opacity-100!"
        />
      )}
      {suggestions !== undefined && (
        <datalist id={list}>
          {suggestions.map(each => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
      {draft.theirs !== null && <Theirs text={draft.theirs} />}
    </div>
  )
}

const SHOWN_CHARS_MAX = 120

/** Said while one types over what somebody else just wrote. */
export function Theirs({ text }: { text: string }) {
  const shown = text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`
  return (
    <p role="status" className="rounded bg-warn-soft px-2 py-1 text-xs text-warn">
      Somebody else changed this meanwhile to “{shown}”. Your text stays here until you leave the field; what you type
      now replaces theirs.
    </p>
  )
}
