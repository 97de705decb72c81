// Writes a brotli and a gzip form beside each built file that gains by it, once at build time, so that the server only
// chooses (src/http/client/encoding.rs). Runs after the bundler: node scripts/compress.mjs [folder]

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

/** Bytes. What fits into one packet with its headers gains nothing. */
const WORTH_IT_BYTES = 1024
/** Formats that are not compressed already. Source maps stay out: the server does not carry them. */
const TEXTS = new Set([
  '.html',
  '.js',
  '.mjs',
  '.css',
  '.svg',
  '.json',
  '.webmanifest',
  '.wasm',
  '.txt',
  '.ico',
  '.xml'
])

const folder = process.argv[2] ?? new URL('../dist', import.meta.url).pathname

async function compress(path) {
  const bytes = await readFile(path)
  if (bytes.length < WORTH_IT_BYTES) return { plain: bytes.length, sent: bytes.length }
  const forms = await Promise.all([
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length
      }
    }),
    promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION })
  ])
  const smaller = [
    [`${path}.br`, forms[0]],
    [`${path}.gz`, forms[1]]
  ].filter(([, form]) => form.length < bytes.length)
  await Promise.all(smaller.map(([name, form]) => writeFile(name, form)))
  return { plain: bytes.length, sent: Math.min(bytes.length, ...forms.map(form => form.length)) }
}

const entries = await readdir(folder, { recursive: true, withFileTypes: true })
const paths = entries.filter(entry => entry.isFile() && TEXTS.has(extname(entry.name)))
const sizes = await Promise.all(paths.map(entry => compress(join(entry.parentPath ?? entry.path, entry.name))))
const kib = which => Math.round(sizes.reduce((sum, size) => sum + size[which], 0) / 1024)
console.log(`${sizes.length} files: ${kib('plain')} KiB, ${kib('sent')} KiB as they travel`)
