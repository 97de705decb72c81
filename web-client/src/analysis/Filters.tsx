// Which findings are shown, and in which order.

import { Search, X } from 'lucide-react'
import type { DesignView } from '../design/elements'
import { SEVERITIES, SEVERITY_WORDS, type Severity } from '../design/severity'
import type { Finding } from '../sync/analysis'
import { cx } from '../ui/classes'
import { Select, TextField } from '../ui/fields'
import { IconButton } from '../ui/IconButton'
import { SeverityIcon } from '../ui/severity'
import { elementName, type Filter, openCounts, SHOWN_STATES, type ShownState, SORTS, type Sort } from './findings'

export interface FiltersProps {
  filter: Filter
  issues: readonly Finding[]
  view: DesignView
  change: (change: Partial<Filter>) => void
}

const SORT_WORDS: Readonly<Record<Sort, string>> = {
  severity: 'Gravest first',
  points: 'Costliest first',
  rule: 'By rule'
}
const STATE_WORDS: Readonly<Record<ShownState, string>> = {
  open: 'Open',
  settled: 'Settled',
  all: 'All'
}

export function Filters({ filter, issues, view, change }: FiltersProps) {
  return (
    <section aria-label="Filter" className="flex flex-col gap-2 border-t border-line px-3 py-2.5">
      <SeverityChips filter={filter} issues={issues} change={change} />
      <div className="relative">
        <Search size={14} aria-hidden="true" className="pointer-events-none absolute top-[9px] left-2 text-faint" />
        <TextField
          label="Search findings"
          hideLabel
          type="search"
          placeholder="Words, rule, CWE or component"
          value={filter.query}
          className="h-8! pl-7"
          onChange={event => change({ query: event.target.value })}
        />
      </div>
      <div className="grid grid-cols-2 gap-2">
        <Select
          label="State"
          hideLabel
          value={filter.state}
          className="h-8!"
          options={SHOWN_STATES.map(value => ({ value, label: STATE_WORDS[value] }))}
          onChange={event => change({ state: SHOWN_STATES.find(each => each === event.target.value) ?? 'open' })}
        />
        <Select
          label="Order"
          hideLabel
          value={filter.sort}
          className="h-8!"
          options={SORTS.map(value => ({ value, label: SORT_WORDS[value] }))}
          onChange={event => change({ sort: SORTS.find(each => each === event.target.value) ?? 'severity' })}
        />
      </div>
      {filter.element !== null && (
        <p className="flex items-center gap-1 rounded-md bg-accent-soft py-0.5 pr-0.5 pl-2 text-xs">
          <span className="min-w-0 flex-1 truncate">
            Only about <b className="font-semibold">{elementName(filter.element, view)}</b>
          </span>
          <IconButton
            name="Show findings about everything"
            icon={<X size={13} aria-hidden="true" />}
            onClick={() => change({ element: null })}
            className="size-6!"
          />
        </p>
      )}
    </section>
  )
}

/** None pressed: all are shown. */
function SeverityChips({ filter, issues, change }: Pick<FiltersProps, 'filter' | 'issues' | 'change'>) {
  const counts = openCounts(issues)
  const toggle = (severity: Severity) => {
    const { severities } = filter
    const without = severities.filter(each => each !== severity)
    change({ severities: without.length === severities.length ? [...severities, severity] : without })
  }
  return (
    <fieldset className="flex gap-1">
      <legend className="sr-only">Severities</legend>
      {SEVERITIES.map(severity => {
        const count = counts.get(severity) ?? 0
        const pressed = filter.severities.includes(severity)
        const words = SEVERITY_WORDS[severity]
        return (
          <button
            key={severity}
            type="button"
            aria-pressed={pressed}
            title={`${words}: ${count} open`}
            onClick={() => toggle(severity)}
            className={cx(
              'flex h-7 flex-1 cursor-pointer items-center justify-center gap-1 rounded-md border text-xs tabular-nums',
              pressed ? 'border-accent bg-accent-soft font-semibold' : 'border-line hover:bg-hover',
              count === 0 && !pressed && 'text-faint'
            )}
          >
            <SeverityIcon severity={severity} size={14} />
            <span className="sr-only">{words}, </span>
            {count}
            <span className="sr-only"> open</span>
          </button>
        )
      })}
    </fieldset>
  )
}
