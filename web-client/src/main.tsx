// Where the page begins: makes the account, the API and the device's store once, and shows the app with them.

import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app/App'
import { type LocalDesigns, ServicesProvider } from './app/services'
import { watchForUpdates } from './app/update'
import { createAccount } from './sync/account'
import { createApi } from './sync/api'
import { followTheme } from './ui/theme'
import './ui/theme.css'

// The part that reads IndexedDB comes when it is first needed: the sign-in page does without.
const local: LocalDesigns = {
  list: async user => (await import('./sync/local-designs')).localDesigns(location.origin, user),
  forget: async (user, design) => (await import('./sync/local-designs')).forget(location.origin, user, design)
}

const account = createAccount({
  fetch: fetch.bind(globalThis),
  storage: localStorage,
  locks: navigator.locks,
  now: Date.now,
  events: window
})

followTheme()
const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ServicesProvider value={{ account, api: createApi(account), local }}>
        <App />
      </ServicesProvider>
    </StrictMode>
  )
}

// Only what was built has a service worker, and only a secure context has service workers at all. The page works without.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void watchForUpdates({ container: navigator.serviceWorker, reload: () => location.reload() }).catch(() => undefined)
}
