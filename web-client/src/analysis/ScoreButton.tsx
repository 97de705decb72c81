// The score in the line above the canvas: always in sight, and the way to the findings.

import { ShieldAlert, ShieldCheck, ShieldQuestionMark } from 'lucide-react'
import { TONE_CLASSES } from '../ui/Badge'
import { cx } from '../ui/classes'
import { Spinner } from '../ui/Spinner'
import { Tooltip } from '../ui/Tooltip'
import { isOpen } from './findings'
import type { AnalysisStore } from './store'
import { useAnalysis } from './use-analysis'
import { gradeTone, scoreSentence, scoreText } from './words'

export interface ScoreButtonProps {
  store: AnalysisStore
  /** The findings are shown. */
  pressed: boolean
  onPress: () => void
}

export function ScoreButton({ store, pressed, onPress }: ScoreButtonProps) {
  const analysis = useAnalysis(store, state => state.analysis)
  const kind = useAnalysis(store, state => state.kind)
  const isWorking = useAnalysis(store, state => state.isWorking)
  const open = analysis === null ? 0 : analysis.issues.filter(isOpen).length
  const tone = analysis === null ? 'neutral' : gradeTone(analysis.grade)
  const words =
    analysis === null
      ? kind === 'none'
        ? 'The security of this design has not been looked at yet.'
        : 'The security score is being fetched.'
      : scoreSentence(analysis, open)
  const Icon = analysis === null ? ShieldQuestionMark : tone === 'ok' ? ShieldCheck : ShieldAlert
  return (
    <>
      <Tooltip text={isWorking ? `${words} The server is looking at the design.` : words}>
        <button
          type="button"
          data-testid="score"
          data-score={analysis?.security_score}
          data-grade={analysis?.grade}
          data-findings={open}
          data-working={isWorking || undefined}
          aria-pressed={pressed}
          onClick={onPress}
          className={cx(
            'inline-flex h-7 shrink-0 cursor-pointer items-center gap-1.5 rounded-full px-2.5 text-xs font-semibold tabular-nums',
            TONE_CLASSES[tone],
            pressed && 'ring-2 ring-accent'
          )}
        >
          <span className="sr-only">Findings. Security score </span>
          {isWorking ? <Spinner size={14} /> : <Icon size={14} aria-hidden="true" className="shrink-0" />}
          {analysis === null ? (
            <span className="font-medium">{kind === 'none' ? 'No score' : 'Score'}</span>
          ) : (
            <>
              {scoreText(analysis.security_score)}
              <span className="font-bold">{analysis.grade}</span>
            </>
          )}
        </button>
      </Tooltip>
      <span className="sr-only" role="status">
        {analysis === null ? '' : words}
      </span>
    </>
  )
}
