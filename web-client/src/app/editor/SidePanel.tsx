// The right side: the inspector or the findings, with tabs to go from the one to the other.

import { type KeyboardEvent, type ReactNode, useRef } from 'react'
import { cx } from '../../ui/classes'

type Part = 'inspector' | 'findings'

const PARTS = [
  { part: 'inspector', words: 'Inspector' },
  { part: 'findings', words: 'Findings' }
] as const

export interface SidePanelProps {
  shown: Part
  choose: (part: Part) => void
  inspector: ReactNode
  findings: ReactNode
}

export function SidePanel({ shown, choose, inspector, findings }: SidePanelProps) {
  const tabs = useRef<HTMLDivElement>(null)
  const arrows = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
    event.preventDefault()
    const other = shown === 'inspector' ? 'findings' : 'inspector'
    choose(other)
    tabs.current?.querySelector<HTMLElement>(`[data-part=${other}]`)?.focus()
  }
  return (
    <section aria-label="Inspector and findings" className="flex h-full min-h-0 flex-col">
      <div
        ref={tabs}
        role="tablist"
        aria-label="Right side"
        onKeyDown={arrows}
        className="flex shrink-0 gap-1 border-b border-line bg-panel px-2 pt-1"
      >
        {PARTS.map(({ part, words }) => (
          <button
            key={part}
            id={`side-tab-${part}`}
            type="button"
            role="tab"
            data-part={part}
            aria-selected={part === shown}
            aria-controls="side-panel"
            tabIndex={part === shown ? 0 : -1}
            onClick={() => choose(part)}
            className={cx(
              '-mb-px h-8 cursor-pointer border-b-2 px-2 text-[13px] font-medium',
              part === shown ? 'border-accent text-ink' : 'border-transparent text-muted hover:text-ink'
            )}
          >
            {words}
          </button>
        ))}
      </div>
      <div id="side-panel" role="tabpanel" aria-labelledby={`side-tab-${shown}`} className="min-h-0 flex-1">
        {shown === 'inspector' ? inspector : findings}
      </div>
    </section>
  )
}
