/** The sign of the program: a few joined boxes, in the accent colour. The same drawing as public/icons/icon.svg. */
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true" className="text-accent">
      <path d="M10 11v6a3 3 0 0 0 3 3h3M22 11v6a3 3 0 0 1-3 3h-3m0 0v2" stroke="currentColor" strokeWidth="2" />
      <rect x="5" y="4" width="10" height="7" rx="2" fill="currentColor" />
      <rect x="17" y="4" width="10" height="7" rx="2" fill="currentColor" opacity="0.55" />
      <rect x="10" y="21" width="12" height="8" rx="2" fill="currentColor" opacity="0.8" />
    </svg>
  )
}
