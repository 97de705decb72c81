// Said while an attack path is drawn: from where to where, and the way out.

import { Route, X } from 'lucide-react'
import { useEffect } from 'react'
import type { Editor } from '../binding/types'
import { useEditorState } from '../panels/use-editor'
import { Button } from '../ui/Button'
import { elementName } from './findings'
import type { Focus } from './focus'
import type { AnalysisStore } from './store'
import { useAnalysis, useFocus } from './use-analysis'
import { counted } from './words'

const MODAL = '[role=dialog], [role=alertdialog], [role=menu]'

export function TraceBar({ editor, store, focus }: { editor: Editor; store: AnalysisStore; focus: Focus }) {
  const { view } = useEditorState(editor)
  const { traced } = useFocus(focus)
  const issues = useAnalysis(store, state => state.analysis?.issues)
  const finding = traced === null ? undefined : issues?.find(each => each.fingerprint === traced)
  const path = finding?.path ?? []
  const isShown = 0 < path.length

  // Its finding has been mended, or its path is another one that cannot be drawn.
  useEffect(() => {
    if (traced !== null && issues !== undefined && !isShown) focus.trace(null)
  }, [traced, issues, isShown, focus])

  useEffect(() => {
    if (!isShown) return
    const leave = (event: globalThis.KeyboardEvent) => {
      if (event.key !== 'Escape' || event.defaultPrevented) return
      if (event.target instanceof Element && event.target.closest(`${MODAL}, form`) !== null) return
      // Not the selection as well.
      event.preventDefault()
      event.stopPropagation()
      focus.trace(null)
    }
    window.addEventListener('keydown', leave, true)
    return () => window.removeEventListener('keydown', leave, true)
  }, [isShown, focus])

  const [from] = path
  const to = path.at(-1)
  if (from === undefined || to === undefined) return null
  return (
    <div className="pointer-events-none absolute inset-x-0 bottom-4 z-10 flex justify-center px-3">
      <div
        role="status"
        data-testid="trace-bar"
        className="pointer-events-auto flex max-w-full items-center gap-3 rounded-lg border border-line bg-raised py-1.5 pr-1.5 pl-3 text-sm shadow-panel"
      >
        <Route size={16} aria-hidden="true" className="shrink-0 text-sev-critical" />
        <p className="min-w-0">
          <b className="font-semibold">Attack path</b>, {counted(Math.floor(path.length / 2), 'hop')}: from{' '}
          {elementName(from, view)} to {elementName(to, view)}
        </p>
        <Button size="small" icon={<X size={13} aria-hidden="true" />} onClick={() => focus.trace(null)}>
          Leave (Esc)
        </Button>
      </div>
    </div>
  )
}
