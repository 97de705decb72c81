// The sign that something is under way, told to screen readers too.

import { LoaderCircle } from 'lucide-react'

/** Something is under way. With a label it says so to screen readers; without one the words beside it do. */
export function Spinner({ label, size = 16 }: { label?: string; size?: number }) {
  const icon = <LoaderCircle size={size} className="animate-spin" aria-hidden="true" />
  if (label === undefined) return icon
  return (
    <span role="status" className="inline-flex items-center gap-2 text-muted">
      {icon}
      {label}
    </span>
  )
}
