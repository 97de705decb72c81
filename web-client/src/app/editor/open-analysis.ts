// The analysis of the open design, for as long as the page shows it.

import { useEffect, useMemo } from 'react'
import { ALL_OPEN } from '../../analysis/findings'
import { Focus } from '../../analysis/focus'
import { FindingMarks } from '../../analysis/marks'
import { AnalysisStore } from '../../analysis/store'
import type { Editor } from '../../binding/types'
import type { EditorUi } from '../../commands/types'
import { useServices } from '../services'

export interface OpenAnalysis {
  analysis: AnalysisStore
  focus: Focus
  marks: FindingMarks
}

export function useOpenAnalysis(editor: Editor, ui: EditorUi): OpenAnalysis {
  const { api } = useServices()
  const open = useMemo(() => {
    const analysis = new AnalysisStore(editor.session, api)
    const focus = new Focus()
    const marks = new FindingMarks(analysis, focus, element => {
      focus.filter({ ...ALL_OPEN, element })
      ui.set({ findings: true })
    })
    return { analysis, focus, marks }
  }, [editor, api, ui])
  useEffect(() => {
    open.analysis.start()
    return () => open.analysis.stop()
  }, [open])
  return open
}
