// Everything about one finding: where, why, how to mend it, what was seen, and what one can do about it.

import { ExternalLink, Route, Wrench } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import type { DesignView } from '../design/elements'
import type { Finding } from '../sync/analysis'
import type { Judgement } from '../sync/analysis-api'
import { Button } from '../ui/Button'
import { elementName, isOpen } from './findings'
import { fixSentence, isThere } from './mend'
import { Judged, TriageForm } from './TriageForm'
import { confidenceWords, cweLink, percent, safeLink, seenValue, strideWord } from './words'

export interface FindingActs {
  jump: (element: string) => void
  mend: (finding: Finding) => void
  /** Draws its attack path, or takes it away again. */
  trace: (finding: Finding) => void
  /** Why it was not taken, or null. */
  judge: (finding: Finding, judgement: Judgement) => Promise<string | null>
}

export interface FindingDetailsProps {
  finding: Finding
  view: DesignView
  acts: FindingActs
  canEdit: boolean
  /** Judgements need the server; fixes do not. */
  isOffline: boolean
  isTraced: boolean
}

/** Elements that are named; a design-wide finding may be about hundreds. */
const ELEMENTS_MAX = 12

export function FindingDetails({ finding, view, acts, canEdit, isOffline, isTraced }: FindingDetailsProps) {
  const { elements, why, remediation, path } = finding
  const { word, means } = confidenceWords(finding.confidence)
  return (
    <div className="flex flex-col gap-2.5 px-3 pt-0.5 pb-3 pl-9 text-[13px] leading-snug">
      {why !== '' && <p>{why}</p>}
      {0 < elements.length && (
        <Part title="Where">
          <ul className="flex flex-wrap gap-1">
            {elements.slice(0, ELEMENTS_MAX).map(id => (
              <li key={id} className="max-w-full">
                <Element id={id} view={view} jump={acts.jump} />
              </li>
            ))}
            {ELEMENTS_MAX < elements.length && (
              <li className="px-1 text-xs text-muted">and {elements.length - ELEMENTS_MAX} more</li>
            )}
          </ul>
        </Part>
      )}
      {remediation !== '' && <Part title="How to mend it">{remediation}</Part>}
      {path && 2 < path.length && (
        <div>
          <Button
            size="small"
            aria-pressed={isTraced}
            icon={<Route size={13} aria-hidden="true" />}
            onClick={() => acts.trace(finding)}
          >
            {isTraced ? 'Hide the attack path' : 'Show the attack path'}
          </Button>
        </div>
      )}
      {isOpen(finding) && finding.autofix && canEdit && <Mend finding={finding} view={view} mend={acts.mend} />}
      <Judged finding={finding} />
      <Evidence finding={finding} view={view} />
      <Part title="How sure">
        {word} ({percent(finding.confidence)}): {means}
      </Part>
      <References finding={finding} />
      {canEdit && <Judging finding={finding} judge={acts.judge} isOffline={isOffline} />}
    </div>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <h4 className="text-xs font-semibold text-muted">{title}</h4>
      <div className="break-words">{children}</div>
    </div>
  )
}

function Element({ id, view, jump }: { id: string; view: DesignView; jump: (id: string) => void }) {
  const name = elementName(id, view)
  if (!view.nodes.has(id) && !view.edges.has(id)) {
    const words = isThere(id, view) ? 'is not drawn: an end of it is missing' : 'is not in the design any more'
    return (
      <span title={`${name} ${words}`} className="inline-block px-1 text-xs text-muted">
        {name} ({isThere(id, view) ? 'hidden' : 'deleted'})
      </span>
    )
  }
  return (
    <button
      type="button"
      title={`Go to ${name}`}
      onClick={() => jump(id)}
      className="max-w-full cursor-pointer truncate rounded-md border border-line bg-raised px-1.5 py-0.5 text-xs text-accent hover:bg-hover"
    >
      {name}
    </button>
  )
}

function Mend({ finding, view, mend }: { finding: Finding; view: DesignView; mend: (finding: Finding) => void }) {
  return (
    <div className="flex flex-col items-start gap-1 rounded-md bg-ok-soft px-2.5 py-2">
      <Button
        size="small"
        tone="primary"
        data-testid="apply-fix"
        icon={<Wrench size={13} aria-hidden="true" />}
        onClick={() => mend(finding)}
        className="max-w-full"
      >
        <span className="truncate">{finding.autofix?.title}</span>
      </Button>
      <p className="text-xs text-ink">{fixSentence(finding, view)} You can undo it.</p>
    </div>
  )
}

function Evidence({ finding, view }: { finding: Finding; view: DesignView }) {
  if (finding.evidence.length === 0) return null
  return (
    <Part title="What was seen">
      <ul className="flex flex-col gap-0.5 text-xs">
        {finding.evidence.map((each, at) => (
          <li key={at} className="break-words">
            {each.element && <span className="text-muted">{elementName(each.element, view)}: </span>}
            {each.key && <span className="font-mono">{each.key}</span>}
            {each.value !== undefined && each.value !== null && (
              <span className="font-mono">
                {each.key ? ' = ' : ''}
                {seenValue(each.value)}
              </span>
            )}
            {each.says && <span className="text-muted"> ({each.says})</span>}
          </li>
        ))}
      </ul>
    </Part>
  )
}

function References({ finding }: { finding: Finding }) {
  const { rule_id, stride, cwe, standards } = finding
  const links = [
    ...cwe.map(name => ({ name, url: cweLink(name) })),
    ...standards.map(({ name, url }) => ({ name, url: safeLink(url) }))
  ]
  return (
    <Part title="Rule and standards">
      <p className="flex flex-wrap gap-x-2 gap-y-0.5 text-xs">
        <span className="font-mono">{rule_id}</span>
        {links.map(({ name, url }) =>
          url === null ? (
            <span key={name}>{name}</span>
          ) : (
            <a
              key={name}
              href={url}
              target="_blank"
              rel="noreferrer"
              className="inline-flex items-center gap-0.5 text-accent underline underline-offset-2"
            >
              {name}
              <ExternalLink size={11} aria-hidden="true" />
              <span className="sr-only"> (opens in a new tab)</span>
            </a>
          )
        )}
        {0 < stride.length && <span className="text-muted">{stride.map(strideWord).join(', ')}</span>}
      </p>
    </Part>
  )
}

interface JudgingProps {
  finding: Finding
  judge: FindingActs['judge']
  isOffline: boolean
}

function Judging({ finding, judge, isOffline }: JudgingProps) {
  const [asking, setAsking] = useState<'accepted' | 'false_positive' | null>(null)
  const [busy, setBusy] = useState(false)
  if (asking !== null) {
    const save = async (judgement: Judgement) => {
      const trouble = await judge(finding, judgement)
      if (trouble === null) setAsking(null)
      return trouble
    }
    return <TriageForm state={asking} save={save} cancel={() => setAsking(null)} />
  }
  const reopen = async () => {
    setBusy(true)
    await judge(finding, { state: 'open' })
    setBusy(false)
  }
  return (
    <div className="flex flex-wrap items-center gap-1.5">
      {isOpen(finding) ? (
        <>
          <Button size="small" disabled={isOffline} onClick={() => setAsking('accepted')}>
            Accept the risk…
          </Button>
          <Button size="small" disabled={isOffline} onClick={() => setAsking('false_positive')}>
            Not a problem…
          </Button>
        </>
      ) : (
        <Button size="small" disabled={isOffline} busy={busy} onClick={() => void reopen()}>
          Reopen
        </Button>
      )}
      {isOffline && <span className="text-xs text-muted">Judging needs the server.</span>}
    </div>
  )
}
