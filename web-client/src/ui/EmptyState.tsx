// What stands where there is nothing to show: why, and what one can do about it.

import type { ReactNode } from 'react'

export interface EmptyStateProps {
  icon?: ReactNode
  title: string
  /** One sentence about what to do. */
  children?: ReactNode
  action?: ReactNode
}

/** What a list shows while there is nothing in it. */
export function EmptyState({ icon, title, children, action }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      {icon !== undefined && <div className="text-faint">{icon}</div>}
      <p className="font-medium text-ink">{title}</p>
      {children !== undefined && <div className="max-w-md text-sm text-muted">{children}</div>}
      {action !== undefined && <div className="mt-2 flex gap-2">{action}</div>}
    </div>
  )
}
