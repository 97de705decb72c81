// Search in the design (Mod+F): type, choose with the arrow keys, Enter brings it into view.

import { Spline, X } from 'lucide-react'
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import type { Editor } from '../binding/types'
import { cx } from '../ui/classes'
import { IconButton } from '../ui/IconButton'
import { KindIcon } from '../ui/kind-icon'
import { HITS_MAX, type Hit, searchDesign } from './search'
import { useEditorState } from './use-editor'

export interface SearchBoxProps {
  editor: Editor
  onClose: () => void
}

/** Mount while it is open. It stays open after Enter, since the first hit is not always the right one. */
export function SearchBox({ editor, onClose }: SearchBoxProps) {
  const { view } = useEditorState(editor)
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const field = useRef<HTMLInputElement>(null)
  const list = useId()
  const { hits, total } = searchDesign(view, query)
  const active = Math.min(at, hits.length - 1)

  useEffect(() => field.current?.focus(), [])

  const keys = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0 && 0 < hits.length) {
      event.preventDefault()
      setAt((active + step + hits.length) % hits.length)
    }
    const hit = hits[active]
    if (event.key === 'Enter' && hit !== undefined) editor.reveal(hit.id)
    if (event.key === 'Escape') {
      event.preventDefault()
      onClose()
    }
  }
  return (
    <search
      aria-label="Search in the design"
      className="w-96 max-w-full rounded-lg border border-line bg-raised text-ink shadow-panel focus-within:border-accent"
    >
      <div className="flex items-center gap-1 p-1.5">
        <input
          ref={field}
          role="combobox"
          aria-label="Search in the design"
          aria-expanded={0 < hits.length}
          aria-controls={list}
          aria-activedescendant={0 <= active ? `${list}-${active}` : undefined}
          autoComplete="off"
          placeholder="Label, id, kind, zone or protocol"
          value={query}
          onChange={event => {
            setQuery(event.target.value)
            setAt(0)
          }}
          onKeyDown={keys}
          className="h-8 min-w-0 flex-1 bg-transparent px-2 text-sm text-ink outline-none! placeholder:text-faint"
        />
        <span role="status" className="px-1 text-xs whitespace-nowrap text-muted tabular-nums">
          {countWords(query, active, hits.length, total)}
        </span>
        <IconButton
          name="Close the search"
          icon={<X size={15} aria-hidden="true" />}
          onClick={onClose}
          className="size-7!"
        />
      </div>
      <div
        id={list}
        role="listbox"
        aria-label="Found"
        className={cx('max-h-72 overflow-y-auto', 0 < hits.length && 'border-t border-line p-1')}
      >
        {hits.map((hit, each) => (
          <HitRow
            // A component and a connection may share one id.
            key={`${hit.kind === null ? 'edge' : 'node'} ${hit.id}`}
            id={`${list}-${each}`}
            hit={hit}
            active={each === active}
            onChoose={() => {
              setAt(each)
              editor.reveal(hit.id)
            }}
          />
        ))}
      </div>
    </search>
  )
}

function countWords(query: string, active: number, shown: number, total: number): string {
  if (query.trim() === '') return ''
  if (total === 0) return 'Nothing found'
  return shown < total ? `${active + 1} of the best ${HITS_MAX}, ${total} in all` : `${active + 1} of ${total}`
}

interface HitRowProps {
  id: string
  hit: Hit
  active: boolean
  onChoose: () => void
}

function HitRow({ id, hit, active, onChoose }: HitRowProps) {
  const row = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (active) row.current?.scrollIntoView({ block: 'nearest' })
  }, [active])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the combobox, which keeps the focus.
    <div
      ref={row}
      id={id}
      role="option"
      aria-selected={active}
      tabIndex={-1}
      // The focus stays in the field.
      onMouseDown={event => event.preventDefault()}
      onClick={onChoose}
      className={cx(
        'flex cursor-pointer items-center gap-2 rounded-md px-2 py-1',
        active ? 'bg-accent-soft' : 'hover:bg-hover'
      )}
    >
      {hit.kind === null ? (
        <Spline size={18} aria-hidden="true" className="shrink-0 text-muted" />
      ) : (
        <KindIcon kind={hit.kind} size={18} />
      )}
      <span className="min-w-0 flex-1">
        <span className="block truncate text-sm">{hit.title}</span>
        <span className="block truncate text-xs text-muted">{hit.detail}</span>
      </span>
    </div>
  )
}
