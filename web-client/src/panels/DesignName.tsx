// The design's name at the top of the page, which is also where it is changed.

import { type KeyboardEvent, useEffect, useRef } from 'react'
import type { Editor } from '../binding/types'
import { text } from '../design/elements'
import { NAME_CHARS_MAX } from '../design/limits'
import { cx } from '../ui/classes'
import { Theirs } from './DraftField'
import { atMost, trimmed } from './limits'
import { useDraft } from './use-draft'
import { useEditorState } from './use-editor'

const nameFits = atMost('A name', NAME_CHARS_MAX)

export const wrongName = (name: string): string | null =>
  name.trim() === '' ? 'A design needs a name.' : nameFits(name.trim())

export interface DesignNameProps {
  editor: Editor
  /** A command asked to rename: the field takes the focus. */
  renaming: boolean
  /** The focus was taken, or the field was left. */
  onRenaming: (renaming: boolean) => void
}

export function DesignName({ editor, renaming, onRenaming }: DesignNameProps) {
  const { view, canEdit } = useEditorState(editor)
  const field = useRef<HTMLInputElement>(null)
  const draft = useDraft({
    value: text(view.meta.name),
    write: name => editor.patchMeta({ name }),
    kept: trimmed,
    check: wrongName
  })
  useEffect(() => {
    if (!renaming) return
    field.current?.focus()
    field.current?.select()
  }, [renaming])

  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter') event.currentTarget.blur()
    if (event.key === 'Escape') {
      event.preventDefault()
      draft.giveUp()
      event.currentTarget.blur()
    }
  }
  return (
    <h1 className="relative min-w-0">
      <input
        ref={field}
        aria-label="Design name"
        aria-invalid={draft.error === null ? undefined : true}
        value={draft.text}
        readOnly={!canEdit}
        placeholder="Untitled design"
        onFocus={canEdit ? draft.begin : undefined}
        onBlur={() => {
          draft.end()
          onRenaming(false)
        }}
        onChange={event => draft.type(event.target.value)}
        onKeyDown={keys}
        className={cx(
          'field-sizing-content h-8 max-w-[min(20rem,100%)] min-w-24 truncate rounded-md border bg-transparent px-2 text-sm font-semibold text-ink placeholder:text-faint',
          draft.error === null ? 'border-transparent' : 'border-danger',
          canEdit && 'hover:border-line focus:border-line focus:bg-raised'
        )}
      />
      {(draft.error !== null || draft.theirs !== null) && (
        <div className="absolute top-full left-0 z-30 mt-1 w-72 rounded-md border border-line bg-raised p-2 font-normal shadow-panel">
          {draft.error !== null && (
            <p role="alert" className="text-xs text-danger">
              {draft.error}
            </p>
          )}
          {draft.theirs !== null && <Theirs text={draft.theirs} />}
        </div>
      )}
    </h1>
  )
}
