// New versions of the page. One is fetched in the background and waits until somebody presses Reload; then this tab closes its designs (what was edited is on
// this device), lets the new version take over, and reloads. Other tabs are told, and never reloaded under somebody's hands.

import { toast } from '../ui/toasts'
import { closeAllSessions, wouldLoseEdits } from './open-sessions'

/** Milliseconds between two looks for a new version while the page is open. */
const LOOK_MS = 30 * 60_000
/** Milliseconds that the new version has to take over. The designs are closed by then: without a reload, edits would go nowhere. */
const TAKE_OVER_MS = 5_000

export interface UpdateSeams {
  container: Pick<ServiceWorkerContainer, 'controller' | 'register' | 'addEventListener'>
  reload: () => void
}

export async function watchForUpdates(seams: UpdateSeams): Promise<void> {
  const { container } = seams
  const updater = new Updater(seams)
  /** On a first visit the worker takes over a page that had none: that is no update. */
  let controlled = container.controller !== null
  container.addEventListener('controllerchange', () => {
    updater.tookOver({ isFirst: !controlled })
    controlled = true
  })
  const registration = await container.register('/sw.js', { updateViaCache: 'none' })
  // With nobody active it is the first version that is being kept: no update. Whether this page is controlled says less: a page that was opened while the
  // first version was still being fetched is not, and may see the second one arrive.
  const follow = () => {
    const { installing } = registration
    installing?.addEventListener('statechange', () => {
      if (installing.state === 'installed' && registration.active !== null) updater.offer(registration)
    })
  }
  if (registration.waiting !== null && registration.active !== null) updater.offer(registration)
  registration.addEventListener('updatefound', follow)
  // What began to arrive before anybody listened.
  follow()
  const look = () => void registration.update().catch(() => undefined)
  setInterval(look, LOOK_MS)
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && look())
}

class Updater {
  readonly #seams: UpdateSeams
  #isOurs = false
  #reloading: ReturnType<typeof setTimeout> | undefined

  constructor(seams: UpdateSeams) {
    this.#seams = seams
  }

  offer(registration: ServiceWorkerRegistration | null): void {
    toast('A new version of the page is ready.', {
      id: 'update',
      testId: 'update-ready',
      action: { label: 'Reload', run: () => void this.#apply(registration) }
    })
  }

  /** Another version controls the page now: by our own wish, or because another tab asked for it. */
  tookOver({ isFirst }: { isFirst: boolean }): void {
    if (this.#isOurs) this.#reload()
    else if (!isFirst) this.offer(null)
  }

  async #apply(registration: ServiceWorkerRegistration | null): Promise<void> {
    if (wouldLoseEdits()) {
      toast('Not reloaded: some edits are in this page only. Wait until they are saved.', { tone: 'warn' })
      this.offer(registration)
      return
    }
    await closeAllSessions()
    const waiting = registration?.waiting ?? null
    if (waiting === null) {
      this.#reload()
      return
    }
    this.#isOurs = true
    this.#reloading = setTimeout(() => this.#reload(), TAKE_OVER_MS)
    waiting.postMessage({ type: 'SKIP_WAITING' })
  }

  #reload(): void {
    clearTimeout(this.#reloading)
    this.#seams.reload()
  }
}
