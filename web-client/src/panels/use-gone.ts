// Notices when the element that is being edited disappears: somebody else deleted it, and the panel must say so.

import { type RefObject, useEffect, useState } from 'react'
import type { Editor, EditorState } from '../binding/types'
import { edgeTitle, nodeTitle } from '../design/elements'

export interface Gone {
  /** What it was called. */
  title: string
  /** What stood in the field that had the focus, or null: whoever typed it can still copy it. */
  text: string | null
}

/** `panel` had the focus while what it shows went away. It is over when something else is selected, or with `forget`. */
export function useGone(editor: Editor, panel: RefObject<HTMLElement | null>): [gone: Gone | null, forget: () => void] {
  const [gone, setGone] = useState<Gone | null>(null)
  useEffect(() => {
    let shown = onlySelected(editor.state)
    return editor.subscribe(() => {
      const now = onlySelected(editor.state)
      const { nodes, edges } = editor.state.view
      // Asked before React takes the fields away, and the focus with them.
      const focus = document.activeElement
      const editing = focus !== null && panel.current?.contains(focus) === true
      if (shown !== null && !nodes.has(shown.id) && !edges.has(shown.id) && editing)
        setGone({ title: shown.title, text: textOf(focus) })
      else if (now !== null) setGone(null)
      shown = now
    })
  }, [editor, panel])
  return [gone, () => setGone(null)]
}

function onlySelected({ view, selection }: EditorState): { id: string; title: string } | null {
  const [id, more] = [...selection.nodes, ...selection.edges]
  if (id === undefined || more !== undefined) return null
  const node = view.nodes.get(id)
  const edge = view.edges.get(id)
  if (node !== undefined) return { id, title: nodeTitle(node) }
  return edge === undefined ? null : { id, title: edgeTitle(edge) }
}

function textOf(field: Element): string | null {
  const typed = field instanceof HTMLTextAreaElement || (field instanceof HTMLInputElement && field.type === 'text')
  return typed && field.value.trim() !== '' ? field.value : null
}
