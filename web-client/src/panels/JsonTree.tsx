// Any JSON, to be read. Everything that comes from the document is drawn as text, never as markup.

import { isObject, type Json } from '../design/elements'

/** Entries of one object or list that are drawn; the others are counted. */
const ENTRIES_MAX = 100
/** Levels that are drawn; what lies below is shown when the value is edited as JSON. */
const LEVELS_MAX = 8
const TEXT_CHARS_MAX = 300

export function JsonTree({ value, level = 0 }: { value: Json; level?: number }) {
  if (typeof value !== 'object' || value === null) return <Leaf value={value} />
  const entries = Array.isArray(value) ? value.map((each, at) => [String(at), each] as const) : Object.entries(value)
  const [open, close] = isObject(value) ? ['{', '}'] : ['[', ']']
  if (entries.length === 0) return <Mono>{open + close}</Mono>
  if (LEVELS_MAX <= level) return <Mono>{`${open} … ${close}`}</Mono>
  return (
    <details open={level < 1 && entries.length <= 8} className="min-w-0">
      <summary className="cursor-pointer rounded text-xs text-muted">
        {entries.length}{' '}
        {isObject(value) ? (entries.length === 1 ? 'key' : 'keys') : entries.length === 1 ? 'entry' : 'entries'}
      </summary>
      <ul className="border-l border-line pl-2.5">
        {entries.slice(0, ENTRIES_MAX).map(([key, each]) => (
          <li key={key} className="flex min-w-0 gap-1.5 py-0.5">
            <span className="shrink-0 font-mono text-xs text-muted">{key}</span>
            <JsonTree value={each} level={level + 1} />
          </li>
        ))}
        {ENTRIES_MAX < entries.length && (
          <li className="text-xs text-muted">and {entries.length - ENTRIES_MAX} more</li>
        )}
      </ul>
    </details>
  )
}

function Leaf({ value }: { value: string | number | boolean | null }) {
  const text = JSON.stringify(value)
  return <Mono>{text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`}</Mono>
}

function Mono({ children }: { children: string }) {
  return <span className="min-w-0 font-mono text-xs break-words text-ink">{children}</span>
}
