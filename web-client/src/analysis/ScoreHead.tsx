// The top of the findings: the score, how it moved, how much of the design it rests upon, and how fresh it is.

import { RefreshCw, TrendingDown, TrendingUp } from 'lucide-react'
import type { Analysis, ScorePoint } from '../sync/analysis'
import { Badge } from '../ui/Badge'
import { Button } from '../ui/Button'
import { cx } from '../ui/classes'
import { Sparkline } from './Sparkline'
import { gradeTone, percent, scoreText, trendWords } from './words'

export interface ScoreHeadProps {
  analysis: Analysis
  scores: readonly ScorePoint[]
}

export function ScoreHead({ analysis, scores }: ScoreHeadProps) {
  const { security_score, grade, coverage } = analysis
  const trend = trendWords(scores)
  const TrendIcon = trend === null || trend.change === 0 ? null : trend.change > 0 ? TrendingUp : TrendingDown
  return (
    <section aria-label="Score" className="flex flex-col gap-2.5 px-3 py-3">
      <div className="flex items-center gap-3">
        <p className="flex items-baseline gap-1">
          <span data-testid="panel-score" className="text-3xl leading-none font-semibold tabular-nums">
            {scoreText(security_score)}
          </span>
          <span className="text-xs text-muted">of 10</span>
        </p>
        <Badge tone={gradeTone(grade)}>Grade {grade}</Badge>
        <div className="ml-auto flex flex-col items-end gap-0.5">
          <Sparkline scores={scores} />
          {trend !== null && (
            <p
              className={cx(
                'flex items-center gap-1 text-xs',
                trend.change > 0 ? 'text-ok' : trend.change < 0 ? 'text-danger' : 'text-muted'
              )}
            >
              {TrendIcon !== null && <TrendIcon size={13} aria-hidden="true" />}
              {trend.words}
            </p>
          )}
        </div>
      </div>
      <Coverage share={coverage} />
    </section>
  )
}

function Coverage({ share }: { share: number }) {
  const known = Math.round(100 * share)
  return (
    <div className="flex flex-col gap-1 text-xs">
      <div className="flex justify-between gap-2">
        <span className="text-muted">Known of the design</span>
        <span className="font-medium tabular-nums">{percent(share)}</span>
      </div>
      <div aria-hidden="true" className="h-1.5 overflow-hidden rounded-full bg-hover">
        <div className="h-full rounded-full bg-accent" style={{ width: `${known}%` }} />
      </div>
      {share < 0.6 && (
        <p className="text-muted">
          Much is not said yet: protocols, zones, flags. The more the design says, the surer the findings are.
        </p>
      )}
    </div>
  )
}

export interface FreshnessProps {
  /** How old or how fresh what is shown is. */
  words: string
  tone: 'muted' | 'warn'
  /** Null: this person may not ask for it. */
  onAnalyse: (() => void) | null
  busy: boolean
  disabled: boolean
}

export function Freshness({ words, tone, onAnalyse, busy, disabled }: FreshnessProps) {
  return (
    <div className="flex items-center gap-2 border-t border-line px-3 py-2">
      <p data-testid="freshness" className={cx('min-w-0 flex-1 text-xs', tone === 'warn' ? 'text-warn' : 'text-muted')}>
        {words}
      </p>
      {onAnalyse !== null && (
        <Button
          size="small"
          icon={<RefreshCw size={13} aria-hidden="true" />}
          busy={busy}
          disabled={disabled}
          onClick={onAnalyse}
        >
          Analyse now
        </Button>
      )}
    </div>
  )
}
