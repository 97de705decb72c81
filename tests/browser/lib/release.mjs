// The next version of the web client, made from the one that the server has: every script under another name.

import assert from 'node:assert/strict'

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' }

/** Answers of the server whose headers matter to a page or a service worker. */
const HEADERS = ['cache-control', 'content-security-policy', 'service-worker-allowed']

async function served (front, path) {
  const response = await fetch(`http://127.0.0.1:${front.port}${path}`)
  assert.ok(response.ok, `${path} answered ${response.status}`)
  const headers = HEADERS.map((name) => [name, response.headers.get(name)]).filter(([, value]) => value !== null)
  return { text: await response.text(), headers: Object.fromEntries(headers) }
}

/** From now on `front` serves another version. Returns the path of its main script. */
export async function releaseNewVersion (front) {
  const page = await served(front, '/')
  const worker = await served(front, '/sw.js')
  const scripts = [...new Set(worker.text.match(/assets\/[\w.-]+\.js/g) ?? [])]
  assert.ok(0 < scripts.length, 'the service worker keeps the scripts')
  const base = (path) => path.split('/').at(-1)
  const renamed = (text) => scripts.reduce((now, path) => now.replaceAll(base(path), base(path).replace(/\.js$/, '.next.js')), text)

  const replace = (path, type, body, headers) => front.replaced.set(path, { type, body, headers })
  for (const path of scripts) {
    const script = await served(front, `/${path}`)
    replace(`/${renamed(path)}`, TYPES.js, renamed(script.text), script.headers)
  }
  const html = renamed(page.text)
  replace('/', TYPES.html, html, page.headers)
  replace('/index.html', TYPES.html, html, page.headers)
  // The page keeps its name, so that its revision tells the service worker that it is another one.
  const manifest = renamed(worker.text)
  const revised = manifest
    .replace(/(revision["']?:\s*["'])(?=[^{}]*index\.html)/, '$1next-')
    .replace(/(index\.html[^{}]*?revision["']?:\s*["'])(?!next-)/, '$1next-')
  assert.notEqual(revised, manifest, 'the service worker keeps the page under a revision')
  replace('/sw.js', TYPES.js, revised, worker.headers)

  const main = /<script type="module"[^>]* src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1]
  assert.ok(main !== undefined, 'the page names its main script')
  return main
}
