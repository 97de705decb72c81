// The title of the browser's tab, so that several open designs can be told apart.

import { useEffect } from 'react'

/** The title of the tab, for as long as the page that calls this is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Atlas Collab`
  }, [title])
}
