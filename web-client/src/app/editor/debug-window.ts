// `window.atlas`: a read-only window into the open design, for the console and for the browser stories. Nothing writes through it.

import { useEffect } from 'react'
import type { Editor } from '../../binding/types'
import type { DesignView } from '../../design/elements'
import type { SessionState } from '../../sync/types'

export interface AtlasWindow {
  /** The drawing as the canvas has it. */
  view(): DesignView
  state(): SessionState
  /** How often the document was made anew since the page opened it. */
  readonly generation: number
}

declare global {
  interface Window {
    atlas?: AtlasWindow
  }
}

export function useDebugWindow(editor: Editor): void {
  useEffect(() => {
    const shown: AtlasWindow = {
      view: () => editor.state.view,
      state: () => editor.session.state,
      get generation() {
        return editor.session.state.generation
      }
    }
    window.atlas = shown
    return () => {
      if (window.atlas === shown) delete window.atlas
    }
  }, [editor])
}
