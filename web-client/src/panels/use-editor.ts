import { useCallback, useSyncExternalStore } from 'react'
import type { Editor, EditorState } from '../binding/types'

export function useEditorState(editor: Editor): EditorState {
  const subscribe = useCallback((listener: () => void) => editor.subscribe(listener), [editor])
  return useSyncExternalStore(subscribe, () => editor.state)
}
