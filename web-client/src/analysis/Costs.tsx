// What costs how much: why the score is what it is, the most expensive rule first.

import { SEVERITY_WORDS } from '../design/severity'
import type { Analysis } from '../sync/analysis'
import { SeverityIcon, severityColour } from '../ui/severity'
import { counted, pointsText, ruleTitle, scoreText } from './words'

/** Rules that are listed; the rest costs next to nothing, since each further finding costs less. */
const RULES_MAX = 12

export function Costs({ analysis, onRule }: { analysis: Analysis; onRule: (rule: string) => void }) {
  const { explanation, cap, issues } = analysis
  const paid = explanation.filter(({ points }) => 0 < points)
  if (paid.length === 0) return null
  const most = Math.max(...paid.map(({ points }) => points))
  const rest = paid.slice(RULES_MAX)
  return (
    <details data-testid="costs" className="group border-t border-line px-3 py-2">
      <summary className="cursor-pointer text-xs font-semibold">What costs how much</summary>
      <div className="flex flex-col gap-2 pt-2">
        {cap !== null && cap !== undefined && (
          <p className="rounded-md bg-warn-soft px-2 py-1.5 text-xs text-warn">
            However little else there is: while “{ruleTitle(cap.rule_id, issues)}” is open, the score is{' '}
            {scoreText(cap.limit)} at most.
          </p>
        )}
        <ol className="flex flex-col gap-1.5">
          {paid.slice(0, RULES_MAX).map(({ rule_id, severity, count, points }) => (
            <li key={rule_id}>
              <button
                type="button"
                onClick={() => onRule(rule_id)}
                title={`Show what ${rule_id} found`}
                className="flex w-full cursor-pointer flex-col gap-0.5 rounded-md px-1 py-0.5 text-left hover:bg-hover"
              >
                <span className="flex w-full items-center gap-1.5 text-xs">
                  <SeverityIcon severity={severity} size={13} />
                  <span className="sr-only">{SEVERITY_WORDS[severity]}: </span>
                  <span className="min-w-0 flex-1 truncate">{ruleTitle(rule_id, issues)}</span>
                  {1 < count && <span className="text-muted">×{count}</span>}
                  <span className="font-medium tabular-nums">
                    −{pointsText(points)}
                    <span className="sr-only"> points</span>
                  </span>
                </span>
                <span aria-hidden="true" className="ml-5 h-1 rounded-full bg-hover">
                  <span
                    className={`block h-full rounded-full bg-current ${severityColour(severity)}`}
                    style={{ width: `${Math.max(2, (100 * points) / most)}%` }}
                  />
                </span>
              </button>
            </li>
          ))}
        </ol>
        {0 < rest.length && (
          <p className="text-xs text-muted">and {counted(rest.length, 'rule')} more that cost little</p>
        )}
        <p className="text-xs text-muted">
          The first finding of a rule costs most, each further one less. The more points, the lower the score, from 10
          down.
        </p>
      </div>
    </details>
  )
}
