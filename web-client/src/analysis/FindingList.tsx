// The list itself: arrow keys go from finding to finding, and the focus is not lost when a finding goes.

import { type KeyboardEvent, type ReactNode, useLayoutEffect, useRef, useState } from 'react'
import type { Finding } from '../sync/analysis'
import { Button } from '../ui/Button'
import type { FindingDetailsProps } from './FindingDetails'
import { FindingItem } from './FindingItem'
import { counted } from './words'

export interface FindingListProps {
  /** In order. */
  findings: readonly Finding[]
  /** The unfolded one, by fingerprint. */
  opened: string | null
  open: (fingerprint: string | null) => void
  /** What stands there when there are none. */
  empty: ReactNode
  /** How many the server left out of its list. */
  omitted: number
  details: (finding: Finding) => FindingDetailsProps
}

/** Drawn at first, and with each press of the button below. */
const PAGE = 100

export function FindingList({ findings, opened, open, empty, omitted, details }: FindingListProps) {
  const [most, setMost] = useState(PAGE)
  const list = useRef<HTMLUListElement>(null)
  const hasFocus = useRef(false)
  const shown = findings.slice(0, most)

  // Whoever mended the finding that had the focus goes on from the list, not from the top of the page.
  useLayoutEffect(() => {
    if (hasFocus.current && (document.activeElement === null || document.activeElement === document.body))
      list.current?.focus({ preventScroll: true })
  })

  const arrows = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step === 0 || !(event.target instanceof HTMLElement)) return
    const lines = [...(list.current?.querySelectorAll<HTMLElement>('[data-finding]') ?? [])]
    const at = lines.indexOf(event.target)
    if (at < 0 && event.target !== list.current) return
    event.preventDefault()
    lines[Math.max(0, Math.min(at + step, lines.length - 1))]?.focus()
  }
  return (
    <>
      <p className="border-t border-line px-3 py-1.5 text-xs text-muted" data-testid="finding-count">
        {counted(findings.length, 'finding')}
        {0 < omitted && `; ${omitted.toLocaleString('en')} more of the same kinds are not listed`}
      </p>
      {findings.length === 0 && empty}
      <ul
        ref={list}
        tabIndex={-1}
        aria-label="Findings"
        onKeyDown={arrows}
        onFocus={() => {
          hasFocus.current = true
        }}
        onBlur={event => {
          // What is taken away says goodbye without saying to whom.
          if (event.relatedTarget !== null) hasFocus.current = list.current?.contains(event.relatedTarget) === true
        }}
      >
        {shown.map(finding => (
          <FindingItem
            key={finding.fingerprint}
            {...details(finding)}
            isOpened={finding.fingerprint === opened}
            toggle={() => open(finding.fingerprint === opened ? null : finding.fingerprint)}
          />
        ))}
      </ul>
      {shown.length < findings.length && (
        <div className="border-t border-line p-3">
          <Button size="small" onClick={() => setMost(most + PAGE)}>
            Show {Math.min(PAGE, findings.length - shown.length)} more
          </Button>
        </div>
      )}
    </>
  )
}
