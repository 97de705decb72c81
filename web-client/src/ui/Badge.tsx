// Short states as small coloured labels, and the tones that everything with a tone shares.

import type { ReactNode } from 'react'
import { cx } from './classes'

export type Tone = 'neutral' | 'accent' | 'ok' | 'warn' | 'danger'

export const TONE_CLASSES: Readonly<Record<Tone, string>> = {
  neutral: 'bg-hover text-muted',
  accent: 'bg-accent-soft text-accent',
  ok: 'bg-ok-soft text-ok',
  warn: 'bg-warn-soft text-warn',
  danger: 'bg-danger-soft text-danger'
}

/** A word or two about a thing. The words carry the meaning; the colour only repeats it. */
export function Badge({ tone = 'neutral', icon, children }: { tone?: Tone; icon?: ReactNode; children: ReactNode }) {
  return (
    <span
      className={cx(
        'inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap',
        TONE_CLASSES[tone]
      )}
    >
      {icon}
      {children}
    </span>
  )
}
