// The kinds of components: drag one onto the canvas, or press Enter (or double click) to add it in the middle of the view.

import { Search } from 'lucide-react'
import { type DragEvent, type KeyboardEvent, useRef, useState } from 'react'
import type { Editor } from '../binding/types'
import { freeSpot } from '../design/free-spot'
import { KIND_GROUPS, KIND_MIME, type Kind, searchKinds } from '../design/kinds'
import { cx } from '../ui/classes'
import { TextField } from '../ui/fields'
import { KindIcon } from '../ui/kind-icon'
import { useEditorState } from './use-editor'

export function Palette({ editor }: { editor: Editor }) {
  const { canEdit } = useEditorState(editor)
  const [query, setQuery] = useState('')
  /** The one item that Tab reaches; arrow keys go on from there. */
  const [current, setCurrent] = useState<string | null>(null)
  const list = useRef<HTMLDivElement>(null)
  const found = searchKinds(query)
  const reached = found.some(({ id }) => id === current) ? current : (found[0]?.id ?? null)

  const add = (kind: Kind) => {
    if (canEdit) editor.addNode(kind.id, freeSpot(editor.state.view, editor.centre(), kind))
  }
  const arrows = (event: KeyboardEvent) => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>('[data-kind]') ?? [])]
    const focus = document.activeElement
    const at = focus instanceof HTMLElement ? items.indexOf(focus) : -1
    const next = items[nextIndex(event.key, at, items.length)]
    if (next === undefined) return
    event.preventDefault()
    next.focus()
  }
  const enter = (event: KeyboardEvent) => {
    const [only] = found
    if (event.key === 'Enter' && query.trim() !== '' && only !== undefined) add(only)
    if (event.key === 'ArrowDown') list.current?.querySelector<HTMLElement>('[data-kind]')?.focus()
    if (event.key === 'Escape' && query !== '') {
      event.preventDefault()
      setQuery('')
    }
  }
  return (
    <aside data-testid="palette" aria-label="Components" className="flex h-full min-h-0 flex-col bg-panel text-ink">
      <div className="relative p-2.5 pb-2">
        <Search
          size={14}
          aria-hidden="true"
          className="pointer-events-none absolute top-[19px] left-[18px] text-faint"
        />
        <TextField
          label="Search components"
          hideLabel
          type="search"
          placeholder="Search components"
          value={query}
          className="h-8! pl-7"
          onChange={event => setQuery(event.target.value)}
          onKeyDown={enter}
        />
      </div>
      {!canEdit && <p className="px-3 pb-2 text-xs text-muted">You can look at this design, but not add to it.</p>}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrow keys move between the buttons inside. */}
      <div ref={list} className="min-h-0 flex-1 overflow-y-auto px-2 pb-3" onKeyDown={arrows}>
        {KIND_GROUPS.map(group => {
          const kinds = found.filter(kind => kind.group === group)
          if (kinds.length === 0) return null
          return (
            <section key={group} aria-label={group}>
              <h3 className="px-1.5 pt-2.5 pb-1 text-xs font-semibold text-muted">{group}</h3>
              {kinds.map(kind => (
                <Item
                  key={kind.id}
                  kind={kind}
                  enabled={canEdit}
                  reached={kind.id === reached}
                  onFocus={() => setCurrent(kind.id)}
                  onAdd={() => add(kind)}
                />
              ))}
            </section>
          )
        })}
        {found.length === 0 && <p className="px-2 py-6 text-center text-sm text-muted">No component is called that.</p>}
      </div>
    </aside>
  )
}

interface ItemProps {
  kind: Kind
  enabled: boolean
  reached: boolean
  onFocus: () => void
  onAdd: () => void
}

function Item({ kind, enabled, reached, onFocus, onAdd }: ItemProps) {
  const drag = (event: DragEvent) => {
    event.dataTransfer.setData(KIND_MIME, kind.id)
    event.dataTransfer.effectAllowed = 'copy'
  }
  return (
    <button
      type="button"
      data-testid={`palette-${kind.id}`}
      data-kind={kind.id}
      draggable={enabled}
      aria-disabled={!enabled}
      tabIndex={reached ? 0 : -1}
      title="Drag onto the canvas, or double click"
      onFocus={onFocus}
      onDragStart={drag}
      // A press by keyboard counts no clicks; one by the mouse only begins a drag or a double click.
      onClick={event => event.detail === 0 && onAdd()}
      onDoubleClick={onAdd}
      className={cx(
        'flex h-8 w-full items-center gap-2.5 rounded-md px-1.5 text-left text-[13px]',
        enabled ? 'cursor-grab hover:bg-hover active:cursor-grabbing' : 'cursor-default opacity-60'
      )}
    >
      <KindIcon kind={kind.id} size={20} />
      <span className="truncate">{kind.title}</span>
    </button>
  )
}

function nextIndex(key: string, at: number, count: number): number {
  switch (key) {
    case 'ArrowDown':
      return Math.min(at + 1, count - 1)
    case 'ArrowUp':
      return Math.max(at - 1, 0)
    case 'Home':
      return 0
    case 'End':
      return count - 1
    default:
      return -1
  }
}
