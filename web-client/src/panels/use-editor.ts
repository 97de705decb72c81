// The state of the editor for React: a component that calls this is drawn again when it changes.

import { useCallback, useSyncExternalStore } from 'react'
import type { Editor, EditorState } from '../binding/types'

export function useEditorState(editor: Editor): EditorState {
  const subscribe = useCallback((listener: () => void) => editor.subscribe(listener), [editor])
  return useSyncExternalStore(subscribe, () => editor.state)
}
