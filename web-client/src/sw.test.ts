// The page as it is built: what its service worker keeps for the days without a server.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'vite'
import { afterAll, beforeAll, expect, it } from 'vitest'

const BUILD_MS_MAX = 180_000

let folder = ''
let kept: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-page-'))
  await build({ logLevel: 'silent', mode: 'production', build: { outDir: folder, emptyOutDir: true } })
  const worker = await readFile(join(folder, 'sw.js'), 'utf8')
  kept = [...worker.matchAll(/url:\s*["'`]([^"'`]+)["'`]|"url":\s*"([^"]+)"/g)].map(found => found[1] ?? found[2] ?? '')
}, BUILD_MS_MAX)

afterAll(() => rm(folder, { recursive: true, force: true }))

it('every chunk and every stylesheet is kept, the canvas included', async () => {
  const assets = (await readdir(join(folder, 'assets'))).filter(name => /\.(js|css)$/.test(name))
  expect(assets.some(name => name.startsWith('EditorPage-'))).toBe(true)
  expect(kept).toEqual(expect.arrayContaining(assets.map(name => `assets/${name}`)))
})

it('the page, its theme and its manifest are kept', () => {
  expect(kept).toEqual(expect.arrayContaining(['index.html', 'theme.js', 'manifest.webmanifest', 'icons/icon.svg']))
})

it('nothing in the page is inline: the content security policy would not run it', async () => {
  const page = await readFile(join(folder, 'index.html'), 'utf8')
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>/)
  expect(page).not.toMatch(/\son\w+=|<style/)
})

it('the first load brings no canvas', async () => {
  const page = await readFile(join(folder, 'index.html'), 'utf8')
  const [, entry] = page.match(/src="\/(assets\/index-[^"]+\.js)"/) ?? []
  const text = await readFile(join(folder, entry ?? ''), 'utf8')
  expect(text).not.toContain('react-flow__')
  expect(page).not.toContain('EditorPage')
})
