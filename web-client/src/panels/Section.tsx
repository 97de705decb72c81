// The parts that panels are made of, so that all of them have the same heading and space.

import type { ReactNode } from 'react'

/** A part of a panel under its own heading. */
export function Section({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <section className="flex flex-col gap-2.5 border-t border-line px-3 py-3">
      <div>
        <h3 className="text-xs font-semibold text-ink">{title}</h3>
        {hint !== undefined && <p className="text-xs text-muted">{hint}</p>}
      </div>
      {children}
    </section>
  )
}
