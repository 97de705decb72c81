// One finding of the list: a line that unfolds.

import { ChevronRight } from 'lucide-react'
import { SEVERITY_WORDS } from '../design/severity'
import { Badge } from '../ui/Badge'
import { cx } from '../ui/classes'
import { SeverityIcon } from '../ui/severity'
import { FindingDetails, type FindingDetailsProps } from './FindingDetails'
import { elementName } from './findings'
import { counted, pointsText } from './words'

export interface FindingItemProps extends FindingDetailsProps {
  isOpened: boolean
  toggle: () => void
}

export function FindingItem({ isOpened, toggle, ...details }: FindingItemProps) {
  const { finding, view } = details
  const { severity, title, elements, points, triage, fingerprint, rule_id } = finding
  const [primary, ...others] = elements
  return (
    <li data-testid="finding" data-rule={rule_id} data-state={triage.state} className="border-t border-line">
      <h3>
        <button
          type="button"
          data-finding={fingerprint}
          aria-expanded={isOpened}
          onClick={toggle}
          className="flex w-full cursor-pointer items-start gap-2 px-3 py-2 text-left hover:bg-hover"
        >
          <span className="mt-px">
            <SeverityIcon severity={severity} size={17} />
          </span>
          <span className="min-w-0 flex-1">
            <span className="block text-[13px] leading-snug font-medium break-words">
              <span className="sr-only">{SEVERITY_WORDS[severity]}: </span>
              {title}
            </span>
            <span className="flex items-center gap-1.5 text-xs text-muted">
              {triage.state !== 'open' && <Badge>{triage.state === 'accepted' ? 'Accepted' : 'No problem'}</Badge>}
              <span className="min-w-0 truncate">
                {primary === undefined ? 'The design as a whole' : elementName(primary, view)}
                {0 < others.length && ` and ${counted(others.length, 'more', 'more')}`}
              </span>
            </span>
          </span>
          {0 < points && triage.state === 'open' && (
            <span className="text-xs text-muted tabular-nums" title="What it costs of the score, in points">
              −{pointsText(points)}
              <span className="sr-only"> points</span>
            </span>
          )}
          <ChevronRight
            size={15}
            aria-hidden="true"
            className={cx('mt-0.5 shrink-0 text-faint transition-transform', isOpened && 'rotate-90')}
          />
        </button>
      </h3>
      {isOpened && <FindingDetails {...details} />}
    </li>
  )
}
