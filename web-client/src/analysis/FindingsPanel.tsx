// The findings of the open design: the score, why it is what it is, and what to do about each finding.

import { ShieldCheck, ShieldQuestionMark } from 'lucide-react'
import { useState } from 'react'
import type { Editor } from '../binding/types'
import { useEditorState } from '../panels/use-editor'
import { Button } from '../ui/Button'
import { EmptyState } from '../ui/EmptyState'
import { Spinner } from '../ui/Spinner'
import { toast } from '../ui/toasts'
import { Costs } from './Costs'
import { Filters } from './Filters'
import type { FindingActs } from './FindingDetails'
import { FindingList } from './FindingList'
import { ALL_OPEN, findingsFor } from './findings'
import type { Focus } from './focus'
import { freshness, useSaving } from './freshness'
import { mend } from './mend'
import { Freshness, ScoreHead } from './ScoreHead'
import type { AnalysisStore } from './store'
import { useAnalysis, useFocus } from './use-analysis'

export interface FindingsPanelProps {
  editor: Editor
  store: AnalysisStore
  focus: Focus
  /** Brings these nodes into view together. */
  showNodes: (nodes: readonly string[]) => void
  /** Something on the canvas is to be looked at: where the panel lies above it, it steps aside. */
  onLook: () => void
}

export function FindingsPanel({ editor, store, focus, showNodes, onLook }: FindingsPanelProps) {
  const state = useAnalysis(store, all => all)
  const { view, canEdit } = useEditorState(editor)
  const saving = useSaving(editor.session)
  const { filter, opened, traced } = useFocus(focus)
  const [asked, setAsked] = useState(false)
  const isOffline = saving.kind === 'offline'
  const { analysis } = state

  const analyse = async () => {
    setAsked(true)
    try {
      await store.analyse()
    } catch (error) {
      say(error)
    }
    setAsked(false)
  }
  const acts: FindingActs = {
    jump: element => {
      editor.reveal(element)
      onLook()
    },
    mend: finding => void mend(editor, finding, showNodes),
    trace: finding => {
      const shows = traced !== finding.fingerprint
      focus.trace(shows ? finding.fingerprint : null)
      if (!shows) return
      showNodes((finding.path ?? []).filter(id => view.nodes.has(id)))
      onLook()
    },
    judge: async (finding, judgement) => {
      try {
        await store.judge(finding, judgement)
        return null
      } catch (error) {
        // The form says it itself; reopening has no form.
        if (judgement.state === 'open') say(error)
        return messageOf(error)
      }
    }
  }
  const fresh = freshness(state, saving)
  return (
    <section
      data-testid="findings"
      aria-label="Findings"
      // Relative: what is only for screen readers stays inside of what is scrolled.
      className="relative flex h-full min-h-0 flex-col overflow-y-auto bg-panel text-ink"
    >
      {analysis === null ? (
        <Nothing
          kind={state.kind}
          trouble={isOffline ? 'Without a connection to the server there are no findings.' : state.trouble}
          isEmpty={view.nodes.size === 0}
          busy={asked || state.isWorking}
          analyse={canEdit && !isOffline ? () => void analyse() : null}
        />
      ) : (
        <>
          <ScoreHead analysis={analysis} scores={state.scores} />
          <Freshness {...fresh} onAnalyse={canEdit ? () => void analyse() : null} busy={asked} disabled={isOffline} />
          <Costs analysis={analysis} onRule={rule => focus.filter({ ...ALL_OPEN, query: rule })} />
          <Filters filter={filter} issues={analysis.issues} view={view} change={change => focus.filter(change)} />
          <FindingList
            findings={findingsFor(analysis.issues, filter, view)}
            opened={opened}
            open={fingerprint => focus.open(fingerprint)}
            empty={<NoFindings filtered={analysis.issues.length > 0} clear={() => focus.filter(ALL_OPEN)} />}
            omitted={filter === ALL_OPEN ? analysis.omitted.reduce((sum, { count }) => sum + count, 0) : 0}
            details={finding => ({ finding, view, acts, canEdit, isOffline, isTraced: traced === finding.fingerprint })}
          />
        </>
      )}
    </section>
  )
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const say = (error: unknown): void => void toast(messageOf(error), { id: 'analysis', tone: 'warn', testId: 'analysis' })

interface NothingProps {
  kind: 'loading' | 'none' | 'ready'
  trouble: string | null
  isEmpty: boolean
  busy: boolean
  /** Null: this person cannot, or not now. */
  analyse: (() => void) | null
}

function Nothing({ kind, trouble, isEmpty, busy, analyse }: NothingProps) {
  if (trouble !== null) {
    return (
      <EmptyState icon={<ShieldQuestionMark size={28} aria-hidden="true" />} title="No findings to show">
        {trouble}
      </EmptyState>
    )
  }
  if (kind === 'loading') {
    return (
      <div className="flex justify-center py-12">
        <Spinner label="Fetching the findings" />
      </div>
    )
  }
  return (
    <EmptyState
      icon={<ShieldQuestionMark size={28} aria-hidden="true" />}
      title={isEmpty ? 'Nothing to look at yet' : 'Not looked at yet'}
      action={
        analyse !== null && (
          <Button tone="primary" busy={busy} onClick={analyse}>
            Analyse now
          </Button>
        )
      }
    >
      {isEmpty
        ? 'Draw something: whenever you pause, its security is looked at by itself.'
        : 'Whenever everybody pauses, the security of the design is looked at by itself.'}
    </EmptyState>
  )
}

/** `filtered`: there are findings, of which none is shown. */
function NoFindings({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  return filtered ? (
    <EmptyState title="No finding is like that" action={<Button onClick={clear}>Show all open findings</Button>} />
  ) : (
    <EmptyState icon={<ShieldCheck size={28} aria-hidden="true" />} title="No findings">
      The rules found nothing. That is only as good as what the design says: mind how much of it is known.
    </EmptyState>
  )
}
