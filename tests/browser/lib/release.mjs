// The next version of the web client, made from the one that the server has: its main script under another name.

import assert from 'node:assert/strict'

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' }

async function served (front, path) {
  const response = await fetch(`http://127.0.0.1:${front.port}${path}`)
  assert.ok(response.ok, `${path} answered ${response.status}`)
  const headers = Object.fromEntries(['cache-control', 'content-security-policy', 'service-worker-allowed']
    .map((name) => [name, response.headers.get(name)]).filter(([, value]) => value !== null))
  return { text: await response.text(), headers }
}

/** From now on `front` serves another version. Returns the path of its main script. */
export async function releaseNewVersion (front) {
  const page = await served(front, '/')
  const worker = await served(front, '/sw.js')
  const old = /<script type="module"[^>]* src="(\/assets\/[^"]+\.js)"/.exec(page.text)?.[1]
  assert.ok(old !== undefined, 'the page names its main script')
  const fresh = old.replace(/\.js$/, '.next.js')
  const [oldName, freshName] = [old.slice(1), fresh.slice(1)]
  assert.ok(worker.text.includes(oldName), 'the service worker keeps the main script')
  const script = await served(front, old)

  const html = page.text.replaceAll(old, fresh)
  const replace = (path, type, body, headers) => front.replaced.set(path, { type, body, headers })
  replace('/', TYPES.html, html, page.headers)
  replace('/index.html', TYPES.html, html, page.headers)
  replace(fresh, TYPES.js, script.text, script.headers)
  // Another revision of the page, and the script by its new name.
  const manifest = worker.text.replaceAll(oldName, freshName).replace(/(index\.html[^{}]*?revision:\s*["'])|(revision:\s*["'])(?=[^{}]*index\.html)/, '$1$2next-')
  assert.notEqual(manifest, worker.text.replaceAll(oldName, freshName), 'the service worker keeps the page under a revision')
  replace('/sw.js', TYPES.js, manifest, worker.headers)
  return fresh
}
