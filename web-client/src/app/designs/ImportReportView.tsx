// What an import did with a file: nothing is dropped in silence, and nobody has to read a list to see that all went well.

import { ChevronRight, CircleCheck } from 'lucide-react'
import type { ReactNode } from 'react'
import type { ImportReport } from '../../sync/api'
import { Badge, type Tone } from '../../ui/Badge'
import { count } from '../words'

const FORMATS: Readonly<Record<string, string>> = {
  kohatlas: 'Koh Atlas',
  'kohatlas-legacy': 'Koh Atlas (the older format)',
  snapshot: 'Atlas Collab'
}

export function ImportReportView({ report }: { report: ImportReport }) {
  const { kept, changed, guessed, dropped, warnings } = report
  const clean = changed.length + guessed.length + dropped.length + warnings.length === 0
  return (
    <div className="flex flex-col gap-4 text-sm">
      <p>
        A file of <strong>{FORMATS[report.format] ?? report.format}</strong>. Kept: {count(kept.nodes, 'node')} and{' '}
        {count(kept.edges, 'edge')}.
      </p>
      {clean && (
        <p className="flex items-center gap-2 text-ok">
          <CircleCheck size={16} aria-hidden="true" /> Everything is as it was in the file.
        </p>
      )}
      <Section title="Dropped" tone="danger" about="Not in the design." entries={dropped} show={each => each.reason} />
      <Section
        title="Warnings"
        tone="warn"
        about="Kept, but odd."
        entries={warnings}
        at={each => each.element}
        show={each => each.message}
      />
      <Section
        title="Guessed"
        tone="warn"
        about="The file does not say it."
        entries={guessed}
        show={each => `taken as ${quote(each.as)} (${Math.round(each.confidence * 100)} % sure)`}
      />
      <Section
        title="Changed"
        tone="neutral"
        about="Has another value or place now."
        entries={changed}
        show={each => `${quote(each.from)} → ${quote(each.to)} (${each.rule.replaceAll(/[_-]/g, ' ')})`}
      />
    </div>
  )
}

interface SectionProps<T> {
  title: string
  tone: Tone
  about: string
  entries: readonly T[]
  /** Where it is; the path in the file unless told otherwise. */
  at?: (each: T) => string
  show: (each: T) => ReactNode
}

function Section<T extends object>({ title, tone, about, entries, at, show }: SectionProps<T>) {
  if (entries.length === 0) return null
  const place = (each: T) => (at !== undefined ? at(each) : 'path' in each ? String(each.path) : '')
  return (
    <details className="group rounded-md border border-line" open={tone !== 'neutral' && entries.length < 20}>
      <summary className="flex cursor-pointer items-center gap-2 px-3 py-2">
        <ChevronRight size={14} aria-hidden="true" className="text-muted transition-transform group-open:rotate-90" />
        <span className="font-medium">{title}</span>
        <Badge tone={tone}>{entries.length}</Badge>
        <span className="text-xs text-muted">{about}</span>
      </summary>
      <ul className="max-h-56 divide-y divide-line overflow-y-auto border-t border-line">
        {entries.map((each, index) => (
          // The report does not change while it is shown, and two of its entries may be equal: their place is their key.
          <li key={index} className="flex flex-col gap-0.5 px-3 py-1.5">
            {place(each) !== '' && <code className="font-mono text-xs break-all text-muted">{place(each)}</code>}
            <span className="break-words">{show(each)}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}

function quote(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  return typeof value === 'string' ? `“${value}”` : JSON.stringify(value)
}
