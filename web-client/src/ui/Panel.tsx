import type { ComponentProps, ReactNode } from 'react'
import { cx } from './classes'

export interface PanelProps extends Omit<ComponentProps<'section'>, 'title'> {
  title?: ReactNode
  /** Buttons at the right of the title. */
  actions?: ReactNode
}

/** A surface beside or above the canvas. */
export function Panel({ title, actions, className, children, ...rest }: PanelProps) {
  return (
    <section className={cx('rounded-lg border border-line bg-panel text-ink', className)} {...rest}>
      {(title !== undefined || actions !== undefined) && (
        <header className="flex min-h-10 items-center justify-between gap-2 border-b border-line px-3">
          <h2 className="text-sm font-semibold">{title}</h2>
          <div className="flex items-center gap-1">{actions}</div>
        </header>
      )}
      {children}
    </section>
  )
}
