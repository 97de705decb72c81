// The last scores as a small line. Its words stand beside it; the line itself is decoration.

import type { ScorePoint } from '../sync/analysis'

const WIDTH = 96
const HEIGHT = 28
const MARGIN = 3

/** Oldest first. Nothing with fewer than two points: one is no line. */
export function Sparkline({ scores }: { scores: readonly ScorePoint[] }) {
  const last = scores.at(-1)
  if (scores.length < 2 || last === undefined) return null
  const points = scores.map(({ security_score }, at) => pointOf(security_score, at, scores.length))
  const end = pointOf(last.security_score, scores.length - 1, scores.length)
  return (
    <svg
      aria-hidden="true"
      focusable="false"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      data-testid="score-line"
      className="shrink-0 text-accent"
    >
      <path d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} stroke="var(--line)" />
      <polyline
        points={points.map(({ x, y }) => `${x},${y}`).join(' ')}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
      <circle cx={end.x} cy={end.y} r="2.5" fill="currentColor" />
    </svg>
  )
}

/** 0 at the bottom, 10 at the top, whatever the scores are: a small step looks small. */
function pointOf(score: number, at: number, count: number): { x: number; y: number } {
  const x = MARGIN + (at / (count - 1)) * (WIDTH - 2 * MARGIN)
  const y = HEIGHT - MARGIN - (score / 10) * (HEIGHT - 2 * MARGIN)
  return { x: Math.round(10 * x) / 10, y: Math.round(10 * y) / 10 }
}
