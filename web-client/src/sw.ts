// The service worker: the page itself, kept on this device so that it starts without the server. It touches nothing else: questions to the API, sockets and
// the server's own pages go to the network as if it were not there.
//
// Each version of the page has a cache of its own, filled before the version may take over, and it takes over only when somebody asks for it. The version
// before stays until the next one comes: other tabs still run it and may need a part that they have not loaded yet, and that the server no longer has.

import { PrecacheController, PrecacheRoute } from 'workbox-precaching'
import { NavigationRoute, registerRoute } from 'workbox-routing'

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] }

const PREFIX = 'atlas-page-'
/** Addresses of the page (src/app/router.ts). Every other one is the server's. */
const PAGES = [/^\/$/, /^\/signin\/?$/, /^\/d\/[^/]+\/?$/]

const manifest = self.__WB_MANIFEST
const cacheName = PREFIX + fingerprint(JSON.stringify(manifest))
const page = new PrecacheController({ cacheName })
page.addToCacheList(manifest)

self.addEventListener('install', event => {
  page.install(event)
})

self.addEventListener('activate', event => {
  event.waitUntil(dropOlder().then(() => self.clients.claim()))
})

self.addEventListener('message', event => {
  if (event.data?.type === 'SKIP_WAITING') void self.skipWaiting()
})

registerRoute(new PrecacheRoute(page, { cleanURLs: false }))
registerRoute(new NavigationRoute(page.createHandlerBoundToURL('/index.html'), { allowlist: PAGES }))
registerRoute(
  ({ url, sameOrigin }) => sameOrigin && url.pathname.startsWith('/assets/'),
  async ({ request }) => (await ofAnyVersion(request)) ?? fetch(request)
)

/** Names of assets carry a hash of their content: whichever version has one, it is the right one, whatever headers it was asked for with. */
async function ofAnyVersion(request: Request): Promise<Response | undefined> {
  for (const name of await versions()) {
    const found = await (await caches.open(name)).match(request, { ignoreSearch: true, ignoreVary: true })
    if (found !== undefined) return found
  }
  return undefined
}

/** Keeps this version and the newest one before it. */
async function dropOlder(): Promise<void> {
  const others = (await versions()).filter(name => name !== cacheName)
  await Promise.all(others.slice(0, -1).map(name => caches.delete(name)))
}

/** In the order in which they were made. */
async function versions(): Promise<string[]> {
  return (await caches.keys()).filter(name => name.startsWith(PREFIX))
}

/** FNV-1a, 32 bits: tells versions apart, and protects nothing. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
