// Draws the icons of the installed page from public/icons/icon.svg: `node scripts/icons.mjs`. The drawing is rounded rectangles only, which need no library:
// each pixel is the mean of 4 x 4 points. The maskable icon has no corners of its own and keeps to the middle four fifths, which every mask shows.

import { readFile, writeFile } from 'node:fs/promises'
import { crc32, deflateSync } from 'node:zlib'

const folder = new URL('../public/icons/', import.meta.url)
const SIDE = 512
const SAMPLES = 4

export const ICONS = [
  { file: 'icon-192.png', size: 192, maskable: false },
  { file: 'icon-512.png', size: 512, maskable: false },
  { file: 'icon-maskable-512.png', size: 512, maskable: true }
]

/** Every `<rect>` of the drawing, the lowest first. */
export function readRects(svg) {
  return [...svg.matchAll(/<rect ([^>]*)\/>/g)].map(([, text]) => {
    const given = Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]))
    const [x, y, width, height, rx] = ['x', 'y', 'width', 'height', 'rx'].map(key => Number(given[key]))
    const colour = [1, 3, 5].map(at => Number.parseInt(given.fill.slice(at, at + 2), 16))
    return { x, y, width, height, rx, colour }
  })
}

export function drawPng(rects, { size, maskable }) {
  const shapes = maskable ? rects.map(masked) : rects
  const pixels = Buffer.alloc(size * (size * 4 + 1))
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      pixels.set(pixel(shapes, column, row, SIDE / size), row * (size * 4 + 1) + 1 + column * 4)
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  // Eight bits each of red, green, blue and alpha.
  header.set([8, 6, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(pixels, { level: 9 })),
    chunk('IEND')
  ])
}

/** The ground fills the square; what stands on it shrinks towards the middle. */
function masked(rect, at) {
  if (at === 0) return { ...rect, rx: 0 }
  const scale = 0.8
  const moved = value => SIDE / 2 + (value - SIDE / 2) * scale
  return {
    ...rect,
    x: moved(rect.x),
    y: moved(rect.y),
    width: rect.width * scale,
    height: rect.height * scale,
    rx: rect.rx * scale
  }
}

function pixel(shapes, column, row, unit) {
  const sum = [0, 0, 0]
  let covered = 0
  for (let sample = 0; sample < SAMPLES * SAMPLES; sample++) {
    const x = (column + ((sample % SAMPLES) + 0.5) / SAMPLES) * unit
    const y = (row + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES) * unit
    const top = shapes.findLast(shape => contains(shape, x, y))
    if (top === undefined) continue
    covered += 1
    for (let part = 0; part < 3; part++) sum[part] += top.colour[part]
  }
  if (covered === 0) return [0, 0, 0, 0]
  return [...sum.map(value => Math.round(value / covered)), Math.round((covered / SAMPLES ** 2) * 255)]
}

function contains({ x, y, width, height, rx }, px, py) {
  if (px < x || py < y || x + width < px || y + height < py) return false
  const dx = Math.max(x + rx - px, px - (x + width - rx), 0)
  const dy = Math.max(y + rx - py, py - (y + height - rx), 0)
  return dx * dx + dy * dy <= rx * rx
}

function chunk(type, data = Buffer.alloc(0)) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  framed.set(body, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const rects = readRects(await readFile(new URL('icon.svg', folder), 'utf8'))
  for (const icon of ICONS) await writeFile(new URL(icon.file, folder), drawPng(rects, icon))
}
