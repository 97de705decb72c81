// The sign of a severity: a shape and a letter of its own, so that nobody has to tell five colours apart.

import { SEVERITY_WORDS, type Severity } from '../design/severity'
import { cx } from './classes'

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: 'text-sev-critical',
  high: 'text-sev-high',
  medium: 'text-sev-medium',
  low: 'text-sev-low',
  info: 'text-sev-info'
}

/** On a grid of 16 by 16: an octagon, a triangle, a diamond, a circle, a square. */
const SHAPES: Readonly<Record<Severity, string>> = {
  critical: 'M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z',
  high: 'M8 .4a1 1 0 0 1 .9.5l7 13.3a1 1 0 0 1-.9 1.5H1a1 1 0 0 1-.9-1.5L7.1.9A1 1 0 0 1 8 .4z',
  medium:
    'M8 .2a1 1 0 0 1 .7.3l6.8 6.8a1 1 0 0 1 0 1.4l-6.8 6.8a1 1 0 0 1-1.4 0L.5 8.7a1 1 0 0 1 0-1.4L7.3.5A1 1 0 0 1 8 .2z',
  low: 'M8 1a7 7 0 1 0 0 14a7 7 0 1 0 0-14z',
  info: 'M3 1.5h10a1.5 1.5 0 0 1 1.5 1.5v10a1.5 1.5 0 0 1-1.5 1.5H3A1.5 1.5 0 0 1 1.5 13V3A1.5 1.5 0 0 1 3 1.5z'
}

const LETTERS: Readonly<Record<Severity, string>> = { critical: 'C', high: 'H', medium: 'M', low: 'L', info: 'i' }

export const severityColour = (severity: Severity): string => COLOURS[severity]

/** Decoration only: whoever shows it says the severity in words too. */
export function SeverityIcon({ severity, size }: { severity: Severity; size: number }) {
  return (
    <svg
      aria-hidden="true"
      focusable="false"
      viewBox="0 0 16 16"
      width={size}
      height={size}
      className={cx('shrink-0', COLOURS[severity])}
    >
      <path d={SHAPES[severity]} fill="currentColor" />
      <text
        x="8"
        y={severity === 'high' ? 13.2 : 11.2}
        textAnchor="middle"
        fontSize={severity === 'high' || severity === 'medium' ? 8 : 9}
        fontWeight="700"
        className="fill-(--sev-ink) font-sans select-none"
      >
        {LETTERS[severity]}
      </text>
    </svg>
  )
}

/** The sign with its word. */
export function SeverityLabel({ severity, size = 14 }: { severity: Severity; size?: number }) {
  return (
    <span className={cx('inline-flex items-center gap-1 font-medium', COLOURS[severity])}>
      <SeverityIcon severity={severity} size={size} />
      {SEVERITY_WORDS[severity]}
    </span>
  )
}
