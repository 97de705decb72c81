// Looks regularly while somebody looks at the page, and at once when it comes to the front or the network comes back.

import type { PageEvents } from './page-events'

/** `look` is not called again before the last call is done. Returns the way to stop. */
export function watchPage(page: PageEvents, everyMs: number, look: () => Promise<void>, woke: () => void): () => void {
  let isLooking = false
  const lookOnce = async (): Promise<void> => {
    if (isLooking) return
    isLooking = true
    try {
      await look()
    } finally {
      isLooking = false
    }
  }
  const timer = setInterval(() => {
    if (page.isVisible()) void lookOnce()
  }, everyMs)
  const stopWaking = page.onWake(() => {
    void lookOnce()
    woke()
  })
  return () => {
    clearInterval(timer)
    stopWaking()
  }
}
