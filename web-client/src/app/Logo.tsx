/** The sign of the program: joined boxes in the accent colour, after public/icons/icon.svg. */
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="64 80 384 360" aria-hidden="true" className="shrink-0 text-accent">
      <g fill="currentColor">
        <path d="M144 190h24v54h176v-54h24v78H268v52h-24v-52H144z" opacity="0.5" />
        <rect x="88" y="104" width="136" height="96" rx="24" />
        <rect x="288" y="104" width="136" height="96" rx="24" opacity="0.7" />
        <rect x="176" y="312" width="160" height="104" rx="24" />
      </g>
    </svg>
  )
}
