// What the browser tells a page about itself, for those who must try at once or look again.

export interface PageEvents {
  isVisible(): boolean
  /** The page came to the front, or the network came back. Returns the way to stop listening. */
  onWake(listener: () => void): () => void
  /** The page goes away, perhaps to come back from the browser's memory. */
  onHide(listener: () => void): () => void
}

export const browserEvents: PageEvents = {
  isVisible: () => document.visibilityState === 'visible',
  onWake(listener) {
    const shown = (): void => {
      if (document.visibilityState === 'visible') listener()
    }
    document.addEventListener('visibilitychange', shown)
    for (const name of ['online', 'focus', 'pageshow']) window.addEventListener(name, listener)
    return () => {
      document.removeEventListener('visibilitychange', shown)
      for (const name of ['online', 'focus', 'pageshow']) window.removeEventListener(name, listener)
    }
  },
  onHide(listener) {
    window.addEventListener('pagehide', listener)
    return () => window.removeEventListener('pagehide', listener)
  }
}
